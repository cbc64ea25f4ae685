"""Small files that describe something huge are refused, in little time and memory."""

import zipfile

import numpy as np
import pytest

from tests.conversion.torch_writer import (
    Raw,
    TorchFile,
    call,
    encode,
    global_name,
    storage_id,
    tensor,
)

pytestmark = pytest.mark.slow


def nested_tuple(depth: int) -> Raw:
    return Raw(b")" + b"\x85" * depth)


def doubled_lists(count: int) -> Raw:
    """Returns a list that holds a list twice, which holds a list twice, and so on."""
    start = b"]q\x00"
    return Raw(start + b"".join(b"](h%ch%ceq%c" % (i, i, i + 1) for i in range(count)))


def many_calls(name: str, *arguments: Raw, count: int = 3000) -> Raw:
    """Returns a list of calls with the same arguments, which the file holds once."""
    kept = b"".join(part + b"q%c" % i for i, part in enumerate(arguments))
    again = b"".join(b"h%c" % i for i in range(len(arguments)))
    made = (global_name(name) + b"(" + again + b"tR") * count
    return Raw(b"(" + kept + b"l" + b"(" + made + b"l\x86")


PAIRS = Raw(b"](" + b"".join(encode((i, 0)) for i in range(3000)) + b"e")
TEXT = Raw(encode("x" * 2_000_000))
PICKLES = {
    "key nested deeply": call("collections.Counter", [(nested_tuple(300_000), 1)]),
    "key in a set": call("builtins.set", [nested_tuple(300_000)]),
    "key of many parts": Raw(b"}" + encode(tuple(range(50))) + b"Ns"),
    "device": call("torch.device", doubled_lists(60)),
    "deep device": call("torch.device", nested_tuple(300_000)),
    "path": call("pathlib.PosixPath", doubled_lists(60)),
    "repeated number": tensor(storage_id("float32", "0", 4), 0, (10**6, 10**6), (0, 0)),
    "repeated rows": tensor(storage_id("float32", "0", 4), 0, (10**9, 4), (0, 1)),
    "many dicts": many_calls("collections.OrderedDict", PAIRS),
    "many sets": many_calls("builtins.set", Raw(encode(list(range(3000))))),
    "many texts": many_calls("_codecs.encode", TEXT, Raw(encode("latin1"))),
    "many values": Raw(b"(" + b"]" * 3_000_000 + b"l"),
    "equal hashes": Raw(
        b"}(" + b"".join(encode(i * (2**61 - 1)) + b"N" for i in range(50_000)) + b"u"
    ),
    "long names": Raw(
        encode("m" * 100_000)
        + b"q\x00"
        + encode("n")
        + b"q\x01\x93"
        + b"("
        + b"h\x00h\x01\x93" * 100_000
        + b"l\x86"
    ),
    "many unfinished arrays": Raw(
        b"("
        + b"".join(b"Nr" + i.to_bytes(4, "little") for i in range(60_000))
        + (
            call("numpy.dtype", "f8")
            + encode((3, "<", None, None, None, -1, -1, 0))
            + b"b"
        )
        * 6_000
        + b"l"
    ),
    "long number": Raw(b"\x8b" + (4000).to_bytes(4, "little") + b"\x7f" * 4000),
}


CASES = [("zip", bomb) for bomb in PICKLES]
CASES += [(form, bomb) for form in ("legacy", "body") for bomb in [*PICKLES][:5]]


@pytest.mark.parametrize("form, bomb", CASES)
def test_pickle_is_refused(reading, tmp_path, bomb, form):
    file = TorchFile()
    file.members["data/0"], file.counts["data/0"] = bytes(16), 4
    value = {"state_dict": {}, "x": PICKLES[bomb]}
    if form == "body":
        path = tmp_path / "body.pkl"
        path.write_bytes(b"\x80\x02" + encode(value) + b".")
        reader = "body"
    else:
        write = file.write if form == "zip" else file.write_legacy
        path, reader = write(tmp_path / "x.ckpt", value), "torch"
    outcome, text = reading.read(reader, path)
    # Arrays without numbers are harmless, if their number does not slow the reader.
    expected = "read" if bomb == "many unfinished arrays" else "refused"
    assert outcome == expected, text


@pytest.mark.parametrize("value", [doubled_lists(100), nested_tuple(100_000)])
def test_settings_in_a_checkpoint_do_not_grow(reading, tmp_path, value):
    settings = {"textencoder": {"activation": value, "num_heads": value}, "x": value}
    content = {"state_dict": {}, "hyper_parameters": settings}
    path = TorchFile().write(tmp_path / "x.ckpt", content)
    outcome, text = reading.read("published checkpoint", path)
    assert outcome == "refused", text


def zipped(path, entries, kind=zipfile.ZIP_DEFLATED):
    with zipfile.ZipFile(path, "w", kind, compresslevel=1) as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    return path


ZEROS = bytes(400_000_000)


@pytest.mark.parametrize("entry", ["data.pkl", "byteorder", "data/0"])
def test_torch_archive_that_unpacks_to_much_is_refused(reading, tmp_path, entry):
    value = [tensor(storage_id("uint8", "0", len(ZEROS)), 0, (1,), (1,))]
    entries = {"data.pkl": b"\x80\x02" + encode(value) + b".", "data/0": b""}
    entries = {f"a/{name}": x for name, x in (entries | {entry: ZEROS}).items()}
    path = zipped(tmp_path / "x.pt", entries)
    outcome, text = reading.read("torch", path)
    assert outcome == "refused" and "times larger" in text, text


@pytest.mark.parametrize("kind", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_other_compressions_are_refused(reading, tmp_path, kind):
    value = b"\x80\x02" + encode([1]) + b"."
    path = zipped(tmp_path / "x.pt", {"a/data.pkl": value}, kind)
    outcome, text = reading.read("torch", path)
    assert outcome == "refused" and "a/data.pkl" in text, text


def test_npz_that_unpacks_to_much_is_refused(reading, tmp_path):
    np.save(tmp_path / "x.npy", np.zeros((400_000, 156)))
    content = (tmp_path / "x.npy").read_bytes()
    path = zipped(tmp_path / "x.npz", {"poses.npy": content, "trans.npy": content})
    outcome, text = reading.read("motion", path)
    assert outcome == "refused" and "times larger" in text, text


def test_yaml_does_not_grow(reading, tmp_path):
    lines = [f"a{i}: &a{i} [*a{i - 1}, *a{i - 1}]" for i in range(1, 40)]
    yaml = {
        "lists": "\n".join(["a0: &a0 [x, x]", *lines, "pose_rep: *a39"]),
        "merged": "a: &a {" + ", ".join(f"k{i}: 1" for i in range(3000)) + "}\n"
        "b: {<<: [" + ", ".join(["*a"] * 20_000) + "]}\n",
        "deep": "[" * 100_000,
        "long": "a: 1" + ":59" * 100_000,
        "itself": "pose_rep: &a [*a]",
    }
    for name, text in yaml.items():
        path = tmp_path / name / "opt.yaml"
        path.parent.mkdir()
        path.write_text(text)
        outcome, text = reading.read("settings in opt.yaml", path)
        assert outcome == "refused", (name, text)
