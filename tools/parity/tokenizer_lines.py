"""Lines of text to compare tokenizers on: many scripts, code, emoji, control characters, broken bytes, long words."""

import random

WORDS = """the of and to in is you that it he was for on are as with his they I at be this have from or one had by word
but not what all were we when your can said there use an each which she do how their if will up other about out many
then them these so some her would make like him into time has look two more write go see number no way could people my
than first water been call who oil its now find long down day did get come made may part over new sound take only
little work know place year live me back give most very after thing our just name good sentence man think say great
where help through much before line right too mean old any same tell boy follow came want show also around form three
small set put end does another well large must big even such because turn here why ask went men read need land different
internationalization antidisestablishmentarianism tokenization hyperparameter electroencephalographically""".split()

BLOCKS = [(0x20, 0x7E), (0xA0, 0xFF), (0x100, 0x24F), (0x250, 0x2FF), (0x300, 0x36F), (0x370, 0x3FF), (0x400, 0x4FF), (0x530, 0x58F),
          (0x590, 0x5FF), (0x600, 0x6FF), (0x700, 0x74F), (0x780, 0x7BF), (0x900, 0x97F), (0x980, 0x9FF), (0xA00, 0xA7F), (0xA80, 0xAFF),
          (0xB00, 0xB7F), (0xB80, 0xBFF), (0xC00, 0xC7F), (0xC80, 0xCFF), (0xD00, 0xD7F), (0xD80, 0xDFF), (0xE00, 0xE7F), (0xE80, 0xEFF),
          (0xF00, 0xFFF), (0x1000, 0x109F), (0x10A0, 0x10FF), (0x1100, 0x11FF), (0x1200, 0x137F), (0x13A0, 0x13FF), (0x1400, 0x167F),
          (0x1680, 0x16FF), (0x1780, 0x17FF), (0x1800, 0x18AF), (0x1AB0, 0x1AFF), (0x1B00, 0x1B7F), (0x1C50, 0x1C7F), (0x1D00, 0x1DFF),
          (0x1E00, 0x1EFF), (0x1F00, 0x1FFF), (0x2000, 0x206F), (0x2070, 0x209F), (0x20A0, 0x20CF), (0x20D0, 0x20FF), (0x2100, 0x214F),
          (0x2150, 0x218F), (0x2190, 0x22FF), (0x2460, 0x24FF), (0x2500, 0x25FF), (0x2600, 0x27BF), (0x2C00, 0x2DFF), (0x2E00, 0x2E7F),
          (0x3000, 0x303F), (0x3040, 0x30FF), (0x3100, 0x318F), (0x3200, 0x33FF), (0x3400, 0x4DBF), (0x4E00, 0x9FFF), (0xA000, 0xA4CF),
          (0xA640, 0xA69F), (0xA720, 0xA7FF), (0xAC00, 0xD7A3), (0xF900, 0xFAFF), (0xFB00, 0xFDFF), (0xFE00, 0xFE6F), (0xFF00, 0xFFEF),
          (0xFFF0, 0xFFFD), (0x10000, 0x100FF), (0x10300, 0x103DF), (0x10400, 0x1049F), (0x10D40, 0x10D8F), (0x11000, 0x112FF), (0x11300, 0x114FF),
          (0x16A00, 0x16BFF), (0x1B000, 0x1B2FF), (0x1D100, 0x1D1FF), (0x1D400, 0x1D7FF), (0x1E900, 0x1E95F), (0x1F100, 0x1F1FF),
          (0x1F300, 0x1F6FF), (0x1F900, 0x1FAFF), (0x20000, 0x2A6DF), (0x2A700, 0x2EBE0), (0x2F800, 0x2FA1F), (0x30000, 0x3134F), (0xE0000, 0xE01EF)]

EMOJI = ["👩‍👩‍👧‍👦", "🏳️‍🌈", "🇩🇪", "🇳🇵🇯🇵", "👍🏽", "❤️", "1️⃣", "🧑🏿‍🚀", "😀😃", "☺", "⚕️", "🏴󠁧󠁢󠁥󠁮󠁧󠁿", "👨‍💻", "🤷🏻‍♂️", "©️", "㊗️"]
SPACES = [" ", "  ", "   ", "\t", "\n", "\r\n", "\n\n", "\u00a0", "\u2003", "\u3000", "\u200b", "\u2028", "\u1680", "\u0085", "\x0b", "\x0c", "\u180e", "\ufeff", "\u202f", " \n ", "\r", "\u2581", "\u200d"]
CODE = ["for (int i = 0; i < n; ++i) {", "def f(self, x: int = 3) -> None:", "    return x**2  # square", "<div class=\"a\">&nbsp;</div>", "SELECT * FROM t WHERE a='b';",
        "x = {'a': [1, 2.5e-10], \"b\": None}", "https://example.com/a?b=c&d=%20#e", "user@example.org", "C:\\Users\\x\\y.txt", "$\\frac{1}{2}$", "#include <vector>", "a->b::c<T&&>()",
        "0xDEADBEEF 1_000_000 3.14159", "\\u00e9\\n\\t", "```python\nprint('hi')\n```", "| a | b |\n|---|---|", "2024-01-31T12:34:56Z", "+1 (555) 123-4567", "====== ------ ~~~~~~", "!!!???...;;;"]
CONTRACTIONS = ["don't", "I'm", "we'll", "they've", "you're", "he'd", "it's", "DON'T", "I'LL", "IT'S", "'S", "'ſ", "can't've", "'tis", "o'clock", "I’m", "do not", "''s", "'re're"]
NASTY = ["İstanbul", "ß", "ﬁ", "ǅ", "Å", "Å", "ẛ̣", "각", "각", "ά̓", "क्ष", "ท้ำ", "٣", "Ⅷ", "½", "²", "🄰", "ȺȾ", "Σ", "ΟΔΟΣ", "ﷺ", "㋿", "ｱﾞ", "ｶﾞ", "\u0344", "\u0f73\u0f71\u0f72", "\U0001d15e\U0001d165\U0001d16e", "\u0340\u0341", "\ufffd", "\u0000", "\u0001", "\u007f", "\u009f", "\u00ad", "\u061c", "\u0600", "\U000e0001", "\ue000", "\U0010ffff", "\uffff"]
MARKS = [0x300, 0x301, 0x302, 0x304, 0x308, 0x30A, 0x316, 0x323, 0x327, 0x334, 0x338, 0x345, 0x34F, 0x35C, 0x5B0, 0x5BC, 0x610, 0x64B, 0x651, 0x93C, 0x94D, 0xE38, 0xE48, 0xF71, 0xF72, 0x302A, 0x3099, 0x309A, 0x1D165, 0x1D16D, 0x20D0, 0x1DCE, 0x16FF0]


def character(r):
    while True:
        lo, hi = r.choice(BLOCKS)
        c = r.randint(lo, hi)
        if not 0xD800 <= c <= 0xDFFF:
            return chr(c)


def script_word(r):
    lo, hi = r.choice(BLOCKS)
    return "".join(chr(r.randint(lo, hi)) for _ in range(r.randint(1, 9)))


def word(r):
    w = r.choice(WORDS)
    k = r.random()
    if k < 0.15:
        return w.capitalize()
    if k < 0.2:
        return w.upper()
    if k < 0.25:
        return w + r.choice(",.;:!?)")
    if k < 0.28:
        return "".join(c.upper() if r.random() < 0.5 else c for c in w)
    if k < 0.32:
        return w + chr(r.choice(MARKS)) + r.choice(["", "s"])
    return w


def sentence(r):
    return " ".join(word(r) if r.random() > 0.06 else r.choice(CONTRACTIONS) for _ in range(r.randint(1, 25)))


def scripts(r):
    return r.choice([" ", "", "  "]).join(script_word(r) for _ in range(r.randint(1, 8)))


def soup(r):
    return "".join(character(r) for _ in range(r.randint(1, 40)))


def planes(r):
    return "".join(chr(c) for c in (r.randrange(0x110000) for _ in range(r.randint(1, 20))) if not 0xD800 <= c <= 0xDFFF)


def marks(r):
    return "".join(r.choice("aeiouAEIOU가각각\u09c7\u09be\u1b05\u1b35é ") if r.random() < 0.4 else chr(r.choice(MARKS)) if r.random() < 0.8 else r.choice(NASTY) for _ in range(r.randint(1, 20)))


def mixture(r):
    return "".join(r.choice([word(r), " ", r.choice(SPACES), r.choice(EMOJI), r.choice(NASTY), r.choice(CONTRACTIONS), script_word(r), str(r.randint(0, 10**r.randint(1, 9)))]) for _ in range(r.randint(1, 20)))


def spaces(r):
    return "".join(r.choice(SPACES) if r.random() < 0.6 else word(r) for _ in range(r.randint(1, 15)))


def code(r):
    return r.choice(["\n", " ", "\n    ", "\t"]).join(r.choice(CODE) for _ in range(r.randint(1, 5)))


def broken(r):
    return bytes(r.randrange(256) for _ in range(r.randint(1, 40))).decode(r.choice(["latin-1", "utf-8", "cp1252", "utf-16-le"]), errors=r.choice(["replace", "ignore"]))


def controls(r):
    return "".join(chr(r.choice([r.randint(0, 0x20), r.randint(0x7F, 0xA0), r.randint(0x2000, 0x2070), ord("a")])) for _ in range(r.randint(1, 20)))


def long_word(r):
    unit = r.choice(["a", "ab", "é", "字", "🙂", "\u0301", "lo", "xX", "1", "-", " ", "\n", "▁", word(r), script_word(r)])
    return unit * r.randint(20, 1200 // max(1, len(unit)) + 21) + r.choice(["", " end", word(r)])


GENERATORS = [(sentence, 30), (scripts, 14), (soup, 6), (planes, 4), (marks, 6), (mixture, 14), (spaces, 6), (code, 8), (broken, 5), (controls, 3), (long_word, 1)]


def lines(count, seed, specials=()):
    """`count` texts; `specials` are added tokens, which are strewn in. A tuple is a text and its pair."""
    r = random.Random(seed)
    functions, weights = zip(*GENERATORS)

    def one():
        text = r.choices(functions, weights)[0](r)
        if specials and r.random() < 0.12:
            for _ in range(r.randint(1, 3)):
                at = r.randint(0, len(text))
                text = text[:at] + r.choice(["", " ", "  "]) + r.choice(specials) + r.choice(["", " ", "\n"]) + text[at:]
        return text.encode("utf-8", "ignore").decode("utf-8")

    yield ""
    yield " "
    for _ in range(count - 2):
        yield (one(), one()) if r.random() < 0.06 else one()
