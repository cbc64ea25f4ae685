"""Writing files as a whole: half a file is never seen."""

import contextlib
import os
import pathlib
import tempfile
from collections.abc import Iterator


@contextlib.contextmanager
def replaced(path: str | os.PathLike) -> Iterator[pathlib.Path]:
    """Gives a path to write to, which takes the place of `path` on success.

    Args:
        path: of the file; its folder is made.

    Yields:
        A path in the same folder with the same suffix.
    """
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(path.suffix, ".new-", path.parent)
    os.close(handle)
    temporary = pathlib.Path(name)
    try:
        yield temporary
        os.chmod(temporary, 0o644)  # mkstemp's own mode hides it from colleagues
        os.replace(temporary, path)
    except OSError as error:
        # The user knows the file by the name that was asked for.
        raise OSError(error.errno, error.strerror, str(path)) from error
    finally:
        temporary.unlink(missing_ok=True)
