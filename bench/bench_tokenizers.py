#!/usr/bin/env python3
"""Speed of ferry's tokenizers against the Rust core of the Python package, one thread, same lines; and of loading.

usage: bench_tokenizers.py TOKENIZE_JSONL TEXT_FILE TOKENIZER_JSON...
Prints MB/s of both, the ratio, and both loading times. The reference must be tokenizers==0.22.2.
"""

import json
import os
import subprocess
import sys
import time

os.environ["TOKENIZERS_PARALLELISM"] = "false"
os.environ["RAYON_NUM_THREADS"] = "1"
import tokenizers  # noqa: E402

binary, text, files = sys.argv[1], sys.argv[2], sys.argv[3:]
lines = open(text, encoding="utf-8").read().split("\n")
size = sum(len(line.encode()) for line in lines)
for file in files:
    start = time.perf_counter()
    t = tokenizers.Tokenizer.from_file(file)
    load = time.perf_counter() - start
    t.no_truncation()
    t.no_padding()
    best = float("inf")
    for _ in range(3):
        start = time.perf_counter()
        t.encode_batch(lines)
        best = min(best, time.perf_counter() - start)
    ours = json.loads(subprocess.run([binary, file, "--bench", text], capture_output=True, check=True).stdout)
    print(f"{file}: {ours['mb_per_second']:.1f} MB/s, reference {size / best / 1e6:.2f} MB/s ({ours['mb_per_second'] / (size / best / 1e6):.1f} x); "
          f"loads in {ours['load_seconds']:.3f} s, reference {load:.3f} s ({load / ours['load_seconds']:.1f} x)")
