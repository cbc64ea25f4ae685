"""The surface of a body model along a motion."""

import jax
import numpy as np

from actiongpt_jax.data.motion import Motion
from actiongpt_jax.errors import InputError
from actiongpt_jax.geometry import body as bodies
from actiongpt_jax.viewing.figure import check_motion, motion_matrices
from actiongpt_jax.viewing.raster import Surface

_ROWS = 32  # frames of one call; a frame's blend of joints takes a megabyte
_skin = jax.jit(bodies.skin)


def motion_surface(motion: Motion, body: bodies.Body) -> Surface:
    """Poses a body, at its mean shape, in every frame of a motion.

    Args:
        motion: what to do.
        body: SMPL, SMPL-H or another with SMPL's 22 body joints first.

    Raises:
        InputError: if the body has fewer joints or no faces.
    """
    check_motion(motion)
    if body.faces is None or body.num_joints < motion.rotations.shape[1]:
        raise InputError(
            "the body model must have faces and SMPL's 22 body joints, got "
            f"{body.num_joints} joints; use SMPL's or SMPL-H's model.npz"
        )
    matrices = motion_matrices(motion).astype(np.float32)
    frames = len(matrices)
    parts = []
    for start in range(0, frames, _ROWS):
        rows = np.minimum(np.arange(start, start + _ROWS), frames - 1)
        _, vertices = _skin(body, matrices[rows], motion.translation[rows])
        parts.append(np.asarray(vertices))
    return Surface(np.concatenate(parts)[:frames], np.asarray(body.faces))
