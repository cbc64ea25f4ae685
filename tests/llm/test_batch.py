"""The Batch API: submit, status and collect; nothing is submitted or stored twice."""

import json
import pathlib

import pytest

from actiongpt_jax import describe
from actiongpt_jax.errors import InputError, JobIncompleteError
from actiongpt_jax.llm.batch_state import BatchState
from actiongpt_jax.llm.request import Request
from actiongpt_jax.text.descriptions import read_descriptions
from actiongpt_jax.text.prompts import make_prompt
from tests.fake_openai import KEY, MODEL

CACHE = pathlib.Path("c.jsonl")
STATE = pathlib.Path("c.batch/state.json")


@pytest.fixture(autouse=True)
def at_home(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    pathlib.Path("phrases.txt").write_text("walk\nrun\nsit\n")


def batch(step, *more):
    describe.main(["--mode", "batch", step, "--out", "c.jsonl", *map(str, more)])


def submit(server, *more):
    to = ("--model", MODEL, "--base-url", server.url)
    batch("submit", "--phrases", "phrases.txt", *to, *more)


def counts():
    read = read_descriptions(CACHE)
    return {phrase: len(records) for phrase, records in read.items()}


@pytest.mark.parametrize("endpoint", ["chat", "responses"])
def test_submit_status_and_collect_every_text_once(endpoint, server, capsys):
    server.plan(batch_status="in_progress")
    submit(server, "--endpoint", endpoint, "--max-tokens", 99, "--words", 50)
    count = 12 if endpoint == "responses" else 3
    assert f"{count} requests submitted as batch_0" in capsys.readouterr().out
    lines = pathlib.Path("c.batch/part-00001.jsonl").read_text().splitlines()
    rows = [json.loads(line) for line in lines]
    assert len({row["custom_id"] for row in rows}) == len(rows) == count
    assert rows[0]["method"] == "POST" and rows[0]["url"].startswith("/v1/")
    assert rows[0]["body"]["model"] == MODEL
    batch("status")
    assert "in_progress, 0 of" in capsys.readouterr().out
    with pytest.raises(
        JobIncompleteError, match="still in progress: run collect again"
    ):
        batch("collect")
    server.plan_again(batch_status="completed")
    batch("collect")
    assert "12 descriptions collected" in capsys.readouterr().out
    assert counts() == {"walk": 4, "run": 4, "sit": 4}
    read = read_descriptions(CACHE)
    texts = [record.text for records in read.values() for record in records]
    assert sorted(texts) == sorted(server.state()["sent"])
    record = read["walk"][0]
    assert record.model == f"{MODEL}-2026-10-01" and record.call is not None
    assert record.call["batch"].startswith("line-") and "50 words" in str(record.system)
    batch("collect")
    submit(server, "--endpoint", endpoint, "--max-tokens", 99, "--words", 50)
    assert "nothing to submit" in capsys.readouterr().out
    assert len(server.state()["batches"]) == 1
    assert not any(KEY in path.read_text() for path in STATE.parent.iterdir())


def test_online_run_refuses_pending_and_skips_collected_texts(server):
    server.plan()
    submit(server)
    with pytest.raises(InputError, match="batches of this cache are in progress"):
        describe.main(
            ["--phrases", "phrases.txt", "--model", MODEL, "--base-url", server.url]
            + ["--out", "c.jsonl"]
        )
    assert not CACHE.exists()
    batch("collect")
    calls = len(server.calls)
    describe.main(
        ["--phrases", "phrases.txt", "--model", MODEL, "--base-url", server.url]
        + ["--out", "c.jsonl"]
    )
    assert len(server.calls) == calls


def test_pending_texts_are_not_submitted_again(server):
    server.plan(batch_status="in_progress")
    submit(server, "--limit", 2)
    submit(server)
    batches = server.state()["batches"]
    assert len(batches) == 2
    wanted = pathlib.Path("c.batch/part-00002.jsonl.wanted").read_text()
    assert [json.loads(line)["phrase"] for line in wanted.splitlines()] == ["sit"]
    server.plan_again(batch_status="completed")
    batch("collect")
    assert counts() == {"walk": 4, "run": 4, "sit": 4}


def test_expired_batch_is_collected_and_the_rest_resubmitted(server, capsys):
    server.plan(batch_status="expired", answered=0.67)
    submit(server)
    with pytest.raises(JobIncompleteError, match="1 batches are still in progress"):
        batch("collect")
    assert counts() == {"walk": 4, "run": 4}
    assert (
        "part-00002.jsonl: 1 requests submitted as batch_1" in capsys.readouterr().out
    )
    server.plan_again(batch_status="completed", answered=1.0)
    batch("collect")
    assert counts() == {"walk": 4, "run": 4, "sit": 4}
    assert len({call["prompt"] for call in server.calls}) == len(server.calls) == 3


@pytest.mark.parametrize("status", ["failed", "cancelled"])
def test_failed_or_cancelled_batch_leaves_texts_missing(status, server, capsys):
    server.plan(batch_status=status, answered=0.34)
    submit(server)
    with pytest.raises(JobIncompleteError, match="run submit again"):
        batch("collect")
    assert counts() == {"walk": 4}
    assert f"failed: 'run': the batch {status} without it" in capsys.readouterr().err
    server.plan_again(batch_status="completed", answered=1.0)
    submit(server)
    batch("collect")
    assert counts() == {"walk": 4, "run": 4, "sit": 4}


def test_kill_between_steps_submits_nothing_twice(server):
    server.plan(batch_status="in_progress")
    submit(server)
    document = json.loads(STATE.read_text())
    # Killed before the id of the batch was stored: the server knows it.
    document["parts"][0]["batch_id"] = None
    STATE.write_text(json.dumps(document))
    with pytest.raises(JobIncompleteError, match="run submit again"):
        batch("status")
    submit(server)
    assert len(server.state()["batches"]) == 1
    # Killed before the upload was stored: repeating it costs nothing.
    document["parts"][0]["input_file_id"] = None
    STATE.write_text(json.dumps(document))
    submit(server)
    parts = json.loads(STATE.read_text())["parts"]
    assert [part["batch_id"] for part in parts] == [None, "batch_1"]


@pytest.mark.slow
def test_failed_submission_can_be_repeated_at_another_address(server):
    server.plan()
    with pytest.raises(InputError, match="no server answers at http://127.0.0.1:9"):
        submit(server, "--base-url", "http://127.0.0.1:9/v1")
    assert server.state()["batches"] == {}
    submit(server)
    batch("collect")
    assert counts() == {"walk": 4, "run": 4, "sit": 4}


def test_kill_during_collect_stores_nothing_twice(server):
    server.plan()
    submit(server)
    before = STATE.read_text()
    batch("collect")
    kept = CACHE.read_text().splitlines(keepends=True)
    STATE.write_text(before)
    CACHE.write_text("".join(kept[:7]))
    batch("collect")
    assert counts() == {"walk": 4, "run": 4, "sit": 4}
    keys = [json.loads(line)["key"] for line in CACHE.read_text().splitlines()]
    assert len(keys) == len(set(keys)) == 12


def test_damaged_answers_leave_the_others(server):
    part = {"custom_id": "x", "response": {"status_code": 200, "body": None}}
    noise = ["[" * 100_000, "\xff\xfe", "7", "{}", '{"custom_id": [1]}', "9" * 5000]
    noise += [json.dumps(part | {"response": other}) for other in ("x", [], 3, None)]
    server.plan(batch_noise=noise)
    submit(server)
    batch("collect")
    assert counts() == {"walk": 4, "run": 4, "sit": 4}


@pytest.mark.parametrize(
    ("limits", "sizes"),
    [({}, [7]), ({"max_requests": 3}, [3, 3, 1]), ({"max_bytes": 800}, [3, 3, 1])],
)
def test_parts_stay_within_their_limits(limits, sizes):
    request = Request(MODEL, make_prompt("detail"))
    gaps = {f"walk {number}": (0,) for number in range(7)}
    state = BatchState(CACHE)
    parts = state.add(request, gaps, **limits)
    assert [part.requests for part in parts] == sizes
    phrases = [row.phrase for part in parts for row in state.rows(part)]
    assert phrases == list(gaps)
    if "max_bytes" in limits:
        sizes = [(state.folder / part.name).stat().st_size for part in parts]
        assert 400 < max(sizes) <= 800


def test_submit_rejects_costs_and_redo(server):
    server.plan()
    pathlib.Path("prices.json").write_text(
        f'{{"{MODEL}": {{"input": 1, "output": 9}}}}'
    )
    with pytest.raises(InputError, match=r"may cost up to .* --max-cost 0\.001"):
        submit(server, "--max-cost", 0.001, "--prices", "prices.json")
    with pytest.raises(InputError, match="--redo works only with --mode online"):
        submit(server, "--redo", "echo")
    assert server.state()["batches"] == {}


def test_rejects_invalid_state_files(server):
    STATE.parent.mkdir()
    for content in ("{", "[]", '{"format": 9, "parts": []}'):
        STATE.write_text(content)
        with pytest.raises(InputError, match="move the folder away"):
            BatchState(CACHE)
