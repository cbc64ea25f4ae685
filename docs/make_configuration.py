"""Writes docs/configuration.md from the configs and the comments in their sources.

python docs/make_configuration.py          # write the page
python docs/make_configuration.py --check  # exit code 1 if the page is out of date
"""

import inspect
import pathlib
import re
import sys
from typing import Any

DOCS = pathlib.Path(__file__).resolve().parent
REPO = DOCS.parent
PAGE = DOCS / "configuration.md"
# Works from a checkout that is not installed, too.
sys.path.insert(0, str(REPO))

from actiongpt_jax import config_fields  # noqa: E402
from actiongpt_jax.config import load_config  # noqa: E402
from actiongpt_jax.models.family import FAMILIES, family_of  # noqa: E402
from actiongpt_jax.nn.sizes import Sizes  # noqa: E402

# Word -> the configs that have it.
FORMS = {
    "demo": tuple(FAMILIES),
    "debug": tuple(FAMILIES),
    "small": ("temos", "teach"),
}
SECTIONS = {
    "compat": "One field for all accidents of the published code",
    "model": "The model",
    "losses": "Weights and variants of the loss",
    "data": "Motion",
    "text": "Text",
    "train": "Training",
}
# Descriptions of fields that have no comment in the source.
DESCRIPTIONS = {
    "model.name": "Name of the model.",
    "losses.lmd_kl": "Weight of the four KL divergences.",
    "losses.lmd_latent": "Weight of the distance between text and motion latents.",
    "losses.recons_mean": "What the reconstruction loss is averaged over: real "
    "frames, or padded frames too, as published.",
    "losses.lambda_rc": "Weight of the reconstruction of rotations.",
    "losses.lambda_rcxyz": "Weight of the reconstruction of joint or vertex positions.",
    "losses.lambda_vel": "Weight of the differences between frames of rotations.",
    "losses.lambda_velxyz": "Weight of the differences between frames of positions.",
    "losses.text_cosine": "Weight of the cosine distance to the text.",
    "losses.text_mse": "Weight of the squared distance to the text.",
    "losses.text_ce": "Weight of the contrastive loss with the texts of the batch.",
    "losses.image_cosine": "Weight of the cosine distance to the image.",
    "losses.image_mse": "Weight of the squared distance to the image.",
    "losses.image_ce": "Weight of the contrastive loss with the images of the batch.",
    "data.store": "Folder of the motion store.",
    "data.labels": "Labels to train on: those of frames only, or those of whole "
    "sequences too.",
    "data.min_frames": "Shortest segment, in frames.",
    "data.max_frames": "Longest segment, in frames.",
    "data.heading": "Heading that is removed from the features: the true yaw, or the "
    "published approximation.",
    "data.train_split": "Split of the store to train on.",
    "data.val_split": "Split of the store to validate on.",
    "data.max_shapes": "Largest number of padded lengths; each is compiled once.",
    "data.num_frames": "Number of frames of a window.",
    "data.clip_frames": "Number of frames of the clip that a window is taken from.",
    "text.store": "Folder of the embedding store.",
    "text.k": "Descriptions per phrase; None takes what the store holds.",
    "text.aggregation": "How k descriptions are joined; None takes what the store "
    "holds.",
    "text.width": "Width of the embeddings; read from the store.",
    "text.weight_hash": "Hash of the encoder's weights; read from the store.",
    "train.batch_size": "Items per step, over all devices.",
    "train.num_steps": "Number of steps; None trains for `num_epochs`.",
    "train.num_epochs": "Number of epochs, if `num_steps` is None.",
    "train.seed": "Seed of the whole run.",
    "train.dtype": "Type of matrix products; parameters and losses are float32.",
    "train.optimizer": "Optimizer: adamw or sgd.",
    "train.learning_rate": "Learning rate.",
    "train.schedule": "Course of the learning rate; see `warmup_steps`.",
    "train.weight_decay": "Weight decay of AdamW, applied to every parameter.",
    "train.grad_clip": "Largest global norm of the gradient; None does not clip.",
    "train.log_steps": "Steps between two lines of metrics.",
    "train.eval_epochs": "Epochs between two validations.",
    "train.checkpoint_steps": "Steps between two checkpoints.",
    "train.keep_checkpoints": "Number of recent checkpoints to keep.",
    "train.best_metric": "Validation figure that chooses the best checkpoint; the "
    "lowest is best.",
}
HEAD = """# Configuration

<!-- Written by docs/make_configuration.py from the sources; do not edit. -->

Every field below is a flag of `train`: `--config.train.batch_size=64`. The defaults
are those of `configs/temos.py`, `teach.py`, `motionclip.py` and `evaluator.py`; "-"
means that a config does not have the field, `None` that it is not set. Words after a
colon change several fields at once: `--config configs/teach.py:demo,k=8`. A comment
that belongs to one config begins with its name.

| word | effect |
|---|---|
| `demo` | [a small model](#small-forms) on built-in data, minutes on a CPU |
| `debug` | a tiny model, seconds |
| `small` | TEMOS, TEACH: a small model on built-in data, an hour on a CPU |
| `k=N` | sets `text.k` |
| `text=SOURCE` | sets `text.source` to `descriptions`, `phrase` or `mixed` |
"""


def comments(path: pathlib.Path) -> dict[str, str]:
    """Reads the comments above the assignments to `config.FIELD` in a file.

    Args:
        path: a Python source file.

    Returns:
        'section.field' -> the comment, in one line.
    """
    result, block = {}, []
    for line in map(str.strip, path.read_text().splitlines()):
        if line.startswith("#"):
            block.append(line.lstrip("# "))
            continue
        target, equals, _ = line.partition(" = ")
        if equals and block:
            for field in re.findall(r"\bconfig\.([\w.]+)", target):
                result[field] = " ".join(block)
        block = []
    return result


def attributes(documented: type) -> dict[str, str]:
    """Reads the attributes that a docstring lists: name -> text, in one line."""
    _, _, text = (inspect.getdoc(documented) or "").partition("Attributes:")
    result, name = {}, ""
    # Entries are indented by four spaces, the lines that continue them by more.
    for line in text.splitlines():
        if match := re.match(r" {4}(\w+): (.*)", line):
            name = match[1]
            result[name] = match[2]
        elif line.strip() and name:
            result[name] += f" {line.strip()}"
    return result


def open_config(name: str, words: str = "") -> Any:
    """Loads the config of a model from this checkout, whatever is installed."""
    path = REPO / "configs" / f"{name}.py"
    return load_config(f"{path}:{words}" if words else str(path))


def flatten(config: Any) -> dict[str, Any]:
    """Returns 'section.field' -> value of a config."""
    fields = {}
    for name, value in config.items():
        if hasattr(value, "items"):
            fields |= {f"{name}.{field}": v for field, v in flatten(value).items()}
        else:
            fields[name] = value
    return fields


def describe(field: str, names: list[str]) -> str:
    """Returns what a field means and which values it may have.

    Args:
        field: 'section.field'.
        names: the configs that have the field.

    Raises:
        LookupError: if neither a comment, a docstring nor `DESCRIPTIONS` has it.
    """
    section, _, last = field.rpartition(".")
    if section not in SECTIONS and section:
        # A table of weights is described once.
        return describe(section, names)
    shared = comments(REPO / "actiongpt_jax" / "config_fields.py").get(field)
    texts = [DESCRIPTIONS.get(field), shared]
    if section == "model":
        models = [family_of(open_config(name)).model for name in names]
        classes = [base for model in models for base in model.__mro__]
        known = [attributes(Sizes), *map(attributes, classes)]
        texts.append(next((a[last] for a in known if last in a), None))
    by_comment: dict[str, list[str]] = {}
    for name in names:
        if comment := comments(REPO / "configs" / f"{name}.py").get(field):
            by_comment.setdefault(comment, []).append(name)
    texts += [f"*{', '.join(who)}*: {text}" for text, who in by_comment.items()]
    sentences = []
    for text in filter(None, texts):
        text = text[:1].upper() + text[1:]
        sentences.append(text if text.endswith((".", "?")) else f"{text}.")
    if not sentences:
        raise LookupError(
            f"config.{field} is not described; put a comment above it in the config"
        )
    if allowed := config_fields._CHOICES.get(field):
        sentences.append(f"Values: {', '.join(f'`{value}`' for value in allowed)}.")
    return " ".join(sentences).replace("|", "\\|")


def shown(value: Any) -> str:
    """Returns a value as it is written on the command line."""
    if isinstance(value, float):
        return f"`{value:.5g}`"
    return "`''`" if value == "" else f"`{value}`"


def page() -> str:
    """Returns the text of the page."""
    configs = {name: flatten(open_config(name)) for name in FAMILIES}
    fields = list(dict.fromkeys(field for c in configs.values() for field in c))
    lines = [HEAD]
    for section, title in SECTIONS.items():
        lines += [f"## {title}", ""]
        lines += [f"| field | {' | '.join(configs)} | meaning |", "|---" * 6 + "|"]
        for field in fields:
            if field.partition(".")[0] == section:
                names = [name for name, config in configs.items() if field in config]
                values = [
                    shown(config[field]) if field in config else "-"
                    for config in configs.values()
                ]
                row = f"`{field}`", *values, describe(field, names)
                lines.append(f"| {' | '.join(row)} |")
        lines.append("")
    lines += ["`compat=reference` sets:", "", "| field | value |", "|---|---|"]
    for field, value in config_fields.REFERENCE_DEVIATIONS.items():
        lines.append(f"| `{field}` | `{value}` |")
    lines += ["", "[Differences](differences.md) explains them.", "", "## Small forms"]
    for form, names in FORMS.items():
        small = {name: flatten(open_config(name, form)) for name in names}
        lines += ["", f"What `:{form}` changes:", ""]
        lines += [f"| field | {' | '.join(names)} |", "|---" * (len(names) + 1) + "|"]
        for field in fields:
            changed = {
                name: shown(small[name][field])
                for name in names
                if small[name].get(field) != configs[name].get(field)
            }
            if changed:
                values = [changed.get(name, "") for name in names]
                lines.append(f"| `{field}` | {' | '.join(values)} |")
    return "\n".join(lines) + "\n"


def main(argv: list[str]) -> int:
    """Writes the page, or with --check compares it; returns the exit code."""
    if argv == ["--check"]:
        return int(PAGE.read_text() != page())
    PAGE.write_text(page())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
