"""Everything that knows about devices and processes.

One device runs the step under jit; several, or several processes, under pmap with
the state given once (`in_axes=None`) and the batch split along its first axis.
"""

import pathlib
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from actiongpt_jax.errors import InputError

AXIS = "batch"


def initialize(
    coordinator: str | None, num_processes: int | None, process_id: int | None
) -> None:
    """Joins the other processes of a run, one call per process, before any array.

    Args:
        coordinator: 'host:port' of process 0; 'auto' reads Slurm's, Open MPI's or
            a cloud's own variables; None for a run of one process.
        num_processes: in all; None under 'auto'.
        process_id: 0 to num_processes - 1; None under 'auto'.

    Raises:
        InputError: if only some of the three are given.
    """
    if coordinator is None:
        if num_processes is not None or process_id is not None:
            raise InputError(
                "--num_processes and --process_id need --coordinator HOST:PORT"
            )
        return
    if coordinator == "auto":
        jax.distributed.initialize(initialization_timeout=120)
        return
    if num_processes is None or process_id is None:
        raise InputError(
            "--coordinator HOST:PORT needs --num_processes and --process_id"
        )
    jax.distributed.initialize(
        coordinator, num_processes, process_id, initialization_timeout=120
    )


def use_compilation_cache(folder: pathlib.Path) -> None:
    """Keeps compiled programs on disk, unless the user already chose a folder."""
    chosen = jax.config.jax_compilation_cache_dir  # pyright: ignore[reportAttributeAccessIssue]
    if chosen is None:
        jax.config.update("jax_compilation_cache_dir", str(folder))


class DataParallel:
    """Runs steps on all devices of all processes.

    Attributes:
        axis_name: what a step must sum over, or None on a single device.
    """

    def __init__(self, batch_size: int):
        """Checks that the global batch divides among the devices.

        Raises:
            InputError: if it does not.
        """
        if batch_size % jax.device_count():
            raise InputError(
                "config.train.batch_size must be a multiple of the number of devices "
                f"({jax.device_count()}), got {batch_size}"
            )
        self._several = jax.device_count() > 1
        self.axis_name = AXIS if self._several else None

    def compile(self, step: Callable, donate_state: bool) -> Callable:
        """Compiles `step(state, batch)`; its results are the same on every device."""
        donated = (0,) if donate_state else ()
        if not self._several:
            return jax.jit(step, donate_argnums=donated)
        return jax.pmap(
            step,
            axis_name=AXIS,
            in_axes=(None, 0),
            out_axes=None,  # pyright: ignore[reportArgumentType]
            donate_argnums=donated,
        )

    def place_state(self, state: Any) -> Any:
        """Puts a state where the compiled step wants it.

        A fresh state that is donated without this fails on two processes at step 0.
        """
        if not self._several:
            return jax.device_put(state)
        mesh = Mesh(np.array(jax.local_devices()), (AXIS,))
        return jax.device_put(state, NamedSharding(mesh, PartitionSpec()))

    def place_batch(self, batch: dict[str, np.ndarray]) -> dict[str, jax.Array]:
        """Splits this process's rows among its devices and starts the transfer."""
        if not self._several:
            return jax.device_put(batch)
        devices = jax.local_devices()
        sharding = NamedSharding(Mesh(np.array(devices), (AXIS,)), PartitionSpec(AXIS))
        return {
            name: jax.device_put(
                array.reshape(len(devices), -1, *array.shape[1:]), sharding
            )
            for name, array in batch.items()
        }
