"""Reports on large caches: one record at a time, and short."""

import collections
import gc
import itertools
import json
import tracemalloc

import pytest

from actiongpt_jax import describe
from actiongpt_jax.errors import InputError
from actiongpt_jax.llm import reports as reports  # its import takes memory too
from actiongpt_jax.llm.cache import DescriptionCache
from actiongpt_jax.llm.job import Job
from actiongpt_jax.llm.request import Request
from actiongpt_jax.text.description import Description, to_json
from actiongpt_jax.text.description_files import stream_descriptions
from actiongpt_jax.text.descriptions import read_descriptions
from actiongpt_jax.text.prompts import make_prompt

PHRASES, K = 400, 4
FOREIGN = '{"phrase": "walk", "index": 0, "text": "old"}\n'
GOOD = "The person lifts the left knee, bends it and lowers the foot again."


def records():
    usage = {"prompt_tokens": 40, "completion_tokens": 150, "details": {"cached": 0}}
    for phrase, index in itertools.product(range(PHRASES), range(K)):
        text = " ".join([f"Step {phrase} of {index} is taken."] + 14 * [GOOD])
        if index == 3:
            text = text[:-1]
        yield Description(
            f"walk {phrase} steps",
            index,
            text,
            writer="m",
            prompt_version="1",
            parameters={"max_tokens": 160},
            usage=usage,
            call={"id": f"call-{phrase}"},
        )


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    path = tmp_path_factory.mktemp("large") / "c.jsonl"
    path.write_text("".join(map(to_json, records())))
    return path


@pytest.fixture
def peak():
    """Returns a function that runs a command and returns its peak memory in bytes."""

    def measure(act):
        gc.collect()  # what earlier tests left
        tracemalloc.start()
        try:
            act()
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    return measure


def test_report_is_short_and_ends_with_counts(cache, peak, capsys):
    used = peak(lambda: describe.main(["--report", "--out", str(cache)]))
    assert used < cache.stat().st_size / 3
    said = capsys.readouterr().out.splitlines()
    assert sum(line.startswith("truncated: 'walk") for line in said) == 20
    assert f"truncated: and {PHRASES - 20} more; --list 0 lists all" in said
    assert f"truncated            {PHRASES}  25.0%" in "\n".join(said[-13:])
    assert said[-1].startswith(f"{PHRASES * K} descriptions of {PHRASES} phrases")
    describe.main(["--report", "--out", str(cache), "--list", "0"])
    assert capsys.readouterr().out.count("truncated: 'walk") == PHRASES


def test_redo_keeps_no_texts_in_memory(cache, peak):
    job = Job(Request("m", make_prompt("detail")), [], cache, redo=["truncated"])

    def plan():
        with DescriptionCache(cache, writable=False) as opened:
            gaps, faulty = job.plan(opened)
        assert set(gaps.values()) == {(3,)} and len(gaps) == len(faulty) == PHRASES

    plan()  # what is imported and compiled at first use is not counted
    assert peak(plan) < cache.stat().st_size / 2


def test_export_keeps_no_texts_in_memory(cache, peak, tmp_path):
    out = tmp_path / "published.json"
    argv = ["--export", str(out), "--out", str(cache), "--k", str(K)]
    assert peak(lambda: describe.main(argv)) < cache.stat().st_size / 2
    expected = collections.defaultdict(list)
    for record in records():
        expected[record.phrase].append(record.text)
    assert json.loads(out.read_text()) == expected


def test_stream_yields_the_last_record_of_every_key(tmp_path):
    old = [Description("walk", index, f"old {index}") for index in range(3)]
    new = Description("walk", 1, "new", key=old[1].key)
    # A record without a stored key, with blank lines around it.
    plain = (
        '\n{"phrase": "walk", "index": 2, "text": "plain", "writer": "published"}\n\n'
    )
    for number, content in enumerate(
        ("".join(map(to_json, old)) + plain, to_json(new), to_json(new)[:-9])
    ):
        (tmp_path / f"{number}.jsonl").write_text(content)
    truncated = []
    streamed = [r.text for r in stream_descriptions(tmp_path, truncated.append)]
    assert streamed == ["old 0", "plain", "new"]
    assert truncated[0].where == f"{tmp_path / '2.jsonl'}:1"
    assert [r.text for r in read_descriptions(tmp_path)["walk"]] == [
        "old 0",
        "new",
        "plain",
    ]


@pytest.mark.parametrize("line", [to_json(Description("walk", 0, "old")), FOREIGN])
def test_first_record_after_a_byte_order_mark_is_superseded(line, tmp_path):
    path = tmp_path / "c.jsonl"
    new = json.loads(line) | {"text": "new"}
    path.write_text(f"\ufeff{line}{json.dumps(new)}\n")
    assert [r.text for r in stream_descriptions(path)] == ["new"]


def test_redo_keeps_a_file_whose_records_it_cannot_read(tmp_path):
    path = tmp_path / "c.jsonl"
    record = Description("walk", 0, "They", writer="m", parameters={})
    path.write_text(to_json(record) + '{"phrase": 3}\n')
    content = path.read_bytes()
    argv = ["--redo", "truncated", "--out", str(path), "--model", "m"]
    with pytest.raises(InputError, match=r"c\.jsonl:2"):
        describe.main([*argv, "--base-url", "http://127.0.0.1:1/v1"])
    path.write_bytes(content + b"my diary")
    with pytest.raises(InputError, match="must be a JSON record written by"):
        describe.main([*argv, "--base-url", "http://127.0.0.1:1/v1"])
    assert path.read_bytes() == content + b"my diary"


def test_stream_rejects_empty_files(tmp_path):
    path = tmp_path / "c.jsonl"
    path.write_text("\n")
    with pytest.raises(InputError, match="at least one description"):
        next(stream_descriptions(path))
