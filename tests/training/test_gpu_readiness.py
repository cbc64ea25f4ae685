"""What a GPU needs of training, checked without one.

The training step is lowered for CUDA, which needs no CUDA. XLA's CPU client reads
arrays in place, so a transfer guard sees no transfer to the host here: the loop gets
stand-ins for its metrics, which record when they are read.
"""

import contextlib
import dataclasses
import functools
import re
import threading

import jax
import numpy as np
import pytest

from actiongpt_jax.config_fields import resolve
from actiongpt_jax.models.family import FAMILIES
from actiongpt_jax.training import loop
from actiongpt_jax.training.inputs import Inputs, open_inputs
from actiongpt_jax.training.parallel import DataParallel
from actiongpt_jax.training.programs import Programs, make_programs
from actiongpt_jax.training.tasks import task_of

pytestmark = pytest.mark.slow


@dataclasses.dataclass
class Run:
    devices: DataParallel
    inputs: Inputs
    programs: Programs

    def load(self, step: int):
        raw = self.inputs.train.load(step)
        del raw["item"]
        return raw


@pytest.fixture(scope="session")
def open_run(debug_config):
    """Returns `run(model, dtype)`, the data and the programs of a run."""

    @functools.cache
    def run(model, dtype="float32"):
        flag = f"--config.train.dtype={dtype}"
        config = resolve(debug_config(f"{model}:debug", flag))
        devices, inputs = DataParallel(config.train.batch_size), open_inputs(config)
        normalizer = task_of(config).fit(inputs.train)
        return Run(devices, inputs, make_programs(config, inputs, normalizer, devices))

    return run


@pytest.fixture(scope="session")
def cuda_step(open_run):
    """Returns `step(model)`, the training step in bfloat16 as exported for CUDA."""

    @functools.cache
    def step(model):
        run = open_run(model, "bfloat16")
        state = jax.eval_shape(run.programs.fresh_state)
        export = jax.export.export(run.programs.run_step, platforms=["cuda"])
        return export(state, run.load(0))

    return step


every_model = pytest.mark.parametrize("model", list(FAMILIES))


@every_model
def test_the_step_lowers_for_cuda_without_calls_to_the_host(cuda_step, model):
    step = cuda_step(model)
    assert step.platforms == ("cuda",)
    assert not step.ordered_effects and not step.unordered_effects
    program = step.mlir_module()
    assert not re.findall(r"custom_call @\w*callback\w*", program)
    for word in ("infeed", "outfeed", "stablehlo.send", "stablehlo.recv"):
        assert word not in program


@every_model
def test_the_step_reuses_every_buffer_of_the_state(cuda_step, open_run, model):
    state = jax.eval_shape(open_run(model).programs.fresh_state)
    reused = re.findall(r"tf.aliasing_output = (\d+)", cuda_step(model).mlir_module())
    assert sorted(map(int, reused)) == list(range(len(jax.tree.leaves(state))))


@every_model
def test_bfloat16_products_have_operands_of_one_type(cuda_step, model):
    """GPUs compute a product of mixed types in the wider type, which is slow."""
    types = re.findall(
        r"stablehlo.dot_general .*: "
        r"\(tensor<(?:\d+x)*(\w+)>, tensor<(?:\d+x)*(\w+)>\)",
        cuda_step(model).mlir_module(),
    )
    assert types.count(("bf16", "bf16")) > 40
    wide = [pair for pair in types if pair != ("bf16", "bf16")]
    # The cosines of the contrastive loss: two products, and two gradients of each.
    assert wide == [("f32", "f32")] * (6 if model == "evaluator" else 0)


@pytest.mark.slow
@every_model
def test_later_epochs_compile_nothing(open_run, model, caplog):
    run = open_run(model)
    state = run.devices.place_state(run.programs.fresh_state())

    def epoch(number: int, state):
        for i in range(run.inputs.per_epoch):
            raw = run.load(number * run.inputs.per_epoch + i)
            state, _ = run.programs.run_step(state, run.devices.place_batch(raw))
        return state

    state = epoch(0, state)
    with jax.log_compiles(), caplog.at_level("WARNING"):
        epoch(1, state)
    assert not [line for line in caplog.messages if "ompiling" in line]


class Metric:
    """Stands for a metric on the device, and reports when it is read."""

    def __init__(self, value, on_read):
        self._value, self._on_read = value, on_read

    def __array__(self, *args, **options):
        self._on_read()
        return np.asarray(self._value)

    def __float__(self):
        return float(self.__array__())


@pytest.mark.slow
def test_the_loop_transfers_only_batches_ahead_and_metrics_at_logs(
    debug_config, tmp_path, monkeypatch
):
    config = debug_config(
        "temos:debug",
        "--config.train.num_steps=8",
        "--config.train.log_steps=3",
        "--config.train.eval_epochs=100",
        "--config.train.checkpoint_steps=100",
    )
    compile_step, place_batch = DataParallel.compile, DataParallel.place_batch
    steps, reads, threads = [], set(), set()

    def guarded_compile(devices, step, donate_state):
        compiled = compile_step(devices, step, donate_state)

        def run(state, batch):
            # The first call compiles, and may place constants.
            guard = jax.transfer_guard_host_to_device("disallow_explicit")
            with guard if steps else contextlib.nullcontext():
                state, metrics = compiled(state, batch)
            steps.append(len(steps) + 1)
            return state, {n: Metric(v, on_read) for n, v in metrics.items()}

        return run if donate_state else compiled

    def on_read():
        reads.add(steps[-1])

    def recording_place(devices, batch):
        threads.add(threading.current_thread())
        return place_batch(devices, batch)

    monkeypatch.setattr(DataParallel, "compile", guarded_compile)
    monkeypatch.setattr(DataParallel, "place_batch", recording_place)
    loop.train(config, tmp_path)
    assert len(steps) == 8
    assert reads == {3, 6, 8}
    assert threading.main_thread() not in threads


def test_the_guard_of_the_test_above_sees_host_arrays():
    double = jax.jit(lambda x: 2 * x)
    double(np.ones(3, np.float32))
    with jax.transfer_guard_host_to_device("disallow_explicit"):
        with pytest.raises(Exception, match="[Dd]isallowed host-to-device"):
            double(np.ones(3, np.float32))
