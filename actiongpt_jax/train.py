"""Trains a model.

python -m actiongpt_jax.train --config configs/temos.py --workdir runs/temos \
    --config.data.store=STORE --config.text.store=EMBEDDINGS
"""

import pathlib
from collections.abc import Sequence

import jax

from actiongpt_jax import cli, embed, prepare
from actiongpt_jax.config import load_config, split_spec
from actiongpt_jax.config_fields import Config
from actiongpt_jax.errors import InputError
from actiongpt_jax.training import parallel
from actiongpt_jax.training.host_memory import keep_memory
from actiongpt_jax.training.loop import train
from actiongpt_jax.training.tasks import task_of


def main(argv: Sequence[str]) -> None:
    """Reads flags, makes the built-in data where a config wants it, trains."""
    parser = cli.Parser(prog="python -m actiongpt_jax.train", description=__doc__)
    parser.add_argument(
        "--config",
        help="configs/temos.py[:demo], or temos:demo; default: the --workdir's own",
    )
    parser.add_argument("--workdir", help="default: runs/<config>[-words]")
    parser.add_argument(
        "--image-embeddings",
        metavar="FILE",
        help="of pictures of MotionCLIP's clips, as --config.data.images",
    )
    parser.add_argument(
        "--coordinator",
        help="several processes: HOST:PORT of process 0, or 'auto' (Slurm)",
    )
    parser.add_argument("--num_processes", type=int)
    parser.add_argument("--process_id", type=int)
    args, overrides = parser.parse_known_args(argv)
    spec = args.config or own_config(args.workdir)
    if args.image_embeddings:
        overrides.append(f"--config.data.images={args.image_embeddings}")
    config = load_config(spec, overrides)
    workdir = pathlib.Path(args.workdir or default_workdir(spec))
    parallel.initialize(args.coordinator, args.num_processes, args.process_id)
    use_builtin_data(config, workdir.parent)
    train(config, workdir, evaluators=[task_of(config).validation])
    if jax.process_index() == 0:
        print(f"done: {workdir} (metrics.jsonl, checkpoints/)")


def own_config(workdir: str | None) -> str:
    """Returns the path of the config that a run or a conversion has left."""
    path = pathlib.Path(workdir or "") / "config.json"
    if workdir is None or not path.is_file():
        where = "" if workdir is None else f"; {workdir} has no config.json"
        raise InputError(
            "--config must name a config, such as configs/temos.py, unless --workdir "
            f"is one that was trained or converted before{where}"
        )
    return str(path)


def default_workdir(spec: str) -> pathlib.Path:
    """Returns runs/<config>[-words] for 'path/config.py:words'."""
    path, words = split_spec(spec)
    name = path.stem if not words else f"{path.stem}-{words.replace(',', '-')}"
    return pathlib.Path("runs") / name


def use_builtin_data(config: Config, folder: pathlib.Path) -> None:
    """Makes the built-in corpus and its embeddings below `folder`, once.

    Does nothing for a config that names stores or wants no built-in data.
    """
    if not config.data.builtin or config.data.store or config.text.store:
        return
    corpus = folder / f"builtin-{config.data.builtin}"
    k = config.text.k or 4
    motion, text = corpus / "motion", corpus / f"text-k{k}"

    def make() -> None:
        if not motion.exists():
            count = str(config.data.builtin)
            prepare.main(["synthetic", "--out", str(motion), "--sequences", count])
        if not text.exists():
            descriptions = str(motion / "descriptions.jsonl")
            embed.main(
                ["--descriptions", descriptions, "--encoder", "minilm"]
                + ["--k", str(k), "--out", str(text)]
            )

    parallel.run_on_first(make, f"the built-in data in {corpus}")
    config.data.store, config.text.store = str(motion), str(text)


if __name__ == "__main__":
    keep_memory()
    cli.run(main)
