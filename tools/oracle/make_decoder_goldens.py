#!/usr/bin/env python3
"""Makes the golden cases of decoder-only models under tests/data/golden/, as make_goldens.py makes the others.

    python tools/oracle/make_decoder_goldens.py                every case
    python tools/oracle/make_decoder_goldens.py llama phi3-    those whose names start so
    python tools/oracle/make_decoder_goldens.py --list

The weights of an architecture lie in its text-generation-with-past case, with the heads of its other tasks added; the
other cases name that file. Runs are a prefill, a batch padded on either side, a step and a chunk on top of a cache.

The reference is transformers with scaled dot product attention, whose result for a query that may see nothing (padding
before a text) is 0; where it is wrong, the case says so and takes eager attention. Before a case is accepted, the other
of the two must agree at every token that is not padding, and fp64 at every token.
"""

import argparse
import contextlib
import dataclasses
import json
import pathlib
import shutil
import sys
import tempfile
from typing import Callable

import make_goldens
import torch
import transformers
from make_goldens import GOLDEN, generator, normal, write_json
from quantized_layers import Scheme
from safetensors.torch import load_file, save_file
from transformers import DynamicCache
from transformers.masking_utils import ALL_MASK_ATTENTION_FUNCTIONS, eager_mask
from transformers.models.opt.modeling_opt import OPTPreTrainedModel

ATOL = 1e-5
GENERATES = "text-generation-with-past"
AUTO_CLASSES = {
    "text-generation-with-past": transformers.AutoModelForCausalLM,
    "text-generation": transformers.AutoModelForCausalLM,
    "feature-extraction-with-past": transformers.AutoModel,
    "feature-extraction": transformers.AutoModel,
    "text-classification": transformers.AutoModelForSequenceClassification,
    "token-classification": transformers.AutoModelForTokenClassification,
    "question-answering": transformers.AutoModelForQuestionAnswering,
}
OUTPUTS = {"feature-extraction": ["last_hidden_state"], "question-answering": ["start_logits", "end_logits"]}
LABELS = 3
PAD = 0

# (batch, cache, sequence). Rows of a batch: whole, padded at the end, padded at the start.
CACHE_RUNS = [(1, 0, 4), (3, 0, 17), (2, 6, 1), (2, 5, 3)]
RUNS = [(1, 0, 5), (3, 0, 17)]
FEW_CACHE_RUNS = [(3, 0, 9), (2, 9, 3)]


@dataclasses.dataclass
class Model:
    """An architecture: sizes that differ from each other, its tasks, its signature."""

    sizes: dict
    tasks: list[str]
    position_ids: bool = True
    head: str = "score"  # of the token classifier, "bias" included
    norm_offset: float = 1.0  # what a norm's weights lie around
    cache_heads: Callable | None = None  # heads of the cache, if not num_key_value_heads
    reference: str = "sdpa"
    check: str | None = "eager"  # what the reference must agree with


COMMON = ["text-generation-with-past", "text-generation", "feature-extraction-with-past", "feature-extraction"]
CLASSIFIES = [*COMMON, "text-classification"]
LLAMA_SIZES = dict(
    vocab_size=41, hidden_size=24, intermediate_size=37, num_hidden_layers=2, num_attention_heads=4,
    num_key_value_heads=2, max_position_embeddings=50, rms_norm_eps=1e-3, pad_token_id=PAD, head_dim=6,
)  # fmt: skip

GEMMA_SIZES = LLAMA_SIZES | dict(query_pre_attn_scalar=20, sliding_window=5, num_hidden_layers=3)

MODELS = {
    "gpt2": Model(
        dict(vocab_size=41, n_embd=24, n_layer=2, n_head=3, n_inner=41, n_positions=40, layer_norm_epsilon=1e-3,
             pad_token_id=PAD),
        [*CLASSIFIES, "token-classification"], head="classifier", cache_heads=lambda c: c.n_head,
    ),
    "llama": Model(LLAMA_SIZES, CLASSIFIES),
    "mistral": Model(LLAMA_SIZES | dict(sliding_window=6), CLASSIFIES),
    "mixtral": Model(
        LLAMA_SIZES | dict(sliding_window=None, num_local_experts=5, intermediate_size=13, num_hidden_layers=2), CLASSIFIES,
    ),
    "qwen2": Model(
        LLAMA_SIZES | dict(use_sliding_window=True, sliding_window=5, max_window_layers=1),
        [*CLASSIFIES, "token-classification"],
    ),
    "qwen3": Model(LLAMA_SIZES | dict(head_dim=10, use_sliding_window=True, sliding_window=5, max_window_layers=1),
                   CLASSIFIES),
    "qwen3_moe": Model(
        LLAMA_SIZES | dict(head_dim=10, num_experts=5, num_experts_per_tok=2, moe_intermediate_size=13,
                           mlp_only_layers=[1]),
        [*CLASSIFIES, "token-classification"],
    ),
    "gemma": Model(LLAMA_SIZES | dict(head_dim=10), CLASSIFIES, position_ids=False, norm_offset=0.0),
    "gemma2": Model(
        GEMMA_SIZES | dict(attn_logit_softcapping=1.5, final_logit_softcapping=2.0, num_hidden_layers=2), CLASSIFIES,
        position_ids=False, norm_offset=0.0, reference="eager_rows", check=None,
    ),
    "gemma3_text": Model(
        GEMMA_SIZES | dict(sliding_window_pattern=3, rope_theta=5000.0, rope_local_base_freq=50.0), COMMON,
        position_ids=False, norm_offset=0.0,
    ),
    "phi": Model(
        {k: v for k, v in LLAMA_SIZES.items() if k not in ("head_dim", "rms_norm_eps")}
        | dict(hidden_size=32, num_key_value_heads=2, layer_norm_eps=1e-3, intermediate_size=33), CLASSIFIES,
    ),
    "phi3": Model(
        {k: v for k, v in LLAMA_SIZES.items() if k != "head_dim"}
        | dict(sliding_window=7, original_max_position_embeddings=50), CLASSIFIES),
    "gpt_neox": Model(
        dict(vocab_size=41, hidden_size=24, num_hidden_layers=2, num_attention_heads=4, intermediate_size=37,
             rotary_pct=0.67, rotary_emb_base=500, max_position_embeddings=50, layer_norm_eps=1e-3, pad_token_id=PAD),
        CLASSIFIES, cache_heads=lambda c: c.num_attention_heads,
    ),
    "opt": Model(
        dict(vocab_size=41, hidden_size=24, num_hidden_layers=2, num_attention_heads=3, ffn_dim=37,
             max_position_embeddings=40, word_embed_proj_dim=20, pad_token_id=PAD),
        [*CLASSIFIES, "question-answering"], cache_heads=lambda c: c.num_attention_heads,
    ),
    "bloom": Model(
        dict(vocab_size=41, hidden_size=24, n_layer=2, n_head=3, layer_norm_epsilon=1e-3, pad_token_id=PAD),
        [*CLASSIFIES, "token-classification"], position_ids=False, head="classifier",
        cache_heads=lambda c: c.n_head, reference="eager", check=None,
    ),
    "falcon": Model(
        dict(vocab_size=41, hidden_size=32, num_hidden_layers=2, num_attention_heads=4, ffn_hidden_size=37,
             max_position_embeddings=50, layer_norm_epsilon=1e-3, pad_token_id=PAD),
        [*COMMON, "token-classification", "question-answering"], head="classifier",
        cache_heads=lambda c: c.num_kv_heads if c.new_decoder_architecture else 1 if c.multi_query else c.num_attention_heads,
    ),
}  # fmt: skip


@dataclasses.dataclass
class Case:
    name: str
    what: str
    config: dict = dataclasses.field(default_factory=dict)
    weights: str | None = None
    runs: list | None = None
    edit_config: Callable[[dict], dict] | None = None
    edit_weights: Callable[[dict], dict] | None = None
    edit_saved: Callable[[dict], dict] | None = None  # the same where transformers 4 cannot read the result
    reference: str | None = None
    check: str | None = "model"
    atol: float = ATOL

    @property
    def model_type(self) -> str:
        return next(t for t in sorted(MODELS, key=len, reverse=True) if self.name.startswith(f"{t}-"))

    @property
    def model(self) -> Model:
        return MODELS[self.model_type]

    @property
    def task(self) -> str:
        rest = self.name.removeprefix(f"{self.model_type}-")
        return next(t for t in AUTO_CLASSES if rest == t or rest.startswith(f"{t}-"))

    @property
    def folder(self) -> pathlib.Path:
        return GOLDEN / self.name


# ---------------------------------------------------------------------------------------------------------------------
# The table of cases
# ---------------------------------------------------------------------------------------------------------------------


def base_cases() -> list[Case]:
    cases = []
    for model_type, model in MODELS.items():
        for task in model.tasks:
            weights = None if task == GENERATES else f"{model_type}-{GENERATES}"
            config = {"num_labels": LABELS} if task.endswith("classification") else {}
            cases.append(Case(f"{model_type}-{task}", f"{model_type} for {task}", config, weights))
    return cases


def variant(name: str, what: str, config: dict | None = None, own: bool = False, **more) -> Case:
    """A branch of a language model with a cache. `own`: it has other weights than the base case."""
    model_type, rest = name.split("/")
    return Case(
        f"{model_type}-{GENERATES}-{rest}", what, config or {}, weights=None if own else f"{model_type}-{GENERATES}",
        **{"runs": FEW_CACHE_RUNS, **more},
    )  # fmt: skip


def gpt2_cases() -> list[Case]:
    heeded = "(scaled dot product attention ignores it)"
    return [
        variant("gpt2/inverse-layer", f"scale_attn_by_inverse_layer_idx {heeded}",
                {"scale_attn_by_inverse_layer_idx": True}, reference="eager_rows", check="eager"),
        variant("gpt2/unscaled", f"scale_attn_weights false {heeded}",
                {"scale_attn_weights": False}, reference="eager_rows", check="eager"),
        variant("gpt2/untied", "a head of its own, inner size by default, another activation",
                {"tie_word_embeddings": False, "n_inner": None, "activation_function": "relu", "n_layer": 1}, own=True),
        variant("gpt2/old-names", "the checkpoint of 2019: no prefix, buffers of masks",
                {"n_layer": 1}, own=True, edit_weights=gpt2_of_2019),
    ]  # fmt: skip


def gpt2_of_2019(state: dict) -> dict:
    out = {}
    for name, value in state.items():
        if name.startswith("transformer."):
            out[name.removeprefix("transformer.")] = value
    out["h.0.attn.bias"] = torch.ones(1, 1, 40, 40).tril()
    out["h.0.attn.masked_bias"] = torch.tensor(-1e4)
    return out


def rope_cases(model_type: str) -> list[Case]:
    """Each way to scale. Lengths on both sides of the limits."""
    yarn = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 16}
    llama3 = {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
              "original_max_position_embeddings": 16}  # fmt: skip
    both_sides = [(2, 0, 7), (2, 12, 3)]
    return [
        variant(f"{model_type}/rope-linear", "rope_scaling linear", {"rope_scaling": {"rope_type": "linear", "factor": 3.0}}),
        variant(f"{model_type}/rope-dynamic", "rope_scaling dynamic: by length beyond max_position_embeddings",
                {"rope_scaling": {"type": "dynamic", "factor": 2.5}, "max_position_embeddings": 12}, runs=both_sides),
        variant(f"{model_type}/rope-yarn", "rope_scaling yarn", {"rope_scaling": yarn}),
        variant(f"{model_type}/rope-yarn-mscale", "rope_scaling yarn with all of its options",
                {"rope_scaling": yarn | {"beta_fast": 16.0, "beta_slow": 2.0, "mscale": 1.2, "mscale_all_dim": 0.7,
                                         "truncate": False}}),
        variant(f"{model_type}/rope-yarn-attention", "rope_scaling yarn with a factor for the attention",
                {"rope_scaling": yarn | {"attention_factor": 0.8}}),
        variant(f"{model_type}/rope-longrope", "rope_scaling longrope: short factors up to a length, then long ones",
                {"rope_scaling": {"rope_type": "longrope", "factor": 4.0, "short_factor": [1.0, 1.1, 1.3],
                                  "long_factor": [1.0, 2.5, 4.0]}, "max_position_embeddings": 12}, runs=both_sides),
        variant(f"{model_type}/rope-longrope-original", "longrope with original_max_position_embeddings",
                {"rope_scaling": {"rope_type": "longrope", "short_factor": [1.0, 1.1, 1.3],
                                  "long_factor": [1.0, 2.5, 4.0]}, "original_max_position_embeddings": 12}, runs=both_sides),
        variant(f"{model_type}/rope-llama3", "rope_scaling llama3: three bands", {"rope_scaling": llama3, "rope_theta": 500.0}),
    ]  # fmt: skip


def llama_cases() -> list[Case]:
    return [
        *rope_cases("llama"),
        variant("llama/bias", "attention_bias and mlp_bias, a head dimension of its own, one key-value head",
                {"attention_bias": True, "mlp_bias": True, "head_dim": 10, "num_key_value_heads": 1,
                 "hidden_act": "gelu", "num_hidden_layers": 1}, own=True),
        variant("llama/tied", "tie_word_embeddings, and as many key-value heads as heads",
                {"tie_word_embeddings": True, "num_key_value_heads": 4, "num_hidden_layers": 1}, own=True,
                edit_weights=old_llama),
        variant("llama/transformers-5", "config.json as transformers 5 writes it",
                {"rope_scaling": {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
                                  "original_max_position_embeddings": 16}}, edit_config=config_of_transformers_5),
    ]  # fmt: skip


def old_llama(state: dict) -> dict:
    """The tied head stored again and the buffer of frequencies."""
    return state | {
        "lm_head.weight": state["model.embed_tokens.weight"].clone(),
        "model.layers.0.self_attn.rotary_emb.inv_freq": torch.ones(3),
    }


def config_of_transformers_5(config: dict) -> dict:
    config = dict(config)
    config["rope_parameters"] = (config.pop("rope_scaling", None) or {"rope_type": "default"}) | {
        "rope_theta": config.pop("rope_theta")
    }
    config["transformers_version"] = "5.1.0"
    return config


def fused_cases() -> list[Case]:
    """Heads of a size that GroupQueryAttention takes: what the fused form turns, windows and caps inside it."""
    what = "heads of a size that fused attention takes"
    runs = [(1, 0, 4), (3, 0, 9), (2, 9, 1), (1, 5, 3)]
    size = {"head_dim": 8}
    return [
        variant("llama/fused", what, size, own=True, runs=runs),
        variant("mistral/fused", f"{what}, a window", size, own=True, runs=runs),
        variant("qwen2/fused", f"{what}, biases, a window in one layer", {"hidden_size": 32}, own=True, runs=runs),
        variant("qwen3/fused", f"{what}, norms of queries and keys", size, own=True, runs=runs),
        variant("gemma2/fused", f"{what}, caps, windows", size, own=True, runs=runs),
        variant("phi3/fused", f"{what}, packed weights", {"hidden_size": 32}, own=True, runs=runs),
    ]  # fmt: skip


def all_cases() -> list[Case]:
    cases = base_cases() + gpt2_cases() + llama_cases() + window_cases() + gemma_cases() + phi_cases() + other_cases() + fused_cases()
    cases += quantized_cases()
    assert len({case.name for case in cases}) == len(cases)
    return cases


def quantized_cases() -> list[Case]:
    """Checkpoints of integers. Sizes are multiples of what a 32-bit word holds."""
    sizes = {"hidden_size": 32, "head_dim": 8, "intermediate_size": 64}

    def case(name: str, what: str, scheme: Scheme, config: dict) -> Case:
        return variant(name, what, config, own=True, edit_weights=scheme.floats, edit_saved=scheme.packed,
                       edit_config=scheme.config)

    return [
        case("llama/gptq", "GPTQ with desc_act: rows of a group anywhere, zero points less one, biases of zeros",
             Scheme(shuffled=True, zero_biases=True), sizes),
        case("llama/gptq-v2", "GPTQ of 8 bits, one group a column, symmetric, zero points as they are, floats between",
             Scheme(bits=8, group_size=-1, symmetric=True, zeros_less_one=False, leave_out="down_proj"),
             sizes | {"num_hidden_layers": 1}),
        case("llama/awq", "AWQ, gemm", Scheme(method="awq", group_size=32), sizes | {"head_dim": 16}),
        case("gpt2/gptq", "GPTQ of Conv1D, square ones too; the last group is short",
             Scheme(group_size=32, symmetric=True, transposed=True),
             {"n_embd": 40, "n_head": 5, "n_inner": 64, "n_layer": 1}),
    ]  # fmt: skip


def window_cases() -> list[Case]:
    return [
        variant("mistral/no-window", "sliding_window null, a head dimension of its own",
                {"sliding_window": None, "head_dim": 10, "num_hidden_layers": 1}, own=True),
        variant("mixtral/window", "a window, more experts for a token", {"sliding_window": 4, "num_experts_per_tok": 3}),
        variant("mixtral/transformers-5", "experts in one tensor, as transformers 5 names them", own=True,
                config={"num_hidden_layers": 1}, edit_saved=mixtral_of_transformers_5),
        variant("qwen2/layer-types", "layer_types says which layers have the window",
                {"layer_types": ["sliding_attention", "full_attention"], "max_window_layers": 2}),
        variant("qwen2/no-window", "use_sliding_window false", {"use_sliding_window": False}),
        variant("qwen3/bias", "attention_bias, no window, tied",
                {"attention_bias": True, "use_sliding_window": False, "tie_word_embeddings": True,
                 "num_hidden_layers": 1}, own=True),
        variant("qwen3_moe/normalized", "weights of experts that add up to 1, a window, every second layer sparse",
                {"norm_topk_prob": True, "use_sliding_window": True, "sliding_window": 5, "mlp_only_layers": [],
                 "decoder_sparse_step": 2}, own=True),
        variant("qwen3_moe/transformers-5", "experts in one tensor, as transformers 5 names them", own=True,
                config={"num_hidden_layers": 1, "mlp_only_layers": []}, edit_saved=qwen3_moe_of_transformers_5),
    ]  # fmt: skip


def fused_experts(state: dict, count: int, place: str, new_place: str, names: tuple[str, str, str]) -> dict:
    """The matrices of all experts of one layer in two tensors."""
    state = {name.replace(place, new_place): value for name, value in state.items()}
    expert = f"model.layers.0.{new_place}.experts"
    gates, ups, downs = ([state.pop(f"{expert}.{i}.{name}.weight") for i in range(count)] for name in names)
    state[f"{expert}.gate_up_proj"] = torch.stack([torch.cat(pair) for pair in zip(gates, ups)])
    state[f"{expert}.down_proj"] = torch.stack(downs)
    return state


def mixtral_of_transformers_5(state: dict) -> dict:
    return fused_experts(state, 5, "block_sparse_moe", "mlp", ("w1", "w3", "w2"))


def qwen3_moe_of_transformers_5(state: dict) -> dict:
    return fused_experts(state, 5, "mlp", "mlp", ("gate_proj", "up_proj", "down_proj"))


def gemma_cases() -> list[Case]:
    return [
        variant("gemma/untied", "tie_word_embeddings false, attention_bias, another activation",
                {"tie_word_embeddings": False, "attention_bias": True, "hidden_act": "gelu", "num_hidden_layers": 1}, own=True),
        variant("gemma2/no-caps", "no caps", {"attn_logit_softcapping": None, "final_logit_softcapping": None},
                reference="sdpa", check="eager"),
        variant("gemma2/layer-types", "layer_types, a bias", {"layer_types": ["full_attention", "sliding_attention"],
                "attention_bias": True}, own=True, check="eager"),
        variant("gemma3_text/bidirectional", "use_bidirectional_attention, as embedding models have it",
                {"use_bidirectional_attention": True, "sliding_window": 9}),
        variant("gemma3_text/capped", "final_logit_softcapping, no cap of scores whatever is said, rope_scaling linear for layers without a window, layer_types",
                {"final_logit_softcapping": 1.5, "attn_logit_softcapping": 0.7,
                 "rope_scaling": {"rope_type": "linear", "factor": 4.0},
                 "layer_types": ["full_attention", "sliding_attention", "full_attention"]}),
        variant("gemma3_text/transformers-5", "config.json as transformers 5 writes it",
                edit_config=gemma3_config_of_transformers_5),
    ]  # fmt: skip


def gemma3_config_of_transformers_5(config: dict) -> dict:
    config = dict(config)
    config["rope_parameters"] = {
        "full_attention": {"rope_type": "default", "rope_theta": config.pop("rope_theta")},
        "sliding_attention": {"rope_type": "default", "rope_theta": config.pop("rope_local_base_freq")},
    }
    config.pop("rope_scaling", None)
    return config


def phi_cases() -> list[Case]:
    longrope = {"type": "longrope", "short_factor": [1.0, 1.1, 1.3], "long_factor": [1.0, 2.5, 4.0]}
    both_sides = [(2, 0, 7), (2, 12, 3)]
    return [
        variant("phi/qk-layernorm", "qk_layernorm, as many key-value heads as heads, tied, another part of the heads turned",
                {"qk_layernorm": True, "num_key_value_heads": 4, "tie_word_embeddings": True,
                 "partial_rotary_factor": 0.25, "num_hidden_layers": 1}, own=True),
        variant("phi/rope-dynamic", "rope_scaling dynamic",
                {"rope_scaling": {"type": "dynamic", "factor": 2.5}, "max_position_embeddings": 12,
                 "partial_rotary_factor": 1.0}, runs=both_sides),
        variant("phi3/longrope", "longrope on both sides of the original length, no window",
                {"rope_scaling": longrope, "original_max_position_embeddings": 12, "sliding_window": None}, runs=both_sides),
        variant("phi3/su", "the earlier name of longrope", runs=both_sides, config={"rope_scaling": longrope,
                "original_max_position_embeddings": 12}, edit_config=lambda c: c | {"rope_scaling": c["rope_scaling"] | {"type": "su", "rope_type": "su"}}),
        variant("phi3/partial", "a part of each head turned, tied",
                {"partial_rotary_factor": 0.7, "tie_word_embeddings": True, "num_hidden_layers": 1}, own=True),
    ]  # fmt: skip


def other_cases() -> list[Case]:
    return [
        variant("gpt_neox/sequential", "use_parallel_residual false, no bias in the attention, tied",
                {"use_parallel_residual": False, "attention_bias": False, "tie_word_embeddings": True,
                 "num_hidden_layers": 1}, own=True, edit_weights=old_neox),
        variant("gpt_neox/rope-linear", "rope_scaling linear, whole heads turned",
                {"rotary_pct": 1.0, "rope_scaling": {"type": "linear", "factor": 3.0}}),
        variant("opt/post-norm", "do_layer_norm_before false (350m)", {"do_layer_norm_before": False, "num_hidden_layers": 1}, own=True),
        variant("opt/bare", "no final norm, no biases, norms without parameters, a head of its own, no projections",
                {"_remove_final_layer_norm": True, "enable_bias": False, "layer_norm_elementwise_affine": False,
                 "tie_word_embeddings": False, "word_embed_proj_dim": 24, "activation_function": "gelu",
                 "num_hidden_layers": 1}, own=True),
        variant("bloom/post-norm", "apply_residual_connection_post_layernorm",
                {"apply_residual_connection_post_layernorm": True}),
        variant("bloom/more-heads", "six heads: beyond a power of two, config.json of 2022",
                {"n_head": 6}, edit_config=bloom_config_of_2022),
        variant("falcon/new", "new_decoder_architecture, two norms", {"new_decoder_architecture": True, "num_kv_heads": 2,
                "num_hidden_layers": 1}, own=True),
        variant("falcon/new-one-norm", "new_decoder_architecture with one norm (11B)",
                {"new_decoder_architecture": True, "num_kv_heads": 2, "num_ln_in_parallel_attn": 1, "bias": True,
                 "num_hidden_layers": 1}, own=True),
        variant("falcon/rw", "alibi, heads of their own, sequential, biases (RW); eager attention adds alibi twice",
                {"alibi": True, "multi_query": False, "parallel_attn": False, "bias": True, "num_hidden_layers": 1},
                own=True, check=None),
        variant("falcon/alibi", "alibi with one key-value head", {"alibi": True}, check=None),
        variant("falcon/untied", "a head of its own, another activation, dynamic rope",
                {"tie_word_embeddings": False, "activation": "relu", "max_position_embeddings": 10, "num_hidden_layers": 1,
                 "rope_scaling": {"type": "dynamic", "factor": 2.0}}, own=True),
    ]  # fmt: skip


def old_neox(state: dict) -> dict:
    return state | {
        "gpt_neox.layers.0.attention.bias": torch.ones(1, 1, 50, 50, dtype=torch.bool).tril(),
        "gpt_neox.layers.0.attention.masked_bias": torch.tensor(-1e9),
        "gpt_neox.layers.0.attention.rotary_emb.inv_freq": torch.ones(2),
    }


def bloom_config_of_2022(config: dict) -> dict:
    config = dict(config)
    config["n_embed"] = config.pop("hidden_size")
    config["num_attention_heads"] = config.pop("n_head")
    return config | {"offset_alibi": 100, "seq_length": 2048, "skip_bias_add": True, "masked_softmax_fusion": True}


# ---------------------------------------------------------------------------------------------------------------------
# Random weights and inputs
# ---------------------------------------------------------------------------------------------------------------------


def is_norm(name: str) -> bool:
    return "norm" in name.lower() or ".ln_" in name


def randomize(model: torch.nn.Module, case: Case) -> None:
    """Gives every parameter a value that matters: nothing is zero or one, and scores are far from uniform."""
    linear = {id(m.weight): m.weight.shape[0] for m in model.modules() if isinstance(m, transformers.pytorch_utils.Conv1D)}
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            noise = normal(parameter.shape, case.name, name)
            if is_norm(name):
                value = 0.3 * noise + (case.model.norm_offset if name.endswith("weight") else 0.0)
            elif "embed_positions" in name or "wpe" in name or "embed_out" in name:
                value = 0.3 * noise
            elif "embed" in name or "wte" in name:
                value = 0.35 * noise
            elif parameter.dim() < 2:
                value = 0.3 * noise
            else:
                value = noise * 1.0 / linear.get(id(parameter), parameter.shape[-1]) ** 0.5
            parameter.copy_(value)


def head_weights(case: Case, config) -> dict:
    """Of the other tasks, beside those of the language model."""
    out = {}
    size = getattr(config, "word_embed_proj_dim", None) or config.hidden_size
    tasks = case.model.tasks
    if "text-classification" in tasks:
        out["score.weight"] = normal((LABELS, size), case.name, "score") * 0.3
    if "token-classification" in tasks:
        out[f"{case.model.head}.weight"] = normal((LABELS, config.hidden_size), case.name, "score") * 0.3
        out[f"{case.model.head}.bias"] = normal((LABELS,), case.name, "score.bias") * 0.3
    if "question-answering" in tasks:
        out["qa_outputs.weight"] = normal((2, size), case.name, "qa_outputs") * 0.3
        out["qa_outputs.bias"] = normal((2,), case.name, "qa_outputs.bias") * 0.3
    return out


def masks(batch: int, past: int, sequence: int) -> torch.Tensor:
    """Row 0 whole, row 1 padded at the end, row 2 (of two: row 1) padded at the start."""
    total = past + sequence
    mask = torch.ones(batch, total, dtype=torch.int64)
    if batch == 2:
        mask[1, : total // 4] = 0
    if batch == 3:
        mask[1, total - max(1, sequence // 3) :] = 0
        mask[2, : total // 3] = 0
    return mask


def make_inputs(case: Case, config, run: int, batch: int, past: int, sequence: int) -> dict[str, torch.Tensor]:
    seed = f"{case.weights or case.name}/{run}"
    mask = masks(batch, past, sequence)
    ids = torch.randint(1, config.vocab_size, (batch, sequence), generator=generator(seed, "ids"))
    inputs = {"input_ids": ids.masked_fill(mask[:, past:] == 0, PAD), "attention_mask": mask}
    takes_positions = case.model.position_ids and not getattr(config, "alibi", False)
    if takes_positions and case.task.startswith(("text-generation", "feature-extraction")):
        positions = (mask.cumsum(-1) - 1).masked_fill(mask == 0, 1)
        inputs["position_ids"] = positions[:, past:].contiguous()
    if case.task == GENERATES:
        heads = (case.model.cache_heads or (lambda c: c.num_key_value_heads))(config)
        size = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
        for layer in range(config.num_hidden_layers):
            for which in ("key", "value"):
                name = f"past_key_values.{layer}.{which}"
                inputs[name] = normal((batch, heads, past, size), seed, name)
    return inputs


# ---------------------------------------------------------------------------------------------------------------------
# Writing and computing a case
# ---------------------------------------------------------------------------------------------------------------------


def make_config(case: Case):
    config = transformers.CONFIG_MAPPING[case.model_type](**{**case.model.sizes, **case.config})
    config.eos_token_id = config.bos_token_id = None
    return config


def write_checkpoint(case: Case) -> None:
    config = make_config(case)
    model = AUTO_CLASSES[case.task].from_config(config)
    randomize(model, case)
    model.save_pretrained(case.folder)
    (case.folder / "generation_config.json").unlink(missing_ok=True)
    weights = case.folder / "model.safetensors"
    if case.weights:
        weights.unlink()
    else:
        state = load_file(weights)
        if case.name == f"{case.model_type}-{GENERATES}":
            state |= head_weights(case, config)
        if case.edit_weights:
            state = case.edit_weights(state)
        save_file({k: v.contiguous() for k, v in sorted(state.items())}, weights, metadata={"format": "pt"})


def body_alone(folder: pathlib.Path) -> None:
    """For a body that cannot be loaded from the checkpoint of its language model (Gemma 3)."""
    state = load_file(folder / "model.safetensors")
    state = {k.removeprefix("model."): v for k, v in state.items() if k.startswith("model.")}
    save_file(state, folder / "model.safetensors", metadata={"format": "pt"})


def skip_bare_norms(init):
    """OPT's _init_weights fails on a norm without parameters."""
    return lambda self, module: None if getattr(module, "weight", 0) is None else init(self, module)


OPTPreTrainedModel._init_weights = skip_bare_norms(OPTPreTrainedModel._init_weights)


class Reference:
    """The case's folder as transformers loads it."""

    def __init__(self, case: Case, folder: pathlib.Path, attention: str):
        self.case = case
        self.model, info = AUTO_CLASSES[case.task].from_pretrained(
            folder, dtype=torch.float32, attn_implementation=attention, output_loading_info=True
        )
        assert not info["missing_keys"] and not info["mismatched_keys"], (case.name, info)
        self.model.eval()
        self.group = self._cache_group()

    def _cache_group(self) -> int:
        """How often transformers repeats a head of the cache that ferry keeps once."""
        config = self.model.config
        if config.model_type == "falcon" and config.new_decoder_architecture:
            return config.num_attention_heads // config.num_kv_heads
        return 1

    def __call__(self, inputs: dict) -> dict[str, torch.Tensor]:
        case = self.case
        given = {k: v for k, v in inputs.items() if not k.startswith("past_key_values")}
        keeps = case.task.endswith("-with-past")
        cache = DynamicCache() if keeps else None  # without a configuration: it keeps everything, as the graph does
        dtype = next(self.model.parameters()).dtype
        past = [k for k in inputs if k.startswith("past_key_values") and inputs[k].shape[2] > 0]
        for layer in range(len(past) // 2):
            pair = [inputs[f"past_key_values.{layer}.{w}"].to(dtype) for w in ("key", "value")]
            cache.update(*(x.repeat_interleave(self.group, 1) for x in pair), layer)
        with torch.inference_mode():
            result = self.model(**given, past_key_values=cache, use_cache=keeps) if keeps else self.run_without(given)
        outputs = {n: result[n].clone() for n in OUTPUTS.get(case.task.removesuffix("-with-past"), ["logits"])}
        if keeps:
            for layer, (key, value) in enumerate(cache.to_legacy_cache()):
                outputs[f"present.{layer}.key"] = key[:, :: self.group].clone()
                outputs[f"present.{layer}.value"] = value[:, :: self.group].clone()
        return outputs

    def run_without(self, given: dict):
        takes = self.model.forward.__code__.co_varnames
        return self.model(**given, **({"use_cache": False} if "use_cache" in takes else {}))


def eager_rows(module, query, key, value, attention_mask, **options):
    """The model's own eager attention, but 0 for a query that may see nothing."""
    forward = sys.modules[type(module).__module__].eager_attention_forward
    result, weights = forward(module, query, key, value, attention_mask, **options)
    blind = (attention_mask < -1e30).all(-1).transpose(1, 2)  # [B, S, 1]
    return result.masked_fill(blind[..., None], 0), weights


transformers.AttentionInterface.register("eager_rows", eager_rows)
ALL_MASK_ATTENTION_FUNCTIONS.register("eager_rows", eager_mask)


@contextlib.contextmanager
def double_precision(reference: Reference):
    reference.model.double()
    torch.set_default_dtype(torch.float64)
    try:
        yield
    finally:
        torch.set_default_dtype(torch.float32)


def difference(a: dict, b: dict, inputs: dict | None = None) -> float:
    """The largest, at all tokens or at those that are not padding."""
    worst = 0.0
    for name in a:
        apart = (a[name].double() - b[name].double()).abs()
        if inputs is not None and apart.dim() > 1:
            mask = inputs["attention_mask"]
            if name.startswith("present"):
                apart = apart * mask[:, None, :, None]
            elif apart.shape[1] == inputs["input_ids"].shape[1]:
                mask = mask[:, -apart.shape[1] :]
                apart = apart * mask.reshape(*mask.shape, *[1] * (apart.dim() - 2))
        worst = max(worst, apart.max().item())
    return worst


def make(case: Case) -> None:
    shutil.rmtree(case.folder, ignore_errors=True)
    write_checkpoint(case)
    made_by = f"transformers {transformers.__version__}, torch {torch.__version__.split('+')[0]}"
    description = {"model_type": case.model_type, "task": case.task, "what": case.what, "made_by": made_by,
                   "atol": case.atol}  # fmt: skip
    if case.weights:
        description["weights"] = f"../{case.weights}/model.safetensors"
    write_json(case.folder / "case.json", description)

    config = transformers.AutoConfig.from_pretrained(case.folder)
    runs = case.runs or (CACHE_RUNS if case.task == GENERATES else RUNS)
    inputs = [make_inputs(case, config, run, *shape) for run, shape in enumerate(runs)]
    check = case.model.check if case.check == "model" else case.check
    checked = 0.0
    with tempfile.TemporaryDirectory() as scratch:
        folder = make_goldens.materialize(case.folder, pathlib.Path(scratch) / "model")
        if case.model_type == "gemma3_text" and case.task.startswith("feature-extraction"):
            body_alone(folder)
        reference = Reference(case, folder, case.reference or case.model.reference)
        outputs = [reference(x) for x in inputs]
        if check:
            other = Reference(case, folder, check)
            checked = max(difference(y, other(x), x) for x, y in zip(inputs, outputs))
        with double_precision(reference):
            rounding = max(difference(y, reference(x)) for x, y in zip(inputs, outputs))
    if case.edit_saved:
        weights = case.folder / "model.safetensors"
        save_file(case.edit_saved(load_file(weights)), weights, metadata={"format": "pt"})
    if case.edit_config:
        write_json(case.folder / "config.json", case.edit_config(json.loads((case.folder / "config.json").read_text())))

    io = {}
    for run, (x, y) in enumerate(zip(inputs, outputs)):
        io |= {f"{run}/inputs/{name}": value.contiguous() for name, value in x.items()}
        io |= {f"{run}/outputs/{name}": value.contiguous() for name, value in y.items()}
    save_file(io, case.folder / "io.safetensors")

    values = torch.cat([y[name].flatten() for y in outputs for name in y if not name.startswith("present")])
    size = sum(file.stat().st_size for file in case.folder.rglob("*") if file.is_file())
    print(
        f"{case.name:56} {size / 1000:6.1f} kB   std {values.std():5.2f}   max {values.abs().max():5.1f}   "
        f"{check or 'alone'} {checked:.0e}   fp64 {rounding:.0e}", flush=True
    )  # fmt: skip
    assert values.isfinite().all() and 0.1 < values.std() < 5, f"{case.name}: outputs are degenerate"
    assert checked < ATOL, f"{case.name}: {check} differs by {checked}"
    assert rounding < case.atol / 2, f"{case.name}: fp64 differs by {rounding}"


def check_variants_differ() -> None:
    """A case that the base case's model would pass proves nothing."""
    for case in all_cases():
        base = f"{case.model_type}-{GENERATES}"
        if case.weights != base or not case.name.startswith(f"{base}-") or case.edit_config:
            continue
        with tempfile.TemporaryDirectory() as scratch:
            folder = make_goldens.materialize(GOLDEN / base, pathlib.Path(scratch) / "model")
            plain = Reference(Case(base, ""), folder, case.model.reference)
            io = load_file(case.folder / "io.safetensors")
            apart = 0.0
            for run in {key.split("/")[0] for key in io}:
                inputs = {k.split("/")[2]: v for k, v in io.items() if k.startswith(f"{run}/inputs/")}
                apart = max(apart, (plain(inputs)["logits"] - io[f"{run}/outputs/logits"]).abs().max().item())
        assert apart > 20 * ATOL, f"{case.name} differs from the base case by {apart} only"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("cases", nargs="*", metavar="case", help="how the names of cases start (default: all)")
    parser.add_argument("--list", action="store_true", help="print the names and what each case is for")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()

    chosen = [c for c in all_cases() if not arguments.cases or c.name.startswith(tuple(arguments.cases))]
    if not chosen:
        parser.error("no such case")
    failures = []
    for case in chosen:
        if arguments.list:
            print(f"{case.name:56} {case.what}")
            continue
        try:
            make(case)
        except Exception as error:
            failures.append(f"{case.name}: {error}")
            print(f"{case.name}: {error}", flush=True)
    if not arguments.cases and not arguments.list:
        check_variants_differ()
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
