"""Renders motions as pictures, videos or web pages, or exports them to other tools.

    python -m actiongpt_jax.render motions/*.npz --out motions.html
    python -m actiongpt_jax.render walk.npz --out walk.mp4

The suffix of --out selects the format: .png (poses over time, one row per motion),
.gif and .mp4 (motions side by side), .html (an interactive page in one file). A single
motion can also be written as .glb, .bvh, .npz or .json. The inputs are npz files in the
format of `generate` or of AMASS, or .bvh and .amc files of any human skeleton.
"""

import pathlib
from collections.abc import Sequence

from actiongpt_jax import cli
from actiongpt_jax.choices import FIGURES
from actiongpt_jax.data.amass_fields import COLUMNS


def make_parser() -> cli.Parser:
    """Returns the parser of the command line."""
    parser = cli.command_parser("render", __doc__)
    add = parser.add_argument
    add("motions", nargs="+", metavar="MOTION", help="npz, .bvh or .amc file")
    add("--out", required=True, help="file to write; its suffix selects the format")
    title = "title of a motion, once per motion in order (default: file names)"
    add("--title", action="append", help=title)
    add(
        "--figure",
        choices=FIGURES,
        default="skeleton",
        help="how the body is drawn in .gif and .mp4",
    )
    add("--body", help="body model (SMPL-H's model.npz) to draw in .gif and .mp4")
    add(
        "--size",
        type=int,
        default=480,
        help="width of one motion in .gif and .mp4, pixels",
    )
    add("--fps", type=float, default=30.0, help="frames per second of .gif and .mp4")
    add("--poses", type=int, default=9, help="poses per row of the .png, 2 to 40")
    add("--descriptions", help="file of descriptions that the .html shows on demand")
    add("--layout", choices=COLUMNS, default="smplh", help="column layout of the .npz")
    cli.add_mocap_flags(parser)
    return parser


def main(argv: Sequence[str]) -> None:
    """Reads the motions and writes them to one file."""
    args = make_parser().parse_args(argv)

    from actiongpt_jax.data.mocap.reader import MocapSettings
    from actiongpt_jax.data.motion import load_motion
    from actiongpt_jax.geometry import body as bodies
    from actiongpt_jax.text.descriptions import Descriptions, read_descriptions
    from actiongpt_jax.viewing.render import render

    cli.shorten_warnings()
    settings = MocapSettings(**cli.mocap_settings(args))
    path = args.descriptions
    known = read_descriptions(path) if path else Descriptions([])
    titles = args.title or [pathlib.Path(path).stem for path in args.motions]
    render(
        args.out,
        [load_motion(path, settings) for path in args.motions],
        titles,
        figure=args.figure,
        body=bodies.load(args.body) if args.body else None,
        size=args.size,
        fps=args.fps,
        poses=args.poses,
        descriptions={phrase: known.texts(phrase) for phrase in known},
        layout=args.layout,
    )
    print(f"{args.out}: {', '.join(titles)}")


if __name__ == "__main__":
    cli.run(main)
