"""Fetches files of repositories on the Hugging Face hub."""

import pathlib
from collections.abc import Sequence

from actiongpt_jax.errors import InputError


def fetch(
    name: str,
    files: Sequence[str],
    revision: str | None = None,
    *,
    what: str,
    remedy: str,
) -> pathlib.Path:
    """Returns a folder with files of a repository, downloaded unless they are cached.

    Args:
        name: the repository, 'owner/name'.
        files: names or patterns of the files that are needed; others are left out, and
            one that the repository lacks is no error.
        revision: branch, tag or commit; None takes the main branch.
        what: what is fetched, for the error sentence.
        remedy: end of the error sentence: what the user can do instead.

    Raises:
        InputError: if the repository or the revision does not exist, or if the hub
            cannot be reached and the cache does not hold the files.
    """
    # The import takes long, and most models are folders that need no download.
    import huggingface_hub
    from huggingface_hub import errors

    try:
        return pathlib.Path(
            huggingface_hub.snapshot_download(
                name, revision=revision, allow_patterns=list(files)
            )
        )
    except errors.RevisionNotFoundError as error:
        cause, reason = error, f"{name} has no revision {revision!r}"
    except errors.RepositoryNotFoundError as error:
        cause, reason = error, f"there is no repository {name}, or it is private"
    except errors.HFValidationError as error:
        cause, reason = error, f"a repository is named owner/name, got {name!r}"
    except errors.EntryNotFoundError as error:
        cause = error
        reason = "it is not in the cache, and the hub cannot be reached"
    except (OSError, ValueError) as error:
        cause, reason = error, " ".join(str(error).split())[:160]
    raise InputError(
        f"{what} cannot be fetched from the Hugging Face hub: {reason}; {remedy}"
    ) from cause
