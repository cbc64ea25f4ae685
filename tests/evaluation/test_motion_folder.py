"""Evaluation of motion files that anyone has made."""

import json
from typing import Any

import numpy as np
import pytest

from actiongpt_jax import evaluate, generate
from actiongpt_jax.data.amass import resample
from actiongpt_jax.data.motion import Motion, load_motion, save_motion
from actiongpt_jax.data.motion_store import open_store
from actiongpt_jax.errors import InputError
from actiongpt_jax.evaluation.cases import list_cases
from actiongpt_jax.evaluation.motion_folder import listing_config
from actiongpt_jax.evaluation.options import Options
from actiongpt_jax.evaluation.run import evaluate_model
from actiongpt_jax.evaluation.session import ModelSession
from actiongpt_jax.evaluation.tables import readable
from actiongpt_jax.viewing.bvh import write_bvh

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def store(stores):
    return open_store(stores[0])


def twice(motion):
    """Returns a motion with every frame two times."""
    return Motion(motion.rotations.repeat(2, 0), motion.translation.repeat(2, 0))


@pytest.fixture
def write_captured(store, tmp_path):
    """Returns `write(edit)` -> cases; `edit` changes every captured motion.

    The motions of the split 'val' are written under their keys into a folder `made`.
    """

    def write(edit=lambda motion: motion, paired=False):
        cases = list_cases(listing_config(store.fps), store, "val", paired)
        for case in cases:
            path = tmp_path / "made" / f"{case.key}.npz"
            path.parent.mkdir(parents=True, exist_ok=True)
            save_motion(path, edit(Motion(*case.captured(store))))
        return cases

    return write


def message_of(*flags):
    with pytest.raises(InputError) as caught:
        evaluate.main([*map(str, flags)])
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_files_of_a_model_have_the_figures_of_the_model(
    random_run, train_debug, store, tmp_path
):
    how: dict[str, Any] = {
        "split": "train",
        "limit": 6,
        "samples": 2,
        "multimodality": 0,
    }
    how |= {"evaluator": str(train_debug("evaluator:debug")), "series": "past"}
    workdir = str(random_run("teach:debug"))
    expected = evaluate_model(workdir, **how, out=tmp_path / "model.json")
    session = ModelSession(Options(workdir=workdir, **how))
    lines = []
    made = session.source()(session.cases)
    for case, motions in zip(session.cases, made, strict=True):
        for i, motion in enumerate(motions):
            path = save_motion(tmp_path / f"{len(lines)}.npz", Motion(*motion))
            lines.append({"file": path.name, "prompt": case.key, "sample": i})
    lines.append({"file": "a picture without a prompt"})
    lines.append({"file": "0.npz", "prompt": case.key, "kind": "captured"})
    text = "".join(json.dumps(line) + "\n" for line in lines)
    (tmp_path / "index.jsonl").write_text(text)
    how["multimodality"] = Options.multimodality
    found = evaluate_model(motions=tmp_path, data=store.path, **how)
    for name in ("ape_ave", "by_joint", "by_phrase", "physical", "retrieval"):
        np.testing.assert_equal(found[name], expected[name], err_msg=name)
    table = readable(found)
    count = expected["motions"]
    assert f"{count} motions of train, files of {tmp_path.name}, protocol" in table
    assert "have a file in" in table


def test_windows_of_a_split_have_the_figures_of_their_model(
    random_run, store, run_command, tmp_path
):
    # A model of windows makes the middle of each stretch, and is judged on it.
    workdir = random_run("motionclip:debug", "--config.data.max_frames=600")
    expected = evaluate_model(workdir, split="val", out=tmp_path / "model.json")
    made = tmp_path / "made"
    flags = ["--workdir", workdir, "--split", "val", "--captured", "--out", made]
    code, _, error = run_command(generate, *flags)
    assert code == 0, error
    found = evaluate_model(motions=made, data=store.path)
    assert found["motions"] == expected["motions"] > 3
    assert found["frames"] == expected["frames"] == 60 * found["motions"]
    for name in ("ape_local", "ave_local"):
        np.testing.assert_allclose(
            found["ape_ave"]["mean"][name][0],
            expected["ape_ave"]["mean"][name][0],
            rtol=1e-5,
        )
    # The captured motions that were written are the ones compared with.
    path = made / "index.jsonl"
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    rows = [row | {"file": row["captured"]} for row in rows if "captured" in row]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    found = evaluate_model(motions=made, data=store.path)
    assert found["ape_ave"]["mean"]["ape_global"][0] == 0 and not any(
        "shorter" in note for note in found["notes"]
    )


@pytest.mark.parametrize("part", [[0.5], [-1, 1], [1, 1], [0, 999], "0", [0, None]])
def test_part_outside_its_stretch_is_refused(write_captured, store, tmp_path, part):
    case, folder = write_captured()[0], tmp_path / "made"
    row = {"file": f"{case.key}.npz", "prompt": case.key, "part": part}
    (folder / "index.jsonl").write_text(json.dumps(row) + "\n")
    message = message_of("--motions", folder, "--data", store.path)
    assert "index.jsonl:1" in message and "within a single action" in message


def test_files_of_one_stretch_show_the_same_part(write_captured, store, tmp_path):
    case, folder = write_captured()[-1], tmp_path / "made"
    row = {"file": f"{case.key}.npz", "prompt": case.key}
    rows = [row | {"part": [0, 0.5]}, row | {"part": [0.1, 0.6]}]
    text = "".join(json.dumps(row) + "\n" for row in rows)
    (folder / "index.jsonl").write_text(text)
    message = message_of("--motions", folder, "--data", store.path)
    assert "index.jsonl:2" in message and "the same part" in message


def test_captured_motion_has_zero_error(write_captured, store, tmp_path, capsys):
    cases = write_captured()
    folder = tmp_path / "made"
    flags = ["--motions", folder, "--data", store.path, "--baselines"]
    evaluate.main([*map(str, flags)])
    (path,) = (folder / "evaluation").glob("val-*.json")
    result = json.loads(path.read_text())
    assert result["motions"] == len(cases) and not result["notes"]
    assert {v for value in result["ape_ave"]["mean"].values() for v in value} == {0}
    assert result["baselines"]["mean_pose"]["ape_ave"]["mean"]["ape_root"][0] > 0
    assert str(path) in capsys.readouterr().out
    # Other files of the same names are measured again.
    write_captured(lambda motion: Motion(motion.rotations, 0 * motion.translation))
    evaluate.main([*map(str, flags)])
    assert len(list((folder / "evaluation").glob("val-*.json"))) == 2


def test_motions_of_another_rate_are_resampled_and_said(
    write_captured, store, tmp_path, capsys
):
    def faster(motion):
        return Motion(*resample(motion.rotations, motion.translation, 30, 60), 60.0)

    write_captured(faster)
    result = evaluate_model(motions=tmp_path / "made", data=store.path)
    # At times that both rates have, a motion is copied.
    assert result["ape_ave"]["mean"]["ape_global"][0] < 1e-5
    said = capsys.readouterr().err
    assert said.count("motions of 60 frames per second are resampled to 30") == 1


def test_stretches_are_limited_in_seconds_at_any_rate():
    limits = [listing_config(fps).data for fps in (30, 20)]
    assert [(data.min_frames, data.max_frames) for data in limits] == [
        (15, 750),
        (10, 500),
    ]


def test_shorter_motions_are_compared_over_their_own_frames(
    write_captured, store, tmp_path
):
    def half(motion):
        frames = len(motion.translation) // 2
        return Motion(motion.rotations[:frames], motion.translation[:frames])

    cases = write_captured(half)
    folder = tmp_path / "made"
    result = evaluate_model(motions=folder, data=store.path)
    assert result["frames"] == sum(case.frames // 2 for case in cases)
    assert result["ape_ave"]["mean"]["ape_global"] == [0, 0, 0]
    short = f"{len(cases)} motions are shorter than the captured ones"
    assert any(short in note for note in result["notes"])
    # What is too long is cut.
    write_captured(twice)
    result = evaluate_model(motions=folder, data=store.path)
    assert result["frames"] == sum(case.frames for case in cases)


def test_samples_are_numbered_and_bvh_files_are_read(write_captured, store, tmp_path):
    folder, (case, other, *_) = tmp_path / "made", write_captured()
    write_bvh(folder / f"{case.key}_1.bvh", load_motion(folder / f"{case.key}.npz"))
    flags = ["--motions", folder, "--data", store.path]
    words = f"must have 2 samples, .* but '{other.key}' has 1; give --samples 1"
    with pytest.raises(InputError, match=words):
        evaluate.main([*map(str, flags)])
    index = {"file": f"{case.key}_1.bvh", "prompt": case.key}
    (folder / "index.jsonl").write_text(json.dumps(index))
    result = evaluate_model(motions=folder, data=store.path)
    assert result["motions"] == 1
    # Degrees and metres are written with six digits.
    assert result["ape_ave"]["mean"]["ape_global"][0] < 1e-3


def test_bad_input_is_one_sentence(write_captured, store, tmp_path):
    (case, *_), folder = write_captured(), tmp_path / "made"
    flags = "--motions", folder
    assert "names no motion store; give one as --data" in message_of(*flags)
    flags = *flags, "--data", store.path
    assert "leave --workdir out" in message_of(*flags, "--workdir", "runs/temos")
    assert "leave --semantic out" in message_of(*flags, "--semantic")
    assert "leave --fact out" in message_of(*flags, "--mean")
    assert "must have 3 samples" in message_of(*flags, "--samples", 3)
    (folder / "index.jsonl").write_text('{"file": 3}\n')
    assert "index.jsonl:1" in message_of(*flags)
    (folder / "index.jsonl").write_text(f'{{"file": "no.npz", "prompt": "{case.key}"}}')
    with pytest.raises(FileNotFoundError, match=r"made/no\.npz"):
        evaluate.main([*map(str, flags)])
    (folder / "index.jsonl").write_text('{"file": "a.npz", "prompt": "gone-1"}')
    assert f'"prompt": "{case.key}"' in message_of(*flags).replace("'", '"')
    (folder / "index.jsonl").unlink()
    (folder / f"{case.key}.npz").write_text("no motion")
    assert f"{case.key}.npz" in message_of(*flags)
    other = "--motions", tmp_path / "other", "--data", store.path
    assert "must be a folder of motion files" in message_of(*other)
    (tmp_path / "other").mkdir()
    assert "has no motion files" in message_of(*other)
