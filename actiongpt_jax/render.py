"""Shows motions as pictures, videos or pages, and writes them for other tools.

python -m actiongpt_jax.render motions/*.npz --out motions.html
python -m actiongpt_jax.render walk.npz --out walk.mp4

The ending of --out decides: .png (poses over time, one row per motion), .gif, .mp4
(motions side by side), .html (an interactive page in one file); of a single motion also
.glb, .bvh, .npz and .json. Motions are npz files as `generate` and AMASS write them.
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
    add("motions", nargs="+", metavar="MOTION", help="npz file with poses and trans")
    add("--out", required=True, help="file to write; its ending decides what")
    title = "title of a motion, once per motion in order (default: file names)"
    add("--title", action="append", help=title)
    add("--figure", choices=FIGURES, default="skeleton", help="figure in .gif and .mp4")
    add("--body", help="body model (SMPL-H's model.npz): its mesh in .gif and .mp4")
    add("--size", type=int, default=480, help="pixels of one motion in .gif and .mp4")
    add("--fps", type=float, default=30.0, help="frames per second of .gif and .mp4")
    add("--poses", type=int, default=9, help="poses per row of the .png, 2 to 40")
    add("--descriptions", help="file of descriptions, shown on demand in the .html")
    add("--layout", choices=COLUMNS, default="smplh", help="columns of the .npz")
    return parser


def main(argv: Sequence[str]) -> None:
    """Reads motions, writes the one file."""
    args = make_parser().parse_args(argv)

    from actiongpt_jax.data.motion import load_motion
    from actiongpt_jax.geometry import body as bodies
    from actiongpt_jax.text.descriptions import Descriptions, read_descriptions
    from actiongpt_jax.viewing.render import render

    path = args.descriptions
    known = read_descriptions(path) if path else Descriptions([])
    titles = args.title or [pathlib.Path(path).stem for path in args.motions]
    render(
        args.out,
        [load_motion(path) for path in args.motions],
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
