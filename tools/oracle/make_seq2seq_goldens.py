#!/usr/bin/env python3
"""Makes the golden cases of encoders with decoders under tests/data/golden/, as make_goldens.py makes the others.

    python tools/oracle/make_seq2seq_goldens.py              every case
    python tools/oracle/make_seq2seq_goldens.py t5 bart-     those whose names start so
    python tools/oracle/make_seq2seq_goldens.py --list

A task of several files has io-<file>.safetensors for each: the encoder, the decoder without a cache, the decoder with
one. The weights of an architecture lie in the case of its task with a cache; the other cases name that file. Before a
case is accepted, fp64 must agree at every token that is not padding.
"""

import dataclasses
import json
import pathlib
import shutil
import sys
import tempfile

import make_goldens
import torch
import transformers
from make_goldens import GOLDEN, generator, normal, write_json
from safetensors.torch import load_file, save_file
from transformers import DynamicCache, EncoderDecoderCache
from transformers.modeling_outputs import BaseModelOutput

ATOL = 1e-5
PAD, EOS, LABELS = 1, 2, 3
PAST = "-with-past"

AUTO_CLASSES = {
    "text2text-generation": transformers.AutoModelForSeq2SeqLM,
    "automatic-speech-recognition": transformers.AutoModelForSpeechSeq2Seq,
    "image-to-text": transformers.AutoModelForVision2Seq,
    "feature-extraction": transformers.AutoModel,
    "text-generation": transformers.AutoModelForCausalLM,
    "text-classification": transformers.AutoModelForSequenceClassification,
    "question-answering": transformers.AutoModelForQuestionAnswering,
    "audio-classification": transformers.AutoModelForAudioClassification,
}
# (batch, tokens of the encoder, tokens of the decoder, cache)
FIRST_RUNS = [(1, 7, 4, 0), (3, 11, 6, 0)]
PAST_RUNS = [(2, 9, 1, 5), (3, 6, 3, 0), (1, 8, 2, 7)]


@dataclasses.dataclass
class Model:
    """An architecture: sizes that differ from each other and its tasks; the first is the one that has the weights."""

    sizes: dict
    tasks: list[str]
    norm_offset: float = 1.0
    heads: dict = dataclasses.field(default_factory=dict)  # weights of other heads: name -> shape


SEQ2SEQ = [f"text2text-generation{PAST}", "text2text-generation", f"feature-extraction{PAST}", "feature-extraction"]
T5_SIZES = dict(
    vocab_size=43, d_model=24, d_kv=6, d_ff=37, num_layers=2, num_decoder_layers=3, num_heads=3,
    relative_attention_num_buckets=8, relative_attention_max_distance=12, layer_norm_epsilon=1e-3, pad_token_id=0,
    decoder_start_token_id=0,
)  # fmt: skip
BART_SIZES = dict(
    vocab_size=43, d_model=24, encoder_layers=2, decoder_layers=2, encoder_attention_heads=4, decoder_attention_heads=3,
    encoder_ffn_dim=37, decoder_ffn_dim=29, max_position_embeddings=40, pad_token_id=PAD, eos_token_id=EOS,
    bos_token_id=0, decoder_start_token_id=EOS,
)  # fmt: skip
TEXT = [f"text2text-generation{PAST}", "text2text-generation", f"feature-extraction{PAST}", "feature-extraction",
        "text-generation", f"text-generation{PAST}"]  # fmt: skip
CLASSIFIERS = {
    "classification_head.dense.weight": (24, 24), "classification_head.dense.bias": (24,),
    "classification_head.out_proj.weight": (LABELS, 24), "classification_head.out_proj.bias": (LABELS,),
    "qa_outputs.weight": (2, 24), "qa_outputs.bias": (2,),
}  # fmt: skip
MODELS = {
    "bart": Model(BART_SIZES, [*TEXT, "text-classification", "question-answering"], heads=CLASSIFIERS),
    "mbart": Model(BART_SIZES, [*TEXT, "text-classification", "question-answering"], heads=CLASSIFIERS),
    "whisper": Model(
        dict(vocab_size=43, d_model=24, encoder_layers=2, decoder_layers=2, encoder_attention_heads=4,
             decoder_attention_heads=3, encoder_ffn_dim=37, decoder_ffn_dim=29, num_mel_bins=7, max_source_positions=11,
             max_target_positions=30, pad_token_id=PAD, eos_token_id=EOS, bos_token_id=0, decoder_start_token_id=EOS,
             suppress_tokens=None, begin_suppress_tokens=None, classifier_proj_size=13),
        [f"automatic-speech-recognition{PAST}", "automatic-speech-recognition", f"feature-extraction{PAST}",
         "feature-extraction", "audio-classification"],
        heads={"projector.weight": (13, 24), "projector.bias": (13,), "classifier.weight": (LABELS, 13),
               "classifier.bias": (LABELS,), "layer_weights": (3,)},
    ),
    "vision-encoder-decoder": Model({}, [f"image-to-text{PAST}", "image-to-text"]),
    "trocr": Model(dict(vocab_size=43, d_model=24, decoder_layers=2, decoder_attention_heads=3, decoder_ffn_dim=29,
                        max_position_embeddings=40, pad_token_id=PAD, eos_token_id=EOS, bos_token_id=0),
                   [f"text-generation{PAST}", "text-generation"]),
    "marian": Model(BART_SIZES | dict(decoder_vocab_size=43), TEXT),
    "t5": Model(T5_SIZES, SEQ2SEQ),
    "mt5": Model(T5_SIZES | dict(num_decoder_layers=2), SEQ2SEQ),
}


VIT_SIZES = dict(hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=21, image_size=[12, 8],
                 patch_size=4, layer_norm_eps=1e-3)  # fmt: skip
TROCR_SIZES = dict(vocab_size=43, d_model=24, decoder_layers=2, decoder_attention_heads=3, decoder_ffn_dim=29,
                   max_position_embeddings=40, pad_token_id=PAD, eos_token_id=EOS, bos_token_id=0,
                   decoder_start_token_id=EOS)  # fmt: skip


def captioner(encoder: str = "vit", decoder: dict | None = None, vit: dict | None = None):
    """The configuration of an encoder of images with TrOCR's decoder."""
    mapping = transformers.CONFIG_MAPPING
    config = transformers.VisionEncoderDecoderConfig.from_encoder_decoder_configs(
        mapping[encoder](**VIT_SIZES | (vit or {})), mapping["trocr"](**TROCR_SIZES | (decoder or {}))
    )
    config.pad_token_id, config.decoder_start_token_id, config.eos_token_id = PAD, EOS, EOS
    return config


@dataclasses.dataclass
class Case:
    name: str
    model_type: str
    task: str
    what: str
    config: dict = dataclasses.field(default_factory=dict)
    weights: str | None = None
    edit_weights: object = None
    edit_config: object = None
    dtype: torch.dtype = torch.float32  # of the arithmetic

    @property
    def model(self) -> Model:
        return MODELS[self.model_type]

    @property
    def folder(self) -> pathlib.Path:
        return GOLDEN / self.name

    @property
    def plain_task(self) -> str:
        return self.task.removesuffix(PAST)


def variant(name: str, what: str, config: dict | None = None, own: bool = False, **more) -> Case:
    """A branch of the task that has the weights. `own`: the case has other weights than that."""
    model_type, rest = name.split("/")
    task = MODELS[model_type].tasks[0]
    return Case(f"{model_type}-{task}-{rest}", model_type, task, what, config or {},
                weights=None if own else f"{model_type}-{task}", **more)  # fmt: skip


def base_cases() -> list[Case]:
    cases = []
    for model_type, model in MODELS.items():
        for task in model.tasks:
            weights = None if task == model.tasks[0] else f"{model_type}-{model.tasks[0]}"
            config = {"num_labels": LABELS} if task.endswith("classification") else {}
            cases.append(Case(f"{model_type}-{task}", model_type, task, f"{model_type} for {task}", config, weights))
    return cases


def t5_cases() -> list[Case]:
    return [
        variant("t5/gated", "gated-gelu, a head of its own, as many layers in both", own=True,
                config={"feed_forward_proj": "gated-gelu", "tie_word_embeddings": False, "num_decoder_layers": None, "num_layers": 1}),
        variant("t5/silu", "gated-silu, tied, other buckets", own=True,
                config={"feed_forward_proj": "gated-silu", "num_layers": 1, "num_decoder_layers": 1,
                        "relative_attention_num_buckets": 6, "relative_attention_max_distance": 20}),
        variant("t5/old-names", "the embeddings saved three times, a bias table that nothing uses", own=True,
                config={"num_layers": 1, "num_decoder_layers": 1}, edit_weights=early_t5),
        variant("t5/fp16", "half precision, which the feed-forward's results leave", {"num_decoder_layers": None}, own=True, dtype=torch.float16,
                edit_weights=large_feed_forward),
        variant("mt5/tied", "tie_word_embeddings", {"tie_word_embeddings": True, "num_layers": 1, "num_decoder_layers": 1}, own=True),
    ]  # fmt: skip


def bart_cases() -> list[Case]:
    small = {"encoder_layers": 1, "decoder_layers": 1}
    return [
        variant("bart/scaled", "scale_embedding, a head of its own, another activation", own=True,
                config=small | {"scale_embedding": True, "tie_word_embeddings": False, "activation_function": "relu"},
                edit_weights=untied_bart),
        variant("bart/old-names", "embeddings saved four times, keys of fairseq's time", own=True, config=small,
                edit_weights=old_bart, edit_config=lambda c: c | {"add_final_layer_norm": False, "normalize_embedding": True}),
        variant("mbart/scaled", "scale_embedding", own=True, config=small | {"scale_embedding": True}),
        variant("whisper/untied", "a head of its own, another activation", own=True,
                config=small | {"tie_word_embeddings": False, "activation_function": "relu", "scale_embedding": True}),
        Case("whisper-audio-classification-layers", "whisper", "audio-classification", "a weighted sum of the layers",
             {"use_weighted_layer_sum": True, "num_labels": LABELS}, f"whisper-automatic-speech-recognition{PAST}"),
        variant("vision-encoder-decoder/sinusoids", "the large model's form: sines counted without padding, no norm of embeddings, relu, scaled", own=True,
                config={"decoder": {"use_learned_position_embeddings": False, "layernorm_embedding": False, "scale_embedding": True,
                                    "activation_function": "relu", "tie_word_embeddings": False, "decoder_layers": 1}}),
        variant("vision-encoder-decoder/deit", "DeiT, keys of the encoder's size, no biases", own=True,
                config={"encoder": "deit", "decoder": {"cross_attention_hidden_size": 16, "decoder_layers": 1},
                        "vit": {"qkv_bias": False, "num_hidden_layers": 1}}),
        variant("vision-encoder-decoder/one-width", "no projection between the sides", own=True,
                config={"decoder": {"d_model": 16, "decoder_attention_heads": 2, "decoder_layers": 1}, "vit": {"num_hidden_layers": 1}}),
        variant("marian/two-tables", "embeddings of its own on each side", own=True,
                config=small | {"share_encoder_decoder_embeddings": False, "scale_embedding": True}),
        variant("marian/odd", "an odd width, swish", own=True,
                config=small | {"d_model": 21, "encoder_attention_heads": 3, "activation_function": "swish"}),
    ]  # fmt: skip


def untied_bart(state: dict) -> dict:
    """Embeddings of its own on each side, which count where nothing is tied."""
    sides = {"encoder": 0.8, "decoder": 1.2}
    return state | {f"model.{side}.embed_tokens.weight": state["model.shared.weight"] * by for side, by in sides.items()}


def old_bart(state: dict) -> dict:
    return state | {f"{name}.weight": state["model.shared.weight"].clone()
                    for name in ("model.encoder.embed_tokens", "model.decoder.embed_tokens", "lm_head")}


def large_feed_forward(state: dict) -> dict:
    return {name: value * 2e5 if name.endswith("wo.weight") else value for name, value in state.items()}


def early_t5(state: dict) -> dict:
    more = {f"{side}.embed_tokens.weight": state["shared.weight"].clone() for side in ("encoder", "decoder")}
    table = state["decoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight"]
    return state | more | {"decoder.block.0.layer.1.EncDecAttention.relative_attention_bias.weight": table.clone()}


def all_cases() -> list[Case]:
    cases = base_cases() + t5_cases() + bart_cases()
    assert len({case.name for case in cases}) == len(cases)
    return cases


# ---------------------------------------------------------------------------------------------------------------------
# Random weights and inputs
# ---------------------------------------------------------------------------------------------------------------------


def randomize(model: torch.nn.Module, case: Case) -> None:
    """Gives every parameter a value that matters: nothing is zero or one, and scores are far from uniform."""
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if not parameter.requires_grad:
                continue  # sinusoids
            noise = normal(parameter.shape, case.name, name)
            if "norm" in name.lower():
                value = 0.3 * noise + (case.model.norm_offset if name.endswith("weight") else 0.0)
            elif "relative_attention_bias" in name:
                value = noise
            elif "embed" in name or "shared" in name:
                value = 0.35 * noise
            elif parameter.dim() < 2:
                value = 0.3 * noise
            else:
                value = noise / (parameter.numel() / parameter.shape[0]) ** 0.5
            parameter.copy_(value)
        for name, buffer in model.named_buffers():
            if name.endswith("final_logits_bias"):
                buffer.copy_(0.3 * normal(buffer.shape, case.name, name))


def text_mask(batch: int, length: int) -> torch.Tensor:
    """Padded at the end, the rows to another length each."""
    mask = torch.ones(batch, length, dtype=torch.int64)
    for row in range(1, batch):
        mask[row, length - row * max(1, length // 5) :] = 0
    return mask


def decoder_embeddings(folder: pathlib.Path) -> None:
    """What transformers looks for in a decoder alone; the whole model's checkpoint keeps it once."""
    state = load_file(folder / "model.safetensors")
    if "model.shared.weight" in state:
        state["model.decoder.embed_tokens.weight"] = state["model.shared.weight"].clone()
    save_file(state, folder / "model.safetensors", metadata={"format": "pt"})


def encoder_alone(folder: pathlib.Path) -> None:
    """The names of a classifier over the encoder."""
    state = load_file(folder / "model.safetensors")
    state = {k.removeprefix("model."): v for k, v in state.items() if not k.startswith("model.decoder")}
    save_file(state, folder / "model.safetensors", metadata={"format": "pt"})


class Reference:
    """The case's folder as transformers loads it."""

    def __init__(self, case: Case, folder: pathlib.Path):
        self.case = case
        if case.plain_task == "text-generation":
            decoder_embeddings(folder)
        if case.task == "audio-classification":
            encoder_alone(folder)
        self.model, info = AUTO_CLASSES[case.plain_task].from_pretrained(
            folder, dtype=case.dtype, attn_implementation="eager", output_loading_info=True
        )
        missing = [k for k in info["missing_keys"] if "embed_positions" not in k]
        assert not missing and not info["mismatched_keys"], (case.name, info)
        self.model.eval()
        self.config = self.model.config
        self.result = "last_hidden_state" if case.plain_task == "feature-extraction" else "logits"

    def seed(self, run: int) -> str:
        return f"{self.case.weights or self.case.name}/{run}"

    def encoder_inputs(self, run: int, batch: int, length: int) -> dict[str, torch.Tensor]:
        if self.config.model_type == "whisper":
            dims = (batch, self.config.num_mel_bins, 2 * self.config.max_source_positions)
            return {"input_features": normal(dims, self.seed(run), "features")}
        if self.config.model_type == "vision-encoder-decoder":
            height, width = self.config.encoder.image_size
            return {"pixel_values": normal((batch, 3, height, width), self.seed(run), "pixels")}
        mask = text_mask(batch, length)
        ids = torch.randint(3, self.config.vocab_size, (batch, length), generator=generator(self.seed(run), "ids"))
        return {"input_ids": ids.masked_fill(mask == 0, self.config.pad_token_id), "attention_mask": mask}

    def decoder_ids(self, run: int, batch: int, length: int) -> torch.Tensor:
        vocabulary = self.config.get_text_config(decoder=True).vocab_size
        vocabulary = getattr(self.config, "decoder_vocab_size", None) or vocabulary
        return torch.randint(3, vocabulary, (batch, length), generator=generator(self.seed(run), "decoder ids"))

    def text_with_end(self, run: int, batch: int, length: int) -> dict[str, torch.Tensor]:
        """Two ends in each row: the last counts."""
        inputs = self.encoder_inputs(run, batch, length)
        for row in range(batch if "input_ids" in inputs else 0):
            inputs["input_ids"][row, [1, length // 2]] = EOS
        return inputs

    def run_text(self, inputs: dict) -> dict[str, torch.Tensor]:
        result = self.model(**inputs, **({"use_cache": False} if "input_ids" in inputs else {}))
        return {name: result[name] for name in ("logits", "start_logits", "end_logits") if name in result}

    def causal_inputs(self, run: int, batch: int, tokens: int, past: int | None) -> dict[str, torch.Tensor]:
        mask = torch.ones(batch, tokens + (past or 0), dtype=torch.int64)
        if batch > 1:
            mask[1, -max(1, tokens // 3) :] = 0
        inputs = {"input_ids": self.decoder_ids(run, batch, tokens), "attention_mask": mask}
        heads = self.config.decoder_attention_heads
        for layer in range(self.config.decoder_layers if past is not None else 0):
            for part in ("key", "value"):
                name = f"past_key_values.{layer}.{part}"
                inputs[name] = normal((batch, heads, past, self.config.d_model // heads), self.seed(run), name)
        return inputs

    def run_causal(self, inputs: dict) -> dict[str, torch.Tensor]:
        dtype, cache = next(self.model.parameters()).dtype, DynamicCache()
        layers = sum(name.endswith(".key") for name in inputs)
        for layer in range(layers):
            key, value = (inputs[f"past_key_values.{layer}.{part}"].to(dtype) for part in ("key", "value"))
            if key.shape[2] > 0:
                cache.update(key, value, layer)
        given = {name: inputs[name] for name in ("input_ids", "attention_mask")}
        result = self.model(**given, past_key_values=EncoderDecoderCache(cache, DynamicCache()) if layers else None, use_cache=layers > 0)
        outputs = {"logits": result.logits}
        for layer in range(layers):
            outputs[f"present.{layer}.key"] = cache.layers[layer].keys
            outputs[f"present.{layer}.value"] = cache.layers[layer].values
        return outputs

    # The parts. Inputs and outputs have the names of Optimum.

    def run_encoder(self, inputs: dict) -> dict[str, torch.Tensor]:
        return {"last_hidden_state": self.model.get_encoder()(**inputs).last_hidden_state}

    def decode(self, ids, states, mask, cache):
        keys = {"attention_mask": mask} if mask is not None else {}
        return self.model(encoder_outputs=BaseModelOutput(states), decoder_input_ids=ids, past_key_values=cache, use_cache=True, **keys)

    def run_decoder(self, inputs: dict) -> dict[str, torch.Tensor]:
        states = inputs["encoder_hidden_states"].to(next(self.model.parameters()).dtype)
        cache = EncoderDecoderCache(DynamicCache(), DynamicCache())
        result = self.decode(inputs["input_ids"], states, inputs.get("encoder_attention_mask"), cache)
        outputs = {self.result: result[self.result]}
        if self.case.task.endswith(PAST):
            for layer, parts in enumerate(cache.to_legacy_cache()):
                for name, value in zip(("decoder.key", "decoder.value", "encoder.key", "encoder.value"), parts):
                    outputs[f"present.{layer}.{name}"] = value
        return outputs

    def run_decoder_with_past(self, inputs: dict) -> dict[str, torch.Tensor]:
        dtype = next(self.model.parameters()).dtype
        own, cross = DynamicCache(), DynamicCache()
        layers = sum(name.endswith(".decoder.key") for name in inputs)
        for layer in range(layers):
            past = {k: inputs[f"past_key_values.{layer}.{k}"].to(dtype) for k in ("decoder.key", "decoder.value", "encoder.key", "encoder.value")}
            if past["decoder.key"].shape[2] > 0:
                own.update(past["decoder.key"], past["decoder.value"], layer)
            cross.update(past["encoder.key"], past["encoder.value"], layer)
        cache = EncoderDecoderCache(own, cross)
        batch, length = inputs["input_ids"].shape[0], inputs["past_key_values.0.encoder.key"].shape[2]
        states = torch.zeros(batch, length, self.encoder_size(), dtype=dtype)
        result = self.decode(inputs["input_ids"], states, inputs.get("encoder_attention_mask"), cache)
        outputs = {self.result: result[self.result]}
        for layer in range(layers):
            outputs[f"present.{layer}.decoder.key"] = cache.self_attention_cache.layers[layer].keys
            outputs[f"present.{layer}.decoder.value"] = cache.self_attention_cache.layers[layer].values
        return outputs

    def run_whole(self, inputs: dict) -> dict[str, torch.Tensor]:
        result = self.model(**inputs, use_cache=False)
        names = [self.result] + ["encoder_last_hidden_state"] * (self.config.model_type == "whisper")
        return {name: result[name] for name in names}

    def encoder_size(self) -> int:
        return self.config.encoder.hidden_size if "encoder" in self.config.to_dict() else self.config.d_model


def decoder_inputs(reference: Reference, run: int, batch: int, states: int, tokens: int, past: int | None) -> dict[str, torch.Tensor]:
    seed = reference.seed(run)
    inputs = {"input_ids": reference.decoder_ids(run, batch, tokens), "encoder_attention_mask": text_mask(batch, states)}
    if reference.config.model_type in ("whisper", "vision-encoder-decoder"):
        del inputs["encoder_attention_mask"]
    if past is None:
        inputs["encoder_hidden_states"] = normal((batch, states, reference.encoder_size()), seed, "states")
        return inputs
    config = getattr(reference.config, "decoder", reference.config)
    heads = getattr(config, "decoder_attention_heads", None) or config.num_heads
    size = getattr(config, "d_kv", None) or config.d_model // heads
    layers = getattr(config, "decoder_layers", None) or config.num_decoder_layers
    for layer in range(layers):
        for which, length in (("decoder", past), ("encoder", states)):
            for part in ("key", "value"):
                name = f"past_key_values.{layer}.{which}.{part}"
                inputs[name] = normal((batch, heads, length, size), seed, name)
    return inputs


# ---------------------------------------------------------------------------------------------------------------------
# Writing and computing a case
# ---------------------------------------------------------------------------------------------------------------------


def write_checkpoint(case: Case) -> None:
    if case.model_type == "vision-encoder-decoder":
        config = captioner(**case.config)
    else:
        config = transformers.CONFIG_MAPPING[case.model_type](**{**case.model.sizes, **case.config})
    model = AUTO_CLASSES[case.plain_task].from_config(config)
    randomize(model, case)
    model.save_pretrained(case.folder)
    (case.folder / "generation_config.json").unlink(missing_ok=True)
    weights = case.folder / "model.safetensors"
    if case.weights:
        weights.unlink()
        return
    state = load_file(weights)
    if case.task == case.model.tasks[0] and case.name == f"{case.model_type}-{case.task}":
        state |= {name: 0.3 * normal(shape, case.name, name) for name, shape in case.model.heads.items()}
    if case.edit_weights:
        state = case.edit_weights(state)
    save_file({k: v.contiguous() for k, v in sorted(state.items())}, weights, metadata={"format": "pt"})


def parts_of(case: Case, reference: Reference) -> dict[str, tuple]:
    """file -> (how it is computed, its inputs by run)"""
    if case.plain_task.endswith("classification") or case.plain_task == "question-answering":
        return {"model.onnx": (reference.run_text, [reference.text_with_end(i, b, e) for i, (b, e, _, _) in enumerate(FIRST_RUNS)])}
    if case.plain_task == "text-generation":
        past = case.task.endswith(PAST)
        inputs = [reference.causal_inputs(i, b, s, p if past else None) for i, (b, _, s, p) in enumerate([*FIRST_RUNS, *(PAST_RUNS if past else [])])]
        return {"model.onnx": (reference.run_causal, inputs)}
    one = case.plain_task in ("feature-extraction",) and not case.task.endswith(PAST)
    if one:
        inputs = [reference.encoder_inputs(i, b, e) | {"decoder_input_ids": reference.decoder_ids(i, b, s)} for i, (b, e, s, _) in enumerate(FIRST_RUNS)]
        return {"model.onnx": (reference.run_whole, inputs)}
    parts = {
        "encoder_model.onnx": (reference.run_encoder, [reference.encoder_inputs(i, b, e) for i, (b, e, _, _) in enumerate(FIRST_RUNS)]),
        "decoder_model.onnx": (reference.run_decoder, [decoder_inputs(reference, i, b, e, s, None) for i, (b, e, s, _) in enumerate(FIRST_RUNS)]),
    }
    if case.task.endswith(PAST):
        inputs = [decoder_inputs(reference, 10 + i, b, e, s, p) for i, (b, e, s, p) in enumerate(PAST_RUNS)]
        parts["decoder_with_past_model.onnx"] = (reference.run_decoder_with_past, inputs)
    return parts


def difference(single: dict, double: dict, inputs: dict) -> float:
    worst = 0.0
    for name, value in single.items():
        apart = (value.double() - double[name].double()).abs()
        mask = inputs.get("attention_mask")
        if mask is not None and apart.dim() == 3 and apart.shape[1] == mask.shape[1]:
            apart = apart * mask[..., None]
        worst = max(worst, apart.max().item())
    return worst


def make(case: Case) -> None:
    shutil.rmtree(case.folder, ignore_errors=True)
    write_checkpoint(case)
    made_by = f"transformers {transformers.__version__}, torch {torch.__version__.split('+')[0]}"
    half = case.dtype == torch.float16
    atol = 2e-2 if half else ATOL
    description = {"model_type": case.model_type, "task": case.task, "what": case.what, "made_by": made_by, "atol": atol}
    if half:
        description["dtype"] = "fp16"
    if case.weights:
        description["weights"] = f"../{case.weights}/model.safetensors"
    write_json(case.folder / "case.json", description)
    if case.edit_config:
        path = case.folder / "config.json"
        write_json(path, case.edit_config(json.loads(path.read_text())))
    with tempfile.TemporaryDirectory() as scratch, torch.inference_mode():
        reference = Reference(case, make_goldens.materialize(case.folder, pathlib.Path(scratch) / "model"))
        parts = parts_of(case, reference)
        if half:
            parts = {file: (compute, [{k: v.half() if v.is_floating_point() else v for k, v in x.items()} for x in inputs])
                     for file, (compute, inputs) in parts.items()}
        found = {file: [compute(x) for x in inputs] for file, (compute, inputs) in parts.items()}
        reference.model.double()
        torch.set_default_dtype(torch.float64)
        worst = max(difference(single, compute(doubled(x)), x) for file, (compute, inputs) in parts.items() for x, single in zip(inputs, found[file]))
        torch.set_default_dtype(torch.float32)
    assert worst < atol / 2, f"{case.name}: fp64 is {worst:.1e} away"
    for file, (_, inputs) in parts.items():
        io = {}
        for run, (given, result) in enumerate(zip(inputs, found[file])):
            io |= {f"{run}/inputs/{k}": v for k, v in given.items()} | {f"{run}/outputs/{k}": v for k, v in result.items()}
        name = "io.safetensors" if file == "model.onnx" else f"io-{file.removesuffix('.onnx')}.safetensors"
        save_file({k: v.clone().contiguous() for k, v in sorted(io.items())}, case.folder / name)
    size = sum(path.stat().st_size for path in case.folder.iterdir())
    print(f"{case.name:60} {size / 1000:6.1f} kB   fp64 {worst:.0e}")


def doubled(inputs: dict) -> dict:
    return {k: v.double() if v.is_floating_point() else v for k, v in inputs.items()}


def main() -> None:
    torch.set_num_threads(1)
    transformers.logging.set_verbosity_error()
    wanted = [a for a in sys.argv[1:] if not a.startswith("--")]
    for case in all_cases():
        if wanted and not any(case.name.startswith(w) for w in wanted):
            continue
        if "--list" in sys.argv:
            print(f"{case.name:60} {case.what}")
        else:
            make(case)


if __name__ == "__main__":
    main()
