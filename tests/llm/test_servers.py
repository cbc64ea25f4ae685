"""Servers that nobody here wrote: their words for errors, their odd answers."""

import errno
import json
import os
import pathlib
import signal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from actiongpt_jax import describe
from actiongpt_jax.errors import InputError, JobIncompleteError
from actiongpt_jax.llm.cache import DescriptionCache
from actiongpt_jax.text.descriptions import read_descriptions
from tests.fake_openai import KEY, MODEL
from tests.llm.test_describe import at_home as at_home
from tests.llm.test_describe import lines, run, texts, write_phrases

TEXT = "The person lifts the left knee, bends it and lowers the foot again."


def answer(content: Any = TEXT, **more: Any):
    message = {"role": "assistant", "content": content, **more.pop("message", {})}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    return {"id": "c", "model": MODEL, "choices": [choice | more.pop("choice", {})]} | (
        more
    )


def plan(server, *bodies, status=200, then="ok", **headers):
    """Lets the server's next calls be answered with these bodies."""
    raw = [
        (status, body if isinstance(body, str) else json.dumps(body), headers)
        for body in bodies
    ]
    server.plan(raw=raw, script=[f"raw:{number}" for number in range(len(raw))])


def plan_always(server, body, status=200):
    body = body if isinstance(body, str) else json.dumps(body)
    server.plan(raw=[(status, body, {})], script=["raw:0"] * 200)


def error(message, code=None, **more):
    return {"error": {"message": message, "code": code, **more}}


@pytest.mark.parametrize(
    "content", ["<think>hm, the person", None, [{"type": "thinking", "thinking": "hm"}]]
)
def test_thoughts_without_a_text_are_an_empty_answer(content, server, capsys):
    write_phrases(1)
    body = answer(content, message={"reasoning_content": "hm, the person"})
    plan(server, body, body, body)
    with pytest.raises(JobIncompleteError):
        run(server, "--k", 1)
    assert "thoughts without text" in (said := capsys.readouterr().err)
    assert "raise --max-tokens" in said
    assert not pathlib.Path("c.jsonl").exists()


def test_text_after_thoughts_is_stored(server):
    write_phrases(1)
    plan(server, answer([{"type": "text", "text": f"hm</think>{TEXT}<|im_end|>"}]))
    run(server, "--k", 1)
    assert texts() == {"walk 0 steps": [TEXT]}


@pytest.mark.parametrize("key", ["1", "EMPTY", "not-needed", "person", "2024"])
def test_short_keys_and_words_do_not_change_texts(key, server, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", key)
    server.plan(any_key=True, texts=[f"The person takes (17519, 1) steps, {key}."])
    write_phrases(1)
    run(server, "--k", 1)
    assert texts()["walk 0 steps"] == [f"The person takes (17519, 1) steps, {key}."]


@pytest.mark.parametrize("key", [KEY, "sk-1234", "hunter2hunter2", "a" * 32])
def test_key_is_in_no_stored_field(key, server, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", key)
    body = answer(
        f"{TEXT[:-1]} {key}.",
        choice={"finish_reason": f"stop {key}"},
        usage={"prompt_tokens": 3, f"{key}": [key], "more": {"key": f"Bearer {key}"}},
        model=f"m {key}",
        id=f"{key}",
        system_fingerprint=f"fp {key}",
    )
    server.plan(any_key=True, raw=[(200, json.dumps(body), {})], script=["raw:0"])
    write_phrases(1)
    run(server, "--k", 1)
    assert key not in pathlib.Path("c.jsonl").read_text()
    assert len(lines()) == 1


@pytest.mark.parametrize("before", ["\ufeff", "\n\n  "])
def test_paid_answers_that_are_almost_json_are_kept(before, server):
    body = before + json.dumps(answer()).replace("left knee", "left\n\tknee")
    server.plan(raw=[(200, body, {})], script=["raw:0"])
    write_phrases(1)
    run(server, "--k", 1)
    assert [*texts().values()] == [[TEXT]]
    assert len(server.calls) == 1


ODD = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(codec=None), max_size=5)
    | st.just(float("inf")),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["prompt_tokens", "\ud800", "x"]), inner)
    ),
    max_leaves=6,
)


FIELDS = ("usage", "model", "id", "system_fingerprint", "object", "error")
ODD_ANSWERS = st.tuples(
    st.fixed_dictionaries({}, optional=dict.fromkeys(FIELDS, ODD)),
    st.fixed_dictionaries({}, optional={"finish_reason": ODD, "index": ODD}),
)


@settings(
    max_examples=3,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(st.lists(ODD_ANSWERS, min_size=20, max_size=20))
def test_texts_are_kept_whatever_else_the_answers_hold(server, answers):
    pathlib.Path("c.jsonl").unlink(missing_ok=True)
    phrases = write_phrases(20)
    plan(server, *(answer(choice=choice) | more for more, choice in answers))
    run(server, "--k", 1)
    assert texts() == {phrase: [TEXT] for phrase in phrases}
    for line in lines():  # strict JSON: without numbers that other readers refuse
        json.loads(line, parse_constant=pytest.fail)


@pytest.mark.parametrize(
    "usage", ["1e999", "NaN", "-5", "9" * 5000, '"many"', '{"prompt_tokens": 1e999}']
)
def test_unreadable_counts_cost_the_reserved_amount(usage, server, capsys):
    prices = {MODEL: {"input": 0.0, "output": 1000.0}}
    pathlib.Path("prices.json").write_text(json.dumps(prices))
    write_phrases(1)
    body = json.dumps(answer()).replace('"choices"', f'"usage": {usage}, "choices"')
    plan(server, body)
    run(server, "--k", 1, "--max-tokens", 100, "--prices", "prices.json")
    assert "$0.1000" in capsys.readouterr().out and len(lines()) == 1


def test_identical_texts_are_reported_and_asked_for_again_once(server, capsys):
    write_phrases(2)
    server.plan(texts=[TEXT])
    run(server, "--k", 3)
    assert "warning: 4 of 6 new descriptions repeat" in capsys.readouterr().err
    run(server, "--k", 3, "--redo", "duplicate")
    assert "warning: 4 of 4 new descriptions repeat" in capsys.readouterr().err
    calls = len(server.calls)
    run(server, "--k", 3, "--redo", "duplicate")
    assert "4 duplicates were asked for again before" in capsys.readouterr().err
    assert len(server.calls) == calls
    server.plan()
    run(server, "--k", 3, "--redo", "duplicate", "--temperature", 1)
    assert len(server.calls) == 4
    assert all(len(set(of_phrase)) == 3 for of_phrase in texts().values())


def test_check_looks_into_the_list_of_models(server, capsys):
    to = ["--check", "--base-url", server.url, "--model"]
    server.plan(no_model_pages=True)
    describe.main([*to, MODEL])
    assert f"has the model {MODEL}" in capsys.readouterr().out
    with pytest.raises(InputError, match=f"no model 'absent'.*the server has {MODEL}"):
        describe.main([*to, "absent"])
    server.plan(no_model_pages=True, no_list=True)
    with pytest.raises(InputError, match="no list of models.*correct --base-url"):
        describe.main([*to, MODEL])


def test_rate_limits_give_no_phrase_up(server):
    phrases = write_phrases(40)
    server.plan(limit=[8, 0.2])
    run(server)
    outcomes = [call["outcome"] for call in server.calls]
    assert sorted(texts()) == sorted(phrases) and len(lines()) == 160
    assert sum(outcome.startswith("429") for outcome in outcomes) >= 4


def test_endless_rate_limit_names_the_flag(server):
    write_phrases(20)
    server.plan(script=["429"] * 500)
    with pytest.raises(JobIncompleteError, match="set --rpm"):
        run(server)
    assert len(server.calls) < 300


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (400, "Invalid n value (currently only n = 1 is supported)"),
        (400, "Only one completion choice is allowed"),
        (500, "Only one completion choice is allowed"),
        (400, "'n' : number must be at most 1"),
        (422, "Multiple candidates is not enabled for this model"),
        (400, "Unrecognized request argument supplied: n"),
        (400, "Ungültige Anfrage"),
    ],
)
def test_server_that_refuses_n_is_asked_one_by_one(status, message, server):
    write_phrases(2)
    body = json.dumps(error(message))
    server.plan(raw=[(status, body, {})], script=["raw:one"] * 20)
    run(server, "--concurrency", 1)
    assert all(len(set(of_phrase)) == 4 for of_phrase in texts().values())
    counts = [call["body"].get("n", 1) for call in server.calls]
    assert counts == [4] + [1] * 8


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (error("Slow down, friend", 429), "asks again and again.*429: Slow down"),
        ({"choices": None, **error("Upstream is away", 502)}, "phrases, are missing"),
        (error("Add credits", 402), "until it is paid"),
        (error("no such key", "invalid_api_key"), "refused the key"),
        (error("foo is not a valid model ID", 400), "has no model"),
        ({"object": "error", "message": "broken", "code": 501}, "does not exist"),
    ],
)
def test_error_inside_an_answer_counts_as_its_status(body, said, server, capsys):
    write_phrases(1)
    plan_always(server, {"id": "x", "choices": None} | body)
    expected = (
        JobIncompleteError if "again" in said or "missing" in said else InputError
    )
    with pytest.raises(expected, match=said):
        run(server, "--k", 1)
    if "missing" in said:
        assert "Upstream is away" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        (400, error("Invalid model name passed in model=x"), "has no model"),
        (400, error("Model Not Exist"), "has no model"),
        (404, error("The model `x` does not exist."), "has no model"),
        (422, error("bad value", param="model"), "has no model"),
        (500, error("x is not a valid model identifier"), "has no model"),
        (501, error("Unsupported method"), "does not exist on the server"),
        (200, "<!DOCTYPE html><title>Sign in</title>", "a web page.*--base-url"),
        (200, 'data: {"choices": []}\n\n', "a stream"),
        (400, error("Client sent an HTTP request to an HTTPS server."), "https://"),
        (402, error("Payment required"), "until it is paid"),
        (403, error("Your country is not supported"), "refused the key"),
        (400, error("API key not valid. Please pass one."), "refused the key"),
        (401, [error("Wrong")], r"refused the key.*\(401: Wrong\)"),
    ],
)
def test_permanent_errors_end_the_job_at_once(status, body, said, server):
    write_phrases(30)
    plan_always(server, body, status)
    with pytest.raises(InputError, match=said):
        run(server, "--concurrency", 1)
    assert len(server.calls) == 1


def test_moderation_of_one_phrase_is_not_the_key(server, capsys):
    write_phrases(3)
    flagged = error("Your input was flagged", 403, metadata={"reasons": ["violence"]})
    plan(server, flagged, status=403)
    with pytest.raises(JobIncompleteError, match="nothing suggests that running again"):
        run(server, "--concurrency", 1)
    assert "failed: 'walk 0 steps': refused (403: Your input" in capsys.readouterr().err
    assert len(lines()) == 8


def test_failures_that_may_pass_advise_to_run_again(server):
    write_phrases(2)
    server.plan(script=["500"] * 8)
    with pytest.raises(JobIncompleteError, match="run the same command again .* 1 phr"):
        run(server, "--concurrency", 1)


ENVIRONMENT = {
    "https on http": ({}, "https", "does not speak https.*http://"),
    "dead proxy": (
        {"http_proxy": "http://me:secret@127.0.0.1:9"},
        "http",
        r"through the proxy http://127\.0\.0\.1:9, which NO_PROXY",
    ),
    "socks": (
        {"ALL_PROXY": "socks5://127.0.0.1:9"},
        "http",
        "socksio.*unset ALL_PROXY",
    ),
    "not a proxy": ({"http_proxy": "foo://x"}, "http", "correct or unset http_proxy"),
    "not an address": ({"http_proxy": "http://[::1"}, "http", "unset http_proxy"),
    "organisation": ({"OPENAI_ORG_ID": "ü"}, "http", "OPENAI_ORG_ID must hold"),
    "headers": ({"OPENAI_CUSTOM_HEADERS": "A: ü"}, "http", "OPENAI_CUSTOM_HEADERS"),
    "certificate": (
        {"SSL_CERT_FILE": "/absent"},
        "https",
        "SSL_CERT_FILE=/absent: No such file",
    ),
}


@pytest.mark.parametrize("case", ENVIRONMENT)
def test_environment_that_prevents_calls_is_named(case, server, monkeypatch):
    variables, scheme, said = ENVIRONMENT[case]
    for name in os.environ:
        if name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    write_phrases(1)
    server.plan()
    with pytest.raises(InputError, match=said) as raised:
        run(server, "--base-url", server.url.replace("http", scheme))
    assert "secret" not in str(raised.value)


@pytest.mark.parametrize(
    "more",
    [
        ("--temperature", "nan"),
        ("--top-p", "inf"),
        ("--param", "x=NaN"),
        ("--param", 'x={"a": [1e999]}'),
        ("--model", "m\udcff"),
        ("--prompt", "do {phrase} \udcff"),
    ],
)
def test_values_that_cannot_be_sent_are_refused(more, server):
    write_phrases(1)
    server.plan()
    with pytest.raises(InputError):
        run(server, *more)
    assert server.calls == []


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EOPNOTSUPP])
def test_file_system_without_locks_is_named(number, tmp_path, monkeypatch):
    def flock(*_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("fcntl.flock", flock)
    with pytest.raises(InputError, match="cannot lock files.*another file system"):
        DescriptionCache(tmp_path / "c.jsonl")


def test_answers_that_arrive_together_are_written_together(server, monkeypatch):
    write_phrases(64)
    server.plan()
    original, written = os.fsync, []

    def fsync(descriptor):
        # Like a slow disk: the first write ends when the other answers have come.
        while not written and len(server.state()["sent"]) < 64:
            pass
        written.append(descriptor)
        original(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    run(server, "--concurrency", 16)
    assert len(lines()) == 256 and len(written) < 48


@pytest.mark.slow
def test_kill_during_a_write_loses_no_counted_text(server):
    """Texts that count are on disk: a kill while others are written keeps them."""
    write_phrases(40)
    server.plan()
    counted, reports = os.pipe()
    child = os.fork()
    if child == 0:
        from actiongpt_jax.llm.describer import Describer

        counts = []

        def on_texts(count):
            os.write(reports, b"x" * count)
            counts.append(count)
            if sum(counts) >= 40:
                os.kill(os.getpid(), signal.SIGKILL)

        init: Any = Describer.__init__
        patch = pytest.MonkeyPatch()
        patch.setattr(
            Describer,
            "__init__",
            lambda self, *parts: init(self, *parts[:5], on_texts, *parts[6:]),
        )
        run(server)
        os._exit(1)
    os.close(reports)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status)
    with os.fdopen(counted, "rb") as pipe:
        num_counted = len(pipe.read())
    on_disk = sum(map(len, read_descriptions("c.jsonl").values()))
    assert on_disk >= num_counted >= 40
