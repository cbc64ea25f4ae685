"""Shows motions as pictures, videos or pages, and writes them for other tools.

python -m actiongpt_jax.render motions/*.npz --out motions.html
python -m actiongpt_jax.render walk.npz --out walk.mp4

The ending of --out decides: .png (poses over time, one row per motion), .gif, .mp4
(motions side by side), .html (an interactive page in one file); of a single motion also
.glb, .bvh, .npz and .json. Motions are npz files as `generate` and AMASS write them.
"""

import argparse
import pathlib
from collections.abc import Sequence

from tqdm import tqdm

from actiongpt_jax import cli
from actiongpt_jax.data.amass_fields import COLUMNS
from actiongpt_jax.data.motion import load_motion
from actiongpt_jax.errors import InputError
from actiongpt_jax.geometry import body as bodies
from actiongpt_jax.text.descriptions import read_descriptions
from actiongpt_jax.viewing import export, plot, raster, video, webpage

_PICTURES = (".png", ".gif", ".mp4", ".html")


def main(argv: Sequence[str]) -> None:
    """Reads motions, writes the one file."""
    parser = cli.Parser(prog="python -m actiongpt_jax.render", description=__doc__)
    add = parser.add_argument
    add("motions", nargs="+", metavar="MOTION", help="npz with poses and trans")
    add("--out", required=True, help="file to write; its ending decides what")
    add("--title", action="append", help="of a motion, in order (file names)")
    add("--figure", choices=raster.FIGURES, default="skeleton", help="what moves")
    add("--body", help="body model (SMPL-H's model.npz): .gif and .mp4 of its mesh")
    add("--size", type=int, default=480, help="pixels of one motion, .gif and .mp4")
    add("--fps", type=float, default=30.0, help="of .gif and .mp4")
    add("--poses", type=int, default=9, help="of a row of the .png")
    add("--descriptions", help="file of descriptions, shown on demand in the .html")
    add("--layout", choices=tuple(COLUMNS), default="smplh", help="of the .npz")
    args = parser.parse_args(argv)
    out = pathlib.Path(args.out)
    suffix = out.suffix.lower()
    _check(args, suffix)
    motions = [load_motion(path) for path in args.motions]
    titles = list(args.title or [pathlib.Path(path).stem for path in args.motions])
    if suffix == ".png":
        captions = [
            ", then ".join(m.text) or t for m, t in zip(motions, titles, strict=True)
        ]
        plot.strip(motions, out, args.poses, captions)
    elif suffix == ".html":
        known = read_descriptions(args.descriptions) if args.descriptions else None
        texts = {phrase: known.texts(phrase) for phrase in known} if known else {}
        webpage.write_page(out, motions, titles, texts)
    elif suffix in _PICTURES:
        body = bodies.load(args.body) if args.body else None
        look = {"figure": args.figure, "body": body}
        look |= {"size": args.size, "fps": args.fps}
        total = raster.count_frames(motions, args.fps)
        with tqdm(total=total, unit="frame", leave=False) as progress:
            on_frame = progress.update
            video.write_video(out, motions, titles, **look, on_frame=on_frame)
    else:
        export.export(out, motions[0], args.layout)
    print(f"{out}: {', '.join(titles)}")


def _check(args: argparse.Namespace, suffix: str) -> None:
    known = (*_PICTURES, *export.SUFFIXES)
    if suffix not in known:
        raise InputError(f"--out must end in one of {', '.join(known)}, got {args.out}")
    if suffix in export.SUFFIXES and len(args.motions) > 1:
        raise InputError(
            f"{suffix} holds one motion, got {len(args.motions)}; export each alone"
        )
    if args.title and len(args.title) != len(args.motions):
        raise InputError(
            f"--title must be given once per motion, got {len(args.title)} for "
            f"{len(args.motions)}"
        )
    if not 2 <= args.poses <= 40:
        raise InputError(f"--poses must be from 2 to 40, got {args.poses}")


if __name__ == "__main__":
    cli.run(main)
