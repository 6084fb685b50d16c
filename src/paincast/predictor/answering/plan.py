"""Lay out a linear response for the way of its own that it has in the scoring core."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from paincast.explain import LEAST_CERTAINTY
from paincast.features import EncodedVariable, FittedEncoder
from paincast.models.binary.logistic import LinearModel
from paincast.models.binary.response import ResponseModel
from paincast.models.serialization import Response
from paincast.scoring.functions import ndtri
from paincast.scoring.layout import N_BENDS, LinearPlan, Term
from paincast.scoring.patients import FLAGS

FloatArray = npt.NDArray[np.float64]

MOST_NUMBERS = 64
"""Most numbers of a model that the core can flag as far from the training cohort."""


def plan_linear(response: Response) -> LinearPlan | None:
    """Lay out a response whose model and draws are linear; None for any other.

    Parameters
    ----------
    response : Response
        A fitted model.

    Returns
    -------
    LinearPlan or None
        None also for a model of an earlier version that is scored like any other kind: without draws, with a domain of
        other numbers than those of the encoder, or with draws around different means beside a prior.
    """
    if not isinstance(response, ResponseModel) or response.encoder.native_missing or not response.refits:
        return None
    models = (response.model, *response.refits)
    linear = [model for model in models if isinstance(model, LinearModel)]
    variables = [variable for variable in response.encoder.variables_ if variable.varies]
    numbers = [variable for variable in variables if variable.kind == "number"]
    if (
        len(linear) < len(models)
        or tuple(variable.name for variable in numbers) != tuple(response.domain.names)
        or len(numbers) > MOST_NUMBERS
        or any(len(variable.bends) not in (0, N_BENDS) for variable in numbers)
        or (response.effect_weight != 1.0 and not all(np.array_equal(model.means, linear[0].means) for model in linear))
    ):
        return None
    coefficients = np.array([model.coefficients for model in linear]).T
    means = np.array([model.means for model in linear]).T
    terms, references, first = [], [], 0
    for variable in variables:
        rows = slice(first, first + len(variable.encoded_names))
        first = rows.stop
        terms.append(_make_term(variable, response, coefficients[rows], means[rows, 0]))
        references.append(_add_up(means[rows] * coefficients[rows]))
    return LinearPlan(
        terms=tuple(terms),
        intercepts=np.array([model.intercept for model in linear], dtype=float),
        references=np.array(references).reshape(len(terms), len(models)),
        effect_weight=response.effect_weight,
        least_certainty=LEAST_CERTAINTY,
        reach=float(ndtri(LEAST_CERTAINTY)),
        precision=np.asarray(response.domain.precision, dtype=float),
        shows_reasons=response.shows_reasons,
    )


def _make_term(variable: EncodedVariable, response: ResponseModel, coefficients: FloatArray, means: FloatArray) -> Term:
    missing_variance = float(response.missing_variances.get(variable.name, 0.0))
    if variable.kind == "number":
        return Term(
            name=variable.name,
            table=np.empty((0, coefficients.shape[1])),
            log_scale=_is_on_log_scale(response.encoder, variable),
            centre=variable.centre,
            scale=variable.scale,
            knots=variable.knots,
            bends=variable.bends,
            marks_zero=variable.marks_zero,
            marks_missing=variable.marks_missing,
            coefficients=coefficients,
            means=means,
            missing_variance=missing_variance,
        )
    is_flag = variable.kind == "boolean"
    return Term(
        name=variable.name,
        levels=FLAGS if is_flag else variable.levels,
        words=("no", "yes") if is_flag else variable.levels,
        table=_make_table(variable, coefficients),
        coefficients=coefficients,
        means=means,
        missing_variance=missing_variance,
    )


def _is_on_log_scale(encoder: FittedEncoder, variable: EncodedVariable) -> bool:
    return bool(encoder.contract.episodes[variable.name].log_scale)


def _make_table(variable: EncodedVariable, coefficients: FloatArray) -> FloatArray:
    """Make the rows of each level, of a missing value and of an unknown level."""
    nothing = np.zeros(coefficients.shape[1])
    marked = coefficients[-1] if variable.marks_missing else nothing
    if variable.kind == "boolean":
        return np.array([nothing, coefficients[0], variable.centre * coefficients[0] + marked, nothing])
    n_levels = len(variable.levels)
    usual = _add_up(np.array(variable.shares)[:, None] * coefficients[:n_levels])
    return np.array([*coefficients[:n_levels], usual + marked, nothing])


def _add_up(rows: FloatArray) -> FloatArray:
    """Add rows up one after the other: a sum along an axis may pair them otherwise."""
    total = np.zeros(rows.shape[1])
    for row in rows:
        total = total + row
    return total
