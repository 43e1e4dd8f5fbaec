"""Small models and what ONNX Runtime's Python quantizer makes of them: tests/data/quantization/dynamic.

Run: python tools/oracle/make_quantization_cases.py tests/data/quantization   (onnx 1.23, onnxruntime 1.32)
Each case is model.onnx, options.json (of ferry's pass) and expected.onnx.
"""
import json
import pathlib
import sys

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import QuantType
from onnxruntime.quantization.onnx_quantizer import ONNXQuantizer
from onnxruntime.quantization.quant_utils import QuantizationMode

random = np.random.default_rng(7)
DYNAMIC = ["Conv", "MatMul", "Attention", "LSTM", "Gather", "Transpose", "EmbedLayerNormalization"]


def weight(name, *shape, scale=1.0, shift=0.0, dtype=np.float32):
    return numpy_helper.from_array((random.standard_normal(shape) * scale + shift).astype(dtype), name)


def model(nodes, inputs, outputs, weights, opset=18):
    graph = helper.make_graph(nodes, "g", inputs, outputs, weights)
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=10)
    onnx.checker.check_model(made)
    return made


def value(name, dtype, *shape):
    return helper.make_tensor_value_info(name, dtype, list(shape))


def encoder():
    """Embeddings, shared weights, a Gemm, attention's products, a linear layer: what text models hold."""
    weights = [
        weight("embeddings.weight", 29, 12, scale=0.3, shift=0.1),
        weight("positions.weight", 9, 12, scale=0.2),
        weight("query.weight", 12, 12), weight("query.bias", 12),
        weight("dense.weight", 20, 12, scale=3.0), weight("dense.bias", 20),
        weight("gemm.weight", 20, 12, scale=0.01, shift=0.002),
        weight("zero.weight", 12, 5, scale=0.0),
        weight("tied.weight", 12, 12),
        numpy_helper.from_array(np.array([1, -1, 12], np.int64), "dims"),
        numpy_helper.from_array(np.arange(4, dtype=np.int64), "places"),
    ]
    nodes = [
        helper.make_node("Gather", ["embeddings.weight", "input_ids"], ["words"], "/words/Gather"),
        helper.make_node("Gather", ["positions.weight", "places"], ["places_out"], "/positions/Gather"),
        helper.make_node("Add", ["words", "places_out"], ["x"], "/Add"),
        helper.make_node("MatMul", ["x", "query.weight"], ["q0"], "/query/MatMul"),
        helper.make_node("Add", ["q0", "query.bias"], ["q"], "/query/Add"),
        helper.make_node("Transpose", ["x"], ["k"], "/key/Transpose", perm=[0, 2, 1]),
        helper.make_node("MatMul", ["q", "k"], ["scores"], "/scores/MatMul"),
        helper.make_node("Softmax", ["scores"], ["probs"], "/Softmax", axis=-1),
        helper.make_node("MatMul", ["probs", "x"], ["context"], "/context/MatMul"),
        helper.make_node("MatMul", ["context", "tied.weight"], ["t0"], "/tied/MatMul"),
        helper.make_node("MatMul", ["x", "tied.weight"], ["t1"], "/tied/MatMul_1"),
        helper.make_node("Add", ["t0", "t1"], ["t"], "/tied/Add"),
        helper.make_node("Reshape", ["t", "dims"], ["t3"], "/Reshape"),
        helper.make_node("Squeeze", ["t3", "axis0"], ["flat"], "/Squeeze"),
        helper.make_node("Gemm", ["flat", "dense.weight", "dense.bias"], ["d"], "/dense/Gemm", transB=1),
        helper.make_node("Relu", ["d"], ["r"], "/Relu"),
        helper.make_node("Gemm", ["r", "gemm.weight"], ["g"], "/gemm/Gemm"),
        helper.make_node("MatMul", ["g", "zero.weight"], ["logits"], "/zero/MatMul"),
    ]
    weights.append(numpy_helper.from_array(np.array([0], np.int64), "axis0"))
    return model(nodes, [value("input_ids", TensorProto.INT64, "batch", 4)],
                 [value("logits", TensorProto.FLOAT, None, 5), value("words", TensorProto.FLOAT, "batch", 4, 12)],
                 weights)


def image():
    """Convolutions in one and two dimensions, with groups, with and without bias."""
    weights = [weight("c1.weight", 6, 3, 3, 3), weight("c1.bias", 6), weight("c2.weight", 8, 3, 2, 2, scale=0.1),
               weight("c3.weight", 4, 8, 3), weight("c3.bias", 4),
               numpy_helper.from_array(np.array([0, 8, -1], np.int64), "dims")]
    nodes = [
        helper.make_node("Conv", ["pixel_values", "c1.weight", "c1.bias"], ["a"], "/c1/Conv", pads=[1, 1, 1, 1]),
        helper.make_node("Conv", ["a", "c2.weight"], ["b"], "/c2/Conv", group=2, strides=[2, 1]),
        helper.make_node("Reshape", ["b", "dims"], ["c"], "/Reshape"),
        helper.make_node("Conv", ["c", "c3.weight", "c3.bias"], ["logits"], "/c3/Conv", kernel_shape=[3]),
    ]
    return model(nodes, [value("pixel_values", TensorProto.FLOAT, "batch", 3, 6, 5)],
                 [value("logits", TensorProto.FLOAT, "batch", 4, None)], weights)


CASES = {
    "u8s8": {},
    "u8s8_per_channel": {"per_channel": True},
    "u8u8": {"weights": "u8"},
    "u8u8_per_channel_reduced": {"weights": "u8", "per_channel": True, "reduce_range": True},
    "u8s8_reduced": {"reduce_range": True},
    "u8u8_asymmetric": {"weights": "u8", "weights_symmetric": False},
    "u8s8_asymmetric": {"weights_symmetric": False, "per_channel": True},
    "symmetric_activations": {"activations_symmetric": True},
    "all_matmuls": {"matmul_const_b_only": False},
    "excluded": {"nodes_to_exclude": ["/query/MatMul", "/words/Gather", "/c2/Conv"]},
    "chosen": {"nodes_to_quantize": ["/query/MatMul", "/c1/Conv"]},
    "matmul_only": {"operators": ["MatMul"]},
}


def quantized(source, options):
    # As Optimum calls it, but for MatMulConstBOnly, which quantize_dynamic sets.
    extra = {"WeightSymmetric": options.get("weights_symmetric", True),
             "ActivationSymmetric": options.get("activations_symmetric", False), "EnableSubgraph": False,
             "MatMulConstBOnly": options.get("matmul_const_b_only", True)}
    quantizer = ONNXQuantizer(
        source, options.get("per_channel", False), options.get("reduce_range", False), QuantizationMode.IntegerOps,
        False, QuantType.QUInt8 if options.get("weights") == "u8" else QuantType.QInt8, QuantType.QUInt8, None,
        options.get("nodes_to_quantize", []), options.get("nodes_to_exclude", []),
        options.get("operators", DYNAMIC), extra)
    quantizer.quantize_model()
    return quantizer.model.model


def main(folder):
    for name, build in {"encoder": encoder, "image": image}.items():
        source = build()
        names = {node.name for node in source.graph.node}
        place = pathlib.Path(folder) / "dynamic" / name
        place.mkdir(parents=True, exist_ok=True)
        onnx.save(source, place / "model.onnx")
        for case, options in CASES.items():
            if name == "image" and case in ("all_matmuls", "matmul_only", "symmetric_activations"):
                continue
            if name == "encoder" and case == "chosen":
                continue  # The reference takes a Gemm apart that it was told to leave; ferry leaves it.
            options = {k: [n for n in v if n in names] if k.startswith("nodes_to") else v for k, v in options.items()}
            made = quantized(onnx.load(place / "model.onnx"), options)
            made.graph.ClearField("value_info")
            onnx.save(made, place / f"{case}.onnx")
            (place / f"{case}.json").write_text(json.dumps(options) + "\n")


if __name__ == "__main__":
    main(sys.argv[1])
