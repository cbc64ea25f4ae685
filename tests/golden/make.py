"""Cuts the recorded outputs of the published code to the part that travels with ours.

python tests/golden/make.py FOLDER

FOLDER holds the whole record (`temos_teach/`, `motionclip/`, `text/`). Written next to
this file: archives of at most 1 MB each with a selection of its files. Every number is
copied bit for bit; the README next to this file says what is left out.
"""

import io
import lzma
import pathlib
import sys
import tarfile
import tempfile
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1]))

from actiongpt_jax.files.torch_reader import read_torch  # noqa: E402
from tests.conversion.torch_writer import TorchFile  # noqa: E402

Arrays = dict[str, np.ndarray]

# Rows of the positional encodings that checkpoints keep. They are constant, and the
# longest recorded motion has 40 frames, which two or three tokens precede.
PE_ROWS = 64


def only(*starts: str) -> Callable[[Arrays], Arrays]:
    """Keeps the arrays whose names start with one of `starts`."""
    return lambda case: {k: v for k, v in case.items() if k.startswith(starts)}


def without(*starts: str) -> Callable[[Arrays], Arrays]:
    """Leaves out the arrays whose names start with one of `starts`."""
    return lambda case: {k: v for k, v in case.items() if not k.startswith(starts)}


def first_item(case: Arrays) -> Arrays:
    """Keeps the first item of the batch; its texts are `hidden` and `mask`."""
    items = next(len(array) for name, array in case.items() if name.startswith("mu"))
    per_item = len(case["hidden"]) // items
    rows = {"hidden": per_item, "mask": per_item}
    shared = ("sd/", "feats_")
    return {
        name: array
        if not array.ndim or name.startswith(shared)
        else array[: rows.get(name, 1)]
        for name, array in case.items()
    }


def rows(name: str, count: int) -> Callable[[Arrays], Arrays]:
    """Keeps the first `count` rows of one array."""
    return lambda case: case | {name: case[name][:count]}


def small(start: str, size: int) -> Callable[[Arrays], Arrays]:
    """Leaves out arrays whose names start with `start` and that are not small."""
    return lambda case: {
        name: array
        for name, array in case.items()
        if not name.startswith(start) or array.size <= size
    }


CUTS: dict[str, list[Callable[[Arrays], Arrays]]] = {
    "temos_teach/positional_encoding": [rows("pe", 40)],
    "temos_teach/fk_synthetic": [
        only("rest_", "parents", "rots", "trans", "joints_fk")
    ],
    "temos_teach/metrics": [without("transform_ref")],
    "temos_teach/rfeats_globalvelandy": [without("poses_aa", "rfeats_no_offset")],
    "temos_teach/temos_e2e": [first_item],
    "temos_teach/actiongpt_temos_e2e": [first_item],
    "temos_teach/teach_e2e": [without("align/", "transonly_slerp8/fact", "raw/fact")],
    "temos_teach/text_encoder_temos": [first_item],
    "temos_teach/actiongpt_text_encoder_temos": [without("skpm"), first_item],
    "temos_teach/actiongpt_text_encoder_teach": [
        without("skpm", "v_aggr_masked"),
        first_item,
    ],
    "motionclip/train_step": [small("after1/", 100)],
    "motionclip/applications_interp": [
        only("mu", "names", "interp_pairs", "num_stops", "interp/z")
    ],
    "motionclip/applications_edit_text": [
        without("edit/output", "text/output"),
    ],
    "motionclip/dataset": [without("win1", "win2", "win3")],
}
# Archive -> files. Neighbours in one archive share weights, which are stored once.
ARCHIVES = {
    "features": [
        "temos_teach/positional_encoding",
        "temos_teach/rotations",
        "temos_teach/rfeats_globalvelandy",
        "temos_teach/rifke",
        "temos_teach/smplh_to_mmm",
        "temos_teach/align_slerp",
        "temos_teach/fk_synthetic",
        "temos_teach/metrics",
        "temos_teach/babel_extract.json",
        "motionclip/posenc",
        "motionclip/rotations",
        "motionclip/collate",
        "motionclip/dataset",
        "motionclip/amass_parser.json",
    ],
    "temos": [
        "temos_teach/actiongpt_temos_loss",
        "temos_teach/temos_e2e",
        "temos_teach/motion_encoder",
        "temos_teach/motion_encoder_novae",
        "temos_teach/motion_decoder",
        "temos_teach/temos_params_small.txt",
        "temos_teach/temos_params_official.txt",
        "temos_teach/temos_small.ckpt",
    ],
    "teach": [
        "temos_teach/teach_loss",
        "temos_teach/teach_e2e",
        "temos_teach/teach_params_small.txt",
        "temos_teach/teach_params_official.txt",
        "temos_teach/teach_small.ckpt",
    ],
    "texts": [
        "temos_teach/text_encoder_temos",
        "temos_teach/text_encoder_teach",
        "temos_teach/actiongpt_text_encoder_temos",
        "temos_teach/actiongpt_text_encoder_teach",
        "text/minilm_real",
    ],
    "bert": [
        "text/bert",
        "text/distilbert",
        "text/bert_tiny/config.json",
        "text/bert_tiny/model.safetensors",
        "text/distilbert_tiny/config.json",
        "text/distilbert_tiny/model.safetensors",
    ],
    "clip": [
        "text/clip_text_legacy",
        "text/clip_text_new",
        "text/clip_text_tiny_legacy/config.json",
        "text/clip_text_tiny_legacy/model.safetensors",
        "text/clip_text_tiny_new/config.json",
        "text/clip_text_tiny_new/model.safetensors",
    ],
    "motionclip": [
        "motionclip/losses",
        "motionclip/train_step",
        "motionclip/rot2xyz",
        "motionclip/params_official.json",
        "motionclip/applications_interp",
        "motionclip/applications_edit_text",
        "motionclip/motionclip_small_io",
        "motionclip/motionclip_small.pth.tar",
    ],
}
# Float32 numbers have four bytes: their exponents are packed with their exponents.
FILTERS = [
    {"id": lzma.FILTER_LZMA2, "preset": 9 | lzma.PRESET_EXTREME, "lc": 0, "lp": 2}
]


def cut_state(state: dict[str, Any]) -> dict[str, Any]:
    """Cuts the positional encodings of a state dict."""
    return {
        name: array[:PE_ROWS] if name.endswith(".pe") else array
        for name, array in state.items()
    }


def cut_checkpoint(path: pathlib.Path) -> bytes:
    """Returns a PyTorch file with the content of `path` and cut positions."""
    content, file = read_torch(path), TorchFile()
    state = content.get("state_dict", content)
    tensors = {name: file.tensor(array) for name, array in cut_state(state).items()}
    is_state = state is content
    with tempfile.TemporaryDirectory() as folder:
        target = pathlib.Path(folder) / "x"
        file.write(target, tensors if is_state else {**content, "state_dict": tensors})
        return target.read_bytes()


def members(folder: pathlib.Path, name: str) -> Iterator[tuple[str, bytes]]:
    """Yields (path in the archive, content) of one recorded file."""
    path = folder / name
    if path.name.endswith((".ckpt", ".pth.tar")):
        yield name, cut_checkpoint(path)
    elif path.name.endswith("_params_small.txt"):
        yield name, path.read_bytes().replace(b"(5000,", b"(%d," % PE_ROWS)
    elif path.suffix:
        yield name, path.read_bytes()
    else:
        with np.load(path.with_name(f"{path.name}.npz")) as file:
            case = dict(file)
        for cut in CUTS.get(name, []):
            case = cut(case)
        for key, array in case.items():
            content = io.BytesIO()
            np.lib.format.write_array(content, array, allow_pickle=False)
            yield f"{name}/{key}.npy", content.getvalue()


def write(target: pathlib.Path, folder: pathlib.Path, names: list[str]) -> None:
    """Writes one archive."""
    with (
        lzma.open(target, "wb", filters=FILTERS) as packed,
        tarfile.open(fileobj=packed, mode="w") as archive,
    ):
        for name in names:
            for path, content in members(folder, name):
                entry = tarfile.TarInfo(path)
                entry.size = len(content)
                archive.addfile(entry, io.BytesIO(content))
    size = target.stat().st_size
    print(f"{target.name}: {size:,} bytes")
    if size > 1e6:
        sys.exit(f"{target.name} must have at most 1,000,000 bytes; leave more out")


def main() -> None:
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    for name, names in ARCHIVES.items():
        write(HERE / f"{name}.tar.xz", pathlib.Path(sys.argv[1]), names)


if __name__ == "__main__":
    main()
