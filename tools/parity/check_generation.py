"""Decoders, alone and behind an encoder: exported by ferry, loaded by optimum.onnxruntime, which generates what
transformers does.

Of encoders with decoders Optimum takes the number and the width of heads from the encoder, for the decoder's first, empty cache too: the
models here have both alike. tests/data/generation has others.
"""

import pathlib
import shutil

import torch
import transformers
from common import GOLDEN, Ferry, Golden, Table, expect
from optimum import onnxruntime as optimum_onnxruntime
from transformers.generation import GenerationMixin

FLAGS = {"merged": [], "two decoders": ["--no-post-process"], "shared weights": ["--weights", "shared"]}
CALLS = [
    {"max_new_tokens": 9},
    {"max_new_tokens": 12, "num_beams": 3},
    {"max_new_tokens": 12, "num_beams": 4, "num_return_sequences": 2, "length_penalty": 2.0, "early_stopping": True},
    {"max_new_tokens": 12, "repetition_penalty": 1.4, "no_repeat_ngram_size": 2, "min_new_tokens": 5},
]
SIZES = {"vocab_size": 61, "d_model": 32, "encoder_layers": 2, "decoder_layers": 3, "encoder_attention_heads": 4, "decoder_attention_heads": 4,
         "encoder_ffn_dim": 48, "decoder_ffn_dim": 40, "pad_token_id": 1, "bos_token_id": 0, "eos_token_id": 2, "decoder_start_token_id": 2}  # fmt: skip
MODELS = {
    "t5": (transformers.T5ForConditionalGeneration,
           lambda: transformers.T5Config(vocab_size=61, d_model=32, d_kv=8, d_ff=48, num_layers=2, num_heads=4, decoder_start_token_id=0, pad_token_id=0)),
    "bart": (transformers.BartForConditionalGeneration, lambda: transformers.BartConfig(**SIZES, max_position_embeddings=40)),
    "marian": (transformers.MarianMTModel, lambda: transformers.MarianConfig(**SIZES, max_position_embeddings=40)),
    "whisper": (transformers.WhisperForConditionalGeneration,
                lambda: transformers.WhisperConfig(**SIZES, num_mel_bins=8, max_source_positions=12, max_target_positions=40, suppress_tokens=None, begin_suppress_tokens=None)),
    # By golden case.
    "vit and trocr": (transformers.VisionEncoderDecoderModel, "vision-encoder-decoder-image-to-text-with-past"),
    "vit and gpt2": (transformers.VisionEncoderDecoderModel, "vision-encoder-decoder-image-to-text-with-past-gpt2"),
    "bert and gpt2": (transformers.EncoderDecoderModel, "encoder-decoder-text2text-generation-with-past"),
    "bert and bert": (transformers.EncoderDecoderModel, "encoder-decoder-text2text-generation"),
}  # fmt: skip
CLASSES = {"whisper": "ORTModelForSpeechSeq2Seq", "vision-encoder-decoder": "ORTModelForVision2Seq"}  # By model type.
CACHELESS = ["bert and bert"]  # Optimum exports no cache of BERT as a decoder.


def checkpoint(name: str, folder: pathlib.Path):
    """A model with random weights, and the same in `folder`."""
    model_class, config = MODELS[name]
    if isinstance(config, str):
        Golden(GOLDEN / config).materialize(folder)
        return model_class.from_pretrained(folder).eval()
    shutil.rmtree(folder, ignore_errors=True)
    torch.manual_seed(3)
    model = model_class(config()).eval()
    for parameter in model.parameters():
        parameter.data.add_(torch.randn_like(parameter) * 0.4)
    model.save_pretrained(folder)
    return model_class.from_pretrained(folder).eval()


def inputs_of(name: str, config) -> dict:
    torch.manual_seed(7)
    if name == "whisper":
        return {"input_features": torch.randn(2, config.num_mel_bins, 2 * config.max_source_positions)}
    if config.model_type == "vision-encoder-decoder":
        size = config.encoder.image_size
        return {"pixel_values": torch.randn(2, 3, *(size if isinstance(size, list) else (size, size)))}
    ids = torch.tensor([[7, 3, 19, 22, 5, 3], [4, 11, 30] + 3 * [config.pad_token_id]])
    return {"input_ids": ids, "attention_mask": (ids != config.pad_token_id).long()}


# Golden cases by the architecture's name; without those whose heads Optimum takes for others: it makes the first, empty
# cache without regard to head_dim (qwen3) and num_key_value_heads (gemma2, phi, phi3).
DECODERS = ["gpt2", "gpt_neox", "opt", "bloom", "falcon", "llama", "mistral", "qwen2", "gemma", "gemma3_text"]


def check_decoders(ferry: Ferry, table: Table, scratch: pathlib.Path) -> None:
    """Two rows, the shorter one padded on the left."""
    for name in DECODERS:
        source, ours = scratch / "source", scratch / "ours"
        Golden(GOLDEN / f"{name}-text-generation-with-past").materialize(source)
        model = transformers.AutoModelForCausalLM.from_pretrained(source).eval()
        ids = torch.tensor([[7, 3, 19, 22, 5, 3], [0, 0, 0, 4, 11, 30]])
        inputs = {"input_ids": ids, "attention_mask": (ids != 0).long()}
        ends = {"do_sample": False, "pad_token_id": 0, "eos_token_id": 2}
        with table.row("generation", name) as notes:
            ferry.export(source, ours)
            ort_model = optimum_onnxruntime.ORTModelForCausalLM.from_pretrained(ours)
            for call in CALLS:
                wanted = model.generate(**inputs, **call, **ends).tolist()
                found = ort_model.generate(**inputs, **call, **ends).tolist()
                expect(found == wanted, f"{call}: {found}, not {wanted}")
            notes.append(f"{len(CALLS)} ways to generate, ORTModelForCausalLM")


def check(ferry: Ferry, table: Table, scratch: pathlib.Path) -> None:
    check_decoders(ferry, table, scratch)
    for name in MODELS:
        source, ours = scratch / "source", scratch / "ours"
        model = checkpoint(name, source)
        inputs = inputs_of(name, model.config)
        ends = {"do_sample": False, "pad_token_id": 1, "eos_token_id": 2}
        wanted = [GenerationMixin.generate(model, **inputs, **call, **ends).tolist() for call in CALLS]
        for form, flags in FLAGS.items():
            merged = name not in CACHELESS and "--no-post-process" not in flags
            with table.row("generation", f"{name}, {form}") as notes:
                ferry.export(source, ours, *flags)
                class_name = CLASSES.get(model.config.model_type, "ORTModelForSeq2SeqLM")
                ort_class = getattr(optimum_onnxruntime, class_name)
                ort_model = ort_class.from_pretrained(ours, use_merged=merged, use_cache=name not in CACHELESS)
                for call, expected in zip(CALLS, wanted, strict=True):
                    found = GenerationMixin.generate(ort_model, **inputs, **call, **ends).tolist()
                    expect(found == expected, f"{call}: {found}, not {expected}")
                notes.append(f"{len(CALLS)} ways to generate, {class_name}")
