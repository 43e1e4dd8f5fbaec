"""Makes tests/data/pipelines/speech-recognition (a tiny Whisper and what transformers' pipeline hears with it), a longer
recording for it, and tests/data/whisper (how tokens with timestamps become text, and which may
follow).

python tools/oracle/make_whisper_goldens.py    (packages: tools/oracle/requirements.txt)
"""

import json

import numpy as np
import soundfile
import torch
import transformers as tr
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
from transformers.models.whisper.tokenization_whisper import _decode_asr

import make_audio_goldens
import make_media_pipeline_goldens as media

FOLDER = media.text.ROOT / "speech-recognition"
SPECIAL = ["<|endoftext|>", "<|startoftranscript|>", "<|en|>", "<|de|>", "<|fr|>", "<|translate|>", "<|transcribe|>", "<|startoflm|>",
           "<|startofprev|>", "<|nospeech|>", "<|notimestamps|>"]
TIMES = [f"<|{i * 0.02:.2f}|>" for i in range(51)]
WORDS = ["the", "cat", "sat", "on", "mat", "is", "a", "Hello", "yes", "no", "1", "2", ".", ",", "?", "é"]


def make_tokenizer():
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocab = {letter: i for i, letter in enumerate(letters)}
    merges = []
    for word in WORDS:
        pieces = list(pre_tokenizers.ByteLevel(add_prefix_space=False).pre_tokenize_str(" " + word)[0][0])
        while len(pieces) > 1:
            merges.append((pieces[0], pieces[1]))
            pieces[:2] = [pieces[0] + pieces[1]]
            vocab.setdefault(pieces[0], len(vocab))
    merges = list(dict.fromkeys(merges))
    engine = Tokenizer(models.BPE(vocab, merges))
    engine.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    engine.decoder = decoders.ByteLevel()
    engine.add_special_tokens([AddedToken(t, special=True, normalized=False) for t in SPECIAL])
    engine.add_tokens([AddedToken(t, special=False, normalized=False) for t in TIMES])
    return tr.WhisperTokenizerFast(tokenizer_object=engine, unk_token="<|endoftext|>", bos_token="<|endoftext|>", eos_token="<|endoftext|>",
                                   pad_token="<|endoftext|>", additional_special_tokens=SPECIAL[1:], clean_up_tokenization_spaces=True)


def make_model(tokenizer):
    ids = {t: tokenizer.convert_tokens_to_ids(t) for t in SPECIAL}
    config = tr.WhisperConfig(vocab_size=len(tokenizer), num_mel_bins=16, d_model=24, encoder_layers=1, decoder_layers=2,
                              encoder_attention_heads=3, decoder_attention_heads=3, encoder_ffn_dim=29, decoder_ffn_dim=31,
                              max_source_positions=50, max_target_positions=270, decoder_start_token_id=ids["<|startoftranscript|>"],
                              pad_token_id=ids["<|endoftext|>"], bos_token_id=ids["<|endoftext|>"], eos_token_id=ids["<|endoftext|>"],
                              suppress_tokens=None, begin_suppress_tokens=None)
    model = media.randomized(tr.WhisperForConditionalGeneration, config, 41, 0.35)
    generation = model.generation_config
    settings = dict(is_multilingual=True, lang_to_id={t: ids[t] for t in SPECIAL[2:5]},
                      task_to_id={"transcribe": ids["<|transcribe|>"], "translate": ids["<|translate|>"]},
                      no_timestamps_token_id=ids["<|notimestamps|>"], prev_sot_token_id=ids["<|startofprev|>"], max_initial_timestamp_index=25,
                      begin_suppress_tokens=[220 % len(tokenizer), ids["<|endoftext|>"]], suppress_tokens=[5, 17, *(ids[t] for t in SPECIAL[1:])],
                      return_timestamps=False, max_length=270, decoder_start_token_id=ids["<|startoftranscript|>"])
    for key, value in settings.items():
        setattr(generation, key, value)
    with torch.no_grad():  # Words and times rather than letters, and an end before long.
        head = model.proj_out.weight
        first_word = len(pre_tokenizers.ByteLevel.alphabet())
        head[:first_word] *= 0.3
        head[ids["<|endoftext|>"]] *= 1.3
    return model


def pipelines(tokenizer):
    long = make_audio_goldens.ROOT / "long.mp3"
    if not long.exists():
        soundfile.write(long, make_audio_goldens.recording(2.6, 16000), 16000, format="MP3")
    files = [{"audio": f} for f in ("speech.wav", "stereo.flac", "long.mp3")]
    few = {"max_new_tokens": 14}
    calls = [(files[0], {}), (files[0], {"generate_kwargs": few}), (files[1], {"generate_kwargs": {**few, "num_beams": 1}}),
             (files[0], {"generate_kwargs": {**few, "language": "german", "task": "translate"}}),
             (files[0], {"generate_kwargs": {**few, "language": "<|fr|>"}, "return_language": True}),
             (files[0], {"generate_kwargs": few, "return_timestamps": True}),
             (files[1], {"generate_kwargs": {**few, "num_beams": 1}, "return_timestamps": True, "return_language": True}),
             (files[2], {"generate_kwargs": few, "return_timestamps": True}),
             (files[2], {"generate_kwargs": {**few, "num_beams": 1}, "return_timestamps": True}),
             (files[2], {"generate_kwargs": {**few, "num_beams": 1, "condition_on_prev_tokens": True}, "return_timestamps": True}),
             (files[2], {"generate_kwargs": few, "chunk_length_s": 1.0}),
             (files[2], {"generate_kwargs": {**few, "num_beams": 1}, "chunk_length_s": 1.0, "stride_length_s": [0.2, 0.1], "return_timestamps": True})]
    # Heard again by what zlib, the probabilities and silence say. Of what is drawn, the likeliest alone: top_k 1.
    again = {**few, "top_k": 1, "temperature": [0.0, 0.4, 0.8]}
    calls += [(files[2], {"generate_kwargs": {**again, **more}, "return_timestamps": True}) for more in (
        {"logprob_threshold": -2.0, "compression_ratio_threshold": 2.4, "no_speech_threshold": 0.6},
        {"temperature": [0.0, 0.6], "compression_ratio_threshold": 1.5, "condition_on_prev_tokens": True},
        {"logprob_threshold": -2.33, "compression_ratio_threshold": 1.25, "condition_on_prev_tokens": True},
        {"num_beams": 1, "logprob_threshold": -2.3, "no_speech_threshold": 0.002},
        {"temperature": 0.7})]
    media.write("speech-recognition", "automatic-speech-recognition", make_model(tokenizer), calls, tokenizer=tokenizer,
                feature_extractor=tr.WhisperFeatureExtractor(feature_size=16, chunk_length=1))
    for name in ("vocab.json", "merges.txt", "normalizer.json", "added_tokens.json"):
        (FOLDER / name).unlink(missing_ok=True)


def texts(tokenizer):
    rng = np.random.default_rng(5)
    ids = {t: tokenizer.convert_tokens_to_ids(t) for t in SPECIAL}
    zero = tokenizer.convert_tokens_to_ids(TIMES[0])
    plain = [tokenizer.convert_tokens_to_ids(t) for t in tokenizer("the cat sat on mat is a yes no . , ?").tokens()]
    cases = []
    for number in range(60):
        timestamps = bool(rng.integers(2))
        parts, tail = [], []
        for part in range(rng.integers(1, 4)):
            tokens = [ids["<|startoftranscript|>"], ids[SPECIAL[rng.integers(2, 5)] if number % 3 else "<|en|>"], ids["<|transcribe|>"]]
            if number % 7 == 0:
                tokens = [ids["<|startofprev|>"], *plain[:3], *tokens]
            tokens += tail if rng.integers(2) else []
            time = int(rng.integers(0, 5))
            for _ in range(rng.integers(1, 4)):
                words = [plain[i] for i in rng.integers(0, len(plain), rng.integers(1, 5))]
                if timestamps:
                    later = time + int(rng.integers(0, 14))
                    tokens += [zero + time, *words, zero + later] if rng.integers(8) else [zero + time, *words]
                    time = later + int(rng.integers(0, 3)) if rng.integers(6) else int(rng.integers(0, 8))
                else:
                    tokens += words
                tail = words[-2:]
            tokens += [ids["<|endoftext|>"]] if rng.integers(2) else []
            out = {"tokens": [min(t, zero + 50) for t in tokens]}
            if number % 2:
                out["stride"] = [1.0, 0.0 if part == 0 else 0.2, 0.1]
            parts.append(out)
        outputs = [{"tokens": np.array([p["tokens"]]), **({"stride": tuple(p["stride"])} if "stride" in p else {})} for p in parts]
        text, optional = _decode_asr(tokenizer, outputs, return_timestamps=timestamps, return_language=True, time_precision=0.02)
        cases.append({"parts": parts, "timestamps": timestamps, "text": text, "chunks": media.plain(optional["chunks"])})
    folder = media.DATA / "whisper"
    folder.mkdir(exist_ok=True)
    (folder / "text.json").write_text(json.dumps(cases) + "\n")


def rules():
    """What WhisperTimeStampLogitsProcessor forbids: 20 words, the end, <|notimestamps|>, 12 times."""
    rng = np.random.default_rng(9)
    cases = []
    for number in range(50):
        config = tr.GenerationConfig(eos_token_id=20, bos_token_id=20)
        config.no_timestamps_token_id = 21
        config.max_initial_timestamp_index = 4 if number % 2 else None
        generated = []
        for _ in range(number % 6):
            generated.append(int(rng.integers(0, 20)) if rng.integers(2) else int(rng.integers(22, 34)))
        scores = np.round(rng.normal(0, 1.5, 34), 3)
        scores[22:] += rng.choice([-2, 0, 2])
        processor = tr.WhisperTimeStampLogitsProcessor(config, begin_index=3)
        out = processor(torch.tensor([[1, 2, 3, *generated]]), torch.tensor(scores[None], dtype=torch.float32))[0]
        cases.append({"generated": generated, "scores": scores.tolist(), "max_initial_timestamp_index": config.max_initial_timestamp_index,
                      "allowed": torch.isfinite(out).nonzero()[:, 0].tolist()})
    (media.DATA / "whisper" / "rules.json").write_text(json.dumps(cases) + "\n")


def main():
    tokenizer = make_tokenizer()
    pipelines(tokenizer)
    texts(tokenizer)
    rules()


if __name__ == "__main__":
    main()
