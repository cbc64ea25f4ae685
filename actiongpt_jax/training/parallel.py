"""Runs steps on one or several devices and processes; no other module knows of them.

A single device runs the step under jit. Several devices or processes run it under pmap:
the state is given once (`in_axes=None`), the batch is split along its first axis.
"""

import socket
import time
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from actiongpt_jax.config import cache_folder
from actiongpt_jax.errors import InputError

AXIS = "batch"


def initialize(
    coordinator: str | None,
    num_processes: int | None,
    process_id: int | None,
    patience: int = 120,
) -> None:
    """Joins the other processes of a run; call it once per process, before any array.

    Args:
        coordinator: 'host:port' of process 0; 'auto' reads the variables of
            Slurm, Open MPI or a cloud; None for a run of one process.
        num_processes: number of processes of the run; None with 'auto'.
        process_id: number of this process, from 0 to num_processes - 1; None with
            'auto'.
        patience: how long the processes wait for each other, in seconds.

    Raises:
        InputError: if only some of the three are given, one is invalid, or process 0 is
            not reached in time.
    """
    if coordinator is None:
        if num_processes is not None or process_id is not None:
            raise InputError(
                "--num_processes and --process_id need --coordinator HOST:PORT"
            )
        return
    if coordinator == "auto":
        jax.distributed.initialize(initialization_timeout=patience)
        return
    if num_processes is None or process_id is None:
        raise InputError(
            "--coordinator HOST:PORT needs --num_processes and --process_id"
        )
    if not 0 <= process_id < num_processes:
        raise InputError(
            "--process_id must be from 0 to --num_processes minus 1, got "
            f"--process_id {process_id} --num_processes {num_processes}"
        )
    # Checked first, because jax ends the whole process if it cannot connect.
    host, port = _split_address(coordinator)
    if process_id == 0:
        _check_free(port)
    else:
        _await_coordinator(host, port, patience)
    jax.distributed.initialize(
        coordinator, num_processes, process_id, initialization_timeout=patience
    )


def _split_address(coordinator: str) -> tuple[str, int]:
    host, colon, port = coordinator.rpartition(":")
    number = int(port) if port.isascii() and port.isdigit() else 0
    if not host or not colon or not 0 < number < 65536:
        raise InputError(
            "--coordinator must be HOST:PORT of process 0 with a port from 1 to 65535, "
            f"such as node0:12345, or 'auto', got {coordinator!r}"
        )
    host = host.removeprefix("[").removesuffix("]")
    try:
        socket.getaddrinfo(host, number)
    except (OSError, UnicodeError) as error:
        raise InputError(
            f"--coordinator {coordinator}: no machine is called {host!r} "
            f"({error}); give the name or address of the machine that runs process 0"
        ) from error
    return host, number


def _check_free(port: int) -> None:
    try:
        socket.create_server(("", port)).close()
    except OSError as error:
        raise InputError(
            f"--coordinator: process 0 cannot listen on port {port} "
            f"({error.strerror}); give all processes another port, 1024 or higher"
        ) from error


def _await_coordinator(host: str, port: int, patience: int) -> None:
    deadline = time.monotonic() + patience
    while True:
        try:
            socket.create_connection((host, port), timeout=5).close()
            return
        except OSError as error:
            if time.monotonic() > deadline:
                raise InputError(
                    f"--coordinator {host}:{port} did not answer for {patience} s "
                    f"({error}); start process 0 on that machine, or open the port"
                ) from error
        time.sleep(0.2)


def run_on_first(work: Callable[[], None], what: str) -> None:
    """Runs a function on process 0, while the other processes wait for its result.

    Args:
        work: function that makes files which every process can read.
        what: name of these files, for the error of the other processes.

    Raises:
        InputError: in the other processes, if `work` failed in process 0.
    """
    done = False
    try:
        if jax.process_index() == 0:
            work()
        done = True
    finally:
        # Sent in either case, so that no process waits for one that has failed.
        if jax.process_count() > 1:
            done = bool(multihost_utils.broadcast_one_to_all(np.int32(done)))
    if not done:
        raise InputError(f"process 0 could not make {what}; its own message says why")


def use_compilation_cache() -> None:
    """Stores compiled programs in the cache folder, unless the user chose another."""
    chosen = jax.config.jax_compilation_cache_dir  # pyright: ignore[reportAttributeAccessIssue]
    if chosen is None:
        jax.config.update("jax_compilation_cache_dir", str(cache_folder() / "xla"))


class DataParallel:
    """Runs steps on all devices of all processes.

    Attributes:
        axis_name: name of the axis that a step must sum over; None on a single device.
    """

    def __init__(self, batch_size: int):
        """Checks that the global batch can be divided among the devices.

        Raises:
            InputError: if it cannot.
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
        """Copies a state to the devices on which the compiled step expects it.

        Without this, donating a fresh state fails with two processes at step 0.
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
