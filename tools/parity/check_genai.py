"""ONNX Runtime GenAI on folders that ferry wrote with --genai-config: greedy tokens are ferry's own.

The package lives in a virtual environment of its own: FERRY_GENAI_VENV, made by need in .deps/genai-venv.
"""

import json
import os
import pathlib
import subprocess
import sys

from common import GOLDEN, ROOT, Ferry, Golden, Mismatch, Table, expect, run

PACKAGES = ["onnxruntime-genai==0.18.0", "onnxruntime==1.32.0", "numpy==2.4.6"]
SCRIPT = pathlib.Path(__file__).resolve().parent / "genai" / "generate.py"

NEW_TOKENS = 12
PAD = 40  # GenAI ends a text there, too.
PROMPTS = [[5, 6, 7, 8, 9], [3, 4, 5, 11, 2]]
# GenAI pads on the right, and tokens after that: within a window it counts.
PADDED = [3, 4, 5, PAD, PAD]
FORMS = [[], ["--optimize", "O2"], ["--optimize", "O3"], ["--quantize", "int4"], ["--optimize", "O2", "--quantize", "int4"]]
# One architecture of each kind goes through every form, the others as they are.
IN_EVERY_FORM = ["gpt2", "llama", "qwen2", "mistral"]
PLAIN = ["bloom", "falcon", "gemma", "gemma2", "gemma3_text", "gpt_neox", "mixtral", "opt", "phi", "phi3", "qwen3", "qwen3_moe"]
# Heads of 8: what becomes GroupQueryAttention, with one buffer for past and present.
SHARES_BUFFERS = {"gpt2", "llama", "mistral"}


def environment() -> pathlib.Path:
    venv = pathlib.Path(os.environ.get("FERRY_GENAI_VENV", ROOT / ".deps" / "genai-venv"))
    if not (venv / "bin" / "python").exists():
        run(sys.executable, "-m", "venv", venv)
        run(venv / "bin" / "pip", "install", "--quiet", *PACKAGES)
    return venv / "bin" / "python"


def with_genai(python: pathlib.Path, folder: pathlib.Path, prompts) -> dict:
    command = [str(python), str(SCRIPT), str(folder), str(NEW_TOKENS), json.dumps(prompts)]
    result = subprocess.run(command, capture_output=True, text=True)
    if result.returncode != 0:
        raise Mismatch(" | ".join(result.stderr.strip().splitlines()[-2:]))
    return json.loads(result.stdout)


def with_ferry(ferry: Ferry, folder: pathlib.Path, prompt: str) -> str:
    command = [ferry.binary, "run", "text-generation", folder, "--prompt", prompt, "--do-sample=false",
               "--max-new-tokens", NEW_TOKENS, "--json"]  # fmt: skip
    result = subprocess.run([str(part) for part in command], capture_output=True, text=True)
    if result.returncode != 0:
        raise Mismatch(result.stderr.strip())
    return json.loads(result.stdout)[0]["generated_text"]


def write_tokenizer(folder: pathlib.Path, vocabulary: int) -> None:
    """Words t0, t1, ... for the tokens, so that texts show them."""
    words = {f"t{token}": token for token in range(vocabulary)}
    (folder / "tokenizer.json").write_text(json.dumps({
        "version": "1.0", "truncation": None, "padding": None, "added_tokens": [], "normalizer": None,
        "pre_tokenizer": {"type": "WhitespaceSplit"}, "post_processor": None, "decoder": None,
        "model": {"type": "WordLevel", "vocab": words, "unk_token": "t0"},
    }))  # fmt: skip
    (folder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "PreTrainedTokenizerFast"}))


def tokens_of_ferry(ferry: Ferry, folder: pathlib.Path, row: list[int]) -> list[int]:
    text = with_ferry(ferry, folder, " ".join(f"t{token}" for token in row if token != PAD))
    return [int(word[1:]) for word in text.split()]


def until_end(row: list[int], prompt: list[int]) -> list[int]:
    """Without padding in the prompt, up to a padding token after it."""
    new = row[len(prompt) :]
    return [token for token in prompt if token != PAD] + (new[: new.index(PAD)] if PAD in new else new)


def golden_folder(name: str) -> pathlib.Path:
    fused = GOLDEN / f"{name}-text-generation-with-past-fused"
    return fused if fused.exists() else GOLDEN / f"{name}-text-generation-with-past"


def compare(ferry: Ferry, python: pathlib.Path, source: pathlib.Path, out: pathlib.Path, flags: list[str], notes) -> bool:
    ferry.export(source, out, "--genai-config", *flags)
    config = json.loads((out / "genai_config.json").read_text())
    shares = config["search"]["past_present_share_buffer"]
    notes.append(f"type {config['model']['type']}{', one buffer' if shares else ''}")
    prompts = PROMPTS + ([] if json.loads((source / "config.json").read_text()).get("sliding_window") else [PADDED])
    for prompt, theirs in zip(prompts, with_genai(python, out, prompts)["sequences"], strict=True):
        real = [token for token in prompt if token != PAD]
        ours, wanted = until_end(tokens_of_ferry(ferry, out, prompt), real), until_end(theirs, prompt)
        expect(ours == wanted, f"ferry {ours}, GenAI {wanted}")
    return shares


def check(ferry: Ferry, table: Table, scratch: pathlib.Path) -> None:
    with table.row("genai", "virtual environment"):
        python = environment()
    if table.failures:
        return
    for name in IN_EVERY_FORM + PLAIN:
        golden = Golden(golden_folder(name))
        source = golden.materialize(scratch / "genai-source")
        config = json.loads((source / "config.json").read_text())
        write_tokenizer(source, config["vocab_size"])
        (source / "generation_config.json").write_text(json.dumps({"pad_token_id": PAD}))
        for flags in FORMS if name in IN_EVERY_FORM else FORMS[:1]:
            with table.row("genai tokens", " ".join([golden.name, *flags])) as notes:
                shares = compare(ferry, python, source, scratch / "genai", flags, notes)
                expect(shares == (name in SHARES_BUFFERS and "--optimize" in flags), f"past_present_share_buffer {shares}")
    with table.row("genai text", "its tokenizer on ours"):
        out = ferry.export(ROOT / "tests" / "data" / "pipelines" / "text-generation", scratch / "genai", "--genai-config")
        text = "the quick brown"
        ours, theirs = with_ferry(ferry, out, text), with_genai(python, out, text)["text"].rstrip("\ufffd")
        expect(theirs.startswith(text) and len(theirs) > len(text) + 8 and ours.startswith(theirs), f"{ours!r}, GenAI {theirs!r}")
