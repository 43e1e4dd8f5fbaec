#!/usr/bin/env python3
"""Writes a checkpoint of a decoder for measurements: model.safetensors and config.json.

    python bench/make_decoder.py FOLDER llama HIDDEN LAYERS HEADS KV_HEADS INTERMEDIATE VOCAB f32|bf16|f16 random|sparse
    python bench/make_decoder.py FOLDER gpt2 HIDDEN LAYERS HEADS VOCAB f32 random|sparse

A sparse file has holes for weights: any size, no disk. Random ones need numpy.
"""

import json
import pathlib
import struct
import sys

SIZES = {"f32": 4, "bf16": 2, "f16": 2}


def llama(hidden, layers, heads, kv_heads, intermediate, vocab):
    size = hidden // heads
    tensors = {"model.embed_tokens.weight": (vocab, hidden), "model.norm.weight": (hidden,), "lm_head.weight": (vocab, hidden)}
    for i in range(layers):
        at = f"model.layers.{i}."
        tensors |= {
            at + "input_layernorm.weight": (hidden,), at + "post_attention_layernorm.weight": (hidden,),
            at + "self_attn.q_proj.weight": (hidden, hidden), at + "self_attn.k_proj.weight": (kv_heads * size, hidden),
            at + "self_attn.v_proj.weight": (kv_heads * size, hidden), at + "self_attn.o_proj.weight": (hidden, hidden),
            at + "mlp.gate_proj.weight": (intermediate, hidden), at + "mlp.up_proj.weight": (intermediate, hidden),
            at + "mlp.down_proj.weight": (hidden, intermediate),
        }  # fmt: skip
    config = dict(model_type="llama", architectures=["LlamaForCausalLM"], hidden_size=hidden, num_hidden_layers=layers,
                  num_attention_heads=heads, num_key_value_heads=kv_heads, intermediate_size=intermediate, vocab_size=vocab,
                  max_position_embeddings=2048, rms_norm_eps=1e-5, tie_word_embeddings=False, bos_token_id=1, eos_token_id=2)  # fmt: skip
    return tensors, config


def gpt2(hidden, layers, heads, vocab):
    tensors = {"wte.weight": (vocab, hidden), "wpe.weight": (1024, hidden), "ln_f.weight": (hidden,), "ln_f.bias": (hidden,)}
    for i in range(layers):
        at = f"h.{i}."
        for norm in ("ln_1", "ln_2"):
            tensors |= {f"{at}{norm}.weight": (hidden,), f"{at}{norm}.bias": (hidden,)}
        for name, rows, columns in (("attn.c_attn", hidden, 3 * hidden), ("attn.c_proj", hidden, hidden),
                                    ("mlp.c_fc", hidden, 4 * hidden), ("mlp.c_proj", 4 * hidden, hidden)):  # fmt: skip
            tensors |= {f"{at}{name}.weight": (rows, columns), f"{at}{name}.bias": (columns,)}
    config = dict(model_type="gpt2", architectures=["GPT2LMHeadModel"], n_embd=hidden, n_layer=layers, n_head=heads,
                  vocab_size=vocab, n_positions=1024, bos_token_id=0, eos_token_id=0)  # fmt: skip
    return {"transformer." + name: shape for name, shape in tensors.items()}, config


def random_bytes(name, count, dtype):
    import numpy as np

    values = np.random.default_rng(abs(hash(name)) % 2**32).standard_normal(count, dtype=np.float32) * 0.02
    if "norm" in name or ".ln_" in name:
        values += name.endswith("weight")
    if dtype == "bf16":
        return (values.view(np.uint32) >> 16).astype(np.uint16).tobytes()
    return values.astype(np.float16 if dtype == "f16" else np.float32).tobytes()


def main():
    folder, kind, *numbers, dtype, fill = sys.argv[1:]
    tensors, config = {"llama": llama, "gpt2": gpt2}[kind](*map(int, numbers))
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    header, at = {}, 0
    counts = {}
    for name, shape in tensors.items():
        counts[name] = shape[0] * (shape[1] if len(shape) > 1 else 1)
        length = counts[name] * SIZES[dtype]
        header[name] = {"dtype": {"f32": "F32", "bf16": "BF16", "f16": "F16"}[dtype], "shape": shape, "data_offsets": [at, at + length]}
        at += length
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(folder / "model.safetensors", "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        if fill == "sparse":
            file.truncate(8 + len(text) + at)
        else:
            for name, count in counts.items():
                file.write(random_bytes(name, count, dtype))
    (folder / "config.json").write_text(json.dumps(config | {"torch_dtype": {"f32": "float32", "bf16": "bfloat16", "f16": "float16"}[dtype]}, indent=1))


if __name__ == "__main__":
    main()
