"""The command line `describe` with a failing server: no text is lost or paid twice."""

import collections
import functools
import itertools
import json
import multiprocessing
import os
import pathlib
import random
import signal
import subprocess
import sys

import pytest

from actiongpt_jax import describe
from actiongpt_jax.errors import InputError, JobIncompleteError
from actiongpt_jax.llm.pacing import Pace
from actiongpt_jax.text.descriptions import read_descriptions
from tests.fake_openai import KEY, MODEL

FAULTS = "429 429:0.02 500 503 reset hang malformed fewer empty".split()


@pytest.fixture(autouse=True)
def at_home(tmp_path, monkeypatch):
    """Changes to an empty folder and shortens the waits after failures."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    fast = functools.partial(
        Pace, first_wait=0.01, longest_wait=0.1, longest_limit=0.05
    )
    monkeypatch.setattr("actiongpt_jax.llm.pacing.Pace", fast)


def write_phrases(count=3):
    phrases = [f"walk {number} steps" for number in range(count)]
    pathlib.Path("phrases.txt").write_text("\n".join(phrases) + "\n")
    return phrases


def flags(server, *more, out="c.jsonl"):
    """Returns flags for the server; a later flag overrides an earlier one."""
    to = ["--model", MODEL, "--base-url", server.url, "--out", out]
    return ["--phrases", "phrases.txt", *to, *map(str, more)]


def run(server, *more, out="c.jsonl"):
    describe.main(flags(server, *more, out=out))


def texts(path="c.jsonl"):
    read = read_descriptions(path)
    return {phrase: [r.text for r in records] for phrase, records in read.items()}


def lines(path="c.jsonl"):
    return pathlib.Path(path).read_text().splitlines()


@pytest.mark.slow
def test_no_text_is_lost_if_a_third_of_the_calls_fails(server):
    phrases = write_phrases(150)
    server.plan(rate=1 / 3, kinds=FAULTS, delay=0.002)
    # The time limit is long enough for a busy machine: only calls that hang may fail.
    run(server, "--concurrency", 12, "--timeout", 5)
    state = server.state()
    assert 4 < state["most_running"] <= 12
    by_phrase = texts()
    assert sorted(by_phrase) == sorted(phrases)
    assert all(len(set(of_phrase)) == 4 for of_phrase in by_phrase.values())
    # The texts in the cache are exactly those that the server sent.
    written = [json.loads(line)["text"] for line in lines()]
    assert len(written) == 600 and sorted(written) == sorted(state["sent"])
    # Each kind of fault occurred.
    assert {call["outcome"] for call in state["calls"]} >= set(FAULTS)
    calls = len(state["calls"])
    run(server)
    assert len(server.calls) == calls


@pytest.mark.slow
def test_ten_kills_lose_no_stored_text(server):
    phrases = write_phrases(160)
    concurrency = 6
    server.plan(delay=0.02, events=True, rate=0.1, kinds=["500", "fewer"])
    context = multiprocessing.get_context("forkserver")
    # Modules that the command imports after its flags: the kills should come during
    # the calls, not during the imports.
    preload = ["batch_steps", "job", "openai_provider", "reports"]
    context.set_forkserver_preload([f"actiongpt_jax.llm.{name}" for name in preload])
    argv = flags(server, "--concurrency", concurrency)
    rng = random.Random(0)
    asked: list[int] = []  # number of calls before each kill
    flushed: list[set[tuple[str, int]]] = []  # texts on disk after each kill
    for _ in range(10):
        server.forget_events()
        process = context.Process(target=describe.main, args=(argv,))
        process.start()
        # There are about 350 events, at the start and the end of calls.
        for _ in range(rng.randint(8, 32)):
            server.next_event(process.sentinel)
        assert process.pid is not None
        os.kill(process.pid, signal.SIGKILL)
        process.join()
        assert process.exitcode == -signal.SIGKILL, "the job was done before"
        asked.append(len(server.calls))
        flushed.append(on_disk())
    run(server, "--concurrency", concurrency)
    assert all(before <= after for before, after in itertools.pairwise(flushed))
    assert len(set(map(len, flushed))) > 5  # the kills were spread over the job
    assert on_disk() == {(phrase, index) for phrase in phrases for index in range(4)}
    keys = [json.loads(line)["key"] for line in lines()]
    assert len(keys) == len(set(keys)) == 640
    calls = server.calls
    for start_of, there in zip(asked, flushed, strict=True):
        left = collections.Counter(phrase for phrase, _ in there)
        for call in calls[start_of:]:
            phrase = call["prompt"].partition("action ")[2].removesuffix(" in detail")
            assert call["body"].get("n", 1) <= 4 - left[phrase]
    # Without kills there is one call per phrase, and two more if two texts are missing.
    good = [call for call in calls if call["outcome"] != "500"]
    fewer = sum(call["outcome"] == "fewer" for call in calls)
    assert len(good) <= 160 + 2 * fewer + 10 * concurrency


def on_disk():
    if not pathlib.Path("c.jsonl").exists() or not lines():
        return set()
    read = read_descriptions("c.jsonl")
    return {(r.phrase, r.index) for records in read.values() for r in records}


def test_server_that_ignores_n_is_asked_one_by_one(server):
    write_phrases(2)
    server.plan(ignores_n=True)
    run(server)
    assert all(len(set(of_phrase)) == 4 for of_phrase in texts().values())
    seeds = [call["body"].get("seed") for call in server.calls]
    assert len(seeds) == 8 and seeds.count(None) == 2
    assert len(set(seeds)) == 7


def test_larger_k_asks_only_for_missing_texts(server, capsys):
    write_phrases(2)
    server.plan()
    run(server, "--k", 2)
    run(server, "--k", 5)
    assert [call["body"]["n"] for call in server.calls] == [2, 2, 3, 3]
    assert all(len(of_phrase) == 5 for of_phrase in texts().values())
    assert "warning" not in capsys.readouterr().err
    run(server, "--k", 5)
    said = capsys.readouterr().out
    assert said == "c.jsonl: nothing to ask for, 2 of 2 phrases have 5\n"
    run(server, "--k", 2, "--temperature", 0.5)
    assert len(server.calls) == 6
    assert "warning: c.jsonl has descriptions by" in capsys.readouterr().err


def test_truncated_line_is_cut_and_asked_for_again(server, capsys):
    write_phrases(1)
    server.plan()
    run(server)
    path = pathlib.Path("c.jsonl")
    path.write_bytes(path.read_bytes()[:-20])
    run(server)
    assert "c.jsonl: the last line was truncated" in capsys.readouterr().err
    assert "n" not in server.calls[-1]["body"]
    assert len(lines()) == 4


def test_records_store_their_origin(server):
    write_phrases(1)
    server.plan()
    run(server, "--k", 1, "--temperature", 0.5, "--param", "top_k=3", "--words", 40)
    record = json.loads(lines()[0])
    assert record["writer"] == MODEL and record["model"] == f"{MODEL}-2026-10-01"
    assert record["parameters"] == {"temperature": 0.5, "top_k": 3}
    assert record["prompt"] == "detail" and record["prompt_version"].startswith("1+")
    assert record["endpoint"] == f"{server.url}/chat/completions"
    assert record["fingerprint"] == "fp_1" and record["finish_reason"] == "stop"
    assert record["usage"]["completion_tokens"] == 20
    assert record["time"].startswith("20") and record["call"]["id"]
    assert "40 words" in record["system"]
    assert "\n" not in record["text"]


def test_preset_sets_parameters_and_flags_override_it(server):
    write_phrases(1)
    server.plan()
    run(
        server, "--preset", "published", "--max-tokens", 77, "--endpoint", "completions"
    )
    body = server.calls[0]["body"]
    assert body.pop("prompt").endswith("walk 0 steps in details")
    assert body == {
        "model": MODEL,
        "n": 4,
        "temperature": 0.5,
        "top_p": 1.0,
        "max_tokens": 77,
        "frequency_penalty": 0.0,
        "presence_penalty": 0.0,
        "stream": False,
    }
    run(server, "--preset", "paper", "--endpoint", "completions")
    body = server.calls[1]["body"]
    assert body.pop("prompt").endswith("walk 0 steps in detail")
    # The prompt and the answer have 140 tokens together.
    assert 100 < body.pop("max_tokens") < 130
    del body["stream"]
    assert body == {"model": MODEL, "n": 4, "temperature": 0.5, "top_p": 1.0}


def test_max_cost_is_never_exceeded(server, capsys):
    write_phrases(30)
    server.plan(completion_tokens=100)
    prices = {MODEL: {"input": 0.0, "output": 1000.0}}
    pathlib.Path("prices.json").write_text(json.dumps(prices))
    # A call for 4 texts of 100 tokens costs 40 cents: 7 fit into 3 dollars.
    cost = ("--prices", "prices.json", "--max-cost", 3, "--max-tokens", 100)
    with pytest.raises(JobIncompleteError, match=r"--max-cost 3.*92 descriptions"):
        run(server, *cost)
    assert len(server.calls) == 7 and len(lines()) == 28
    assert "$2.8000" in capsys.readouterr().out
    with pytest.raises(InputError, match="--prices"):
        run(server, "--max-cost", 3)
    # A call whose connection breaks may have been charged, so it counts as paid.
    server.plan(script=["reset"] * 50, completion_tokens=100)
    with pytest.raises(JobIncompleteError, match="--max-cost 3"):
        run(server, *cost)
    assert len(server.calls) == 7


def test_long_wait_ends_the_job(server):
    write_phrases(20)
    server.plan(script=["ok", "ok", "429:3600"], delay=0.01)
    with pytest.raises(JobIncompleteError, match=r"come back in 60 minutes.* after 20"):
        run(server, "--concurrency", 2)
    state = server.state()
    assert len(state["sent"]) == len(lines()) >= 8
    run(server)
    assert len(lines()) == 80


def test_failed_phrases_are_listed(server, capsys):
    phrases = write_phrases(3)
    server.plan(script=["ok", "400", "ok"])
    with pytest.raises(
        JobIncompleteError, match="4 of 12 descriptions, for 1 phrases, are missing"
    ):
        run(server, "--concurrency", 1)
    assert f"failed: {phrases[1]!r}: refused (400" in capsys.readouterr().err
    assert len(lines()) == 8


def test_job_ends_after_twenty_failed_phrases_in_a_row(server):
    write_phrases(60)
    server.plan(script=["400"] * 100)
    with pytest.raises(JobIncompleteError, match="20 phrases failed in a row"):
        run(server)
    assert len(server.calls) < 60


def test_phrase_is_given_up_after_three_empty_answers(server):
    write_phrases(1)
    server.plan(script=["empty"] * 100)
    with pytest.raises(JobIncompleteError):
        run(server)
    assert len(server.calls) == 3
    assert not pathlib.Path("c.jsonl").exists()


def test_calls_per_minute_are_limited(server):
    write_phrases(3)
    server.plan()
    # 6000 per minute: the code path with a wait of 10 ms runs, but the test stays fast.
    run(server, "--rpm", 6000)
    assert len(server.calls) == 3
    with pytest.raises(InputError, match="--rpm"):
        run(server, "--rpm", 0)


BAD = {
    "unknown prompt": (["--prompt", "long"], "action, person, movements, detail"),
    "k": (["--k", "0"], "--k must be 1 or more"),
    "limit": (["--limit", "0"], "--limit"),
    "concurrency": (["--concurrency", "0"], "--concurrency"),
    "no such server": (
        ["--base-url", "http://127.0.0.1:9/v1"],
        "no server answers at http://127.0.0.1:9/v1",
    ),
    "wrong path": (
        ["--base-url", "@/wrong"],
        "correct --base-url, which usually ends in /v1",
    ),
    "retired": (["--model", "davinci-002"], "has been deprecated.*--endpoint chat"),
    "parameter": (["--temperature", "1"], "does not accept 'temperature'"),
    "shard": (["--shard", "3/2"], "--shard must be i/n"),
    "step": (["--mode", "batch"], "submit, status and collect"),
    "reason": (["--redo", "bad"], "empty, truncated"),
    "writer": (
        ["--redo", "echo", "--writer", "x"],
        "by 'x' for the prompt 'detail'",
    ),
    "param": (["--param", "x"], "--param must be NAME=VALUE"),
    "deep param": (["--param", f"n={'[' * 100_000}", "--k", "0"], "--k must be"),
    "phrases": (["--phrases", "absent"], "no phrases at absent"),
    "folder": (["--shard", "1/2"], "must be a folder"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_one_sentence_and_cache_unchanged(case, server):
    more, said = BAD[case]
    write_phrases(3)
    error = {"message": "Unsupported parameter: 'temperature'", "param": "temperature"}
    server.plan(refuses={"temperature": {"error": error}})
    run(server, "--limit", 1)
    before = pathlib.Path("c.jsonl").read_bytes()
    with pytest.raises((InputError, FileNotFoundError), match=said) as raised:
        run(server, *(word.replace("@", server.url) for word in more))
    assert "\n" not in str(raised.value)
    assert pathlib.Path("c.jsonl").read_bytes() == before


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"walk\nru\x00n\n", r"phrases\.txt:2 .*U\+0000 at position 3"),
        (b"walk\n\x1b[31mred\n", r":2 .*U\+001B"),
        ("wa\u2028lk".encode(), r":1 .*U\+2028"),
        (b"a\tb\n", r":1 .*U\+0009"),
        (b"walk\nl\xe9gs\n", r":2 must be UTF-8, got the byte 0xe9 at position 2"),
        (b"\xff\xfew\x00", r":1 must be UTF-8"),
        (b"", "at least one phrase"),
        (b" \n\n", "at least one phrase"),
    ],
)
def test_rejects_invalid_phrase_files(content, said, server):
    pathlib.Path("phrases.txt").write_bytes(content)
    with pytest.raises(InputError, match=said) as raised:
        run(server)
    assert raised.value.args[0].isprintable()
    assert not pathlib.Path("c.jsonl").exists()


def test_reads_one_phrase_per_line(server):
    text = "\ufeffwalk\r\n  sit   down \r\n\r\nwalk\nsit down\nélan"
    pathlib.Path("phrases.txt").write_bytes(text.encode())
    server.plan()
    run(server, "--k", 1)
    assert set(texts()) == {"walk", "sit down", "élan"}


def test_dry_run_calls_no_server(server, monkeypatch, capsys):
    write_phrases(10)
    server.plan()
    run(server, "--limit", 4)
    calls, before = len(server.calls), lines()
    monkeypatch.delenv("OPENAI_API_KEY")
    prices = {MODEL: {"input": 1.0, "output": 1.0}}
    pathlib.Path("prices.json").write_text(json.dumps(prices))
    capsys.readouterr()
    away = ("--base-url", "http://192.0.2.1/v1", "--prices", "prices.json")
    run(server, *away, "--max-tokens", 100, "--dry-run")
    said = capsys.readouterr().out
    # With another --max-tokens the cached texts do not count.
    assert "descriptions: 40, cached: 0, to ask for: 40" in said
    run(server, *away, "--dry-run")
    said = capsys.readouterr().out
    assert "phrases: 10" in said and "cached: 16, to ask for: 24" in said
    assert "requests: 6 to http://192.0.2.1/v1/chat/completions" in said
    assert "$0.004" in said and "walk 4 steps" in said
    assert len(server.calls) == calls and lines() == before


def test_shards_together_cover_all_phrases(server):
    phrases = write_phrases(20)
    server.plan()
    for number in (1, 2, 3):
        run(server, "--shard", f"{number}/3", out="folder")
    assert sorted(texts("folder")) == sorted(phrases)
    assert len(list(pathlib.Path("folder").iterdir())) == 3
    calls = len(server.calls)
    assert calls == 20
    run(server, out="folder")
    run(server, "--shard", "1/5", out="folder")
    assert len(server.calls) == calls


def test_import_then_export_returns_the_same_texts(monkeypatch, server, capsys):
    monkeypatch.delenv("OPENAI_API_KEY")
    published = {"walk": ["Legs\nswing.", "b"], "run": ["c", "d"]}
    pathlib.Path("old.json").write_text(json.dumps(published))
    describe.main(["--from-file", "old.json", "--out", "c.jsonl"])
    assert texts() == {"walk": ["Legs swing.", "b"], "run": ["c", "d"]}
    before = lines()
    describe.main(["--from-file", "old.json", "--out", "c.jsonl"])
    assert lines() == before
    describe.main(["--export", "new.json", "--out", "c.jsonl"])
    published["walk"][0] = "Legs swing."
    assert json.loads(pathlib.Path("new.json").read_text()) == published
    describe.main(["--export", "one.json", "--out", "c.jsonl", "--k", "1"])
    assert json.loads(pathlib.Path("one.json").read_text())["run"] == ["c"]
    # Phrases that the file lacks are gaps.
    write_phrases(30)
    with pytest.raises(JobIncompleteError, match="60 of 60"):
        describe.main("--phrases phrases.txt --from-file old.json".split())
    assert capsys.readouterr().err.count("old.json does not have this phrase") == 30


def test_model_fills_gaps_of_imported_descriptions(server):
    write_phrases(3)
    server.plan()
    pathlib.Path("old.json").write_text('{"walk 0 steps": ["a", "b", "c", "d"]}')
    more = ["--from-file", "old.json", "--out", "c.jsonl", "--model", MODEL]
    describe.main(more)
    run(server)
    assert len(server.calls) == 2
    assert set(texts()) == set(write_phrases(3))


def test_redo_replaces_faulty_texts(server, capsys):
    write_phrases(2)
    good = "The person lifts the left knee and lowers the foot again."
    server.plan(texts=[good, "Cut in the middle of a long sentence about the legs and"])
    run(server, "--k", 2)
    describe.main(["--report", "--out", "c.jsonl"])
    assert "truncated              2  50.0%" in capsys.readouterr().out
    server.plan()
    run(server, "--k", 2, "--redo", "truncated,echo", "--dry-run")
    assert "ask for again: 2 of 2 phrases" in capsys.readouterr().out
    run(server, "--k", 2, "--redo", "truncated,echo")
    assert len(server.calls) == 2 and len(lines()) == 6
    assert json.loads(lines()[-1])["redo"] == "truncated"
    assert all(len(of_phrase) == 2 for of_phrase in texts().values())
    assert not any("middle" in text for of in texts().values() for text in of)
    run(server, "--k", 2, "--redo", "truncated,echo")
    run(server, "--k", 2)
    assert len(server.calls) == 2


def test_redo_of_duplicates_uses_seeds(server):
    write_phrases(1)
    same = "The person lifts the left knee and lowers the foot again."
    server.plan(texts=[same])
    run(server, "--k", 3)
    server.plan()
    run(server, "--k", 3, "--redo", "duplicate")
    seeds = {call["body"]["seed"] for call in server.calls}
    assert len(seeds) == 2 and len(set(texts()["walk 0 steps"])) == 3


def test_model_redoes_imported_texts(server, capsys):
    pathlib.Path("old.json").write_text(
        '{"walk": ["Legs and", "Legs are moving here."]}'
    )
    describe.main(["--from-file", "old.json", "--out", "c.jsonl"])
    server.plan()
    argv = ["--redo", "truncated", "--writer", "published", "--model", MODEL]
    describe.main([*argv, "--base-url", server.url, "--out", "c.jsonl"])
    read = read_descriptions("c.jsonl")
    chosen = read.select(k=2)["walk"]
    assert chosen[0].model == f"{MODEL}-2026-10-01" and chosen[1].model is None
    assert len(lines()) == 3


def test_diff_compares_two_writers(server, capsys):
    write_phrases(2)
    server.plan(models={MODEL: None, "writer-2": None})
    run(server)
    run(server, "--model", "writer-2", "--k", 2)
    capsys.readouterr()
    describe.main(["--diff", MODEL, "writer-2", "--out", "c.jsonl"])
    said = capsys.readouterr().out
    assert "walk 1 steps: " in said and f"{MODEL}: 8 texts of 2 phrases" in said
    assert "writer-2: 4 texts of 2 phrases" in said
    describe.main(["--diff", "c.jsonl", "c.jsonl"])
    assert "on average 100.0% of the words in common" in capsys.readouterr().out


def test_check_prints_the_shutdown_date(server, capsys):
    server.plan(models={MODEL: "2027-01-14"})
    describe.main(["--check", "--model", MODEL, "--base-url", server.url])
    assert "shuts down on 2027-01-14" in capsys.readouterr().out


@pytest.mark.parametrize("count", [1, 2])
def test_interrupt_keeps_calls_in_progress(count, server, monkeypatch):
    write_phrases(30)
    server.plan(delay=0.02)
    original = os.fsync
    done = []

    def fsync(descriptor):
        original(descriptor)
        done.append(descriptor)
        if len(done) == count:
            os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(JobIncompleteError, match="interrupted"):
        run(server, "--concurrency", 4)
    assert len(lines()) == len(server.state()["sent"]) < 120


def test_reads_phrases_of_motion_store_and_babel(server, shared_file, tmp_path, capsys):
    folder = shared_file("data/minibabel/babel")
    for source, count in ((folder, 20), (folder / "val.json", None)):
        run(server, "--phrases", source, "--dry-run")
        printed = int(capsys.readouterr().out.split()[1].rstrip(","))
        assert printed == count if count else 0 < printed <= 20
    with pytest.raises(InputError, match="--from-file"):
        run(server, "--phrases", shared_file("data/minibabel/descriptions.json"))


def command(*argv, **environment):
    return subprocess.run(
        [sys.executable, "-m", "actiongpt_jax.describe", *argv],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONWARNINGS": "error::ResourceWarning", **environment},
    )


@pytest.mark.slow
def test_key_is_in_no_output_and_no_file(server):
    write_phrases(2)
    server.plan(script=["ok", "400"])
    gaps = command(*flags(server, "--concurrency", 1), OPENAI_LOG="debug")
    assert gaps.returncode == 1 and "failed: 'walk 1 steps'" in gaps.stderr
    assert gaps.stderr.splitlines()[-1].startswith("error: 4 of 8 descriptions")
    wrong = command(
        *flags(server, "--k", 9),
        OPENAI_API_KEY="sk-wrong-123456789",
        ACTIONGPT_JAX_TRACEBACK="1",
    )
    assert wrong.returncode != 0 and "Traceback" in wrong.stderr
    shown = [*vars(wrong).values(), *vars(gaps).values()]
    assert not any("sk-wrong" in str(s) or KEY in str(s) for s in shown)
    for path in pathlib.Path().rglob("*"):
        assert not path.is_file() or KEY not in path.read_text()
