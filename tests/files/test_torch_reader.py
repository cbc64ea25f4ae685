"""Torch files: what is read from them, and what is refused."""

import pickle
import tracemalloc
import zipfile

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actiongpt_jax.errors import InputError
from actiongpt_jax.files.pickle_objects import Foreign, plain
from actiongpt_jax.files.torch_reader import read_torch
from tests.conversion.torch_writer import (
    STORAGES,
    Raw,
    TorchFile,
    call,
    encode,
    global_name,
    storage_id,
    tensor,
)


def refusal(path):
    with pytest.raises(InputError) as caught:
        read_torch(path)
    message = str(caught.value)
    assert "\n" not in message and str(path) in message
    return message


@pytest.mark.parametrize("name", STORAGES)
def test_every_number_type_is_read_exactly(tmp_path, name):
    dtype = np.dtype(getattr(ml_dtypes, name, name))
    array = np.arange(24).astype(dtype).reshape(2, 3, 4)
    file = TorchFile()
    path = file.write(tmp_path / "x.pt", [file.tensor(array)])
    (found,) = read_torch(path)
    assert found.dtype == dtype and found.shape == array.shape
    assert found.tobytes() == array.tobytes()


def test_offsets_and_strides_select_from_a_shared_storage(tmp_path):
    numbers = np.arange(30, dtype=np.float32)
    file = TorchFile()
    file.members["data/7"] = numbers.tobytes()
    identity = storage_id(np.float32, "7", 30)
    path = file.write(
        tmp_path / "x.pt",
        {
            "rows": tensor(identity, 5, (2, 3), (3, 1)),
            "transposed": tensor(identity, 0, (5, 6), (1, 5)),
            "expanded": tensor(identity, 29, (4,), (0,)),
            "scalar": tensor(identity, 3, (), ()),
            "empty": tensor(identity, 30, (0, 3), (3, 1)),
            "parameter": call(
                "torch._utils._rebuild_parameter",
                tensor(identity, 0, (2,), (15,)),
                True,
                call("collections.OrderedDict"),
            ),
        },
    )
    found = read_torch(path)
    np.testing.assert_array_equal(found["rows"], numbers[5:11].reshape(2, 3))
    np.testing.assert_array_equal(found["transposed"], numbers.reshape(6, 5).T)
    np.testing.assert_array_equal(found["expanded"], [29] * 4)
    assert found["scalar"].shape == () and found["scalar"] == 3
    assert found["empty"].shape == (0, 3)
    np.testing.assert_array_equal(found["parameter"], [0, 15])


def test_ordered_dicts_keep_their_order_but_not_their_attributes(tmp_path):
    items = [("b", 1), ("a", (2.5, None, True))]
    ordered = Raw(
        call("collections.OrderedDict", [list(pair) for pair in items])
        + encode({"_metadata": {"version": 1}})
        + b"b"
    )
    found = read_torch(TorchFile().write(tmp_path / "x.pt", {"state": ordered}))
    assert list(found["state"].items()) == items
    assert not hasattr(found["state"], "_metadata")


whole = st.integers(-(2**63), 2**64 - 1)
keys = st.text(max_size=5) | whole | st.none() | st.booleans()
contents = st.recursive(
    keys | st.floats(allow_nan=False),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.lists(inner, max_size=5).map(tuple)
        | st.dictionaries(keys, inner, max_size=4)
        | st.sets(keys, max_size=3)
    ),
    max_leaves=12,
)


@settings(max_examples=60, deadline=None)
@given(value=contents, protocol=st.integers(0, pickle.HIGHEST_PROTOCOL))
def test_plain_containers_are_read_in_every_protocol(tmp_path_factory, value, protocol):
    path = tmp_path_factory.mktemp("plain") / "x.pt"
    TorchFile().write_pickle(path, pickle.dumps(value, protocol))
    assert read_torch(path) == value


def test_tensors_are_not_copied_into_memory(tmp_path):
    array = np.ones(2**22, np.float32)
    file = TorchFile()
    path = file.write(tmp_path / "x.pt", [file.tensor(array)])
    tracemalloc.start()
    (found,) = read_torch(path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    # The file holds 16 MiB; half a MiB is far more than the zip's tables need.
    assert peak < 2**19
    assert not found.flags.writeable and found.sum() == array.size


def test_compressed_entries_and_big_endian_numbers_are_read(tmp_path):
    array = np.arange(6, dtype=np.int32)
    file = TorchFile()
    value = [file.tensor(array)]
    packed = file.write(tmp_path / "x.pt", value, compression=zipfile.ZIP_DEFLATED)
    np.testing.assert_array_equal(read_torch(packed)[0], array)
    file.members = {"data/0": array.astype(">i4").tobytes(), "byteorder": b"big"}
    swapped = file.write(tmp_path / "y.pt", value)
    np.testing.assert_array_equal(read_torch(swapped)[0], array)


@pytest.mark.parametrize(
    "name",
    [
        "os.system",
        "posix.system",
        "builtins.eval",
        "__builtin__.eval",
        "functools.partial",
        "collections.OrderedDict.fromkeys",
    ],
)
def test_forbidden_calls_are_refused_by_name(tmp_path, name):
    trace = tmp_path / "trace"
    for i, value in enumerate(
        [
            call(name, f"touch {trace}"),
            {"state_dict": {"x": call(name, f"open({str(trace)!r}, 'w')")}},
            global_name(name),
            Raw(
                encode(name.rpartition(".")[0])
                + encode(name.rpartition(".")[2])
                + b"\x93"
            ),
            # As an argument of an allowed call.
            call("collections.OrderedDict", [["a", call(name, f"touch {trace}")]]),
        ]
    ):
        message = refusal(TorchFile().write(tmp_path / f"{i}.pt", value))
        assert name in message and "refused: nothing was run" in message
    assert not trace.exists()


@pytest.mark.parametrize(
    "name",
    [
        "numpy.load",
        "numpy.testing._private.utils.runstring",
        "torch.load",
        "torch._utils._rebuild_tensor_v2.__globals__",
        "torch.storage._load_from_bytes",
        "omegaconf.dictconfig.DictConfig",
        "some.package.run",
    ],
)
def test_names_of_other_packages_are_texts_and_not_called(tmp_path, name):
    found = read_torch(TorchFile().write(tmp_path / "x.pt", [global_name(name)]))
    assert found == [name] and isinstance(found[0], str)
    for value in (call(name, "touch trace"), {"state_dict": {"x": call(name)}}):
        message = refusal(TorchFile().write(tmp_path / "x.pt", value))
        assert f"a call of {name}" in message
        assert "refused: nothing was run" in message


def foreign(name, state=None, items=None, entries=None):
    """Returns an object of another class, as pickle protocol 2 stores it."""
    made = global_name(name) + b")\x81"
    if items is not None:
        made += encode(items)[1:]
    if entries is not None:
        made += encode(entries)[1:]
    return Raw(made + (b"" if state is None else encode(state) + b"b"))


def node(value):
    return foreign("omegaconf.nodes.AnyNode", {"_val": value, "_metadata": None})


def container(content):
    kind = "list" if isinstance(content, list) else "dict"
    metadata = {
        "ref_type": global_name("typing.Any"),
        "object_type": global_name(f"builtins.{kind}"),
        "resolver_cache": call(
            "collections.defaultdict", global_name(f"builtins.{kind}")
        ),
    }
    return foreign(
        f"omegaconf.{kind}config.{kind.title()}Config",
        {
            "_content": content,
            "_metadata": foreign("omegaconf.base.ContainerMetadata", metadata),
        },
    )


def test_foreign_objects_are_inert_and_omegaconf_becomes_plain(tmp_path):
    value = {
        "config": container(
            {"heads": node(4), "losses": container([node(0.5), node("x")])}
        ),
        "attributes": foreign("lib.parsing.AttributeDict", items={"lr": 1e-4}),
        "list": foreign("lib.TheirList", entries=[1, 2]),
        "namespace": foreign("argparse.Namespace", {"seed": 3}),
        "other": foreign("their.module.Thing", {"a": 1}),
        "path": call("pathlib.PosixPath", "/", "deps"),
        "device": call("torch.device", "cuda", 0),
        "callbacks": Raw(
            b"}(" + global_name("lib.ModelCheckpoint") + encode({"best": 1}) + b"u"
        ),
    }
    found = read_torch(TorchFile().write(tmp_path / "x.pt", value))
    assert isinstance(found["config"], Foreign)
    assert found["other"].name == "their.module.Thing"
    assert found["other"].attribute("a") == 1
    assert found["other"].attribute("b") is None
    assert "their.module.Thing" in repr(found["other"])
    told = plain(found, "x.pt")
    assert told["config"] == {"heads": 4, "losses": [0.5, "x"]}
    assert told["attributes"] == {"lr": 1e-4} and told["list"] == [1, 2]
    assert told["namespace"] == {"seed": 3}
    assert told["other"] == "<an object of their.module.Thing>"
    assert told["path"] == "/deps" and told["device"] == "cuda:0"
    assert told["callbacks"] == {"lib.ModelCheckpoint": {"best": 1}}


def test_pickle_that_contains_itself_is_read(tmp_path):
    # Lists that are stored in the memo and appended to themselves.
    data = b"\x80\x02]q\x00h\x00a."
    path = TorchFile().write_pickle(tmp_path / "x.pt", data)
    found = read_torch(path)
    assert found[0] is found
    nested = plain(found, "x.pt")
    while nested != "...":
        (nested,) = nested


class Old:
    """Returns the pickle of an instance, as protocols 0 and 1 write it."""

    def __init__(self):
        self.number = 7


arrays = [
    np.arange(6, dtype=np.float32).reshape(2, 3),
    np.asfortranarray(np.arange(6.0).reshape(2, 3)),
    np.arange(3, dtype=">i4"),
    np.array(["ab", "c"]),
    np.array([True, False]),
    np.zeros((0, 2), np.int16),
]


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_arrays_and_instances_are_read_in_every_protocol(tmp_path, protocol):
    value = {"arrays": arrays, "one": np.float64(0.1), "type": np.dtype("<f4")}
    value["instance"] = Old()
    data = pickle.dumps([value, value["arrays"][0]], protocol)
    found, again = read_torch(TorchFile().write_pickle(tmp_path / "x.pt", data))
    for array, expected in zip(found["arrays"], arrays, strict=True):
        assert array.dtype == expected.dtype
        np.testing.assert_array_equal(array, expected)
    assert found["one"] == 0.1 and found["type"] == np.float32
    assert again is found["arrays"][0]
    assert found["instance"].name.endswith("test_torch_reader.Old")
    assert found["instance"].attribute("number") == 7


def test_bytes_in_texts_of_python_2_are_read(tmp_path):
    raw = np.arange(4, dtype="<f8").tobytes()
    line = repr(raw)[1:].encode()
    data = b"(S" + line + b"\nS'plain'\nt."
    found = read_torch(TorchFile().write_pickle(tmp_path / "x.pt", data))
    assert found[0].encode("latin-1") == raw and found[1] == "plain"


def test_files_of_torch_before_1_6_are_read(tmp_path):
    file = TorchFile()
    numbers = np.arange(6, dtype=np.float32).reshape(2, 3)
    whole = np.array([5, 6, 7], np.int64)
    value = {"a": file.tensor(numbers), "b": [file.tensor(whole), 1.5]}
    path = file.write_legacy(tmp_path / "x.pt", value)
    found = read_torch(path)
    assert found["a"].dtype == np.float32 and found["b"][1] == 1.5
    np.testing.assert_array_equal(found["a"], numbers)
    np.testing.assert_array_equal(found["b"][0], whole)
    with pytest.raises(ValueError, match="read-only"):
        found["a"][0, 0] = 1
    bomb = file.write_legacy(tmp_path / "y.pt", [call("os.system", "touch trace")])
    assert "os.system" in refusal(bomb)
    content = path.read_bytes()
    for length in range(20, len(content), 7):
        path.write_bytes(content[:length])
        assert "again" in refusal(path)


class Bomb:
    def __init__(self, function, *arguments):
        self.reduced = function, arguments

    def __reduce__(self):
        return self.reduced


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_pickle_that_python_would_execute_is_refused(tmp_path, protocol):
    trace = tmp_path / "trace"
    bomb = pickle.dumps([1, Bomb(open, str(trace), "w")], protocol)
    path = TorchFile().write_pickle(tmp_path / "x.pt", bomb)
    assert "open" in refusal(path)
    assert not trace.exists()


@pytest.mark.parametrize(
    "value",
    [
        Raw(b"(" + encode("touch x") + b"ios\nsystem\n"),
        Raw(b"(" + global_name("collections.OrderedDict") + b"o"),
        Raw(global_name("collections.OrderedDict") + b")\x81"),
        Raw(global_name("collections.OrderedDict") + b")}\x92"),
        Raw(b"\x82\x01"),
        Raw(b"Pname\n"),
        Raw(encode({}) + encode({"a": 1}) + b"b"),
        Raw(global_name("torch._utils._rebuild_tensor_v2") + encode({"a": 1}) + b"b"),
        Raw(global_name("collections.OrderedDict") + encode((None, {"a": 1})) + b"b"),
        call("torch.FloatStorage", 4),
        Raw(global_name("os._wrap_close") + b")\x81"),
        Raw(encode("x") + b")\x81"),
        [global_name("torch._utils._rebuild_tensor_v2")],
        global_name("collections.OrderedDict"),
        Raw(encode("x") + encode(()) + b"R"),
    ],
)
def test_other_opcodes_that_make_objects_are_refused(tmp_path, value):
    assert "nothing was run" in refusal(TorchFile().write(tmp_path / "x.pt", value))


FLOAT = global_name("torch.FloatStorage")
REBUILD = "torch._utils._rebuild_tensor_v2"


@pytest.mark.parametrize(
    "value",
    [
        *(
            call(REBUILD, Raw(encode(identity) + b"Q"), 0, (1,), (1,), False, None)
            for identity in [
                "storage",
                ("storage", FLOAT, "0", "cpu"),
                ("module", FLOAT, "0", "cpu", 4),
                ("storage", "FloatStorage", "0", "cpu", 4),
                ("storage", FLOAT, 0, "cpu", 4),
                ("storage", FLOAT, "0", "cpu", None),
                ["storage", FLOAT, "0", "cpu", 4],
            ]
        ),
        tensor(storage_id("float32", "0", 4), 1, (4,), (1,)),
        tensor(storage_id("float32", "0", 4), -1, (2,), (1,)),
        tensor(storage_id("float32", "0", 4), 3, (2,), (-1,)),
        tensor(storage_id("float32", "0", 4), 0, (2, 2), (1,)),
        tensor(storage_id("float32", "0", 4), 0, (2.0,), (1,)),
        tensor(storage_id("float32", "0", 4), 0, (2**62, 2**62), (0, 0)),
        call(REBUILD, "no storage", 0, (1,), (1,)),
        call(REBUILD),
        call("torch._utils._rebuild_parameter", 3, True, None),
        [call("numpy.core.multiarray._reconstruct", 1, 2, 3)],
        call("numpy.dtype", "V8", False, True),
        Raw(call("numpy.dtype", "f8", False, True) + encode((3, "<", None)) + b"b"),
        call("numpy._core.numeric._frombuffer", "x", 1, (1,), "C"),
        call("copyreg._reconstructor", "text", None, None),
        {(): 1, ((1,),): 2},
        Raw(b"u"),
        Raw(b"(" + encode(1)),
        Raw(b"0"),
        Raw(b"h\x07"),
        Raw(b"N" + encode(1)),
        Raw(b"X\xff\xff\xff\x7fshort"),
        Raw(b""),
    ],
)
def test_damaged_pickles_are_named(tmp_path, value):
    file = TorchFile()
    file.members["data/0"] = bytes(16)
    assert "data.pkl" in refusal(file.write(tmp_path / "x.pt", value))


def test_missing_or_short_storages_are_named(tmp_path):
    value = [tensor(storage_id("float32", "0", 4), 0, (4,), (1,))]
    file = TorchFile()
    assert "archive/data/0" in refusal(file.write(tmp_path / "x.pt", value))
    file.members["data/0"] = bytes(12)
    assert "12 bytes" in refusal(file.write(tmp_path / "y.pt", value))


def test_truncated_file_raises_one_sentence(tmp_path):
    file = TorchFile()
    path = file.write(tmp_path / "x.pt", [file.tensor(np.ones(100, np.float32))])
    whole = path.read_bytes()
    for length in range(1, len(whole), 37):
        path.write_bytes(whole[:length])
        assert "copy or download it again" in refusal(path)


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_changed_byte_raises_one_sentence_or_nothing(tmp_path_factory, data):
    file = TorchFile()
    path = tmp_path_factory.mktemp("changed") / "x.pt"
    file.write(path, {"a": file.tensor(np.ones(3, np.float32)), "b": [1, "two"]})
    content = bytearray(path.read_bytes())
    content[data.draw(st.integers(0, len(content) - 1))] = data.draw(
        st.integers(0, 255)
    )
    path.write_bytes(content)
    try:
        read_torch(path)
    except InputError as error:
        assert "\n" not in str(error)


def test_other_files_are_rejected(tmp_path):
    path = tmp_path / "x.pt"
    path.write_bytes(b"")
    assert "torch.save" in refusal(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("mean.npy", b"")
    assert "data.pkl" in refusal(path)
    with pytest.raises(FileNotFoundError):
        read_torch(tmp_path / "absent.pt")


@pytest.mark.parametrize(
    "name", ["temos", "actiongpt_temos", "teach", "actiongpt_teach"]
)
def test_published_checkpoints_are_read_completely(golden_file, name):
    content = read_torch(golden_file(f"temos_teach/{name}_small.ckpt"))
    model = "teach" if "teach" in name else "temos"
    listed = golden_file(f"temos_teach/{model}_params_small.txt").read_text()
    state = content["state_dict"]
    found = [f"{key} {value.shape}" for key, value in state.items()]
    assert found == listed.splitlines()
    assert content["epoch"] == 3 and content["global_step"] == 42
    assert content["hyper_parameters"]["textencoder"]["num_heads"] == 4
