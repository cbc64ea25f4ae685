"""Finds, counts and lists faults of descriptions, such as truncated texts.

The name of a fault selects the texts that `describe --redo` asks for again.
"""

import collections
import dataclasses
import re
from collections.abc import Callable, Iterable, Sequence

from actiongpt_jax.errors import InputError
from actiongpt_jax.text.description import Description
from actiongpt_jax.text.prompts import TEMPLATES

REASONS = {
    "empty": "no text",
    "truncated": "cut by the token limit, or without final punctuation",
    "refused": "the model declined",
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
_FINAL = re.compile(r"""[.!?…。！？][\s"'”’»)\]*]*$""")
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
_ECHOED_WORDS = 7
_LETTERS_A_PIECE = 9


@dataclasses.dataclass(frozen=True, slots=True)
class Fault:
    """One fault of one description."""

    reason: str
    record: Description


def find_faults(
    records: Iterable[Description],
    count_pieces: Callable[[str], int] | None = None,
) -> list[Fault]:
    """Finds the faults of descriptions.

    Args:
        records: the descriptions; of two equal texts the later one is a duplicate.
        count_pieces: function that counts a text's word pieces, including special
            ones; None estimates the count from the words.

    Returns:
        The faults in the order of the records; one record may have several.
    """
    count_pieces = count_pieces or estimate_pieces
    seen: set[tuple[str, ...]] = set()
    faults = []
    for record in records:
        text, words = record.text.strip(), count_words(record.text)
        if not text:
            faults.append(Fault("empty", record))
            continue
        # Texts by different writers or for different prompts are no duplicates.
        same = (record.phrase, record.writer, record.prompt, _normal(text))
        pieces = count_pieces(text)
        refused = record.finish_reason in _REFUSED or _REFUSAL.match(text)
        has_fault = {
            "truncated": record.finish_reason in _TRUNCATED or not _FINAL.search(text),
            "refused": refused,
            "duplicate": same in seen,
            "echo": is_echo(record),
            "short": words < MIN_WORDS,
            "glued": _GLUED.search(text),
            **{reason: pieces > limit for reason, limit in LIMITS.items()},
        }
        seen.add(same)
        faults += [Fault(reason, record) for reason in REASONS if has_fault.get(reason)]
    return faults


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
    phrase, text = find_words(record.phrase), find_words(record.text)
    if text == phrase:
        return True
    template = record.template or TEMPLATES.get(record.prompt, "")
    prompt = _collapse(
        find_words(template.replace("{phrase}", f" {record.phrase} ")), phrase
    )
    size = min(_ECHOED_WORDS, len(prompt))
    if size < len(find_words("describe the action x")):
        return False
    runs = {tuple(prompt[i : i + size]) for i in range(len(prompt) - size + 1)}
    words = _collapse(text, phrase)
    return any(tuple(words[i : i + size]) in runs for i in range(len(words) - size + 1))


def report(faults: Sequence[Fault], records: Sequence[Description]) -> list[str]:
    """Returns lines of text: first how often each fault occurs, then each fault."""
    counts = collections.Counter(fault.reason for fault in faults)
    total = len(records)
    sound = total - len({fault.record.key for fault in faults})
    lines = [
        f"{reason:16} {counts[reason]:7} {counts[reason] / max(total, 1):6.1%}  {what}"
        for reason, what in REASONS.items()
    ]
    lines.append(f"{'no fault':16} {sound:7} {sound / max(total, 1):6.1%}")
    for fault in sorted(faults, key=lambda fault: [*REASONS].index(fault.reason)):
        record = fault.record
        lines.append(
            f"{fault.reason}: {record.phrase!r} [{record.index}] by {record.writer}:"
            f" ...{record.text[-60:]!r}"
        )
    return lines


def _normal(text: str) -> str:
    return " ".join(find_words(text)) or text


def find_words(text: str) -> list[str]:
    """Returns the words of a text in lower case."""
    return re.findall(r"[\w']+", text.lower().replace("’", "'"))


def _collapse(words: list[str], phrase: list[str]) -> list[str]:
    """Replaces every occurrence of the phrase by one marker word."""
    out, at = [], 0
    while at < len(words):
        if phrase and words[at : at + len(phrase)] == phrase:
            out.append("\0")
            at += len(phrase)
        else:
            out.append(words[at])
            at += 1
    return out
