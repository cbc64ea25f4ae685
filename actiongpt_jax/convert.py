"""Turns the authors' PyTorch checkpoints into workdirs, and workdirs back.

python -m actiongpt_jax.convert last.ckpt --out runs/teach --stats STATS_FOLDER
python -m actiongpt_jax.convert --back runs/teach --out teach.safetensors

The model, its sizes and its variant are read from the names and shapes of the tensors;
nothing in a file is ever run, and PyTorch is not needed. On the workdir `generate` and
`train` work as on one that was trained here.
"""

import pathlib
from collections.abc import Sequence

import jax

from actiongpt_jax import cli
from actiongpt_jax.conversion import convert as converting
from actiongpt_jax.errors import InputError


def main(argv: Sequence[str]) -> None:
    """Reads flags, converts, prints what was found."""
    parser = cli.Parser(prog="python -m actiongpt_jax.convert", description=__doc__)
    add = parser.add_argument
    add("source", nargs="?", help=".ckpt, .pth.tar, or the folder of a run")
    add("--out", required=True, help="workdir to make; with --back a file to write")
    add("--stats", nargs="+", default=[], help="folder or files of mean and std (.pt)")
    add("--body", help="SMPL's or SMPL-H's model file (.npz or .pkl)")
    add(
        "--texts",
        choices=tuple(converting.TEXTS),
        default="descriptions",
        help="what it was trained on, which no file tells: Action-GPT's descriptions "
        "(default), or the phrases themselves (the original TEMOS, TEACH, MotionCLIP)",
    )
    add("--num-heads", type=int, help="of every attention, if not as published")
    add("--back", metavar="WORKDIR", help="write its weights as a PyTorch state dict")
    add("--checkpoint", default="latest", help="with --back: latest, best or a step")
    args = parser.parse_args(argv)
    if (args.source is None) == (args.back is None):
        raise InputError(
            "convert must be given a checkpoint or --back WORKDIR, got "
            f"{'neither' if args.back is None else 'both'}; see `{parser.prog} --help`"
        )
    # Accelerators have nothing to do here.
    jax.config.update("jax_platforms", "cpu")
    if args.back is not None:
        which = int(args.checkpoint) if args.checkpoint.isdecimal() else args.checkpoint
        config, state = converting.state_dict_of(args.back, which)
        converting.write_state_dict(args.out, state)
        print(f"{args.out}: {len(state)} tensors of {config.model.name}")
        return
    options = converting.Options(
        stats=tuple(map(pathlib.Path, args.stats)),
        body=None if args.body is None else pathlib.Path(args.body),
        texts=args.texts,
        overrides={} if args.num_heads is None else {"num_heads": args.num_heads},
    )
    for note in converting.convert(args.source, args.out, options):
        print(note)
    print(f"done: {args.out}; next: python -m actiongpt_jax.verify {args.out}")


if __name__ == "__main__":
    cli.run(main)
