"""The cache of descriptions: truncated ends, foreign files, the lock, full disks."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actiongpt_jax.errors import InputError
from actiongpt_jax.files.shard import Shard
from actiongpt_jax.llm.cache import DescriptionCache
from actiongpt_jax.text.description import Description, to_json
from actiongpt_jax.text.descriptions import read_descriptions
from tests.full_disk import file_size_limit


def records(count=3, phrase="walk", text="The légs move."):
    return [Description(phrase, index, f"{text} {index}") for index in range(count)]


def keys(path, **options):
    with DescriptionCache(path, writable=False, **options) as cache:
        return cache.keys


def test_appended_records_are_on_disk_at_once(tmp_path):
    path = tmp_path / "c.jsonl"
    with DescriptionCache(path) as cache:
        for record in records():
            cache.append([record])
            assert list(read_descriptions(path)["walk"])[-1] == record
    assert keys(path) == {record.key for record in records()}


@given(st.integers(0, 10**6))
def test_kill_at_any_byte_loses_only_the_truncated_record(tmp_path_factory, at):
    path = tmp_path_factory.mktemp("cache") / "c.jsonl"
    whole = "".join(map(to_json, records())).encode()
    lines = whole.splitlines(keepends=True)
    path.write_bytes(whole[: at % (len(whole) + 1)])
    size = path.stat().st_size
    kept = sum(size >= len(b"".join(lines[: i + 1])) - 1 for i in range(len(lines)))
    assert len(keys(path)) == kept
    assert path.stat().st_size == size
    with DescriptionCache(path) as cache:
        assert len(cache.keys) == kept
        # A whole record without its line end is not a truncated one.
        ends = [len(b"".join(lines[:i])) for i in range(len(lines) + 1)]
        truncated = size not in ends and size + 1 not in ends
        assert bool(cache.notes) == truncated
        cache.append(records()[kept:])
    assert path.read_bytes() == whole


def test_zero_bytes_at_the_end_count_as_truncated_line(tmp_path):
    path = tmp_path / "c.jsonl"
    line = to_json(records()[0]).encode()
    path.write_bytes(line + bytes(50))
    with DescriptionCache(path) as cache:
        assert "50 bytes" in cache.notes[0]
    assert path.read_bytes() == line


@pytest.mark.parametrize(
    "content",
    [
        b"my diary, without an end",
        b"my diary\nof two lines\n",
        b"\x89PNG\r\n\x1a\n\x00\x01",
        b'{"walk": ["They walk."]}\n',
        b'{"walk": ["They wa',
        b'["a"]',
        b'{"phrase": "walk", "index": 0}\n',
        b'{"phrase": "walk", "index": 0, "text": "a"}\n{"phrase": 3}\nx',
        b"[1, 2",
        b"[" * 100_000 + b"\n",
    ],
)
def test_foreign_files_are_refused_and_unchanged(content, tmp_path):
    path = tmp_path / "c.jsonl"
    path.write_bytes(content)
    for writable in (False, True):
        with pytest.raises(InputError, match=r"c\.jsonl") as raised:
            DescriptionCache(path, writable=writable)
        assert "\n" not in str(raised.value)
        assert path.read_bytes() == content
    path.write_bytes(b"")
    DescriptionCache(path).close()  # the lock was released


def test_rejects_files_that_are_not_jsonl(tmp_path):
    with pytest.raises(InputError, match="--from-file"):
        DescriptionCache(tmp_path / "c.json")


def test_second_writer_is_refused(tmp_path):
    path = tmp_path / "c.jsonl"
    with DescriptionCache(path) as cache:
        with pytest.raises(
            InputError, match=r"another process \(\d+ on .*\) is writing"
        ):
            DescriptionCache(path)
        assert keys(path) == set()
        cache.append(records())
    DescriptionCache(path).close()


def test_unused_cache_leaves_no_file(tmp_path):
    DescriptionCache(tmp_path / "c.jsonl").close()
    assert list(tmp_path.iterdir()) == []


def test_full_disk_leaves_only_whole_records(tmp_path):
    path = tmp_path / "c.jsonl"
    with DescriptionCache(path) as cache:
        with file_size_limit(1000), pytest.raises(OSError) as raised:
            for record in records(100):
                cache.append([record])
        count = len(cache.keys)
    assert raised.value.filename == str(path) and 0 < count < 100
    assert path.read_bytes().endswith(b"}\n")
    assert len(keys(path)) == count


def test_each_shard_writes_its_own_file(tmp_path):
    folder = tmp_path / "cache"
    for number, phrase in ((1, "walk"), (2, "run")):
        with DescriptionCache(folder, Shard(number, 2)) as cache:
            assert cache.file.name == f"part-0000{number}-of-00002.jsonl"
            cache.append(records(phrase=phrase))
    assert list(read_descriptions(folder)) == ["walk", "run"]
    assert len(keys(folder)) == 6
    with DescriptionCache(folder, Shard(1, 2)) as first:
        assert {r.key for r in records(phrase="run")} <= first.later_keys
    with DescriptionCache(folder) as whole:
        whole.append(records(1, text="Better."))
        assert whole.later_keys == set()
    assert read_descriptions(folder)["walk"][0].text == "Better. 0"


def test_empty_text_counts_as_missing(tmp_path):
    path = tmp_path / "c.jsonl"
    with DescriptionCache(path) as cache:
        cache.append([Description("walk", 0, " "), Description("walk", 1, "They.")])
        assert len(cache.keys) == 1
    assert len(keys(path)) == 1
