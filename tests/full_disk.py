"""A stand-in for a full disk."""

import contextlib
from collections.abc import Iterator


@contextlib.contextmanager
def file_size_limit(size: int) -> Iterator[None]:
    """Limits every file to `size` bytes; a longer write raises OSError.

    As on a full disk, the part of a write that fits is written before the error.
    """
    import resource  # exists on POSIX only

    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
