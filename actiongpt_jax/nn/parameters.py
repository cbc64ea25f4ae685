"""Size and hash of a tree of parameters."""

import hashlib
import zlib
from typing import Any

import jax
import numpy as np


def count_parameters(variables: Any) -> int:
    """Returns the number of scalars in a tree of arrays."""
    return sum(leaf.size for leaf in jax.tree.leaves(variables))


def parameter_hash(variables: Any) -> str:
    """Returns a hash of the parameters that does not depend on their file format.

    Embedding stores and checkpoints record this hash of their text encoder, so the
    bytes that are hashed must never change.

    Args:
        variables: tree of arrays, such as a Linen module's `{'params': ...}`.

    Returns:
        The first 32 hex digits of the SHA-256 over the path, the shape and the bytes
        of every array, in the tree's order.
    """
    digest = hashlib.sha256()
    leaves, _ = jax.tree_util.tree_flatten_with_path(variables)
    for path, leaf in leaves:
        digest.update(f"{jax.tree_util.keystr(path)}{leaf.shape}".encode())
        digest.update(np.ascontiguousarray(leaf).data)
    return digest.hexdigest()[:32]


def checksums(tree: Any) -> dict[str, int]:
    """Returns name -> CRC-32 of the numbers of every array of a tree.

    Checkpoints record them, so the names and the bytes must never change.
    """
    leaves, _ = jax.tree_util.tree_flatten_with_path(tree)
    return {
        jax.tree_util.keystr(path): zlib.crc32(
            np.ascontiguousarray(leaf).reshape(-1).view(np.uint8).data
        )
        for path, leaf in leaves
    }
