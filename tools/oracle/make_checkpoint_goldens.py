#!/usr/bin/env python3
"""Writes tests/data/checkpoint: the same tiny models in every format, and small files of every encoding.

    python tools/oracle/make_checkpoint_goldens.py TF_CASES

TF_CASES holds the TensorFlow and Flax cases (folders bert-question-answering, ...), each with the files that
transformers' TF and Flax classes saved and, under pt/, the same weights as PyTorch safetensors.
With tensorflow installed instead of torch (--tf1), writes the TF1 checkpoints only.
Needs: torch 2.13.0, safetensors 0.8.0, numpy, h5py 3.16.0. Legacy and TorchScript files hold memory addresses and
differ from run to run; all others come out the same.
"""
import collections
import json
import pathlib
import shutil
import sys

import h5py
import numpy as np

if "--tf1" not in sys.argv:
    import torch
    from safetensors.torch import load_file, save_file

OUT = pathlib.Path(__file__).resolve().parents[2] / "tests/data/checkpoint"


def folder(*parts):
    path = OUT.joinpath(*parts)
    path.mkdir(parents=True, exist_ok=True)
    return path


def save_index(path, weight_map, total):
    path.write_text(json.dumps({"metadata": {"total_size": total}, "weight_map": weight_map}, indent=1) + "\n")


def split(state, parts):
    names = list(state)
    per_part = -(-len(names) // parts)
    return [{n: state[n] for n in names[i : i + per_part]} for i in range(0, len(names), per_part)]


def save_sharded(state, where, stem, suffix, save):
    weight_map = {}
    shards = split(state, 3)
    for i, shard in enumerate(shards, 1):
        name = f"{stem}-{i:05}-of-{len(shards):05}.{suffix}"
        save(shard, where / name)
        weight_map.update({key: name for key in shard})
    total = sum(t.numel() * t.element_size() for t in state.values())
    save_index(where / f"{stem}.{suffix}.index.json", weight_map, total)


def save_safetensors(state, path):
    save_file(state, path, metadata={"format": "pt"})


def save_torch(state, path):
    torch.save(collections.OrderedDict(state), path)


def save_legacy(state, path):
    torch.save(collections.OrderedDict(state), path, _use_new_zipfile_serialization=False)


def pytorch_model(name, case, all_formats):
    state = load_file(case / "pt/model.safetensors")
    shutil.copy(case / "pt/model.safetensors", folder(name) / "model.safetensors")
    shutil.copy(case / "pt/config.json", folder(name) / "config.json")
    if not all_formats:
        return
    save_torch(state, folder(name, "bin") / "pytorch_model.bin")
    half = {key: value.half() for key, value in state.items()}
    save_safetensors(half, folder(name, "fp16") / "model.fp16.safetensors")
    save_legacy(state, folder(name, "legacy") / "pytorch_model.bin")
    save_sharded(state, folder(name, "sharded"), "model", "safetensors", save_safetensors)
    brain = {key: value.bfloat16() for key, value in state.items()}
    save_torch(brain, folder(name, "bf16") / "pytorch_model.bin")


def copy_foreign(name, case, into, *patterns):
    for pattern in patterns:
        for file in sorted(case.glob(pattern)):
            shutil.copy(file, folder(name, into) / file.name)


def torch_files():
    """Views, shared storages, every dtype: each .bin has its contents beside it as safetensors."""
    where = folder("torch")
    base = torch.arange(24, dtype=torch.float32).reshape(4, 6)
    views = collections.OrderedDict(
        whole=base,
        tied=base,
        transposed=base.t(),
        block=base[1:3, 2:5],
        every_second=base[:, ::2],
        expanded=base[0, :1].expand(3),
        parameter=torch.nn.Parameter(base[2]),
        scalar=torch.tensor(7, dtype=torch.int64),
        empty=torch.zeros(0, 3),
    )
    save_torch(views, where / "views.bin")
    save_legacy(views, where / "views_legacy.bin")
    contents = {key: value.detach().clone().contiguous() for key, value in views.items()}
    save_file(contents, where / "views.safetensors")

    save_sharded(contents, folder("torch", "sharded"), "pytorch_model", "bin", save_torch)

    plain = [torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.int64, torch.int32, torch.int16,
             torch.int8, torch.uint8, torch.bool]
    new = [torch.uint16, torch.uint32, torch.uint64, torch.float8_e4m3fn, torch.float8_e5m2]
    dtypes = {str(d).removeprefix("torch."): torch.tensor([0, 1, 2]).to(d) for d in plain + new}
    save_torch(dtypes, where / "dtypes.bin")
    save_file(dtypes, where / "dtypes.safetensors")

    training = {
        "state_dict": collections.OrderedDict(weight=base),
        "epoch": 3,
        "loss": 0.5,
        "best": np.float64(0.25),
        "betas": (0.9, 0.999),
        "names": ["a", None, True, {"x", "y"}],
        "device": torch.device("cpu"),
        "dtype": torch.float32,
        "size": base.size(),
        "complex": 1j,
        "huge": 2**80,
        "blob": b"\x00\xff",
    }
    torch.save(training, where / "training.ckpt")
    torch.save(torch.nn.Linear(2, 2), where / "whole_model.bin")
    torch.save({"w": base.to_sparse()}, where / "sparse.bin")
    torch.save({"w": torch.quantize_per_tensor(base, 0.1, 0, torch.qint8)}, where / "quantized.bin")
    torch.save({"w": torch.tensor([1 + 2j]).conj()}, where / "conjugate.bin")
    torch.jit.script(torch.nn.Linear(2, 2)).save(str(where / "script.bin"))
    torch.save({"w": base}, where / "protocol4.bin", pickle_protocol=4)


def write_group(group, name, tensors, **options):
    layer = group.create_group(name)
    names = [f"model/{name}/{key}:0" for key in tensors]
    layer.attrs["weight_names"] = np.array(names, dtype=options.pop("strings", h5py.string_dtype("ascii")))
    for full, value in zip(names, tensors.values()):
        layer.create_dataset(full, data=value, **options)


def h5_files():
    """One tiny model in every encoding of tf_model.h5 that is in the wild."""
    where = folder("h5")
    rng = np.random.default_rng(0)
    dense = {"dense/kernel": rng.normal(size=(3, 5)).astype("f4"), "dense/bias": np.arange(5, dtype="f4")}
    norm = {"LayerNorm/gamma": np.ones(5, "f4"), "LayerNorm/beta": np.zeros(5, "f4"), "scale": np.float32(2.5)}

    def write(name, libver="earliest", root="/", strings=None, cast=None, **options):
        strings = strings or h5py.string_dtype("ascii")
        with h5py.File(where / name, "w", libver=libver) as file:
            top = file.require_group(root)
            top.attrs["layer_names"] = np.array(["encoder", "norm", "dropout_1"], dtype=strings)
            top.attrs["backend"] = "tensorflow"
            for layer, tensors in [("encoder", dense), ("norm", norm)]:
                values = {k: v.astype(cast) if cast else v for k, v in tensors.items()}
                write_group(top, layer, values, strings=strings, **options)
            for empty in ["dropout_1", "top_level_model_weights"]:
                top.create_group(empty).attrs["weight_names"] = np.zeros(0)

    write("plain.h5")
    write("fixed_strings.h5", strings="S40")
    write("utf8_strings.h5", strings=h5py.string_dtype("utf-8"))
    write("latest.h5", libver="latest")
    write("v110.h5", libver="v110")
    write("model_weights.h5", root="/model_weights")
    write("big_endian.h5", cast=">f4")
    write("float16.h5", cast="f2")
    write("float64.h5", cast="f8")
    # Chunks and filters fit arrays only.
    norm.pop("scale")
    write("gzip_shuffle.h5", chunks=True, compression="gzip", shuffle=True, fletcher32=True)
    write("lzf.h5", chunks=True, compression="lzf")
    # More than eight links or attributes move from the headers into fractal heaps.
    with h5py.File(where / "dense.h5", "w", libver="latest") as file:
        layers = [f"layer_with_a_long_name_{i}" for i in range(60)]
        for i in range(20):
            file.attrs[f"unrelated_{i}"] = i
        file.attrs["layer_names"] = np.array(layers, dtype="S80")  # A "huge object": over 4 kB.
        for i, layer in enumerate(layers):
            group = file.create_group(layer)
            group.attrs["weight_names"] = np.array([f"model/{layer}/bias:0"], dtype="S60")
            file[f"{layer}/model/{layer}/bias:0"] = np.array([i], "f4")
    with h5py.File(where / "chunked_attributes.h5", "w") as file:
        file.attrs["layer_names0"] = np.array(["encoder"], dtype="S40")
        file.attrs["layer_names1"] = np.array(["norm"], dtype="S40")
        write_group(file, "encoder", dense)
        write_group(file, "norm", norm)
        names = file["encoder"].attrs.pop("weight_names")
        file["encoder"].attrs["weight_names0"] = names[:1]
        file["encoder"].attrs["weight_names1"] = names[1:]


def hostile_h5_files():
    where = folder("h5", "hostile")
    target = "model/encoder/dense/kernel:0"

    def write(name, fill):
        with h5py.File(where / name, "w") as file:
            file.attrs["layer_names"] = np.array(["encoder"], dtype="S40")
            layer = file.create_group("encoder")
            layer.attrs["weight_names"] = np.array([target], dtype="S40")
            fill(layer)

    data = np.ones((2, 2), "f4")
    write("external_link_dataset.h5", lambda g: g.__setitem__(target, h5py.ExternalLink("../plain.h5", "/encoder")))
    write("external_link_group.h5", lambda g: g.__setitem__("model", h5py.ExternalLink("../plain.h5", "/encoder/model")))
    write("soft_link.h5", lambda g: g.__setitem__("model", h5py.SoftLink("/encoder")))
    write("external_storage.h5", lambda g: g.create_dataset(target, (2, 2), "f4", external=[("/etc/passwd", 0, 16)]))

    def virtual(group):
        layout = h5py.VirtualLayout((2, 2), "f4")
        layout[:] = h5py.VirtualSource("../plain.h5", "/encoder/x", (2, 2))
        group.create_virtual_dataset(target, layout)

    write("virtual.h5", virtual)
    write("strings.h5", lambda g: g.create_dataset(target, data=np.array([b"a", b"b"])))
    write("compound.h5", lambda g: g.create_dataset(target, data=np.zeros(2, [("a", "f4"), ("b", "i4")])))
    write("missing.h5", lambda g: None)
    write("group_as_dataset.h5", lambda g: g.create_group(target))
    write("huge_unwritten.h5", lambda g: g.create_dataset(target, (1 << 40,), "f4"))
    write("huge_chunk.h5", lambda g: g.create_dataset(target, (1 << 15, 1 << 15), "f4", chunks=(1 << 14, 1 << 14),
                                                      compression="gzip"))


def lora():
    where = folder("lora")
    torch.manual_seed(0)
    base = {
        "encoder.query.weight": torch.randn(6, 4),
        "encoder.query.bias": torch.randn(6),
        "encoder.value.weight": torch.randn(6, 4),
        "encoder.c_attn.weight": torch.randn(4, 9),
        "classifier.weight": torch.randn(2, 6),
    }
    (where / "base").mkdir(exist_ok=True)
    save_safetensors(base, where / "base/model.safetensors")
    a, b = torch.randn(2, 4), torch.randn(6, 2)
    a3, b3 = torch.randn(3, 4), torch.randn(6, 3)
    ac, bc = torch.randn(2, 4), torch.randn(9, 2)
    head = torch.randn(2, 6)
    prefix = "base_model.model."

    def adapter(name, tensors, merged, **config):
        path = where / name
        path.mkdir(exist_ok=True)
        config = {"peft_type": "LORA", "base_model_name_or_path": "base", "r": 2, "lora_alpha": 8, "bias": "none",
                  "fan_in_fan_out": False, **config}
        (path / "adapter_config.json").write_text(json.dumps(config, indent=1) + "\n")
        save_safetensors({prefix + k: v.contiguous() for k, v in tensors.items()}, path / "adapter_model.safetensors")
        save_safetensors({**base, **{k: v.contiguous() for k, v in merged.items()}}, path / "merged.safetensors")

    query = {"encoder.query.lora_A.weight": a, "encoder.query.lora_B.weight": b}
    adapter("plain", query, {"encoder.query.weight": base["encoder.query.weight"] + 4 * (b @ a)},
            target_modules=["query"])
    adapter("rslora", query, {"encoder.query.weight": base["encoder.query.weight"] + 8 / 2**0.5 * (b @ a)},
            use_rslora=True, target_modules=["query"])
    adapter("patterns",
            {**query, "encoder.value.lora_A.weight": a3, "encoder.value.lora_B.weight": b3,
             "classifier.weight": head},
            {"encoder.query.weight": base["encoder.query.weight"] + 8 * (b @ a),
             "encoder.value.weight": base["encoder.value.weight"] + 8 / 3 * (b3 @ a3),
             "classifier.weight": head},
            rank_pattern={"value": 3}, alpha_pattern={"encoder.query": 16}, modules_to_save=["classifier"],
            target_modules=["query", "value"])
    adapter("fan_in_fan_out",
            {"encoder.c_attn.lora_A.weight": ac, "encoder.c_attn.lora_B.weight": bc},
            {"encoder.c_attn.weight": base["encoder.c_attn.weight"] + 4 * (bc @ ac).T},
            fan_in_fan_out=True, target_modules=["c_attn"])


def tf1():
    """What tf.train.Saver of TensorFlow 2.19.1 writes, and an object-based checkpoint."""
    import tensorflow

    old = tensorflow.compat.v1
    shutil.rmtree(OUT / "tf1", ignore_errors=True)
    with tensorflow.Graph().as_default():
        kernel = np.arange(6, dtype="f4").reshape(2, 3)
        values = {
            "bert/embeddings/word_embeddings": kernel,
            "bert/encoder/layer_0/attention/self/query/kernel": kernel,
            "bert/encoder/layer_0/attention/self/query/bias": np.arange(3, dtype="f2"),
            "bert/encoder/layer_0/attention/output/LayerNorm/gamma": np.ones(3, "f4"),
            "bert/encoder/layer_0/attention/output/LayerNorm/beta": np.zeros(3, "f4"),
            "bert/encoder/layer_0/attention/self/query/kernel/adam_m": kernel,
            "cls/predictions/output_bias": np.arange(2, dtype="f4"),
            "cls/seq_relationship/output_weights": kernel,
            "global_step": np.int64(5),
        }
        for name, value in values.items():
            old.get_variable(name, initializer=value, use_resource=False)
        with old.Session() as session:
            session.run(old.global_variables_initializer())
            old.train.Saver().save(session, str(folder("tf1") / "bert_model.ckpt"), write_meta_graph=False)
    (OUT / "tf1/checkpoint").unlink()
    tensorflow.train.Checkpoint(v=tensorflow.Variable([1.0, 2.0])).write(str(folder("tf1", "objects") / "model.ckpt"))


def main():
    if "--tf1" in sys.argv:
        return tf1()
    for made in ["bert", "distilbert", "torch", "h5", "lora"]:
        shutil.rmtree(OUT / made, ignore_errors=True)
    cases = pathlib.Path(sys.argv[1])
    bert = cases / "bert-question-answering"
    distilbert = cases / "distilbert-question-answering"
    pytorch_model("bert", bert, all_formats=True)
    pytorch_model("distilbert", distilbert, all_formats=False)
    copy_foreign("bert", bert, "h5", "tf_model.h5", "config.json")
    copy_foreign("distilbert", distilbert, "h5", "tf_model.h5", "config.json")
    copy_foreign("bert", cases / "sharded-h5-bert-question-answering", "h5-sharded", "tf_model*", "config.json")
    copy_foreign("bert", cases / "tf-safetensors-bert-question-answering", "tf-safetensors", "model.safetensors", "config.json")
    copy_foreign("bert", cases / "flax-bert-question-answering", "flax", "flax_model.msgpack", "config.json")
    torch_files()
    h5_files()
    hostile_h5_files()
    lora()
    for file in OUT.rglob("*.*"):
        file.chmod(0o755 if file.is_dir() else 0o644)


if __name__ == "__main__":
    main()
