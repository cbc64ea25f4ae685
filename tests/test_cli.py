"""What all command lines share: exit codes, one sentence, and readers that leave."""

import os
import subprocess
import sys

import pytest

CODE = """
import sys
from actiongpt_jax import cli
from actiongpt_jax.errors import InputError, JobIncompleteError

def main(argv):
    parser = cli.Parser(prog="x")
    parser.add_argument("what")
    what = parser.parse_args(argv).what
    print("line\\n" * (50_000 if what == "much" else 1))
    if what == "bad":
        raise InputError("this must be that")
    if what == "gaps":
        raise JobIncompleteError("two are missing")
    if what == "full":
        raise OSError(28, "No space left on device", "out.bin")
    if what == "fault":
        raise KeyError("ours")

cli.run(main)
"""


def command(*argv, **options):
    return subprocess.run(
        [sys.executable, "-c", CODE, *argv],
        stderr=subprocess.PIPE,
        text=True,
        check=False,
        **options,
    )


@pytest.mark.parametrize(
    ("argv", "code", "said"),
    [
        (["much"], 0, ""),
        (["bad"], 2, "error: this must be that\n"),
        (["gaps"], 1, "error: two are missing\n"),
        (["full"], 2, "error: the disk is full while writing out.bin; free space and"),
        ([], 2, "error: the following arguments are required: what; see `x --help`\n"),
        (["fault"], 1, "Traceback"),
    ],
)
def test_exit_codes(argv, code, said):
    done = command(*argv, stdout=subprocess.DEVNULL)
    assert done.returncode == code
    assert done.stderr.startswith(said) and bool(done.stderr) == bool(said)


@pytest.mark.parametrize(
    ("what", "code", "said"),
    [
        ("much", 141, ""),
        ("little", 141, ""),
        ("--help", 0, ""),
        ("bad", 2, "error: this must be that\n"),
        ("gaps", 1, "error: two are missing\n"),
    ],
)
@pytest.mark.parametrize("buffered", [True, False])
def test_nobody_reads_what_is_printed(what, code, said, buffered):
    reader, writer = os.pipe()
    os.close(reader)
    environment = {**os.environ, "PYTHONUNBUFFERED": "" if buffered else "1"}
    done = command(what, stdout=writer, env=environment)
    os.close(writer)
    # Without a buffer the first line printed ends it, whatever was to follow.
    assert (done.returncode, done.stderr) == (
        (code, said) if buffered or what == "--help" else (141, "")
    )
