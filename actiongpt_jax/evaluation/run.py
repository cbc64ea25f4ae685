"""Runs one evaluation, from its options to its figures."""

import os
from typing import Any

from actiongpt_jax.evaluation.cases import mean_pose, random_clips
from actiongpt_jax.evaluation.motion_folder import FileSession
from actiongpt_jax.evaluation.multimodality import multimodalities
from actiongpt_jax.evaluation.options import Options
from actiongpt_jax.evaluation.session import ModelSession, Session


def evaluate_model(
    workdir: str | os.PathLike | None = None,
    *,
    out: str | os.PathLike | None = None,
    **options: Any,
) -> dict[str, Any]:
    """Evaluates what a trained model generates, or files, next to captured motion.

    Finished motions are kept in the folder `evaluation` of `pretrained.output_folder`,
    or of the folder of files, under names that depend on everything that the figures
    depend on. After an interruption, the same call continues from there.

    Args:
        workdir: folder or name of the model, as `load_model` takes it.
        out: JSON file to write; None takes one in that folder.
        **options: fields of `Options`, by name, such as `split="val", samples=10`.

    Returns:
        The figures, as in the JSON file; `evaluation.tables.readable` lays them out.
        `path` is that file.

    Raises:
        FileNotFoundError: for a workdir without a checkpoint.
        InputError: for bad input.
    """
    fields = {
        name: os.fspath(value) if isinstance(value, os.PathLike) else value
        for name, value in {"workdir": workdir, **options}.items()
    }
    # Open the model or the files, the stores and the journals' header.
    settings = Options(**fields)
    if settings.motions is not None:
        return _evaluate_files(FileSession(settings), out)
    run = ModelSession(settings)
    result: dict[str, Any] = {**run.header, "notes": run.notes}

    # Measure how often the nearest text names a motion's category.
    if settings.categories is not None:
        result["recognition"] = run.recognise(settings.categories)
        return run.written(result, out)

    # Judge whether motions do what the phrases say.
    if settings.semantic:
        result["semantic"] = run.judge()
    if settings.semantic == "only":
        return run.written(result, out)

    # Measure what the model generates.
    result |= run.evaluate("model", run.source(), settings.samples or 1)

    # Measure the baselines, which are made from the training split.
    if settings.baselines:
        result["baselines"] = _baselines(run)

    # Compare several motions of the same text.
    if run.evaluator is not None and settings.multimodality:
        result["multimodality"] = multimodalities(
            run.trained,
            run.embedder,
            run.evaluator,
            run.journal("multimodality"),
            run.cases,
            settings.multimodality,
            settings.fact,
            settings.seed,
        )

    return run.written(result, out)


def _evaluate_files(run: FileSession, out: str | os.PathLike | None) -> dict[str, Any]:
    """Evaluates files; see `evaluate_model`."""
    result = {**run.header, **run.evaluate("files", run.source(), run.samples)}
    result["notes"] = [*run.notes, *run.notes_on_lengths()]
    if run.options.baselines:
        result["baselines"] = _baselines(run)
    return run.written(result, out)


def _baselines(run: Session) -> dict[str, Any]:
    """Measures a body in the mean pose, and random clips of the training split."""
    known = run.list_cases(run.config.data.train_split)
    clips = random_clips(run.store, known, run.options.seed)
    return {
        "mean_pose": run.evaluate("mean_pose", mean_pose(run.store, known)),
        "random_clip": run.evaluate("random_clip", clips),
    }
