#!/usr/bin/env python3
"""Makes the golden cases under tests/data/golden/: tiny models, inputs, and the outputs transformers computes.

    python tools/oracle/make_goldens.py              every case
    python tools/oracle/make_goldens.py bert-fill-mask distilbert-fill-mask
    python tools/oracle/make_goldens.py --list

A case is one folder:

    config.json          as transformers saves it (or, where a case says so, as another version does)
    model.safetensors    random weights, biases and layer norms included; absent where case.json names "weights"
    case.json            what the case is for: model_type, task, tolerance, where the weights are
    io.safetensors       "<run>/inputs/<name>" and "<run>/outputs/<name>", each run of another shape

Everything is seeded by names, so the same versions (requirements.txt) write the same bytes on the same machine.
The reference is always the folder itself, loaded by `from_pretrained` in fp32 with eager attention. Before a case is
accepted it must agree with scaled-dot-product attention and with fp64, and its outputs must not be degenerate.
"""

import argparse
import contextlib
import dataclasses
import json
import os
import pathlib
import shutil
import sys
import tempfile
import zlib
from typing import Callable

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

import torch
import transformers
from safetensors.torch import load_file, save_file

ROOT = pathlib.Path(__file__).resolve().parents[2]
GOLDEN = ROOT / "tests" / "data" / "golden"
ATOL = 1e-5

AUTO_CLASSES = {
    "feature-extraction": transformers.AutoModel,
    "fill-mask": transformers.AutoModelForMaskedLM,
    "question-answering": transformers.AutoModelForQuestionAnswering,
    "text-classification": transformers.AutoModelForSequenceClassification,
    "token-classification": transformers.AutoModelForTokenClassification,
    "multiple-choice": transformers.AutoModelForMultipleChoice,
}
OUTPUTS = {
    "feature-extraction": ["last_hidden_state"],
    "question-answering": ["start_logits", "end_logits"],
}  # all other tasks: logits
SENTENCE_OUTPUTS = ["token_embeddings", "sentence_embedding"]

# Sizes that differ from each other, so that a swapped axis cannot pass.
SIZES = {
    "bert": dict(
        vocab_size=99,
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=37,
        max_position_embeddings=40,
        type_vocab_size=2,
        layer_norm_eps=1e-3,  # large enough that ignoring it shows
    ),
    "distilbert": dict(
        vocab_size=103, dim=36, n_layers=2, n_heads=3, hidden_dim=41, max_position_embeddings=45
    ),
}

# (batch, sequence) of each run; multiple-choice puts its number of choices in between.
RUNS = [(1, 7), (3, 19), (2, 33)]
SHORT_RUNS = [(1, 7), (3, 19)]
CHOICES = {1: 2, 3: 4, 2: 3}


@dataclasses.dataclass
class Case:
    name: str
    what: str
    config: dict = dataclasses.field(default_factory=dict)
    weights: str | None = None  # take the weights of this other case
    runs: list = dataclasses.field(default_factory=lambda: RUNS)
    dtype: torch.dtype = torch.float32  # in which the weights are stored
    gain: dict = dataclasses.field(default_factory=lambda: {"classifier": 2.0})  # substring of a parameter's name -> factor on its scale
    edit_config: Callable[[dict], dict] | None = None  # config.json as something else writes it
    edit_weights: Callable[[dict], dict] | None = None  # state dict as something else writes it
    head: str | None = None  # task whose class writes the checkpoint, if not the exported one
    shard: str | None = None  # max_shard_size
    edit_masks: Callable[[torch.Tensor], torch.Tensor] | None = None
    sentence: dict | None = None  # sentence-transformers modules, see sentence_case()
    sentence_style: str = "old"  # how the modules' files are written: "old" (before 5) or "new"

    @property
    def model_type(self) -> str:
        return self.name.removeprefix("st-").split("-")[0]

    @property
    def task(self) -> str:
        if self.sentence is not None:
            return "feature-extraction"
        return next(t for t in AUTO_CLASSES if self.name.startswith(f"{self.model_type}-{t}"))

    @property
    def folder(self) -> pathlib.Path:
        return GOLDEN / self.name


# ---------------------------------------------------------------------------------------------------------------------
# The table of cases
# ---------------------------------------------------------------------------------------------------------------------


def base_cases() -> list[Case]:
    """Every task of BERT and DistilBERT."""
    labels = {"text-classification": 3, "token-classification": 5}
    cases = []
    for model_type in SIZES:
        for task in AUTO_CLASSES:
            config = {"num_labels": labels[task]} if task in labels else {}
            cases.append(Case(f"{model_type}-{task}", f"{model_type} with the head for {task}", config))
    return cases


def bert_cases() -> list[Case]:
    body = "bert-feature-extraction"
    return [
        Case(f"{body}-from-head", "a head's checkpoint (names prefixed with bert.) exported without the head",
             weights="bert-question-answering", head="question-answering"),
        Case(f"{body}-relative-key", "relative positions in the scores of the query",
             {"position_embedding_type": "relative_key", "num_hidden_layers": 1}),
        Case(f"{body}-relative-key-query", "relative positions in the scores of the query and of the key",
             {"position_embedding_type": "relative_key_query"}),
        Case(f"{body}-type-vocab-1", "one token type only",
             {"type_vocab_size": 1, "num_hidden_layers": 1}),
        Case(f"{body}-masked-row", "a row whose mask is all zeros: attention is uniform there, never NaN",
             weights=body, edit_masks=mask_whole_row),
        Case(f"{body}-is-decoder", "is_decoder: a causal mask on top of the padding mask",
             {"is_decoder": True}, weights=body),
        Case(f"{body}-fp16", "weights stored as float16, computed in float32",
             {"num_hidden_layers": 1}, dtype=torch.float16),
        Case(f"{body}-bf16", "weights stored as bfloat16, computed in float32",
             {"num_hidden_layers": 1}, dtype=torch.bfloat16),
        Case("bert-fill-mask-untied", "an output matrix of its own (tie_word_embeddings false)",
             {"tie_word_embeddings": False, "num_hidden_layers": 1}),
        Case("bert-fill-mask-old-names",
             "the checkpoint of bert-base-uncased: LayerNorm.gamma/beta, position_ids, the tied matrix stored again, "
             "pooler and next-sentence head left over, a config of 2018",
             {"num_hidden_layers": 1, "layer_norm_eps": 1e-12},
             edit_config=config_of_2018, edit_weights=pretraining_checkpoint_of_2018),
        Case("bert-fill-mask-transformers-5", "config.json as transformers 5 writes it",
             weights="bert-fill-mask", edit_config=bert_config_of_transformers_5),
        Case("bert-text-classification-regression", "one label: regression",
             {"num_labels": 1, "problem_type": "regression", "num_hidden_layers": 1}),
        Case("bert-text-classification-multi-label", "five labels, any number of them true",
             {"num_labels": 5, "problem_type": "multi_label_classification", "num_hidden_layers": 1,
              "classifier_dropout": 0.2}),
        Case("bert-question-answering-sharded", "weights in several files with an index", shard="30KB"),
    ]


def distilbert_cases() -> list[Case]:
    return [
        Case("distilbert-feature-extraction-from-head", "a head's checkpoint exported without the head",
             weights="distilbert-question-answering", head="question-answering"),
        Case("distilbert-feature-extraction-masked-row", "a row whose mask is all zeros: attention is uniform there",
             weights="distilbert-feature-extraction", edit_masks=mask_whole_row),
        Case("distilbert-feature-extraction-relu", "activation relu",
             {"activation": "relu"}, weights="distilbert-feature-extraction"),
        Case("distilbert-feature-extraction-sinusoidal",
             "sinusoidal_pos_embds: the table of positions still comes from the checkpoint",
             {"sinusoidal_pos_embds": True}, weights="distilbert-feature-extraction"),
        Case("distilbert-fill-mask-untied", "an output matrix of its own (tie_word_embeddings false)",
             {"tie_word_embeddings": False, "n_layers": 1}),
        Case("distilbert-fill-mask-relu", "the head's transform uses the configured activation, too",
             {"activation": "relu"}, weights="distilbert-fill-mask"),
        Case("distilbert-question-answering-old-config", "config.json of distilbert-base-cased-distilled-squad",
             weights="distilbert-question-answering", edit_config=distilbert_config_of_2019),
        Case("distilbert-text-classification-transformers-5", "config.json as transformers 5 writes it",
             {"num_labels": 3}, weights="distilbert-text-classification",
             edit_config=distilbert_config_of_transformers_5),
    ]


# Without parameters, so that all of them share one file of weights.
ACTIVATIONS = [
    "gelu", "gelu_10", "gelu_fast", "gelu_new", "gelu_python", "gelu_pytorch_tanh", "gelu_python_tanh",
    "gelu_accurate", "laplace", "leaky_relu", "linear", "mish", "quick_gelu", "relu", "relu2", "relu6", "sigmoid",
    "silu", "swish", "tanh",
]  # fmt: skip
# With parameters of their own.
ACTIVATIONS_WITH_WEIGHTS = ["prelu"]
# Computes in bfloat16 whatever the model's type, so there is no fp32 reference. No BERT is known to use it.
ACTIVATIONS_LEFT_OUT = ["xielu"]


def activation_cases() -> list[Case]:
    """Every entry of ACT2FN. The layer before is scaled up so that the clips of gelu_10 and relu6 are reached."""
    unknown = set(transformers.activations.ACT2FN) - set(ACTIVATIONS + ACTIVATIONS_WITH_WEIGHTS + ACTIVATIONS_LEFT_OUT)
    assert not unknown, f"activations without a golden case: {unknown}"
    cases = []
    for name in ACTIVATIONS + ACTIVATIONS_WITH_WEIGHTS:
        shared = name in ACTIVATIONS and name != "gelu"
        cases.append(Case(
            f"bert-feature-extraction-act-{name.replace('_', '-')}",
            f"hidden_act {name}",
            {"hidden_act": name, "num_hidden_layers": 1},
            weights="bert-feature-extraction-act-gelu" if shared else None,
            gain={"intermediate.dense.weight": 4.0},
            runs=[(1, 7), (2, 13)],
        ))  # fmt: skip
    return cases


def sentence_cases() -> list[Case]:
    """sentence-transformers folders. `sentence` says which modules follow the transformer."""
    body, other = "bert-feature-extraction", "distilbert-feature-extraction"

    def case(name, what, weights=body, style="old", **modules):
        return Case(f"st-{name}", what, weights=weights, runs=SHORT_RUNS, sentence=modules, sentence_style=style)

    return [
        case("bert-mean-normalize", "mean over the mask, then unit length", pooling=["mean"], normalize=True),
        case("bert-cls", "the first unmasked token (not token 0 when padding is on the left)", pooling=["cls"]),
        case("bert-max", "maximum over the mask", pooling=["max"]),
        case("bert-mean-sqrt-len", "sum over the mask, divided by the root of its length",
             pooling=["mean_sqrt_len_tokens"]),
        case("bert-weightedmean", "mean weighted by position", pooling=["weightedmean"]),
        case("bert-lasttoken", "the last unmasked token", pooling=["lasttoken"]),
        case("bert-cls-mean", "two poolings side by side; old boolean keys fix the order: cls first",
             pooling=["cls", "mean"], normalize=True),
        case("bert-mean-cls-new", "files of sentence-transformers 5: pooling_mode is a list and its order counts",
             pooling=["mean", "cls"], style="new"),
        case("bert-all-poolings", "all six poolings side by side",
             pooling=["cls", "max", "mean", "mean_sqrt_len_tokens", "weightedmean", "lasttoken"]),
        case("bert-dense-tanh", "a dense layer with tanh, weights in safetensors, then unit length",
             pooling=["mean"], dense=dict(out=21, bias=True, activation="Tanh"), normalize=True),
        case("bert-dense-identity", "a dense layer without bias or activation, weights in pytorch_model.bin",
             pooling=["cls"], dense=dict(out=19, bias=False, activation="Identity", format="bin")),
        case("distilbert-mean-normalize", "a DistilBERT body", weights=other, pooling=["mean"], normalize=True),
        case("distilbert-dense-new", "files of sentence-transformers 5 with a dense layer, activation relu",
             weights=other, style="new", pooling=["max"], dense=dict(out=17, bias=True, activation="ReLU")),
    ]


def all_cases() -> list[Case]:
    cases = base_cases() + bert_cases() + distilbert_cases() + activation_cases() + sentence_cases()
    names = [case.name for case in cases]
    assert len(names) == len(set(names)), "two cases with one name"
    return cases


# ---------------------------------------------------------------------------------------------------------------------
# Files as others write them
# ---------------------------------------------------------------------------------------------------------------------


def config_of_2018(config: dict) -> dict:
    """bert-base-uncased's config.json has few keys; the rest are defaults (layer_norm_eps 1e-12 among them)."""
    keys = [
        "attention_probs_dropout_prob", "hidden_act", "hidden_dropout_prob", "hidden_size", "initializer_range",
        "intermediate_size", "max_position_embeddings", "model_type", "num_attention_heads", "num_hidden_layers",
        "pad_token_id", "type_vocab_size", "vocab_size",
    ]  # fmt: skip
    old = {key: config[key] for key in keys}
    return {"architectures": ["BertForMaskedLM"], "gradient_checkpointing": False, **old,
            "layer_norm_eps": 1e-12, "position_embedding_type": "absolute", "transformers_version": "4.6.0.dev0",
            "use_cache": True}  # fmt: skip


def pretraining_checkpoint_of_2018(weights: dict) -> dict:
    old = {}
    for name, value in weights.items():
        name = name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta")
        old[name] = value
    hidden = weights["bert.embeddings.word_embeddings.weight"].shape[1]
    positions = weights["bert.embeddings.position_embeddings.weight"].shape[0]
    old["bert.embeddings.position_ids"] = torch.arange(positions).unsqueeze(0)
    old["cls.predictions.decoder.weight"] = weights["bert.embeddings.word_embeddings.weight"].clone()
    for name, shape in {
        "bert.pooler.dense.weight": (hidden, hidden),
        "bert.pooler.dense.bias": (hidden,),
        "cls.seq_relationship.weight": (2, hidden),
        "cls.seq_relationship.bias": (2,),
    }.items():
        old[name] = normal(shape, "left over", name)
    return old


def distilbert_config_of_2019(config: dict) -> dict:
    keys = [
        "activation", "attention_dropout", "dim", "dropout", "hidden_dim", "initializer_range",
        "max_position_embeddings", "model_type", "n_heads", "n_layers", "pad_token_id", "qa_dropout",
        "seq_classif_dropout", "sinusoidal_pos_embds", "vocab_size",
    ]  # fmt: skip
    old = {key: config[key] for key in keys}
    return {"architectures": ["DistilBertForQuestionAnswering"], **old, "output_past": True, "tie_weights_": True,
            "torch_dtype": "float32"}  # fmt: skip


def bert_config_of_transformers_5(config: dict) -> dict:
    new = dict(config, add_cross_attention=False, bos_token_id=None, eos_token_id=None, is_decoder=False,
               tie_word_embeddings=True, transformers_version="5.24.0")  # fmt: skip
    del new["position_embedding_type"]
    return dict(sorted(new.items()))


def distilbert_config_of_transformers_5(config: dict) -> dict:
    new = dict(config, bos_token_id=None, eos_token_id=None, tie_word_embeddings=True, transformers_version="5.24.0")
    new.pop("tie_weights_", None)
    return dict(sorted(new.items()))


# ---------------------------------------------------------------------------------------------------------------------
# Random weights and inputs, seeded by name
# ---------------------------------------------------------------------------------------------------------------------


def generator(*names: str) -> torch.Generator:
    return torch.Generator().manual_seed(zlib.crc32("/".join(names).encode()))


def normal(shape, *names: str) -> torch.Tensor:
    return torch.randn(shape, generator=generator(*names))


def randomize(model: torch.nn.Module, seed: str, gain: dict) -> None:
    """Gives every parameter a value that matters: nothing is zero or one, and scores are far from uniform."""
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            noise = normal(parameter.shape, seed, name)
            if "LayerNorm" in name or "layer_norm" in name:
                value = 0.3 * noise + (1.0 if name.endswith("weight") else 0.0)
            elif "intermediate_act_fn" in name:
                value = parameter + 0.2 * noise
            elif "embedding" in name:
                value = noise * (0.2 if "word" in name else 0.5 if "distance" in name else 0.2)
            elif parameter.dim() < 2:
                value = 0.3 * noise
            else:
                value = noise * 1.0 / parameter.shape[-1] ** 0.5
            factor = next((f for part, f in gain.items() if part in name), 1.0)
            parameter.copy_(value * factor)


def mask_whole_row(mask: torch.Tensor) -> torch.Tensor:
    mask[-1] = 0
    return mask


def padding_mask(batch: int, sequence: int, seed: str) -> torch.Tensor:
    """Row 0 whole (unless it is the only one), row 1 padded at the end, row 2 at the start; long rows have holes."""
    mask = torch.ones(batch, sequence, dtype=torch.int64)
    if batch == 1:
        mask[0, -2:] = 0
    if batch >= 2:
        mask[1, -(sequence // 3) :] = 0
    if batch >= 3:
        mask[2, : sequence // 4] = 0
    if sequence > 32:
        mask[0, torch.randperm(sequence, generator=generator(seed, "holes"))[:6]] = 0
    return mask


def make_inputs(case: Case, config, run: int, batch: int, sequence: int) -> dict[str, torch.Tensor]:
    seed = f"{case.weights or case.name}/{run}"  # cases that share weights share inputs and so can be compared
    rows = batch * CHOICES[batch] if case.task == "multiple-choice" else batch
    shape = (rows, sequence)
    mask = padding_mask(rows, sequence, seed)
    if case.edit_masks:
        mask = case.edit_masks(mask)
    inputs = {
        "input_ids": torch.randint(0, config.vocab_size, shape, generator=generator(seed, "ids")),
        "attention_mask": mask,
    }
    if case.model_type == "bert" and case.sentence is None:
        types = config.type_vocab_size
        inputs["token_type_ids"] = torch.randint(0, types, shape, generator=generator(seed, "types"))
    if case.task == "multiple-choice":
        inputs = {name: value.view(batch, -1, sequence) for name, value in inputs.items()}
    return inputs


# ---------------------------------------------------------------------------------------------------------------------
# Writing and computing a case
# ---------------------------------------------------------------------------------------------------------------------


def write_json(path: pathlib.Path, value) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, indent=2) + "\n")


def make_config(case: Case):
    config_class = transformers.CONFIG_MAPPING[case.model_type]
    return config_class(**{**SIZES[case.model_type], **case.config})


def write_checkpoint(case: Case) -> None:
    """config.json and, unless they are another case's, weights."""
    model = AUTO_CLASSES[case.head or case.task].from_config(make_config(case))
    randomize(model, case.name, case.gain)
    model.to(case.dtype)
    model.save_pretrained(case.folder, max_shard_size=case.shard or "1GB")
    (case.folder / "generation_config.json").unlink(missing_ok=True)

    weights = case.folder / "model.safetensors"
    if case.weights:
        weights.unlink()
    elif case.edit_weights:
        save_file(case.edit_weights(load_file(weights)), weights, metadata={"format": "pt"})
    if case.edit_config:
        config = json.loads((case.folder / "config.json").read_text())
        write_json(case.folder / "config.json", case.edit_config(config))


def write_sentence_modules(case: Case) -> None:
    """modules.json and a folder for each module, in the words of sentence-transformers before and since version 5."""
    from sentence_transformers.sentence_transformer.modules.pooling import _LEGACY_POOLING_MODE_KWARGS

    folder, modules, new = case.folder, case.sentence, case.sentence_style == "new"
    width = make_config(case).hidden_size
    places = {
        "Transformer": "sentence_transformers.base.modules.transformer.Transformer",
        "Pooling": "sentence_transformers.sentence_transformer.modules.pooling.Pooling",
        "Dense": "sentence_transformers.base.modules.dense.Dense",
        "Normalize": "sentence_transformers.sentence_transformer.modules.normalize.Normalize",
    }
    listed = []

    def add(kind: str) -> pathlib.Path:
        number = len(listed)
        path = f"{number}_{kind}" if number else ""
        kind_path = places[kind] if new else f"sentence_transformers.models.{kind}"
        listed.append({"idx": number, "name": str(number), "path": path, "type": kind_path})
        return folder / path

    add("Transformer")
    if new:
        write_json(folder / "sentence_bert_config.json", {
            "transformer_task": "feature-extraction",
            "modality_config": {"text": {"method": "forward", "method_output_name": "last_hidden_state"}},
            "module_output_name": "token_embeddings",
        })  # fmt: skip
    else:
        write_json(folder / "sentence_bert_config.json", {"max_seq_length": 32, "do_lower_case": False})

    pooling, chosen = {"word_embedding_dimension": width}, modules["pooling"]
    if new:
        pooling = {"embedding_dimension": width, "pooling_mode": chosen[0] if len(chosen) == 1 else chosen}
    else:
        for key, mode in _LEGACY_POOLING_MODE_KWARGS.items():
            if mode in chosen or mode in ("cls", "mean", "max", "mean_sqrt_len_tokens"):  # MiniLM's has only these
                pooling[key] = mode in chosen
    pooling["include_prompt"] = True
    write_json(add("Pooling") / "config.json", pooling)
    width *= len(chosen)

    if "dense" in modules:
        dense = modules["dense"]
        place = add("Dense")
        activation = type(getattr(torch.nn, dense["activation"])())
        config = {"in_features": width, "out_features": dense["out"], "bias": dense["bias"],
                  "activation_function": f"{activation.__module__}.{activation.__name__}"}  # fmt: skip
        if new:
            config |= {"module_input_name": "sentence_embedding", "module_output_name": "sentence_embedding"}
        write_json(place / "config.json", config)
        weights = {"linear.weight": normal((dense["out"], width), case.name, "dense") / width**0.5}
        if dense["bias"]:
            weights["linear.bias"] = 0.3 * normal((dense["out"],), case.name, "dense bias")
        if dense.get("format") == "bin":
            torch.save(weights, place / "pytorch_model.bin")
        else:
            save_file(weights, place / "model.safetensors", metadata={"format": "pt"})
    if modules.get("normalize"):
        add("Normalize")  # has no files, and so no folder in a Git repository

    write_json(folder / "modules.json", listed)
    versions = {"sentence_transformers": "5.7.0" if new else "2.2.2", "transformers": "4.57.6", "pytorch": "2.13.0"}
    info = {"__version__": versions}
    if new:
        info = {"model_type": "SentenceTransformer", **info, "prompts": {"query": "", "document": ""},
                "default_prompt_name": None, "similarity_fn_name": "cosine"}  # fmt: skip
    write_json(folder / "config_sentence_transformers.json", info)

    # sentence-transformers does not load a folder without a tokenizer.
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"] + [chr(ord("a") + i) for i in range(26)]
    words += ["##" + chr(ord("a") + i) for i in range(26)]
    words += [f"[unused{i}]" for i in range(make_config(case).vocab_size - len(words))]
    (folder / "vocab.txt").write_text("\n".join(words) + "\n")
    tokenizer = "DistilBertTokenizer" if case.model_type == "distilbert" else "BertTokenizer"
    write_json(folder / "tokenizer_config.json", {"tokenizer_class": tokenizer, "do_lower_case": True,
                                                  "model_max_length": 32})  # fmt: skip


class Reference:
    """The case's folder as transformers or sentence-transformers loads it."""

    def __init__(self, case: Case, folder: pathlib.Path, attention: str):
        self.case = case
        if case.sentence is None:
            self.model, info = AUTO_CLASSES[case.task].from_pretrained(
                folder, dtype=torch.float32, attn_implementation=attention, output_loading_info=True
            )
            missing = {key for key in info["missing_keys"] if "pooler" not in key}
            assert not missing and not info["mismatched_keys"], (case.name, info)
            self.outputs = OUTPUTS.get(case.task, ["logits"])
        else:
            from sentence_transformers import SentenceTransformer

            self.model = SentenceTransformer(
                str(folder), device="cpu", model_kwargs={"dtype": torch.float32, "attn_implementation": attention}
            )
            self.outputs = SENTENCE_OUTPUTS
        self.model.eval()

    def __call__(self, inputs: dict) -> dict[str, torch.Tensor]:
        with torch.inference_mode():
            if self.case.sentence is None:
                outputs = self.model(**inputs)
            else:
                outputs = self.model(dict(inputs))
        return {name: outputs[name].clone() for name in self.outputs}


@contextlib.contextmanager
def double_precision(reference: Reference):
    """Also as the default: DistilBERT makes its mask's minimum with torch.tensor, infinite in a smaller type."""
    reference.model.double()
    torch.set_default_dtype(torch.float64)
    try:
        yield
    finally:
        torch.set_default_dtype(torch.float32)


def materialize(folder: pathlib.Path, into: pathlib.Path) -> pathlib.Path:
    """A copy of a case with its weights in place, as a user would have it."""
    shutil.copytree(folder, into, ignore=shutil.ignore_patterns("case.json", "io.safetensors"))
    weights = json.loads((folder / "case.json").read_text()).get("weights")
    if weights:
        shutil.copyfile(folder / weights, into / "model.safetensors")
    return into


def difference(a: dict, b: dict) -> float:
    return max((a[name].double() - b[name].double()).abs().max().item() for name in a)


def make(case: Case) -> None:
    shutil.rmtree(case.folder, ignore_errors=True)
    write_checkpoint(case)
    if case.sentence is not None:
        write_sentence_modules(case)
    made_by = f"transformers {transformers.__version__}, torch {torch.__version__.split('+')[0]}"
    description = {"model_type": case.model_type, "task": case.task, "what": case.what, "made_by": made_by}
    if case.sentence is not None:
        import sentence_transformers

        description["library"] = "sentence_transformers"
        description["made_by"] = f"sentence-transformers {sentence_transformers.__version__}, {made_by}"
    description["atol"] = ATOL
    if case.weights:
        description["weights"] = f"../{case.weights}/model.safetensors"
    write_json(case.folder / "case.json", description)

    config = transformers.AutoConfig.from_pretrained(case.folder)
    runs = case.runs
    if case.task == "fill-mask":  # logits are as wide as the vocabulary
        runs = [(1, 7), (3, 19), (1, 33)]
    inputs = [make_inputs(case, config, run, *shape) for run, shape in enumerate(runs)]
    with tempfile.TemporaryDirectory() as scratch:
        folder = materialize(case.folder, pathlib.Path(scratch) / "model")
        reference = Reference(case, folder, "eager")
        outputs = [reference(x) for x in inputs]
        fused = Reference(case, folder, "sdpa")
        fused_difference = max(difference(y, fused(x)) for x, y in zip(inputs, outputs))
        with double_precision(reference):
            rounding = max(difference(y, reference(x)) for x, y in zip(inputs, outputs))

    io = {}
    for run, (x, y) in enumerate(zip(inputs, outputs)):
        io |= {f"{run}/inputs/{name}": value.contiguous() for name, value in x.items()}
        io |= {f"{run}/outputs/{name}": value.contiguous() for name, value in y.items()}
    save_file(io, case.folder / "io.safetensors")

    values = torch.cat([value.flatten() for y in outputs for value in y.values()])
    size = sum(file.stat().st_size for file in case.folder.rglob("*") if file.is_file())
    print(
        f"{case.name:52} {size / 1000:6.1f} kB   std {values.std():5.2f}   max {values.abs().max():5.1f}   "
        f"sdpa {fused_difference:.0e}   fp64 {rounding:.0e}"
    )
    assert values.isfinite().all() and 0.1 < values.std() < 5, f"{case.name}: outputs are degenerate"
    assert fused_difference < ATOL, f"{case.name}: sdpa differs by {fused_difference}"
    assert rounding < ATOL / 2, f"{case.name}: fp64 differs by {rounding}"


# Entries of ACT2FN that are one function, written in several ways.
SAME_ACTIVATION = [
    {"gelu", "gelu_python"},
    {"gelu_new", "gelu_fast", "gelu_pytorch_tanh", "gelu_python_tanh", "gelu_accurate"},
    {"silu", "swish"},
]


def check_activations_differ() -> None:
    """A case that another activation would pass proves nothing."""
    outputs = {}
    for name in ACTIVATIONS:
        io = load_file(GOLDEN / f"bert-feature-extraction-act-{name.replace('_', '-')}" / "io.safetensors")
        outputs[name] = io, {key: value for key, value in io.items() if "outputs" in key}
    for a in ACTIVATIONS:
        for b in ACTIVATIONS:
            if a < b and not any({a, b} <= same for same in SAME_ACTIVATION):
                distance = difference(outputs[a][1], outputs[b][1])
                assert distance > 5 * ATOL, f"{a} and {b} differ by {distance} only"


def run_command(description: str, cases: list, make_case) -> int:
    """The command line that the scripts of other families share: names by how they start, --list."""
    parser = argparse.ArgumentParser(description=description.splitlines()[0])
    parser.add_argument("cases", nargs="*", metavar="case", help="how names of cases start (default: all)")
    parser.add_argument("--list", action="store_true", help="print the names and what each case is for")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    if arguments.list:
        for case in cases:
            print(f"{case.name:52} {case.what}")
        return 0
    for start in arguments.cases:
        if not any(case.name.startswith(start) for case in cases):
            parser.error(f"no case starts with {start}")
    for case in cases:
        if not arguments.cases or case.name.startswith(tuple(arguments.cases)):
            make_case(case)
    return 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("cases", nargs="*", metavar="case", help="names of cases (default: all)")
    parser.add_argument("--list", action="store_true", help="print the names and what each case is for")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()

    cases = {case.name: case for case in all_cases()}
    if arguments.list:
        for case in cases.values():
            print(f"{case.name:52} {case.what}")
        return 0
    unknown = [name for name in arguments.cases if name not in cases]
    if unknown:
        parser.error(f"no such case: {', '.join(unknown)}")
    for name in arguments.cases or cases:
        make(cases[name])
    if not arguments.cases:
        check_activations_differ()
    return 0


if __name__ == "__main__":
    sys.exit(main())
