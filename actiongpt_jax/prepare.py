"""Makes a motion store.

    python -m actiongpt_jax.prepare babel --amass DIR --babel DIR --out STORE [--check]
    python -m actiongpt_jax.prepare synthetic --out STORE [--sequences N] [--check]
    python -m actiongpt_jax.prepare table --motions DIR --labels FILE --out STORE
    python -m actiongpt_jax.prepare captions --amass DIR --annotations FILE --out STORE
    python -m actiongpt_jax.prepare humanml3d --amass DIR --humanml3d DIR --out STORE
    python -m actiongpt_jax.prepare motion FILE_OR_FOLDER ... --out DIR
    python -m actiongpt_jax.prepare check STORE_OR_NPZ ...
    python -m actiongpt_jax.prepare windows STORE --out phrases.txt [--compat reference]

A store holds motions and their labels. `captions` reads the JSON of
AMASS-Annotation-Unifier for HumanML3D, KIT-ML and BABEL, `humanml3d` the original
files. `motion` converts BVH and Acclaim files to
motion files in AMASS's layout. `check` reports faults in stores or in motion
files; `windows` lists the phrases that MotionCLIP needs described.
"""

import argparse
import pathlib
from collections.abc import Sequence
from typing import Any

from actiongpt_jax import cli
from actiongpt_jax.choices import (
    CLIP_FRAMES,
    FIRST_FEET,
    FRAMERATE,
    NUM_FRAMES,
    SPLIT_BY,
)
from actiongpt_jax.errors import InputError


def make_parser() -> cli.Parser:
    """Returns the parser of the command line."""
    parser = cli.command_parser("prepare", __doc__)
    kinds = parser.add_subparsers(
        dest="kind", required=True, help="what to do; each choice has its own --help"
    )

    def kind(name: str, about: str):
        return kinds.add_parser(name, allow_abbrev=False, help=about, description=about)

    babel = kind("babel", "make a store from AMASS motion and BABEL labels")
    add = babel.add_argument
    add("--amass", required=True, help="folder that contains AMASS's sets")
    add("--babel", required=True, help="folder with train.json and val.json")
    add("--spelling", help="JSON {misspelt word: correct word} for labels")
    add("--strict", action="store_true", help="stop at the first faulty file")
    synthetic = kind("synthetic", "make a store from the built-in corpus")
    add = synthetic.add_argument
    add("--sequences", type=int, default=512, help="number of sequences")
    more = "further training sequences, with combinations of the phrases' moves"
    add("--combined", type=cli.at_least(0), default=0, help=f"number of {more}")
    foot = "foot with which gaits begin in training (default: %(default)s)"
    add("--first-foot", choices=FIRST_FEET, default="either", help=foot)
    add("--seed", type=int, default=0, help="seed of the corpus")
    table = kind("table", "make a store from npz files and a table of texts")
    add = table.add_argument
    add("--motions", required=True, help="folder of npz files as `motion` makes them")
    source = table.add_mutually_exclusive_group(required=True)
    columns = "columns file, text and if wanted start, end, split, subject, category"
    source.add_argument("--labels", help=f".csv, .tsv, .json or .jsonl with {columns}")
    source.add_argument("--rule", help="JSON or YAML: texts from the files' names")
    how = "how files are divided (default: column if there is one, else random)"
    add("--split-by", choices=SPLIT_BY, help=how)
    captions = kind("captions", "make a store from AMASS motion and captions in JSON")
    add = captions.add_argument
    add("--amass", required=True, help="folder that contains AMASS's sets")
    add("--annotations", required=True, help="JSON of AMASS-Annotation-Unifier")
    division = captions.add_mutually_exclusive_group()
    lists = "folder of train.txt, val.txt and test.txt with an id in every line"
    division.add_argument("--splits", help=lists)
    how = "how recordings are divided without lists (default: random)"
    division.add_argument("--split-by", choices=("random", "subject"), help=how)
    original = kind("humanml3d", "make a store from AMASS motion and HumanML3D's files")
    add = original.add_argument
    add("--amass", required=True, help="folder that contains AMASS's sets")
    checkout = "checkout of HumanML3D's repository, with texts.zip unpacked"
    add("--humanml3d", required=True, help=checkout)
    for divided in (table, captions):
        add = divided.add_argument
        add("--val", type=cli.number, default=0.1, help="share of files for validation")
        add("--test", type=cli.number, default=0.0, help="share of files for testing")
        add("--seed", type=cli.at_least(0), default=0, help="seed of the splits")
    for described in (table, captions, original):
        add = described.add_argument
        add("--strict", action="store_true", help="stop at the first faulty file")
    for maker in (babel, synthetic, table, captions, original):
        maker.add_argument("--out", required=True, help="folder of the store to make")
        rate = "frames per second of the store"
        maker.add_argument("--framerate", type=cli.number, default=FRAMERATE, help=rate)
        maker.add_argument("--check", action="store_true", help="add a quality report")
    add = kind("windows", "list the phrases of MotionCLIP's windows").add_argument
    add("store", help="folder of a motion store")
    add("--out", required=True, help="text file to write, one phrase per line")
    add("--compat", choices=("reference",), help="join labels with 'and', as published")
    add("--frames", type=int, default=NUM_FRAMES, help="number of frames of a window")
    add(
        "--clip-frames",
        type=int,
        default=CLIP_FRAMES,
        help="number of frames of a clip",
    )
    motion = kind("motion", "convert .bvh and .amc files to npz files as AMASS's")
    add = motion.add_argument
    add("paths", nargs="+", help=".bvh and .amc files, or folders of them")
    add("--out", help="folder for the npz files")
    add("--show-map", action="store_true", help="only print what plays which joint")
    cli.add_mocap_flags(motion)
    check = kind("check", "report the quality of stores or motion files")
    check.add_argument("paths", nargs="+", help="stores, npz files or folders of them")
    return parser


def main(argv: Sequence[str]) -> None:
    """Runs the chosen subcommand and prints its report."""
    args = make_parser().parse_args(argv)

    if args.kind == "motion":
        _convert(args)
        return

    from actiongpt_jax.data import babel, motion_faults, phrases, store_builder
    from actiongpt_jax.data.motion_store import open_store
    from actiongpt_jax.synthetic.corpus import build_synthetic_store

    if args.kind == "check":
        print(motion_faults.format_quality(store_builder.check_paths(args.paths)))
        return
    if args.kind == "windows":
        print(
            phrases.write_window_phrases(
                args.out,
                args.store,
                args.frames,
                args.clip_frames,
                args.compat or "covering",
            )
        )
        return
    if args.kind in ("table", "captions", "humanml3d"):
        report = _from_rows(args)
    elif args.kind == "babel":
        spelling = babel.read_spelling(args.spelling) if args.spelling else None
        annotations = babel.read_babel(args.babel, spelling)
        report = store_builder.build_motion_store(
            args.amass,
            annotations,
            args.out,
            strict=args.strict,
            fps=args.framerate,
        )
    else:
        report = build_synthetic_store(
            args.out,
            args.sequences,
            args.seed,
            args.combined,
            args.first_foot,
            args.framerate,
        )
    print(store_builder.format_report(report))
    if args.check:
        faults = motion_faults.check_store(open_store(args.out))
        motion_faults.save_quality(faults, pathlib.Path(args.out, "quality.json"))
        print(motion_faults.format_quality(faults))


def _from_rows(args: argparse.Namespace) -> dict[str, Any]:
    from actiongpt_jax.data import amass, captions, name_rule, store_builder, table

    if args.kind == "humanml3d":
        annotations = table.annotate(captions.read_humanml3d(args.humanml3d))
    else:
        if args.kind == "captions":
            rows = captions.read_captions(args.annotations, args.splits)
        elif args.rule:
            rows = name_rule.apply_rule(args.rule, args.motions)
        else:
            rows = table.read_table(args.labels)
        shares = {"val": args.val, "test": args.test, "seed": args.seed}
        annotations = table.annotate(rows, args.split_by, **shares)
    motions, find = (
        (args.motions, table.find_motion)
        if args.kind == "table"
        else (args.amass, amass.locate)
    )
    return store_builder.build_motion_store(
        motions,
        annotations,
        args.out,
        strict=args.strict,
        find=find,
        fps=args.framerate,
    )


def _convert(args: argparse.Namespace) -> None:
    from actiongpt_jax.data import mocap_converter
    from actiongpt_jax.data.mocap.reader import MocapSettings, describe_mocap

    settings = MocapSettings(**cli.mocap_settings(args))
    if args.show_map:
        for path in mocap_converter.mocap_files(args.paths):
            print(describe_mocap(path, settings))
    elif args.out is None:
        raise InputError("--out must name the folder for the npz files; or --show-map")
    else:
        result = mocap_converter.convert_files(args.paths, args.out, settings)
        print(mocap_converter.format_converted(result))


if __name__ == "__main__":
    cli.run(main)
