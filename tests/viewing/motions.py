"""Example motions for the tests of pictures, pages and exported files."""

import numpy as np
from scipy.spatial.transform import Rotation

from actiongpt_jax.data.motion import Motion
from actiongpt_jax.geometry.body import Body
from actiongpt_jax.geometry.skeletons import SMPL22
from actiongpt_jax.viewing.capsules import capsule_mesh

# Texts that break careless HTML, fonts, formats or layouts.
HOSTILE = (
    "</script><script>window.harmed=1</script>",
    '"><img src=x onerror="window.harmed=1"> & \'quoted\' <b>',
    "\u202eright to left\u202c \u0645\u0631\u062d\u0628\u0627 \u05e9\u05dc\u05d5\u05dd",
    "\U0001f57a\U0001f3fd dance \ud83d $\\frac{1}{0}$ {braces} %s",
    "x" * 10_000,
    "walk " * 2_000,
)


def upright(frames: int, text=("raise the left arm",), fps=30.0) -> Motion:
    """Returns a body that faces -x, walks forward and raises its left arm."""
    rotations = np.zeros((frames, 22, 3), np.float32)
    # Turn the y-up body into the z-up world, facing -y, then by 90 degrees to face -x.
    root = Rotation.from_euler("z", -90, degrees=True) * Rotation.from_euler(
        "x", 90, degrees=True
    )
    rotations[:, 0] = root.as_rotvec()
    rotations[:, 16, 2] = np.linspace(-1.2, np.pi / 2, frames)
    rotations[:, 17, 2] = 1.2
    translation = np.zeros((frames, 3), np.float32)
    translation[:, 0] = -np.arange(frames) / fps
    translation[:, 2] = 0.9  # puts the soles of SMPL's rest pose on the ground
    lengths = np.full(len(text), frames // len(text))
    lengths[-1] += frames - lengths.sum()
    return Motion(rotations, translation, fps, tuple(text), tuple(lengths.tolist()))


def capsule_body():
    """Returns a body model made of the figure's capsules, without blend shapes."""
    mesh = capsule_mesh()
    count = len(mesh.vertices)
    weights = np.zeros((count, 22), np.float32)
    weights[np.arange(count), mesh.joints] = 1.0
    # Any regressor that maps the vertices to the rest joints will do.
    regressor = np.linalg.pinv(mesh.vertices.T) @ SMPL22.rest_joints.T
    return Body(
        v_template=mesh.vertices.astype(np.float32),
        shapedirs=np.zeros((count, 3, 1), np.float32),
        posedirs=np.zeros((count, 3, 9 * 21), np.float32),
        J_regressor=regressor.T.astype(np.float32),
        weights=weights,
        parents=SMPL22.parents,
        faces=mesh.faces,
    )
