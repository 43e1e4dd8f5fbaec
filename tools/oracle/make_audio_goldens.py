"""Makes tests/data/audio: small recordings, their samples as soundfile reads them, and what transformers' feature
extractors make of them.

python tools/oracle/make_audio_goldens.py    (packages: tools/oracle/requirements.txt)
"""

import json
import pathlib

import numpy as np
import soundfile
import transformers

from make_image_goldens import Store

ROOT = pathlib.Path(__file__).resolve().parents[2] / "tests" / "data" / "audio"
rng = np.random.default_rng(11)


def recording(seconds, rate, channels=1):
    t = np.arange(int(seconds * rate)) / rate
    out = []
    for c in range(channels):
        wave = 0.4 * np.sin(2 * np.pi * (180 + 90 * c) * t) * np.sin(2 * np.pi * 3 * t) ** 2
        wave += 0.15 * np.sin(2 * np.pi * (900 + 700 * t) * t) + rng.normal(0, 0.03, t.size)
        out.append(wave)
    return np.stack(out, -1).astype(np.float32)


def main():
    ROOT.mkdir(parents=True, exist_ok=True)
    soundfile.write(ROOT / "speech.wav", recording(0.31, 16000), 16000, subtype="PCM_16")
    soundfile.write(ROOT / "stereo.flac", recording(0.12, 16000, 2), 16000, subtype="PCM_16")
    soundfile.write(ROOT / "float.wav", recording(0.05, 8000, 3), 8000, subtype="FLOAT")
    soundfile.write(ROOT / "speech.mp3", recording(0.25, 16000), 16000, format="MP3")
    soundfile.write(ROOT / "tone.ogg", recording(0.2, 22050), 22050, format="OGG", subtype="VORBIS")
    store, cases = Store(), {"decode": [], "extract": []}
    waves = {}
    for file in ("speech.wav", "stereo.flac", "float.wav", "speech.mp3"):
        samples, rate = soundfile.read(ROOT / file, dtype="float32", always_2d=True)
        waves[file] = samples.mean(1)
        cases["decode"].append({"audio": file, "sampling_rate": rate, "output": store.add(waves[file])})
    pair = ["speech.wav", "stereo.flac"]
    for kind, settings, files, options in [
        ("Wav2Vec2FeatureExtractor", {"do_normalize": True, "return_attention_mask": True}, pair, {"padding": True}),
        ("Wav2Vec2FeatureExtractor", {"do_normalize": True, "return_attention_mask": False}, pair, {"padding": True}),
        ("Wav2Vec2FeatureExtractor", {"do_normalize": False, "padding_value": 0.5}, pair, {"padding": True}),
        ("Wav2Vec2FeatureExtractor", {"do_normalize": True, "padding_side": "left", "return_attention_mask": True}, ["speech.wav"], {}),
        ("WhisperFeatureExtractor", {"chunk_length": 1, "feature_size": 20}, pair, {}),
        ("WhisperFeatureExtractor", {"chunk_length": 1, "feature_size": 16, "n_fft": 256, "hop_length": 100}, ["speech.wav"],
         {"return_attention_mask": True}),
        ("ASTFeatureExtractor", {"max_length": 40, "num_mel_bins": 24}, pair, {}),
        ("ASTFeatureExtractor", {"max_length": 9, "num_mel_bins": 32, "do_normalize": False}, ["speech.wav"], {}),
        ("SeamlessM4TFeatureExtractor", {"num_mel_bins": 24}, pair, {}),
        ("SeamlessM4TFeatureExtractor", {"padding_side": "left", "padding_value": 0.5, "num_mel_bins": 16}, pair, {}),
        ("WhisperFeatureExtractor", {}, ["speech.wav"], {"padding": "longest", "truncation": False, "return_attention_mask": True}),
    ]:
        extractor = getattr(transformers, kind)(**settings)
        output = extractor([waves[f] for f in files], sampling_rate=16000, return_tensors="np", **options)
        cases["extract"].append({"config": {"feature_extractor_type": kind, **settings}, "audio": files,
                                 "whole": options.get("padding") == "longest",
                                 "return_attention_mask": options.get("return_attention_mask"),
                                 "outputs": {k: store.add(v.astype(np.float32)) for k, v in output.items()}})
    (ROOT / "expected.bin").write_bytes(store.bytes)
    (ROOT / "cases.json").write_text(json.dumps(cases, indent=0) + "\n")
    print(len(store.bytes), "bytes;", sum(p.stat().st_size for p in ROOT.iterdir()), "in all")


if __name__ == "__main__":
    main()
