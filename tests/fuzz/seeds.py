"""Valid files for every reader, small and written here."""

import dataclasses
import json
import pathlib
from typing import Any

import flax.traverse_util
import numpy as np

from actiongpt_jax.config import load_config, to_json
from actiongpt_jax.data.motion import Motion, save_motion
from actiongpt_jax.data.motion_store import Label
from actiongpt_jax.data.motion_store import Sequence as SequenceRow
from actiongpt_jax.data.store_writer import StoreWriter
from actiongpt_jax.evaluation.journal import Journal
from actiongpt_jax.features.normalizer import Normalizer
from actiongpt_jax.files.safetensors import write_tensors
from actiongpt_jax.metrics.ape_ave import NAMES
from actiongpt_jax.models.example import variable_shapes
from actiongpt_jax.synthetic.corpus import build_synthetic_store
from actiongpt_jax.text.embeddings.from_descriptions import embed_descriptions
from actiongpt_jax.text.prompts import make_prompt
from actiongpt_jax.training import checkpoints
from actiongpt_jax.training.model_folder import PackedModel, write_model_folder
from actiongpt_jax.training.phrase_lengths import (
    LENGTHS,
    PhraseLengths,
    write_lengths,
)
from actiongpt_jax.training.writers import MetricWriter
from tests.conversion.torch_writer import TorchFile, call
from tests.data.mocap.skeletons import Style, to_bvh, walking
from tests.data.mocap.test_acclaim import AMC, ASF
from tests.fuzz.worker import WEIGHTS
from tests.text.conftest import write_folder

BABEL = {
    "1": {
        "feat_p": "CMU/CMU/1/1_poses.npz",
        "dur": 3.0,
        "frame_ann": {"labels": [{"proc_label": "walk", "start_t": 0.0, "end_t": 1.5}]},
        "seq_ann": {"labels": [{"proc_label": "walk forward"}]},
    }
}
SIDES = {side: {"skating": [0.1, 0.0, 0.2]} for side in ("generated", "real")}
FIGURES = {
    **{"parameters": "a hash", "model": "temos", "step": 3, "split": "val"},
    **{"protocol": "paper", "samples": 1, "motions": 2, "notes": ["a note"]},
    "ape_ave": {"mean": {name: [0.1, 0.0, 0.2] for name in NAMES}},
    "physical": SIDES,
    "retrieval": {
        **dict.fromkeys(SIDES, {"matching_distance": 0.5, "diversity": {"mean": 1.0}}),
        **{"actions": 2, "distinct_texts": 2},
    },
    "evaluator": {"hash": "x"},
}
SETTINGS = """\
pose_rep: rot6d
model:
  latent_dim: 16
  hist_frames: 5
  losses: {lmd_kl: 1.0e-05}
  optim: {lr: 0.0001}
  when: 2022-09-01
data:
  batch_size: 16
  shape: !!python/tuple [1, 2]
"""


def make_seeds(folder: pathlib.Path) -> dict[str, list[pathlib.Path]]:
    """Writes the files; returns reader -> the files of it that are to be damaged."""
    rng = np.random.default_rng(0)
    seeds: dict[str, list[pathlib.Path]] = {}

    # Stores.
    build_synthetic_store(folder / "motion store", 2)
    tables = ("meta.json", "report.json", "sequences.jsonl", "labels.jsonl")
    arrays = ("rotations.npy", "translation.npy", "hands.npy")
    seeds["motion store"] = [folder / "motion store" / n for n in (*tables, *arrays)]
    model = write_folder(folder / "encoder")
    seeds["encoder"] = [*model.iterdir()]
    texts = {"walk forward": ["a person walks", "both legs"], "jump": ["up", "down"]}
    embed_descriptions(folder / "embedding store", texts, str(model), k=2, each=True)
    seeds["embedding store"] = [*(folder / "embedding store").iterdir()]

    # Motions, labels, texts.
    fields: dict[str, Any] = {
        "poses": rng.normal(size=(9, 156)),
        "trans": rng.normal(size=(9, 3)),
    }
    fields |= {"poses": rng.normal(size=(9, 156)), "trans": rng.normal(size=(9, 3))}
    (folder / "AMASS").mkdir()
    path = folder / "AMASS" / "a_poses.npz"
    np.savez(path, **fields, mocap_framerate=np.float64(60))
    packed = path.with_name("b_poses.npz")
    np.savez_compressed(packed, **fields, mocap_framerate=np.float64(60))
    seeds["AMASS"] = [path, packed]
    motion = Motion(np.zeros((9, 22, 3)), np.zeros((9, 3)), 30.0, text=("walk",))
    seeds["motion"] = [save_motion(folder / "motion" / "a.npz", motion)]
    seeds["BABEL"] = [write(folder / "BABEL" / "train.json", json.dumps(BABEL))]
    lines = "walk\nturn left\nsträuben\n"
    seeds["phrases"] = [write(folder / "phrases" / "phrases.txt", lines)]
    rows = [{"file": "a.npz", "text": "walk", "start": 0, "end": 1.5, "subject": "x"}]
    seeds["table"] = [
        write(folder / "table" / "a.csv", 'file,text,end\na,"walk, run",2\nb,sit,1\n'),
        write(folder / "table" / "b.jsonl", json.dumps(rows[0]) + "\n"),
        write(folder / "table" / "c.json", json.dumps(rows)),
        write(folder / "table" / "d.json", json.dumps({"a": ["walk", rows[0]]})),
    ]
    clip = {"path": "KIT/3/a_poses", "duration": 5.8}
    clip["annotations"] = [{"seg_id": "1_0", "text": "sit", "start": 0.0, "end": 5.8}]
    seeds["captions"] = [
        write(folder / "captions" / "a.json", json.dumps({"1": clip, "M2": clip})),
        write(folder / "captions" / "train.txt", "1\nM2\n"),
    ]
    index = "source_path,start_frame,end_frame,new_name\n./pose_data/a.npy,0,9,1.npy\n"
    seeds["HumanML3D"] = [
        write(folder / "humanml3d" / "index.csv", index),
        write(folder / "humanml3d" / "train.txt", "1\nM1\n"),
        write(folder / "humanml3d" / "texts" / "1.txt", "sit#sit/VERB#0.0#nan\n"),
        write(folder / "humanml3d" / "texts" / "M1.txt", "stand #1##2.0#0.5\n"),
    ]
    rule = {"pattern": "(?P<who>[a-z]+)_(?P<what>[a-z]+)", "text": "{what}"}
    rule |= {"words": {"what": {"poses": "stand"}}, "subject": "{who}"}
    seeds["name rule"] = [write(folder / "name rule" / "a.json", json.dumps(rule))]
    write(folder / "name rule" / "a_poses.npz", "")
    names = "left_hip: LeftUpLeg\nright_hip: RightUpLeg\nspine1: null\n"
    seeds["joint map"] = [write(folder / "joint map" / "a.yaml", names)]
    turned, pelvis = walking()
    bvh = to_bvh(Style(), turned[:4], pelvis[:4])
    seeds["BVH, ASF, AMC"] = [
        write(folder / "mocap" / "a.bvh", bvh),
        write(folder / "mocap" / "b.asf", ASF),
        write(folder / "mocap" / "b.amc", AMC),
    ]
    record = {"phrase": "walk", "index": 0, "text": "legs", "model": "m", "usage": {}}
    records = [record | {"index": i, "parameters": {"seed": i}} for i in range(3)]
    content = "".join(json.dumps(row) + "\n" for row in records)
    seeds["descriptions"] = [
        write(folder / "descriptions" / "a.jsonl", content),
        write(folder / "descriptions" / "b.json", json.dumps(texts)),
    ]
    seeds["cache"] = [write(folder / "cache" / "a.jsonl", content)]
    prices = {"gpt": {"input": 0.1, "output": 0.5, "batch": 0.5}}
    seeds["prices"] = [write(folder / "prices" / "a.json", json.dumps(prices))]
    seeds["batches"] = _batches(folder / "batches")

    # Checkpoints of torch, and the files next to them.
    file = TorchFile()
    value = {
        "state_dict": {"a": file.tensor(rng.normal(size=(4, 3)).astype(np.float32))},
        "epoch": 3,
        "hyper_parameters": {"lr": 1e-4, "losses": call("collections.OrderedDict")},
        "device": call("torch.device", "cuda", 0),
    }
    (folder / "torch").mkdir()
    seeds["torch"] = [
        file.write(folder / "torch" / "a.pt", value),
        file.write(folder / "torch" / "b.pt", value, compression=8),
        file.write_legacy(folder / "torch" / "c.pt", value),
    ]
    seeds["published checkpoint"] = seeds["torch"]
    seeds["settings"] = [
        write(folder / "settings" / ".hydra" / "config.yaml", SETTINGS)
    ]
    path = folder / "settings in opt.yaml" / "opt.yaml"
    seeds["settings in opt.yaml"] = [write(path, SETTINGS.partition("data:")[2])]
    (folder / "statistics").mkdir()
    np.save(folder / "statistics" / "mean.npy", np.zeros(135, np.float32))
    seeds["statistics"] = [folder / "statistics" / "mean.npy"]
    path = folder / "safetensors" / "a.safetensors"
    tensors = {"a": [rng.normal(size=(3, 4)).astype(np.float32)], "b": [np.arange(5)]}
    write_tensors(path, tensors, {"note": "text"})
    seeds["safetensors"] = [path]
    (folder / "body").mkdir()
    np.savez(folder / "body" / "model.npz", **_body(rng))
    seeds["body"] = [folder / "body" / "model.npz"]

    # The files of a run.
    config = load_config("temos:debug")
    seeds["config"] = [write(folder / "config" / "config.json", to_json(config))]
    checkpoints.save_weights(
        folder / "checkpoint",
        config,
        Normalizer(np.zeros(3, np.float32), np.ones(3, np.float32)),
        {"params": {"w": WEIGHTS}, "unused": {}},
    )
    seeds["checkpoint"] = [
        p
        for p in (folder / "checkpoint").rglob("*")
        if p.is_file() and p.stat().st_size
    ]
    (folder / "metrics").mkdir()
    writer = MetricWriter(folder / "metrics", 0)
    for step in range(4):
        writer.write(step, {"loss": 0.1 * step, "val/loss": float("nan")})
    writer.close()
    seeds["metrics"] = [folder / "metrics" / "metrics.jsonl"]
    path = folder / "journal" / "a.jsonl"
    Journal(path, {"step": 5}).append({"key": f"k{i}", "x": 0.5} for i in range(3))
    seeds["figures"] = [write(folder / "figures" / "a.json", json.dumps(FIGURES))]
    seeds["model folder"] = _model(folder / "model folder")
    seeds["lengths of phrases"] = [_lengths(folder / "lengths")]
    pictures = {name: [np.ones(8, np.float32)] for name in ("a-0", "b-0")}
    write_tensors(folder / "image embeddings" / "a.safetensors", pictures)
    seeds["image embeddings"] = [folder / "image embeddings" / "a.safetensors"]
    seeds["journal"] = [path]
    seeds["prepared"] = [_prepared(folder / "prepared" / "store")]
    return seeds


def write(path: pathlib.Path, text: str) -> pathlib.Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def _batches(folder: pathlib.Path) -> list[pathlib.Path]:
    prompt = dataclasses.asdict(make_prompt("detail"))
    request = {"prompt": prompt, "model": "m", "parameters": {}}
    part = {"name": "part-1.jsonl", "requests": 1, "request": request}
    state = {"format": 1, "parts": [part]}
    row = {"custom_id": "a", "phrase": "walk", "indices": [0, 1]}
    folder = folder / "texts.batch"
    write(folder / "part-1.jsonl.wanted", json.dumps(row) + "\n")
    return [
        write(folder / "state.json", json.dumps(state)),
        folder / "part-1.jsonl.wanted",
    ]


def _body(rng) -> dict[str, Any]:
    return {
        "v_template": rng.normal(size=(10, 3)),
        "shapedirs": rng.normal(size=(10, 3, 4)),
        "posedirs": rng.normal(size=(10, 3, 18)),
        "J_regressor": rng.random((3, 10)),
        "weights": rng.random((10, 3)),
        "kintree_table": np.array([[2**32 - 1, 0, 1], [0, 1, 2]], np.uint32),
        "f": np.array([[0, 1, 2]], np.uint32),
    }


def _model(folder: pathlib.Path) -> list[pathlib.Path]:
    """Writes a small model folder; returns the files that are read."""
    config = load_config("temos:debug").copy_and_resolve_references()
    config.model.update({"num_layers": 1, "latent_dim": 8, "ff_size": 4})
    config.text.width = 8
    shapes = variable_shapes(config)
    arrays = {name: np.zeros(shape, np.float32) for name, shape in shapes.items()}
    params = flax.traverse_util.unflatten_dict(arrays, sep="/")["params"]
    ones = np.ones(config.model.nfeats, np.float32)
    packed = PackedModel(3, config, Normalizer(ones, ones), params)
    write_model_folder(folder, packed, {}, "a card")
    return [folder / "model.safetensors", folder / "config.json"]


def _lengths(folder: pathlib.Path) -> pathlib.Path:
    """Writes the lengths of two phrases; returns the file."""
    folder.mkdir()
    frames, vectors = np.array([30, 90], np.int32), np.eye(2, 8, dtype=np.float16)
    write_lengths(folder, PhraseLengths(("walk", "sit down"), frames, vectors))
    return folder / LENGTHS


def _prepared(path: pathlib.Path) -> pathlib.Path:
    """Returns the journal of a store of which one of two recordings is written."""
    path.parent.mkdir()
    row = SequenceRow("a", 0, 4, "train", "a.npz", "0", 30.0, 30.0, 0.1, betas=(0.5,))
    shapes = {"rotations": (4, 22, 3), "translation": (4, 3), "hands": (4, 2, 3)}
    with StoreWriter(path, {"a": "key", "b": "key"}) as writer:
        arrays = {name: np.zeros(shape) for name, shape in shapes.items()}
        writer.add(row, arrays, [Label(0, 0, 4, "walk", "frame")], ["a note"])
    return writer.partial / "journal.jsonl"
