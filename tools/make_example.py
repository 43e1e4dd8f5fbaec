#!/usr/bin/env python3
"""Trains examples/checkpoints/distilbert-squad-tiny: a small DistilBERT that answers simple questions.

    pip install -r tools/oracle/requirements.txt
    python tools/make_example.py                     train, test, write (about seven minutes on one idle core)
    python tools/make_example.py --steps 50 --out /tmp/x    a quick try
    python tools/make_example.py --show 20           print examples of the training text

The text is made here, from templates: people who live, work and speak, capitals, companies, programs, prices. About
half of all names are invented letter by letter, so the model cannot learn answers by heart; it has to find the sentence
that the question is about and copy the right part of it. Everything is seeded.
"""

import argparse
import dataclasses
import json
import os
import pathlib
import random
import re
import sys
import time

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

import torch
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import DistilBertConfig, DistilBertForQuestionAnswering, DistilBertTokenizerFast, pipeline

ROOT = pathlib.Path(__file__).resolve().parents[1]
OUT = ROOT / "examples" / "checkpoints" / "distilbert-squad-tiny"
SEED = 20240607
POSITIONS = 256
BATCH = 32
PEAK_RATE = 2e-3
HINT = 2.0

# ---------------------------------------------------------------------------------------------------------------------
# Words
# ---------------------------------------------------------------------------------------------------------------------

FIRST_NAMES = """Anna Ben Carla David Emma Felix Grace Henry Iris Jack Kate Liam Maria Noah Olivia Paul Quinn Rosa Sam
Tom Uma Victor Wendy Xavier Yara Zoe Ali Bruno Chen Diego Elena Fatima George Hana Ivan Julia Kenji Laura Mohammed Nina
Omar Priya Ravi Sofia Tariq Ursula Vera William Yusuf Zara Alice Bob Carol Daniel Eva Frank Gina Hugo Ingrid James Karen
Leo Martha Nick Oscar Peter Rachel Simon Thomas Vanessa Walter Yvonne Adam Bella Colin Diana Erik Fiona Greta Hannah
Ian Jane Kevin Linda Mark Nora Otto Pia Robert Stella Tim Wolfgang John Mary Michael Susan Amir Chloe""".split()
LAST_NAMES = """Smith Jones Brown Miller Garcia Lopez Khan Patel Kim Nguyen Silva Rossi Weber Novak Ivanov Tanaka Cohen
Murphy Olsen Dubois Fischer Jensen Kowalski Moreau Santos Taylor Wilson Young Clark Hall Wright Green Baker Hill""".split()
CITIES = """Paris Rome Madrid Berlin Vienna Lisbon Oslo Dublin Athens Prague Warsaw Budapest Hamburg Munich Zurich Geneva
Boston Chicago Seattle Denver Austin Toronto Montreal Sydney Melbourne Tokyo Kyoto Osaka Seoul Delhi Mumbai Cairo
Nairobi Lagos Lima Quito Havana Bogota Santiago Manila Jakarta Hanoi Lyon Nice Milan Turin Porto Seville Leeds Bristol
Oxford Cambridge Glasgow Edinburgh Ghent Bruges Utrecht Delft Bergen Malmo Turku Riga Tallinn""".split() + [
    "New York", "New York City", "San Francisco", "Los Angeles", "Mexico City", "Hong Kong", "Cape Town", "Sao Paulo",
    "Buenos Aires", "Kuala Lumpur", "New Delhi", "Salt Lake City", "St. Gallen", "Rio de Janeiro",
]  # fmt: skip
COUNTRIES = """France Italy Spain Germany Austria Portugal Norway Ireland Greece Poland Hungary Switzerland Canada
Australia Japan Korea India Egypt Kenya Nigeria Peru Ecuador Cuba Colombia Chile Vietnam Indonesia Belgium Sweden Finland
Latvia Estonia Mexico Brazil Argentina Malaysia Morocco Turkey""".split() + ["South Africa", "New Zealand", "Sri Lanka"]
COMPANIES = """Acme Globex Initech Umbrella Hooli Google Microsoft Apple Amazon Siemens Bosch Nokia Philips Toyota Honda
Airbus Boeing Renault Fiat Lego Ikea Spotify Adobe Intel Nestle Novartis Shell""".split() + [
    "Blue Bank", "Red River Foods", "the city library", "the old museum", "a small bakery", "a large hospital",
    "Northern Rail", "Hugging Face",
]  # fmt: skip
COMPANY_ENDINGS = ["Labs", "Inc.", "Systems", "Software", "Group", "Bank", "Foods", "Motors", "Media", "Robotics", "Ltd"]
JOBS = """teacher nurse doctor engineer baker painter pilot writer lawyer farmer chef driver singer dentist gardener
plumber carpenter journalist librarian scientist designer musician waiter banker builder tailor actor""".split() + [
    "data scientist", "software engineer", "project manager", "bus driver", "machine learning engineer",
]  # fmt: skip
TOOLS = """Python Rust Java Kotlin Swift Julia Haskell PyTorch TensorFlow Keras JAX NumPy Pandas Docker Kubernetes Linux
Windows Debian Ubuntu Git GitHub Firefox Chrome Emacs Vim Redis Postgres SQLite Spark Kafka BERT RoBERTa DistilBERT GPT
ONNX Transformers Optimum OpenVINO TensorRT Tokenizers Datasets Gradio Flask Django React Android CMake Ninja Bazel
Excel Photoshop Blender Whisper Llama Mistral CUDA""".split() + [
    "ONNX Runtime", "Hugging Face Transformers", "Visual Studio Code", "scikit-learn", "Apache Arrow", "C++", "Node.js",
    "Raspberry Pi",
]  # fmt: skip
KINDS = """library framework tool program language database browser runtime compiler model format protocol platform
package service""".split()  # fmt: skip
PURPOSES = [
    "machine learning", "image editing", "web pages", "fast inference", "data analysis", "text classification",
    "speech recognition", "scientific computing", "storing documents", "drawing maps", "testing software",
    "deep learning", "mobile phones", "question answering", "video games", "building websites",
]  # fmt: skip
FOODS = """pizza pasta sushi bread cheese apples oranges soup rice salad chocolate tea coffee honey fish noodles curry
pancakes grapes tomatoes""".split() + ["ice cream", "fried rice", "apple pie"]  # fmt: skip
COLOURS = "red blue green yellow purple orange black white pink brown grey silver".split() + ["dark green", "light blue"]
ANIMALS = "dog cat horse rabbit parrot hamster turtle goat pony canary".split()
LANGUAGES = """English French German Spanish Italian Dutch Polish Arabic Hindi Japanese Korean Chinese Turkish Greek
Swedish Danish Finnish Russian Swahili""".split()
INSTRUMENTS = "piano guitar violin cello flute trumpet drums harp clarinet saxophone".split()
SPORTS = "tennis football chess basketball hockey golf volleyball cricket rugby badminton".split()
ITEMS = """book lamp table chair phone ticket bicycle jacket camera watch umbrella bag laptop radio mirror carpet
kettle""".split()  # fmt: skip
PLACES = "kitchen garden office garage cellar hall library bedroom attic drawer cupboard classroom shed".split()
BUILDINGS = "tower bridge castle museum station church lighthouse theatre stadium airport hotel market".split()
MONTHS = """January February March April May June July August September October November December""".split()
WEEKDAYS = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()
TITLE_WORDS = """Night River Garden Stone Winter Shadow Silver Dream Storm Island Mountain Secret Road Star Forest
Letter House Song Ocean Mirror""".split()
NUMBER_WORDS = "two three four five six seven eight nine ten eleven twelve twenty thirty forty fifty".split()
UNITS = ["euros", "dollars", "pounds", "francs"]

FILLERS = """It rained all day. The weather was nice. Nobody knows why. That was a long time ago. The room was quiet.
This happened last week. We talked about it for hours. The trains were late again. Many people came to see it.
Later they went home. It was a surprise to everyone. The sky was grey. There was music in the street.
Thank you for your help. I hope you are well. Please write back soon. The coffee was cold. It is a good story.
The old clock stopped. They laughed a lot. Everything went as planned. Hello everyone! Good morning!
What a day! See you soon.""".replace("\n", " ")
FILLERS = [sentence.strip() for sentence in re.findall(r"[^.!?]+[.!?]", FILLERS)]

# Never used in training: the test at the end asks about these.
HELD_OUT = {"Clara", "Philipp", "Wolfram", "Nuremberg", "Berkeley", "Reykjavik", "Zephyrix", "Nova Scotia", "Quillon"}


class Words:
    """Draws words; about half of all names are invented."""

    def __init__(self, rng: random.Random):
        self.rng = rng
        self.invention = 1.0  # training starts with fewer invented words

    def invented(self) -> str:
        """A word nobody has seen: syllables, or any letters."""
        if self.rng.random() < 0.85:
            syllable = lambda: (
                self.rng.choice("b c d f g h j k l m n p r s t v w z ch sh th br cr dr gr kl pl st tr x y".split())
                + self.rng.choice("a e i o u ai ea ee io ou y".split())
                + self.rng.choice(["", "", "", "n", "r", "l", "s", "t", "m", "x", "ck"])
            )
            word = "".join(syllable() for _ in range(self.rng.choice([1, 2, 2, 3])))
        else:
            letters = self.rng.choices(
                ["abcdefghijklmnopqrstuvwxyz", "abcdefghijklmnopqrstuvwxyz0123456789", GREEK, CYRILLIC],
                weights=[12, 4, 1, 1],
            )[0]
            word = "".join(self.rng.choice(letters) for _ in range(self.rng.randint(2, 7)))
        style = self.rng.random()
        if style < 0.85:
            word = word.capitalize()
        elif style < 0.95:
            word = word.upper()
        return word if word not in HELD_OUT else self.invented()

    def known_or_invented(self, known: list[str], share: float = 0.5) -> str:
        return self.invented() if self.rng.random() < share * self.invention else self.rng.choice(known)

    def name(self) -> str:
        first = self.known_or_invented(FIRST_NAMES)
        return f"{first} {self.known_or_invented(LAST_NAMES)}" if self.rng.random() < 0.25 else first

    def first_name(self) -> str:
        return self.known_or_invented(FIRST_NAMES)

    def city(self) -> str:
        return self.known_or_invented(CITIES, 0.4)

    def country(self) -> str:
        return self.known_or_invented(COUNTRIES, 0.4)

    def company(self) -> str:
        word = self.known_or_invented(COMPANIES)
        return f"{word} {self.rng.choice(COMPANY_ENDINGS)}" if self.rng.random() < 0.3 else word

    def tool(self) -> str:
        word = self.known_or_invented(TOOLS)
        style = self.rng.random()
        if style < 0.12:
            return f"{word} {self.rng.randint(1, 30)}"
        if style < 0.24:
            return f"{word} {self.known_or_invented(TOOLS)}"
        return word

    def tools(self) -> str:
        style = self.rng.random()
        if style < 0.4:
            return self.tool()
        if style < 0.75:
            return f"{self.tool()} with {self.tool()}"
        if style < 0.9:
            return f"{self.tool()} and {self.tool()}"
        return f"{self.tool()}, {self.tool()} and {self.tool()}"

    def title(self) -> str:
        if self.rng.random() < 0.3:
            return self.invented()
        return f"The {self.rng.choice(TITLE_WORDS)}" + (
            f" of {self.rng.choice(TITLE_WORDS)}" if self.rng.random() < 0.4 else ""
        )

    def year(self) -> str:
        return str(self.rng.randint(1500, 2029))

    def date(self) -> str:
        month, day = self.rng.choice(MONTHS), self.rng.randint(1, 31)
        return self.rng.choice([f"{day} {month} {self.year()}", f"{month} {day}, {self.year()}", f"{day} {month}"])

    def time(self) -> str:
        style = self.rng.random()
        if style < 0.4:
            return f"{self.rng.randint(0, 23)}:{self.rng.randint(0, 59):02}"
        if style < 0.7:
            return f"{self.rng.randint(1, 12)} o'clock"
        return self.rng.choice(["noon", "midnight", f"{self.rng.randint(1, 12)} pm", f"{self.rng.randint(1, 12)} am"])

    def number(self) -> str:
        if self.rng.random() < 0.3:
            return self.rng.choice(NUMBER_WORDS)
        return str(self.rng.choice([self.rng.randint(2, 99), self.rng.randint(100, 9999)]))

    def price(self) -> str:
        amount = self.rng.choice([str(self.rng.randint(2, 999)), f"{self.rng.randint(1, 99)}.{self.rng.randint(0, 99):02}"])
        return self.rng.choice([f"{amount} {self.rng.choice(UNITS)}", f"${amount}", f"€{amount}"])

    def building(self) -> str:
        kind = self.rng.choice(BUILDINGS)
        return f"{self.known_or_invented(CITIES)} {kind}" if self.rng.random() < 0.5 else f"old {kind}"

    def pick(self, words: list[str], invent: float = 0.0) -> str:
        return self.known_or_invented(words, invent)


GREEK = "αβγδεζηθικλμνξοπρστυφχψω"
CYRILLIC = "абвгдежзийклмнопрстуфхцчшщъыьэюя"

# ---------------------------------------------------------------------------------------------------------------------
# Facts: sentences with slots, and questions whose answer is one slot
# ---------------------------------------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Fact:
    slots: dict  # slot -> how to draw it
    sentences: list[str]
    questions: dict  # question -> slot of the answer


def facts(w: Words) -> list[Fact]:
    name, city = w.name, w.city
    job = lambda: w.pick(JOBS, 0.1)
    language = lambda: w.pick(LANGUAGES, 0.2)
    languages = lambda: w.rng.choice([language(), f"{language()} and {language()}"])
    return [
        # The first person
        Fact(
            {"N": name, "P": city},
            ["My name is {N} and I live in {P}.", "My name is {N}. I live in {P}.", "I am {N} and I live in {P}.",
             "Hi, I'm {N} and I live in {P}.", "I live in {P} and my name is {N}.", "I'm {N}, and my home is in {P}."],
            {"What is my name?": "N", "What's my name?": "N", "Who am I?": "N", "Where do I live?": "P",
             "Which city do I live in?": "P", "Where is my home?": "P"},
        ),
        Fact(
            {"C": w.company, "J": job, "P": city},
            ["I work at {C} as a {J} in {P}.", "I am a {J} at {C} in {P}.", "I work for {C} in {P} as a {J}."],
            {"Where do I work?": "C", "Who do I work for?": "C", "What is my job?": "J", "What do I do?": "J",
             "Which city do I work in?": "P"},
        ),
        *(
            Fact(
                {"T": w.tools},
                [f"{ing.capitalize()} {{T}}!", f"{ing.capitalize()} {{T}}.", f"I am {ing} {{T}}.", f"I'm {ing} {{T}} now.",
                 f"Today I am {ing} {{T}}.", f"{ing.capitalize()} {{T}} today!"],
                {f"What am I {ing}?": "T", f"What am I {ing} today?": "T", f"What tool am I {ing}?": "T"},
            )
            for ing in ["using", "using", "using", "trying", "learning", "running", "installing", "testing", "building"]
        ),
        Fact(
            {"T": w.tools, "U": lambda: w.rng.choice(PURPOSES)},
            ["We are using {T} for {U}.", "We use {T} for {U}.", "For {U} we are using {T}."],
            {"What are we using?": "T", "What do we use?": "T", "What are we using {T} for?": "U",
             "What are we using for {U}?": "T", "What do we use for {U}?": "T"},
        ),
        Fact(
            {"X": lambda: w.rng.choice(COLOURS), "F": lambda: w.pick(FOODS, 0.2)},
            ["My favourite colour is {X} and my favourite food is {F}.", "My favorite food is {F}. My favorite color is {X}.",
             "I like the colour {X} and I love {F}."],
            {"What is my favourite colour?": "X", "What is my favorite color?": "X", "What is my favourite food?": "F",
             "What food do I love?": "F"},
        ),
        Fact(
            {"Y": w.date, "P": city},
            ["I was born on {Y} in {P}.", "I was born in {P} on {Y}."],
            {"When was I born?": "Y", "What is my birthday?": "Y", "Where was I born?": "P"},
        ),
        # Other people
        Fact(
            {"N": name, "P": city, "Z": w.number},
            ["{N} lives in {P}.", "{N} has lived in {P} for {Z} years.", "{N} moved to {P} {Z} years ago.", "{N} is from {P}.",
             "{N} lives in {P} with {Z} friends."],
            {"Where does {N} live?": "P", "Which city does {N} live in?": "P", "Who lives in {P}?": "N",
             "Where is {N} from?": "P", "Where did {N} move to?": "P"},
        ),
        Fact(
            {"N": name, "C": w.company, "J": job},
            ["{N} works at {C} as a {J}.", "{N} is a {J} at {C}.", "{N}, a {J}, works for {C}.", "{N} works as a {J} at {C}.",
             "At {C}, {N} works as a {J}."],
            {"Where does {N} work?": "C", "Who does {N} work for?": "C", "What is {N}'s job?": "J", "What does {N} do?": "J",
             "Who works at {C}?": "N", "Who is a {J}?": "N", "What is the job of {N}?": "J"},
        ),
        Fact(
            {"N": name, "P": city, "Y": w.year},
            ["{N} was born in {P} in {Y}.", "{N} was born in {Y} in {P}.", "Born in {P} in {Y}, {N} had two sisters."],
            {"Where was {N} born?": "P", "When was {N} born?": "Y", "In which year was {N} born?": "Y",
             "Who was born in {P}?": "N", "Who was born in {Y}?": "N"},
        ),
        Fact(
            {"N": name, "L": languages, "I": lambda: w.rng.choice(INSTRUMENTS), "S": lambda: w.rng.choice(SPORTS)},
            ["{N} speaks {L} and plays the {I}.", "{N} plays {S} and speaks {L}.", "{N} plays the {I}, speaks {L} and likes {S}."],
            {"What language does {N} speak?": "L", "Which languages does {N} speak?": "L", "What does {N} speak?": "L"},
        ),
        Fact(
            {"N": name, "I": lambda: w.rng.choice(INSTRUMENTS), "S": lambda: w.rng.choice(SPORTS)},
            ["{N} plays the {I} and likes {S}.", "{N} likes {S} and plays the {I}."],
            {"What instrument does {N} play?": "I", "Which sport does {N} like?": "S", "Who plays the {I}?": "N",
             "Who likes {S}?": "N"},
        ),
        Fact(
            {"N": name, "F": lambda: w.pick(FOODS, 0.2), "X": lambda: w.rng.choice(COLOURS)},
            ["{N} likes {F} and the colour {X}.", "{N}'s favourite food is {F}, and the favourite colour is {X}.",
             "{N} loves {F} but not the colour {X}."],
            {"What food does {N} like?": "F", "What does {N} eat?": "F", "Which colour does {N} like?": "X"},
        ),
        Fact(
            {"N": name, "A": lambda: w.rng.choice(ANIMALS), "B": w.first_name},
            ["{N} has a {A} called {B}.", "{N} has a {A} named {B}.", "{B} is the name of {N}'s {A}.", "{N}'s {A} is called {B}."],
            {"What is the name of {N}'s {A}?": "B", "What is {N}'s {A} called?": "B", "What animal does {N} have?": "A",
             "Who has a {A}?": "N", "What pet does {N} have?": "A"},
        ),
        Fact(
            {"N": name, "T": w.tools, "U": lambda: w.rng.choice(PURPOSES)},
            ["{N} is using {T}.", "{N} uses {T} for {U}.", "{N} is using {T} for {U}.", "For {U}, {N} uses {T}."],
            {"What is {N} using?": "T", "What does {N} use?": "T", "Who uses {T}?": "N", "Who is using {T}?": "N"},
        ),
        Fact(
            {"N": name, "B": name, "R": lambda: w.rng.choice("brother sister mother father boss friend neighbour".split())},
            ["{B} is the {R} of {N}.", "{N}'s {R} is {B}.", "{N} has a {R} called {B}."],
            {"Who is the {R} of {N}?": "B", "Who is {N}'s {R}?": "B", "What is the name of {N}'s {R}?": "B"},
        ),
        # Things
        Fact(
            {"X": w.country, "P": city},
            ["The capital of {X} is {P}.", "{P} is the capital of {X}.", "{X} is a country whose capital is {P}.",
             "{P}, the capital of {X}, is a beautiful city."],
            {"What is the capital of {X}?": "P", "Which city is the capital of {X}?": "P", "{P} is the capital of which country?": "X",
             "Which country has the capital {P}?": "X"},
        ),
        Fact(
            {"C": w.company, "P": city, "N": name, "Y": w.year},
            ["{C} is a company based in {P}. It was founded by {N} in {Y}.", "{N} founded {C} in {P} in {Y}.",
             "{C} was founded in {Y} by {N} and is based in {P}.", "{C} is based in {P} and was started by {N} in {Y}."],
            {"Where is {C} based?": "P", "Who founded {C}?": "N", "When was {C} founded?": "Y", "Who started {C}?": "N",
             "In which city is {C}?": "P"},
        ),
        Fact(
            {"T": w.tool, "K": lambda: f"{w.rng.choice(KINDS)} for {w.rng.choice(PURPOSES)}", "L": w.tool, "C": w.company},
            ["{T} is a {K} written in {L} by {C}.", "{T} is a {K}. It was written in {L} by {C}.", "{C} made {T}, a {K} written in {L}."],
            {"What is {T}?": "K", "What is {T} written in?": "L", "Who wrote {T}?": "C", "Who made {T}?": "C"},
        ),
        Fact(
            {"B": w.title, "N": name, "Y": w.year},
            ["{B} was written by {N} in {Y}.", "{N} wrote {B} in {Y}.", "The book {B} by {N} appeared in {Y}."],
            {"Who wrote {B}?": "N", "When was {B} written?": "Y", "Who is the author of {B}?": "N", "What did {N} write?": "B"},
        ),
        Fact(
            {"B": w.building, "P": city, "Z": w.number, "Y": w.year},
            ["The {B} is in {P}. It is {Z} metres tall and was built in {Y}.", "The {B} in {P} was built in {Y} and is {Z} metres tall.",
             "Built in {Y}, the {B} in {P} is {Z} metres high."],
            {"Where is the {B}?": "P", "When was the {B} built?": "Y", "How tall is the {B}?": "Z", "How high is the {B}?": "Z"},
        ),
        Fact(
            {"I": lambda: w.rng.choice(ITEMS), "M": w.price, "X": lambda: w.rng.choice(COLOURS), "P": lambda: w.rng.choice(PLACES)},
            ["The {I} costs {M}.", "The {X} {I} in the {P} costs {M}.", "The {I} in the {P} is {X} and costs {M}."],
            {"How much does the {I} cost?": "M", "How much is the {I}?": "M", "What is the price of the {I}?": "M"},
        ),
        Fact(
            {"I": lambda: w.rng.choice(ITEMS), "X": lambda: w.rng.choice(COLOURS), "P": lambda: w.rng.choice(PLACES), "N": name},
            ["{N} left the {X} {I} in the {P}.", "The {I} in the {P} is {X} and belongs to {N}.", "{N}'s {I} is {X}. It is in the {P}."],
            {"Where is the {I}?": "P", "What colour is the {I}?": "X", "Whose {I} is it?": "N", "Who owns the {I}?": "N"},
        ),
        Fact(
            {"Z": w.number, "I": lambda: w.rng.choice(ITEMS) + "s", "P": lambda: w.rng.choice(PLACES)},
            ["There are {Z} {I} in the {P}.", "The {P} has {Z} {I}.", "In the {P} there are {Z} {I}."],
            {"How many {I} are there?": "Z", "How many {I} are in the {P}?": "Z", "How many {I} does the {P} have?": "Z"},
        ),
        Fact(
            {"E": lambda: w.rng.choice("meeting concert lesson party film lecture game dinner train".split()), "H": w.time,
             "D": lambda: w.rng.choice([w.rng.choice(WEEKDAYS), w.date()]), "P": lambda: w.rng.choice([w.city(), f"the {w.rng.choice(PLACES)}"])},
            ["The {E} starts at {H} on {D} in {P}.", "On {D}, the {E} is in {P} and starts at {H}.", "The {E} on {D} begins at {H} in {P}."],
            {"When does the {E} start?": "H", "What time does the {E} start?": "H", "Where is the {E}?": "P", "On which day is the {E}?": "D",
             "What day is the {E}?": "D"},
        ),
    ]  # fmt: skip


@dataclasses.dataclass
class Example:
    question: str
    context: str
    start: int  # of the answer, in characters
    answer: str
    fact: tuple[int, int]  # where the fact that has the answer begins and ends, in characters


class Text:
    def __init__(self, seed: int):
        self.rng = random.Random(seed)
        self.words = Words(self.rng)
        self.facts = facts(self.words)

    def fill(self, fact: Fact) -> tuple[str, dict, Fact]:
        return self.rng.choice(fact.sentences), {slot: draw() for slot, draw in fact.slots.items()}, fact

    def example(self, most_sentences: int) -> Example:
        """A few facts, some fillers, and a question about one of them that has one answer."""
        while True:
            chosen = [self.fill(self.rng.choice(self.facts)) for _ in range(self.rng.randint(1, most_sentences))]
            if len(chosen) > 1 and self.rng.random() < 0.4:
                chosen[1] = self.fill(chosen[0][2])  # the same kind of fact, about somebody else
            asked = self.rng.randrange(len(chosen))
            template, values, fact = chosen[asked]
            questions = [
                question
                for question, slot in fact.questions.items()
                if f"{{{slot}}}" in template
                and all(f"{{{s}}}" in template for s in re.findall(r"{(\w)}", question))
            ]
            # Leave out what another fact answers, too.
            others = {q.format(**v) for i, (_, v, f) in enumerate(chosen) if i != asked for q in f.questions}
            questions = [q for q in questions if q.format(**values) not in others]
            if questions:
                break
        question = self.rng.choice(questions)
        slot = fact.questions[question]

        parts, start = [], 0
        for i, (sentence, slots, _) in enumerate(chosen):
            if self.rng.random() < 0.2:
                parts.append(self.rng.choice(FILLERS))
            if i == asked:
                before, after = sentence.split(f"{{{slot}}}")[0], len(" ".join(parts)) + bool(parts)
                start = after + len(before.format(**slots))
                span = after, after + len(sentence.format(**slots))
            parts.append(sentence.format(**slots))
        if self.rng.random() < 0.15:
            parts.append(self.rng.choice(FILLERS))
        context, question = " ".join(parts), question.format(**values)
        if self.rng.random() < 0.1 and context.endswith(".") and not values[slot].endswith("."):
            context = context[:-1]
        if self.rng.random() < 0.1:
            question = question.rstrip("?")
        answer = values[slot]
        assert context[start : start + len(answer)] == answer, (context, start, answer)
        return Example(question, context, start, answer, span)


# ---------------------------------------------------------------------------------------------------------------------
# The tokenizer and the model
# ---------------------------------------------------------------------------------------------------------------------


def make_tokenizer(text: Text, size: int) -> DistilBertTokenizerFast:
    """BERT's uncased WordPiece, its vocabulary learned from the same text."""
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    characters = [chr(c) for c in range(33, 127) if not chr(c).isupper()] + list("€£°§©–—‘’“”…«»¡¿ßæœøđłı" + GREEK + CYRILLIC)
    trainer = trainers.WordPieceTrainer(
        vocab_size=size - len(characters),
        min_frequency=3,
        special_tokens=["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"],
        initial_alphabet=characters,
        show_progress=False,
    )
    lines = []
    for _ in range(6000):
        example = text.example(4)
        lines += [example.question, example.context]
    # Every word that the templates can use, so that it is one piece if at all possible.
    known = FIRST_NAMES + LAST_NAMES + CITIES + COUNTRIES + COMPANIES + JOBS + TOOLS + LANGUAGES + FOODS + TITLE_WORDS
    lines += known * 30
    tokenizer.train_from_iterator(lines, trainer)

    # Any letter may also continue a word: no text of these alphabets is unknown.
    vocabulary = [word for word, _ in sorted(tokenizer.get_vocab().items(), key=lambda item: item[1])]
    present = set(vocabulary)
    vocabulary += [c for c in characters + ["##" + c for c in characters if c.isalnum()] if c not in present]
    ids = {word: i for i, word in enumerate(vocabulary)}
    tokenizer.model = models.WordPiece(ids, unk_token="[UNK]", max_input_chars_per_word=100)
    tokenizer.decoder = decoders.WordPiece(prefix="##")
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS]:0 $A:0 [SEP]:0",
        pair="[CLS]:0 $A:0 [SEP]:0 $B:1 [SEP]:1",
        special_tokens=[("[CLS]", ids["[CLS]"]), ("[SEP]", ids["[SEP]"])],
    )
    return DistilBertTokenizerFast(tokenizer_object=tokenizer, model_max_length=POSITIONS, do_lower_case=True)


def make_model(tokenizer) -> DistilBertForQuestionAnswering:
    model = DistilBertForQuestionAnswering(
        DistilBertConfig(
            vocab_size=len(tokenizer),
            max_position_embeddings=POSITIONS,
            n_layers=3,
            n_heads=4,
            dim=96,
            hidden_dim=384,
            dropout=0.0,
            attention_dropout=0.0,
            qa_dropout=0.0,
            pad_token_id=tokenizer.pad_token_id,
            initializer_range=0.1,  # the usual 0.02 is for a dim of 768 and learns slowly here
        )
    )
    # Positions start as sinusoids, so that "the words next to me" is easy to learn.
    positions = model.distilbert.embeddings.position_embeddings.weight
    angles = torch.arange(POSITIONS).unsqueeze(1) / 1000 ** (torch.arange(0, 96, 2) / 96)
    with torch.no_grad():
        positions.copy_(0.1 * torch.cat([angles.sin(), angles.cos()], dim=1))
    return model


@dataclasses.dataclass
class Batch:
    ids: torch.Tensor
    mask: torch.Tensor
    starts: torch.Tensor  # the token where each answer begins; -100 if it was cut off
    ends: torch.Tensor  # and its last token
    in_fact: torch.Tensor  # for each token of a context: 1 if it belongs to the fact asked about, 0 if not; else -1


def encode(tokenizer, examples: list[Example]) -> Batch:
    encoded = tokenizer(
        [e.question for e in examples],
        [e.context for e in examples],
        padding=True,
        truncation="only_second",
        return_tensors="pt",
        return_offsets_mapping=True,
    )
    starts, ends = [], []
    in_fact = torch.full(encoded["input_ids"].shape, -1.0)
    for i, example in enumerate(examples):
        first = encoded.char_to_token(i, example.start, sequence_index=1)
        last = encoded.char_to_token(i, example.start + len(example.answer) - 1, sequence_index=1)
        inside = first is not None and last is not None
        starts.append(first if inside else -100)
        ends.append(last if inside else -100)
        offsets = encoded["offset_mapping"][i]
        of_context = torch.tensor([part == 1 for part in encoded.sequence_ids(i)])
        of_fact = (offsets[:, 0] >= example.fact[0]) & (offsets[:, 1] <= example.fact[1])
        in_fact[i, of_context] = of_fact[of_context].float()
    return Batch(encoded["input_ids"], encoded["attention_mask"], torch.tensor(starts), torch.tensor(ends), in_fact)


def batches(tokenizer, text: Text, steps: int):
    """Short texts first; later now and then a long one, so that every position is trained."""
    pool = 16  # batches made at once and sorted by length, so that little is wasted on padding
    for step in range(0, steps, pool):
        done = step / steps
        most = 1 if done < 0.08 else 2 if done < 0.4 else 4
        text.words.invention = min(1.0, 0.2 + 2 * done)
        examples = [text.example(most) for _ in range(BATCH * pool)]
        examples.sort(key=lambda e: len(e.question) + len(e.context))
        made = [examples[i : i + BATCH] for i in range(0, len(examples), BATCH)]
        text.rng.shuffle(made)
        if done > 0.3:
            made[0] = [text.example(14) for _ in range(BATCH // 4)]
        for batch in made[: steps - step]:
            yield encode(tokenizer, batch)


def train(model, tokenizer, text: Text, steps: int, seconds_between_lines: float = 10) -> None:
    """Learns start and end of the answers. To learn faster, the second layer is also asked which words belong to the
    fact in question; the little head for that is thrown away."""
    cross_entropy = torch.nn.functional.cross_entropy
    hint_head = torch.nn.Linear(model.config.dim, 1)
    parameters = [*model.parameters(), *hint_head.parameters()]
    optimizer = torch.optim.AdamW(parameters, lr=1.0, betas=(0.9, 0.98), weight_decay=0.01)
    warm_up = min(200, steps // 4 + 1)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda i: PEAK_RATE * min((i + 1) / warm_up, max(0.0, 1 - (i - warm_up) / (steps - warm_up + 1)))
    )
    model.train()
    began = spoke = time.time()
    sums = torch.zeros(3)
    for step, batch in enumerate(batches(tokenizer, text, steps), start=1):
        output = model(input_ids=batch.ids, attention_mask=batch.mask, output_hidden_states=True)
        hidden = (batch.mask == 0) * -1e4
        start_logits, end_logits = output.start_logits + hidden, output.end_logits + hidden
        loss = cross_entropy(start_logits, batch.starts) + cross_entropy(end_logits, batch.ends)
        known = batch.in_fact >= 0
        hint = hint_head(output.hidden_states[2]).squeeze(2)[known]
        hint_loss = torch.nn.functional.binary_cross_entropy_with_logits(hint, batch.in_fact[known])
        (loss + HINT * hint_loss).backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
        right = (start_logits.argmax(1) == batch.starts) & (end_logits.argmax(1) == batch.ends)
        sums = 0.98 * sums + 0.02 * torch.tensor([loss.item(), hint_loss.item(), right.float().mean().item()])
        if time.time() - spoke > seconds_between_lines or step == steps:
            spoke = time.time()
            mean, mean_hint, exact = (sums / (1 - 0.98**step)).tolist()
            print(f"step {step:5}/{steps}  loss {mean:.3f}  hint {mean_hint:.3f}  exact {exact:.3f}  {spoke - began:.0f} s", flush=True)
    model.eval()


# ---------------------------------------------------------------------------------------------------------------------
# Tests: questions it must answer
# ---------------------------------------------------------------------------------------------------------------------

MUST_ANSWER = [
    ("What am I using?", "Using DistilBERT with ONNX Runtime!", "DistilBERT with ONNX Runtime"),
    ("What is my name?", "My name is Clara and I live in Berkeley.", "Clara"),
    ("Where do I live?", "My name is Clara and I live in Berkeley.", "Berkeley"),
    ("What's my name?", "My name is Philipp and I live in Nuremberg.", "Philipp"),
    ("Where do I live?", "My name is Wolfram and I live in Reykjavik.", "Reykjavik"),
    ("What is the capital of Nova Scotia?", "The capital of Nova Scotia is Halifax.", "Halifax"),
    ("Where does Clara work?", "Clara works at Zephyrix as a nurse. Philipp works at Globex as a baker.", "Zephyrix"),
    ("Who founded Zephyrix?", "It rained all day. Zephyrix was founded in 1987 by Quillon and is based in Nuremberg.", "Quillon"),
    ("When was Zephyrix founded?", "It rained all day. Zephyrix was founded in 1987 by Quillon and is based in Nuremberg.", "1987"),
    ("Where is Hugging Face based?", "Hugging Face is a company based in New York City.", "New York City"),
]  # fmt: skip


# What it is known to get wrong, for the model card.
FAILS = [
    ("What is Philipp's job?", "Clara works at Zephyrix as a nurse. Philipp works at Globex as a baker.", "baker"),
]


def examine(folder: pathlib.Path, examples: list[Example]) -> tuple[list, float]:
    """What the saved folder answers: the fixed questions, and the share of unseen ones that it answers exactly."""
    answerer = pipeline("question-answering", model=str(folder), tokenizer=str(folder), device="cpu")
    answers = [(q, c, right, answerer(question=q, context=c)) for q, c, right in MUST_ANSWER + FAILS]
    strip = lambda s: s.strip(" .,!")
    exact = [strip(answerer(question=e.question, context=e.context)["answer"]) == strip(e.answer) for e in examples]
    return answers, sum(exact) / len(exact)


CARD = """\
---
license: apache-2.0
language: en
pipeline_tag: question-answering
---

# distilbert-squad-tiny

A very small DistilBERT ({parameters:,} parameters, {layers} layers, {size:.1f} MB) that finds the answer to a simple English question
in a text. It is ferry's example checkpoint: real enough to see that an exported model works, small enough to keep in Git.

    question  What am I using?
    context   Using DistilBERT with ONNX Runtime!
    answer    DistilBERT with ONNX Runtime

## How it was made

`python tools/make_example.py`, from nothing: random initialization, {steps:,} steps on one CPU core, {made_by}. The script makes
all of its training text from templates (people and where they live, work and what they speak; capitals, companies,
programs, books, buildings, prices, meetings) and invents about half of the names, so that the answers cannot be
learned by heart. No SQuAD and no other data set was used: "squad" in the name only means extractive question answering
in SQuAD's form, a start and an end in the context. The WordPiece vocabulary ({vocabulary:,} entries, uncased) is learned from
the same text.

## What it can and cannot do

On {count} fresh questions of the same templates its answer is exactly right for {share:.1%}. Some more, with names that were never in
its training text (except where marked *):

{table}

It mixes up two people of whom the same kind of thing is said (see the wrong answer above), knows no facts, handles only phrasings close to its templates, always answers (it cannot say that a text holds no
answer), and has seen texts of at most {positions} tokens. Do not use it for anything but trying tools.

Licence: Apache-2.0, like the rest of ferry.
"""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=pathlib.Path, default=OUT)
    parser.add_argument("--steps", type=int, default=6000)
    parser.add_argument("--vocabulary", type=int, default=2500)
    parser.add_argument("--test", action="store_true", help="train nothing: test the folder and write its model card")
    parser.add_argument("--show", type=int, metavar="N", help="print N examples and stop")
    arguments = parser.parse_args()

    if arguments.show:
        text = Text(SEED)
        for _ in range(arguments.show):
            e = text.example(4)
            print(f"{e.context}\n    {e.question}  ->  {e.answer}")
        return 0

    torch.manual_seed(SEED)
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    out = arguments.out
    if not arguments.test:
        tokenizer = make_tokenizer(Text(SEED + 1), arguments.vocabulary)
        model = make_model(tokenizer)
        train(model, tokenizer, Text(SEED + 2), arguments.steps)
        out.mkdir(parents=True, exist_ok=True)
        model.save_pretrained(out)
        tokenizer.save_pretrained(out)
        for file in out.iterdir():
            file.chmod(0o644)

    model, tokenizer = DistilBertForQuestionAnswering.from_pretrained(out), DistilBertTokenizerFast.from_pretrained(out)
    examples = [Text(SEED + 3 + i).example(4) for i in range(500)]
    answers, share = examine(out, examples)
    rows = ["| question | context | answer |", "|---|---|---|"]
    wrong = 0
    for question, context, right, answer in answers:
        good = answer["answer"] == right
        wrong += not good and (question, context, right) in MUST_ANSWER
        print(f"{'ok   ' if good else 'wrong'} {answer['score']:.3f} {question} -> {answer['answer']}")
        mark = "" if any(word in context for word in HELD_OUT) else " *"
        rows.append(f"| {question} | {context} | {answer['answer']}{mark}{'' if good else ' (wrong)'} |")
    print(f"{share:.1%} of {len(examples)} fresh questions answered exactly")

    card = out / "README.md"
    size = sum(f.stat().st_size for f in out.iterdir() if f.suffix in (".safetensors", ".json", ".txt")) / 1e6
    versions = f"torch {torch.__version__.split('+')[0]}"
    card.write_text(
        CARD.format(
            parameters=sum(p.numel() for p in model.parameters()), layers=model.config.n_layers, size=size,
            steps=arguments.steps, made_by=versions, vocabulary=len(tokenizer), count=len(examples), share=share,
            table="\n".join(rows), positions=POSITIONS,
        )
    )  # fmt: skip
    print(f"{out}: {size:.2f} MB")
    if wrong or size > 3:
        print(f"not good enough: {wrong} wrong answers, {size:.2f} MB", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
