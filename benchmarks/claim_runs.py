"""The arms of `claim.py`, and what all arms of a replicate share; see docs/claim.md."""

import argparse
import dataclasses
import pathlib
from typing import Any

import claim_figures
import claim_splits
import claim_texts
import numpy as np

from actiongpt_jax.config import load_config
from actiongpt_jax.config_fields import Config
from actiongpt_jax.config_forms import CONVERGING
from actiongpt_jax.data.motion_store import open_store
from actiongpt_jax.evaluation.cases import list_cases
from actiongpt_jax.evaluation.evaluator import Evaluator
from actiongpt_jax.files.jsonl import read_lines
from actiongpt_jax.text.embeddings.store import open_embeddings
from actiongpt_jax.training.loop import train

# The protocol's loss. Its form, not its weights, is that of `temos:small`, which may
# change while a protocol must not.
CONVERGING_LOSS = {
    **{name: 0.0 for name in CONVERGING if name.startswith("losses.weights.")},
    "losses.weights.kl_motion2text": 0.02,
    "losses.weights.velocity": 10.0,
}
SIZES = {
    "model.latent_dim": 128,
    "model.ff_size": 256,
    "model.num_layers": 3,
    "train.learning_rate": 3e-4,
    "train.warmup_steps": 200,
    "train.batch_size": 16,
    "train.eval_epochs": 8,
    "train.checkpoint_steps": 500,
    "train.log_steps": 50,
    "data.max_shapes": 4,
}
# A text says neither which way a body faces nor how long its vector should be, and a
# decoder that never sees texts in training maps them to nothing in particular: windows
# are turned to face the same way, vectors have the length of the motions' latents, and
# texts are decoded in training.
MOTIONCLIP = {
    "data.align": "yaw",
    "model.decode_text": True,
    "model.ff_size": 512,
    "model.text_latent": "matched",
    "train.batch_size": 20,
    "train.best_metric": "val/gen_rc",
    "train.grad_clip": 1.0,
    "data.max_shapes": 1,
}
# For a test of the whole road.
_SMALL = {
    "model.latent_dim": 16,
    "model.ff_size": 32,
    "model.num_layers": 1,
    "train.batch_size": 4,
    "train.warmup_steps": 1,
    "train.eval_epochs": 100,
    "data.max_frames": 64,
    "data.max_shapes": 1,
}


@dataclasses.dataclass(frozen=True)
class Arm:
    """A recipe and the texts that its model reads.

    Attributes:
        model: name of the config.
        store: kind of embedding store; see `claim_texts.make_store`.
        source: `config.text.source`.
        fields: further config fields.
    """

    store: str = "own"
    source: str = "descriptions"
    fields: dict[str, Any] = dataclasses.field(default_factory=lambda: CONVERGING_LOSS)
    model: str = "temos"


_DRAWN = {**CONVERGING_LOSS, "text.draw": "one"}
ARMS = {
    "phrase": Arm(source="phrase"),
    "descriptions": Arm(),
    "category": Arm("category", "phrase"),
    "permuted": Arm("permuted"),
    "k1": Arm("k1"),
    "k2": Arm("k2"),
    "drawn": Arm(fields=_DRAWN),
    "both": Arm(source="mixed"),
    "small": Arm(source="mixed", fields=_DRAWN),
    "published-phrase": Arm(source="phrase", fields={}),
    "published-descriptions": Arm(fields={}),
    "motionclip-phrase": Arm("own", "phrase", MOTIONCLIP, "motionclip"),
    "motionclip-descriptions": Arm("own", "descriptions", MOTIONCLIP, "motionclip"),
}
_EVALUATOR = Arm(source="phrase", fields={"train.batch_size": 32}, model="evaluator")


class Replicate:
    """The splits, the texts and the evaluator that all arms of a replicate share.

    Attributes:
        number: number of the replicate, the seed of its runs.
        split: what its training leaves out.
        folder: folder of its runs.
    """

    def __init__(self, number: int, args: argparse.Namespace):
        """Draws the splits and makes the motion store that has them."""
        self.number, self._args = number, args
        store = open_store(pathlib.Path(args.data))
        phrases = claim_splits.phrases_of(store)
        self.factors = claim_splits.read_factors(args.factors) if args.factors else {}
        self.split = claim_splits.draw(phrases, self.factors, number)
        self._given = claim_splits.permuted(phrases, self.factors, number)
        self.folder = pathlib.Path(args.out) / f"replicate-{number}"
        self.store = open_store(
            claim_splits.write_split(store, self.split, number, self.folder / "motion")
        )

    def text(self, kind: str) -> pathlib.Path:
        """Returns the embedding store of a kind; see `claim_texts.make_store`."""
        args = self._args
        return claim_texts.make_store(
            pathlib.Path(args.out) / "text",
            kind,
            args.descriptions,
            args.encoder,
            args.k,
            self._given,
            self.number,
        )

    def config(self, arm: Arm) -> Config:
        """Returns the config of an arm's run, without its number of steps."""
        config = load_config(arm.model)
        fields = {**SIZES, **arm.fields, **(_SMALL if self._args.small else {})}
        fields |= {
            "data.store": str(self.store.path),
            "text.store": str(self.text(arm.store)),
            "text.source": arm.source,
        }
        if arm.model == "motionclip":  # its latents are vectors of the text encoder
            fields["model.latent_dim"] = open_embeddings(fields["text.store"]).width
        # The evaluator keeps its own seed, which differs from those of the generators.
        if arm is not _EVALUATOR:
            fields["train.seed"] = self.number
        config.update_from_flattened_dict(fields)
        return config

    def evaluator(self) -> pathlib.Path:
        """Trains the evaluator unless it is trained, and returns its workdir."""
        workdir = self.folder / "evaluator"
        train_until_flat(self.config(_EVALUATOR), workdir, self._args)
        return workdir

    def judge(self, evaluator: Evaluator) -> claim_figures.Judge:
        """Fits the linear probes to real clips."""
        vectors, phrases = {}, {}
        for name in ("train", "val", "test", "judge"):
            cases = list_cases(evaluator.config, self.store, name, paired=False)
            vectors[name] = evaluator.motions([c.captured(self.store) for c in cases])
            phrases[name] = [case.phrases[0] for case in cases]
        names = {phrase for group in phrases.values() for phrase in group}
        classes = {"phrase": {phrase: phrase for phrase in names}}
        if self.factors:
            of = self.factors
            classes = {
                factor: {phrase: of[phrase][i] for phrase in names}
                for i, factor in enumerate(("action", "manner"))
            }
        fitted = ("train", "val", "judge")
        inputs = np.concatenate([vectors[name] for name in fitted])
        read = [phrase for name in fitted for phrase in phrases[name]]
        probes = {
            factor: claim_figures.linear_probe(inputs, [of_phrase[p] for p in read])
            for factor, of_phrase in classes.items()
        }
        rest = ("val", "test", "judge")
        return claim_figures.Judge(
            classes,
            probes,
            np.concatenate([vectors[name] for name in rest]),
            [phrase for name in rest for phrase in phrases[name]],
        )


def train_until_flat(
    config: Config, workdir: pathlib.Path, args: argparse.Namespace
) -> dict[str, Any]:
    """Trains until validation has not improved for --patience steps, or --most steps.

    The run is trained in stages of half the patience, after each of which it may end.
    The learning rate is constant, so it equals one run of that many steps.

    Returns:
        steps, best_step, best (the validation error) and converged: whether it ended
        because it stopped improving.
    """
    stage, metric = max(1, args.patience // 2), config.train.best_metric
    while True:
        log = workdir / "metrics.jsonl"
        lines = read_lines(log, "delete the workdir") if log.exists() else ()
        errors = {
            line.value["step"]: line.value[metric]
            for line in lines
            if metric in line.value
        }
        done = max(errors, default=0)
        if done:
            best = min(errors, key=lambda step: errors[step])
            flat = done - best >= args.patience
            if (flat and done % stage == 0) or done >= args.most:
                return {
                    "steps": done,
                    "best_step": best,
                    "best": round(errors[best], 5),
                    "converged": flat,
                }
        config.train.num_steps = min((done // stage + 1) * stage, args.most)
        train(config, workdir)
