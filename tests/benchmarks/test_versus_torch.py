"""The published training steps in torch compute the same as ours."""

import numpy as np
import pytest

# Config overrides that treat padding as the published code does.
PUBLISHED = {
    "temos": ("--config.losses.recons_mean=padded",),
    "teach": ("--config.model.motion_mask=shipped",),
    "motionclip": (),
}


@pytest.mark.parametrize("model", sorted(PUBLISHED))
def test_peer_and_jax_agree_on_padded_batches(model, scripts, tmp_path):
    pytest.importorskip("torch", reason="torch is not installed (the extra `peers`)")
    versus_torch, jax_side = scripts("versus_torch"), scripts("jax_side")
    torch_side = scripts("peers.torch_side")
    sizes = versus_torch.SMALL | {"batch": 3}
    sizes["overrides"] += ("--config.model.num_layers=2", *PUBLISHED[model])
    work = scripts("workload").Workload(
        model=model, folder=tmp_path, padded=True, **sizes
    )
    torch_side.write_texts(work)
    described = jax_side.prepare(work)
    lengths = np.load(work.file("batch"))[f"frame_mask{work.parts[0]}"].sum(1)
    assert lengths.min() < lengths.max()

    ours, theirs = jax_side.check(work), torch_side.check(work, *described)

    largest, wrong = versus_torch.compare(ours, theirs)
    assert not wrong
    assert set(largest) == {"texts", "outputs", "terms", "gradients"}
    # The comparison must not be between arrays of zeros.
    assert ours["terms/total"] > 0
    trained = [name for name in theirs if np.abs(theirs[name]).max() > 0]
    assert len([name for name in trained if name.startswith("gradients/")]) > 40


@pytest.mark.parametrize(
    ("case", "mode"),
    [
        ("live", "eager"),
        ("precomputed", "eager"),
        ("generate_live", "eager"),
        ("generate", "eager"),
        ("live", "compile"),
    ],
)
def test_peer_runs_steps(case, mode, scripts, tmp_path):
    torch = pytest.importorskip(
        "torch", reason="torch is not installed (the extra `peers`)"
    )
    versus_torch, torch_side = scripts("versus_torch"), scripts("peers.torch_side")
    work = scripts("workload").Workload(
        model="temos", folder=tmp_path, batch=2, **versus_torch.SMALL
    )
    torch_side.write_texts(work)
    described = scripts("jax_side").prepare(work)

    runner = torch_side.make(work, case, *described, mode)

    first, second = runner.run(), runner.run()
    runner.wait(second)
    # Every run draws new latents and, in training, new dropout masks.
    assert torch.isfinite(second).all() and not torch.equal(first, second)
    if case.startswith("generate"):
        assert second.shape == (work.batch, work.frames, 135)
    if mode == "compile":  # one program each for the text model and the rest
        assert runner.closing()["compiled_graphs"] == 2


def test_compare_reports_every_kind_of_difference(scripts):
    compare = scripts("versus_torch").compare
    ours = {
        "outputs/a": np.array([1.0, 100.0]),
        "outputs/b": np.zeros(2),
        "terms/c": np.array(1.0),
        "texts/d": np.array(1.0),
        "gradients/e": np.array([np.nan]),
        # Rounding error: a millionth of the largest value is accepted.
        "gradients/f": np.array([1.0, 1e-6]),
    }
    theirs = ours | {
        "outputs/a": np.array([1.5, 100.0]),
        "outputs/b": np.zeros(3),
        "gradients/f": np.array([1.0, 0.0]),
    }
    del theirs["terms/c"]
    largest, wrong = compare(ours, theirs)
    assert sorted(name.split()[0] for name in wrong) == [
        "gradients/e",
        "outputs/a",
        "outputs/b",
        "terms/c",
    ]
    assert largest["outputs"] == 5e-3 and largest["texts"] == 0


def test_turns_measure_time_and_memory_of_a_process(scripts, tmp_path, monkeypatch):
    source = """
import workload

def make(width):
    done = []

    def run():
        if len(done) == 8:
            raise MemoryError("the device is full")
        done.append(bytearray(width))
        return len(done)

    def wait(last):
        # Three warm-up runs, then one wait per turn, after all its steps.
        assert last in (1, 2, 3, 6, 8)

    return workload.Runner(run, wait, {"width": width}, lambda: {"steps": len(done)})

def fail():
    raise OSError("no such device")
"""
    (tmp_path / "counting_side.py").write_text(source)
    monkeypatch.syspath_prepend(str(tmp_path))
    turns = scripts("turns")
    with pytest.raises(OSError, match="no such device"):
        turns.call("counting_side", "fail")
    with pytest.raises(turns.SideError, match="OSError: no such device"):
        turns.Turns("counting_side", "fail")

    side = turns.Turns("counting_side", "make", 1 << 20)
    assert side.facts == {"width": 1 << 20}
    times = side.take(3), side.take(2)
    assert len(times[0]) == len(times[1]) == 2
    assert min(seconds for seconds, _ in times) > 0
    facts = side.report()
    assert facts["steps"] == 8
    # Eight arrays of 1 MiB, plus the interpreter itself.
    assert 8 <= facts["process_mib"] < 1000
    if facts["steps_mib"] is not None:
        assert 8 <= facts["steps_mib"] <= facts["process_mib"]
    with pytest.raises(turns.SideError, match="MemoryError: the device is full"):
        side.take(1)
    with pytest.raises(turns.SideError, match="ended"):
        side.take(1)
