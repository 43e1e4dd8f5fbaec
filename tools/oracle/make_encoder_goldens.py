#!/usr/bin/env python3
"""Makes the golden cases of the text encoders after BERT and DistilBERT, as make_goldens.py makes theirs.

    python tools/oracle/make_encoder_goldens.py                     every case
    python tools/oracle/make_encoder_goldens.py roberta electra-    those whose names start so
    python tools/oracle/make_encoder_goldens.py --list

Padding stands at the start, at the end and in the middle of rows, under the mask and outside of it, so that positions
that are counted from the ids differ from those counted from the mask and from 0, 1, 2, ...
"""

import dataclasses
import json
import sys

import make_goldens
import torch
import transformers
from make_goldens import AUTO_CLASSES, SHORT_RUNS, SIZES, Case, generator

BERT = SIZES["bert"]
ROBERTA = dict(BERT, type_vocab_size=1, pad_token_id=1)
SIZES |= {
    "roberta": ROBERTA,
    "xlm-roberta": ROBERTA,
    "camembert": ROBERTA,
    "electra": dict(BERT, embedding_size=20, pad_token_id=0),
    "albert": dict(BERT, embedding_size=20, num_hidden_layers=3, pad_token_id=0),
    "deberta-v2": dict(BERT, type_vocab_size=0, pad_token_id=0, relative_attention=True, position_buckets=8,
                       pos_att_type=["p2c", "c2p"], share_att_key=True, norm_rel_ebd="layer_norm",
                       position_biased_input=False, max_relative_positions=-1),
    "deberta": dict(BERT, type_vocab_size=0, pad_token_id=0, relative_attention=True, pos_att_type=["c2p", "p2c"],
                    position_biased_input=False, max_relative_positions=-1),
    "modernbert": dict(vocab_size=99, hidden_size=24, num_hidden_layers=3, num_attention_heads=3,
                       intermediate_size=29, max_position_embeddings=40, norm_eps=1e-3, local_attention=6,
                       global_attn_every_n_layers=2, global_rope_theta=50.0, local_rope_theta=9.0, pad_token_id=0,
                       bos_token_id=1, eos_token_id=2, cls_token_id=1, sep_token_id=2),
    "layoutlmv3": dict(ROBERTA, type_vocab_size=2, max_2d_position_embeddings=301, coordinate_size=5, shape_size=6,
                       rel_pos_bins=8, max_rel_pos=12, rel_2d_pos_bins=12, max_rel_2d_pos=40, input_size=12,
                       patch_size=4),
    "mpnet": {key: value for key, value in BERT.items() if key != "type_vocab_size"},
}
WITH_TOKEN_TYPES = {"electra", "albert"}
EAGER_ONLY = {"layoutlmv3", "electra", "mpnet", "deberta", "deberta-v2"}  # transformers has no other attention for them
NO_MULTIPLE_CHOICE = {"deberta", "modernbert", "layoutlmv3"}  # in Optimum
# What a head adds to the sizes; logits as wide as the vocabulary would take much room.
HEADS = {
    "fill-mask": {"vocab_size": 85},
    "text-classification": {"num_labels": 3},
    "token-classification": {"num_labels": 5},
}


@dataclasses.dataclass
class EncoderCase(Case):
    reference_config: dict = dataclasses.field(default_factory=dict)  # what transformers 4 must be told beside

    @property
    def model_type(self) -> str:
        return next(t for t in sorted(SIZES, key=len, reverse=True) if self.name.startswith(t + "-"))


def tasks(model_type: str, weights_of: str | None = None, **config) -> list[Case]:
    """Every task of an architecture; `weights_of` is one whose checkpoints have the same names."""
    cases = []
    for task in AUTO_CLASSES:
        if task == "multiple-choice" and model_type in NO_MULTIPLE_CHOICE:
            continue
        if task == "fill-mask" and model_type == "layoutlmv3":
            continue
        cases.append(EncoderCase(f"{model_type}-{task}", f"{model_type} with the head for {task}",
                                 {**config, **HEADS.get(task, {})},
                                 weights=weights_of and f"{weights_of}-{task}",
                                 runs=SHORT_RUNS if weights_of else make_goldens.RUNS))  # fmt: skip
    return cases


def roberta_cases() -> list[Case]:
    body = "roberta-feature-extraction"
    return tasks("roberta") + [
        EncoderCase(f"{body}-from-head", "a head's checkpoint exported without the head",
                    weights="roberta-question-answering", head="question-answering"),
        EncoderCase(f"{body}-pad-5", "positions start after a pad_token_id of 5",
                    {"pad_token_id": 5}, weights=body),
        EncoderCase(f"{body}-relative-key-query", "relative positions; those counted from the ids are not used",
                    {"position_embedding_type": "relative_key_query", "num_hidden_layers": 1}, runs=SHORT_RUNS),
        EncoderCase(f"{body}-is-decoder", "is_decoder: a causal mask on top of the padding mask",
                    {"is_decoder": True}, weights=body),
        EncoderCase("roberta-fill-mask-relu", "the head's function is gelu whatever hidden_act says",
                    {"hidden_act": "relu", "vocab_size": 85}, weights="roberta-fill-mask"),
        EncoderCase("roberta-fill-mask-untied", "an output matrix of its own (tie_word_embeddings false)",
                    {"tie_word_embeddings": False, "num_hidden_layers": 1}, runs=SHORT_RUNS),
    ] + tasks("xlm-roberta", "roberta") + tasks("camembert", "roberta")  # fmt: skip


def electra_cases() -> list[Case]:
    body, choice = "electra-feature-extraction", "electra-multiple-choice"

    def summary(name, what, **config):
        return EncoderCase(f"{choice}-{name}", what, config, weights=choice, runs=SHORT_RUNS)

    return tasks("electra") + [
        EncoderCase(f"{body}-one-width", "embeddings as wide as the hidden states: no projection",
                    {"embedding_size": 32, "num_hidden_layers": 1}, runs=SHORT_RUNS),
        EncoderCase(f"{body}-relative-key", "relative positions in the scores of the query",
                    {"position_embedding_type": "relative_key", "num_hidden_layers": 1}, runs=SHORT_RUNS),
        EncoderCase(f"{body}-is-decoder", "is_decoder: a causal mask on top of the padding mask",
                    {"is_decoder": True}, weights=body, runs=SHORT_RUNS),
        EncoderCase("electra-fill-mask-relu", "the head's function is gelu whatever hidden_act says",
                    {"hidden_act": "relu", "vocab_size": 85}, weights="electra-fill-mask"),
        EncoderCase("electra-fill-mask-untied", "an output matrix of its own (tie_word_embeddings false)",
                    {"tie_word_embeddings": False, "num_hidden_layers": 1, "vocab_size": 85}),
        summary("last", "the last token, padding or not, sums a text up", summary_type="last"),
        summary("mean-tanh", "the mean over all tokens, padding included, and tanh",
                summary_type="mean", summary_activation="tanh"),
        summary("cls-index", "cls_index without an index: the last token; no function",
                summary_type="cls_index", summary_activation=None),
        EncoderCase("electra-text-classification-attn", "summary_type attn and summary_proj_to_labels are multiple choice's",
                    {"summary_type": "attn", "summary_proj_to_labels": True, "num_labels": 3},
                    weights="electra-text-classification", runs=SHORT_RUNS),
        summary("to-labels", "summary_proj_to_labels, as many labels as the hidden size", summary_proj_to_labels=True,
                num_labels=32),
        summary("no-projection", "no layer before the classifier", summary_use_proj=False),
    ]  # fmt: skip


def albert_cases() -> list[Case]:
    body = "albert-feature-extraction"
    return tasks("albert") + [
        EncoderCase(f"{body}-from-head", "a head's checkpoint exported without the head",
                    weights="albert-question-answering", head="question-answering", runs=SHORT_RUNS),
        EncoderCase(f"{body}-groups", "five layers of two groups of two inner layers",
                    {"num_hidden_layers": 5, "num_hidden_groups": 2, "inner_group_num": 2,
                     "hidden_size": 24, "intermediate_size": 29}, runs=SHORT_RUNS),
        EncoderCase(f"{body}-relative-key", "relative positions, not scaled, in the scores of the query",
                    {"position_embedding_type": "relative_key"}, runs=SHORT_RUNS),
        EncoderCase(f"{body}-relative-key-query", "relative positions, not scaled, of query and key",
                    {"position_embedding_type": "relative_key_query"}, runs=SHORT_RUNS),
        EncoderCase(f"{body}-one-width", "embeddings as wide as the hidden states are projected all the same",
                    {"embedding_size": 32}, runs=SHORT_RUNS),
        EncoderCase("albert-fill-mask-relu", "the head's function is hidden_act, too",
                    {"hidden_act": "relu", "vocab_size": 85}, weights="albert-fill-mask"),
        EncoderCase("albert-fill-mask-untied", "an output matrix of its own (tie_word_embeddings false)",
                    {"tie_word_embeddings": False, "vocab_size": 85}),
    ]  # fmt: skip


def mpnet_cases() -> list[Case]:
    body = "mpnet-feature-extraction"
    return tasks("mpnet") + [
        EncoderCase(f"{body}-from-head", "a head's checkpoint exported without the head",
                    weights="mpnet-question-answering", head="question-answering", runs=SHORT_RUNS),
        EncoderCase(f"{body}-long", "distances up to 140: every bucket; a table of more buckets than are used",
                    {"max_position_embeddings": 150, "num_hidden_layers": 1, "relative_attention_num_buckets": 35},
                    runs=[(1, 141), (1, 67)]),
        EncoderCase(f"{body}-pad-0", "padding is token 1 whatever pad_token_id says",
                    {"pad_token_id": 0}, weights=body, runs=SHORT_RUNS),
        EncoderCase(f"{body}-is-decoder", "is_decoder: a causal mask on top of the padding mask",
                    {"is_decoder": True}, weights=body, runs=SHORT_RUNS),
        EncoderCase("mpnet-fill-mask-relu", "the head's function is gelu whatever hidden_act says",
                    {"hidden_act": "relu", "vocab_size": 85}, weights="mpnet-fill-mask"),
        EncoderCase("mpnet-fill-mask-untied", "an output matrix of its own (tie_word_embeddings false)",
                    {"tie_word_embeddings": False, "num_hidden_layers": 1, "vocab_size": 85}),
    ]  # fmt: skip


def deberta_v2_cases() -> list[Case]:
    body = "deberta-v2-feature-extraction"

    def variant(name, what, **config):
        return EncoderCase(f"{body}-{name}", what, {"num_hidden_layers": 1, **config}, runs=SHORT_RUNS)

    return tasks("deberta-v2") + [
        EncoderCase(f"{body}-from-head", "a head's checkpoint exported without the head",
                    weights="deberta-v2-question-answering", head="question-answering", runs=SHORT_RUNS),
        variant("own-projections", "projections of positions of their own, both kinds of scores", share_att_key=False),
        variant("c2p", "scores of content to position alone; pos_att_type as text", share_att_key=False,
                pos_att_type="C2P"),
        variant("p2c", "scores of position to content alone", share_att_key=False, pos_att_type=["p2c"]),
        variant("no-buckets", "a row for each distance, fewer than the text has", position_buckets=-1,
                max_relative_positions=9, norm_rel_ebd="none"),
        EncoderCase(f"{body}-long", "longer than max_position_embeddings: distances are cut",
                    {"num_hidden_layers": 1, "max_relative_positions": 40, "position_buckets": 12}, runs=[(1, 97), (2, 7)]),
        variant("no-relative-attention", "absolute positions alone; the scale of scores still counts pos_att_type",
                relative_attention=False, position_biased_input=True),
        variant("conv", "a convolution next to the first layer, token types, narrow embeddings, positions of both kinds",
                num_hidden_layers=2, conv_kernel_size=3, conv_act="gelu", type_vocab_size=2, embedding_size=20,
                position_biased_input=True),
        variant("conv-groups", "a wider convolution in groups, tanh", conv_kernel_size=5, conv_groups=4),
        EncoderCase("deberta-v2-fill-mask-narrow", "the head has the width of the embeddings",
                    {"embedding_size": 20, "num_hidden_layers": 1, "vocab_size": 85}),
        EncoderCase("deberta-v2-fill-mask-not-legacy", "the head of the original: its matrix is the embeddings'",
                    {"legacy": False, "tie_word_embeddings": False, "num_hidden_layers": 1, "vocab_size": 85}),
        EncoderCase("deberta-v2-text-classification-tanh", "another function of the pooler",
                    {"pooler_hidden_act": "tanh", "num_labels": 3}, weights="deberta-v2-text-classification"),
    ]  # fmt: skip


def deberta_cases() -> list[Case]:
    body = "deberta-feature-extraction"

    def variant(name, what, **config):
        return EncoderCase(f"{body}-{name}", what, {"num_hidden_layers": 1, **config}, runs=SHORT_RUNS)

    return tasks("deberta") + [
        EncoderCase(f"{body}-from-head", "a head's checkpoint exported without the head",
                    weights="deberta-question-answering", head="question-answering", runs=SHORT_RUNS),
        variant("c2p", "scores of content to position alone; pos_att_type as text", pos_att_type="C2P"),
        variant("p2c", "scores of position to content alone, named twice: scaled for both", pos_att_type="p2c|p2c"),
        variant("few-positions", "fewer rows than the text has distances", max_relative_positions=9),
        EncoderCase(f"{body}-long", "longer than max_position_embeddings: distances are cut",
                    {"num_hidden_layers": 1, "max_position_embeddings": 31}, runs=[(1, 97), (2, 7)]),
        variant("no-relative-attention", "absolute positions alone; the scale of scores still counts pos_att_type",
                relative_attention=False, position_biased_input=True),
        variant("token-types", "token types, narrow embeddings, positions of both kinds", type_vocab_size=2,
                embedding_size=20, position_biased_input=True),
        variant("talking-head", "heads that are mixed before and after the softmax", talking_head=True),
        EncoderCase("deberta-fill-mask-narrow", "the head has the width of the embeddings",
                    {"embedding_size": 20, "num_hidden_layers": 1, "vocab_size": 85}),
        EncoderCase("deberta-fill-mask-untied", "an output matrix of its own (tie_word_embeddings false)",
                    {"tie_word_embeddings": False, "num_hidden_layers": 1, "vocab_size": 85}),
        EncoderCase("deberta-fill-mask-not-legacy", "the head of the original: its matrix is the embeddings'",
                    {"legacy": False, "tie_word_embeddings": False, "num_hidden_layers": 1, "vocab_size": 85}),
        EncoderCase("deberta-text-classification-tanh", "another function of the pooler",
                    {"pooler_hidden_act": "tanh", "num_labels": 3}, weights="deberta-text-classification"),
    ]  # fmt: skip


def modernbert_config_of_transformers_5(config: dict) -> dict:
    every = config.pop("global_attn_every_n_layers")
    kinds = ["sliding_attention" if i % every else "full_attention" for i in range(config["num_hidden_layers"])]
    theta = {"full_attention": config.pop("global_rope_theta"), "sliding_attention": config.pop("local_rope_theta")}
    config["rope_parameters"] = {k: {"rope_type": "default", "rope_theta": v} for k, v in theta.items()}
    config["dtype"] = config.pop("dtype", "float32")
    return {**config, "layer_types": kinds, "transformers_version": "5.0.0"}


def modernbert_cases() -> list[Case]:
    body = "modernbert-feature-extraction"

    def variant(name, what, **config):
        return EncoderCase(f"{body}-{name}", what, {"num_hidden_layers": 2, **config}, runs=SHORT_RUNS)

    return tasks("modernbert") + [
        EncoderCase(f"{body}-from-head", "a head's checkpoint exported without the head",
                    weights="modernbert-question-answering", head="question-answering", runs=SHORT_RUNS),
        EncoderCase(f"{body}-transformers-5", "config.json as transformers 5 writes it", weights=body,
                    edit_config=modernbert_config_of_transformers_5, runs=SHORT_RUNS,
                    reference_config={key: SIZES["modernbert"][key] for key in
                                      ("global_attn_every_n_layers", "global_rope_theta", "local_rope_theta")}),
        variant("biases", "biases everywhere", norm_bias=True, attention_bias=True, mlp_bias=True),
        variant("every-third", "the defaults' rhythm, an odd window and another activation", num_hidden_layers=4,
                global_attn_every_n_layers=3, local_attention=5, hidden_activation="silu"),
        variant("one-theta", "local_rope_theta null: the global one", local_rope_theta=None),
        variant("linear-rope", "positions scaled for both kinds of layers",
                rope_scaling={"rope_type": "linear", "factor": 2.5}),
        EncoderCase("modernbert-text-classification-mean", "classifier_pooling mean, a bias of the head and tanh",
                    {"classifier_pooling": "mean", "classifier_bias": True, "classifier_activation": "tanh",
                     "norm_bias": True, "num_labels": 3}, runs=SHORT_RUNS),
        EncoderCase("modernbert-fill-mask-untied", "an output matrix of its own, without a bias",
                    {"tie_word_embeddings": False, "decoder_bias": False, "vocab_size": 85}),
    ]  # fmt: skip


def layoutlmv3_cases() -> list[Case]:
    body = "layoutlmv3-feature-extraction"

    def variant(name, what, **config):
        return EncoderCase(f"{body}-{name}", what, {"num_hidden_layers": 1, **config}, runs=SHORT_RUNS)

    return tasks("layoutlmv3") + [
        EncoderCase(f"{body}-from-head", "a head's checkpoint exported without the head",
                    weights="layoutlmv3-text-classification", head="text-classification", runs=SHORT_RUNS),
        variant("no-spatial", "relative positions in the text alone", has_spatial_attention_bias=False),
        variant("no-relative", "without those, places on the page are not compared either",
                has_relative_attention_bias=False),
        variant("real-buckets", "the buckets of real checkpoints, other patches that leave a margin, padding is 5",
                rel_pos_bins=32, max_rel_pos=128, rel_2d_pos_bins=64, max_rel_2d_pos=256, input_size=14,
                patch_size=3, num_channels=2, pad_token_id=5),
        EncoderCase("layoutlmv3-token-classification-many", "ten labels or more have a head of two layers",
                    {"num_labels": 12, "num_hidden_layers": 1}, runs=SHORT_RUNS),
    ]  # fmt: skip


def all_cases() -> list[Case]:
    cases = roberta_cases() + electra_cases() + albert_cases() + mpnet_cases() + deberta_v2_cases()
    cases += deberta_cases() + modernbert_cases() + layoutlmv3_cases()
    names = [case.name for case in cases]
    assert len(names) == len(set(names)), "two cases with one name"
    return cases


def make_inputs(case: Case, config, run: int, batch: int, sequence: int) -> dict[str, torch.Tensor]:
    seed = f"{case.weights or case.name}/{run}"
    rows = batch * make_goldens.CHOICES[batch] if case.task == "multiple-choice" else batch
    shape = (rows, sequence)
    mask = make_goldens.padding_mask(rows, sequence, seed)
    if case.edit_masks:
        mask = case.edit_masks(mask)
    ids = torch.randint(0, config.vocab_size, shape, generator=generator(seed, "ids"))
    pad = 1 if case.model_type == "mpnet" else config.pad_token_id
    masked = torch.rand(shape, generator=generator(seed, "pad")) < 0.8  # some tokens under the mask are text
    ids[(mask == 0) & masked] = pad
    ids[:, sequence // 2] = pad  # and some padding is not under it
    inputs = {"input_ids": ids, "attention_mask": mask}
    if case.model_type in WITH_TOKEN_TYPES or (case.model_type.startswith("deberta") and config.type_vocab_size > 0):
        types = config.type_vocab_size
        inputs["token_type_ids"] = torch.randint(0, types, shape, generator=generator(seed, "types"))
    if case.model_type == "layoutlmv3":
        places = config.max_2d_position_embeddings
        inputs["bbox"] = torch.randint(0, places, (*shape, 4), generator=generator(seed, "boxes"))
        picture = (batch, config.num_channels, config.input_size, config.input_size)
        inputs["pixel_values"] = torch.randn(picture, generator=generator(seed, "pixels"))
    if case.task == "multiple-choice":
        inputs = {name: value.view(batch, -1, sequence) for name, value in inputs.items()}
    return inputs


class Reference(make_goldens.Reference):
    def __init__(self, case: Case, folder, attention: str):
        if case.reference_config:
            config = json.loads((folder / "config.json").read_text())
            make_goldens.write_json(folder / "config.json", {**config, **case.reference_config})
        super().__init__(case, folder, "eager" if case.model_type in EAGER_ONLY else attention)

    def __call__(self, inputs: dict) -> dict[str, torch.Tensor]:
        typed = {k: v.to(self.model.dtype) if v.is_floating_point() else v for k, v in inputs.items()}
        return super().__call__(typed)


def main() -> int:
    make_goldens.make_inputs = make_inputs
    make_goldens.Reference = Reference
    return make_goldens.run_command(__doc__, all_cases(), make_goldens.make)


if __name__ == "__main__":
    sys.exit(main())
