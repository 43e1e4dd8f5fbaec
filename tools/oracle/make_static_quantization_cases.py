"""Small models, data, the ranges that ONNX Runtime's calibrators find on it, and what its static quantizer makes of the
models: tests/data/quantization/static.

Run: python tools/oracle/make_static_quantization_cases.py tests/data/quantization   (onnx 1.23, onnxruntime 1.32)
A model's folder holds model.onnx, samples.json (inputs by name), ranges.json (calibration -> tensor -> range), and of
each case its options (of ferry's pass) and <case>.onnx, quantized with the ranges of "minmax".
"""
import json
import pathlib
import sys
import tempfile

import numpy as np
import onnx
from make_quantization_cases import encoder as dynamic_encoder
from make_quantization_cases import model, value, weight
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import CalibrationDataReader, CalibrationMethod, QuantType
from onnxruntime.quantization.calibrate import create_calibrator
from onnxruntime.quantization.onnx_quantizer import ONNXQuantizer
from onnxruntime.quantization.qdq_quantizer import QDQQuantizer
from onnxruntime.quantization.quant_utils import QuantizationMode
from onnxruntime.quantization.registry import QDQRegistry, QLinearOpsRegistry

random = np.random.default_rng(11)


def ints(name, *values):
    return numpy_helper.from_array(np.array(values, np.int64), name)


def encoder():
    return dynamic_encoder(), [{"input_ids": random.integers(0, 29, (2, 4))} for _ in range(7)]


def text():
    """Normalization, heads that are split and joined, gates: what the encoder lacks."""
    weights = [
        weight("words.weight", 23, 8, scale=0.5), weight("norm.weight", 8, scale=0.2, shift=1.0),
        weight("norm.bias", 8, scale=0.3), weight("qkv.weight", 8, 24, scale=0.4), weight("qkv.bias", 24),
        weight("out.weight", 8, 8), weight("out.bias", 8, scale=1e6), weight("up.weight", 8, 12),
        numpy_helper.from_array(np.array(0.25, np.float32), "quarter"), ints("sizes", 8, 8, 8),
        ints("heads", 0, 0, 2, 4), ints("joined", 0, 0, 8), ints("begin", 0), ints("end", 2),
        ints("axis1", 1),
    ]
    n = helper.make_node
    nodes = [
        n("Gather", ["words.weight", "input_ids"], ["x"], "/words/Gather"),
        n("LayerNormalization", ["x", "norm.weight", "norm.bias"], ["y"], "/norm/LayerNormalization", axis=-1),
        n("MatMul", ["y", "qkv.weight"], ["qkv0"], "/qkv/MatMul"),
        n("Add", ["qkv0", "qkv.bias"], ["qkv"], "/qkv/Add"),
        n("Split", ["qkv", "sizes"], ["q0", "k0", "v0"], "/Split", axis=2),
        n("Reshape", ["q0", "heads"], ["q1"], "/q/Reshape"), n("Reshape", ["k0", "heads"], ["k1"], "/k/Reshape"),
        n("Reshape", ["v0", "heads"], ["v1"], "/v/Reshape"),
        n("Transpose", ["q1"], ["q"], "/q/Transpose", perm=[0, 2, 1, 3]),
        n("Transpose", ["k1"], ["k"], "/k/Transpose", perm=[0, 2, 3, 1]),
        n("Transpose", ["v1"], ["v"], "/v/Transpose", perm=[0, 2, 1, 3]),
        n("MatMul", ["q", "k"], ["scores"], "/scores/MatMul"),
        n("Mul", ["scores", "quarter"], ["scaled"], "/Mul"),
        n("Softmax", ["scaled"], ["probs"], "/Softmax", axis=-1),
        n("MatMul", ["probs", "v"], ["context"], "/context/MatMul"),
        n("Transpose", ["context"], ["context1"], "/context/Transpose", perm=[0, 2, 1, 3]),
        n("Reshape", ["context1", "joined"], ["context2"], "/context/Reshape"),
        n("LayerNormalization", ["context2", "norm.weight", "norm.bias"], ["context3"], "/norm_1/LayerNormalization"),
        n("Slice", ["context3", "begin", "end", "axis1"], ["first"], "/Slice"),
        n("Reshape", ["first", "flat"], ["flat2"], "/Reshape"),
        n("Gemm", ["flat2", "out.weight", "out.bias"], ["out"], "/out/Gemm", transB=1),
        n("Sigmoid", ["out"], ["gate"], "/Sigmoid"),
        n("Mul", ["out", "gate"], ["silu"], "/silu/Mul"),
        n("Concat", ["silu", "flat2"], ["both"], "/Concat", axis=1),
        n("MatMul", ["flat2", "up.weight"], ["up"], "/up/MatMul"),
        n("LeakyRelu", ["up"], ["leaky"], "/LeakyRelu", alpha=0.1),
        n("CumSum", ["leaky", "axis_of_sum"], ["sums"], "/CumSum"),
        n("TopK", ["sums", "three"], ["top", "places"], "/TopK"),
        n("ArgMax", ["both"], ["best"], "/ArgMax", axis=1, keepdims=0),
    ]
    weights += [ints("flat", -1, 8), numpy_helper.from_array(np.array(1, np.int64), "axis_of_sum"), ints("three", 3)]
    outputs = [value("both", TensorProto.FLOAT, None, 16), value("top", TensorProto.FLOAT, None, 3),
               value("best", TensorProto.INT64, None), value("scores", TensorProto.FLOAT, "batch", 2, 5, 5)]
    made = model(nodes, [value("input_ids", TensorProto.INT64, "batch", 5)], outputs, weights)
    return made, [{"input_ids": random.integers(0, 23, (1, 5))} for _ in range(6)]


def image():
    """Convolutions, pools and what lies between them."""
    weights = [
        weight("c1.weight", 6, 3, 3, 3), weight("c1.bias", 6), weight("bn.weight", 6, shift=1.0), weight("bn.bias", 6),
        weight("bn.mean", 6), numpy_helper.from_array(np.abs(random.standard_normal(6)).astype(np.float32), "bn.var"),
        weight("c2.weight", 6, 3, 2, 2, scale=0.1), weight("c2.bias", 6), weight("c3.weight", 6, 6, 1, 1), weight("c4.weight", 6, 4, 2, 2),
        weight("fc.weight", 4, 5), weight("fc.bias", 5), numpy_helper.from_array(np.float32(-1.5), "low"),
        numpy_helper.from_array(np.float32(2.5), "high"), ints("pads", 0, 0, 1, 1, 0, 0, 0, 1),
        numpy_helper.from_array(np.array([1, 1, 2, 2], np.float32), "scales"), ints("axes", 2, 3),
    ]
    n = helper.make_node
    nodes = [
        n("Conv", ["pixel_values", "c1.weight", "c1.bias"], ["a0"], "/c1/Conv", pads=[1, 1, 1, 1]),
        n("Relu", ["a0"], ["a"], "/Relu"),
        n("MaxPool", ["a"], ["pooled"], "/MaxPool", kernel_shape=[2, 2], strides=[1, 1]),
        n("Pad", ["pooled", "pads"], ["padded"], "/Pad"),
        n("Conv", ["padded", "c2.weight", "c2.bias"], ["b0"], "/c2/Conv", group=2),
        n("Clip", ["b0", "low", "high"], ["b"], "/Clip"),
        n("Conv", ["b", "c3.weight"], ["c"], "/c3/Conv"),
        n("Add", ["b", "c"], ["sum0"], "/Add"),
        n("Relu", ["sum0"], ["sum"], "/Relu_1"),
        n("BatchNormalization", ["sum", "bn.weight", "bn.bias", "bn.mean", "bn.var"], ["normed"], "/bn"),
        n("Resize", ["sum", "", "scales"], ["large"], "/Resize", mode="nearest"),
        n("ConvTranspose", ["large", "c4.weight"], ["d"], "/c4/ConvTranspose"),
        n("AveragePool", ["d"], ["averaged"], "/AveragePool", kernel_shape=[2, 2]),
        n("GlobalAveragePool", ["averaged"], ["mean"], "/GlobalAveragePool"),
        n("Flatten", ["mean"], ["flat"], "/Flatten"),
        n("Unsqueeze", ["flat", "axes"], ["four"], "/Unsqueeze"), n("Squeeze", ["four", "axes"], ["two"], "/Squeeze"),
        n("Gemm", ["two", "fc.weight", "fc.bias"], ["logits"], "/fc/Gemm"),
    ]
    outputs = [value("logits", TensorProto.FLOAT, "batch", 5), value("normed", TensorProto.FLOAT, "batch", 6, 5, 5)]
    made = model(nodes, [value("pixel_values", TensorProto.FLOAT, "batch", 3, 6, 5)], outputs, weights)
    samples = [{"pixel_values": (random.standard_normal((1, 3, 6, 5)) * (i + 1)).astype(np.float32)} for i in range(5)]
    return made, samples


CALIBRATIONS = {
    "minmax": {"method": "MinMax"},
    "minmax_moving_average": {"method": "MinMax", "moving_average": True, "averaging_constant": 0.3},
    "minmax_symmetric": {"method": "MinMax", "symmetric": True},
    "entropy": {"method": "Entropy", "num_bins": 128, "num_quantized_bins": 128},
    "entropy_2048": {"method": "Entropy", "num_bins": 2048, "num_quantized_bins": 128},
    "entropy_511": {"method": "Entropy", "num_bins": 511, "num_quantized_bins": 33},
    "percentile": {"method": "Percentile", "num_bins": 2048, "percentile": 99.999, "symmetric": False},
    "percentile_90": {"method": "Percentile", "num_bins": 300, "percentile": 90, "symmetric": False},
    "percentile_symmetric": {"method": "Percentile", "num_bins": 2048, "percentile": 97.5, "symmetric": True},
    "minmax_in_parts": {"method": "MinMax", "moving_average": True, "averaging_constant": 0.3, "parts": 2},
    "entropy_in_parts": {"method": "Entropy", "num_bins": 512, "num_quantized_bins": 64, "parts": 3},
    "percentile_in_parts": {"method": "Percentile", "num_bins": 256, "percentile": 99, "symmetric": False, "parts": 2},
    "percentile_symmetric_in_parts": {"method": "Percentile", "num_bins": 256, "percentile": 99, "symmetric": True,
                                      "parts": 2},
}

CASES = {
    "qdq_u8s8": {},
    "qdq_u8s8_all": {"operators": "all"},
    "qdq_u8s8_per_channel": {"per_channel": True},
    "qdq_s8s8_per_channel": {"activations": "s8", "per_channel": True, "activations_symmetric": True},
    "qdq_u8u8": {"weights": "u8"},
    "qdq_u8u8_asymmetric": {"weights": "u8", "weights_symmetric": False, "reduce_range": True},
    "qdq_s8s8_reduced": {"activations": "s8", "reduce_range": True},
    "qdq_symmetric_activations": {"activations_symmetric": True, "operators": "all"},
    "qdq_tensorrt": {"activations": "s8", "activations_symmetric": True, "per_channel": True,
                     "add_pair_to_weight": True, "dedicated_pair": True},
    "qdq_axis_0": {"per_channel": True, "per_channel_axis": {"MatMul": 0, "LayerNormalization": 0}},
    "qdq_excluded": {"nodes_to_exclude": ["/query/MatMul", "/c1/Conv", "/qkv/MatMul", "/words/Gather"]},
    "qdq_chosen": {"nodes_to_quantize": ["/query/MatMul", "/key/Transpose", "/c1/Conv", "/Relu", "/norm/LayerNormalization"]},
    "qop_u8s8": {"format": "qoperator"},
    "qop_u8s8_per_channel": {"format": "qoperator", "per_channel": True},
    "qop_u8u8": {"format": "qoperator", "weights": "u8"},
    "qop_u8u8_per_channel": {"format": "qoperator", "weights": "u8", "per_channel": True},
    "qop_s8s8": {"format": "qoperator", "activations": "s8"},
    "qop_s8s8_symmetric": {"format": "qoperator", "activations": "s8", "activations_symmetric": True,
                           "per_channel": True, "reduce_range": True},
    "qop_u8u8_asymmetric": {"format": "qoperator", "weights": "u8", "weights_symmetric": False, "reduce_range": True},
    "qop_excluded": {"format": "qoperator", "nodes_to_exclude": ["/query/MatMul", "/c1/Conv", "/qkv/MatMul"]},
}

# All of them with "text".
SOME = {
    "encoder": ["qdq_u8s8_all", "qdq_u8s8_per_channel", "qdq_tensorrt", "qdq_u8u8_asymmetric", "qdq_excluded",
                "qop_u8s8", "qop_u8s8_per_channel", "qop_u8u8"],
    "image": ["qdq_u8s8", "qdq_s8s8_per_channel", "qdq_symmetric_activations", "qdq_tensorrt", "qdq_chosen",
              "qop_u8s8", "qop_u8s8_per_channel", "qop_s8s8_symmetric", "qop_u8u8_asymmetric", "qop_u8u8_per_channel", "qop_excluded"],
}


class Reader(CalibrationDataReader):
    def __init__(self, samples):
        self.samples = iter(samples)

    def get_next(self):
        return next(self.samples, None)


def calibrate(path, samples, options):
    options = dict(options)
    method, parts = CalibrationMethod[options.pop("method")], options.pop("parts", 1)
    with tempfile.TemporaryDirectory() as folder:
        calibrator = create_calibrator(str(path), [], f"{folder}/augmented.onnx", method, extra_options=options)
        for i in range(parts):
            calibrator.collect_data(Reader(samples[i * len(samples) // parts:(i + 1) * len(samples) // parts]))
        return calibrator.compute_data()


def quantized(source, options, ranges):
    # As Optimum calls it.
    is_qdq = options.get("format", "qdq") == "qdq"
    types = {"s8": QuantType.QInt8, "u8": QuantType.QUInt8}
    symmetric = options.get("weights_symmetric", True), options.get("activations_symmetric", False)
    operators = list(QDQRegistry if is_qdq else QLinearOpsRegistry)
    if options.get("operators") == "all":
        operators = sorted(set(QDQRegistry) | set(QLinearOpsRegistry))
    arguments = {
        "model": source, "per_channel": options.get("per_channel", False),
        "reduce_range": options.get("reduce_range", False), "weight_qType": types[options.get("weights", "s8")],
        "activation_qType": types[options.get("activations", "u8")], "tensors_range": ranges,
        "nodes_to_quantize": options.get("nodes_to_quantize", []),
        "nodes_to_exclude": options.get("nodes_to_exclude", []), "op_types_to_quantize": operators,
        "extra_options": {
            "WeightSymmetric": symmetric[0], "ActivationSymmetric": symmetric[1], "EnableSubgraph": False,
            "ForceSymmetric": all(symmetric), "AddQDQPairToWeight": options.get("add_pair_to_weight", False),
            "DedicatedQDQPair": options.get("dedicated_pair", False),
            "QDQOpTypePerChannelSupportToAxis": options.get("per_channel_axis", {"MatMul": 1})}}
    if is_qdq:
        quantizer = QDQQuantizer(**arguments)
    else:
        quantizer = ONNXQuantizer(mode=QuantizationMode.QLinearOps, static=True, **arguments)
    quantizer.quantize_model()
    return quantizer.model, operators


def main(folder):
    for name, build in {"encoder": encoder, "text": text, "image": image}.items():
        source, samples = build()
        names = {node.name for node in source.graph.node}
        place = pathlib.Path(folder) / "static" / name
        place.mkdir(parents=True, exist_ok=True)
        path = place / "model.onnx"
        onnx.save(source, path)
        listed = [{k: v.tolist() for k, v in sample.items()} for sample in samples]
        (place / "samples.json").write_text(json.dumps(listed) + "\n")
        found = {}
        for calibration, options in CALIBRATIONS.items():
            data = calibrate(path, samples, options)
            ranges = {k: [float(np.squeeze(x)) for x in v.range_value] for k, v in data.items()}
            found[calibration] = {"options": options, "ranges": dict(sorted(ranges.items()))}
        (place / "ranges.json").write_text(json.dumps(found) + "\n")
        for case in SOME.get(name, CASES):
            options = CASES[case]
            options = {k: [n for n in v if n in names] if k.startswith("nodes_to") else v for k, v in options.items()}
            if options.get("nodes_to_exclude") == [] or options.get("nodes_to_quantize") == []:
                continue
            ranges = calibrate(path, samples, CALIBRATIONS["minmax"])
            made, operators = quantized(onnx.load(path), options, ranges)
            made.save_model_to_file(str(place / f"{case}.onnx"))
            saved = onnx.load(place / f"{case}.onnx")
            saved.graph.ClearField("value_info")
            onnx.save(saved, place / f"{case}.onnx")
            if options.get("operators") == "all":
                options["operators"] = operators
            (place / f"{case}.json").write_text(json.dumps(options) + "\n")


if __name__ == "__main__":
    main(sys.argv[1])
