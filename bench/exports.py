#!/usr/bin/env python3
"""Export with validation of the shapes that bench/make_shapes.py writes: ferry and Optimum in turns. Rows of a Markdown table.

    VENV/bin/python bench/make_shapes.py /tmp/shapes
    VENV/bin/python bench/exports.py build/ferry /tmp/shapes [RUNS]
"""

import pathlib
import shutil
import statistics
import sys

from quantize import timed

TASKS = {
    "t5-small": "text2text-generation-with-past",
    "whisper-tiny": "automatic-speech-recognition-with-past",
    "vit-base": "image-classification",
    "clip": "zero-shot-image-classification",
}


def main() -> None:
    ferry, shapes, runs = sys.argv[1], pathlib.Path(sys.argv[2]), int(sys.argv[3]) if len(sys.argv) > 3 else 3
    sides = {"ferry": [ferry, "export", "onnx", "-q"], "Optimum": [pathlib.Path(sys.executable).with_name("optimum-cli"), "export", "onnx"]}
    for name, task in TASKS.items():
        found = {side: [] for side in sides}
        for _ in range(runs):
            for side, command in sides.items():
                out = shapes / "out"
                shutil.rmtree(out, ignore_errors=True)
                found[side].append(timed(*command, "-m", shapes / name, "--task", task, out))
        (ours, theirs) = ([statistics.median(run[i] for run in found[side]) for i in range(3)] for side in sides)
        print(
            f"| {name} | {theirs[0] / ours[0]:.1f} ({theirs[0]:.1f} s / {ours[0]:.2f} s) "
            f"| {theirs[1] / ours[1]:.1f} ({theirs[1]:.1f} s / {ours[1]:.2f} s) "
            f"| {theirs[2] / ours[2]:.1f} ({theirs[2]:.0f} MB / {ours[2]:.0f} MB) |",
            flush=True,
        )


if __name__ == "__main__":
    main()
