r"""Trains a model.

    python -m actiongpt_jax.train --config teach:demo    # minutes on a CPU
    python -m actiongpt_jax.train --config configs/temos.py --workdir runs/temos \
        --config.data.store=STORE --config.text.store=EMBEDDINGS

Every field of the config is a flag, `--config.FIELD=VALUE`. samples.html in the workdir
shows, after every validation, what the model generates. Called again with the same
workdir, the command resumes the run from its last checkpoint. --plan estimates the
memory and the time of a run instead of training. --init starts a new run from the
weights of another one, with the config of that run unless --config is given.
"""

import functools
import pathlib
from collections.abc import Sequence

from actiongpt_jax import cli
from actiongpt_jax.config import load_config
from actiongpt_jax.training.workdir import (
    check_workdir,
    config_of_workdir,
    default_workdir,
)


def make_parser() -> cli.Parser:
    """Returns the parser of the command line."""
    parser = cli.command_parser("train", __doc__)
    add = parser.add_argument
    config = "such as configs/temos.py or temos:demo (default: the one in --workdir)"
    add("--config", metavar="FILE[:WORDS]", help=f"file or installed config, {config}")
    add("--workdir", help="folder of the run (default: runs/<config>[-words])")
    other = "another run, or other model, from whose weights a new run starts; data, "
    other += "texts, losses and training settings may differ from those of that run"
    add("--init", metavar="WORKDIR", help=other)
    images = "embeddings of pictures of MotionCLIP's clips; sets config.data.images"
    add("--image-embeddings", metavar="FILE", help=images)
    page = "do not write samples.html, which shows motions after every validation"
    add("--no-samples", action="store_true", help=page)
    plan = "print parameters, memory and hours of the run and do not train; memory is "
    plan += "given for these numbers of items per device (default: 16 64 256)"
    number = cli.at_least(1)
    add("--plan", nargs="*", type=number, metavar="ITEMS", help=plan)
    address = "address of process 0, or auto on Slurm (default: a single process)"
    add("--coordinator", metavar="HOST:PORT", help=address)
    add("--num_processes", type=int, help="number of processes, with --coordinator")
    add("--process_id", type=int, help="number of this process, with --coordinator")
    return parser


def main(argv: Sequence[str], *, own_process: bool = False) -> None:
    """Reads flags, makes the built-in data if the config uses it, and trains.

    Args:
        argv: command-line arguments.
        own_process: whether the process runs only this call, so that it may keep the
            memory that a step frees; see `training.host_memory`.
    """
    args, overrides = make_parser().parse_known_args(argv)
    cli.shorten_warnings()
    source = None
    if args.init is not None:
        from actiongpt_jax.inference.pretrained import find_model

        source = find_model(args.init)
    spec = args.config or config_of_workdir(args.workdir, source)
    if args.image_embeddings:
        overrides.append(f"--config.data.images={args.image_embeddings}")
    config = load_config(spec, overrides)
    workdir = pathlib.Path(args.workdir or default_workdir(spec))
    check_workdir(workdir)  # before the built-in data are made next to it

    import jax

    from actiongpt_jax.models.family import family_of
    from actiongpt_jax.training import parallel
    from actiongpt_jax.training.builtin_data import use_builtin_data
    from actiongpt_jax.training.estimate import estimate_run, format_estimate
    from actiongpt_jax.training.host_memory import keep_memory
    from actiongpt_jax.training.loop import train
    from actiongpt_jax.training.resume import read_start, start_from
    from actiongpt_jax.viewing.samples import SamplesPage

    if own_process:
        keep_memory()
    parallel.initialize(args.coordinator, args.num_processes, args.process_id)
    if source is not None:
        read_start(source, config, workdir)  # refused before any data are made
    use_builtin_data(config, workdir.parent)
    if args.plan is not None:
        estimate = estimate_run(config, args.plan or (16, 64, 256))
        if jax.process_index() == 0:
            print(format_estimate(estimate))
        return
    if source is not None:
        start_from(source, config, workdir)
    watch = None
    if family_of(config).generates and not args.no_samples:
        watch = SamplesPage(workdir)
    train(config, workdir, on_validation=watch)
    if jax.process_index() == 0:
        print(f"done: {workdir} (metrics.jsonl, checkpoints/)")


if __name__ == "__main__":
    cli.run(functools.partial(main, own_process=True))
