"""Two writers' descriptions of the same phrases, side by side."""

import collections
import re
from collections.abc import Iterator, Mapping, Sequence

from actiongpt_jax.text.description_record import Description
from actiongpt_jax.text.quality import REASONS, count_words, find_faults

Texts = Mapping[str, Sequence[Description]]


def compare(names: tuple[str, str], first: Texts, second: Texts) -> Iterator[str]:
    """Yields lines: every phrase both have, and then both as a whole.

    Args:
        names: of the writers.
        first: phrase -> its descriptions by the first writer.
        second: those by the second.
    """
    both = [phrase for phrase in first if first[phrase] and second.get(phrase)]
    shared_sum = 0.0
    for phrase in both:
        shared = _shared_words(first[phrase], second[phrase])
        shared_sum += shared
        yield f"{phrase}: {shared:.0%} of the words in common"
        for name, of_phrase in zip(names, (first[phrase], second[phrase]), strict=True):
            yield f"  {name} ({len(of_phrase)}, {_mean_words(of_phrase):.0f} words)"
            yield f"    {of_phrase[0].text}"
    for name, own, other in ((names[0], first, second), (names[1], second, first)):
        records = [record for of_phrase in own.values() for record in of_phrase]
        faults = collections.Counter(fault.reason for fault in find_faults(records))
        alone = sum(not other.get(phrase) for phrase in own if own[phrase])
        yield (
            f"{name}: {len(records)} texts of {sum(map(bool, own.values()))} phrases"
            f" ({alone} that only it has), {_mean_words(records):.1f} words on average,"
            f" {len(_vocabulary(records))} different words; faults: "
            + (", ".join(f"{faults[r]} {r}" for r in REASONS if faults[r]) or "none")
        )
    mean = shared_sum / len(both) if both else 0.0
    yield f"both: {len(both)} phrases, {mean:.1%} of a phrase's words in common"


def _mean_words(records: Sequence[Description]) -> float:
    return sum(count_words(r.text) for r in records) / max(len(records), 1)


def _vocabulary(records: Sequence[Description]) -> set[str]:
    return {w for r in records for w in re.findall(r"[\w']+", r.text.lower())}


def _shared_words(a: Sequence[Description], b: Sequence[Description]) -> float:
    left, right = _vocabulary(a), _vocabulary(b)
    return len(left & right) / max(len(left | right), 1)
