"""Starts a new run from the weights of another one."""

import pathlib

from tqdm import tqdm

from actiongpt_jax.config_fields import Config, check_values, resolve
from actiongpt_jax.errors import InputError
from actiongpt_jax.training import checkpoints, parallel
from actiongpt_jax.training.inputs import open_inputs
from actiongpt_jax.training.resume import check_same_weights
from actiongpt_jax.training.workdir import check_workdir, lock_workdir


def start_from(
    source: pathlib.Path, config: Config, workdir: str | pathlib.Path
) -> None:
    """Writes the weights of another run as the first checkpoint of a workdir.

    The model, its features and its text encoder must be those of the other run. The
    motions, the texts and their number, the losses and all settings of the training may
    differ. The checkpoint has the normalizer of the other run, which its weights need,
    but no optimizer state: `loop.train` starts at step 0 with a new one.

    A workdir that has checkpoints already is left alone, so that the same call
    continues an interrupted run.

    Args:
        source: folder of a run, a conversion or a model folder; its last checkpoint is
            taken.
        config: config of the new run.
        workdir: folder of the new run.

    Raises:
        FileNotFoundError: if the source has no checkpoint.
        InputError: if the source is the workdir itself, or its weights do not fit the
            config; and for the bad input that `loop.train` refuses.
    """
    workdir = pathlib.Path(workdir)
    check_workdir(workdir)
    if source.resolve() == workdir.resolve():
        raise InputError(
            f"--init must be the folder of another run than --workdir, got {source} "
            "for both; leave --init out to continue that run"
        )
    parallel.run_on_first(
        lambda: _write(source, config, workdir), f"the first checkpoint of {workdir}"
    )


def _write(source: pathlib.Path, config: Config, workdir: pathlib.Path) -> None:
    if checkpoints.restore(workdir) is not None:
        tqdm.write(f"{workdir} has checkpoints; the run continues from them")
        return
    config = resolve(config).copy_and_resolve_references()
    check_values(config)
    restored = checkpoints.restore(source)
    if restored is None:
        raise FileNotFoundError(
            f"{source} has no checkpoint; give the folder of a trained model as --init"
        )
    open_inputs(config)  # fills in what the stores say about the texts
    check_same_weights(config, restored.config, source)
    variables = {
        name: restored.state[name]
        for name in ("params", "unused")
        if name in restored.state
    }
    with lock_workdir(workdir):
        checkpoints.save_weights(workdir, config, restored.normalizer, variables)
    tqdm.write(f"{workdir} starts from the weights of {source}, step {restored.step}")
