"""The built-in corpus: procedural motion with phrases, in AMASS and BABEL layout.

The files are read like the real data, so everything that uses them can be tried and
shown without a download. A sequence is two to five actions of one person. All joins are
blended: some are labelled `transition`; at the others, the labels touch or overlap.
"""

import dataclasses
import os
import pathlib
import shutil
import sys
from typing import Any

import numpy as np

from actiongpt_jax.choices import FRAMERATE
from actiongpt_jax.data.babel import read_babel
from actiongpt_jax.data.motion_store import open_store
from actiongpt_jax.data.store_builder import build_motion_store
from actiongpt_jax.errors import InputError
from actiongpt_jax.files.atomic import naming, write_json
from actiongpt_jax.synthetic.compositions import draw_combinations
from actiongpt_jax.synthetic.person import draw_person
from actiongpt_jax.synthetic.phrases import (
    SIDES,
    Phrase,
    held_out_phrases,
    load_phrases,
)
from actiongpt_jax.synthetic.sequence import make_sequence, seconds_of
from actiongpt_jax.synthetic.texts import describe_all
from actiongpt_jax.text.descriptions import write_descriptions

VAL_SHARE = 0.25
SUBSET = "SYNTHETIC"
PEOPLE = {"train": 12, "val": 5}
FRAMERATES = (30.0, 30.0, 30.0, 30.0, 30.0, 60.0, 60.0, 120.0)
SEQUENCE_LABEL_SHARE = 0.08  # share of sequences with one action and no frame labels
SPLITS = ("train", "val")


def write_corpus(
    folder: pathlib.Path,
    num_sequences: int,
    seed: int,
    num_combined: int = 0,
    first_foot: str = "either",
) -> None:
    """Writes the corpus: AMASS npz files, BABEL JSON, descriptions, held-out phrases.

    The same arguments give the same bytes. A quarter of the sequences is the validation
    split, with other people than the training split. The phrases of `held_out_phrases`
    (also in `held_out.json`) occur only in the validation split. The descriptions do
    not depend on the arguments.

    Args:
        folder: the folder to write, created if missing. It receives
            `amass/SYNTHETIC/<person>/*_poses.npz`, `babel/{train,val}.json`,
            `descriptions.jsonl` and `held_out.json`.
        num_sequences: number of sequences in both splits together, at least 2.
        seed: seed of all random numbers, 0 or more.
        num_combined: number of further training sequences, half of whose actions are
            combinations of moves; see `compositions.combinations`. In these sequences
            short actions are also performed slowly. The other sequences do not depend
            on it.
        first_foot: foot with which gaits begin in all training sequences: one of
            `choices.FIRST_FEET`. The validation split does not depend on it.

    Raises:
        InputError: if a number is out of its range.
    """
    if num_sequences < 2:
        raise InputError(
            "the synthetic corpus must have at least 2 sequences (one for each split),"
            f" got {num_sequences}; raise --sequences"
        )
    if seed < 0:
        raise InputError(f"the seed must be 0 or more, got {seed}; choose another")
    folder = pathlib.Path(folder)
    (folder / "babel").mkdir(parents=True, exist_ok=True)
    num_val = min(num_sequences - 1, max(1, round(VAL_SHARE * num_sequences)))
    combined = draw_combinations() if num_combined else []
    feet = {"train": SIDES.index(first_foot) if first_foot in SIDES else None}
    first = 1
    for number, split in enumerate(SPLITS):
        count = num_val if split == "val" else num_sequences - num_val
        rng = np.random.default_rng([seed, number])
        deck = _shuffled(_phrases_of(split), rng)
        foot = feet.get(split)
        annotations = _write_sequences(folder, split, deck, count, first, rng, foot)
        first += count
        if split == "train" and num_combined:
            rng = np.random.default_rng([seed, len(SPLITS)])
            decks = [
                _shuffled([_at_any_pace(phrase) for phrase in phrases], rng)
                for phrases in (_phrases_of(split), combined)
            ]
            deck, first_sid = _in_turn(decks), num_sequences + 1
            annotations |= _write_sequences(
                folder, split, deck, num_combined, first_sid, rng, foot
            )
        write_json(folder / "babel" / f"{split}.json", annotations)
    write_descriptions(folder / "descriptions.jsonl", describe_all(combined))
    write_json(folder / "held_out.json", held_out_phrases())


def build_synthetic_store(
    out: str | os.PathLike,
    num_sequences: int,
    seed: int = 0,
    num_combined: int = 0,
    first_foot: str = "either",
    fps: float = FRAMERATE,
) -> dict[str, Any]:
    """Makes the motion store of the built-in corpus with the readers for real data.

    The corpus itself is written next to the store and removed afterwards. Its files
    other than motion and labels (descriptions, held-out phrases) are copied into the
    store.

    Args:
        out: folder of the store.
        num_sequences: number of sequences in all splits together.
        seed: seed of the corpus.
        num_combined: number of further training sequences; see `write_corpus`.
        first_foot: foot with which gaits begin in training; see `write_corpus`.
        fps: frames per second of the store.

    Returns:
        The report of `data.store_builder.build_motion_store`.

    Raises:
        InputError: if a number is out of its range, or `out` holds anything else.
    """
    out = pathlib.Path(os.path.abspath(out))
    corpus: dict[str, int | str] = {"sequences": num_sequences, "seed": seed}
    if num_combined:
        corpus["combined"] = num_combined
    if first_foot != "either":
        corpus["first_foot"] = first_foot
    settings = {"synthetic": corpus}
    if (out / "meta.json").is_file():
        store = open_store(out)
        if store.meta.get("settings") == settings and store.fps == fps:
            print(f"{out} was already made", file=sys.stderr)
            return store.report()
    folder = out.parent / f".{out.name}.corpus"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    try:
        write_corpus(folder, num_sequences, seed, num_combined, first_foot)
        files = (path for path in folder.iterdir() if path.is_file())
        return build_motion_store(
            folder / "amass",
            read_babel(folder / "babel"),
            out,
            strict=True,
            settings=settings,
            extra_files={path.name: path for path in files},
            fps=fps,
        )
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _phrases_of(split):
    """Returns the phrases of a split, each as often as it is used in one round."""
    seen = [phrase for phrase in load_phrases() if not phrase.held_out]
    held_out = [phrase for phrase in load_phrases() if phrase.held_out]
    # Held-out phrases are few; each is used twice as often, for sounder statistics.
    return seen if split == "train" else seen + 2 * held_out


def _at_any_pace(phrase):
    """Returns a phrase that is also performed more slowly, within 3.4 seconds."""
    shortest, longest = phrase.seconds
    longest = max(longest, min(1.6 * longest, 3.4))
    return dataclasses.replace(phrase, seconds=(shortest, longest))


def _write_sequences(folder, split, deck, count, first, rng, first_foot):
    """Writes motions of a split and returns their BABEL annotations."""
    people = [
        dataclasses.replace(draw_person(rng), first_foot=first_foot)
        for _ in range(PEOPLE[split])
    ]
    annotations = {}
    for sid in range(first, first + count):
        who = int(rng.integers(len(people)))
        alone = rng.random() < SEQUENCE_LABEL_SHARE
        length = 1 if alone else int(rng.integers(2, 6))
        chosen = _chain([next(deck) for _ in range(length)])
        sequence = make_sequence(
            chosen, people[who], rng, float(rng.choice(FRAMERATES))
        )
        name = f"{split}{who:02d}/{split}{who:02d}_{sid:05d}_poses.npz"
        _write_npz(folder / "amass" / SUBSET / name, sequence, rng)
        feat_p = f"{SUBSET}/{SUBSET}/{name}"
        annotations[str(sid)] = _annotation(sid, feat_p, sequence, alone, rng)
    return annotations


def _shuffled(phrases, rng):
    """Yields phrases endlessly, in rounds of all phrases in random order."""
    while True:
        for i in reversed(rng.permutation(len(phrases))):
            yield phrases[i]


def _in_turn(decks):
    """Yields from several endless decks in turn."""
    while True:
        yield from (next(deck) for deck in decks)


def _chain(phrases: list[Phrase]) -> list[Phrase]:
    """Moves a phrase that starts on a chair to the front, or after one that sits."""
    from_chair = [phrase for phrase in phrases if phrase.seated[0]]
    to_chair = [phrase for phrase in phrases if phrase.seated[1]]
    others = [phrase for phrase in phrases if not any(phrase.seated)]
    if from_chair and to_chair:
        return others[:1] + to_chair[:1] + from_chair[:1] + others[1:]
    return from_chair[:1] + others + to_chair[:1]


def _write_npz(path, sequence, rng):
    path.parent.mkdir(parents=True, exist_ok=True)
    frames = len(sequence.rotations)
    poses = np.zeros((frames, 156), np.float32)
    poses[:, :66] = sequence.rotations.reshape(frames, 66)
    with naming(path):
        np.savez(
            path,
            poses=poses,
            trans=sequence.translation.astype(np.float32),
            betas=np.zeros(16, np.float32),
            gender=np.array(("male", "female", "neutral")[int(rng.integers(3))]),
            mocap_framerate=np.float64(sequence.fps),
        )


def _annotation(sid, feat_p, sequence, alone, rng):
    """Returns one entry of a BABEL file; frame labels are unordered, as in BABEL."""
    seconds = seconds_of(len(sequence.rotations), sequence.fps)
    first = next(label for label in sequence.labels if label.text != "transition")
    frame_ann = None
    if not alone:
        order = rng.permutation(len(sequence.labels))
        frame_ann = _babel_labels("f", sid, [(i, sequence.labels[i]) for i in order])
        for row in frame_ann["labels"]:
            row["end_t"] = min(row["end_t"], seconds)
        frame_ann["mul_act"] = len(sequence.labels) > 1
    return {
        "babel_sid": sid,
        "url": "",
        "feat_p": feat_p,
        "dur": seconds,
        "seq_ann": _babel_labels("s", sid, [("s", first)]),
        "frame_ann": frame_ann,
    }


def _babel_labels(kind, sid, labels):
    rows = []
    for number, label in labels:
        row = {
            "raw_label": label.text,
            "proc_label": label.text,
            "act_cat": list(label.categories),
            "seg_id": f"{sid}-{number}",
        }
        if kind == "f":
            row |= {"start_t": label.start, "end_t": label.end}
        rows.append(row)
    return {
        "babel_lid": f"{kind}{sid}",
        "anntr_id": "0",
        "mul_act": False,
        "labels": rows,
    }
