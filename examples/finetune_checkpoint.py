"""Converts an authors' PyTorch checkpoint and trains it further on other motions.

Needs a checkpoint of TEMOS, TEACH or Action-GPT with the mean and deviation of its
features (docs/checkpoints.md), a motion store, and an embedding store made with the
checkpoint's own text encoder, but no PyTorch. Run again, it continues where it was.

python -m actiongpt_jax.prepare synthetic --out data/motion    # or babel; see --help
python -m actiongpt_jax.embed --descriptions data/motion/descriptions.jsonl \
    --encoder distilbert-base-uncased --aggregate reference_mean --out data/text
python examples/finetune_checkpoint.py last.ckpt --stats FOLDER --workdir runs/tuned \
    --motion data/motion --text data/text --steps 200
"""

import argparse
import pathlib

import actiongpt_jax as agpt
from actiongpt_jax.conversion.convert import Options, convert
from actiongpt_jax.training.loop import train


def main() -> None:
    """Converts the checkpoint unless that was done, and trains."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("checkpoint", help="the authors' .ckpt file")
    add("--stats", required=True, help="folder of its mean and deviation")
    add("--texts", default="descriptions", help="'phrase' for original TEMOS, TEACH")
    add("--motion", required=True, help="motion store to train on")
    add("--text", required=True, help="embedding store of its phrases")
    add("--workdir", required=True, help="folder of the new run")
    add("--steps", type=int, default=200, help="training steps in all")
    args = parser.parse_args()

    # Nothing in the file is run, and the model is recognised by its tensors.
    if not pathlib.Path(args.workdir, "checkpoints").exists():
        options = Options(stats=(pathlib.Path(args.stats),), texts=args.texts)
        print(*convert(args.checkpoint, args.workdir, options), sep="\n")

    config = agpt.load_config(f"{args.workdir}/config.json")
    config.data.store, config.text.store = args.motion, args.text
    config.train.num_steps = args.steps
    # The weights are good already: small steps keep what they have learned.
    config.train.learning_rate = 1e-5
    # Each shape of a batch is compiled. On a CPU many would take longer than the steps.
    config.data.max_shapes = 2
    train(config, args.workdir)
    print(f"see it: python examples/generate_motion.py --workdir {args.workdir}")


if __name__ == "__main__":
    main()
