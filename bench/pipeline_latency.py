#!/usr/bin/env python3
"""The question answering pipeline of transformers over Optimum's model, on the folder and the question that
bench/question_answering.cc measures: prints the median time of a call in microseconds.

    python bench/pipeline_latency.py FOLDER
"""

import os
import statistics
import sys
import time

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")

import onnxruntime
import torch
from optimum.onnxruntime import ORTModelForQuestionAnswering
from transformers import AutoTokenizer, pipeline


def main() -> None:
    folder = sys.argv[1]
    torch.set_num_threads(2)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 2
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    model = ORTModelForQuestionAnswering.from_pretrained(folder, session_options=options)
    qa = pipeline("question-answering", model=model, tokenizer=AutoTokenizer.from_pretrained(folder))
    times = []
    for turn in range(330):
        began = time.perf_counter()
        qa(question="What am I using?", context="Using DistilBERT with ONNX Runtime!")
        if turn >= 30:  # the first are to warm up
            times.append(1e6 * (time.perf_counter() - began))
    print(f"{statistics.median(times):.0f}")


if __name__ == "__main__":
    main()
