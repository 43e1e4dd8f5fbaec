#!/usr/bin/env python3
"""Makes the golden cases of composites (encoder-decoder, vision-encoder-decoder) under tests/data/golden/: bodies of one
architecture as encoders, language models of another as decoders.

    python tools/oracle/make_composite_goldens.py                     every case
    python tools/oracle/make_composite_goldens.py encoder-decoder     those whose names start so
"""

import dataclasses
import sys

import make_seq2seq_goldens as seq2seq
import torch
import transformers
from make_goldens import normal
from make_seq2seq_goldens import EOS, FIRST_RUNS, PAD, PAST, PAST_RUNS, Model, Reference, text_mask
from safetensors.torch import load_file
from transformers import DynamicCache, EncoderDecoderCache

TEXT, IMAGE = "encoder-decoder", "vision-encoder-decoder"
TASKS = {TEXT: "text2text-generation", IMAGE: "image-to-text"}
VOCABULARY = dict(vocab_size=43, pad_token_id=PAD, bos_token_id=0, eos_token_id=EOS)
# Sizes that differ from each other, by model type; the encoder's and the decoder's widths do, too.
BERT = VOCABULARY | dict(num_hidden_layers=2, intermediate_size=29, max_position_embeddings=40, layer_norm_eps=1e-3)
BART = VOCABULARY | dict(d_model=24, decoder_layers=2, decoder_attention_heads=3, decoder_ffn_dim=29,
                         encoder_layers=1, encoder_attention_heads=2, encoder_ffn_dim=13, max_position_embeddings=40,
                         decoder_start_token_id=EOS)  # fmt: skip
VIT = dict(hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=21, image_size=12, patch_size=4,
           layer_norm_eps=1e-3)  # fmt: skip
SWIN = dict(image_size=16, patch_size=2, embed_dim=8, depths=[1, 1], num_heads=[1, 2], window_size=4, layer_norm_eps=1e-3)
ENCODERS = {
    "albert": BERT | dict(hidden_size=16, num_attention_heads=2, embedding_size=11),
    "distilbert": VOCABULARY | dict(dim=16, n_heads=2, n_layers=1, hidden_dim=21, max_position_embeddings=40),
    "vit": VIT, "deit": VIT, "beit": VIT | dict(use_relative_position_bias=True), "dinov2": VIT,
    "swin": SWIN, "donut-swin": SWIN | dict(image_size=[16, 24]),
}  # fmt: skip
DECODERS = {
    "gpt2": VOCABULARY | dict(n_embd=24, n_layer=2, n_head=3, n_positions=40),
    "bart": BART, "mbart": BART, "marian": BART | dict(decoder_vocab_size=43), "trocr": BART,
}  # fmt: skip


@dataclasses.dataclass
class Case(seq2seq.Case):
    sides: tuple[str, str] = ("", "")
    encoder: dict = dataclasses.field(default_factory=dict)
    decoder: dict = dataclasses.field(default_factory=dict)

    @property
    def model(self) -> Model:
        return Model({}, ["none has other heads"])


def case(kind: str, past: bool, name: str, first: str, second: str, what: str = "", **more) -> Case:
    task = TASKS[kind] + (PAST if past else "")
    name = "-".join([kind, task, *([name] if name else [])])
    return Case(name, kind, task, what or f"{first} with {second}", sides=(first, second), **more)


def old_checkpoint(state: dict) -> dict:
    """Buffers that old checkpoints hold, and heads that the composite does not use."""
    old = {"decoder.transformer.h.0.crossattention.bias": torch.ones(1, 1, 4, 4), "decoder.transformer.h.0.crossattention.masked_bias": torch.tensor(-1e4),
           "decoder.transformer.h.0.attn.bias": torch.ones(1, 1, 4, 4), "encoder.pooler.dense.weight": torch.ones(16, 16)}  # fmt: skip
    return state | old


def all_cases() -> list[Case]:
    one = {"num_hidden_layers": 1}
    return [
        case(TEXT, True, "", "bert", "gpt2", "bert with gpt2, whose widths differ", edit_weights=old_checkpoint),
        case(TEXT, False, "", "bert", "bert"),
        case(TEXT, False, "roberta", "roberta", "roberta", "the encoder has the decoder's weights", config={"tie_encoder_decoder": True},
             encoder={"hidden_size": 24, "num_attention_heads": 3}),
        case(TEXT, False, "relative", "albert", "bert", "relative positions in the decoder, a head of its own",
             decoder=one | {"position_embedding_type": "relative_key_query", "tie_word_embeddings": False, "hidden_act": "relu"}),
        case(TEXT, False, "electra", "distilbert", "electra", "embeddings of a width of their own", decoder=one | {"embedding_size": 10}),
        case(TEXT, False, "xlm-roberta", "bert", "xlm-roberta", "one width, cross_attention_hidden_size", encoder=one | {"hidden_size": 24, "num_attention_heads": 3},
             decoder=one | {"cross_attention_hidden_size": 24}),
        case(TEXT, False, "modernbert", "modernbert", "bert", decoder=one),
        case(TEXT, False, "deberta", "deberta-v2", "camembert", encoder=one | {"relative_attention": True, "pos_att_type": ["p2c", "c2p"]}, decoder=one),
        case(TEXT, True, "mpnet", "mpnet", "mbart", encoder=one, decoder={"decoder_layers": 1}),
        case(TEXT, True, "scaled", "roberta", "gpt2", "one width, scaled by layer, a head of its own", encoder=one | {"hidden_size": 24, "num_attention_heads": 4},
             decoder={"scale_attn_by_inverse_layer_idx": True, "tie_word_embeddings": False, "n_inner": 31, "activation_function": "relu"}),
        case(TEXT, True, "bart", "bert", "bart", encoder=one, decoder={"decoder_layers": 1}),
        case(TEXT, True, "marian", "electra", "marian", encoder=one | {"embedding_size": 10}, decoder={"decoder_layers": 1}),
        case(IMAGE, True, "gpt2", "vit", "gpt2", "as nlpconnect/vit-gpt2-image-captioning", edit_weights=old_checkpoint),
        case(IMAGE, True, "mbart", "swin", "mbart", "swin with mbart, scaled", decoder={"scale_embedding": True, "decoder_layers": 1}),
        case(IMAGE, True, "donut", "donut-swin", "mbart", "as naver-clova-ix/donut-base", decoder={"scale_embedding": True, "decoder_layers": 1}),
        case(IMAGE, False, "bert", "beit", "bert", "relative positions in the encoder"),
        case(IMAGE, False, "roberta", "deit", "roberta", decoder=one),
        case(IMAGE, True, "dinov2", "dinov2", "trocr", decoder={"decoder_layers": 1}),
    ]  # fmt: skip


def configuration(case: Case):
    mapping = transformers.CONFIG_MAPPING
    encoder, decoder = case.sides
    # The gap between the widths is what enc_to_dec_proj is for.
    encoder_sizes = ENCODERS.get(encoder, BERT | dict(hidden_size=16, num_attention_heads=2))
    decoder_sizes = DECODERS.get(decoder, BERT | dict(hidden_size=24, num_attention_heads=3))
    sides = (mapping[encoder](**encoder_sizes | case.encoder), mapping[decoder](**decoder_sizes | case.decoder))
    if case.model_type == TEXT:
        config = transformers.EncoderDecoderConfig.from_encoder_decoder_configs(*sides, **case.config)
    else:
        config = transformers.VisionEncoderDecoderConfig.from_encoder_decoder_configs(*sides, **case.config)
    config.pad_token_id, config.decoder_start_token_id, config.eos_token_id = PAD, EOS, EOS
    return config


class CompositeReference(Reference):
    """Caches are kept of the decoder alone where it is gpt2, and not at all where it is BERT's."""

    def __init__(self, case: Case, folder):
        super().__init__(case, folder)
        if case.sides[1] == "gpt2":  # Its settings of scale count with eager attention alone.
            self.model.decoder.set_attn_implementation("eager")

    @property
    def caches_encoder(self) -> bool:
        return self.case.sides[1] in ("bart", "mbart", "marian", "trocr")

    def encoder_inputs(self, run: int, batch: int, length: int) -> dict[str, torch.Tensor]:
        if self.case.model_type == IMAGE:
            size = self.config.encoder.image_size
            size = size if isinstance(size, list) else (size, size)
            return {"pixel_values": normal((batch, 3, *size), self.seed(run), "pixels")}
        mask = text_mask(batch, length)
        ids = torch.randint(3, 43, (batch, length), generator=seq2seq.generator(self.seed(run), "ids"))
        return {"input_ids": ids.masked_fill(mask == 0, PAD), "attention_mask": mask}

    def decode(self, ids, states, mask, cache):
        if self.case.task.endswith(PAST):
            return super().decode(ids, states, mask, cache)
        keys = {"attention_mask": mask} if mask is not None else {}
        states = transformers.modeling_outputs.BaseModelOutput(states)
        return self.model(encoder_outputs=states, decoder_input_ids=ids, use_cache=False, **keys)

    def run_decoder(self, inputs: dict) -> dict[str, torch.Tensor]:
        outputs = super().run_decoder(inputs)
        return outputs if self.caches_encoder else without_encoder(outputs)

    def run_decoder_with_past(self, inputs: dict) -> dict[str, torch.Tensor]:
        if self.caches_encoder:
            return super().run_decoder_with_past(inputs)
        dtype, own = next(self.model.parameters()).dtype, DynamicCache()
        layers = sum(name.endswith(".key") for name in inputs)
        for layer in range(layers):
            key, value = (inputs[f"past_key_values.{layer}.{part}"].to(dtype) for part in ("key", "value"))
            if key.shape[2] > 0:
                own.update(key, value, layer)
        states = inputs["encoder_hidden_states"].to(dtype)
        result = self.decode(inputs["input_ids"], states, inputs.get("encoder_attention_mask"), EncoderDecoderCache(own, DynamicCache()))
        outputs = {"logits": result.logits}
        for layer in range(layers):
            outputs |= {f"present.{layer}.key": own.layers[layer].keys, f"present.{layer}.value": own.layers[layer].values}
        return outputs

    def decoder_inputs(self, run: int, batch: int, states: int, tokens: int, past: int | None) -> dict[str, torch.Tensor]:
        config, seed = self.config.decoder, self.seed(run)
        ids = self.decoder_ids(run, batch, tokens)
        ids[0, 0] = PAD  # RoBERTa's positions leave it out.
        inputs = {"input_ids": ids, "encoder_attention_mask": text_mask(batch, states)}
        if self.case.model_type == IMAGE:
            del inputs["encoder_attention_mask"]
        if past is None or not self.caches_encoder:
            inputs["encoder_hidden_states"] = normal((batch, states, self.encoder_size()), seed, "states")
        heads = getattr(config, "decoder_attention_heads", None) or config.num_attention_heads
        layers = (getattr(config, "decoder_layers", None) or config.num_hidden_layers) if past is not None else 0
        lengths = {"decoder.": past, "encoder.": states} if self.caches_encoder else {"": past}
        for layer in range(layers):
            for which, length in lengths.items():
                for part in ("key", "value"):
                    name = f"past_key_values.{layer}.{which}{part}"
                    inputs[name] = normal((batch, heads, length, config.hidden_size // heads), seed, name)
        return inputs


def without_encoder(outputs: dict) -> dict:
    kept = {name: value for name, value in outputs.items() if ".encoder." not in name}
    return {name.replace(".decoder.", "."): value for name, value in kept.items()}


def write_checkpoint(case: Case) -> None:
    config = configuration(case)
    model = (transformers.EncoderDecoderModel if case.model_type == TEXT else transformers.VisionEncoderDecoderModel)(config)
    seq2seq.randomize(model, case)
    model.save_pretrained(case.folder)
    (case.folder / "generation_config.json").unlink(missing_ok=True)
    weights = case.folder / "model.safetensors"
    state = load_file(weights)
    if case.edit_weights:
        state = case.edit_weights(state)
    seq2seq.save_file({k: v.contiguous() for k, v in sorted(state.items())}, weights, metadata={"format": "pt"})


def parts_of(case: Case, reference: CompositeReference) -> dict[str, tuple]:
    parts = {
        "encoder_model.onnx": (reference.run_encoder, [reference.encoder_inputs(i, b, e) for i, (b, e, _, _) in enumerate(FIRST_RUNS)]),
        "decoder_model.onnx": (reference.run_decoder, [reference.decoder_inputs(i, b, e, s, None) for i, (b, e, s, _) in enumerate(FIRST_RUNS)]),
    }
    if case.task.endswith(PAST):
        inputs = [reference.decoder_inputs(10 + i, b, e, s, p) for i, (b, e, s, p) in enumerate(PAST_RUNS)]
        parts["decoder_with_past_model.onnx"] = (reference.run_decoder_with_past, inputs)
    return parts


def main() -> None:
    torch.set_num_threads(1)
    transformers.logging.set_verbosity_error()
    seq2seq.write_checkpoint, seq2seq.parts_of, seq2seq.Reference = write_checkpoint, parts_of, CompositeReference
    for one in all_cases():
        if len(sys.argv) < 2 or any(one.name.startswith(wanted) for wanted in sys.argv[1:]):
            seq2seq.make(one)


if __name__ == "__main__":
    main()
