#!/usr/bin/env python3
"""A Llama of 1.1B parameters: export against `cp`, and greedy decoding of ferry, Optimum and ONNX Runtime GenAI, batch 1,
2 threads. Rows of a Markdown table; every run is a process of its own, and the sides take turns.

    FERRY_ORACLE_VENV=... FERRY_GENAI_VENV=... python bench/large_decoder.py WORK_FOLDER [RUNS] [TOKENS] [exports,decoding,cache]

WORK_FOLDER takes about 20 GB. In it, `optimum` (optimum-cli's export of `source`) and `builder` (the folder that
`python -m onnxruntime_genai.models.builder -i source -o builder -p int4 -e cpu` writes) are compared with if they are there.
"""

import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
FERRY, GENERATE = ROOT / "build" / "ferry", ROOT / "build" / "bench" / "bench_generate"
ORACLE = os.environ.get("FERRY_ORACLE_VENV", "/opt/ferry-oracle") + "/bin/python"
GENAI = os.environ.get("FERRY_GENAI_VENV", str(ROOT / ".deps" / "genai-venv")) + "/bin/python"
EXPORTS = {
    "fp32": [],
    "int4": ["--optimize", "O2", "--quantize", "int4", "--head-bits", "4", "--genai-config"],
    "int4-128": ["--optimize", "O2", "--quantize", "int4", "--head-bits", "4", "--block-size", "128", "--genai-config"],
}

OPTIMUM = """
import os, sys, time
os.environ.update(ORT_DISABLE_TELEMETRY="1", HF_HUB_OFFLINE="1")
import torch, onnxruntime
from optimum.onnxruntime import ORTModelForCausalLM
folder, tokens, prompt = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
torch.set_num_threads(2)
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = 2
began = time.perf_counter()
model = ORTModelForCausalLM.from_pretrained(folder, session_options=options)
loading = time.perf_counter() - began
ids = torch.tensor([[3 + i * 7919 % 997 for i in range(prompt)]])
def timed(count):
    began = time.perf_counter()
    model.generate(ids, max_new_tokens=count, min_new_tokens=count, do_sample=False, pad_token_id=0, attention_mask=torch.ones_like(ids))
    return time.perf_counter() - began
timed(2)
prefill = timed(1)
rate = tokens / (timed(tokens + 1) - prefill)
"""
IN_GENAI = """
import sys, time
import numpy as np
import onnxruntime_genai as og
folder, tokens, prompt = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
began = time.perf_counter()
config = og.Config(folder)
config.overlay('{"model": {"decoder": {"session_options": {"intra_op_num_threads": 2}}}}')
model = og.Model(config)
loading = time.perf_counter() - began
ids = np.array([3 + i * 7919 % 997 for i in range(prompt)], dtype=np.int32)
def timed(count):
    parameters = og.GeneratorParams(model)
    parameters.set_search_options(do_sample=False, min_length=prompt + count, max_length=prompt + count)
    began = time.perf_counter()
    generator = og.Generator(model, parameters)
    generator.append_tokens(ids)
    while not generator.is_done():
        generator.generate_next_token()
    return time.perf_counter() - began
timed(2)
prefill = timed(1)
rate = tokens / (timed(tokens + 1) - prefill)
"""
RESIDENT = """
status = dict(line.split(":", 1) for line in open("/proc/self/status"))
print(rate, loading, *(int(status[key].split()[0]) * 1024 / 1e6 for key in ("VmRSS", "RssAnon")))
"""


def decoded(side: str, folder: pathlib.Path, tokens: int, prompt: int) -> tuple[float, ...]:
    """Tokens a second, seconds to load, megabytes resident, and those of them that are anonymous."""
    command = {
        "ferry": [GENERATE],
        "Optimum": [ORACLE, "-c", OPTIMUM + RESIDENT],
        "GenAI": [GENAI, "-c", IN_GENAI + RESIDENT],
    }[side]
    result = subprocess.run([*map(str, command), str(folder), str(tokens), str(prompt)], capture_output=True, text=True)
    if result.returncode != 0:
        sys.exit(f"{side} on {folder}: {result.stderr.strip()}")
    return tuple(float(word) for word in result.stdout.split()[-4:])


def seconds(command: list, fresh: pathlib.Path) -> tuple[float, float]:
    """Of a command that fills `fresh`, synced; and the most megabytes that its process held that are no file's pages."""
    shutil.rmtree(fresh, ignore_errors=True)
    began, most = time.perf_counter(), 0
    process = subprocess.Popen([str(part) for part in command])
    while process.poll() is None:
        try:
            status = pathlib.Path(f"/proc/{process.pid}/status").read_text()
            most = max([most, *(int(line.split()[1]) for line in status.splitlines() if line.startswith("RssAnon"))])
        except OSError:
            pass
        time.sleep(0.005)
    if process.returncode != 0:
        sys.exit(f"{command[0]}: exit code {process.returncode}")
    subprocess.run(["sync", *map(str, fresh.iterdir())], check=True)
    return time.perf_counter() - began, most * 1024 / 1e6


def row(what: str, bound: str, measured: str) -> None:
    print(f"| {what} | {bound} | {measured} |", flush=True)


def exports(work: pathlib.Path, runs: int) -> None:
    source, out, plain = work / "source", work / "timed", work / "copied"
    for dtype in ("fp32", "fp16"):
        ratios, times, most = [], [], 0.0
        command = [FERRY, "export", "onnx", "-q", "--no-validation", "--dtype", dtype, "-m", source, out]
        for _ in range(runs):
            time_, memory = seconds(command, out)
            copied, _ = seconds(["cp", "-r", out, plain], plain)
            ratios.append(time_ / copied)
            times.append(time_)
            most = max(most, memory)
        row(f"export to {dtype} / cp of what it wrote", "1.5", f"{statistics.median(ratios):.2f} ({statistics.median(times):.1f} s)")
        row(f"anonymous memory of it, at most", "300 MB", f"{most:.0f} MB")
    for folder in (out, plain):
        shutil.rmtree(folder)


def shared_cache(work: pathlib.Path, runs: int) -> None:
    """A long past in one buffer, and in two that change places: the same graph without the word that allows it."""
    import onnx

    apart = work / "int4-apart"
    apart.mkdir(exist_ok=True)
    for file in (work / "int4").iterdir():
        if file.name != "model.onnx" and not (apart / file.name).exists():
            os.link(file, apart / file.name)
    model = onnx.load(work / "int4" / "model.onnx", load_external_data=False)
    kept = [entry for entry in model.metadata_props if entry.key != "ferry.past_present_share_buffer"]
    del model.metadata_props[:]
    model.metadata_props.extend(kept)
    (apart / "model.onnx").write_bytes(model.SerializeToString())
    rates = {"int4": [], "int4-apart": []}
    for _ in range(runs):
        for name in rates:
            rates[name].append(decoded("ferry", work / name, 48, 1500)[0])
    ours, theirs = (statistics.median(rates[name]) for name in rates)
    row("int4 after 1,500 tokens: one buffer for past and present / two", "", f"{ours / theirs:.2f} ({rates})")


def main() -> None:
    work = pathlib.Path(sys.argv[1])
    runs, tokens = (int(sys.argv[i]) if len(sys.argv) > i else default for i, default in ((2, 5), (3, 32)))
    source = work / "source"
    if not source.exists():
        shape = "llama 2048 22 32 4 5632 32000 bf16 random".split()
        subprocess.run([ORACLE, str(ROOT / "bench" / "make_decoder.py"), str(source), *shape], check=True)
    parts = sys.argv[4].split(",") if len(sys.argv) > 4 else ["exports", "decoding", "cache"]
    if "exports" in parts:
        exports(work, runs)
    for name, flags in EXPORTS.items():
        if not (work / name).exists():
            subprocess.run([str(FERRY), "export", "onnx", "-q", "--no-validation", "-m", str(source), *flags, str(work / name)], check=True)
    if "cache" in parts:
        shared_cache(work, runs)
    if "decoding" not in parts:
        return
    sides = [(side, name) for side, name in (
        ("ferry", "fp32"), ("Optimum", "fp32"), ("Optimum", "optimum"), ("ferry", "int4"), ("ferry", "int4-128"), ("GenAI", "int4"),
        ("GenAI", "builder")) if (work / name).exists()]  # fmt: skip
    results = {side: [] for side in sides}
    for i in range(runs):
        for side in sides if i % 2 == 0 else sides[::-1]:
            results[side].append(decoded(side[0], work / side[1], tokens, 8))
    print("\n| who, folder | tokens/s | loading | resident | anonymous |\n|---|---|---|---|---|")
    for (side, name), measured in results.items():
        rate, loading, resident, anonymous = (statistics.median(column) for column in zip(*measured))
        rates = " ".join(f"{run[0]:.1f}" for run in measured)
        print(f"| {side}, {name} | {rate:.1f} ({rates}) | {loading:.2f} s | {resident:.0f} MB | {anonymous:.0f} MB |", flush=True)


if __name__ == "__main__":
    main()
