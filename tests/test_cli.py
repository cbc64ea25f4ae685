"""Parts that all commands share: help, exit codes, errors, and a closed stdout."""

import argparse
import importlib
import os
import subprocess
import sys

import pytest

from actiongpt_jax import cli, edit
from actiongpt_jax.__main__ import COMMANDS

HEAVY = {"jax", "flax", "transformers", "scipy", "matplotlib", "openai"}

CODE = """
import sys
from actiongpt_jax import cli
from actiongpt_jax.errors import InputError, JobIncompleteError

# Clears the screen, forges a line, writes from right to left, and is no valid Unicode.
HOSTILE = "a\\x1b[2Jb\\r\\nerror: fine\\u202ec\\udc80"

def main(argv):
    parser = cli.Parser(prog="x")
    parser.add_argument("what")
    what = parser.parse_args(argv).what
    print("line\\n" * (50_000 if what == "much" else 1))
    if what == "letters":
        print("caf\\u00e9 \\u8df3 \\U0001f483 \\udc80")
    if what == "bad":
        raise InputError("this must be that")
    if what == "gaps":
        raise JobIncompleteError("two are missing")
    if what == "full":
        raise OSError(28, "No space left on device", "out.bin")
    if what == "hostile":
        print(HOSTILE)
        print(HOSTILE, file=sys.stderr)
        raise InputError(f"{HOSTILE} must be short, got {HOSTILE * 900}; cut it")
    if what == "fault":
        raise KeyError("ours")

cli.run(main)
"""


EDIT = ["--workdir", "W", "--out", "D", "--seconds=1"]


@pytest.mark.parametrize(
    "argv",
    [
        [*EDIT, "change", "walk", "--minus", "sit", "--plus", "run"],
        ["change", *EDIT, "walk", "--minus", "sit", "--plus", "run"],
        ["change", "walk", "--minus", "sit", "--plus", "run", *EDIT],
        ["--out", "D", "change", "--minus", "sit", "--workdir=W", "walk"]
        + ["--seconds", "1", "--plus", "run"],
    ],
)
def test_options_of_edit_go_anywhere(argv):
    parser = edit.make_parser()
    args = parser.parse_args(cli.options_first(parser, argv))
    assert (args.workdir, args.out, args.seconds) == ("W", "D", 1.0)
    assert (args.kind, args.base, args.minus, args.plus) == (
        "change",
        "walk",
        "sit",
        "run",
    )


@pytest.mark.parametrize("argv", [["reconstruct", "--help"], ["--help"]])
def test_help_of_edit_is_that_of_the_word_before_it(argv, capsys):
    with pytest.raises(SystemExit):
        edit.main(argv)
    assert ("motions [motions" in capsys.readouterr().out) == (argv[0] != "--help")


def command(*argv, **options):
    return subprocess.run(
        [sys.executable, "-c", CODE, *argv],
        stderr=subprocess.PIPE,
        text=True,
        check=False,
        **options,
    )


@pytest.mark.parametrize(
    ("name", "argv", "flag"),
    [
        ("prepare", ["check", ""], "paths"),
        ("prepare", ["windows", "store", "--out", ""], "--out"),
        ("prepare", ["table", "--motions", "x", "--rule=", "--out", "y"], "--rule"),
        ("render", ["x.npz", "--out", "x.png", "--body", ""], "--body"),
        ("edit", ["--workdir", "", "reconstruct", "x.npz"], "--workdir"),
        ("convert", ["", "--out", "x"], "source"),
        ("describe", ["--diff", "a", ""], "--diff"),
    ],
)
def test_an_empty_path_is_not_the_current_folder(name, argv, flag, run_command):
    command = importlib.import_module(f"actiongpt_jax.{name}")
    code, _, stderr = run_command(command, *argv)
    assert code == 2 and stderr.count("\n") == 1
    assert "must not be empty" in stderr and flag in stderr


@pytest.mark.parametrize(
    ("name", "argv"),
    [
        ("prepare", ["synthetic", "--sequences", "1", "--out"]),
        ("generate", ["--text", "squat", "--workdir", "pretrained:temos", "--out"]),
    ],
)
def test_a_path_below_a_file_is_named(name, argv, tmp_path, run_command):
    (tmp_path / "mine").write_text("mine")
    command = importlib.import_module(f"actiongpt_jax.{name}")
    code, _, stderr = run_command(command, *argv, tmp_path / "mine" / "x")
    error = stderr.splitlines()[-1]
    assert code == 2 and str(tmp_path / "mine") in error
    assert "not a folder" in error
    assert (tmp_path / "mine").read_text() == "mine"


@pytest.mark.parametrize("encoding", ["cp1252", "ascii", "utf-8", "latin-1"])
def test_letters_that_stdout_lacks_are_printed_as_escapes(encoding):
    environment = os.environ | {"PYTHONIOENCODING": encoding}
    done = command(
        "letters", stdout=subprocess.PIPE, env=environment, encoding=encoding
    )
    assert (done.returncode, done.stderr) == (0, "")
    letters = "caf\u00e9 \u8df3 \U0001f483 \udc80".encode(encoding, "backslashreplace")
    assert letters.decode(encoding) in done.stdout


@pytest.mark.parametrize(
    ("argv", "code", "message"),
    [
        (["much"], 0, ""),
        (["bad"], 2, "error: this must be that\n"),
        (["gaps"], 1, "error: two are missing\n"),
        (["full"], 2, "error: the disk is full while writing out.bin; free space and"),
        ([], 2, "error: the following arguments are required: what; see `x --help`\n"),
        (["fault"], 1, "Traceback"),
    ],
)
def test_exit_codes(argv, code, message):
    done = command(*argv, stdout=subprocess.DEVNULL)
    assert done.returncode == code
    assert done.stderr.startswith(message)
    assert bool(done.stderr) == bool(message)


def test_text_from_files_does_not_reach_the_terminal_as_it_is():
    done = command("hostile", stdout=subprocess.PIPE)
    assert done.returncode == 2
    for text in (done.stdout, done.stderr):
        assert r"a\x1b[2Jb" in text and r"fine\u202ec\udc80" in text
        assert "\x1b" not in text and "\u202e" not in text
    *_, sentence = done.stderr.removesuffix("\n").split("\n")
    assert sentence.startswith(r"error: a\x1b[2Jb\r\nerror: fine")
    assert sentence.endswith("; cut it") and len(sentence) < 2000


@pytest.mark.parametrize(
    ("what", "code", "message"),
    [
        ("much", 141, ""),
        ("little", 141, ""),
        ("--help", 0, ""),
        ("bad", 2, "error: this must be that\n"),
    ],
)
@pytest.mark.parametrize("buffered", [True, False])
def test_closed_stdout_exits_quietly(what, code, message, buffered):
    reader, writer = os.pipe()
    os.close(reader)
    environment = {**os.environ, "PYTHONUNBUFFERED": "" if buffered else "1"}
    done = command(what, stdout=writer, env=environment)
    os.close(writer)
    # Without a buffer, printing the first line ends the process.
    assert (done.returncode, done.stderr) == (
        (code, message) if buffered or what == "--help" else (141, "")
    )


def parsers(name):
    """Returns a command's parser and the parsers of its subcommands."""
    parser = importlib.import_module(f"actiongpt_jax.{name}").make_parser()
    kinds = [a for a in parser._actions if isinstance(a, argparse._SubParsersAction)]
    return [parser, *(p for action in kinds for p in action.choices.values())]


# Starts every command twice, and prints the packages that are then imported.
START_ALL = """
import itertools, runpy, sys
for name, flag in itertools.product(sys.argv[1:], ("--help", "--no-such-flag=1")):
    sys.argv = ["x", flag]
    try:
        runpy.run_module(f"actiongpt_jax.{name}", run_name="__main__")
    except SystemExit:
        print("imported:", name, *{module.split(".")[0] for module in sys.modules})
"""


def test_help_imports_no_heavy_package():
    done = subprocess.run(
        [sys.executable, "-c", START_ALL, *COMMANDS],
        capture_output=True,
        text=True,
        check=True,
    )
    lines = [line for line in done.stdout.splitlines() if line.startswith("imported:")]
    assert len(lines) == 2 * len(COMMANDS)
    for line in lines:
        assert not HEAVY & set(line.split()), line


@pytest.mark.parametrize("name", COMMANDS)
def test_help_keeps_example_lines_and_explains_every_flag(name):
    for parser in parsers(name):
        text = parser.format_help()
        for line in (parser.description or "").splitlines():
            assert line in text
        for action in parser._actions:
            assert action.help, action
            assert not action.help[0].isupper() or action.help[:2].isupper(), action
            is_set = action.default not in (None, False, [], argparse.SUPPRESS)
            if action.option_strings and is_set:
                assert f"(default: {action.default})" in " ".join(text.split())


@pytest.mark.parametrize(
    ("started", "prog"),
    [
        ("/usr/bin/actiongpt", "actiongpt train"),
        ("/x/train.py", "python -m actiongpt_jax.train"),
    ],
)
def test_help_names_the_program_that_was_started(monkeypatch, started, prog):
    monkeypatch.setattr(sys, "argv", [started, "train"])
    assert parsers("train")[0].prog == prog


def package(*argv):
    return subprocess.run(
        [sys.executable, "-m", "actiongpt_jax", *argv],
        capture_output=True,
        text=True,
        check=False,
    )


def test_package_lists_its_commands():
    listed = package().stdout
    assert listed == package("--help").stdout
    lines = [line.split(maxsplit=1) for line in listed.splitlines() if line[:1] == " "]
    assert [name for name, _ in lines] == list(COMMANDS)
    for name, line in lines:
        module = importlib.import_module(f"actiongpt_jax.{name}")
        assert module.__doc__ is not None and module.__doc__.startswith(line)


def test_package_runs_a_command():
    done = package("train", "--config", "no_such_config")
    assert done.returncode == 2
    assert done.stderr.startswith("error: config file no_such_config does not exist")


@pytest.mark.parametrize(("word", "near"), [("trian", "train"), ("xyz", "prepare")])
def test_unknown_command_prints_one_sentence(word, near):
    done = package(word, "--config", "temos")
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"error: command {word!r} is unknown; ") and near in line
