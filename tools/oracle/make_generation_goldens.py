#!/usr/bin/env python3
"""Makes tests/data/generation: what transformers' generate() continues for the tiny decoders of tests/data/golden, and
what each of its logits processors makes of random scores.

    python tools/oracle/make_generation_goldens.py    (packages: tools/oracle/requirements.txt)

Diverse beam search is no part of transformers 4.57 any more, but its scorer is: group_beam_search() below drives it as
transformers 4.48 did.
"""

import json
import pathlib
import warnings

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (AutoModelForCausalLM, GenerationConfig, GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast,
                          pipeline)
from transformers.generation import logits_process, stopping_criteria
from transformers.generation.beam_search import BeamSearchScorer
from transformers.utils import logging

ROOT = pathlib.Path(__file__).resolve().parents[2] / "tests" / "data"
MODELS = ["gpt2", "llama", "qwen2", "mistral", "gemma", "gemma2", "bloom", "opt", "falcon"]
EAGER = ("bloom", "gemma2")
PAD = 0
PROMPT = [[7, 3, 19, 22, 5, 3]]
BATCH = [[4, 11, 30, 8, 9, 21, 2], [0, 0, 0, 17, 6, 33, 1], [0, 0, 0, 0, 0, 12, 40]]


def calls(eos):
    """(rows, options); `eos` are tokens that greedy search comes across."""
    ends = {"eos_token_id": eos, "pad_token_id": PAD, "max_new_tokens": 16}
    beams = ends | {"num_beams": 4}
    for rows in (PROMPT, BATCH):
        yield rows, {"max_new_tokens": 12}
        yield rows, ends
        yield rows, beams
        yield rows, beams | {"num_return_sequences": 3, "length_penalty": 2.0}
        yield rows, beams | {"num_beam_groups": 2, "diversity_penalty": 0.7, "num_return_sequences": 4}
    # With padding, transformers computes other positions for later chunks than it does for a prompt as a whole.
    yield [BATCH[0]], ends | {"eos_token_id": eos[0], "prefill_chunk_size": 3}
    yield BATCH, ends | {"repetition_penalty": 1.4, "no_repeat_ngram_size": 2, "min_new_tokens": 6}
    yield BATCH, {"max_length": 13, "forced_eos_token_id": 39, "suppress_tokens": [3, 4, eos[0]], "begin_suppress_tokens": [8]}
    yield BATCH, {"max_new_tokens": 9, "bad_words_ids": [[eos[0]], [3, eos[1]]], "pad_token_id": PAD,
                  "sequence_bias": [[[5], 1.5], [[9, 11], 4.0]], "encoder_repetition_penalty": 1.3}
    yield BATCH, ends | {"min_length": 12, "exponential_decay_length_penalty": [2, 1.3], "encoder_no_repeat_ngram_size": 1,
                         "renormalize_logits": True, "remove_invalid_values": True}
    yield BATCH, beams | {"early_stopping": True}
    yield BATCH, beams | {"early_stopping": "never", "length_penalty": 0.5, "num_return_sequences": 2}
    yield BATCH, beams | {"early_stopping": True, "length_penalty": -1.0, "num_beams": 3, "num_return_sequences": 3}
    yield BATCH, beams | {"repetition_penalty": 1.2, "no_repeat_ngram_size": 2, "num_return_sequences": 4}
    yield BATCH, {"max_new_tokens": 7, "num_beams": 3, "num_return_sequences": 2}
    yield BATCH, beams | {"eos_token_id": eos[0], "num_beams": 6, "num_beam_groups": 3, "diversity_penalty": 1.1,
                          "num_return_sequences": 6, "early_stopping": True, "length_penalty": 0.3}


def group_beam_search(model, ids, mask, config):
    """transformers 4.48, generation/utils.py, _group_beam_search."""
    batch, prompt = ids.shape
    beams, groups = config.num_beams, config.num_beam_groups
    size = beams // groups
    eos = torch.tensor(config.eos_token_id).reshape(-1)
    limit = prompt + config.max_new_tokens
    scorer = BeamSearchScorer(batch_size=batch, num_beams=beams, device="cpu", length_penalty=config.length_penalty,
                              do_early_stopping=config.early_stopping, num_beam_hyps_to_keep=config.num_return_sequences,
                              num_beam_groups=groups, max_length=limit)
    diversity = logits_process.HammingDiversityLogitsProcessor(config.diversity_penalty, beams, groups)
    done = stopping_criteria.StoppingCriteriaList(
        [stopping_criteria.MaxLengthCriteria(limit), stopping_criteria.EosTokenCriteria(config.eos_token_id)])
    ids, mask = ids.repeat_interleave(beams, 0), mask.repeat_interleave(beams, 0)
    scores = torch.full((batch, beams), -1e9)
    scores[:, ::size] = 0
    scores = scores.reshape(-1)
    while True:
        current = torch.zeros(batch * beams, dtype=torch.long)
        positions = (mask.cumsum(-1) - 1).clamp(min=0)
        extra = {"position_ids": positions} if model.config.model_type not in ("bloom", "opt") else {}
        logits = model(input_ids=ids, attention_mask=mask, use_cache=False, **extra).logits[:, -1].float()
        for group in range(groups):
            begin = group * size
            rows = [b * beams + i for b in range(batch) for i in range(begin, begin + size)]
            of_group = ids[rows]
            log_p = torch.log_softmax(logits[rows], -1)
            log_p = diversity(of_group, log_p, current_tokens=current, beam_group_idx=group) + scores[rows][:, None]
            vocabulary = log_p.shape[-1]
            best, tokens = torch.topk(log_p.view(batch, -1), max(2, 1 + len(eos)) * size, dim=1)
            parents, tokens = tokens // vocabulary, tokens % vocabulary
            out = scorer.process(of_group, best, tokens, parents, pad_token_id=torch.tensor(config.pad_token_id),
                                 eos_token_id=eos, group_index=group, decoder_prompt_len=prompt)
            scores[rows] = out["next_beam_scores"]
            ids[rows] = of_group[out["next_beam_indices"]]
            current[rows] = out["next_beam_tokens"]
        ids = torch.cat([ids, current[:, None]], -1)
        mask = torch.cat([mask, mask.new_ones(len(mask), 1)], -1)
        if scorer.is_done or all(done(ids, None)):
            break
    out = scorer.finalize(ids, scores, tokens, parents, max_length=limit, pad_token_id=torch.tensor(config.pad_token_id),
                          eos_token_id=eos, decoder_prompt_len=prompt)
    return out["sequences"], out["sequence_scores"]


def as_transformers(options):
    out = dict(options)
    if "sequence_bias" in out:
        out["sequence_bias"] = {tuple(ids): bias for ids, bias in out["sequence_bias"]}
    return out


def generate(model, rows, options):
    ids = torch.tensor(rows)
    mask = (ids != PAD).long()
    config = GenerationConfig(**as_transformers(options))
    if config.num_beam_groups > 1:
        sequences, scores = group_beam_search(model, ids, mask, config)
    else:
        out = model.generate(input_ids=ids, attention_mask=mask, generation_config=config, use_model_defaults=False,
                             output_scores=True, return_dict_in_generate=True)
        sequences, scores = out.sequences, getattr(out, "sequences_scores", None)
    case = {"input_ids": rows, "options": options, "sequences": sequences.tolist()}
    if scores is not None:
        case["scores"] = [float(f"{score:.6g}") for score in scores.tolist()]
    return case


def write(file, cases):
    file.parent.mkdir(parents=True, exist_ok=True)
    lines = ",\n".join(json.dumps(case, separators=(",", ":")) for case in cases)
    file.write_text(f"[\n{lines}\n]\n")


def causal():
    for name in MODELS:
        model = AutoModelForCausalLM.from_pretrained(ROOT / "golden" / f"{name}-text-generation-with-past",
                                                     attn_implementation="eager" if name in EAGER else "sdpa").eval()
        model.generation_config = GenerationConfig()
        greedy = generate(model, BATCH, {"max_new_tokens": 12})["sequences"]
        eos = sorted({greedy[0][len(BATCH[0]) + 5], greedy[1][len(BATCH[0]) + 2]})
        eos = eos if len(eos) > 1 else [eos[0], 40 if eos[0] != 40 else 38]
        write(ROOT / "generation" / "causal" / f"{name}.json", [generate(model, *call) for call in calls(eos)])


PROCESSORS = [
    {"sequence_bias": [[[5], 1.5], [[9, 11], -4.0], [[2, 3, 4, 7, 4, 8, 9], 3.0]]},
    {"encoder_repetition_penalty": 1.3}, {"repetition_penalty": 1.7}, {"repetition_penalty": 0.6},
    {"no_repeat_ngram_size": 1}, {"no_repeat_ngram_size": 2}, {"no_repeat_ngram_size": 3}, {"encoder_no_repeat_ngram_size": 2},
    {"bad_words_ids": [[5], [9, 11], [2]], "eos_token_id": 2}, {"min_length": 8, "eos_token_id": [2, 3]},
    {"min_new_tokens": 3, "eos_token_id": 2}, {"forced_bos_token_id": 4}, {"forced_eos_token_id": [4, 6], "max_length": 7},
    {"forced_eos_token_id": 4, "max_length": 9}, {"remove_invalid_values": True},
    {"exponential_decay_length_penalty": [1, 1.5], "eos_token_id": [2, 7]}, {"suppress_tokens": [1, 2, 30]},
    {"begin_suppress_tokens": [3, 5]}, {"renormalize_logits": True},
    {"do_sample": True, "temperature": 0.6}, {"do_sample": True, "top_k": 5}, {"do_sample": True, "top_k": 500},
    {"do_sample": True, "top_p": 0.7}, {"do_sample": True, "top_p": 0.01}, {"do_sample": True, "min_p": 0.2},
    {"do_sample": True, "typical_p": 0.6}, {"do_sample": True, "typical_p": 0.05}, {"do_sample": True, "epsilon_cutoff": 0.04},
    {"do_sample": True, "eta_cutoff": 0.05},
    {"do_sample": True, "temperature": 1.7, "top_k": 9, "top_p": 0.8, "typical_p": 0.9, "min_p": 0.02, "epsilon_cutoff": 0.01,
     "eta_cutoff": 0.01, "renormalize_logits": True, "repetition_penalty": 1.2},
    {"do_sample": True, "num_beams": 3, "top_k": 1, "eos_token_id": [2, 3]},
    {"do_sample": True, "num_beams": 3, "top_p": 0.05, "eos_token_id": 2},
    {"do_sample": True, "num_beams": 3, "min_p": 0.9}, {"do_sample": True, "num_beams": 3, "typical_p": 0.01},
    {"do_sample": True, "num_beams": 3, "epsilon_cutoff": 0.5}, {"do_sample": True, "num_beams": 3, "eta_cutoff": 0.5},
]  # fmt: skip


def processors():
    """Each with a sequence that has grown by two tokens, by none, and of one token."""
    model = AutoModelForCausalLM.from_pretrained(ROOT / "golden" / "gpt2-text-generation-with-past").eval()
    generator = torch.Generator().manual_seed(5)
    cases = []
    for options in PROCESSORS:
        for ids, prompt in (([9, 2, 3, 4, 7, 9], 4), ([8, 2, 9], 3), ([6], 1)):
            config = GenerationConfig(**{"top_k": 0, "max_length": 20} | as_transformers(options))
            model._prepare_special_tokens(config, kwargs_has_attention_mask=True, device="cpu")
            scores = torch.randn(1, 31, generator=generator) * 2
            if "remove_invalid_values" in options:
                scores[0, :3] = torch.tensor([float("nan"), float("inf"), -float("inf")])
            encoder = torch.tensor([ids[:prompt]])
            made = model._get_logits_processor(generation_config=config, input_ids_seq_length=prompt, encoder_input_ids=encoder,
                                               prefix_allowed_tokens_fn=None, logits_processor=[], device="cpu")
            after = made(torch.tensor([ids]), scores.clone())
            show = lambda row: [x if abs(x) < 1e37 else str(x) for x in (float(f"{x:.9g}") for x in row)]  # noqa: E731
            cases.append({"options": options, "ids": ids, "prompt": prompt, "max_length": config.max_length,
                          "scores": show(scores[0].tolist()), "expected": show(after[0].tolist())})
    write(ROOT / "generation" / "processors.json", cases)


TEMPLATE = ("{% for m in messages %}<|{{ m['role'] }}|>{{ m['content'] | trim }}<|end|>{% endfor %}"
            "{% if add_generation_prompt %}<|assistant|>{% endif %}")  # fmt: skip
TEXTS = ["The cat sat on the mat.", "blue sky, red dog: é 漢 😀", "john works"]


def text_generation():
    """tests/data/pipelines/text-generation: a GPT-2 with a tokenizer and a chat template of its own."""
    core = Tokenizer(models.BPE())
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    special = ["<|end|>", "<|user|>", "<|assistant|>", "<pad>"]
    core.train_from_iterator(TEXTS * 3, trainers.BpeTrainer(
        vocab_size=310, special_tokens=special, initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()), show_progress=False))
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=core, eos_token="<|end|>", bos_token="<|end|>", pad_token="<pad>",
                                        model_max_length=64, chat_template=TEMPLATE)
    torch.manual_seed(3)
    model = GPT2LMHeadModel(GPT2Config(vocab_size=len(tokenizer), n_embd=24, n_layer=2, n_head=3, n_positions=64,
                                       bos_token_id=0, eos_token_id=0)).eval()
    for name, parameter in model.named_parameters():
        if "ln_" not in name:
            parameter.copy_(torch.randn_like(parameter) * 0.6)
    model.transformer.wte.weight[4:260] *= 0.5  # bytes alone come less often than words
    folder = ROOT / "pipelines" / "text-generation"
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    (folder / "chat_template.jinja").unlink(missing_ok=True)
    settings = json.loads((folder / "tokenizer_config.json").read_text())
    (folder / "tokenizer_config.json").write_text(json.dumps(settings | {"chat_template": TEMPLATE}, indent=2) + "\n")
    pipe = pipeline("text-generation", model=model, tokenizer=tokenizer)
    greedy = {"do_sample": False, "max_new_tokens": 9}
    beams = greedy | {"num_beams": 3}
    chat = [{"role": "user", "content": "The cat"}]
    prefilled = [*chat, {"role": "assistant", "content": " sat on "}]
    calls = [(t, greedy) for t in TEXTS] + [
        ("", greedy), (TEXTS[1], greedy | {"return_full_text": False}),
        (TEXTS[1], beams | {"num_return_sequences": 2}), (TEXTS[0], greedy | {"return_tensors": True}),
        (TEXTS[2], greedy | {"prefix": "dog:", "skip_special_tokens": False}),
        (TEXTS[0], greedy | {"repetition_penalty": 1.5, "clean_up_tokenization_spaces": False}),
        (TEXTS[0], greedy | {"stop_sequence": "ks", "max_new_tokens": 40}),
        (chat, greedy), (chat, greedy | {"return_full_text": False}), (prefilled, greedy), (TEXTS[:2], beams)]  # fmt: skip
    cases = [{"input": i, "options": o, "output": pipe(i, **o)} for i, o in calls]
    (folder / "expected.json").write_text(
        json.dumps({"task": "text-generation", "cases": cases}, indent=1, ensure_ascii=False) + "\n")


def main():
    torch.set_num_threads(1)
    logging.set_verbosity_error()
    warnings.filterwarnings("ignore")
    with torch.no_grad():
        processors()
        causal()
        text_generation()


if __name__ == "__main__":
    main()
