"""Damages the content of files, at random and with knowledge of their format."""

import json
import random
import struct
import zipfile
from io import BytesIO

# Texts put in place of a JSON value; some are no JSON.
VALUES = [
    *("null", "true", '""', '"x"', "[]", "{}", "-1", "0", "0.5", "1e999", "-1e999"),
    *("NaN", "Infinity", "1000000000", "9223372036854775808", "1" + "0" * 400),
    *("9" * 5000, '"\\ud800"', '"\\u001b[2J\\nerror: fine"', "[[1]]", '[null, "a"]'),
    '{"a": {"b": []}}',
    json.dumps("long " * 2000),
    "[" * 500 + "]" * 500,
    '{"a":' * 5000 + "1" + "}" * 5000,
    "[" * 100_000,
    "[" + "[]," * 200_000 + "[]]",
]
# Pieces of bytes to insert anywhere: pickle opcodes, YAML, numpy headers.
PIECES = [
    *(b"\0", b"\xff\xfe", b"\x80", b"[[[[", b"{", b"\n", b'"', b"'", b"\r", b"NaN"),
    *(b"]q\x00h\x00a", b"((((", b"c", b"R", b"b", b"Q", b"\x8b\xff\xff\xff\x7f"),
    *(b": !!timestamp x", b": 2001-99-99", b": &a [*a, *a]", b"- .inf", b"1e400"),
    *(b"(True,)", b"(10**9,)", b"99999999999999", b"-1", b"|O", b"<U0", b"(1e9,)"),
]
HEADERS = [
    "(True,)",
    "(-1,)",
    "(1e9,)",
    "(10,",
    "(99999999999, 999999999)",
    "(0, 10000000000000000000000)",
    "(" + "1," * 70 + ")",
    "('a',)",
    "None",
    "(",
    "[3]",
    "(2,3)}" + "(" * 300,
]
TYPES = ["'|O'", "'<U0'", "'V8'", "'<f99'", "'x'", "[('a','<f4')]", "7", "'<m8[s]'"]


def damage(content: bytes, name: str, rng: random.Random) -> bytes:
    """Returns the content of a file with one or a few faults.

    Args:
        content: the content of a valid file.
        name: the file's name, whose ending tells its format.
        rng: source of all choices.
    """
    ways = [any_bytes] * 2
    if content[:1] in (b"{", b"[") and not name.endswith(".yaml"):
        ways += [json_text] * 5
    if content[:2] == b"PK":
        ways += [zip_entries] * 5
    if content[:6] == b"\x93NUMPY":
        ways += [npy_header] * 3
    if name.endswith(".safetensors"):
        ways += [safetensors_header] * 4
    return rng.choice(ways)(content, rng)


def any_bytes(content: bytes, rng: random.Random) -> bytes:
    """Flips, cuts, repeats or inserts bytes."""
    data = bytearray(content)
    for _ in range(rng.choice([1, 1, 2, 8])):
        place = rng.randrange(len(data) + 1)
        kind = rng.randrange(7)
        if kind < 2 and place < len(data):
            data[place] ^= 1 << rng.randrange(8)
        elif kind == 2:
            del data[place : place + rng.choice([1, 4, 40])]
        elif kind == 3:
            data[place:place] = rng.choice(PIECES) * rng.choice([1, 1, 1, 400])
        elif kind == 4:
            data[place : place + 8] = rng.randbytes(8)
        elif kind == 5:
            data[place:place] = data[place : place + rng.choice([8, 80])]
        elif kind == 6 and rng.random() < 0.3:
            del data[place:]
    return bytes(data)


def json_text(content: bytes, rng: random.Random) -> bytes:
    """Replaces, removes or renames a value in JSON or in a line of JSON lines."""
    try:
        return _json_value(content, rng)
    except ValueError:
        lines = content.split(b"\n")
        number = rng.randrange(len(lines))
        if lines[number]:
            try:
                lines[number] = _json_value(lines[number], rng)
            except ValueError:
                return any_bytes(content, rng)
        return b"\n".join(lines)


def _json_value(content: bytes, rng: random.Random) -> bytes:
    document = json.loads(content)
    places = []

    def walk(node):
        keys = node if isinstance(node, dict) else range(len(node))
        for key in keys:
            places.append((node, key))
            if isinstance(node[key], dict | list) and len(places) < 5000:
                walk(node[key])

    if isinstance(document, dict | list):
        walk(document)
    mark = "a place for another value"
    if not places or rng.random() < 0.05:
        return rng.choice(VALUES).encode()
    node, key = rng.choice(places)
    kind = rng.random()
    if kind < 0.1 and isinstance(node, dict):
        del node[key]
    elif kind < 0.2 and isinstance(node, dict):
        node[f"{key}x"] = node.pop(key)
    else:
        node[key] = mark
    return json.dumps(document).replace(json.dumps(mark), rng.choice(VALUES)).encode()


def zip_entries(content: bytes, rng: random.Random) -> bytes:
    """Damages one entry of an archive and packs all of them again."""
    with zipfile.ZipFile(BytesIO(content)) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    name = rng.choice([*entries])
    way = npy_header if entries[name][:6] == b"\x93NUMPY" else any_bytes
    entries[name] = rng.choice([way, any_bytes])(entries[name], rng)
    if rng.random() < 0.02:
        entries[name] = bytes(300_000_000)
    kinds = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2)
    target = BytesIO()
    big = any(len(entry) > 10**8 for entry in entries.values())
    with zipfile.ZipFile(
        target, "w", zipfile.ZIP_DEFLATED if big else rng.choice(kinds), compresslevel=1
    ) as archive:
        for name, entry in entries.items():
            archive.writestr(name, entry)
    packed = bytearray(target.getvalue())
    start = packed.find(b"PK\x01\x02")
    if rng.random() < 0.2:
        packed[start + 8] |= 1  # encrypted
    if rng.random() < 0.2:
        packed[start + 10] = rng.choice([0, 8, 12, 14, 95])  # how it is compressed
    if rng.random() < 0.2:
        size = rng.choice([0, 10**6, 2**31, 2**32 - 2])
        packed[start + 24 : start + 28] = struct.pack("<I", size)
    return bytes(packed)


def npy_header(content: bytes, rng: random.Random) -> bytes:
    """Replaces the shape or the type in the header of an npy file."""
    length = int.from_bytes(content[8:10], "little")
    fields = content[10 : 10 + length].decode("latin-1")
    if rng.random() < 0.7:
        start = fields.find("'shape': ") + 9
        end = fields.find(")", start) + 1
        fields = fields[:start] + rng.choice(HEADERS) + fields[end:]
    else:
        start = fields.find("'descr': ") + 9
        end = fields.find(",", start)
        fields = fields[:start] + rng.choice(TYPES) + fields[end:]
    head = fields.encode("latin-1")
    return content[:8] + struct.pack("<H", len(head)) + head + content[10 + length :]


def safetensors_header(content: bytes, rng: random.Random) -> bytes:
    """Damages the JSON at the start of a safetensors file."""
    length = int.from_bytes(content[:8], "little")
    head = json_text(content[8 : 8 + length], rng)
    return len(head).to_bytes(8, "little") + head + content[8 + length :]
