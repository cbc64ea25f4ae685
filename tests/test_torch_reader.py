import pickle
import tracemalloc
import zipfile

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actiongpt_jax.errors import InputError
from actiongpt_jax.torch_reader import read_torch
from tests.models.torch_writer import (
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
def test_every_kind_of_number_is_read_bit_for_bit(tmp_path, name):
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


def test_ordered_dicts_come_back_in_order_without_their_attributes(tmp_path):
    items = [("b", 1), ("a", (2.5, None, True))]
    ordered = Raw(
        call("collections.OrderedDict", [list(pair) for pair in items])
        + encode({"_metadata": {"version": 1}})
        + b"b"
    )
    found = read_torch(TorchFile().write(tmp_path / "x.pt", {"state": ordered}))
    assert list(found["state"].items()) == items
    assert not hasattr(found["state"], "_metadata")


keys = st.text(max_size=5) | st.integers() | st.none() | st.booleans()
plain = st.recursive(
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
@given(value=plain, protocol=st.integers(0, pickle.HIGHEST_PROTOCOL))
def test_plain_containers_of_every_protocol(tmp_path_factory, value, protocol):
    path = tmp_path_factory.mktemp("plain") / "x.pt"
    TorchFile().write_pickle(path, pickle.dumps(value, protocol))
    assert read_torch(path) == value


def test_tensors_stay_in_the_file(tmp_path):
    array = np.ones(2**22, np.float32)
    file = TorchFile()
    path = file.write(tmp_path / "x.pt", [file.tensor(array)])
    tracemalloc.start()
    (found,) = read_torch(path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    # 16 MiB lie in the file; half of one is far above what the zip's tables need.
    assert peak < 2**19
    assert not found.flags.writeable and found.sum() == array.size


def test_compressed_entries_and_big_endian_numbers(tmp_path):
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
        "builtins.exec",
        "builtins.getattr",
        "builtins.__import__",
        "__builtin__.eval",
        "functools.partial",
        "operator.attrgetter",
        "subprocess.Popen",
        "numpy.core.multiarray._reconstruct",
        "numpy.load",
        "torch.load",
        "torch._utils._rebuild_tensor_v2.__globals__",
        "torch.storage._load_from_bytes",
        "collections.OrderedDict.fromkeys",
        "omegaconf.dictconfig.DictConfig",
    ],
)
def test_a_call_of_anything_else_is_refused_by_name(tmp_path, name):
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
            # Through the arguments of something that is allowed.
            call("collections.OrderedDict", [["a", call(name, f"touch {trace}")]]),
        ]
    ):
        message = refusal(TorchFile().write(tmp_path / f"{i}.pt", value))
        assert name in message and "refused: nothing was run" in message
    assert not trace.exists()


class Bomb:
    def __init__(self, function, *arguments):
        self.reduced = function, arguments

    def __reduce__(self):
        return self.reduced


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_what_python_itself_would_run_is_refused(tmp_path, protocol):
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
        [global_name("torch._utils._rebuild_tensor_v2")],
        global_name("collections.OrderedDict"),
        Raw(encode("x") + encode(()) + b"R"),
    ],
)
def test_other_ways_to_make_objects_are_refused(tmp_path, value):
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


def test_storages_must_be_there_and_whole(tmp_path):
    value = [tensor(storage_id("float32", "0", 4), 0, (4,), (1,))]
    file = TorchFile()
    assert "archive/data/0" in refusal(file.write(tmp_path / "x.pt", value))
    file.members["data/0"] = bytes(12)
    assert "12 bytes" in refusal(file.write(tmp_path / "y.pt", value))


def test_a_cut_file_is_one_sentence_wherever_it_is_cut(tmp_path):
    file = TorchFile()
    path = file.write(tmp_path / "x.pt", [file.tensor(np.ones(100, np.float32))])
    whole = path.read_bytes()
    for length in range(1, len(whole), 37):
        path.write_bytes(whole[:length])
        assert "copy or download it again" in refusal(path)


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_a_changed_byte_ends_in_a_sentence_or_in_numbers(tmp_path_factory, data):
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


def test_other_files_are_told_apart(tmp_path):
    path = tmp_path / "x.pt"
    # What torch.save wrote first before 1.6, as a pickled number.
    magic = pickle.dumps(0x1950A86A20F9469CFC6C, protocol=2)
    path.write_bytes(magic + bytes(100))
    assert "before 1.6" in refusal(path)
    path.write_bytes(b"")
    assert "zip" in refusal(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("mean.npy", b"")
    assert "data.pkl" in refusal(path)
    with pytest.raises(FileNotFoundError):
        read_torch(tmp_path / "absent.pt")


@pytest.mark.parametrize(
    "name", ["temos", "actiongpt_temos", "teach", "actiongpt_teach"]
)
def test_published_checkpoints(shared_file, name):
    folder = shared_file("golden/temos_teach")
    content = read_torch(folder / f"{name}_small.ckpt")
    list_name = f"{'teach' if 'teach' in name else 'temos'}_params_small.txt"
    listed = (folder / list_name).read_text().splitlines()
    state = content["state_dict"]
    assert listed == [f"{key} {value.shape}" for key, value in state.items()]
    assert content["epoch"] == 3 and content["global_step"] == 42
    assert content["hyper_parameters"]["textencoder"]["num_heads"] == 4
