"""Milliseconds of one call of transformers' slow processors, on one thread; the files are made if they are missing.

python bench/preprocess.py PICTURE RECORDING
"""

import pathlib
import statistics
import sys
import time

import numpy as np
import soundfile
import torch
import transformers as tr
from PIL import Image
from transformers.image_utils import load_image

torch.set_num_threads(1)


def make_files(picture, recording):
    rng = np.random.default_rng(0)
    if not picture.exists():
        y, x = np.mgrid[0:1080, 0:1920].astype(float)
        planes = np.stack([120 + 90 * np.sin(x / (37 + c)) * np.cos(y / (51 - c)) for c in range(3)], -1)
        Image.fromarray(np.clip(planes + rng.normal(0, 10, planes.shape), 0, 255).astype(np.uint8)).save(picture, quality=85)
    if not recording.exists():
        t = np.arange(30 * 16000) / 16000
        soundfile.write(recording, 0.3 * np.sin(2 * np.pi * 220 * t * (1 + 0.1 * np.sin(t))) + rng.normal(0, 0.03, t.size), 16000)


def measure(what, body):
    times = []
    for _ in range(15):
        begin = time.perf_counter()
        body()
        times.append((time.perf_counter() - begin) * 1000)
    print(f"{what:28} {statistics.median(times):8.2f} ms", flush=True)


def main():
    picture, recording = map(pathlib.Path, sys.argv[1:])
    make_files(picture, recording)
    image = load_image(str(picture))
    measure("read picture", lambda: load_image(str(picture)))
    for name, processor in [("ViT", tr.ViTImageProcessor()), ("CLIP", tr.CLIPImageProcessor()),
                            ("ConvNext", tr.ConvNextImageProcessor(size={"shortest_edge": 224})), ("DETR", tr.DetrImageProcessor())]:
        measure(name, lambda: processor(image, return_tensors="np"))
    samples, _ = soundfile.read(recording, dtype="float32")
    whisper, wav2vec2 = tr.WhisperFeatureExtractor(), tr.Wav2Vec2FeatureExtractor()
    measure("Whisper, 30 s", lambda: whisper(samples, sampling_rate=16000, return_tensors="np"))
    measure("Wav2Vec2, 30 s", lambda: wav2vec2(samples, sampling_rate=16000, return_tensors="np"))


if __name__ == "__main__":
    main()
