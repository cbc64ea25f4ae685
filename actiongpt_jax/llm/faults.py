"""Finds, counts and lists faults of descriptions, such as truncated texts.

The name of a fault selects the texts that `describe --redo` asks for again.
"""

import collections
import dataclasses
import functools
import hashlib
import re
from collections.abc import Callable, Iterable, Iterator

from actiongpt_jax.errors import InputError
from actiongpt_jax.text.answers import looks_like_thoughts
from actiongpt_jax.text.description import Description
from actiongpt_jax.text.prompts import TEMPLATES

REASONS = {
    "empty": "no text",
    "truncated": "cut by the token limit, or without final punctuation",
    "refused": "the model declined",
    "thoughts": "a reasoning model's thoughts, other markup, or thinking aloud",
    "duplicate": "the same text as an earlier one of the phrase",
    "echo": "repeats the prompt",
    "short": "too few words for a description",
    "long-clip": "longer than CLIP's 77 word pieces",
    "long-distilbert": "longer than DistilBERT's 512 word pieces",
    "glued": "no space between sentences",
}
# The paper's descriptions have about 128 words; with fewer words than this, no text
# describes limbs.
MIN_WORDS = 8
LIMITS = {"long-clip": 77, "long-distilbert": 512}

_TRUNCATED = {"length", "max_tokens", "max_output_tokens", "incomplete"}
_REFUSED = {"content_filter", "refusal"}
_FINAL = frozenset(".!?…。！？")
_CLOSERS = " \t\n\r\"'”’»)]*"
_REFUSAL = re.compile(
    r"^\W*(i['’]?m sorry|sorry,|i am sorry|i apologi[sz]e|i can(no|['’])t\b|i can not\b"
    r"|i['’]?m (not able|unable)|i am (not able|unable)|i won['’]t\b|as an? (ai|"
    r"(large )?language model)\b|i['’]?m (just )?an? (ai|language model))",
    re.IGNORECASE,
)
_GLUED = re.compile(r"[^\W\d_]{2}[.!?][\"'”’)]?[A-Z][^\W\d_]*[ ,']")
# In scripts without spaces every character counts as a word.
_LETTERS = r"[^\W\u3040-\u30ff\u3400-\u9fff]+"
_WORD = re.compile(rf"[\u3040-\u30ff\u3400-\u9fff]|{_LETTERS}(?:['’]{_LETTERS})*")
_RUN = re.compile(rf"[\u3040-\u30ff\u3400-\u9fff]|{_LETTERS}")
# Eight words; MIN_WORDS of them.
_ENOUGH_WORDS = re.compile(
    rf"(?:\W*+(?:[\u3040-\u30ff\u3400-\u9fff]|{_LETTERS}+(?:['’]{_LETTERS}+)*+))"
    rf"{{{MIN_WORDS}}}"
)
_ECHOED_WORDS = 7
_PHRASE = "\0"  # stands for the phrase among the words of a prompt
_LETTERS_A_PIECE = 9
# Translate ASCII to its letters in lower case and its digits.
_LOWER = bytes(range(256)).lower()
_NO_LETTERS = bytes(code for code in range(128) if not chr(code).isalnum())


@dataclasses.dataclass(frozen=True, slots=True)
class Fault:
    """One fault of one description."""

    reason: str
    record: Description


def find_faults(
    records: Iterable[Description],
    count_pieces: Callable[[str], int] | None = None,
) -> list[Fault]:
    """Finds the faults of descriptions; see `judge`.

    Returns:
        The faults in the order of the records; one record may have several.
    """
    judged = judge(records, count_pieces)
    return [Fault(reason, record) for record, reasons in judged for reason in reasons]


def judge(
    records: Iterable[Description],
    count_pieces: Callable[[str], int] | None = None,
) -> Iterator[tuple[Description, list[str]]]:
    """Finds the faults of descriptions one by one, without keeping the records.

    Args:
        records: the descriptions; of two equal texts the later one is a duplicate.
        count_pieces: function that counts a text's word pieces, including special
            ones; None estimates the count from the words.

    Yields:
        Every record, and the names of its faults in the order of `REASONS`.
    """
    # Hashes instead of texts: a cache may have hundreds of thousands.
    seen: set[int] = set()
    for record in records:
        text, reason = record.text.strip(), record.finish_reason
        if not text:
            yield record, ["empty"]
            continue
        faults: list[str] = []
        letters = _letters(text)
        least, most, num_words = _bounds(text, len(letters))
        # Texts by different writers or for different prompts are no duplicates.
        same = hash((record.phrase, record.writer, record.prompt, letters or text))
        if reason in _TRUNCATED or text.rstrip(_CLOSERS)[-1:] not in _FINAL:
            faults.append("truncated")
        if reason in _REFUSED or _REFUSAL.match(text):
            faults.append("refused")
        if looks_like_thoughts(text):
            faults.append("thoughts")
        if same in seen:
            faults.append("duplicate")
        seen.add(same)
        if is_echo(record):
            faults.append("echo")
        if num_words < MIN_WORDS and not _ENOUGH_WORDS.match(text):
            faults.append("short")
        if count_pieces is not None:
            least = most = count_pieces(text)
        for name, limit in LIMITS.items():
            if least > limit or (most > limit and estimate_pieces(text) > limit):
                faults.append(name)
        if _is_glued(text):
            faults.append("glued")
        yield record, faults


def _is_glued(text: str) -> bool:
    # Looking at the ends takes less time than the search, and finds most texts sound.
    for mark in ".!?":
        at = text.find(mark)
        while at >= 0:
            if text[at + 1 : at + 2] not in ("", " "):
                return _GLUED.search(text) is not None
            at = text.find(mark, at + 1)
    return False


def _bounds(text: str, num_letters: int) -> tuple[int, int, int]:
    """Returns bounds that take less time than `estimate_pieces` and `count_words`.

    Returns:
        The least and the largest number of pieces, and the least number of words.
    """
    if not text.isascii() or "  " in text:
        return 0, len(text) + 2, 0
    spaces = text.count(" ")
    marks = len(text) - num_letters - spaces
    # A mark is a piece, and begins a word where it stands inside of one.
    most = 3 + spaces + 2 * marks + num_letters // _LETTERS_A_PIECE
    return 3 + spaces, most, 1 + spaces - marks


def parse_reasons(spec: str) -> list[str]:
    """Splits a comma-separated list of reasons.

    Raises:
        InputError: for an unknown reason; the message lists the known ones.
    """
    reasons = [part.strip() for part in spec.split(",") if part.strip()]
    unknown = [reason for reason in reasons if reason not in REASONS]
    if unknown or not reasons:
        raise InputError(
            f"the fault must be one or more of {', '.join(REASONS)}, separated by"
            f" commas, got {spec!r}"
        )
    return reasons


def count_words(text: str) -> int:
    """Returns the number of words; in scripts without spaces, of characters."""
    return len(_WORD.findall(text))


def estimate_pieces(text: str) -> int:
    """Estimates the number of word pieces of a text, including the two special ones.

    Every nine letters of a word, rounded up, count as one piece, and so does every
    punctuation mark. On 956 English descriptions this is within an eighth of BERT's
    own counts and on average 1 % higher.
    """
    words = sum(-(-len(word) // _LETTERS_A_PIECE) for word in _RUN.findall(text))
    return 2 + words + len(re.findall(r"[^\w\s]", text))


def is_echo(record: Description) -> bool:
    """Returns whether a text repeats its prompt.

    It does if it is the phrase alone, or contains seven consecutive words of the
    prompt (or all words of a shorter prompt). Repeating a long phrase is allowed: the
    phrase counts as one word.
    """
    template = record.template or TEMPLATES.get(record.prompt, "")
    phrase, (runs, signs) = _echo_of(template, record.phrase)
    lower = record.text.lower()
    # Most texts lack a word of every run; finding that out takes less time.
    for sign, others in signs:
        if sign in lower and all(map(lower.__contains__, others)):
            words = _collapse(find_words(record.text), phrase)
            size = len(next(iter(runs)))
            if any(tuple(words[i : i + size]) in runs for i in range(len(words))):
                return True
            break
    # Only a text about as long as the phrase can consist of its words.
    return len(lower.split(None, len(phrase) + 1)) <= len(phrase) + 1 and (
        find_words(record.text) == phrase
    )


_Runs = tuple[set[tuple[str, ...]], list[tuple[str, list[str]]]]


@functools.lru_cache(maxsize=64)
def _echo_of(template: str, phrase: str) -> tuple[list[str], _Runs]:
    """Returns a phrase's words, and the runs of words that no text may repeat.

    The runs come with signs: a text in lower case that repeats a run has one of these
    words, and all the words that stand next to it.
    """
    words = find_words(phrase)
    prompt = _words_of_template(template)
    if words and words[0] in prompt:
        prompt = tuple(_collapse([*prompt], words))
    return words, _runs_of(prompt)


@functools.lru_cache(maxsize=64)
def _words_of_template(template: str) -> tuple[str, ...]:
    parts = map(find_words, template.split("{phrase}"))
    return tuple(functools.reduce(lambda a, b: [*a, _PHRASE, *b], parts))


@functools.lru_cache(maxsize=64)
def _runs_of(prompt: tuple[str, ...]) -> _Runs:
    size = min(_ECHOED_WORDS, len(prompt))
    if size < len(find_words("describe the action x")):
        return set(), []
    runs = {prompt[i : i + size] for i in range(len(prompt) - size + 1)}
    left, signs = runs, []
    while left:
        # The longest words are the rarest. A text may have a typographic apostrophe,
        # and the phrase is not one word in it.
        words = {w for run in left for w in run if "'" not in w and w != _PHRASE}
        sign = max(words, key=lambda word: (len(word), word), default="")
        mine = [set(run) & words for run in left if sign in run or not words]
        signs.append((sign, sorted(set.intersection(*mine), key=len, reverse=True)))
        left = {run for run in left if sign not in run} if words else set()
    return runs, signs


def report(
    judged: Iterable[tuple[Description, list[str]]], most: int | None = 20
) -> Iterator[str]:
    """Yields lines of text: faulty texts, then how often each fault occurs.

    Args:
        judged: descriptions with their faults, from `judge`.
        most: largest number of texts to list for each fault; None for all.
    """
    counts: collections.Counter[str] = collections.Counter()
    listed: dict[str, list[str]] = {reason: [] for reason in REASONS}
    total = sound = 0
    for record, reasons in judged:
        total, sound = total + 1, sound + (not reasons)
        for reason in reasons:
            counts[reason] += 1
            if most is None or counts[reason] <= most:
                listed[reason].append(
                    f"{reason}: {record.phrase!r} [{record.index}] by {record.writer}:"
                    f" ...{record.text[-60:]!r}"
                )
    for reason, lines in listed.items():
        yield from lines
        if more := counts[reason] - len(lines):
            yield f"{reason}: and {more} more; --list 0 lists all"
    counts["no fault"] = sound
    for reason, what in (*REASONS.items(), ("no fault", "")):
        share = counts[reason] / max(total, 1)
        yield f"{reason:16} {counts[reason]:7} {share:6.1%}  {what}".rstrip()


def digest(text: str) -> str:
    """Returns a digest of a text's letters and digits, or of a text without any.

    Texts that differ in case, spaces and punctuation only have the same digest.
    """
    content = _letters(text) or text.encode()
    return hashlib.blake2b(content, digest_size=16).hexdigest()


def _letters(text: str) -> bytes:
    if text.isascii():
        return text.encode().translate(_LOWER, _NO_LETTERS)
    return "".join(filter(str.isalnum, text.lower())).encode()


def find_words(text: str) -> list[str]:
    """Returns the words of a text in lower case."""
    return re.findall(r"[\w']+", text.lower().replace("’", "'"))


def _collapse(words: list[str], phrase: list[str]) -> list[str]:
    """Replaces every occurrence of the phrase by one marker word."""
    out, at = [], 0
    while at < len(words):
        if phrase and words[at : at + len(phrase)] == phrase:
            out.append(_PHRASE)
            at += len(phrase)
        else:
            out.append(words[at])
            at += 1
    return out
