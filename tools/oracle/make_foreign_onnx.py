#!/usr/bin/env python3
"""Makes tests/data/foreign: tiny models as other exporters write them, and old forms of operators.

    python tools/oracle/make_foreign_onnx.py optimum dynamo forms     with the oracle's packages
    python tools/oracle/make_foreign_onnx.py tensorflow               with TensorFlow 2.19 and tf2onnx 1.17

The tests compare ONNX Runtime on these files with ferry's interpreter and with ONNX Runtime on what ferry makes of
them: no expected numbers are stored.
"""

import pathlib
import sys
import tempfile

import numpy as np

DATA = pathlib.Path(__file__).parents[2] / "tests" / "data" / "foreign"
SMALL = dict(hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=12, vocab_size=16,
             max_position_embeddings=16)  # fmt: skip


def without_notes(model):
    """Stack traces and the like, ten times as large as the graph."""
    del model.metadata_props[:]
    for node in model.graph.node:
        node.doc_string = ""
        del node.metadata_props[1:]
    del model.graph.metadata_props[:]
    for info in list(model.graph.value_info) + list(model.graph.input) + list(model.graph.output):
        del info.metadata_props[:]
    del model.graph.value_info[:]
    for tensor in model.graph.initializer:
        tensor.doc_string = ""
    return model


def store(model, name):
    import onnx

    onnx.save(without_notes(model), DATA / f"{name}.onnx")


def initialized(model):
    import torch

    generator = torch.Generator().manual_seed(0)
    for parameter in model.parameters():
        parameter.data = torch.randn(parameter.shape, generator=generator) * 0.3 + 0.1
    return model.eval()


def optimum():
    import onnx
    import transformers as t
    from optimum.exporters.onnx import main_export

    def export(name, model, task, opset, file="model.onnx"):
        with tempfile.TemporaryDirectory() as folder:
            initialized(model).save_pretrained(folder + "/in")
            main_export(folder + "/in", output=folder + "/out", task=task, opset=opset, do_validation=False,
                        library_name="transformers")  # fmt: skip
            store(onnx.load(f"{folder}/out/{file}"), name)

    export("optimum-bert-14", t.BertModel(t.BertConfig(**SMALL)), "feature-extraction", 14)
    gpt2 = t.GPT2Config(n_embd=8, n_layer=1, n_head=2, vocab_size=16, n_positions=16, bos_token_id=1, eos_token_id=2)
    export("optimum-gpt2", t.GPT2LMHeadModel(gpt2), "text-generation-with-past", 18)
    llama = t.LlamaConfig(**SMALL, num_key_value_heads=1)
    export("optimum-llama", t.LlamaForCausalLM(llama), "text-generation-with-past", 18)
    t5 = t.T5Config(d_model=8, d_kv=4, d_ff=12, num_layers=1, num_heads=2, vocab_size=16, decoder_start_token_id=0)
    export("optimum-t5-merged", t.T5ForConditionalGeneration(t5), "text2text-generation-with-past", 18,
           "decoder_model_merged.onnx")  # fmt: skip


def dynamo():
    import onnx
    import torch
    import transformers as t

    ids = torch.ones(2, 6, dtype=torch.long)
    axes = {0: "batch", 1: "seq"}
    llama = t.LlamaForCausalLM(t.LlamaConfig(**SMALL, num_key_value_heads=1))
    llama.config.use_cache = False
    for name, model in {"bert": t.BertModel(t.BertConfig(**SMALL)), "llama": llama}.items():
        with tempfile.TemporaryDirectory() as folder:
            torch.onnx.export(initialized(model), (ids, torch.ones_like(ids)), folder + "/m.onnx", dynamo=True,
                              input_names=["input_ids", "attention_mask"], dynamic_shapes=(axes, axes),
                              external_data=False)  # fmt: skip
            store(onnx.load(folder + "/m.onnx"), f"dynamo-{name}")


def forms():
    """Every form that passes::upgrade rewrites, and functions of a model's own."""
    import onnx
    from onnx import TensorProto, helper

    def value(name, shape, kind=TensorProto.FLOAT):
        return helper.make_tensor_value_info(name, kind, shape)

    def save(name, opset, nodes, outputs, inputs, initializers=(), functions=(), domains=()):
        results = [value(o, None, TensorProto.INT64 if o == "ti" else TensorProto.FLOAT) for o in outputs]
        graph = helper.make_graph(nodes, name, inputs, results, list(initializers))
        imports = [helper.make_opsetid("", opset)] + [helper.make_opsetid(d, 1) for d in domains]
        model = helper.make_model(graph, opset_imports=imports, functions=list(functions))
        model.ir_version = 4 if opset < 11 else 8
        if functions:
            model.ir_version = 8
        onnx.save(model, DATA / f"{name}.onnx")

    def tensor(name, array):
        return onnx.numpy_helper.from_array(np.asarray(array), name)

    n = helper.make_node
    x = [value("x", ["n", 4, 6])]
    reductions = ["L1", "L2", "LogSum", "LogSumExp", "Max", "Mean", "Min", "Prod", "Sum", "SumSquare"]
    nodes = [n("Abs", ["x"], ["a"])] + [
        n("Reduce" + r, ["a"], ["r" + r], axes=[1], keepdims=i % 2) for i, r in enumerate(reductions)]  # fmt: skip
    save("forms-11-reductions", 11, nodes, ["r" + r for r in reductions], x)

    nodes = [
        n("Softmax", ["x"], ["s1"]), n("Softmax", ["x"], ["s2"], axis=2), n("LogSoftmax", ["x"], ["s3"], axis=1),
        n("Hardmax", ["x"], ["s4"], axis=2), n("Unsqueeze", ["x"], ["u"], axes=[0, 4]), n("Squeeze", ["u"], ["q"], axes=[0]),
        n("Split", ["x"], ["p1", "p2"], axis=2, split=[2, 4]), n("Split", ["x"], ["h1", "h2"], axis=1),
        n("Clip", ["x"], ["c"], min=-0.5, max=0.25), n("Clip", ["x"], ["c1"], max=0.25),
        n("Pad", ["x"], ["d"], pads=[0, 1, 0, 0, 0, 2], value=1.5), n("Pad", ["x"], ["d1"], pads=[0, 1, 0, 0, 0, 2], mode="reflect"),
        n("Slice", ["x"], ["l"], starts=[1, -3], ends=[3, 100], axes=[1, 2]), n("Slice", ["x"], ["l1"], starts=[0, 1], ends=[9, 3]),
        n("TopK", ["x"], ["t", "ti"], k=2, axis=2), n("Dropout", ["x"], ["o"], ratio=0.3),
        n("BatchNormalization", ["x", "one", "one", "half", "two"], ["b"]),
        n("Upsample", ["x", "scales"], ["e"], mode="nearest"),
        n("Scatter", ["x", "places", "news"], ["g"], axis=2),
    ]  # fmt: skip
    four = np.ones(4, np.float32)
    weights = [tensor("one", four), tensor("half", four * 0.5), tensor("two", four * 2),
               tensor("scales", np.array([1, 2, 1.5], np.float32)),
               tensor("places", np.zeros((1, 4, 1), np.int64) + 3), tensor("news", np.full((1, 4, 1), 9, np.float32))]  # fmt: skip
    outputs = [o for node in nodes for o in node.output if o != "u"]
    save("forms-9", 9, nodes, outputs, x + [value(w.name, w.dims, w.data_type) for w in weights], weights)

    scales = tensor("scales", np.array([1, 1, 2, 1.5], np.float32))
    image = [value("x", ["n", 2, 4, 6])]
    save("forms-10-resize", 10, [n("Resize", ["x", "scales"], ["y"], mode="linear"),
                                 n("RoiAlign", ["x", "rois", "batch"], ["z"], output_height=2, output_width=2)], ["y", "z"],
         image, [scales, tensor("rois", np.array([[0, 0, 3, 3]], np.float32)), tensor("batch", np.array([0], np.int64))])  # fmt: skip
    save("forms-16", 16, [n("GridSample", ["x", "grid"], ["y"], mode="bilinear"),
                          n("Resize", ["x", "", "", "sizes"], ["z"], mode="nearest"), n("ReduceMax", ["x"], ["m"])],
         ["y", "z", "m"], image + [value("grid", ["n", 3, 3, 2])],
         [tensor("sizes", np.array([2, 2, 8, 9], np.int64))])  # fmt: skip

    # f(x; alpha) = leaky(x; alpha) + g(x), g calls h twice; an attribute with a default; a pass-through result.
    own = helper.make_opsetid("own", 1)
    opset = helper.make_opsetid("", 18)
    leaky = n("LeakyRelu", ["x"], ["t"])
    leaky.attribute.append(helper.make_attribute_ref("alpha", onnx.AttributeProto.FLOAT))
    functions = [
        helper.make_function("own", "h", ["x"], ["y"], [n("Mul", ["x", "x"], ["t"]), n("Exp", ["t"], ["y"])], [opset]),
        helper.make_function("own", "g", ["x"], ["y", "same"], [n("h", ["x"], ["a"], domain="own"), n("Neg", ["x"], ["t"]),
                             n("h", ["t"], ["b"], domain="own"), n("Add", ["a", "b"], ["y"]), n("Identity", ["x"], ["same"])], [opset, own]),
        helper.make_function("own", "f", ["x", "bias"], ["y"], [leaky, n("g", ["x"], ["u", "v"], domain="own"),
                             n("Sum", ["t", "u", "v"], ["y"])], [opset, own], attribute_protos=[helper.make_attribute("alpha", 0.25)]),
    ]  # fmt: skip
    nodes = [n("f", ["x"], ["y1"], domain="own", name="first"), n("f", ["y1", ""], ["y2"], domain="own", alpha=0.5),
             n("Tanh", ["y2"], ["y"])]  # fmt: skip
    save("functions-18", 18, nodes, ["y"], [value("x", ["n", 3])], functions=functions, domains=["own"])


def tensorflow():
    import tensorflow as tf
    import tf2onnx

    random = np.random.RandomState(0)

    def weights(*shape):
        return tf.constant(random.randn(*shape).astype("f") * 0.3 + 0.1)

    table, gamma, beta = weights(16, 8), weights(8), weights(8)
    query, key, value, dense = (weights(8, 8) for _ in range(4))
    up, down = weights(8, 12), weights(12, 8)

    def norm(x):
        mean, variance = tf.nn.moments(x, [-1], keepdims=True)
        return tf.nn.batch_normalization(x, mean, variance, beta, gamma, 1e-6)

    def heads(x, batch):
        return tf.transpose(tf.reshape(x, [batch, -1, 2, 4]), [0, 2, 1, 3])

    @tf.function(input_signature=[tf.TensorSpec([None, None], tf.int32, name="input_ids"),
                                  tf.TensorSpec([None, None], tf.int32, name="attention_mask")])  # fmt: skip
    def layer(input_ids, attention_mask):
        x = norm(tf.gather(table, input_ids))
        batch = tf.shape(x)[0]
        q, k, v = (heads(tf.matmul(x, w), batch) for w in (query, key, value))
        scores = tf.matmul(q, k, transpose_b=True) / tf.sqrt(4.0)
        scores += (1.0 - tf.cast(attention_mask[:, None, None, :], tf.float32)) * -10000.0
        joined = tf.reshape(tf.transpose(tf.matmul(tf.nn.softmax(scores), v), [0, 2, 1, 3]), [batch, -1, 8])
        x = norm(x + tf.matmul(joined, dense))
        inner = tf.matmul(x, up)
        inner = 0.5 * inner * (1.0 + tf.math.erf(inner / tf.sqrt(2.0)))
        return norm(x + tf.matmul(inner, down))

    kernel, offset = weights(3, 3, 3, 4), weights(4)

    @tf.function(input_signature=[tf.TensorSpec([None, 6, 6, 3], tf.float32, name="x")])
    def image(x):
        x = tf.nn.relu(tf.nn.conv2d(x, kernel, 1, "SAME") + offset)
        return tf.nn.softmax(tf.reshape(tf.nn.max_pool2d(x, 2, 2, "VALID"), [-1, 36]))

    for name, function, opset in (("layer-11", layer, 11), ("layer-15", layer, 15), ("image-9", image, 9)):
        tf2onnx.convert.from_function(function, input_signature=function.input_signature, opset=opset,
                                      output_path=str(DATA / f"tf2onnx-{name}.onnx"))  # fmt: skip


if __name__ == "__main__":
    for group in sys.argv[1:] or ["optimum", "dynamo", "forms"]:
        globals()[group]()
