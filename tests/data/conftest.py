"""Fixtures that write a small corpus in AMASS and BABEL layout."""

import json

import numpy as np
import pytest

from actiongpt_jax.data.babel import read_babel
from actiongpt_jax.data.motion_store import open_store
from actiongpt_jax.data.store_builder import build_motion_store


@pytest.fixture
def write_npz():
    """Returns `write(path, seed=0, num_frames=60, fps=30, **changes)` -> path.

    `changes` replaces fields of the file; None leaves the field out.
    """

    def write(path, seed=0, num_frames=60, fps=30.0, **changes):
        rng = np.random.default_rng(seed)
        fields = {
            "poses": 0.1 * rng.standard_normal((num_frames, 156)),
            "trans": rng.standard_normal((num_frames, 3)),
            "betas": rng.standard_normal(16),
            "gender": np.array("male"),
            "mocap_framerate": np.array(fps),
        }
        fields = {k: v for k, v in (fields | changes).items() if v is not None}
        path.parent.mkdir(parents=True, exist_ok=True)
        np.savez(path, **fields)
        return path

    return write


@pytest.fixture
def make_corpus(tmp_path, write_npz):
    """Returns `make(count)` -> (amass folder, babel folder) with `count` recordings.

    Recording i is `CMU/CMU/s/{i}_poses.npz`, has id `{i}`, lasts 2 to 2.5 s and has two
    labels. The last one is the validation split.
    """

    def make(count=3):
        splits = {"train": {}, "val": {}}
        for i in range(count):
            fps = (30.0, 60.0, 100.0)[i % 3]
            num_frames = int(fps * (2 + 0.1 * (i % 6)))
            write_npz(tmp_path / f"amass/CMU/s/{i}_poses.npz", i, num_frames, fps)
            labels = [
                {"proc_label": "jump", "start_t": 1.0, "end_t": 2.0},
                {"proc_label": "walk", "start_t": 0.0, "end_t": 1.2},
            ]
            splits["val" if i == count - 1 else "train"][str(i)] = {
                "babel_sid": i,
                "feat_p": f"CMU/CMU/s/{i}_poses.npz",
                "dur": num_frames / fps,
                "frame_ann": {"labels": labels},
                "seq_ann": {"labels": [{"proc_label": "exercise"}]},
            }
        (tmp_path / "babel").mkdir()
        for split, content in splits.items():
            (tmp_path / f"babel/{split}.json").write_text(json.dumps(content))
        return tmp_path / "amass", tmp_path / "babel"

    return make


@pytest.fixture(scope="session")
def minibabel(shared_file, tmp_path_factory):
    """The motion store of minibabel, 231 recordings."""
    folder = shared_file("data/minibabel")
    out = tmp_path_factory.mktemp("minibabel") / "motion"
    build_motion_store(folder / "amass", read_babel(folder / "babel"), out)
    return open_store(out)
