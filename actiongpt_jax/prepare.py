"""Makes a motion store.

python -m actiongpt_jax.prepare babel --amass DIR --babel DIR --out STORE [--check]
python -m actiongpt_jax.prepare synthetic --out STORE [--sequences N] [--check]
python -m actiongpt_jax.prepare check STORE_OR_NPZ ...
python -m actiongpt_jax.prepare windows STORE --out phrases.txt [--compat reference]
"""

import argparse
import pathlib
from collections.abc import Sequence
from typing import Any

from actiongpt_jax import cli
from actiongpt_jax.data import babel
from actiongpt_jax.data.batches import windows
from actiongpt_jax.data.motion_faults import check_store, format_quality, save_quality
from actiongpt_jax.data.motion_store import open_store
from actiongpt_jax.data.store_builder import (
    build_motion_store,
    check_paths,
    format_report,
)
from actiongpt_jax.errors import InputError
from actiongpt_jax.files.atomic import write_text


def _parser() -> cli.Parser:
    parser = cli.Parser(prog="python -m actiongpt_jax.prepare", description=__doc__)
    kinds = parser.add_subparsers(dest="kind", required=True)
    exact: dict[str, Any] = {"allow_abbrev": False}
    real = kinds.add_parser(
        "babel", **exact, help="from AMASS motion with BABEL labels"
    )
    real.add_argument("--amass", required=True, help="folder with AMASS's sets")
    real.add_argument("--babel", required=True, help="folder with {train,val}.json")
    real.add_argument("--spelling", help="json {word: its right spelling} for labels")
    real.add_argument(
        "--strict", action="store_true", help="stop at the first file with a fault"
    )
    made = kinds.add_parser("synthetic", **exact, help="the built-in corpus")
    made.add_argument("--sequences", type=int, default=512, help="default: 512")
    made.add_argument("--seed", type=int, default=0, help="default: 0")
    for kind in (real, made):
        kind.add_argument("--out", required=True, help="folder of the store to make")
        kind.add_argument("--check", action="store_true", help="add a quality report")
    named = kinds.add_parser(
        "windows", **exact, help="what MotionCLIP's windows of a store are called"
    )
    named.add_argument("store", help="folder of a motion store")
    named.add_argument("--out", required=True, help="text file to write")
    named.add_argument("--compat", choices=("reference",), help="join labels by 'and'")
    named.add_argument("--frames", type=int, default=windows.NUM_FRAMES)
    named.add_argument("--clip-frames", type=int, default=windows.CLIP_FRAMES)
    check = kinds.add_parser("check", **exact, help="quality of stores or motion files")
    check.add_argument("paths", nargs="+", help="stores, npz files or folders of them")
    return parser


def main(argv: Sequence[str]) -> None:
    """Runs the command line."""
    args = _parser().parse_args(argv)
    if args.kind == "check":
        print(format_quality(check_paths(args.paths)))
        return
    if args.kind == "windows":
        _list_windows(args)
        return
    if args.kind == "babel":
        spelling = babel.read_spelling(args.spelling) if args.spelling else None
        annotations = babel.read_babel(args.babel, spelling)
        report = build_motion_store(
            args.amass, annotations, args.out, strict=args.strict
        )
    else:
        # Its many moves are of no use for real data.
        from actiongpt_jax.synthetic.corpus import build_synthetic_store

        report = build_synthetic_store(args.out, args.sequences, args.seed)
    print(format_report(report))
    if args.check:
        found = check_store(open_store(args.out))
        save_quality(found, pathlib.Path(args.out, "quality.json"))
        print(format_quality(found))


def _list_windows(args: argparse.Namespace) -> None:
    """Writes the phrases that `describe --phrases` is to describe."""
    found = windows.clips(
        open_store(args.store),
        num_frames=args.frames,
        clip_frames=args.clip_frames,
        window_text=args.compat or "covering",
    )
    if not found:
        raise InputError(
            f"motion store {args.store} has no clip with {args.frames} labelled frames "
            f"out of {args.clip_frames}; take shorter windows with --frames"
        )
    names = windows.phrases(found)
    write_text(args.out, (f"{name}\n" for name in names))
    print(
        f"{args.out}: {len(names)} phrases of {sum(c.num_windows for c in found)} "
        f"windows in {len(found)} clips; describe them with `python -m "
        f"actiongpt_jax.describe --phrases {args.out}`"
    )


if __name__ == "__main__":
    cli.run(main)
