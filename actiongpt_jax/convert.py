"""Converts the authors' PyTorch checkpoints to workdirs, and workdirs back.

    python -m actiongpt_jax.convert last.ckpt --out runs/teach --stats STATS_FOLDER
    python -m actiongpt_jax.convert --back runs/teach --out teach.safetensors

The model, its sizes and its variant are read from the names and shapes of the tensors;
no code in a file is ever run, and PyTorch is not needed. `generate` and `train` work on
the workdir as on one that was trained here.
"""

import pathlib
from collections.abc import Sequence

from actiongpt_jax import cli
from actiongpt_jax.choices import CONVERTED_TEXTS
from actiongpt_jax.errors import InputError


def make_parser() -> cli.Parser:
    """Returns the parser of the command line."""
    parser = cli.command_parser("convert", __doc__)
    add = parser.add_argument
    add("source", nargs="?", help=".ckpt, .pth.tar, or the folder of a run")
    add("--out", required=True, help="workdir to make; with --back a file to write")
    stats = "folder or files with mean and std of the features (.pt or .npy)"
    add("--stats", nargs="+", default=[], help=stats)
    add("--body", help="model file of SMPL or SMPL-H (.npz or .pkl)")
    texts = (
        "texts of the training, which the file does not record: descriptions for "
        "Action-GPT, phrase for the original TEMOS, TEACH and MotionCLIP"
    )
    add("--texts", choices=CONVERTED_TEXTS, default="descriptions", help=texts)
    rate = "frames per second of the motions (default: the run's settings, or 30)"
    add("--framerate", type=cli.number, help=rate)
    add(
        "--num-heads",
        type=int,
        help="number of attention heads (default: the file's, or 4)",
    )
    add("--back", metavar="WORKDIR", help="workdir to write as a PyTorch state dict")
    cli.add_checkpoint_flag(parser, "checkpoint for --back: ")
    return parser


def main(argv: Sequence[str]) -> None:
    """Reads flags, converts, and prints what was found."""
    parser = make_parser()
    args = parser.parse_args(argv)
    if (args.source is None) == (args.back is None):
        raise InputError(
            "convert must be given a checkpoint or --back WORKDIR, got "
            f"{'neither' if args.back is None else 'both'}; see `{parser.prog} --help`"
        )

    import jax

    from actiongpt_jax.conversion import convert as conversion

    # Conversion only copies arrays; the CPU avoids the start-up of a GPU.
    jax.config.update("jax_platforms", "cpu")
    if args.back is not None:
        config, state = conversion.state_dict_of(args.back, args.checkpoint)
        conversion.write_state_dict(args.out, state)
        print(f"{args.out}: {len(state)} tensors of {config.model.name}")
        return
    options = conversion.Options(
        stats=tuple(map(pathlib.Path, args.stats)),
        body=None if args.body is None else pathlib.Path(args.body),
        texts=args.texts,
        framerate=args.framerate,
        overrides={} if args.num_heads is None else {"num_heads": args.num_heads},
    )
    for note in conversion.convert(args.source, args.out, options):
        print(note)
    print(f"done: {args.out}; next: python -m actiongpt_jax.verify {args.out}")


if __name__ == "__main__":
    cli.run(main)
