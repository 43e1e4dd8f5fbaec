#!/usr/bin/env python3
"""Tokens a second of greedy decoding, batch 1: ferry's generate() through `ferry run`, Optimum's on the same folder, and a
bare ONNX Runtime session with IO binding whose loop does nothing else. Of an encoder with its decoder: greedy and four
beams, ferry's and Optimum's. Rows of a Markdown table.

    python bench/generate.py FERRY_BENCH_GENERATE FOLDER [TOKENS]
"""

import os
import statistics
import subprocess
import sys
import time

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")

import numpy as np
import onnxruntime

PROMPT = [11, 43, 57, 99, 31, 8, 74, 23]


def bare(folder: str, tokens: int) -> float:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 2
    session = onnxruntime.InferenceSession(f"{folder}/model.onnx", options, providers=["CPUExecutionProvider"])
    names = {i.name: i for i in session.get_inputs()}
    pasts = [n for n in names if n.startswith("past_key_values")]

    def value(array):
        return onnxruntime.OrtValue.ortvalue_from_numpy(array)

    def run(count):
        binding = session.io_binding()
        ids = np.array([PROMPT], np.int64)
        cache = {n: value(np.zeros((1, names[n].shape[1], 0, names[n].shape[3]), np.float32)) for n in pasts}
        length = 0
        for _ in range(count):
            binding.clear_binding_inputs()
            binding.clear_binding_outputs()
            binding.bind_ortvalue_input("input_ids", value(ids))
            length += ids.shape[1]
            binding.bind_ortvalue_input("attention_mask", value(np.ones((1, length), np.int64)))
            if "position_ids" in names:
                binding.bind_ortvalue_input("position_ids", value(np.arange(length - ids.shape[1], length, dtype=np.int64)[None]))
            for n in pasts:
                binding.bind_ortvalue_input(n, cache[n])
            for output in session.get_outputs():
                binding.bind_output(output.name)
            session.run_with_iobinding(binding)
            outputs = dict(zip((o.name for o in session.get_outputs()), binding.get_outputs()))
            cache = {n: outputs[n.replace("past_key_values", "present")] for n in pasts}
            ids = outputs["logits"].numpy()[:, -1].argmax(-1)[:, None]

    run(4)
    began = time.perf_counter()
    run(tokens)
    return tokens / (time.perf_counter() - began)


def optimum(folder: str, tokens: int) -> float:
    import torch
    from optimum.onnxruntime import ORTModelForCausalLM

    torch.set_num_threads(2)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 2
    model = ORTModelForCausalLM.from_pretrained(folder, session_options=options)
    ids = torch.tensor([PROMPT])
    arguments = dict(do_sample=False, eos_token_id=None, pad_token_id=0, attention_mask=torch.ones_like(ids))
    model.generate(ids, max_new_tokens=4, **arguments)
    began = time.perf_counter()
    model.generate(ids, max_new_tokens=tokens, **arguments)
    return tokens / (time.perf_counter() - began)


def seq2seq(folder: str, tokens: int, beams: int) -> float:
    import torch
    from optimum.onnxruntime import ORTModelForSeq2SeqLM

    torch.set_num_threads(2)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 2
    model = ORTModelForSeq2SeqLM.from_pretrained(folder, session_options=options)
    ids = torch.tensor([[3 + i * 7919 % 997 for i in range(32)]])
    arguments = dict(do_sample=False, num_beams=beams, eos_token_id=None, pad_token_id=0, attention_mask=torch.ones_like(ids))
    model.generate(ids, max_new_tokens=4, **arguments)

    def timed(count):
        began = time.perf_counter()
        model.generate(ids, max_new_tokens=count, min_new_tokens=count, **arguments)
        return time.perf_counter() - began

    return tokens / (timed(tokens + 1) - timed(1))


def compare_seq2seq(program: str, folder: str, tokens: int) -> None:
    for beams in (1, 4):
        rates = {"ferry": [], "optimum": []}
        for _ in range(5):
            command = [program, folder, str(tokens), "32", str(beams)]
            rates["ferry"].append(float(subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()[0]))
            rates["optimum"].append(seq2seq(folder, tokens, beams))
        ours, theirs = (statistics.median(rates[name]) for name in ("ferry", "optimum"))
        print(f"| {beams} beams, 32 tokens read, batch 1, 2 threads: ferry / Optimum's generate() | {ours / theirs:.2f} ({ours:.1f} / {theirs:.1f} tokens/s) |")


def main() -> None:
    program, folder = sys.argv[1:3]
    tokens = int(sys.argv[3]) if len(sys.argv) > 3 else 128
    if os.path.exists(f"{folder}/encoder_model.onnx"):
        return compare_seq2seq(program, folder, tokens)
    ferry = lambda: float(subprocess.run([program, folder, str(tokens)], capture_output=True, text=True, check=True).stdout.split()[0])
    rates = {name: [] for name in ("ferry", "bare", "optimum")}
    for _ in range(5):
        rates["ferry"].append(ferry())
        rates["bare"].append(bare(folder, tokens))
        rates["optimum"].append(optimum(folder, tokens))
    ours, alone, theirs = (statistics.median(rates[name]) for name in ("ferry", "bare", "optimum"))
    print(f"| greedy decoding, batch 1, 2 threads: ferry / Optimum's generate() | 1.1 | {ours / theirs:.2f} ({ours:.1f} / {theirs:.1f} tokens/s) |")
    print(f"| the same, ferry / a bare session with IO binding | 0.95 | {ours / alone:.2f} ({alone:.1f} tokens/s) |")


if __name__ == "__main__":
    main()
