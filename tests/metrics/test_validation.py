import jax
import jax.numpy as jnp
import numpy as np
import pytest

from actiongpt_jax.features import pose6d
from actiongpt_jax.geometry.kinematics import forward_kinematics
from actiongpt_jax.geometry.rotations import axis_angle_to_matrix
from actiongpt_jax.metrics.validation import joint_error_terms
from actiongpt_jax.models.motionclip import MotionClipOutputs


@pytest.mark.slow
def test_joint_error_is_the_mean_distance_over_real_frames():
    rng = np.random.default_rng(0)
    lengths, frames = np.array([5, 2, 0]), 5
    mask = np.arange(frames) < lengths[:, None]
    rots = axis_angle_to_matrix(rng.normal(size=(2, 3, frames, 24, 3)).astype("f4"))
    moves = rng.normal(size=(2, 3, frames, 3)).astype("f4")
    poses = jax.jit(pose6d.encode)(rots, moves)
    latent = jnp.zeros((3, 4))
    outputs = MotionClipOutputs(latent, poses[0], latent)
    batch = {"poses": poses[1], "frame_mask": mask}
    total, count = jax.jit(joint_error_terms)(outputs, batch)["joint_error"]
    assert count == 7 * 22
    # Displacements do not count, because the roots stay in place.
    joints = np.asarray(forward_kinematics(rots[..., :22, :, :], np.zeros_like(moves)))
    distance = np.linalg.norm(joints[0] - joints[1], axis=-1)[mask]
    # Rounding of both sets of joints.
    np.testing.assert_allclose(total / count, distance.mean(), rtol=1e-5)
