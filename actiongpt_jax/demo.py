"""Trains a small model on the built-in corpus, twice, and shows what it learned.

    python -m actiongpt_jax.demo [--workdir runs/demo]

Needs no data, key or GPU. The first model reads descriptions, the second (in
`WORKDIR-phrase`) the phrases themselves. At the end the demo prints a table of the
validation figures before and after training, and writes a picture and demo.html, which
show series of real motion next to what each model generates for their phrases.
"""

import functools
import importlib.util
import pathlib
from collections.abc import Sequence

from actiongpt_jax import cli
from actiongpt_jax.config import load_config
from actiongpt_jax.errors import InputError


def make_parser() -> cli.Parser:
    """Returns the parser of the command line."""
    parser = cli.command_parser("demo", __doc__)
    add = parser.add_argument
    add("--config", default="teach:demo", help="a config in its demo form")
    add("--workdir", default="runs/demo", help="folder of the first model's run")
    return parser


def main(argv: Sequence[str], *, own_process: bool = False) -> None:
    """Trains both models (or resumes), prints the table, and draws the picture.

    Args:
        argv: command-line arguments.
        own_process: whether the process runs only this call, so that it may keep the
            memory that a step frees; see `training.host_memory`.
    """
    args = make_parser().parse_args(argv)
    if importlib.util.find_spec("matplotlib") is None:
        raise InputError(
            "the demo draws its result and needs matplotlib; "
            "run `pip install actiongpt_jax[view]`"
        )
    config = load_config(args.config)

    from actiongpt_jax.evaluation.tables import validation_table
    from actiongpt_jax.inference.trained import load_model
    from actiongpt_jax.training.builtin_data import longest_text, use_builtin_data
    from actiongpt_jax.training.host_memory import keep_memory
    from actiongpt_jax.training.loop import train
    from actiongpt_jax.viewing.comparison import write_comparison

    if own_process:
        keep_memory()
    workdir = pathlib.Path(args.workdir)
    baseline = workdir.with_name(f"{workdir.name}-phrase")
    # Make the built-in motions and texts, unless an earlier run left them.
    use_builtin_data(config, workdir.parent)
    # Pad all texts to the same length, so that both models share compiled programs.
    config.text.num_tokens = longest_text(config)
    # Train on descriptions, then the same model on the phrases, for comparison.
    train(config, workdir)
    print("training the second model, on the phrases themselves:")
    config.text.source = "phrase"
    train(config, baseline)
    # Compare both in figures and in pictures, next to real motion.
    print(validation_table(workdir / "metrics.jsonl", baseline / "metrics.jsonl"))
    page, picture = workdir / "demo.html", workdir / "strip.png"
    models = load_model(workdir), load_model(baseline)
    series = write_comparison(*models, page, picture)
    print(f"real and generated motions: {page} (open it in a browser), {picture}")
    texts = " ".join(f"--text '{phrase}' --seconds 2" for phrase in series)
    print(
        f"try: python -m actiongpt_jax.generate --workdir {workdir} --samples 3 "
        f"{texts}\nand: python -m actiongpt_jax.app --workdir {workdir}"
    )


if __name__ == "__main__":
    cli.run(functools.partial(main, own_process=True))
