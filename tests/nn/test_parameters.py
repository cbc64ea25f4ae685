import jax.numpy as jnp
import numpy as np

from actiongpt_jax.nn.parameters import count_parameters, parameter_hash

VARIABLES = {
    "params": {
        "norm": {"scale": np.ones(3, np.float32), "bias": np.zeros(3, np.float32)},
        "dense": {"kernel": np.arange(6, dtype=np.float32).reshape(2, 3)},
    }
}


def test_count_parameters_counts_scalars():
    assert count_parameters(VARIABLES) == 12
    assert count_parameters({}) == 0


def test_hash_equals_recorded_hashes():
    # Embedding stores and checkpoints record hashes, so they must never change.
    assert parameter_hash(VARIABLES) == "62ea460f863fb931d0c1c85f30a1fd9a"


def test_hash_depends_on_values_shapes_and_names():
    kernel = VARIABLES["params"]["dense"]["kernel"]
    same = {"params": {"dense": {"kernel": jnp.asarray(kernel)}}}
    assert parameter_hash(same) == parameter_hash(
        {"params": {"dense": {"kernel": kernel}}}
    )
    others = [
        {"params": {"dense": {"kernel": kernel + 1}}},
        {"params": {"dense": {"kernel": kernel.reshape(3, 2)}}},
        {"params": {"dense": {"bias": kernel}}},
        {"dense": {"kernel": kernel}},
    ]
    hashes = {parameter_hash(variables) for variables in [same, *others]}
    assert len(hashes) == 5
    # The hash does not depend on the layout in memory.
    transposed = {"params": {"dense": {"kernel": kernel.T.copy().T}}}
    assert parameter_hash(transposed) == parameter_hash(same)
