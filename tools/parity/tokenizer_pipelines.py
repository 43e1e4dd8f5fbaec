#!/usr/bin/env python3
"""Compares random pipelines: every normalizer, pre-tokenizer, model option, post-processor, decoder and kind of added token,
in random combinations, on random text.

usage: tokenizer_pipelines.py TOKENIZE_JSONL [--pipelines N] [--lines N] [--seed N]
"""

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path = [p for p in sys.path if os.path.abspath(p or ".") != HERE]
import tokenizers as hf  # noqa: E402

sys.path.append(HERE)
import tokenizer_lines as generator  # noqa: E402

BEHAVIORS = ["Removed", "Isolated", "MergedWithPrevious", "MergedWithNext", "Contiguous"]
LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.,;:!?'\"()-_ <>/\\éüßàñ▁ĠабвгдежзиклмнопрстуΣσαβγ你好世界日本語한국어가각ไทยעבריתعربी्"
REGEXES = [r"\s+", r"\d", r"\w+|[^\w\s]+", r"[^\s]", r"\p{Lu}", r"\b", r"", r"(?<=\d)(?=(\d{3})+(?!\d))", r"[aeiou]+", r"\p{Han}+|\p{Hiragana}", r"[[:punct:]]", r"\p{N}{1,3}", r"(?i:'s|'t|re)", r"\P{L}+", r"^\s*",
           r".{3}", r"\S+\s*$", r"[\p{L}&&[^a-z]]", r" ?[^(\s|[.,!?…。，、।۔،])]+", r"[\r\n]+|[^\r\n\p{P}\p{S}]?\p{L}+", r"\X", r"(?=[A-Z])", r"\h+", r"[^\p{Ll}\d]*", r"x*", r"\p{Emoji}", r"\p{Alphabetic}+", r"\p{^L}", r"[\x{4e00}-\x{9fa5}]+", r"\p{M}", r"\p{S}+", r"\p{Zs}|\p{Cc}"]


def pattern(r):
    return {"Regex": r.choice(REGEXES)} if r.random() < 0.7 else {"String": r.choice([" ", "a", "  ", "the", "é", "\n", "'", ""])}


def normalizer(r, depth=0):
    kind = r.choice(["BertNormalizer", "Strip", "StripAccents", "NFC", "NFD", "NFKC", "NFKD", "Lowercase", "Nmt", "Replace", "Prepend", "ByteLevel", "Sequence", "Precompiled"])
    if kind == "BertNormalizer":
        return {"type": kind, "clean_text": r.random() < 0.7, "handle_chinese_chars": r.random() < 0.7, "strip_accents": r.choice([None, True, False]), "lowercase": r.random() < 0.6}
    if kind == "Strip":
        return {"type": kind, "strip_left": r.random() < 0.7, "strip_right": r.random() < 0.7}
    if kind == "Replace":
        return {"type": kind, "pattern": pattern(r), "content": r.choice(["", " ", "x", "▁", "ab", "é"])}
    if kind == "Prepend":
        return {"type": kind, "prepend": r.choice(["▁", "x", "ab", ""])}
    if kind == "Sequence" and depth < 2:
        return {"type": kind, "normalizers": [normalizer(r, depth + 1) for _ in range(r.randint(0, 3))]}
    if kind == "Precompiled" and CHARSMAPS:
        return {"type": kind, "precompiled_charsmap": r.choice(CHARSMAPS)}
    return {"type": kind} if kind not in ("Sequence", "Precompiled") else {"type": "NFKC"}


def pre_tokenizer(r, depth=0):
    kind = r.choice(["BertPreTokenizer", "ByteLevel", "CharDelimiterSplit", "Metaspace", "Whitespace", "Sequence", "Split", "Split", "Punctuation", "WhitespaceSplit", "Digits", "UnicodeScripts", "FixedLength"])
    if kind == "ByteLevel":
        return {"type": kind, "add_prefix_space": r.random() < 0.5, "trim_offsets": r.random() < 0.5, "use_regex": r.random() < 0.7}
    if kind == "CharDelimiterSplit":
        return {"type": kind, "delimiter": r.choice([" ", "e", "é", "\n"])}
    if kind == "Metaspace":
        return {"type": kind, "replacement": r.choice(["▁", "_"]), "prepend_scheme": r.choice(["always", "first", "never"]), "split": r.random() < 0.6}
    if kind == "Split":
        return {"type": kind, "pattern": pattern(r), "behavior": r.choice(BEHAVIORS), "invert": r.random() < 0.4}
    if kind == "Punctuation":
        return {"type": kind, "behavior": r.choice(BEHAVIORS)}
    if kind == "Digits":
        return {"type": kind, "individual_digits": r.random() < 0.5}
    if kind == "FixedLength":
        return {"type": kind, "length": r.randint(1, 9)}
    if kind == "Sequence":
        return {"type": kind, "pretokenizers": [pre_tokenizer(r, depth + 1) for _ in range(r.randint(0, 3))]} if depth < 2 else {"type": "Whitespace"}
    return {"type": kind}


def vocabulary(r, prefix="", suffix=""):
    letters = [c for c in dict.fromkeys(LETTERS) if r.random() < 0.93]
    if r.random() < 0.4:
        letters += [c for c in hf.pre_tokenizers.ByteLevel.alphabet() if c not in letters]
    tokens = ["<unk>", "[CLS]", "[SEP]"] + letters + [prefix + c for c in letters if prefix] + [c + suffix for c in letters if suffix]
    if r.random() < 0.5:
        tokens += [f"<0x{b:02X}>" for b in range(256) if r.random() < 0.995]
    return list(dict.fromkeys(tokens))


def words(r):
    out = [w for w in generator.WORDS if r.random() < 0.5] + ["▁" + w for w in generator.WORDS if r.random() < 0.4] + ["Ġ" + w for w in generator.WORDS if r.random() < 0.4]
    return out + ["▁▁", "▁▁▁", "日本", "世界", "привет", "ĠĠ", "é", "Ã©"]


def bpe(r):
    prefix = r.choice([None, None, None, "", "##"])
    suffix = r.choice([None, None, None, "", "</w>"])
    tokens = vocabulary(r, prefix or "", suffix or "")
    ids = {t: i for i, t in enumerate(tokens)}
    merges = []
    for w in words(r):
        characters = list(w)
        if prefix:
            characters = [characters[0]] + [prefix + c for c in characters[1:]]
        if suffix and characters:
            characters[-1] += suffix
        for c in characters:
            ids.setdefault(c, len(ids))
        while len(characters) > 1:
            i = r.randrange(len(characters) - 1)
            a, b = characters[i], characters[i + 1]
            new = a + b[len(prefix or ""):]
            ids.setdefault(new, len(ids))
            if (a, b) not in merges:
                merges.append((a, b))
            characters[i:i + 2] = [new]
    r.shuffle(merges)
    merges.sort(key=lambda m: len(m[0]) + len(m[1]) if r.random() < 0.9 else 0)
    legacy = r.random() < 0.5 and not any(" " in a or " " in b for a, b in merges)
    return {"type": "BPE", "dropout": None, "unk_token": r.choice([None, "<unk>", "<unk>"]), "continuing_subword_prefix": prefix, "end_of_word_suffix": suffix, "fuse_unk": r.random() < 0.5,
            "byte_fallback": r.random() < 0.4, "ignore_merges": r.random() < 0.3, "vocab": ids, "merges": [f"{a} {b}" if legacy else [a, b] for a, b in merges]}


def model(r):
    kind = r.choice(["BPE", "BPE", "WordPiece", "Unigram", "Unigram", "WordLevel"])
    if kind == "BPE":
        return bpe(r)
    if kind == "WordPiece":
        prefix = r.choice(["##", "##", "", "▁"])
        tokens = dict.fromkeys(vocabulary(r, prefix) + words(r) + [prefix + w for w in words(r)])
        return {"type": kind, "unk_token": "<unk>", "continuing_subword_prefix": prefix, "max_input_chars_per_word": r.choice([100, 100, 5, 1]), "vocab": {t: i for i, t in enumerate(tokens)}}
    if kind == "Unigram":
        tokens = list(dict.fromkeys(vocabulary(r) + words(r)))
        return {"type": kind, "unk_id": 0, "byte_fallback": r.random() < 0.4, "vocab": [[t, r.choice([0.0, -1.0, -r.random() * 12, -float(r.randint(1, 5))])] for t in tokens]}
    tokens = dict.fromkeys(vocabulary(r) + words(r))
    return {"type": kind, "vocab": {t: i for i, t in enumerate(tokens)}, "unk_token": "<unk>"}


def post_processor(r, depth=0):
    kind = r.choice([None, "BertProcessing", "RobertaProcessing", "ByteLevel", "TemplateProcessing", "Sequence"])
    special = lambda name, i: {"id": name, "ids": [i], "tokens": [name]}
    if kind is None:
        return None
    if kind == "BertProcessing":
        return {"type": kind, "sep": ["[SEP]", 2], "cls": ["[CLS]", 1]}
    if kind == "RobertaProcessing":
        return {"type": kind, "sep": ["[SEP]", 2], "cls": ["[CLS]", 1], "trim_offsets": r.random() < 0.6, "add_prefix_space": r.random() < 0.5}
    if kind == "ByteLevel":
        return {"type": kind, "add_prefix_space": r.random() < 0.5, "trim_offsets": r.random() < 0.7, "use_regex": True}
    if kind == "Sequence":
        parts = [p for p in (post_processor(r, 1) for _ in range(r.randint(1, 2))) if p and p["type"] != "Sequence"] if depth == 0 else []
        templates = [p for p in parts if p["type"] != "ByteLevel"]
        return {"type": kind, "processors": [p for p in parts if p["type"] == "ByteLevel"] + templates[:1]}
    tokens = {"[CLS]": special("[CLS]", 1), "[SEP]": special("[SEP]", 2), "two": {"id": "two", "ids": [1, 2], "tokens": ["[CLS]", "other"]}}
    piece = lambda name, t: {"Sequence": {"id": name, "type_id": t}} if name in "AB" else {"SpecialToken": {"id": name, "type_id": t}}
    s = lambda: [piece(r.choice(list(tokens)), r.randint(0, 2)) for _ in range(r.randint(0, 2))]
    return {"type": kind, "single": s() + [piece("A", r.randint(0, 1))] + s(), "pair": s() + [piece("A", 0)] + s() + [piece("B", r.randint(0, 2))] + s(), "special_tokens": tokens}


def decoder(r, depth=0):
    kind = r.choice(["BPEDecoder", "ByteLevel", "WordPiece", "Metaspace", "CTC", "Sequence", "Replace", "Fuse", "ByteFallback", "Strip"])
    if kind == "BPEDecoder":
        return {"type": kind, "suffix": "</w>"}
    if kind == "ByteLevel":
        return {"type": kind, "add_prefix_space": True, "trim_offsets": True, "use_regex": True}
    if kind == "WordPiece":
        return {"type": kind, "prefix": "##", "cleanup": r.random() < 0.5}
    if kind == "Metaspace":
        return {"type": kind, "replacement": "▁", "prepend_scheme": r.choice(["always", "first", "never"]), "split": True}
    if kind == "CTC":
        return {"type": kind, "pad_token": "<unk>", "word_delimiter_token": "|", "cleanup": r.random() < 0.5}
    if kind == "Replace":
        return {"type": kind, "pattern": pattern(r), "content": r.choice(["", " ", "x"])}
    if kind == "Strip":
        return {"type": kind, "content": r.choice([" ", "a"]), "start": r.randint(0, 2), "stop": 0}
    if kind == "Sequence":
        return {"type": kind, "decoders": [decoder(r, 1) for _ in range(r.randint(0, 3))]} if depth == 0 else {"type": "Fuse"}
    return {"type": kind}


def added(r):
    out = []
    for i, content in enumerate(r.sample(["<unk>", "[CLS]", "<s>", "</s>", "the", "Hello", "ab c", " x", "é", "[MASK]", "<|im_start|>", "\n\n", "世界", "123", "  ", "A", "wor", "İ"], r.randint(0, 8))):
        special = r.random() < 0.5
        out.append({"id": 100000 + i, "content": content, "single_word": r.random() < 0.25, "lstrip": r.random() < 0.3, "rstrip": r.random() < 0.3, "normalized": r.random() < 0.5, "special": special})
    return out


CHARSMAPS = []


def load_charsmaps(cache):
    """The character maps of real models, if the cache has them."""
    import pathlib
    for file in pathlib.Path(cache).rglob("tokenizer.json"):
        if file.stat().st_size < 3_000_000:
            found = set()
            def visit(x):
                if isinstance(x, dict):
                    if x.get("type") == "Precompiled":
                        found.add(x["precompiled_charsmap"])
                    for v in x.values():
                        visit(v)
                elif isinstance(x, list):
                    for v in x:
                        visit(v)
            visit(json.loads(file.read_text(encoding="utf-8"))["normalizer"])
            CHARSMAPS.extend(found - set(CHARSMAPS))


def pipeline(r):
    return {"version": "1.0", "truncation": None, "padding": None, "added_tokens": added(r), "normalizer": normalizer(r) if r.random() < 0.8 else None,
            "pre_tokenizer": pre_tokenizer(r) if r.random() < 0.85 else None, "post_processor": post_processor(r), "decoder": decoder(r), "model": model(r)}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("binary")
    parser.add_argument("--pipelines", type=int, default=300)
    parser.add_argument("--lines", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", default="")
    args = parser.parse_args()
    load_charsmaps(os.path.join(os.environ.get("XDG_CACHE_HOME", os.path.expanduser("~/.cache")), "ferry-parity", "folders"))
    failed = lines_done = unloadable = 0
    for index in range(args.pipelines):
        r = random.Random(f"{args.seed}-{index}")
        spec = pipeline(r)
        text = json.dumps(spec, ensure_ascii=False)
        try:
            t = hf.Tokenizer.from_str(text)
        except BaseException as error:  # Rust panics arrive as BaseException.
            if isinstance(error, KeyboardInterrupt):
                raise
            unloadable += 1
            print(index, "the reference does not load:", str(error)[:150])
            continue
        if t.normalizer and any(a["normalized"] and t.normalizer.normalize_str(a["content"]) == "" for a in spec["added_tokens"]):
            unloadable += 1  # An added token that is looked for as the empty string: nobody has that.
            continue
        contents = [a["content"] for a in spec["added_tokens"]] or [" "]
        texts, expected = [], []
        for line in generator.lines(args.lines, f"{args.seed}-{index}", contents):
            try:
                e = t.encode(*line) if isinstance(line, tuple) else t.encode(line)
            except BaseException as error:  # Rust panics arrive as BaseException.
                if isinstance(error, KeyboardInterrupt):
                    raise
                continue
            texts.append(line)
            try:
                decoded = t.decode(e.ids, skip_special_tokens=False)
            except BaseException:
                decoded = None
            expected.append((e, decoded))
        with tempfile.NamedTemporaryFile("w", suffix=".json", encoding="utf-8") as f:
            f.write(text)
            f.flush()
            payload = "".join(json.dumps({"text": x[0], "text_pair": x[1]} if isinstance(x, tuple) else x) + "\n" for x in texts)
            run = subprocess.run([args.binary, f.name, "--decode"], input=payload.encode(), capture_output=True)
        got = [json.loads(line) for line in run.stdout.splitlines()]
        bad = 0
        if len(got) != len(texts):
            print(index, "failed:", run.stderr.decode()[:300])
            failed += 1
            continue
        for x, (e, decoded), g in zip(texts, expected, got):
            want = {"input_ids": e.ids, "token_type_ids": e.type_ids, "attention_mask": e.attention_mask, "tokens": e.tokens, "offsets": [list(o) for o in e.offsets],
                    "special_tokens_mask": e.special_tokens_mask, "word_ids": [-1 if w is None else w for w in e.word_ids], "sequence_ids": [-1 if s is None else s for s in e.sequence_ids], "decoded": decoded}
            have = {k: g.get(k) for k in want}
            if decoded is None:
                have["decoded"] = None
            if want != have:
                bad += 1
                if bad == 1:
                    parts = {k: v for k, v in spec.items() if k not in ("model", "version", "truncation", "padding")}
                    options = {k: v for k, v in spec["model"].items() if k not in ("vocab", "merges")}
                    print(f"{index} differs: {x!r:.200}\n   {json.dumps(parts, ensure_ascii=False):.1500}\n   {options}")
                    for k in want:
                        if want[k] != have[k]:
                            print(f"   {k}: expected {want[k]!r:.300}\n   {' ' * len(k)}       got {have[k] if have[k] is not None else g!r:.300}")
        if bad:
            failed += 1
            print(f"   {index}: {bad} of {len(texts)} lines")
            if args.keep:
                open(f"{args.keep}/{index}.json", "w").write(text)
        lines_done += len(texts)
    print(f"{args.pipelines - unloadable} pipelines, {lines_done} lines, {failed} pipelines differ")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
