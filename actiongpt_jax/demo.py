"""Shows what the pretrained model generates, and trains a small model.

    python -m actiongpt_jax.demo [--workdir runs/demo]

Needs no data, key or GPU. First, demo.html shows real motions of the built-in corpus
next to what the pretrained model generates from the same phrases. Then a small model
is trained for a minute; its motions join the page, and a table shows its validation
figures before and after. Where no pretrained model is installed, a second small model
is trained instead (in `WORKDIR-phrase`), which reads the phrases without descriptions.
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
    """Shows the pretrained model, trains (or resumes), and compares.

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
    from actiongpt_jax.inference.pretrained import DEFAULT, find_model
    from actiongpt_jax.inference.trained import load_model
    from actiongpt_jax.training.builtin_data import longest_text, use_builtin_data
    from actiongpt_jax.training.host_memory import keep_memory
    from actiongpt_jax.training.loop import train
    from actiongpt_jax.viewing.comparison import write_comparison

    if own_process:
        keep_memory()
    workdir = pathlib.Path(args.workdir)
    # Make the built-in motions and texts, unless an earlier run left them.
    use_builtin_data(config, workdir.parent)
    page, picture = workdir / "demo.html", workdir / "strip.png"
    places = f"{page} (open it in a browser), {picture}"
    # Show the pretrained model first: a visitor need not wait for training.
    models, packed = {}, None
    try:
        packed = find_model(DEFAULT)
    except InputError as error:
        print(f"note: {error}; two small models are trained instead")
    if packed is not None:
        models["pretrained"] = load_model(packed)
        write_comparison(models, config.data.store, page, picture)
        print(f"real motions and those of the pretrained model: {places}")
        print("now a small model is trained, to show how training goes:", flush=True)
    # Pad all texts to the same length, so that both models share compiled programs.
    config.text.num_tokens = longest_text(config)
    runs = {"trained here" if packed else "descriptions": workdir}
    train(config, workdir)
    if packed is None:
        # The same model without descriptions, for comparison.
        print("training the second model, on the phrases themselves:")
        runs["phrases"] = workdir.with_name(f"{workdir.name}-phrase")
        config.text.source = "phrase"
        train(config, runs["phrases"])
    # Compare them in figures and in pictures, next to real motion.
    print(validation_table({name: run / "metrics.jsonl" for name, run in runs.items()}))
    models |= {name: load_model(run) for name, run in runs.items()}
    series = write_comparison(models, config.data.store, page, picture)
    print(f"real and generated motions: {places}")
    if packed is not None:
        print(f"figures of the pretrained model: {packed / 'README.md'}")
    chosen = "" if packed else f" --workdir {workdir}"
    texts = " ".join(f"--text '{phrase}' --seconds 2" for phrase in series)
    print(
        f"try: python -m actiongpt_jax.generate{chosen} {texts} --out series.html\n"
        f"and: python -m actiongpt_jax.app{chosen}"
    )


if __name__ == "__main__":
    cli.run(functools.partial(main, own_process=True))
