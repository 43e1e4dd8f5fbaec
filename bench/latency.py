#!/usr/bin/env python3
"""Latency in ONNX Runtime of two exports of one model of texts or images, in turns: rows of a Markdown table.

    python bench/latency.py ours/model.onnx theirs/model.onnx
"""

import os
import statistics
import sys
import time

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

import numpy as np
import onnxruntime

SHAPES = [(1, 16), (1, 128), (1, 384), (8, 16), (8, 128), (8, 384)]
IMAGES = [(1, 224), (4, 224)]  # with 8 texts of 16 tokens where a model takes those, too


def session(path: str) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 2
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def main() -> None:
    sessions = [session(path) for path in sys.argv[1:3]]
    random = np.random.default_rng(0)
    images = any(i.name == "pixel_values" for i in sessions[0].get_inputs())
    for batch, length in IMAGES if images else SHAPES:
        texts = (8, 16) if images else (batch, length)
        inputs = {
            "input_ids": random.integers(0, 30000, texts),
            "attention_mask": np.ones(texts, np.int64),
            "token_type_ids": np.zeros(texts, np.int64),
            "pixel_values": random.standard_normal((batch, 3, length, length)).astype(np.float32) if images else None,
        }
        feeds = [{i.name: inputs[i.name] for i in s.get_inputs()} for s in sessions]
        repeats = 16 if images else max(4, min(40, 8000 // (batch * length)))
        times: list[list[float]] = [[], []]
        for repeat in range(repeats + 1):
            for which, (one, feed) in enumerate(zip(sessions, feeds)):
                began = time.perf_counter()
                one.run(None, feed)
                if repeat > 0:  # the first is to warm up
                    times[which].append(1000 * (time.perf_counter() - began))
        ours, theirs = (statistics.median(t) for t in times)
        print(
            f"| latency, batch {batch}, {length} {'pixels' if images else 'tokens'}, 2 threads: ferry / Optimum | 1.0 "
            f"| {ours / theirs:.2f} ({ours:.1f} ms / {theirs:.1f} ms) |",
            flush=True,
        )


if __name__ == "__main__":
    main()
