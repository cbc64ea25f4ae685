"""Generates three actions in a row as one motion, and prints where they are joined.

Needs a trained TEACH model: `make demo` trains a small one into runs/demo.

python examples/series.py --text "walk forward" --text "squat" --text "raise both arms"
"""

import argparse
import itertools

import numpy as np

import actiongpt_jax as agpt
from actiongpt_jax.choices import WINDOW
from actiongpt_jax.viewing.plot import motion_joints

TEXTS = ["walk forward", "squat", "raise both arms"]


def main() -> None:
    """Reads the flags, generates the series, measures its joins, and writes it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--workdir", default="runs/demo", help="a trained TEACH model")
    parser.add_argument("--text", action="append", help="an action; may be repeated")
    parser.add_argument("--seconds", type=float, default=2.0, help="of each action")
    parser.add_argument("--out", default="motions", help="folder for the files")
    args = parser.parse_args()

    model = agpt.load_model(args.workdir)
    # "past" lets each action read the last frames of the action before it. Only TEACH
    # can do that; "independent" joins the separate actions of any model.
    (motion,) = agpt.generate_motions(
        model, args.text or TEXTS, args.seconds, series="past"
    )

    # The fastest joint in every frame, in metres per second: a join that shows would
    # be faster than the frames around it.
    steps = np.diff(motion_joints(motion), axis=0)
    speed = np.linalg.norm(steps, axis=-1).max(axis=1) * motion.fps
    print(f"{len(motion.rotations)} frames, median speed {np.median(speed):.1f} m/s")
    # The last sum is the end of the motion, not a join.
    joins = list(itertools.accumulate(motion.lengths))[:-1]
    for frame, phrase in zip(joins, motion.text[1:], strict=True):
        fastest = speed[frame - 1 : frame + WINDOW].max()
        print(f"{phrase!r} starts at frame {frame} ({frame / motion.fps:.1f} s)")
        print(
            f"  the first {WINDOW} frames are a transition, {fastest:.1f} m/s at most"
        )

    (path,) = agpt.save_motions(args.out, [motion], name="series")
    agpt.write_page(path.with_suffix(".html"), [motion])
    print(f"{path} and {path.with_suffix('.html')}, which opens in a browser")


if __name__ == "__main__":
    main()
