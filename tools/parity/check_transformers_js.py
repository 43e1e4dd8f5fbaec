#!/usr/bin/env python3
"""transformers.js, in Node and in headless Chromium, on folders that ferry wrote: the answers are ferry's own.

usage: check_transformers_js.py FERRY_BINARY [--cache FOLDER] [--only TEXT] [--without-browser]
Needs node and npm (the package @huggingface/transformers is installed into the cache) and chromium.
"""

import argparse
import http.server
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import threading

import numpy as np
import soundfile
from common import EXAMPLE, ROOT, Ferry, Mismatch, Table, expect
from PIL import Image

VERSION = "4.3.1"
HERE = pathlib.Path(__file__).resolve().parent / "transformers_js"
PIPELINES = ROOT / "tests" / "data" / "pipelines"
# The wasm backend sums in another order than the native one; random models amplify it.
TOLERANCE = 2e-4

# name: task, checkpoint, input as ferry run takes it, options of transformers.js.
CASES = {
    "question-answering": ("question-answering", EXAMPLE, {"question": "What am I using?", "context": "Using DistilBERT with ONNX Runtime!"}, {}),
    "feature-extraction": ("feature-extraction", PIPELINES / "feature-extraction", "The quick brown fox.", {"pooling": "mean", "normalize": True}),
    "text-classification": ("text-classification", PIPELINES / "text-classification", "a fine day", {}),
    "fill-mask": ("fill-mask", PIPELINES / "fill-mask", None, {}),
    "image-classification": ("image-classification", PIPELINES / "image-classification", {"image": "picture.png"}, {"top_k": 5}),
    "zero-shot-image-classification": (
        "zero-shot-image-classification", PIPELINES / "zero-shot-image-classification",
        {"image": "picture.png", "candidate_labels": ["a cat", "the dog house", "politics"]},
        {"hypothesis_template": "This is a photo of {}."},  # transformers.js has no full stop in its own
    ),
    "audio-classification": ("audio-classification", PIPELINES / "audio-classification", {"audio": "recording.wav"}, {"top_k": 5}),
}
# Precisions of one export (ferry export onnx --dtypes), each loaded by its name.
DTYPES = ("fp32", "fp16", "q8", "int8", "uint8", "q4", "q4f16")
DTYPE_CASES = ("question-answering", "text-classification")
# In half precision the two sides round other intermediate results. Of q4, wasm multiplies the activations as floats where
# the native kernel (accuracy_level 4) rounds them to 8 bits.
ROUNDED_TOLERANCE = 3e-2


def first_input(folder: pathlib.Path):
    """The first input of the pipeline's golden case that transformers.js can take, too."""
    return json.loads((folder / "expected.json").read_text())["cases"][0]["input"]


def write_media(folder: pathlib.Path) -> list[float]:
    """A picture of the size that the model takes, so that no two resizing filters are compared, and a recording."""
    preprocessor = folder / "preprocessor_config.json"
    if not preprocessor.exists():
        return []
    config = json.loads(preprocessor.read_text())
    if "sampling_rate" in config:
        samples = np.sin(np.arange(4000) ** 1.3 / 40) * np.linspace(0.1, 0.5, 4000)
        soundfile.write(folder / "recording.wav", samples, config["sampling_rate"], subtype="FLOAT")
        return soundfile.read(folder / "recording.wav", dtype="float32")[0].tolist()
    size = config.get("crop_size") or config["size"]
    height, width = (size["height"], size["width"]) if isinstance(size, dict) else (size, size)
    y, x = np.mgrid[0:height, 0:width]
    picture = np.stack([(x * 37 + y * 11) % 256, (x * y) % 256, (x * 5 + y * 53) % 256], -1).astype(np.uint8)
    Image.fromarray(picture).save(folder / "picture.png")
    return []


def install(cache: pathlib.Path) -> pathlib.Path:
    package = cache / "node_modules" / "@huggingface" / "transformers"
    if not package.exists():
        cache.mkdir(parents=True, exist_ok=True)
        subprocess.run(["npm", "install", "--ignore-scripts", "--no-audit", "--no-fund", "--silent", f"@huggingface/transformers@{VERSION}"], cwd=cache, check=True)
    return package


def in_node(package: pathlib.Path, models: pathlib.Path, cases: list) -> dict:
    command = ["node", str(HERE / "node.mjs"), str(package / "dist" / "transformers.node.mjs"), f"{models}/"]
    result = subprocess.run(command, input=json.dumps(cases), capture_output=True, text=True, timeout=600)
    if result.returncode != 0:
        raise Mismatch(result.stderr.strip()[-400:])
    return json.loads(result.stdout)


class Site(http.server.SimpleHTTPRequestHandler):
    """The page, the packages, the models; takes the answers back. Isolated, as threads in wasm need it."""

    places: dict[str, pathlib.Path] = {}
    cases: bytes = b""
    answers: dict = {}
    done = threading.Event()

    def end_headers(self):
        self.send_header("Cross-Origin-Opener-Policy", "same-origin")
        self.send_header("Cross-Origin-Embedder-Policy", "require-corp")
        super().end_headers()

    def translate_path(self, path):
        path = path.split("?")[0]
        for prefix, folder in self.places.items():
            if path.startswith(prefix):
                return str(folder / path[len(prefix) :])
        return str(HERE / path.lstrip("/"))

    def do_GET(self):
        if self.path != "/cases.json":
            return super().do_GET()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(self.cases)

    def do_POST(self):
        Site.answers = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.send_response(204)
        self.end_headers()
        Site.done.set()

    def log_message(self, *arguments):
        if os.environ.get("PARITY_TRACE"):
            super().log_message(*arguments)


def in_browser(cache: pathlib.Path, models: pathlib.Path, cases: list) -> dict:
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    expect(chromium is not None, "there is no chromium here")
    Site.extensions_map = {**Site.extensions_map, ".mjs": "text/javascript", ".wasm": "application/wasm"}
    Site.places = {"/node_modules/": cache / "node_modules", "/models/": models}
    Site.cases = json.dumps(cases).encode()
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Site)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with tempfile.TemporaryDirectory(prefix="ferry-chromium-") as profile:
        command = [chromium, "--headless=new", "--no-sandbox", "--disable-gpu", f"--user-data-dir={profile}", f"http://127.0.0.1:{server.server_port}/index.html"]
        browser = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            expect(Site.done.wait(300), "the page gave no answer in 300 s")
        finally:
            browser.terminate()
            browser.wait()
            server.shutdown()
    expect("error" not in Site.answers, str(Site.answers.get("error")))
    return Site.answers


def by_ferry(ferry: Ferry, task: str, folder: pathlib.Path, value, options: dict, *more: str):
    command = [ferry.binary, "run", task, str(folder), "--input", "-", "--options", json.dumps(options), "-q", *more]
    result = subprocess.run(command, input=json.dumps(value) + "\n", capture_output=True, text=True)
    if result.returncode != 0:
        raise Mismatch(result.stderr.strip())
    return json.loads(result.stdout)


def numbers_and_texts(answer) -> tuple[list, list]:
    """Scores and the words that both sides name alike; other keys differ by client (token, index, start)."""
    numbers, texts = [], []

    def walk(value, key=""):
        if isinstance(value, dict):
            for name in ("label", "answer", "text", "token_str", "score", "word", "entity", "generated_text"):
                if name in value:
                    walk(value[name], name)
        elif isinstance(value, list):
            for item in value:
                walk(item, key)
        elif isinstance(value, (int, float)):
            numbers.append(float(value))
        elif isinstance(value, str):
            texts.append(value)

    walk(answer)
    return numbers, texts


def compare(ours, theirs, tolerance: float) -> str:
    expect(not (isinstance(theirs, dict) and "error" in theirs), str(theirs.get("error") if isinstance(theirs, dict) else ""))
    (our_numbers, our_texts), (their_numbers, their_texts) = numbers_and_texts(ours), numbers_and_texts(theirs)
    # transformers.js decodes an answer's tokens where the reference cuts it out of the text: case is lost.
    expect([text.lower() for text in our_texts] == [text.lower() for text in their_texts], f"texts differ: {our_texts} and {their_texts}")
    expect(len(our_numbers) == len(their_numbers) > 0 or our_texts != [], f"{len(our_numbers)} and {len(their_numbers)} numbers")
    worst = max((abs(a - b) for a, b in zip(our_numbers, their_numbers)), default=0.0)
    expect(worst < tolerance, f"differs by {worst:.1e}")
    return f"{len(our_numbers)} numbers, max difference {worst:.1e}; {len(our_texts)} texts"


def mean_pooled(vectors) -> list:
    """What pooling: "mean", normalize: true makes of one text's token vectors."""
    sums = [sum(column) / len(vectors[0]) for column in zip(*vectors[0])]
    norm = sum(v * v for v in sums) ** 0.5
    return [[v / norm for v in sums]]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("ferry")
    parser.add_argument("--cache", type=pathlib.Path, default=pathlib.Path.home() / ".cache" / "ferry-parity" / "js")
    parser.add_argument("--only", default="")
    parser.add_argument("--without-browser", action="store_true")
    arguments = parser.parse_args()
    ferry, table = Ferry(str(pathlib.Path(arguments.ferry).resolve())), Table()
    package = install(arguments.cache)
    with tempfile.TemporaryDirectory(prefix="ferry-parity-") as temporary:
        models, cases, ours = pathlib.Path(temporary), [], {}
        for name, (task, checkpoint, value, options) in CASES.items():
            if arguments.only not in name:
                continue
            value = first_input(checkpoint) if value is None else value
            ferry.export(checkpoint, models / name)
            recording = write_media(models / name)
            asked = value
            if isinstance(value, dict) and "image" in value:
                asked = value | {"image": str(models / name / value["image"])}
            if isinstance(value, dict) and "audio" in value:
                asked, value = {"audio": str(models / name / value["audio"])}, recording
            ours[name] = by_ferry(ferry, task, models / name, asked, options if task != "feature-extraction" else {})
            if task == "feature-extraction":
                ours[name] = mean_pooled(ours[name])
            cases.append({"name": name, "task": task, "model": name, "input": value, "options": options, "dtype": "fp32", "subfolder": ""})
            if name not in DTYPE_CASES:
                continue
            ferry.export(checkpoint, models / f"{name}-dtypes", "--dtypes", ",".join(DTYPES))
            for dtype in DTYPES:
                model = f"{name}-dtypes"
                ours[f"{name} {dtype}"] = by_ferry(ferry, task, models / model, asked, options, "--dtype", dtype)
                cases.append(cases[-1] | {"name": f"{name} {dtype}", "model": model, "dtype": dtype, "subfolder": "onnx"})
        places = {"node": lambda: in_node(package, models, cases)}
        if not arguments.without_browser:
            places["chromium"] = lambda: in_browser(arguments.cache, models, cases)
        for place, ask in places.items():
            theirs = {}
            with table.row(f"transformers.js {place}", f"{len(cases)} pipelines"):
                theirs = ask()
            for name in ours if theirs else []:
                with table.row(f"transformers.js {place}", name) as notes:
                    notes.append(compare(ours[name], theirs[name], ROUNDED_TOLERANCE if name.endswith(("16", "q4")) else TOLERANCE))
    return table.close()


if __name__ == "__main__":
    sys.exit(main())
