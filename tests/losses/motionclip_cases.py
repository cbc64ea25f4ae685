"""Random outputs, batches and bodies for the tests of MotionCLIP's losses."""

import jax.numpy as jnp
import numpy as np

from actiongpt_jax.geometry.body import Body
from actiongpt_jax.models.motionclip import MotionClipOutputs

BATCH, FRAMES, WIDTH = 4, 6, 5
LENGTHS = np.array([6, 4, 1, 3])


def draw(seed=0, batch=BATCH, lengths=LENGTHS):
    """Returns random outputs and a random batch."""
    rng = np.random.default_rng(seed)
    mask = np.arange(FRAMES) < lengths[:, None]

    def poses():
        drawn = rng.normal(size=(batch, FRAMES, 150)).astype(np.float32)
        return jnp.asarray(np.where(mask[..., None], drawn, 0))

    def vectors():
        return jnp.asarray(rng.normal(size=(batch, WIDTH)), jnp.float32)

    outputs = MotionClipOutputs(vectors(), poses(), vectors(), vectors(), poses())
    return outputs, {"poses": poses(), "frame_mask": jnp.asarray(mask)}


def make_body(joints, seed=0):
    rng = np.random.default_rng(seed)
    return Body(
        v_template=rng.normal(size=(9, 3)).astype(np.float32),
        shapedirs=np.zeros((9, 3, 1), np.float32),
        posedirs=0.05 * rng.normal(size=(9, 3, 9 * joints - 9)).astype(np.float32),
        J_regressor=rng.dirichlet(np.ones(9), joints).astype(np.float32),
        weights=rng.dirichlet(np.ones(joints), 9).astype(np.float32),
        parents=(-1, *(int(rng.integers(i)) for i in range(1, joints))),
    )
