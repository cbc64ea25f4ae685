"""Writes torch's zip files for tests; pickles are written opcode by opcode."""

import struct
import zipfile

import numpy as np

STORAGES = {
    "float64": "DoubleStorage",
    "float32": "FloatStorage",
    "float16": "HalfStorage",
    "bfloat16": "BFloat16Storage",
    "int64": "LongStorage",
    "int32": "IntStorage",
    "int16": "ShortStorage",
    "int8": "CharStorage",
    "uint8": "ByteStorage",
    "bool": "BoolStorage",
    "complex64": "ComplexFloatStorage",
}


class Raw(bytes):
    """Opcodes that put one value on the stack."""


def global_name(dotted: str) -> Raw:
    module, _, name = dotted.rpartition(".")
    return Raw(b"c" + module.encode() + b"\n" + name.encode() + b"\n")


def call(dotted: str, *arguments) -> Raw:
    return Raw(global_name(dotted) + encode(arguments) + b"R")


def storage_id(dtype, key: str, count: int) -> tuple:
    kind = global_name(f"torch.{STORAGES[np.dtype(dtype).name]}")
    return ("storage", kind, key, "cpu", count)


def tensor(identity: tuple, offset: int, size: tuple, stride: tuple) -> Raw:
    storage = Raw(encode(identity) + b"Q")
    hooks = call("collections.OrderedDict")
    return call(
        "torch._utils._rebuild_tensor_v2", storage, offset, size, stride, False, hooks
    )


def encode(value) -> bytes:
    """Returns the opcodes (protocol 2) that put a value on the stack."""
    if isinstance(value, Raw):
        return value
    if value is None or isinstance(value, bool):
        return {None: b"N", True: b"\x88", False: b"\x89"}[value]
    if isinstance(value, int):
        packed = value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True)
        return b"\x8a" + bytes([len(packed)]) + packed
    if isinstance(value, float):
        return b"G" + struct.pack(">d", value)
    if isinstance(value, str):
        packed = value.encode()
        return b"X" + struct.pack("<I", len(packed)) + packed
    if isinstance(value, tuple):
        return b"(" + b"".join(map(encode, value)) + b"t"
    if isinstance(value, list):
        return b"](" + b"".join(map(encode, value)) + b"e"
    if isinstance(value, dict):
        pairs = (encode(part) for pair in value.items() for part in pair)
        return b"}(" + b"".join(pairs) + b"u"
    raise TypeError(type(value))


class TorchFile:
    """Collects storages and writes the archive."""

    def __init__(self):
        self.members: dict[str, bytes] = {}
        self.counts: dict[str, int] = {}

    def tensor(self, array: np.ndarray) -> Raw:
        array = np.ascontiguousarray(array)
        key = str(len(self.members))
        self.members[f"data/{key}"] = array.tobytes()
        self.counts[f"data/{key}"] = array.size
        stride = tuple(step // array.itemsize for step in array.strides)
        identity = storage_id(array.dtype, key, array.size)
        return tensor(identity, 0, array.shape, stride)

    def write(self, path, value, *, compression=zipfile.ZIP_STORED, prefix="archive"):
        data = value if isinstance(value, Raw) else Raw(encode(value))
        return self.write_pickle(path, b"\x80\x02" + data + b".", compression, prefix)

    def write_pickle(
        self, path, data, compression=zipfile.ZIP_STORED, prefix="archive"
    ):
        with zipfile.ZipFile(path, "w", compression) as archive:
            archive.writestr(f"{prefix}/data.pkl", data)
            for name, content in self.members.items():
                archive.writestr(f"{prefix}/{name}", content)
        return path

    def write_legacy(self, path, value):
        """Writes the format of torch before 1.6."""
        magic, version = 0x1950A86A20F9469CFC6C, 1001
        facts = {"protocol_version": version, "little_endian": True, "type_sizes": {}}
        names = [name.removeprefix("data/") for name in self.members]
        parts = [magic, version, facts, value, names]
        content = b"".join(b"\x80\x02" + encode(part) + b"." for part in parts)
        for name, data in self.members.items():
            count = self.counts[name]
            content += count.to_bytes(8, "little") + data
        path.write_bytes(content)
        return path


def save_state(path, state: dict, **more):
    """Writes a Lightning-like checkpoint of float arrays."""
    file = TorchFile()
    tensors = {key: file.tensor(value) for key, value in state.items()}
    return file.write(path, {"state_dict": tensors, **more})


def write_stats(folder, mean, std):
    """Writes the mean and the deviation of features, as the authors do."""
    folder.mkdir(exist_ok=True)
    for name, array in (("rfeats_mean", mean), ("rfeats_std", std)):
        file = TorchFile()
        file.write(folder / f"{name}.pt", file.tensor(np.asarray(array, np.float32)))
    return folder
