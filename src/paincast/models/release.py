"""Round what a response stores about real patients, so that a saved model does not disclose small counts.

Together with the number of patients, exact shares, means and covers of trees would reveal counts. They are rounded
after the model is fitted and before it is evaluated. The rounded values are used to impute missing values and as the
reference of explanations; predictions change little or not at all.
"""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from paincast.disclosure.rounding import FEW_DIGITS, round_digits, round_means, round_shares
from paincast.features import EncodedVariable, FittedEncoder
from paincast.models.binary.kinds import find_kind
from paincast.models.binary.logistic import LinearModel
from paincast.models.binary.response import ResponseModel
from paincast.models.binary.uncertainty_components import UncertaintyComponents
from paincast.models.continuous.cumulative import CumulativeChangeResponse
from paincast.models.continuous.response import ChangeResponse
from paincast.models.domain import Domain
from paincast.models.serialization import Response
from paincast.models.survival.response import DurationResponse

FloatArray = npt.NDArray[np.float64]

PRECISION_DIGITS = 3

FEW_VALUES = 6
"""A number with at most this many distinct values has its mean and standard deviation rounded, to hide counts."""


@dataclass(frozen=True)
class Shift:
    """Standard scores after rounding mean and standard deviation: ``slope * score + offset`` of the previous scores."""

    slope: float
    offset: float


def release_response(response: Response, episodes: pd.DataFrame, *, blended: bool = False) -> Response:
    """Round what a fitted response stores about real patients.

    Parameters
    ----------
    response : Response
        Fitted to real patients.
    episodes : DataFrame of shape (n, ...)
        Its training episodes.
    blended : bool
        Whether encoder and domain come from simulated patients; then they are not rounded.

    Returns
    -------
    Response
        The same kind. Its predictions may differ slightly if a category or a yes/no value is missing, and if trees
        were rounded.
    """
    if isinstance(response, CumulativeChangeResponse):
        half = release_response(response.response, episodes, blended=blended)
        assert isinstance(half, ResponseModel)
        missing = {name: round_digits(value, FEW_DIGITS) for name, value in response.missing_variances.items()}
        margins = np.array([round_digits(margin, PRECISION_DIGITS) for margin in response.margins])
        scale = round_digits(response.mean_scale, FEW_DIGITS)
        return replace(response, response=half, margins=margins, mean_scale=scale, missing_variances=missing)
    n, encoder, domain = len(episodes), response.encoder, response.domain
    if not blended:
        if isinstance(response, ResponseModel):
            response = _round_scores(response, episodes)
        encoder, domain = _round_encoder(response.encoder, n), _round_domain(response.domain)
    if isinstance(response, DurationResponse):
        model = replace(response.model, encoder=encoder)
        means = round_means(response.means, encoder.flags, n)
        released = replace(response, model=model, domain=domain, means=means)
        if response.uncertainty_components is None:
            return released
        components = _round_components(response.uncertainty_components, model, encoder)
        return replace(released, uncertainty_components=components, missing_variances=components.missing)
    if isinstance(response, ChangeResponse):
        changed = replace(response.model, encoder=encoder)
        return replace(response, model=changed, domain=domain, means=round_means(response.means, encoder.flags, n))
    model = find_kind(response.model).round_model(response.model, encoder.flags, n)
    return replace(
        response,
        encoder=encoder,
        model=model,
        refits=tuple(find_kind(refit).round_model(refit, encoder.flags, n) for refit in response.refits),
        uncertainty_components=_round_components(response.uncertainty_components, model, encoder),
        domain=domain,
    )


def _round_scores(response: ResponseModel, episodes: pd.DataFrame) -> ResponseModel:
    """Round mean and standard deviation of numbers with few values; linear models are adjusted to predict the same.

    Models with trees or steps are left alone: their cut points could not be adjusted exactly.
    """
    if not all(isinstance(model, LinearModel) for model in (response.model, *response.refits)):
        return response
    encoder, shifts = copy(response.encoder), dict[str, Shift]()
    variables = []
    for variable in encoder.variables_:
        if variable.kind == "number" and variable.varies and episodes[variable.name].nunique() <= FEW_VALUES:
            centre, scale = round(variable.centre, 1), max(round(variable.scale, 1), 0.1)
            shift = Shift(slope=variable.scale / scale, offset=(variable.centre - centre) / scale)
            shifts[variable.name] = shift
            knots = tuple(shift.slope * knot + shift.offset for knot in variable.knots)
            bends = tuple((shift.slope * mean, shift.slope * spread) for mean, spread in variable.bends)
            variable = replace(variable, centre=centre, scale=scale, knots=knots, bends=bends)
        variables.append(variable)
    encoder.variables_ = tuple(variables)
    slopes = np.array([shifts[name].slope if name in shifts else 1.0 for name in response.domain.names])
    return replace(
        response,
        encoder=encoder,
        model=_follow(response.model, encoder, shifts),
        refits=tuple(_follow(refit, encoder, shifts) for refit in response.refits),
        domain=replace(response.domain, precision=response.domain.precision / np.outer(slopes, slopes)),
    )


def _follow(model: Any, encoder: FittedEncoder, shifts: dict[str, Shift]) -> Any:
    """Adjust a linear model to shifted scores, so that its linear predictors are unchanged."""
    coefficients, means, intercept = model.coefficients.copy(), model.means.copy(), model.intercept
    names = encoder.get_feature_names_out().tolist()
    for name, shift in shifts.items():
        position = names.index(name)
        coefficients[position] /= shift.slope
        means[position] = shift.slope * means[position] + shift.offset
        intercept -= coefficients[position] * shift.offset
    return LinearModel(intercept=float(intercept), coefficients=coefficients, means=means)


def _round_encoder(encoder: FittedEncoder, n: int) -> FittedEncoder:
    rounded = copy(encoder)
    rounded.variables_ = tuple(_round_variable(variable, n) for variable in encoder.variables_)
    rounded.unavailable_ = encoder.unavailable_
    return rounded


def _round_variable(variable: EncodedVariable, n: int) -> EncodedVariable:
    if variable.kind == "number" or not variable.varies:
        return variable
    shares = round_shares(variable.shares, n)
    centre = dict(zip(variable.levels, shares, strict=True)).get("true", 0.0)
    return replace(variable, shares=shares, centre=centre if variable.kind == "boolean" else 0.0)


def _round_components(
    uncertainty_components: UncertaintyComponents, model: Any, encoder: FittedEncoder
) -> UncertaintyComponents:
    """Round variances; for a category or yes/no in a linear model, compute the variance from the rounded shares."""
    missing = {name: round_digits(value, FEW_DIGITS) for name, value in uncertainty_components.missing.items()}
    if isinstance(model, LinearModel):
        owners = np.array(encoder.owners)
        for variable in encoder.variables_:
            if variable.kind != "number" and variable.varies and variable.name in missing:
                flags = np.flatnonzero(owners == variable.name)[: len(variable.levels)]
                flags = flags[:1] if variable.kind == "boolean" else flags
                added, shares = model.coefficients[flags], model.means[flags]
                if variable.kind == "boolean":
                    added, shares = np.append(added, 0.0), np.append(shares, 1.0 - shares)
                if shares.sum() > 0:
                    spread = np.average((added - np.average(added, weights=shares)) ** 2, weights=shares)
                    missing[variable.name] = round_digits(float(spread), FEW_DIGITS)
    return replace(uncertainty_components, missing=missing)


def _round_domain(domain: Domain) -> Domain:
    rounded = np.array([[round_digits(value, PRECISION_DIGITS) for value in row] for row in domain.precision])
    positive = len(domain.names) > 0 and bool((np.linalg.eigvalsh(rounded) > 0).all())
    return replace(domain, precision=rounded) if positive else domain
