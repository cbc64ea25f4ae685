"""`prepare motion` and `render` on motion-capture files, through the command line."""

import numpy as np
import pytest

import actiongpt_jax as agpt
from actiongpt_jax import prepare, render
from actiongpt_jax.data.amass import read_amass
from tests.data.mocap.skeletons import NAMES, Style, to_bvh, walking
from tests.data.mocap.test_acclaim import AMC, ASF


@pytest.fixture
def clips(tmp_path):
    """Returns a folder with two readable files, three others and a damaged one."""
    folder = tmp_path / "clips"
    (folder / "a").mkdir(parents=True)
    turned, pelvis = (array[:40] for array in walking())
    text = to_bvh(Style(names={"pelvis": "Hips"}), turned, pelvis)
    (folder / "a" / "walk.BVH").write_text(text)
    rest = Style(
        names={n: f"\u5173\u8282{i}" for i, n in enumerate(NAMES)}, rest_frame=True
    )
    (folder / "walk.bvh").write_text(to_bvh(rest, turned, pelvis))
    (folder / "cut.bvh").write_text(text[:-200])
    (folder / "01_01.amc").write_text(AMC)  # not a body
    (folder / "01.asf").write_text(ASF)
    (folder / "notes.txt").write_text("none")
    return folder


def test_files_become_motion_files_and_faulty_ones_are_listed(
    run_command, clips, tmp_path
):
    out = tmp_path / "npz"
    code, stdout, _ = run_command(prepare, "motion", clips, "--out", out)
    assert code == 0
    written = sorted(p.relative_to(out).as_posix() for p in out.rglob("*.npz"))
    assert written == ["a/walk.npz", "walk.npz"]
    lines = stdout.splitlines()
    assert lines[0] == "2 motions, 0.0444 minutes, 2 files skipped"
    assert sum(line.startswith("  skipped") for line in lines) == 2
    assert "cut.bvh must hold 40 frames" in stdout and "01_01.amc" in stdout
    (note,) = [line for line in lines if line.startswith("  note")]
    assert "frame 0 is a rest pose and is left out" in note
    for name in written:
        motion = agpt.load_motion(out / name)
        assert motion.fps == 30 and len(motion.rotations) == 40
        assert read_amass(out / name).poses.shape == (40, 156)


def test_one_faulty_file_is_one_sentence(run_command, clips, tmp_path):
    code, _, stderr = run_command(
        prepare, "motion", clips / "cut.bvh", "--out", tmp_path / "x"
    )
    errors = [line for line in stderr.splitlines() if line.startswith("error:")]
    assert code == 2 and len(errors) == 1 and "cut.bvh" in errors[0]
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize(
    ("arguments", "fault"),
    [
        (["{}"], "--out must name the folder"),
        (["{}/notes.txt", "--out", "x"], "must be a .bvh or .amc file, or a folder"),
        (["{}/none", "--out", "x"], "must be a .bvh or .amc file, or a folder"),
        (["{}/walk.bvh", "{}/a/walk.BVH", "--out", "x"], "would both be written to"),
        (["{}/walk.bvh", "--out", "x", "--up", "w"], "invalid choice"),
        (["{}/walk.bvh", "--out", "x", "--scale", "0"], "scale must be from"),
        (["{}/walk.bvh", "--out", "x", "--map", "{}/notes.txt"], "must hold names"),
        (["{}/01_01.amc", "--out", "x", "--skeleton", "{}/b.asf"], "No such file"),
    ],
)
def test_faulty_requests_are_one_sentence(run_command, clips, arguments, fault):
    code, _, stderr = run_command(
        prepare, "motion", *(a.format(*[clips] * 2) for a in arguments)
    )
    assert code == 2 and fault in stderr
    assert sum(line.startswith("error:") for line in stderr.splitlines()) == 1


def test_an_empty_folder_is_refused(run_command, tmp_path):
    code, _, stderr = run_command(prepare, "motion", tmp_path, "--out", tmp_path / "x")
    assert code == 2 and "must hold .bvh or .amc files" in stderr


def test_show_map_prints_the_tree_and_writes_nothing(run_command, clips):
    code, stdout, _ = run_command(prepare, "motion", clips / "walk.bvh", "--show-map")
    assert code == 0 and "found by structure" in stdout
    assert "rest pose: zero pose" in stdout and "left_wrist" in stdout
    assert len(list(clips.rglob("*"))) == 7


def test_render_reads_motion_capture(run_command, clips, tmp_path):
    out = tmp_path / "walk.html"
    files = clips / "walk.bvh", clips / "a" / "walk.BVH"
    code, _, stderr = run_command(render, *files, "--source-fps", "60", "--out", out)
    assert code == 0 and "<html" in out.read_text()
    assert stderr == f"warning: {files[0]}: frame 0 is a rest pose and is left out\n"
    back = tmp_path / "back.npz"
    assert run_command(render, files[1], "--up", "y", "--out", back)[0] == 0
    motion = agpt.load_motion(files[1])
    np.testing.assert_allclose(agpt.load_motion(back).rotations, motion.rotations)
