"""Unknown phrases that a language model describes in the same command."""

import functools
import json
import pathlib
import shlex

import pytest

from actiongpt_jax import edit, generate
from actiongpt_jax.data.motion import load_motion
from actiongpt_jax.errors import InputError, JobIncompleteError
from actiongpt_jax.inference.phrase_embedder import PhraseEmbedder
from actiongpt_jax.inference.trained import load_model
from actiongpt_jax.inference.writer import Writer
from actiongpt_jax.llm.pacing import Pace
from actiongpt_jax.text.descriptions import read_descriptions
from tests.fake_openai import KEY, MODEL, start

DOG = "act like a dog"
slow = pytest.mark.slow


@pytest.fixture(scope="module")
def server():
    with start() as running:
        yield running


@pytest.fixture(autouse=True)
def at_home(tmp_path, monkeypatch):
    """Sets the key, changes to an empty folder, and shortens the waits."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    fast = functools.partial(Pace, first_wait=0.01, longest_wait=0.1)
    monkeypatch.setattr("actiongpt_jax.inference.writer.Pace", fast)


@pytest.fixture(scope="module")
def temos(random_run):
    return random_run("temos:debug")


def ask(server, command, flags):
    to = f"--describe-with {MODEL} --base-url {server.url}"
    command.main(shlex.split(f"{to} --describe-flags '--out asked.jsonl' {flags}"))


@slow
def test_an_unknown_phrase_is_described_once_and_generated(
    server, temos, capsys, monkeypatch
):
    server.plan()
    flags = f"--workdir {temos} --text '{DOG}' --text 'walk forward' --seconds 1"
    ask(server, generate, f"{flags} --out first")
    said = capsys.readouterr()
    # Only the unknown phrase is asked for, with the prompt and k of the training.
    (call,) = server.calls
    assert DOG in call["prompt"] and call["body"]["n"] == 2
    texts = [record.text for record in read_descriptions("asked.jsonl")[DOG]]
    assert texts == server.state()["sent"] and len(texts) == 2
    assert all(text in said.out for text in texts)
    assert "no descriptions" not in said.err and KEY not in said.out + said.err
    assert KEY not in pathlib.Path("asked.jsonl").read_text()
    # The second time comes from the cache, without a server or a key.
    monkeypatch.delenv("OPENAI_API_KEY")
    ask(server, generate, f"{flags} --out second")
    assert len(server.calls) == 1
    first, second = (
        load_motion(f"{f}/act_like_a_dog_0.npz") for f in ("first", "second")
    )
    assert (first.rotations == second.rotations).all()
    generate.main(shlex.split(f"{flags} --out bare"))
    assert "--describe-with" in capsys.readouterr().err
    bare = load_motion("bare/act_like_a_dog_0.npz")
    assert (first.rotations != bare.rotations).any()


@slow
def test_a_file_of_prompts_is_described_first_and_edits_are_too(server, temos):
    server.plan()
    pathlib.Path("p.txt").write_text(f"{DOG}\nwalk forward\nfly like a bird\n")
    ask(server, generate, f"--workdir {temos} --prompts p.txt --out many")
    assert len(server.calls) == 2
    assert len(list(pathlib.Path("many").glob("*.npz"))) == 3
    ask(server, edit, f"--workdir {temos} interpolate '{DOG}' 'swim' --steps 2")
    assert len(server.calls) == 3


@slow
def test_a_server_that_is_down_is_one_sentence_and_loses_nothing(
    server, temos, monkeypatch
):
    server.plan()
    model = load_model(temos)
    writer = Writer(MODEL, server.url, "--out asked.jsonl")
    writer.describe(model.config, [DOG])
    kept = pathlib.Path("asked.jsonl").read_bytes()
    flags = f"--workdir {temos} --text '{DOG}' --text swim --out motions"
    gone = "--base-url http://127.0.0.1:9/v1 --describe-flags '--out asked.jsonl'"
    with pytest.raises(InputError, match="start the server, or correct --base-url"):
        generate.main(shlex.split(f"--describe-with {MODEL} {gone} {flags}"))
    assert pathlib.Path("asked.jsonl").read_bytes() == kept
    assert not pathlib.Path("motions").exists()


@slow
def test_an_error_names_the_flags_of_this_command(server, temos, monkeypatch):
    server.plan()
    config = load_model(temos).config
    more = "--out asked.jsonl"
    with pytest.raises(
        InputError, match="use another --describe-with .*`describe --ch"
    ):
        Writer("nobody", server.url, more).describe(config, [DOG])
    monkeypatch.delenv("OPENAI_API_KEY")
    with pytest.raises(InputError, match="or use `describe --from-file` FILE"):
        Writer(MODEL, server.url, more).describe(config, [DOG])


@slow
def test_the_cost_limit_holds_for_all_questions_together(server, temos):
    server.plan()
    pathlib.Path("prices.json").write_text(
        json.dumps({MODEL: {"input": 0, "output": 1000}})
    )
    model = load_model(temos)
    # An answer of 20 tokens costs 2 cents; before it, 256 tokens are reserved.
    limits = "--prices prices.json --max-cost 0.06 --max-tokens 20 --out asked.jsonl"
    writer = Writer(MODEL, server.url, limits)
    embedder = PhraseEmbedder(model.config, writer=writer)
    embedder.describe_unknown([DOG])
    with pytest.raises(JobIncompleteError, match="--max-cost 0.06"):
        embedder.describe_unknown(["swim"])
    assert len(server.calls) == 1


@slow
def test_the_default_cache_is_next_to_the_text_store(server, temos, stores):
    server.plan()
    writer = Writer(MODEL, server.url)
    writer.describe(load_model(temos).config, [DOG])
    cache = stores[1].with_name(f"{stores[1].name}_asked.jsonl")
    assert list(read_descriptions(cache)) == [DOG]
    cache.unlink()


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ("--phrases x", "must not hold --phrases"),
        ("--k 3", "must not hold --k"),
        ("submit", "must not hold --step"),
        ("--words 0", "word limit"),
        ("--frobnicate", "unrecognized arguments"),
        ("--max-cost 1", "needs the price of the model"),
        ("'", "must be flags of `describe`"),
    ],
)
def test_wrong_flags_are_said_before_anything_is_asked(more, said):
    with pytest.raises(InputError, match=said):
        Writer(MODEL, None, more)
