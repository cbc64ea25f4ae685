"""Parts that all commands share: flags, help, errors of one sentence, exit codes."""

import argparse
import contextlib
import importlib.util
import io
import itertools
import math
import os
import pathlib
import re
import sys
import warnings
from collections.abc import Callable, Sequence
from typing import Any

from actiongpt_jax.choices import ALIGN, DIVERSE, FILE_FORMATS, SERIES, UPS, WINDOW
from actiongpt_jax.errors import InputError, JobIncompleteError, printable, sentence_of

_READER_LEFT = 141  # 128 + SIGPIPE; not every system defines SIGPIPE


class Help(
    argparse.RawDescriptionHelpFormatter, argparse.ArgumentDefaultsHelpFormatter
):
    """Keeps the lines of the description, and shows defaults that have a value."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        if action.default is None or action.default is False or action.default == []:
            return action.help
        return super()._get_help_string(action)


class Parser(argparse.ArgumentParser):
    """An argument parser with errors in the same style as all other errors here."""

    def __init__(self, **options):
        """Takes the options of argparse's parser; `Help` formats the help."""
        super().__init__(**{"formatter_class": Help, **options})
        # A flag without a type, which most flags for paths are; type=str allows "".
        self.register("type", None, _not_empty)

    def add_subparsers(self, **options):
        """Adds subcommands; each checks its own arguments."""
        subcommands = super().add_subparsers(**options)
        subcommands.type = str
        return subcommands

    def error(self, message: str):
        """Raises InputError instead of printing the usage and exiting."""
        message = re.sub(r"^argument (.+?): must", r"\1 must", message)
        raise InputError(f"{message}; see `{self.prog} --help`")


def _not_empty(text: str) -> str:
    """Refuses an empty text, such as an unset variable of a shell script.

    As a path, it would be the current folder.
    """
    if not text:
        raise argparse.ArgumentTypeError(
            "must not be empty; give a value, or leave the flag out"
        )
    return text


def command_parser(name: str, description: str | None) -> Parser:
    """Returns the parser of one command.

    Args:
        name: the command's name, such as 'train'.
        description: docstring of the command's module.
    """
    by_name = pathlib.Path(sys.argv[0]).stem == "actiongpt"
    prog = f"actiongpt {name}" if by_name else f"python -m actiongpt_jax.{name}"
    return Parser(prog=prog, description=description)


def add_checkpoint_flag(
    parser: argparse.ArgumentParser, note: str = "checkpoint: "
) -> None:
    """Adds --checkpoint: 'latest', 'best' or the number of a step.

    Args:
        parser: the parser to add it to.
        note: text to put before the help text.
    """
    which = f"{note}latest, best or the number of a step"
    parser.add_argument("--checkpoint", type=_step, default="latest", help=which)


def _step(text: str) -> str | int:
    return int(text) if text.isdecimal() else text


def add_model_flags(
    parser: argparse.ArgumentParser, descriptions: str = "none"
) -> None:
    """Adds the flags for the model and for the sources of its texts.

    Args:
        parser: the parser to add them to.
        descriptions: default of --descriptions, as shown in its help.
    """
    add = parser.add_argument
    names = "pretrained:temos, pretrained:teach, or hf:owner/name[@revision]"
    add(
        "--workdir",
        help=f"folder of a model, {names} (default: pretrained:teach)",
    )
    add_checkpoint_flag(parser)
    add("--embeddings", help="embedding store (default: the one used in training)")
    add(
        "--descriptions",
        help=f"file or folder of descriptions (default: {descriptions})",
    )


def add_prompt_flags(parser: argparse.ArgumentParser) -> None:
    """Adds the flags for many prompts: a file of them, or a split of a motion store."""
    add = parser.add_argument_group("many motions").add_argument
    columns = "columns text, seconds, samples, seed, name"
    add("--prompts", metavar="FILE", help=f"text, csv or jsonl file ({columns})")
    stretch = "generate a motion for every labelled stretch of train, val or test"
    add("--split", help=stretch)
    add("--limit", type=at_least(1), help="number of stretches to take (default: all)")
    add("--data", help="motion store of --split (default: the one used in training)")
    captured = "also write the captured motion of every stretch"
    add("--captured", action="store_true", help=captured)


def is_one_file(out: str) -> bool:
    """Says whether motions are to be written to one file of a viewer's format.

    Args:
        out: the path of that file, or of a folder.

    Raises:
        InputError: if the packages that write such files are missing.
    """
    path = pathlib.Path(out)
    one_file = path.suffix.lower() in FILE_FORMATS and not path.is_dir()
    if one_file and importlib.util.find_spec("matplotlib") is None:
        raise InputError(
            f"writing {out} needs more packages; run `pip install actiongpt_jax[view]`"
        )
    return one_file


def add_writer_flags(parser: argparse.ArgumentParser) -> None:
    """Adds the flags for a language model that describes unknown phrases."""
    add = parser.add_argument_group("descriptions on the spot").add_argument
    who = "language model that describes phrases without known descriptions"
    add("--describe-with", metavar="MODEL", help=who)
    address = "address of its server (default: OPENAI_BASE_URL, else OpenAI)"
    add("--base-url", metavar="URL", help=address)
    more = "further flags of `describe`, such as '--words 100 --max-cost 1'"
    add("--describe-flags", metavar="FLAGS", help=more)


def add_sampling_flags(parser: argparse.ArgumentParser) -> None:
    """Adds the flags for sampling motions and joining actions."""
    add = parser.add_argument
    mode = "default: past if the model reads the previous motion, else off"
    add("--series", choices=SERIES, help=f"how several texts are combined ({mode})")
    add("--align", choices=ALIGN, default="full", help="how actions are joined")
    length = "length of the slerp transition between actions, in frames"
    add("--window", type=int, default=WINDOW, help=length)
    add("--samples", type=at_least(1), default=1, help="number of motions per text")
    kind = "default: latent, or descriptions for a model that draws no latents"
    variation = f"source of variation between samples ({kind})"
    add("--diverse", choices=DIVERSE, help=variation)
    scale = "factor on the latent's deviation from its mean; 0 is the mean latent"
    add("--fact", type=number, default=1.0, help=scale)
    mean = {"action": "store_const", "const": 0.0, "default": argparse.SUPPRESS}
    add("--mean", dest="fact", **mean, help="the same as --fact 0")
    add(
        "--seed",
        type=at_least(0, 2**32 - 1),
        default=0,
        help="seed of all random numbers",
    )


def options_first(parser: argparse.ArgumentParser, argv: Sequence[str]) -> list[str]:
    """Moves a parser's own options before its subcommand, where argparse reads them.

    Args:
        parser: a parser with subcommands.
        argv: the command line, with the parser's options anywhere.

    Returns:
        The same command line with the parser's options, and their values, in front.
    """
    takes_value = {
        option: action.nargs != 0
        for action in parser._actions
        for option in action.option_strings
        if action.dest != "help"  # every subcommand has a help of its own
    }
    own, other, tokens = [], [], iter(argv)
    for token in tokens:
        option, equals, _ = token.partition("=")
        if token == "--":
            other += [token, *tokens]
        elif option in takes_value:
            own.append(token)
            if takes_value[option] and not equals:
                own += itertools.islice(tokens, 1)
        else:
            other.append(token)
    return own + other


def add_mocap_flags(parser: argparse.ArgumentParser) -> None:
    """Adds the flags for what a motion-capture file does not say, or says wrongly."""
    add = parser.add_argument
    add("--skeleton", help=".asf file of .amc files (default: found by its name)")
    add("--map", help="JSON or YAML {SMPL joint: joint of the file}, for some or all")
    add("--rest", help="rest pose: zero, directions or a frame (default: found)")
    add("--up", choices=UPS, help="axis of the file that is up (default: found)")
    legs = "metres per unit of the file (default: legs as long as SMPL's)"
    add("--scale", type=number, help=legs)
    rate = "frames per second of the file (default: as stated; .amc files: 120)"
    add("--source-fps", type=number, help=rate)


def mocap_settings(args: argparse.Namespace) -> dict[str, Any]:
    """Takes the values of the flags of `add_mocap_flags` out of the parsed ones.

    Returns:
        The fields of `MocapSettings`.
    """
    flags = {"joint_map": "map", "fps": "source_fps"}
    fields = ("skeleton", "joint_map", "rest", "up", "scale", "fps")
    return {field: vars(args).pop(flags.get(field, field)) for field in fields}


def at_least(least: int, most: int | None = None) -> Callable[[str], int]:
    """Returns an argparse type for whole numbers in a range.

    Args:
        least: smallest number allowed.
        most: largest number allowed; None for no limit.
    """

    def whole(text: str) -> int:
        value = int(text)
        if value < least or (most is not None and value > most):
            limits = f"{least} or more" if most is None else f"from {least} to {most}"
            raise argparse.ArgumentTypeError(f"must be {limits}, got {value}")
        return value

    # argparse uses this name in its error for a text that is not a number.
    whole.__name__ = "int"
    return whole


def number(text: str) -> float:
    """Reads a finite number; an argparse type."""
    value = float(text)
    if not math.isfinite(value):
        raise argparse.ArgumentTypeError(f"must be finite, got {value}")
    return value


def shorten_warnings() -> None:
    """Prints each warning as one line, without its place in the code."""
    warnings.showwarning = lambda message, *_, **__: print(
        f"warning: {message}", file=sys.stderr
    )


def run(main: Callable[[Sequence[str]], None]) -> None:
    """Calls `main(argv)` and exits with 0, 1 (job incomplete) or 2 (bad input).

    Only errors about the user's input are printed as a sentence; an error in this
    library keeps its traceback. ACTIONGPT_JAX_TRACEBACK=1 shows every traceback.
    Characters that the encoding of stdout lacks are printed as escapes. If the
    reader of stdout closes it (`| head`), the process ends quietly, with the exit code
    that shells give to a process ended by SIGPIPE.
    """
    # A text may have characters that the encoding of stdout lacks; stderr escapes them
    # by default.
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    code = 0
    out: Any = _Printable(sys.stdout)
    err: Any = _Printable(sys.stderr)
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            main(sys.argv[1:])
    except SystemExit:
        _flush()
        raise
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        code = 130
    except BrokenPipeError:
        code = _READER_LEFT
    except (InputError, JobIncompleteError, OSError) as error:
        if os.environ.get("ACTIONGPT_JAX_TRACEBACK") == "1":
            raise
        # Threads of packages fail with the job, and would add their tracebacks.
        sys.unraisablehook = lambda _: None
        print(f"error: {printable(sentence_of(error))}", file=sys.stderr)
        code = 1 if isinstance(error, JobIncompleteError) else 2
    if not _flush():
        code = code or _READER_LEFT
    if code:
        sys.exit(code)


class _Printable:
    """A stream on which text from a file cannot change the terminal."""

    def __init__(self, stream: Any):
        self._stream = stream

    def write(self, text: str) -> int:
        self._stream.write(printable(text, keep="\n\r\t"))
        return len(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def _flush() -> bool:
    """Flushes stdout; returns False if its reader has closed it."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        # Python flushes again at exit: discard what is left.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return False
    return True
