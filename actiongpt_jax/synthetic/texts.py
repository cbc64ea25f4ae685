"""Writes descriptions of the synthetic phrases with a grammar, not a language model.

A description combines the sentences that the phrase's moves have about each limb
(`words.toml`), with random wording and order. The moves of a held-out phrase occur in
training, and so do the sentences of its description. The writer's name in a record
marks the text as synthetic.
"""

import re
import zlib
from collections.abc import Sequence

import numpy as np

from actiongpt_jax.synthetic.phrases import SIDES, Phrase, load_phrases
from actiongpt_jax.synthetic.words import LIMBS, load_words
from actiongpt_jax.text import prompts
from actiongpt_jax.text.description import Description

WRITER, TERSE_WRITER = "synthetic", "synthetic-terse"
MIN_WORDS, MAX_WORDS = 40, 80  # length of a description in the paper's prompt
ORDERS = (
    ("legs", "feet", "torso", "arms", "rest", "head", "pace"),
    ("feet", "legs", "arms", "rest", "torso", "head", "pace"),
    ("head", "torso", "arms", "rest", "legs", "feet", "pace"),
    ("arms", "rest", "torso", "legs", "feet", "pace", "head"),
    ("torso", "legs", "feet", "pace", "arms", "rest", "head"),
)
# Sentences for limbs that no move mentions, the most informative first.
QUIET = {
    "arms": "The arms [hang loosely|hang relaxed|stay relaxed] at the sides.",
    "head": "The head [stays level|is held level], the eyes [looking|turned] ahead.",
    "torso": "The torso [stays|remains] [upright|straight and upright].",
    "pace": "The [whole movement|action] is [smooth and controlled|fluent and calm],"
    " and it ends in a [stable|quiet|balanced] position.",
}
SUBJECTS = ("The person", "A person", "Someone", "The figure", "One person")
PLAIN = "{} {}."
OPENERS = (PLAIN, PLAIN, "After a short pause, {} {}.")
MANNERS = (
    "It looks [natural|easy].",
    "The movement is [clear|simple].",
    "It takes [a few seconds|a short while].",
    "They [do so|move] with [ease|care].",
    "",
)
IDEAS = ("{}.", "in general, {}.", "{}, as [everyone|anyone] knows.", "put simply, {}.")
ENDS = (
    "",
    "It is [easy to recognise|seen quite often].",
    "[People|Most people] have seen it many times.",
    "Much depends on the [situation|occasion].",
)


def describe_all(more: Sequence[Phrase] = ()) -> list[Description]:
    """Writes all descriptions of all phrases of the corpus, in the order of its table.

    Args:
        more: further phrases, described after these; see `describe`.
    """
    return [r for phrase in [*load_phrases(), *more] for r in describe(phrase)]


def built_in_texts(phrase: Phrase) -> list[str]:
    """Returns the descriptions that models of the built-in corpus are trained on."""
    return [
        record.text
        for record in describe(phrase)
        if (record.writer, record.prompt) == (WRITER, prompts.DEFAULT)
    ]


def describe(phrase: Phrase) -> list[Description]:
    """Writes all descriptions of a phrase; deterministic.

    Args:
        phrase: the phrase to describe.

    Returns:
        8 descriptions for the prompt `detail` by the writer `synthetic`, 4 for each of
        the three less detailed prompts, and 4 for `detail` by `synthetic-terse`.
    """
    records = []
    for writer, prompt, count, write in _JOBS:
        seed = zlib.crc32(f"{writer}/{prompt}/{phrase.text}".encode())
        rng = np.random.default_rng(seed)
        texts: list[str] = []
        while len(texts) < count:
            text = write(phrase, rng)
            if text not in texts:
                texts.append(text)
        records += [
            Description(
                phrase=phrase.text,
                index=index,
                text=text,
                prompt=prompt,
                prompt_version=prompts.VERSION,
                writer=writer,
                model=writer,
                endpoint="synthetic",
                parameters={},
                finish_reason="stop",
                time="1970-01-01T00:00:00Z",  # constant, for the same bytes every time
            )
            for index, text in enumerate(texts)
        ]
    return records


def _detail(phrase, rng):
    sentences = _limbs(phrase)
    quiet = [name for name in QUIET if name not in sentences]
    order = ORDERS[rng.integers(len(ORDERS))]
    spoken = {name: _choose(text, rng) for name, text in sentences.items()}
    opener = _opener(phrase, rng)
    for name in quiet:
        if _count(opener, spoken) < MIN_WORDS + 8:
            spoken[name] = _choose(QUIET[name], rng)
    for name in ("pace", "rest", "feet", "torso"):
        if _count(opener, spoken) > MAX_WORDS:
            spoken.pop(name, None)
    return " ".join([opener, *(spoken[name] for name in order if name in spoken)])


def _movements(phrase, rng):
    sentences = _limbs(phrase)
    # The limbs that the phrase's moves mention.
    named = set().union(*(load_words()[name] for name, _ in _acts(phrase)))
    shows = [limb for limb in LIMBS if limb in named - {"rest", "pace"}]
    # The order is drawn again for each limb, so that the number of limbs varies.
    keep = [limb for limb in LIMBS if limb in rng.permutation(shows)[:2]]
    spoken = {name: _choose(sentences[name], rng) for name in keep}
    opener = _opener(phrase, rng)
    if len(spoken) > 1 and _count(opener, spoken) > 60:
        spoken.pop(str(rng.choice(keep)))
    return " ".join([opener, *spoken.values()])


def _person(phrase, rng):
    manner = _choose(str(rng.choice(MANNERS)), rng)
    return f"{_opener(phrase, rng)} {manner}".rstrip()


def _action(phrase, rng):
    ideas = [load_words()[name]["idea"] for name, _ in _acts(phrase)]
    idea = " and ".join(_choose(idea, rng) for idea in ideas)
    sentence = _choose(str(rng.choice(IDEAS)).format(idea), rng)
    return f"{_capital(sentence)} {_choose(str(rng.choice(ENDS)), rng)}".rstrip()


def _terse(phrase, rng):
    notes = []
    for name, side in phrase.parts:
        part = _sided(load_words()[name]["terse"], side).split("; ")
        notes += [part[i] for i in rng.permutation(len(part))]
    mark = str(rng.choice(["; ", ", ", ". "]))
    if mark == ". ":
        notes = [_capital(note) for note in notes]
    return _capital(mark.join(notes)) + "."


# (writer, prompt, number of texts, function that writes one)
_JOBS = (
    (WRITER, "detail", 8, _detail),
    (WRITER, "action", 4, _action),
    (WRITER, "person", 4, _person),
    (WRITER, "movements", 4, _movements),
    (TERSE_WRITER, "detail", 4, _terse),
)


def _acts(phrase):
    """Returns the parts of a phrase except `stand`, which is not an action."""
    return [part for part in phrase.parts if part[0] != "stand"]


def _limbs(phrase):
    """Returns limb -> template; a later part of the phrase replaces an earlier one."""
    sentences = {}
    for name, side in phrase.parts:
        words = load_words()[name]
        if "arms" in words:
            sentences.pop("rest", None)
        for limb in LIMBS:
            if limb in words:
                sentences[limb] = _sided(words[limb], side)
    return sentences


def _opener(phrase, rng):
    acts = _acts(phrase)
    gists = [_sided(load_words()[name]["gist"], side) for name, side in acts]
    gist = " and ".join(_choose(gist, rng) for gist in gists)
    subject = str(rng.choice(SUBJECTS))
    opener = str(rng.choice(OPENERS))
    if opener != PLAIN:
        subject = subject[0].lower() + subject[1:]
    if len(acts) < len(phrase.parts) and rng.random() < 0.4:
        gist = f"[stands|stays] [in place|on the spot] and {gist}"
    return _choose(opener.format(subject, gist), rng)


def _sided(template, side):
    return template if side is None else template.replace("{side}", SIDES[side])


def _choose(template, rng):
    """Replaces every `[a|b]` of a template by a random choice."""

    def pick(match):
        options = match.group(1).split("|")
        return options[rng.integers(len(options))]

    return re.sub(r"\[([^\[\]]*)\]", pick, template)


def _count(opener, spoken):
    return len(" ".join([opener, *spoken.values()]).split())


def _capital(text):
    return text[:1].upper() + text[1:]
