"""What is recorded of one model of a binary outcome."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from paincast.explain import compute_importance
from paincast.reporting.pictures import draw_pictures
from paincast.reporting.summary import judge_sample_size, say_loss, say_precision
from paincast.settings import TrainingSettings
from paincast.tracking import ModelRun, summarize_dataset
from paincast.training.task import TrainedModel
from paincast.training_set import TrainingSet


def describe_model(
    trained: TrainedModel,
    probability: npt.NDArray[np.float64],
    bundle: Path,
    data: TrainingSet,
    settings: TrainingSettings,
) -> ModelRun:
    """Gather parameters, figures, tables and notes of a model.

    Parameters
    ----------
    trained : TrainedModel
        The model with its evaluation.
    probability : ndarray of shape (n_known,)
        Out-of-fold predictions of those whose outcome is known.
    bundle : Path
        Where it was saved.
    data : TrainingSet
        What it was trained on.
    settings : TrainingSettings
        How.

    Returns
    -------
    ModelRun
    """
    predictor = trained.predictor
    response = predictor.response
    pictures = draw_pictures(trained.curve, trained.metrics, trained.explanation, probability, predictor.basis)
    return ModelRun(
        technique=predictor.technique,
        outcome=predictor.outcome,
        horizon_months=predictor.horizon_months,
        model_kind=response.candidate.kind,
        basis=predictor.basis,
        n_real=predictor.n_real,
        bundle=bundle,
        metrics=trained.metrics,
        dataset=summarize_dataset(data.cohort, f"{data.technique} ({predictor.basis})"),
        params={
            **{f"model.{name}": value for name, value in response.candidate.parameters.items()},
            **{
                f"calibration.{name}": value
                for name, value in response.calibration.to_state().items()
                if isinstance(value, str | int | float)
            },
            "evaluation.folds": settings.evaluation.folds,
            "evaluation.repeats": settings.evaluation.repeats,
            "observation.method": settings.observation.method,
            "observation.truncation": settings.observation.truncation,
            "uncertainty.refits": settings.uncertainty.refits,
            "seed": settings.seed,
            "n_training": predictor.n_training,
            "n_events": predictor.n_events,
            "n_lost": int((~data.known).sum()),
            "effective_n": read_effective_size(trained.weights),
            **trained.further.params,
        },
        figures={name: picture.figure for name, picture in pictures.items()},
        captions={name: picture.caption for name, picture in pictures.items()},
        tables={
            "flow": trained.flow,
            "sample_size": judge_sample_size(predictor),
            "selection": response.selection,
            "calibration_curve": trained.curve,
            "importance": compute_importance(trained.explanation),
            "loss_to_follow_up": trained.loss,
            "observation_weights": trained.weights,
            "tipping_point": trained.tipping_point,
            **trained.further.tables,
        },
        tags={"model_content": predictor.version},
        notes=(
            f"Asked: {data.outcome.denominator}. Follow-up: {data.outcome.horizon_rule}.",
            say_precision(predictor),
            say_loss(trained.weights, trained.loss, trained.tipping_point),
            *trained.further.notes,
        ),
    )


def read_effective_size(weights: pd.DataFrame) -> float:
    """Read the effective sample size from a summary of weights."""
    return float(weights.set_index("measure")["value"]["effective sample size"])
