#!/usr/bin/env python3
"""Compares ferry with the Python tools it stands in for: transformers, sentence-transformers, Optimum, onnx.checker, ONNX Runtime GenAI.

    pip install -r tools/oracle/requirements.txt
    python tools/parity/run.py build/ferry                  everything (a few minutes)
    python tools/parity/run.py build/ferry minilm example   some parts: minilm example goldens generation opsets genai quantization
    python tools/parity/run.py build/ferry opsets --opsets 13-18 --quick

One line for each check; the exit code is 1 if one failed. PARITY_TRACE=1 shows tracebacks.
"""

import argparse
import pathlib
import sys
import tempfile
import warnings

import common
from common import Ferry, Table

PARTS = ["minilm", "example", "goldens", "generation", "opsets", "genai", "quantization"]


def opset_range(text: str) -> range:
    first, _, last = text.partition("-")
    return range(int(first), int(last or first) + 1)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("ferry", help="the program")
    parser.add_argument("parts", nargs="*", metavar="part", help=f"what to run, of: {' '.join(PARTS)} (default: all)")
    parser.add_argument("--opsets", type=opset_range, default=opset_range("13-24"), help="default: 13-24")
    parser.add_argument("--quick", action="store_true", help="leave the activations out of the opsets")
    parser.add_argument("--only", default="", metavar="TEXT", help="only golden cases whose name contains TEXT")
    parser.add_argument("--keep", type=pathlib.Path, metavar="DIR", help="work in DIR and leave it there")
    arguments = parser.parse_args()
    unknown = set(arguments.parts) - set(PARTS)
    if unknown:
        parser.error(f"no such part: {', '.join(sorted(unknown))}")

    import torch
    import transformers

    torch.set_num_threads(1)
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    warnings.filterwarnings("ignore")

    import check_genai
    import check_generation
    import check_goldens
    import check_minilm
    import check_opsets
    import check_quantization

    common.only = arguments.only
    table, ferry = Table(), Ferry(str(pathlib.Path(arguments.ferry).resolve()))
    parts = arguments.parts or PARTS
    with tempfile.TemporaryDirectory(prefix="ferry-parity-") as temporary:
        scratch = arguments.keep or pathlib.Path(temporary)
        scratch.mkdir(parents=True, exist_ok=True)
        if "minilm" in parts:
            check_minilm.check(ferry, table, scratch)
        if "example" in parts:
            check_goldens.check_example(ferry, table, scratch)
        if "goldens" in parts:
            check_goldens.check(ferry, table, scratch)
        if "generation" in parts:
            check_generation.check(ferry, table, scratch)
        if "opsets" in parts:
            check_opsets.check(ferry, table, scratch, arguments.opsets, arguments.quick)
        if "genai" in parts:
            check_genai.check(ferry, table, scratch)
        if "quantization" in parts:
            check_quantization.check(ferry, table, scratch)
    return table.close()


if __name__ == "__main__":
    sys.exit(main())
