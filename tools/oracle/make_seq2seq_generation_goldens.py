#!/usr/bin/env python3
"""Makes tests/data/generation/seq2seq: what transformers' generate() makes of texts, spectrograms and pictures with the
tiny encoders with decoders of tests/data/golden.

    python tools/oracle/make_seq2seq_generation_goldens.py    (packages: tools/oracle/requirements.txt)
"""

import json
import pathlib
import tempfile

import torch
import transformers
from make_goldens import materialize, normal
from make_pipeline_goldens import make_tokenizer
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers.generation import GenerationMixin

ROOT = pathlib.Path(__file__).resolve().parents[2] / "tests" / "data"
# By golden case: the class that loads it, and what pads.
MODELS = {
    "t5-text2text-generation-with-past-gated": (transformers.AutoModelForSeq2SeqLM, 0),
    "mt5-text2text-generation-with-past": (transformers.AutoModelForSeq2SeqLM, 0),
    "bart-text2text-generation-with-past": (transformers.AutoModelForSeq2SeqLM, 1),
    "marian-text2text-generation-with-past": (transformers.AutoModelForSeq2SeqLM, 1),
    "whisper-automatic-speech-recognition-with-past": (transformers.AutoModelForSpeechSeq2Seq, 1),
    "vision-encoder-decoder-image-to-text-with-past": (transformers.VisionEncoderDecoderModel, 1),
    "vision-encoder-decoder-image-to-text-with-past-gpt2": (transformers.VisionEncoderDecoderModel, 1),
    "vision-encoder-decoder-image-to-text-with-past-mbart": (transformers.VisionEncoderDecoderModel, 1),
    "vision-encoder-decoder-image-to-text-roberta": (transformers.VisionEncoderDecoderModel, 1),
    "encoder-decoder-text2text-generation": (transformers.EncoderDecoderModel, 1),
    "encoder-decoder-text2text-generation-with-past": (transformers.EncoderDecoderModel, 1),
}
TEXTS = [[7, 3, 19, 22, 5, 3], [4, 11, 30]]


def inputs_of(name, model, pad):
    config = model.config
    if name.startswith("whisper"):
        return {"input_features": normal((2, config.num_mel_bins, 2 * config.max_source_positions), name, "generation")}
    if name.startswith("vision-encoder-decoder"):
        size = config.encoder.image_size
        return {"pixel_values": normal((2, 3, *(size if isinstance(size, list) else (size, size))), name, "generation")}
    width = max(map(len, TEXTS))
    rows = torch.tensor([row + [pad] * (width - len(row)) for row in TEXTS])
    return {"input_ids": rows, "attention_mask": (rows != pad).long()}


def calls(eos):
    ends = {"eos_token_id": eos, "max_new_tokens": 12}
    yield {"max_new_tokens": 9}
    yield ends
    yield ends | {"num_beams": 3}
    yield ends | {"num_beams": 4, "num_return_sequences": 2, "length_penalty": 2.0, "early_stopping": True}
    yield ends | {"repetition_penalty": 1.4, "no_repeat_ngram_size": 2, "min_new_tokens": 5}
    yield {"max_length": 8, "forced_eos_token_id": 39, "forced_bos_token_id": 5, "num_beams": 2, "eos_token_id": eos[0]}


SENTENCES = ["the cat sat on the mat", "a dog runs after the cat", "where is the mat ?"]


def pipelines_goldens():
    """The pipelines that make text of text, on a tiny T5 with a vocabulary of words."""
    words = sorted({word for sentence in SENTENCES for word in sentence.split()} | {"translate", "summarize", ":"})
    core = Tokenizer(models.WordLevel({w: i for i, w in enumerate(["<pad>", "</s>", "<unk>", *words])}, unk_token="<unk>"))
    core.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    core.post_processor = processors.TemplateProcessing(single="$A </s>", pair="$A </s> $B </s>", special_tokens=[("</s>", 1)])
    tokenizer = transformers.PreTrainedTokenizerFast(tokenizer_object=core, eos_token="</s>", pad_token="<pad>", unk_token="<unk>", model_max_length=20)
    specific = {"summarization": {"prefix": "summarize : ", "max_length": 9, "min_length": 3, "num_beams": 2, "length_penalty": 2.0},
                "translation": {"prefix": "translate : ", "max_length": 12}}  # fmt: skip
    config = transformers.T5Config(vocab_size=len(tokenizer), d_model=16, d_kv=4, d_ff=21, num_layers=1, num_heads=2, decoder_start_token_id=0,
                                   eos_token_id=1, pad_token_id=0, task_specific_params=specific)  # fmt: skip
    torch.manual_seed(11)
    model = transformers.T5ForConditionalGeneration(config).eval()
    for parameter in model.parameters():
        parameter.copy_(torch.randn_like(parameter) * 1.3)
    for task in ("text2text-generation", "summarization", "translation"):
        folder = ROOT / "pipelines" / task
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        # Loaded again: a pipeline changes its model's configuration.
        pipe = transformers.pipeline(task, model=transformers.T5ForConditionalGeneration.from_pretrained(folder), tokenizer=tokenizer)
        options = [{}, {"max_new_tokens": 6}, {"num_beams": 1, "max_new_tokens": 7, "max_length": 5}, {"num_beams": 3, "num_return_sequences": 2, "max_new_tokens": 5}]
        cases = [{"input": t, "options": o, "output": pipe(t, **o)} for o in options for t in SENTENCES]
        (folder / "expected.json").write_text(json.dumps({"task": task, "cases": cases}, indent=1) + "\n")
        print(task, cases[0]["output"])


def bert2bert_goldens():
    """A summary by BERT with BERT, whose decoder keeps no cache."""
    tokenizer = make_tokenizer()
    sizes = dict(vocab_size=len(tokenizer), hidden_size=24, num_hidden_layers=1, num_attention_heads=3, intermediate_size=29, max_position_embeddings=64)
    config = transformers.EncoderDecoderConfig.from_encoder_decoder_configs(
        transformers.BertConfig(**sizes), transformers.BertConfig(**sizes), decoder_start_token_id=tokenizer.cls_token_id,
        eos_token_id=tokenizer.sep_token_id, pad_token_id=tokenizer.pad_token_id, vocab_size=len(tokenizer))  # fmt: skip
    torch.manual_seed(12)
    model = transformers.EncoderDecoderModel(config).eval()
    for name, parameter in model.named_parameters():
        parameter.copy_(torch.randn_like(parameter) * (1.5 if "position" in name else 0.5) + (1.0 if name.endswith("LayerNorm.weight") else 0.0))
    folder = ROOT / "pipelines" / "summarization-bert2bert"
    model.save_pretrained(folder)
    (folder / "generation_config.json").unlink()
    tokenizer.save_pretrained(folder)
    (folder / "vocab.txt").unlink(missing_ok=True)
    pipe = transformers.pipeline("summarization", model=transformers.EncoderDecoderModel.from_pretrained(folder), tokenizer=tokenizer)
    options = [{"max_new_tokens": 6}, {"num_beams": 3, "max_new_tokens": 7, "min_new_tokens": 3, "length_penalty": 2.0}]
    cases = [{"input": t, "options": o, "output": pipe(t, **o)} for o in options for t in SENTENCES]
    (folder / "expected.json").write_text(json.dumps({"task": "summarization", "cases": cases}, indent=1) + "\n")
    print("bert2bert", cases[0]["output"], cases[3]["output"])


def main():
    transformers.logging.set_verbosity_error()
    torch.set_num_threads(1)
    out = ROOT / "generation" / "seq2seq"
    out.mkdir(parents=True, exist_ok=True)
    for name, (auto, pad) in MODELS.items():
        with tempfile.TemporaryDirectory() as scratch, torch.inference_mode():
            folder = materialize(ROOT / "golden" / name, pathlib.Path(scratch) / "model")
            model = auto.from_pretrained(folder).eval()
            inputs = inputs_of(name, model, pad)
            free = GenerationMixin.generate(model, **inputs, max_new_tokens=12, do_sample=False, eos_token_id=None)
            eos = [int(free[0, 5]), int(free[1, 8])]
            cases = []
            for options in calls(eos):
                found = GenerationMixin.generate(model, **inputs, do_sample=False, pad_token_id=pad, return_dict_in_generate=True,
                                                 output_scores=True, **options)
                case = {"options": options | {"pad_token_id": pad}, "sequences": found.sequences.tolist()}
                if "sequences_scores" in found:
                    case["scores"] = found.sequences_scores.tolist()
                cases.append(case)
        listed = {key: {"dims": list(value.shape), "values": value.flatten().tolist()} for key, value in inputs.items()}
        (out / f"{name}.json").write_text(json.dumps({"inputs": listed, "cases": cases}) + "\n")
        print(name, len(cases), [len(c["sequences"][0]) for c in cases])


if __name__ == "__main__":
    main()
    with torch.no_grad():
        pipelines_goldens()
        bert2bert_goldens()
