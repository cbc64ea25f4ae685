"""Generates a motion from a phrase, and saves it as a web page and as an AMASS file.

Needs a trained model: `make demo` trains a small one into runs/demo in five minutes.

python examples/generate_motion.py --text "walk forward" --seconds 3 --out motions
"""

import argparse

import actiongpt_jax as agpt


def main() -> None:
    """Reads the flags, generates one motion, and writes two files."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--workdir", default="runs/demo", help="a trained model")
    parser.add_argument("--text", default="walk forward", help="the action, in words")
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--seed", type=int, default=0, help="another seed moves it")
    parser.add_argument("--out", default="motions", help="folder for the files")
    args = parser.parse_args()

    model = agpt.load_model(args.workdir)
    # The result is a list, because one call can generate several texts and samples.
    (motion,) = agpt.generate_motions(model, args.text, args.seconds, seed=args.seed)

    # A motion is two arrays: the rotation of each of SMPL's 22 joints relative to its
    # parent, as axis-angle in radians, and the position of the body in metres.
    print(f"rotations {motion.rotations.shape}, translation {motion.translation.shape}")

    # Makes the folder too; the npz file opens in any program that reads AMASS.
    (path,) = agpt.save_motions(args.out, [motion])
    agpt.write_page(path.with_suffix(".html"), [motion])
    print(f"{path} and {path.with_suffix('.html')}, which opens in a browser")


if __name__ == "__main__":
    main()
