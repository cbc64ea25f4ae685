"""Says whether a motion does what a phrase of the built-in corpus says.

A phrase is satisfied if each of its moves is seen and, for a move with a side, if it is
not seen on the other side as well.
"""

import numpy as np
from jaxtyping import Float

from actiongpt_jax.choices import FRAMERATE
from actiongpt_jax.metrics.semantic import Recording
from actiongpt_jax.synthetic.phrases import Phrase
from actiongpt_jax.synthetic.predicates.arms import ARMS
from actiongpt_jax.synthetic.predicates.gaits import GAITS
from actiongpt_jax.synthetic.predicates.legs import LEGS
from actiongpt_jax.synthetic.predicates.trunk import TRUNK

PREDICATES = GAITS | LEGS | ARMS | TRUNK


def satisfies(
    phrase: Phrase,
    joints: Float[np.ndarray, "T 22 3"] | Recording,
    fps: float = FRAMERATE,
) -> bool:
    """Says whether a motion shows what a phrase says.

    Args:
        phrase: the phrase.
        joints: (T, 22, 3) metres, z up: the frames of this action alone; or the
            recording made of them, which many phrases can share.
        fps: frames per second of the joints.

    Raises:
        InputError: for a wrong shape, or a frame rate that is not above 0.
    """
    body = joints if isinstance(joints, Recording) else Recording(joints, fps)
    for name, side in phrase.parts:
        predicate = PREDICATES[name]
        if side is None:
            if not predicate(body, -1):
                return False
        elif not predicate(body, side):
            return False
        elif (name, 1 - side) not in phrase.parts and predicate(body, 1 - side):
            return False
    return True
