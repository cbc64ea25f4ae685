"""Conversion of the authors' checkpoints: small published ones, and generated ones."""

import errno
import json
import os
import pickle
import subprocess
import sys
from typing import Any

import flax.traverse_util
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import safetensors.numpy

from actiongpt_jax import convert, edit, generate, render, train
from actiongpt_jax.config import load_config
from actiongpt_jax.conversion import convert as converting
from actiongpt_jax.conversion import from_torch
from actiongpt_jax.data.amass import resample
from actiongpt_jax.data.motion import Motion, load_motion
from actiongpt_jax.errors import InputError
from actiongpt_jax.evaluation.run import evaluate_model
from actiongpt_jax.features import rot_velocity
from actiongpt_jax.files.torch_reader import read_torch
from actiongpt_jax.geometry import body as bodies
from actiongpt_jax.inference.latents import encode_motions
from actiongpt_jax.inference.motions import generate_motions
from actiongpt_jax.inference.phrase_embedder import PhraseEmbedder
from actiongpt_jax.inference.trained import load_model
from actiongpt_jax.training import checkpoints
from actiongpt_jax.training.workdir import lock_workdir
from actiongpt_jax.viewing.app.queue import GenerationQueue
from actiongpt_jax.viewing.app.requests import ActionRequest, GenerationRequest
from tests.conversion.states import WIDTH, small_temos_state, state_dict
from tests.conversion.torch_writer import TorchFile, save_state, write_stats
from tests.models.goldens import MOTION, NETWORK, frame_mask

pytestmark = pytest.mark.slow

PUBLISHED = {
    "temos_teach/temos_small.ckpt": "temos",
    "temos_teach/actiongpt_temos_small.ckpt": "temos",
    "temos_teach/teach_small.ckpt": "teach",
    "temos_teach/actiongpt_teach_small.ckpt": "teach",
    "motionclip/motionclip_small.pth.tar": "motionclip",
}


@pytest.fixture(scope="module")
def small_state():
    return small_temos_state()


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_checkpoints_round_trip_through_workdirs(
    golden_file, tmp_path, capsys, name
):
    path, workdir = golden_file(f"{name}"), tmp_path / "run"
    convert.main([str(path), "--out", str(workdir)])
    assert PUBLISHED[name] in capsys.readouterr().out
    expected_config, expected = from_torch.load(path)
    restored = checkpoints.restore(workdir)
    assert restored is not None and restored.step == 0
    for collection in ("params", "unused"):
        stored: Any = flax.traverse_util.flatten_dict(restored.state[collection])
        original: Any = flax.traverse_util.flatten_dict(expected[collection])
        assert stored.keys() == original.keys()
        for place, array in original.items():
            assert stored[place].tobytes() == np.asarray(array).tobytes(), place
    assert restored.config.model.latent_dim == expected_config.model.latent_dim
    assert restored.config.model.num_heads == 4
    # Convert back, to a file that PyTorch users can load.
    out = tmp_path / "back.safetensors"
    convert.main(["--back", str(workdir), "--out", str(out)])
    back, state = safetensors.numpy.load_file(out), read_torch(path)
    state = state.get("state_dict", state)
    assert back.keys() == state.keys()
    for key, tensor in state.items():
        assert back[key].shape == tensor.shape
        assert back[key].tobytes() == np.ascontiguousarray(tensor).tobytes(), key
    record = json.loads((workdir / converting.RECORD).read_text())
    assert record["source"] == path.name and len(record["sha256"]) == 64
    assert record.get("epoch", 3) == 3


def test_converted_workdir_generates_the_published_motions(
    golden, golden_file, tmp_path
):
    case = golden("temos_teach/temos_e2e")
    path = golden_file("temos_teach/temos_small.ckpt")
    stats = write_stats(tmp_path / "stats", case["feats_mean"], case["feats_std"])
    workdir = tmp_path / "run"
    flags = ["--out", str(workdir), "--stats", str(stats), "--texts", "phrase"]
    convert.main([str(path), *flags])
    trained = load_model(workdir)
    assert trained.config.text.encoder == "distilbert-base-uncased"
    frames = frame_mask(case["lengths"], case["features_mean"].shape[1])

    @jax.jit
    def run(tokens, mask):
        apply = trained.model.apply
        text: Any = apply(trained.variables, tokens, mask, method="encode_text")
        return apply(trained.variables, text.mu, frames, method="decode")

    features = run(jnp.asarray(case["hidden"]), jnp.asarray(case["mask"]))
    np.testing.assert_allclose(features, case["features_mean"], rtol=0, atol=NETWORK)
    raw = trained.normalizer.unnormalize(features)
    rotations, translation = rot_velocity.decode(raw)
    np.testing.assert_allclose(rotations, case["rots"], rtol=0, atol=MOTION)
    np.testing.assert_allclose(translation, case["trans"], rtol=0, atol=MOTION)


@pytest.fixture(scope="module")
def run_folder(small_state, tmp_path_factory):
    """Returns a Lightning run with .hydra/config.yaml, checkpoints and statistics."""
    folder = tmp_path_factory.mktemp("run")
    (folder / "checkpoints").mkdir()
    (folder / ".hydra").mkdir()
    hyper = {"losses": {"lmd_latent": 2e-5}, "textencoder": {"num_heads": 2}}
    for number in (9, 99):
        token = small_state["textencoder.mu_token"] + number
        changed = small_state | {"textencoder.mu_token": token}
        save_state(
            folder / "checkpoints" / f"latest-epoch={number}.ckpt",
            changed,
            hyper_parameters=hyper,
            epoch=number,
            global_step=10 * number,
        )
    (folder / ".hydra" / "config.yaml").write_text(
        "data: {batch_size: 4, dtype: seg}\n"
        "model:\n  losses: {lmd_kl: 3.0e-5, lmd_latent: 9.0}\n"
        "  optim: {lr: 5.0e-5}\n  latent_dim: ${latent_dim}\n"
    )
    rng = np.random.default_rng(1)
    write_stats(folder / "stats", rng.normal(size=135), 1 + rng.random(135))
    return folder


def test_run_folder_is_converted_with_its_settings(run_folder, tmp_path, capsys):
    workdir = tmp_path / "run"
    stats = run_folder / "stats"
    convert.main([str(run_folder), "--out", str(workdir), "--stats", str(stats)])
    printed = capsys.readouterr().out
    assert "latest-epoch=99.ckpt" in printed and "config.yaml" in printed
    trained = load_model(workdir)
    losses, train_config = trained.config.losses, trained.config.train
    assert (losses.lmd_kl, losses.lmd_latent) == (3e-5, 2e-5)
    assert (train_config.learning_rate, train_config.batch_size) == (5e-5, 4)
    assert trained.config.model.num_heads == 2
    assert trained.config.text.width == WIDTH
    mean = read_torch(stats / "rfeats_mean.pt")
    np.testing.assert_array_equal(trained.normalizer.mean, mean)
    record = json.loads((workdir / converting.RECORD).read_text())
    assert (record["epoch"], record["global_step"]) == (99, 990)


def test_converted_workdir_can_be_trained_and_generates(run_folder, stores, tmp_path):
    motion, text = stores
    workdir = tmp_path / "run"
    options = converting.Options(stats=(run_folder / "stats",))
    converting.convert(run_folder, workdir, options)
    # The workdir records no encoder, so embeddings of any encoder are accepted.
    (before,) = generate_motions(
        load_model(workdir), "walk", 0.5, fact=0, embeddings=text
    )
    train.main(
        ["--workdir", str(workdir), f"--config.data.store={motion}"]
        + [f"--config.text.store={text}", "--config.train.num_steps=2"]
        + ["--config.data.max_shapes=1", "--config.train.checkpoint_steps=1"]
    )
    trained = load_model(workdir)
    assert trained.step == 2 and trained.config.text.encoder is not None
    (after,) = generate_motions(trained, "walk", 0.5, fact=0, embeddings=text)
    assert before.rotations.shape == after.rotations.shape
    assert not np.array_equal(before.rotations, after.rotations)
    # The file that is converted back has the new weights and the original positions.
    _, state = converting.state_dict_of(workdir)
    assert state["textencoder.sequence_pos_encoding.pe"].shape[0] == 5000


@pytest.fixture(scope="module")
def slow_run(small_state, tmp_path_factory):
    """Returns the converted run of a TEMOS of 12.5 frames per second."""
    folder = tmp_path_factory.mktemp("kit-amass-rot")
    (folder / ".hydra").mkdir()
    (folder / ".hydra" / "config.yaml").write_text(
        "data: {dataname: kit-amass-rot, framerate: 12.5, load_with_rot: true}\n"
    )
    save_state(folder / "last.ckpt", small_state)
    write_stats(folder / "stats", np.zeros(135), np.ones(135))
    flags = ["--stats", str(folder / "stats"), "--texts", "phrase"]
    convert.main([str(folder), "--out", str(folder / "run"), *flags])
    return folder / "run"


def test_run_of_12_5_frames_per_second_generates_motions_that_play_at_that_rate(
    slow_run, stores, tmp_path
):
    flags = ["--text", "walk", "--seconds", "2", "--embeddings", str(stores[1])]
    workdir = ["--workdir", str(slow_run)]
    generate.main([*workdir, *flags, "--out", str(tmp_path)])
    path = tmp_path / "walk_0.npz"
    motion = load_motion(path)
    assert (motion.fps, len(motion.rotations)) == (12.5, 25)
    render.main([str(path), "--out", str(tmp_path / "walk.bvh")])
    bvh = (tmp_path / "walk.bvh").read_text()
    assert "Frames: 25\nFrame Time: 0.080000000\n" in bvh
    render.main([str(path), "--out", str(tmp_path / "walk.html")])
    assert '"fps":12.5' in (tmp_path / "walk.html").read_text().replace(": ", ":")
    # The page of the app, and `edit`, count seconds alike.
    trained = load_model(slow_run)
    queue = GenerationQueue(trained, PhraseEmbedder(trained.config, stores[1]))
    try:
        request = GenerationRequest((ActionRequest("walk", 2.0),))
        result = queue.generate(request)
        npz = queue.download(result["result"], 0, "npz")
    finally:
        queue.close()
    assert npz is not None and [m["frames"] for m in result["motions"]] == [25]
    (tmp_path / "app.npz").write_bytes(npz)
    assert load_motion(tmp_path / "app.npz").fps == 12.5
    out = ["--out", str(tmp_path / "edited"), "--seconds", "2"]
    edit.main([*workdir, *out, "reconstruct", str(path)])
    edited = load_motion(tmp_path / "edited" / "reconstruct_0.npz")
    assert (edited.fps, len(edited.rotations)) == (12.5, 25)
    # A motion of twice the rate is the same motion to it.
    rotations, places = resample(motion.rotations, motion.translation, 12.5, 25.0)
    latents = encode_motions(trained, [motion, Motion(rotations, places, 25.0)])
    np.testing.assert_allclose(latents[1], latents[0], rtol=0, atol=1e-5)


def test_model_of_another_frame_rate_refuses_stores_of_30(slow_run, stores):
    flags = [f"--config.data.store={stores[0]}", f"--config.text.store={stores[1]}"]
    refusals = (
        lambda: train.main(["--workdir", str(slow_run), *flags]),
        lambda: evaluate_model(slow_run, data=stores[0], embeddings=stores[1]),
    )
    for refused in refusals:
        with pytest.raises(InputError, match=r"must have 12\.5 frames .*, got 30; "):
            refused()


def test_frame_rate_can_be_given_where_no_settings_are_found(
    small_state, tmp_path, capsys
):
    save_state(tmp_path / "x.ckpt", small_state)
    assert "--framerate" not in refusal(tmp_path / "x.ckpt", "--framerate", "2")
    for flags, rate in (([], 30.0), (["--framerate", "12.5"], 12.5)):
        out = tmp_path / f"run{rate}"
        convert.main([str(tmp_path / "x.ckpt"), "--out", str(out), *flags])
        assert f"motions have {rate:g} frames per second" in capsys.readouterr().out
        restored = checkpoints.restore(out)
        assert restored is not None and restored.config.data.framerate == rate


def test_weights_of_joint_positions_are_refused(tmp_path):
    config = load_config("temos:debug", ["--config.model.num_layers=1"])
    config.model.nfeats = 64
    state = state_dict(config, WIDTH, lambda shape: np.zeros(shape, np.float32))
    save_state(tmp_path / "x.ckpt", state)
    assert "must have the 135 features" in refusal(tmp_path / "x.ckpt")


def test_training_needs_a_config(tmp_path):
    with pytest.raises(InputError, match="--config must name a config"):
        train.main(["--workdir", str(tmp_path)])
    with pytest.raises(InputError, match="--config must name a config"):
        train.main([])


def test_motionclip_is_converted_with_settings_and_body(golden_file, golden, tmp_path):
    source = golden_file("motionclip/motionclip_small.pth.tar")
    folder = tmp_path / "exp"
    folder.mkdir()
    for number in (2, 10):
        (folder / f"checkpoint_{number:04d}.pth.tar").write_bytes(source.read_bytes())
    (folder / "opt.yaml").write_text(
        "pose_rep: rot6d\nnum_frames: 50\nlambdas: {rc: 7.0, vel: 3}\n"
        "clip_lambdas: {text: {mse: 0.5}}\nlosses: !!python/tuple [rc, vel]\n"
        "normalize_encoder_output: true\nnormalize_decoder_input: true\n"
        "align_pose_frontview: true\nlr: 0.001\n"
    )
    case = golden("motionclip/rot2xyz")
    fields = {k[5:]: case[k] for k in case if k.startswith("smpl/")}
    names = "v_template shapedirs posedirs J_regressor weights kintree_table f".split()
    np.savez(tmp_path / "smpl.npz", **{name: fields[name] for name in names})
    workdir = tmp_path / "run"
    convert.main(
        [str(folder), "--out", str(workdir), "--body", str(tmp_path / "smpl.npz")]
    )
    restored = checkpoints.restore(workdir)
    assert restored is not None
    config = restored.config
    assert (config.losses.lambda_rc, config.losses.lambda_vel) == (7.0, 3.0)
    assert (config.losses.text_mse, config.data.num_frames) == (0.5, 50)
    assert (config.model.text_latent, config.data.align) == ("normalized", "full")
    assert (config.data.translation, config.data.window_text) == ("reference",) * 2
    target = workdir / converting.BODY
    assert bodies.load(target).num_joints == 24
    assert config.losses.get("body", str(target)) == str(target)
    record = json.loads((workdir / converting.RECORD).read_text())
    assert record["source"] == "checkpoint_0010.pth.tar"

    for text, message in [
        ("pose_rep: rotvec", "rot6d"),
        ("normalize_encoder_output: true", "both true or both false"),
        ("x: !!python/object/apply:os.mkdir [trace]", "plain YAML"),
        ("x: [", "plain YAML"),
    ]:
        (folder / "opt.yaml").write_text(text)
        with pytest.raises(InputError, match=message) as caught:
            convert.main([str(folder), "--out", str(tmp_path / "other")])
        assert "\n" not in str(caught.value)
    assert not (tmp_path / "other").exists()


def refusal(path, *flags):
    out = path.parent / "refused"
    with pytest.raises(InputError) as caught:
        convert.main([str(path), "--out", str(out), *flags])
    assert not out.exists() and "\n" not in str(caught.value)
    return str(caught.value)


def test_invalid_checkpoints_raise_one_sentence(small_state, tmp_path):
    lost, extra = "motiondecoder.final_layer.bias", "motionencoder.more.weight"
    path = tmp_path / "x.ckpt"
    state = {name: t for name, t in small_state.items() if name != lost}
    save_state(path, state | {extra: np.zeros(2, np.float32)})
    assert f"missing: {lost}; unexpected: {extra}" in refusal(path)
    save_state(path, {"backbone.weight": np.zeros((2, 2), np.float32)})
    assert "got tensors of another one (backbone.weight" in refusal(path)
    save_state(path, small_state)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    assert "truncated" in refusal(path)


class Bomb:
    """Makes a folder when it is unpickled."""

    def __init__(self, trace):
        self.trace = trace

    def __reduce__(self):
        return os.mkdir, (str(self.trace),)


def test_checkpoint_with_code_is_refused(tmp_path):
    trace = tmp_path / "trace"
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        data = pickle.dumps({"state_dict": {"x": Bomb(trace)}}, protocol)
        path = TorchFile().write_pickle(tmp_path / "x.ckpt", data)
        assert "nothing was run" in refusal(path)
    assert not trace.exists()


def test_invalid_flags_and_files_are_rejected(small_state, tmp_path):
    path = save_state(tmp_path / "x.ckpt", small_state)
    mean = np.zeros(135)
    stats = write_stats(tmp_path / "stats", mean, np.ones(135))
    file = TorchFile()
    file.write(stats / "jfeats_mean.pt", file.tensor(np.zeros(64, np.float32)))
    file.write(stats / "jfeats_std.pt", file.tensor(np.zeros(64, np.float32)))
    convert.main([str(path), "--out", str(tmp_path / "y"), "--stats", str(stats)])
    assert "one file of the std" in refusal(
        path, "--stats", str(stats / "rfeats_mean.pt")
    )
    for wrong, message in [
        (np.ones(64), "135 finite numbers"),
        (np.full(135, np.nan), "135 finite numbers"),
        (-np.ones(135), "no negative number"),
    ]:
        write_stats(stats, mean, wrong)
        assert message in refusal(path, "--stats", str(stats))
    (tmp_path / "body.npz").write_bytes(b"no body")
    assert "body.npz" in refusal(path, "--body", str(tmp_path / "body.npz"))
    with pytest.raises(InputError, match="without checkpoints"):
        convert.main([str(path), "--out", str(tmp_path / "y")])
    with pytest.raises(InputError, match="absolute path of a workdir"):
        convert.main([str(path), "--out", str(tmp_path / "a[b]")])
    assert not (tmp_path / "a[b]").exists()
    with lock_workdir(tmp_path / "refused"):
        assert f"another process ({os.getpid()} on " in refusal(path)
    with pytest.raises(InputError, match="got neither"):
        convert.main(["--out", str(tmp_path / "z")])
    with pytest.raises(InputError, match="got both"):
        convert.main([str(path), "--back", "a", "--out", str(tmp_path / "z")])
    with pytest.raises(InputError, match="got none"):
        convert.main([str(stats), "--out", str(tmp_path / "z")])
    with pytest.raises(FileNotFoundError):
        convert.main([str(tmp_path / "none"), "--out", str(tmp_path / "z")])
    with pytest.raises(FileNotFoundError):
        convert.main(["--back", str(tmp_path / "none"), "--out", "z"])


def test_flags_set_texts_and_heads(small_state, tmp_path):
    path = save_state(tmp_path / "x.ckpt", small_state)
    flags = ["--texts", "phrase", "--num-heads", "2"]
    convert.main([str(path), "--out", str(tmp_path / "y"), *flags])
    restored = checkpoints.restore(tmp_path / "y")
    assert restored is not None
    config = restored.config
    assert (config.text.source, config.text.k) == ("phrase", None)
    assert (config.model.text_mask, config.model.num_heads) == ("bool", 2)
    assert (config.data.heading, config.losses.recons_mean) == ("reference", "padded")


def test_conversion_that_fails_leaves_every_file_of_the_folder(
    small_state, tmp_path, monkeypatch
):
    path, out = save_state(tmp_path / "x.ckpt", small_state), tmp_path / "y"
    out.mkdir()
    names = ("config.json", "converted.json", "torch_buffers.safetensors", "notes.txt")
    for name in names:
        (out / name).write_text(name)

    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch, pytest.raises(OSError):
        patch.setattr(checkpoints, "save_weights", full)
        convert.main([str(path), "--out", str(out)])
    assert {p.name: p.read_text() for p in out.iterdir()} == {n: n for n in names}
    convert.main([str(path), "--out", str(out)])
    assert checkpoints.restore(out) is not None
    assert {*names, "checkpoints"} == {p.name for p in out.iterdir()}


MEASURE = """
import resource, sys
from actiongpt_jax import convert
import jax
jax.config.update("jax_platforms", "cpu")
jax.numpy.zeros(1)
def peak():
    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
before = peak()
convert.main([sys.argv[1], "--out", sys.argv[2]])
print(peak() - before)
"""


def test_conversion_needs_little_more_memory_than_the_weights(tmp_path):
    config = load_config("temos")
    config.model.update({"latent_dim": 512, "ff_size": 2048, "num_layers": 4})
    state = state_dict(config, 768, lambda shape: np.ones(shape, np.float32))
    path = save_state(tmp_path / "big.ckpt", state)
    size = path.stat().st_size
    assert size > 150e6
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, str(path), str(tmp_path / "run")],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "JAX_PLATFORMS": "cpu"},
    )
    # The documented limit for a file of 800 MB, for which libraries matter little.
    assert int(done.stdout.splitlines()[-1]) < 1.5 * size
