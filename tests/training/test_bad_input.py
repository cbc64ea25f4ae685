"""Bad input to training: an error of one sentence, and no incomplete files."""

import json
import os
import shutil

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

from actiongpt_jax import train
from actiongpt_jax.data.batches.windows import clips
from actiongpt_jax.data.motion_store import open_store
from actiongpt_jax.errors import InputError
from actiongpt_jax.inference.trained import load_model
from actiongpt_jax.text.embeddings.from_descriptions import embed_descriptions
from actiongpt_jax.training.workdir import lock_workdir

pytestmark = pytest.mark.slow


@pytest.fixture
def flags(stores):
    motion, text = stores
    return [
        "--config",
        "temos:debug",
        f"--config.data.store={motion}",
        f"--config.text.store={text}",
        # The programs are those of `train_debug`.
        "--config.data.max_shapes=1",
        "--config.data.max_frames=64",
        "--config.text.num_tokens=96",
        "--config.model.num_layers=1",
    ]


@pytest.fixture
def trained(train_debug, tmp_path):
    """Returns a copy of a workdir that was trained for two steps."""
    return shutil.copytree(train_debug("temos:debug"), tmp_path / "run")


def message_of(arguments) -> str:
    with pytest.raises((InputError, FileNotFoundError)) as caught:
        train.main(arguments)
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_a_workdir_in_training_is_read_but_not_trained_twice(flags, trained):
    with lock_workdir(trained):
        message = message_of([*flags, "--workdir", str(trained)])
        assert f"written by another process ({os.getpid()} on " in message
        assert load_model(trained).step == 2
    assert not (trained.parent / ".run.lock").exists()


def metadata_of(file):
    with safe_open(file, "numpy") as opened:
        return opened.metadata()


def test_missing_store_error_names_the_commands_and_the_demo(tmp_path):
    message = message_of(["--config", "temos", "--workdir", str(tmp_path / "run")])
    for word in ("config.data.store", "prepare babel", "embed", "temos:demo"):
        assert word in message
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("--config.text.encoder=distilbert-base-uncased", ["minilm", "distilbert"]),
        ("--config.text.k=4", ["config.text.k", "4", "2"]),
        ("--config.text.source=words", ["config.text.source", "words"]),
        ("--config.data.store=/no/such/store", ["/no/such/store", "prepare"]),
        ("--config.data.train_split=trian", ["trian"]),
        ("--config.train.optimizer=adam", ["adamw", "adam"]),
        ("--config.model.num_heads=3", ["num_heads", "3"]),
        ("--config.train.dtype=float12", ["dtype", "float12"]),
        ("--config.train.batch_size=0", ["batch_size"]),
    ],
)
def test_invalid_fields_are_named(flags, tmp_path, override, words):
    message = message_of([*flags, "--workdir", str(tmp_path / "run"), override])
    for word in words:
        assert word in message
    assert not (tmp_path / "run" / "checkpoints").exists()


def test_phrase_without_description_is_an_error(stores, flags, tmp_path):
    motion, _ = stores
    few = tmp_path / "few.json"
    few.write_text(json.dumps({"walk forward": ["The person walks.", "Both legs go."]}))
    text = tmp_path / "text"
    embed_descriptions(text, few, "minilm", k=2)
    arguments = [*flags, "--workdir", str(tmp_path / "run")]
    message = message_of([*arguments, f"--config.text.store={text}"])
    assert "actiongpt_jax.embed" in message


def test_nan_loss_names_step_items_and_checkpoint(flags, tmp_path):
    message = message_of(
        [
            *flags,
            "--workdir",
            str(tmp_path / "run"),
            "--config.train.optimizer=sgd",
            "--config.train.learning_rate=1e30",
            "--config.train.checkpoint_steps=1",
        ]
    )
    assert "step 2" in message
    assert "items" in message
    assert str(tmp_path / "run" / "checkpoints" / "1") in message


def test_workdir_of_another_model_is_rejected(flags, trained):
    message = message_of(
        [*flags, "--workdir", str(trained), "--config.model.latent_dim=32"]
    )
    assert "latent_dim" in message
    assert "--workdir" in message


@pytest.mark.parametrize("below", ["", "run"])
def test_workdir_that_is_a_file_is_rejected(flags, tmp_path, below):
    file = tmp_path / "file"
    file.write_text("mine")
    message = message_of([*flags, "--workdir", str(file / below)])
    assert f"{file} is a file" in message
    assert file.read_text() == "mine"


@pytest.mark.parametrize("target", ["nowhere", "link"])
@pytest.mark.parametrize("below", ["", "run"])
def test_workdir_that_is_a_link_to_nothing_is_rejected(flags, tmp_path, target, below):
    link = tmp_path / "link"
    link.symlink_to(tmp_path / target)
    message = message_of([*flags, "--workdir", str(link / below)])
    assert f"{link} is a link to nothing" in message


def test_fewer_steps_than_already_done_is_an_error(flags, trained):
    message = message_of(
        [*flags, "--workdir", str(trained), "--config.train.num_steps=1"]
    )
    assert "2 steps" in message
    assert "config.train.num_steps" in message


def test_unknown_best_metric_lists_the_known_ones(flags, tmp_path):
    workdir = ["--workdir", str(tmp_path / "run")]
    message = message_of([*flags, *workdir, "--config.train.best_metric=val/nope"])
    assert "val/nope" in message
    assert "val/recons_text2rfeats" in message


@pytest.fixture
def clip_flags(stores):
    motion, text = stores
    return [
        "--config",
        "motionclip:debug",
        f"--config.data.store={motion}",
        f"--config.text.store={text}",
    ]


def test_motionclip_without_stores_names_a_clip_encoder():
    message = message_of(["--config", "motionclip"])
    for word in ("openai/clip-vit-base-patch32", "motionclip:demo"):
        assert word in message


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("--config.data.num_frames=101", ["100", "101"]),
        ("--config.data.clip_frames=2000", ["no clip", "2000"]),
        ("--config.model.latent_dim=256", ["model.latent_dim", "384", "256"]),
        ("--config.model.nfeats=135", ["nfeats", "150", "135"]),
        ("--config.data.images=/no/images.safetensors", ["/no/images.safetensors"]),
        ("--config.data.align=up", ["data.align", "yaw", "up"]),
        ("--config.model.encoder_tokens=3", ["encoder_tokens", "3"]),
        ("--config.losses.body=/no/body.npz", ["/no/body.npz"]),
    ],
)
def test_invalid_fields_of_motionclip_are_named(clip_flags, tmp_path, override, words):
    flags = [*clip_flags, override]
    if "clip_frames" in override:
        flags.append("--config.data.num_frames=2000")
    message = message_of([*flags, "--workdir", str(tmp_path / "run")])
    for word in words:
        assert word in message
    assert not (tmp_path / "run" / "checkpoints").exists()


def test_images_of_other_clips_are_rejected(stores, clip_flags, tmp_path):
    images = tmp_path / "images.safetensors"
    save_file({"somewhere-0": np.zeros(384, np.float32)}, images)
    message = message_of([*clip_flags, "--image-embeddings", str(images)])
    assert str(images) in message
    assert "lacks" in message


def test_images_are_rejected_for_other_models(flags):
    message = message_of([*flags, "--image-embeddings", "images.safetensors"])
    assert "config.data" in message
    assert "images" in message


def test_images_of_another_width_are_rejected(stores, clip_flags, tmp_path):
    items = clips(open_store(stores[0]))
    images = tmp_path / "images.safetensors"
    save_file({item.key: np.ones(7, np.float32) for item in items}, images)
    message = message_of([*clip_flags, "--image-embeddings", str(images)])
    assert "384" in message
    assert "7" in message


def test_motionclip_rejects_texts_without_pooled_vectors(clip_flags, stores, tmp_path):
    """DistilBERT's stores, for example, hold token states only."""
    text = tmp_path / "text"
    shutil.copytree(stores[1], text)
    for file in text.glob("*.safetensors"):
        tensors, metadata = load_file(file), metadata_of(file)
        kept = {n: a for n, a in tensors.items() if not n.endswith(".pooled")}
        assert len(kept) < len(tensors)
        save_file(kept, file, metadata)
    message = message_of([*clip_flags, f"--config.text.store={text}"])
    assert "pooled" in message
    assert "minilm" in message
