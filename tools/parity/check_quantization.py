"""Quantized graphs: ferry's against Optimum's ORTQuantizer (ONNX Runtime's Python quantizer) on the same export."""

import collections
import contextlib
import io
import json
import pathlib

import numpy as np
import onnx
from common import GOLDEN, Ferry, Golden, Table, expect, run, run_session, session
from onnx import numpy_helper
from onnxruntime.quantization import CalibrationMethod, QuantFormat, QuantizationMode
from optimum.onnxruntime import ORTQuantizer
from optimum.onnxruntime.configuration import AutoQuantizationConfig, CalibrationConfig, QuantizationConfig

TYPES = {1: np.float32, 6: np.int32, 7: np.int64, 9: np.bool_}
TEXT = ["distilbert-question-answering", "gpt2-text-generation-with-past"]
MEDIA = ["vit-image-classification", "resnet-image-classification", "wav2vec2-automatic-speech-recognition"]


def qoperator(per_channel: bool) -> QuantizationConfig:
    return QuantizationConfig(is_static=True, format=QuantFormat.QOperator, mode=QuantizationMode.QLinearOps,
                              per_channel=per_channel)  # fmt: skip


# Not the text models in QOperator format: ferry leaves what holds a mask's f32 minimum in floating point.
CASES = [
    ("dynamic", TEXT + MEDIA, ["--arm64", "--per_channel", "--all_matmuls"],
     lambda: AutoQuantizationConfig.arm64(is_static=False)),
    ("QDQ", TEXT + MEDIA, ["--avx512_vnni"],
     lambda: AutoQuantizationConfig.avx512_vnni(is_static=True, per_channel=False)),
    ("QDQ u8u8", TEXT + MEDIA, ["--avx2", "--per_channel", "--reduce_range"],
     lambda: AutoQuantizationConfig.avx2(is_static=True, reduce_range=True)),
    ("TensorRT", TEXT + MEDIA, ["--tensorrt", "--per_channel"], AutoQuantizationConfig.tensorrt),
    ("QOperator", MEDIA, ["--arm64", "--qoperator"], lambda: qoperator(False)),
    ("QOperator channels", MEDIA, ["--arm64", "--qoperator", "--per_channel"], lambda: qoperator(True)),
]  # fmt: skip


def samples_of(golden: Golden, model: pathlib.Path) -> list[dict]:
    inputs = {value.name: value.type.tensor_type.elem_type for value in onnx.load(model).graph.input}
    return [{name: given[name].astype(TYPES[kind]) for name, kind in inputs.items()} for given, _ in golden.runs]


def write_jsonl(samples: list[dict], path: pathlib.Path) -> pathlib.Path:
    # A list cannot say the size of an empty cache's heads: it is left out, and filled in.
    lines = [json.dumps({k: v.tolist() for k, v in sample.items() if v.size}) for sample in samples]
    path.write_text("\n".join(lines) + "\n")
    return path


def ranges_of(model: pathlib.Path, samples: list[dict], config: QuantizationConfig, scratch: pathlib.Path):
    calibration = CalibrationConfig("goldens", "", "", len(samples), CalibrationMethod.MinMax, moving_average=False,
                                    averaging_constant=0.01)  # fmt: skip
    symmetric = config.use_symmetric_calibration
    calibrator = calibration.create_calibrator(
        model.as_posix(), config.operators_to_quantize, force_symmetric_range=symmetric,
        augmented_model_name=str(scratch / "augmented.onnx"),
    )  # fmt: skip
    given = iter(samples)
    calibrator.collect_data(type("Reader", (), {"get_next": lambda self: next(given, None)})())
    return calibrator.compute_data()


def quantize_with_optimum(model: pathlib.Path, samples: list[dict], config: QuantizationConfig, out: pathlib.Path):
    out.mkdir()
    quantizer = ORTQuantizer.from_pretrained(model.parent, file_name=model.name)
    with contextlib.redirect_stdout(io.StringIO()):
        ranges = ranges_of(model, samples, config, out) if config.is_static else None
        quantizer.quantize(config, out, calibration_tensors_range=ranges)


def expect_same_graph(ours: onnx.ModelProto, theirs: onnx.ModelProto) -> int:
    nodes = [collections.Counter((n.op_type, n.name, *n.input, "->", *n.output) for n in m.graph.node)
             for m in (ours, theirs)]  # fmt: skip
    weights = [{t.name: numpy_helper.to_array(t) for t in m.graph.initializer} for m in (ours, theirs)]
    for ahead, behind, whose in ((1, 0, "Optimum's"), (0, 1, "ferry's")):
        alone = nodes[ahead] - nodes[behind]
        expect(not alone, f"{sum(alone.values())} nodes are only in {whose}: {' '.join(next(iter(alone), ''))}")
        names = set(weights[ahead]) - set(weights[behind])
        expect(not names, f"{len(names)} constants are only in {whose}: {sorted(names)[:3]}")
    for name, wanted in weights[1].items():
        got = weights[0][name]
        expect(got.dtype == wanted.dtype and got.shape == wanted.shape, f"{name} is {got.dtype}{list(got.shape)}")
        expect(np.array_equal(got, wanted), f"{name} differs")
    return len(weights[1])


def check(ferry: Ferry, table: Table, scratch: pathlib.Path) -> None:
    for name in TEXT + MEDIA:
        golden = Golden(GOLDEN / name)
        out = ferry.export(golden.materialize(scratch / f"{name}-checkpoint"), scratch / name, "--task", golden.task)
        model = out / "model.onnx"
        samples = samples_of(golden, model)
        data = write_jsonl(samples, scratch / f"{name}.jsonl")
        for case, subjects, flags, config in CASES:
            if name not in subjects:
                continue
            with table.row(f"quantize {case}", name) as notes:
                place = scratch / f"{name}-{case.replace(' ', '-')}"
                ours, theirs = place / "ferry", place / "optimum"
                place.mkdir()
                asked = config()
                if asked.is_static:
                    flags = [*flags, "--static", "--calibration", data]
                run(ferry.binary, "onnxruntime", "quantize", "--onnx_model", out, *flags, "-o", ours)
                quantize_with_optimum(model, samples, asked, theirs)
                file = "model_quantized.onnx"
                count = expect_same_graph(onnx.load(ours / file), onnx.load(theirs / file))
                notes.append(f"{count} constants, all equal")
                configs = [json.loads((folder / "ort_config.json").read_text())["quantization"] for folder in (ours, theirs)]
                expect(configs[0] == configs[1], f"ort_config.json says {configs[0]}, not {configs[1]}")
                run_session(session(ours / file), samples[0])
