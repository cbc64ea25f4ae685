"""Requests to a server and the handling of its answers, over real HTTP."""

import asyncio
import json
from typing import Any

import pytest

from actiongpt_jax.errors import InputError, JobIncompleteError
from actiongpt_jax.llm.api_key import Secret
from actiongpt_jax.llm.budget import Budget, Price, find_price, read_prices
from actiongpt_jax.llm.openai_provider import OpenAIProvider, check_model
from actiongpt_jax.llm.provider import (
    FileProvider,
    NoAnswerError,
    Question,
    TryAgainError,
)
from actiongpt_jax.llm.request import Request, estimate_tokens
from actiongpt_jax.text.descriptions import Description, Descriptions
from actiongpt_jax.text.prompts import make_prompt
from tests.fake_openai import KEY, MODEL


def make(server, **fields):
    return plain(**{"base_url": server.url} | fields)


def plain(model=MODEL, prompt: Any = "detail", words=None, **fields):
    prompt = make_prompt(prompt, words) if isinstance(prompt, str) else prompt
    return Request(model=model, prompt=prompt, **fields)


def ask(request, *questions, timeout=5.0):
    async def run():
        async with OpenAIProvider(request, timeout) as provider:
            return [await provider.ask(question) for question in questions]

    return asyncio.run(run())


FOUR = Question("walk", (0, 1, 2, 3))
ONE = Question("walk", (0,))


@pytest.mark.parametrize("endpoint", ["chat", "completions", "responses"])
def test_each_endpoint_gets_its_own_request_form(endpoint, server):
    server.plan()
    request = make(
        server, endpoint=endpoint, words=50, parameters={"max_tokens": 9, "top_p": 1.0}
    )
    (answer,) = ask(request, FOUR)
    call = server.calls[0]
    body = call["body"]
    count = 1 if endpoint == "responses" else 4
    assert len(answer.choices) == count
    assert all(choice.text.startswith("The person") for choice in answer.choices)
    assert answer.model == f"{MODEL}-2026-10-01"
    assert "\n" not in answer.choices[0].text
    limit = "max_output_tokens" if endpoint == "responses" else "max_tokens"
    assert body.pop(limit) == 9 and body.pop("top_p") == 1.0
    assert body.pop("n", 1) == count
    assert call["prompt"].endswith("performing the action walk in detail")
    assert "50 words" in json.dumps(body)
    budget = Budget(Price(1.0, 2.0))
    budget.book(answer.usage)
    asked = budget.input_tokens
    assert budget.output_tokens == 20 * count
    assert budget.spent == pytest.approx((asked + 40 * count) * 1e-6)


def test_sends_only_parameters_the_user_set(server):
    server.plan()
    ask(make(server), ONE, FOUR, Question("walk", (1,), seed=5))
    bodies = [call["body"] for call in server.calls]
    assert [set(body) for body in bodies] == [
        {"model", "messages", "stream"},
        {"model", "messages", "stream", "n"},
        {"model", "messages", "stream", "seed"},
    ]
    # Some servers stream unless they are told not to.
    assert not any(body["stream"] for body in bodies)
    assert len(bodies[0]["messages"]) == 1


def test_token_limit_has_the_name_of_the_endpoint(server):
    asked = "x" * 400
    request = make(server, parameters={"total_tokens": 140}, prompt="phrase")
    assert request.body(asked)["max_tokens"] == 40 == 140 - estimate_tokens(asked)
    openai = plain(parameters={"max_tokens": 9})
    assert openai.body("walk")["max_completion_tokens"] == 9
    said = "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead."
    error = {"message": said, "code": "unsupported_parameter", "param": "max_tokens"}
    server.plan(refuses={"max_tokens": {"error": error}})
    renamed, answer = ask(make(server, parameters={"max_tokens": 9}), ONE, ONE)
    assert not renamed.choices and len(answer.choices) == 1
    assert server.calls[1]["body"]["max_completion_tokens"] == 9


@pytest.mark.parametrize(
    "error",
    [
        {
            "message": "Unsupported value: 'temperature' does not support 0.5.",
            "param": "temperature",
            "code": "unsupported_value",
        },
        {"message": "Unrecognized request argument supplied: temperature"},
    ],
)
@pytest.mark.parametrize("nested", [True, False])
def test_refused_parameter_is_named(error, nested, server):
    server.plan(refuses={"temperature": {"error": error} if nested else error})
    request = make(server, parameters={"temperature": 0.5, "top_p": 1.0})
    with pytest.raises(InputError, match="does not accept 'temperature'"):
        ask(request, ONE)


def test_stops_sending_n_and_seed_if_refused(server):
    refuses = {
        name: {"error": {"message": f"Unknown parameter: '{name}'", "param": name}}
        for name in ("n", "seed")
    }
    server.plan(refuses=refuses)
    seeded = Question("walk", (1,), seed=5)
    answers = ask(make(server), FOUR, FOUR, seeded, seeded)
    assert [len(answer.choices) for answer in answers] == [0, 1, 0, 1]
    with pytest.raises(InputError, match="'seed'"):
        ask(make(server, parameters={"seed": 1}), ONE)


@pytest.mark.parametrize(
    ("outcome", "error", "said"),
    [
        ("429", TryAgainError, "429"),
        ("500", TryAgainError, "500"),
        ("503", TryAgainError, "503"),
        ("reset", TryAgainError, "the connection broke"),
        ("hang", TryAgainError, "no answer within 0.3 s"),
        ("malformed", TryAgainError, "not JSON"),
        ("foreign", TryAgainError, "no choices"),
        ("400", NoAnswerError, "not allowed"),
        ("429:quota", JobIncompleteError, "until it is paid"),
        ("429:121", JobIncompleteError, "come back in 121 s"),
        (
            "429:90000",
            JobIncompleteError,
            "25.0 hours.*run the same command again after",
        ),
    ],
)
def test_failed_calls_raise_the_right_error(outcome, error, said, server):
    server.plan(script=[outcome])
    with pytest.raises(error, match=said):
        ask(make(server), ONE, timeout=0.3 if outcome == "hang" else 5.0)


def test_reads_the_wait_time_from_the_server(server):
    server.plan(script=["429:1.5"])
    with pytest.raises(TryAgainError) as raised:
        ask(make(server), ONE)
    assert raised.value.after == 1.5


@pytest.mark.parametrize("outcome", ["empty", "fewer"])
def test_missing_and_empty_choices_are_reported(outcome, server):
    server.plan(script=[outcome])
    (answer,) = ask(make(server), FOUR)
    assert len(answer.choices) == {"empty": 0, "fewer": 2}[outcome]
    assert answer.reason


def test_retired_model_error_suggests_another(server):
    server.plan()
    for name in ("text-davinci-002", "gone"):
        with pytest.raises(InputError, match="has been deprecated.*--model") as raised:
            ask(make(server, model=name), ONE)
        assert ("--endpoint chat" in str(raised.value)) == (name != "gone")


def test_check_model_reports_shutdown_or_other_models(server):
    models = {MODEL: "2027-01-14", "other": None, "timed": 1_799_884_800}
    server.plan(models=models)
    for name in (MODEL, "timed"):
        said = asyncio.run(check_model(make(server, model=name)))
        assert f"model {name}: shuts down on 2027-01-14" in said
    assert "no shutdown" in asyncio.run(check_model(make(server, model="other")))
    with pytest.raises(InputError, match=rf"the server has {MODEL}, other"):
        asyncio.run(check_model(make(server, model="absent")))


def test_unreachable_server_is_reported():
    request = plain(base_url="http://127.0.0.1:9/v1")
    with pytest.raises(InputError, match=r"no server answers at http://127\.0\.0\.1:9"):
        asyncio.run(check_model(request))
    with pytest.raises(TryAgainError) as raised:
        ask(request, ONE)
    assert raised.value.unreachable


def test_key_never_appears_in_texts_or_errors(server, monkeypatch):
    server.plan(script=["echo"])
    (answer,) = ask(make(server), ONE)
    assert KEY not in answer.choices[0].text and "***" in answer.choices[0].text
    wrong = "sk-wrong-0123456789"
    monkeypatch.setenv("OPENAI_API_KEY", wrong)
    with pytest.raises(InputError, match="refused the key in OPENAI_API_KEY") as raised:
        ask(make(server), ONE)
    assert wrong not in str(raised.value)
    assert raised.value.__suppress_context__
    assert wrong not in repr(vars(OpenAIProvider(make(server))))


def test_key_that_is_a_word_is_kept_in_descriptions():
    assert Secret("none").scrub_prose("none of the legs") == "none of the legs"
    assert Secret("none").scrub("wrong key: none") == "wrong key: ***"
    assert Secret("x").scrub("exit") == "exit"
    assert "abc" not in repr(Secret("abc"))


@pytest.mark.parametrize("value", ["", " ", "two words", "line\nend", "schlüssel"])
def test_rejects_missing_and_invalid_api_keys(value, server, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", value)
    with pytest.raises(InputError, match="OPENAI_API_KEY") as raised:
        OpenAIProvider(make(server))
    assert not value.strip() or value not in str(raised.value)
    assert value.strip() or "--from-file" in str(raised.value)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"k": 0}, "--k must be 1 or more"),
        ({"endpoint": "edits"}, "--endpoint must be one of chat, responses"),
        ({"base_url": "localhost:8000"}, "http://localhost:8000/v1"),
        ({"base_url": "http://[::1"}, "http://localhost:8000/v1"),
        ({"base_url": "http://me:secret@host/v1"}, "without user name"),
        ({"parameters": {"n": 3}}, "'n' is set by the request itself"),
        ({"parameters": {"max_tokens": 0}}, "--max-tokens must be 1 or more"),
    ],
)
def test_rejects_invalid_requests(fields, said):
    with pytest.raises(InputError, match=said) as raised:
        plain(**fields)
    assert "secret" not in str(raised.value)


def test_description_key_depends_on_what_is_asked():
    key = plain().key("walk", 0)
    assert plain(k=8, base_url="http://127.0.0.1:9/v1").key("walk", 0) == key
    others = [
        plain().key("walk", 1),
        plain().key("run", 0),
        plain(endpoint="responses").key("walk", 0),
        plain(parameters={"temperature": 1.0}).key("walk", 0),
        plain("m").key("walk", 0),
        plain(prompt="action").key("walk", 0),
        plain(prompt=make_prompt("detail", 30)).key("walk", 0),
    ]
    assert len({key, *others}) == 8


def test_file_provider_needs_no_key(monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY")
    written = [Description("walk", index, f"a\n{index}") for index in range(2)]
    provider = FileProvider(Descriptions(written, "d.json"))
    answer = asyncio.run(provider.ask(FOUR))
    assert [choice.text for choice in answer.choices] == ["a 0", "a 1"]
    with pytest.raises(NoAnswerError, match="d.json does not have this phrase"):
        asyncio.run(provider.ask(Question("run", (0,))))
    with pytest.raises(NoAnswerError, match="has only 2 texts"):
        asyncio.run(provider.ask(Question("walk", (2,))))
    with pytest.raises(InputError, match="no descriptions by 'x'"):
        FileProvider(Descriptions(written, "d.json"), "x")


def test_prices_are_read_and_found_by_prefix(tmp_path):
    path = tmp_path / "prices.json"
    path.write_text(
        '{"m": {"input": 1, "output": 2}, "m-mini": {"input": 0, "output": 1}}'
    )
    prices = read_prices(path)
    assert find_price(prices, "m-2026") == Price(1.0, 2.0)
    assert find_price(prices, "m-mini-2026") == Price(0.0, 1.0)
    assert find_price(prices, "model") is None
    assert find_price(prices, "gpt-6-luna") is not None
    for content in ("[]", "{", '{"m": 3}', '{"m": {"input": -1, "output": 2}}'):
        path.write_text(content)
        with pytest.raises(InputError, match="prices.json"):
            read_prices(path)
    with pytest.raises(InputError, match=r"--prices must be a JSON file.*absent"):
        read_prices(tmp_path / "absent")


def test_budget_waits_for_calls_in_progress():
    async def run():
        budget = Budget(Price(1.0, 1.0), limit=1.0)
        await budget.reserve(0.6)
        waiting = asyncio.create_task(budget.reserve(0.6))
        done, _ = await asyncio.wait([waiting], timeout=0)
        assert not done
        budget.settle(0.6, {"prompt_tokens": 300_000}, 1)
        await waiting
        budget.settle(0.6, None, 0)
        assert budget.spent == pytest.approx(0.9)
        with pytest.raises(
            JobIncompleteError, match=r"stopped at \$0\.9.*--max-cost 1"
        ):
            await budget.reserve(0.2)

    asyncio.run(run())
    with pytest.raises(InputError, match="--prices"):
        Budget(None, limit=1.0)
