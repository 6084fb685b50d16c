"""Fit the model of a binary outcome."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np
import numpy.typing as npt

from paincast.models.binary.response import cross_fit_linear_predictor, fit_response_model
from paincast.models.binary.surroundings import make_surroundings
from paincast.training.evaluation import evaluate_linear_predictor
from paincast.training.finish import FittedModel
from paincast.training.internal_validation import InternalValidation, RefitProcedure, validate_modelling
from paincast.training.kinds.reasons import withhold_reasons
from paincast.training.kinds.refit import ResponseRefit
from paincast.training.task import EVALUATING, FITTING, VALIDATING, Task

FloatArray = npt.NDArray[np.float64]


def fit_binary(task: Task) -> FittedModel:
    """Cross-fit and fit the model of a binary outcome.

    Parameters
    ----------
    task : Task
        Technique and outcome.

    Returns
    -------
    FittedModel

    Raises
    ------
    RefusalError
        If one class of the outcome is too small.
    """
    data, settings = task.data, task.settings
    evaluation_rng, fit_rng, metric_rng, pool_rng, instability_rng = task.make_stream().spawn(5)
    directed = data.outcome.follows_response
    around = make_surroundings(
        data.technique,
        data.episodes,
        task.parts,
        settings,
        pool_rng,
        directed=directed,
        contract=data.contract,
    )
    # The final fit runs in a thread while the folds run in their processes, so that no core is idle.
    with ThreadPoolExecutor(1) as executor:
        fitting = executor.submit(
            fit_response_model,
            data.episodes,
            data.observed,
            settings,
            fit_rng,
            surroundings=around,
            progress=task.begin(FITTING),
        )
        crossed = cross_fit_linear_predictor(
            data.episodes,
            data.observed,
            settings,
            evaluation_rng,
            surroundings=around,
            progress=task.begin(EVALUATING),
        )
        response = withhold_reasons(
            fitting.result(), task, crossed.linear_predictor, required=settings.model.standard_errors
        )
    refit = ResponseRefit(settings=settings, around=around, parts=task.parts, directed=directed)
    return FittedModel(
        response=response,
        evaluate=partial(evaluate_linear_predictor, task, crossed.linear_predictor, metric_rng, crossed=crossed),
        validation=validate_task(task, refit),
        instability_rng=instability_rng,
    )


def validate_task(task: Task, refit: RefitProcedure) -> InternalValidation:
    """Repeat the whole modelling as often as the settings say, with a separate random stream."""
    stream, progress = task.make_stream("validation"), task.begin(VALIDATING)
    return validate_modelling(task.data, task.settings, refit, stream, progress, everybody=task.everybody)
