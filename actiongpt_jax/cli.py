"""What all command lines share: one sentence for bad input, and exit codes."""

import argparse
import errno
import os
import sys
from collections.abc import Callable, Sequence

from actiongpt_jax.errors import InputError, JobIncompleteError

_READER_LEFT = 141  # 128 + SIGPIPE, which not every system has


class Parser(argparse.ArgumentParser):
    """An argument parser whose errors read like every other error here."""

    def error(self, message: str):
        """Raises InputError in place of argparse's usage dump."""
        raise InputError(f"{message}; see `{self.prog} --help`")


def run(main: Callable[[Sequence[str]], None]) -> None:
    """Calls `main(argv)` and ends the process with 0, 1 (gaps) or 2 (bad input).

    Only errors that name the user's input are turned into a sentence; a fault of
    this library keeps its traceback. ACTIONGPT_JAX_TRACEBACK=1 keeps all. A reader
    that has seen enough (`| head`) ends the process without a word, with the code
    that shells give a process ended by SIGPIPE.
    """
    code = 0
    try:
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
        print(f"error: {_sentence(error)}", file=sys.stderr)
        code = 1 if isinstance(error, JobIncompleteError) else 2
    if not _flush():
        code = code or _READER_LEFT
    if code:
        sys.exit(code)


def _flush() -> bool:
    """Writes out what was printed; returns False if nobody reads it any more."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        # Python flushes once more at exit; what is left goes nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return False
    return True


def _sentence(error: Exception) -> str:
    if isinstance(error, OSError) and error.errno is not None:
        where = f" {error.filename}" if error.filename else ""
        if error.errno == errno.ENOSPC:
            return f"the disk is full while writing{where}; free space and run again"
        if error.errno in (errno.EACCES, errno.EROFS, errno.EPERM):
            return f"no permission to use{where}; choose a folder you may write to"
        return f"{error.strerror}:{where}"
    return str(error)
