#!/usr/bin/env python3
"""Quantizing a BERT of base size: ferry against a copy of the file and against Optimum. Rows of a Markdown table.

    build/bench/bench_make_checkpoint /tmp/ferry-bench/bert-base 768 12 3072 30522 random
    python bench/quantize.py build/ferry /tmp/ferry-bench/bert-base /tmp/ferry-bench    (packages: tools/oracle/requirements.txt)
"""

import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import time

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

import numpy as np
import onnxruntime

RUNS = 5
SHAPES = [(1, 16), (1, 128), (8, 128)]


def timed(*command) -> tuple[float, float, float]:
    """Seconds, seconds of CPU and the most resident memory in MB of a command."""
    began = time.perf_counter()
    process = subprocess.Popen([str(part) for part in command], stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    if status != 0:
        raise SystemExit(f"`{' '.join(map(str, command))}` failed")
    return time.perf_counter() - began, used.ru_utime + used.ru_stime, used.ru_maxrss / 1e3


def quantize(tool: list, plain: pathlib.Path, out: pathlib.Path, *flags) -> tuple[float, float, float]:
    shutil.rmtree(out, ignore_errors=True)
    return timed(*tool, "onnxruntime", "quantize", "--onnx_model", plain, *flags, "-o", out)


def session(folder: pathlib.Path) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 2
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    (model,) = folder.glob("*.onnx")
    return onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])


def cosine(a, b) -> float:
    return float((a * b).sum() / np.linalg.norm(a) / np.linalg.norm(b))


def main() -> None:
    ferry, model, work = sys.argv[1], sys.argv[2], pathlib.Path(sys.argv[3])
    optimum = [str(pathlib.Path(sys.executable).with_name("optimum-cli"))]
    plain, folders = work / "plain", {"ferry": work / "ferry-int8", "ferry, per channel": work / "ferry-int8c", "Optimum": work / "optimum-int8"}
    timed(ferry, "export", "onnx", "-q", "--overwrite", "--task", "feature-extraction", "-m", model, plain)
    copies, ours = [], []
    for _ in range(RUNS):
        shutil.rmtree(work / "copy", ignore_errors=True)
        copies.append(timed("sh", "-c", f"cp -r {plain} {work / 'copy'} && sync {work / 'copy'}/*")[0])
        ours.append(quantize([ferry], plain, folders["ferry"], "--avx512_vnni"))
    seconds, cpu, memory = (statistics.median(run[i] for run in ours) for i in range(3))
    quantize([ferry], plain, folders["ferry, per channel"], "--avx512_vnni", "--per_channel")
    theirs = quantize(optimum, plain, folders["Optimum"], "--avx512_vnni")
    copied = statistics.median(copies)
    print(f"| quantizing / cp and sync | 3 | {seconds / copied:.2f} ({seconds:.2f} s / {copied:.2f} s) |")
    print(f"| CPU time, Optimum / ferry | | {theirs[1] / cpu:.1f} ({theirs[1]:.1f} s / {cpu:.2f} s) |")
    print(f"| peak resident memory, ferry / Optimum | 300 MB | {memory:.0f} MB / {theirs[2]:.0f} MB |")

    reference = session(plain)
    sessions = {name: session(folder) for name, folder in folders.items()}
    random = np.random.default_rng(0)
    for batch, length in SHAPES:
        feed = {
            "input_ids": random.integers(0, 30000, (batch, length)),
            "attention_mask": np.ones((batch, length), np.int64),
            "token_type_ids": np.zeros((batch, length), np.int64),
        }
        wanted = reference.run(None, feed)[0]
        times = {name: [] for name in sessions}
        for repeat in range(max(6, min(40, 6000 // (batch * length)))):
            for name, one in sessions.items():
                began = time.perf_counter()
                found = one.run(None, feed)[0]
                if repeat > 0:
                    times[name].append(1000 * (time.perf_counter() - began))
                else:
                    times[name + " cosine"] = cosine(wanted, found)
        for name in sessions:
            print(f"| [{batch}, {length}], {name} | | {statistics.median(times[name]):.1f} ms, cosine to f32 {times[name + ' cosine']:.4f} |")


if __name__ == "__main__":
    main()
