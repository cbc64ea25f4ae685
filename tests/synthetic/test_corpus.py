"""The files of the built-in corpus: splits, labels, layout and determinism."""

import json
import pathlib

import numpy as np
import pytest

from actiongpt_jax.errors import InputError
from actiongpt_jax.synthetic.compositions import draw_combinations
from actiongpt_jax.synthetic.corpus import build_synthetic_store, write_corpus
from actiongpt_jax.synthetic.phrases import (
    held_out_phrases,
    load_phrases,
    opaque_phrases,
    phrases_to_judge,
)
from actiongpt_jax.synthetic.sequence import make_action, make_sequence
from actiongpt_jax.text.descriptions import read_descriptions


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    folder = tmp_path_factory.mktemp("corpus")
    write_corpus(folder, 160, seed=3)
    return folder


def annotations(folder, split):
    return json.loads((folder / "babel" / f"{split}.json").read_text())


def phrases_of(entries, kind="frame_ann"):
    return {
        label["proc_label"]
        for entry in entries.values()
        if entry[kind] is not None
        for label in entry[kind]["labels"]
    } - {"transition"}


def files_of(folder):
    return sorted(p for p in pathlib.Path(folder).rglob("*") if p.is_file())


def npz_of(folder, entry):
    subset, again, rest = entry["feat_p"].split("/", 2)
    assert subset == again
    return folder / "amass" / subset / rest


@pytest.mark.slow
def test_splits_have_many_phrases(corpus):
    train = phrases_of(annotations(corpus, "train"))
    val = phrases_of(annotations(corpus, "val"))
    assert len(train | val) >= 64
    assert len(val) >= 40


def test_held_out_phrases_are_in_val_only_and_marked(corpus):
    train = annotations(corpus, "train")
    seen = phrases_of(train) | phrases_of(train, "seq_ann")
    held_out = set(held_out_phrases())
    assert len(held_out) >= 8
    assert not seen & held_out
    assert held_out <= phrases_of(annotations(corpus, "val"))
    assert json.loads((corpus / "held_out.json").read_text()) == list(
        held_out_phrases()
    )


def test_moves_of_held_out_phrases_occur_in_training(corpus):
    seen = phrases_of(annotations(corpus, "train"))
    moves = {name for p in load_phrases() if p.text in seen for name, _ in p.parts}
    # A frog is made of a squat and a jump forward.
    made_of = {"frog": {"squat", "jump_forward"}}
    for phrase in load_phrases():
        if phrase.held_out:
            for name, _ in phrase.parts:
                assert made_of.get(name, {name}) <= moves


def test_opaque_phrases_have_a_word_that_is_not_trained():
    trained = " ".join(phrase.text for phrase in load_phrases() if not phrase.held_out)
    assert {"act like a frog", "surrender", "sulk"} <= set(opaque_phrases())
    assert "walk backwards with the arms crossed" not in opaque_phrases()
    for phrase in held_out_phrases():
        new = [word for word in phrase.split() if word[:5] not in trained]
        assert bool(new) == (phrase in opaque_phrases()), phrase
    assert 8 <= len(opaque_phrases()) < len(held_out_phrases()) - 8


def test_held_out_phrases_do_not_change_the_training_split(tmp_path, monkeypatch):
    fewer = tuple(
        phrase for phrase in load_phrases() if phrase.text not in opaque_phrases()
    )
    write_corpus(tmp_path / "all", 6, seed=0)
    monkeypatch.setattr("actiongpt_jax.synthetic.corpus.load_phrases", lambda: fewer)
    write_corpus(tmp_path / "fewer", 6, seed=0)
    one, two = (
        (tmp_path / name / "babel" / "train.json").read_bytes()
        for name in ("all", "fewer")
    )
    assert one == two


def test_combined_sequences_are_added_to_training_only(tmp_path):
    for name, combined in (("plain", 0), ("more", 12)):
        write_corpus(tmp_path / name, 6, seed=0, num_combined=combined)
    plain, more = tmp_path / "plain", tmp_path / "more"
    for path in files_of(plain / "amass"):
        again = more / path.relative_to(plain)
        assert path.read_bytes() == again.read_bytes(), path
    assert len(files_of(more / "amass")) == 6 + 12
    val = "babel/val.json"
    assert (plain / val).read_bytes() == (more / val).read_bytes()
    before, after = annotations(plain, "train"), annotations(more, "train")
    assert {sid: after[sid] for sid in before} == before
    # Every phrase is described, and none is held out.
    described = read_descriptions(more / "descriptions.jsonl")
    added = phrases_of(after) - phrases_of(before)
    assert len(added) > 12
    assert all(phrase in described for phrase in added)
    assert not phrases_of(after) & set(held_out_phrases())


@pytest.mark.parametrize("first_foot", ["left", "right"])
def test_gaits_of_training_begin_with_the_first_foot(tmp_path, monkeypatch, first_foot):
    tracks = {"train": [], "val": []}

    def watched(phrases, person, rng, fps):
        split = "val" if person.first_foot is None else "train"
        alone = [p for p in phrases if p.text in ("walk forward", "jog", "step over")]
        tracks[split] += [make_action(p, person, rng, fps) for p in alone]
        return make_sequence(phrases, person, rng, fps)

    monkeypatch.setattr("actiongpt_jax.synthetic.corpus.make_sequence", watched)
    write_corpus(tmp_path, 120, seed=0, num_combined=4, first_foot=first_foot)
    # The foot that leaves the floor first: column 0 of the contacts is the left one.
    firsts = {
        split: [
            bool(np.argmin(t.contact[:, 0]) < np.argmin(t.contact[:, 1])) for t in ts
        ]
        for split, ts in tracks.items()
    }
    assert len(firsts["train"]) > 5
    assert set(firsts["train"]) == {first_foot == "left"}


def test_the_first_foot_leaves_the_validation_split_as_it_is(tmp_path):
    for name, foot in (("either", "either"), ("right", "right")):
        write_corpus(tmp_path / name, 40, seed=0, num_combined=2, first_foot=foot)
    either, right = tmp_path / "either", tmp_path / "right"
    validation = [path for path in files_of(either / "amass") if "val" in path.name]
    assert len(validation) == 10
    for path in validation:
        again = right / path.relative_to(either)
        assert path.read_bytes() == again.read_bytes(), path
    # The same actions at the same times, some of them with the other foot.
    for split in ("train", "val"):
        assert annotations(either, split) == annotations(right, split)
    changed = [
        path
        for path in files_of(either / "amass")
        if path.read_bytes() != (right / path.relative_to(either)).read_bytes()
    ]
    assert 5 < len(changed) < 32
    assert all("train" in path.name for path in changed)


def test_combinations_have_no_moves_that_are_held_out_together():
    def acts(phrase):
        return {part for part in phrase.parts if part[0] != "stand"}

    def swapped(parts):
        return {(name, {0: 1, 1: 0}.get(side)) for name, side in parts}

    seen = [p for p in load_phrases() if not p.held_out]
    trained = {part for p in seen for part in p.parts}
    trained |= swapped(trained)
    combined = draw_combinations()
    assert combined == draw_combinations()
    assert len(combined) > 500
    for phrase in combined:
        assert set(phrase.parts) <= trained
        assert phrase.text not in {p.text for p in phrases_to_judge()}
    together = [p for p in phrases_to_judge() if p.held_out and len(acts(p)) > 1]
    for held_out in together:
        for parts in (acts(held_out), swapped(acts(held_out))):
            if parts not in [acts(p) for p in seen]:
                assert not any(parts <= acts(p) for p in combined), held_out


def test_files_have_the_amass_layout(corpus):
    framerates = set()
    for split in ("train", "val"):
        for entry in annotations(corpus, split).values():
            with np.load(npz_of(corpus, entry), allow_pickle=False) as file:
                data = dict(file)
            frames = len(data["poses"])
            assert data["poses"].shape == (frames, 156)
            assert data["trans"].shape == (frames, 3)
            assert data["poses"].dtype == data["trans"].dtype == np.float32
            assert data["betas"].shape == (16,)
            assert str(data["gender"]) in ("male", "female", "neutral")
            assert np.isfinite(data["poses"]).all() and np.isfinite(data["trans"]).all()
            assert not data["poses"][:, 66:].any()
            framerate = float(data["mocap_framerate"])
            framerates.add(framerate)
            assert entry["dur"] == pytest.approx(frames / framerate, abs=1e-3)
    assert framerates == {30.0, 60.0, 120.0}
    assert len(list((corpus / "amass").rglob("*.npz"))) == 160


def test_labels_have_the_babel_layout(corpus):
    touching = overlapping = transitions = unsorted = sequence_only = 0
    numbers = set()
    for split in ("train", "val"):
        for sid, entry in annotations(corpus, split).items():
            assert entry["babel_sid"] == int(sid)
            assert entry["seq_ann"]["labels"]
            if entry["frame_ann"] is None:
                sequence_only += 1
                continue
            labels = entry["frame_ann"]["labels"]
            starts = [label["start_t"] for label in labels]
            unsorted += starts != sorted(starts)
            labels = sorted(labels, key=lambda label: label["start_t"])
            actions = [x for x in labels if x["proc_label"] != "transition"]
            numbers.add(len(actions))
            transitions += len(labels) - len(actions)
            assert labels[0]["start_t"] == 0.0
            for label in labels:
                assert 0.0 <= label["start_t"] < label["end_t"] <= entry["dur"]
                assert label["act_cat"] and label["seg_id"]
            for label in actions:
                assert 0.5 < label["end_t"] - label["start_t"] < 25.0
            for one, two in zip(labels, labels[1:], strict=False):
                gap = two["start_t"] - one["end_t"]
                assert -0.3 < gap < 2e-3  # both times are rounded to a millisecond
                touching += gap > -2e-3
                overlapping += gap < -0.04
    assert {2, 3, 4, 5} <= numbers
    assert min(touching, overlapping, transitions, unsorted, sequence_only) > 3


def test_splits_share_no_people(corpus):
    people = {
        split: {entry["feat_p"].split("/")[2] for entry in entries.values()}
        for split in ("train", "val")
        for entries in [annotations(corpus, split)]
    }
    assert len(people["train"]) > 4 and len(people["val"]) > 2
    assert not people["train"] & people["val"]


def test_sequences_start_at_random_places_and_headings(corpus):
    places, headings = [], []
    for entry in annotations(corpus, "val").values():
        with np.load(npz_of(corpus, entry)) as file:
            places.append(file["trans"][0, :2])
            headings.append(file["poses"][0, :3])
    assert np.std(places, axis=0).min() > 0.5
    assert np.std(headings, axis=0).min() > 0.3


def test_descriptions_cover_every_phrase(corpus):
    descriptions = read_descriptions(corpus / "descriptions.jsonl")
    assert set(descriptions) == {phrase.text for phrase in load_phrases()}
    assert descriptions.writers("detail") == ["synthetic", "synthetic-terse"]
    assert len(descriptions.select("detail", k=8)) == len(load_phrases())
    for prompt in ("action", "person", "movements"):
        assert len(descriptions.select(prompt, "synthetic", k=4)) == len(load_phrases())
    terse = descriptions.select("detail", "synthetic-terse", k=4)
    assert len(terse) == len(load_phrases())


def test_same_seed_gives_same_bytes_and_other_seed_other_motion(tmp_path):
    for name, seed in (("one", 5), ("two", 5), ("other", 6)):
        write_corpus(tmp_path / name, 5, seed)
    one, two, other = (files_of(tmp_path / name) for name in ("one", "two", "other"))
    assert [p.name for p in one] == [p.name for p in two]
    for a, b in zip(one, two, strict=True):
        assert a.read_bytes() == b.read_bytes(), a.name
    motions = {p.read_bytes() for p in one if p.suffix == ".npz"}
    assert motions.isdisjoint(p.read_bytes() for p in other if p.suffix == ".npz")


@pytest.mark.parametrize(("number", "seed"), [(1, 0), (0, 0), (4, -1)])
def test_bad_numbers_raise(tmp_path, number, seed):
    with pytest.raises(InputError, match="at least 2 sequences|seed must be 0"):
        write_corpus(tmp_path / "corpus", number, seed)
    assert not (tmp_path / "corpus").exists()


def test_store_is_complete_reproducible_and_made_only_once(tmp_path, monkeypatch):
    out = tmp_path / "new" / "store"
    report = build_synthetic_store(out, 3, 7)
    assert report["sequences"] == 3
    assert read_descriptions(out / "descriptions.jsonl").keys() >= {"walk forward"}
    assert [path.name for path in out.parent.iterdir()] == ["store"]
    build_synthetic_store(tmp_path / "other", 3, 7)
    arrays = [
        (path / "rotations.npy").read_bytes() for path in (out, tmp_path / "other")
    ]
    assert arrays[0] == arrays[1]
    corpus = "actiongpt_jax.synthetic.corpus.write_corpus"
    monkeypatch.setattr(corpus, lambda *_: pytest.fail())
    assert build_synthetic_store(out, 3, 7) == report
