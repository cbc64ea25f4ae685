"""Renders motions as pictures, videos or web pages, or exports them to other tools.

    python -m actiongpt_jax.render motions/*.npz --out motions.html
    python -m actiongpt_jax.render walk.npz --out walk.mp4

The suffix of --out selects the format: .png (poses over time, one row per motion),
.gif and .mp4 (motions side by side), .html (an interactive page in one file). A single
motion can also be written as .glb, .bvh, .npz or .json. The inputs are npz files in the
format of `generate` or of AMASS, or .bvh and .amc files of any human skeleton.
"""

import argparse
import functools
import pathlib
from collections.abc import Sequence

from actiongpt_jax import cli
from actiongpt_jax.choices import FIGURES, JOINT_NAMES
from actiongpt_jax.data.amass_fields import COLUMNS


def make_parser() -> cli.Parser:
    """Returns the parser of the command line."""
    parser = cli.command_parser("render", __doc__)
    add = parser.add_argument
    add("motions", nargs="+", metavar="MOTION", help="npz, .bvh or .amc file")
    add("--out", required=True, help="file to write; its suffix selects the format")
    # An option that is not given is left to `viewing.render.render`.
    optional = functools.partial(add, default=argparse.SUPPRESS)
    title = "title of a motion, once per motion in order (default: file names)"
    optional("--title", type=str, action="append", help=title)
    drawn = "how the body is drawn in .png, .gif and .mp4 (default: capsules)"
    optional("--figure", choices=FIGURES, help=drawn)
    optional("--body", help="body model (SMPL-H's model.npz) to draw instead")
    width = "width of one motion in .gif and .mp4, pixels (default: 480)"
    optional("--size", type=int, help=width)
    rate = "frames per second of .gif (at most 50) and .mp4 (default: 30)"
    optional("--fps", type=float, help=rate)
    optional(
        "--poses", type=int, help="poses per row of the .png, 2 to 40 (default: 9)"
    )
    known = "file of descriptions that the .html shows on demand"
    optional("--descriptions", help=known)
    layout = "column layout of the .npz (default: smplh)"
    optional("--layout", choices=COLUMNS, help=layout)
    called = "names of the joints of the .bvh (default: smpl)"
    optional("--names", choices=JOINT_NAMES, help=called)
    rest = "start the .bvh with a frame in T-pose"
    optional("--t-pose", action="store_true", help=rest)
    cli.add_mocap_flags(parser)
    return parser


def main(argv: Sequence[str]) -> None:
    """Reads the motions and writes them to one file."""
    args = make_parser().parse_args(argv)
    cli.shorten_warnings()
    mocap, options = cli.mocap_settings(args), vars(args)
    paths, out = options.pop("motions"), options.pop("out")

    from actiongpt_jax.data.mocap.reader import MocapSettings
    from actiongpt_jax.data.motion import load_motion
    from actiongpt_jax.geometry import body as bodies
    from actiongpt_jax.text.descriptions import read_descriptions
    from actiongpt_jax.viewing.render import refuse_ignored, render

    refuse_ignored(out, options)
    titles = options.pop("title", None) or [pathlib.Path(path).stem for path in paths]
    if "body" in options:
        options["body"] = bodies.load(options["body"])
    if "descriptions" in options:
        known = read_descriptions(options["descriptions"])
        options["descriptions"] = {phrase: known.texts(phrase) for phrase in known}
    motions = [load_motion(path, MocapSettings(**mocap)) for path in paths]
    render(out, motions, titles, **options)
    print(f"{out}: {', '.join(titles)}")


if __name__ == "__main__":
    cli.run(main)
