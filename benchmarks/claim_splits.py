"""What each replicate of `claim.py` leaves out of its training; see docs/claim.md.

A replicate r is made from one fixed order of actions, manners and phrases, so that it
does not depend on how many replicates there are.
"""

import collections
import dataclasses
import itertools
import json
import os
import pathlib
import shutil
from collections.abc import Iterable, Mapping

import numpy as np

from actiongpt_jax.data.batches.segments import is_action
from actiongpt_jax.data.motion_store import MotionStore, open_store
from actiongpt_jax.data.store_writer import digest
from actiongpt_jax.errors import InputError
from actiongpt_jax.files.atomic import publish, write_json, write_text
from actiongpt_jax.files.yaml_reader import read_yaml

COMBINATIONS = 10  # phrases that are left out although action and manner are known
_LEAST_KNOWN = 2  # trained phrases that every known action and manner keeps
# Shares of the clips of a trained phrase for validation and for judging, and of one
# that is left out for judging; of the 15 clips of a phrase: 2, 3 and 5.
_VAL, _SEEN, _UNSEEN = 2 / 15, 1 / 5, 1 / 3
UNSEEN = ("combination", "manner", "action", "unseen")

# Phrase -> (action, manner); the manner that adds no word to a phrase is ''.
Factors = Mapping[str, tuple[str, str]]


def read_factors(path: str | os.PathLike) -> dict[str, tuple[str, str]]:
    """Reads the actions and manners of phrases from a rule of `prepare table --rule`.

    Args:
        path: the rule; its groups `action` and `manner` must have words.

    Returns:
        Phrase -> (action, manner), for all combinations.

    Raises:
        InputError: if the rule has no words of these groups.
    """
    rule = read_yaml(path, "give a rule as for `prepare table --rule`")
    words = rule.get("words") if isinstance(rule, dict) else None
    if not isinstance(words, dict) or not {"action", "manner"} <= words.keys():
        raise InputError(
            f"{path} must have words of the groups action and manner; give a rule like "
            "benchmarks/styled.yaml, or leave out --factors"
        )
    groups = [[str(w or "") for w in words[g].values()] for g in ("action", "manner")]
    return {f"{a} {m}".strip(): (a, m) for a, m in itertools.product(*groups)}


@dataclasses.dataclass(frozen=True)
class Split:
    """What a replicate trains on and what it leaves out.

    Attributes:
        seen: phrases of the training.
        left_out: phrase that training does not contain -> its split, one of `UNSEEN`,
            or '' for the phrase whose action and manner are both left out.
    """

    seen: frozenset[str]
    left_out: Mapping[str, str]

    def of(self, phrase: str) -> str:
        """Returns the judged split of a phrase; '' if it belongs to none."""
        return "seen" if phrase in self.seen else self.left_out.get(phrase, "")


def draw(phrases: Iterable[str], factors: Factors, replicate: int) -> Split:
    """Draws what a replicate leaves out.

    Args:
        phrases: all phrases of the motions.
        factors: actions and manners of all phrases; empty if they have none: then a
            seventh of the phrases is left out.
        replicate: number of the replicate, at least 0.

    Raises:
        InputError: if a phrase has no factors.
    """
    rng = np.random.default_rng(0)
    order = rng.permutation(sorted(phrases)).tolist()
    left_out: dict[str, str] = {}
    if not factors:
        count = round(len(order) / 7)
        left_out = {
            order[(replicate * count + i) % len(order)]: "unseen" for i in range(count)
        }
        return Split(frozenset(order) - left_out.keys(), left_out)
    if lacking := [phrase for phrase in order if phrase not in factors]:
        raise InputError(
            f"--factors must have every phrase, but lacks {lacking[0]!r}; correct the "
            "rule, or leave it out"
        )
    actions, manners = (
        rng.permutation(sorted({factors[p][i] for p in order} - {""})).tolist()
        for i in (0, 1)
    )
    action = actions[replicate % len(actions)]
    manner = manners[replicate % len(manners)]
    names = {(False, True): "manner", (True, False): "action", (True, True): ""}
    for phrase in order:
        both = factors[phrase][0] == action, factors[phrase][1] == manner
        if any(both):
            left_out[phrase] = names[both]
    # Combinations whose action and manner stay known, if possible none that an earlier
    # replicate left out.
    earlier = {
        phrase
        for r in range(replicate)
        for phrase, split in draw(order, factors, r).left_out.items()
        if split == "combination"
    }
    known = collections.Counter(
        itertools.chain(*(factors[p] for p in order if p not in left_out))
    )
    wanted = min(COMBINATIONS, len(order) // 7)
    for phrase in sorted(order, key=lambda phrase: phrase in earlier):
        possible = all(known[factor] > _LEAST_KNOWN for factor in factors[phrase])
        if wanted and phrase not in left_out and possible:
            known.subtract(factors[phrase])
            left_out[phrase] = "combination"
            wanted -= 1
    return Split(frozenset(order) - left_out.keys(), left_out)


def permuted(
    phrases: Iterable[str], factors: Factors, replicate: int
) -> dict[str, str]:
    """Gives every phrase another one, with another action and another manner.

    Args:
        phrases: all phrases.
        factors: their actions and manners; empty if they have none.
        replicate: number of the replicate, which decides the permutation.

    Returns:
        Phrase -> the phrase whose descriptions it gets; every phrase is given once.

    Raises:
        InputError: if no such permutation is found.
    """
    names = sorted(phrases)
    rng = np.random.default_rng([1, replicate])

    def clashes(a: str, b: str) -> bool:
        if not factors:
            return a == b
        return any(x == y for x, y in zip(factors[a], factors[b], strict=True))

    given = rng.permutation(names).tolist()
    for _ in range(1000):
        wrong = [i for i, name in enumerate(names) if clashes(name, given[i])]
        if not wrong:
            return dict(zip(names, given, strict=True))
        # Swap each clash with any other place.
        for i in wrong:
            j = int(rng.integers(len(names)))
            given[i], given[j] = given[j], given[i]
    raise InputError(
        "the phrases must have a permutation that changes every action and manner, "
        "but none was found; give a store with more of them"
    )


def phrases_of(store: MotionStore) -> list[str]:
    """Returns the distinct phrases of a store's labelled stretches, sorted."""
    return sorted(
        {n.phrase for n in store.labels if n.kind == "frame" and is_action(n.phrase)}
    )


def write_split(
    source: MotionStore, split: Split, replicate: int, out: pathlib.Path
) -> pathlib.Path:
    """Makes a store of the same motions whose recordings have a replicate's splits.

    The arrays are links to those of the source. A recording with a phrase that is left
    out is in no training split, whatever else it holds.

    Args:
        source: store of all motions.
        split: what the replicate leaves out.
        replicate: number of the replicate, which decides the clips of each split.
        out: folder of the new store; an existing one is left as it is.

    Returns:
        `out`.
    """
    if out.exists():
        return out
    groups: dict[str, list[int]] = {}
    for row, labels in enumerate(source.labels_by_sequence):
        names = [n.phrase for n in labels if n.kind == "frame" and is_action(n.phrase)]
        unseen = [name for name in names if name not in split.seen]
        if names:
            groups.setdefault((unseen or names)[0], []).append(row)
    places = {}
    rng = np.random.default_rng([2, replicate])
    for phrase, rows in sorted(groups.items()):
        rows = rng.permutation(rows).tolist()
        if phrase in split.seen:
            shares, rest = {"test": _SEEN, "val": _VAL}, "train"
        else:
            shares, rest = {"test": _UNSEEN}, "judge"
        for name, share in shares.items():
            count = round(share * len(groups[phrase]))
            places |= dict.fromkeys(rows[:count], name)
            rows = rows[count:]
        places |= dict.fromkeys(rows, rest)
    partial = out.with_name(out.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    for file in source.path.iterdir():
        if file.suffix == ".npy":
            (partial / file.name).symlink_to(file.resolve())
    sequences = [
        {**dataclasses.asdict(row), "split": places.get(i, "unused")}
        for i, row in enumerate(source.sequences)
    ]
    write_text(partial / "sequences.jsonl", (json.dumps(s) + "\n" for s in sequences))
    shutil.copyfile(source.path / "labels.jsonl", partial / "labels.jsonl")
    inputs = digest([source.meta.get("inputs"), sorted(places.items())])
    write_json(partial / "meta.json", {**source.meta, "inputs": inputs})
    open_store(partial)
    publish(partial, out)
    return out
