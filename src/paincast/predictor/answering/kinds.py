"""Lay out a response of any kind for the scoring core."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from paincast.deferred import special
from paincast.explain import LEAST_CERTAINTY
from paincast.features import EncodedVariable, FittedEncoder
from paincast.models.binary.logistic import LinearModel
from paincast.models.binary.response import ResponseModel
from paincast.models.binary.uncertainty_components import UncertaintyComponents
from paincast.models.calibration.calibrated import BinaryModel
from paincast.models.continuous.change import HIGHEST_SCORE, MEASURE, list_quantiles
from paincast.models.continuous.cumulative import CumulativeChangeResponse
from paincast.models.continuous.response import ChangeResponse
from paincast.models.domain import Domain
from paincast.models.serialization import Response
from paincast.models.survival.duration import SMALLEST
from paincast.models.survival.hazard import HazardModel
from paincast.models.survival.response import DurationResponse
from paincast.predictor.answering.plan import plan_linear
from paincast.scoring.functions import ndtri
from paincast.scoring.kinds.binary import BinaryPlan, score_binary
from paincast.scoring.kinds.change import ChangePlan, score_change
from paincast.scoring.kinds.cumulative import CumulativePlan, score_cumulative
from paincast.scoring.kinds.duration import DurationPlan, Hazard, score_duration
from paincast.scoring.kinds.encoding import Encoding, Variable
from paincast.scoring.kinds.linear import LinearBinaryPlan, measure_linear_binary, score_linear_binary
from paincast.scoring.kinds.log_odds import ByRows, Linear, LogOdds
from paincast.scoring.kinds.score import Beliefs, Request, Score, Uncertainty
from paincast.scoring.patients import FLAGS, Patients
from paincast.scoring.reasons import Worded

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]


class Kind(NamedTuple):
    """A response as the core answers by it.

    ``terms`` are the variables of which reasons speak, ``missing_variances`` how far an unknown one of them could move
    the answer, ``domain_names`` the numbers that are compared with the training cohort, ``reads`` columns that are read
    beside those of the encoder, ``score`` what scores patients. ``explains_apart`` says that reasons cost so much more
    than numbers that only patients who get an answer are explained. ``measure`` tells how far patients are from the
    training cohort without scoring them, where that is quicker.
    """

    terms: tuple[Worded, ...]
    missing_variances: dict[str, float]
    domain_names: tuple[str, ...]
    reads: tuple[str, ...]
    score: Callable[[Patients, Request], Score]
    explains_apart: bool
    measure: Callable[[Patients], tuple[BoolArray, FloatArray]] | None = None


def make_kind(response: Response) -> Kind:
    """Lay out a response.

    Parameters
    ----------
    response : Response
        A fitted model.
    """
    encoding = lay_out_encoder(response.encoder, response.domain, _list_variances(response))
    score = _make_score(response, encoding)
    told = {variable.name: response.missing_variances.get(variable.name, 0.0) for variable in encoding.variables}
    reached = {name: float(variance) for name, variance in told.items() if variance}
    return Kind(
        terms=encoding.variables,
        missing_variances=reached,
        domain_names=encoding.domain_names,
        reads=(MEASURE,) if isinstance(response, ChangeResponse | CumulativeChangeResponse) else (),
        score=score,
        explains_apart=score.func is not score_linear_binary,
        measure=partial(measure_linear_binary, *score.args) if score.func is score_linear_binary else None,
    )


def lay_out_encoder(encoder: FittedEncoder, domain: Domain, missing_variances: Mapping[str, float]) -> Encoding:
    """Lay out a fitted encoder, and the summary of its training cohort.

    Parameters
    ----------
    encoder : FittedEncoder
        A fitted encoder.
    domain : Domain
        Of the same episodes.
    missing_variances : mapping of str to float
        Variance that is added where a variable is missing.
    """
    variables = tuple(_lay_out_variable(encoder, variable) for variable in encoder.variables_ if variable.varies)
    names = tuple(
        variable.name for variable in variables if variable.kind == "number" and variable.name in domain.names
    )
    return Encoding(
        variables=variables,
        native_missing=bool(encoder.native_missing),
        domain_names=names,
        precision=np.asarray(domain.precision, dtype=float).reshape(len(names), len(names)),
        missing_variances=missing_variances,
    )


def _lay_out_variable(encoder: FittedEncoder, variable: EncodedVariable) -> Variable:
    levels = {"number": (), "boolean": FLAGS}.get(variable.kind, variable.levels)
    return Variable(
        name=variable.name,
        kind=variable.kind,
        levels=levels,
        words=("no", "yes") if variable.kind == "boolean" else levels,
        shares=variable.shares,
        centre=variable.centre,
        scale=variable.scale,
        log_scale=bool(encoder.contract.episodes[variable.name].log_scale),
        knots=variable.knots,
        bends=variable.bends,
        marks_zero=variable.marks_zero,
        marks_missing=variable.marks_missing,
    )


def _list_variances(response: Response) -> Mapping[str, float]:
    """List the variances that missing values add to the uncertainty."""
    if isinstance(response, CumulativeChangeResponse):
        return response.response.uncertainty_components.missing
    components = None if isinstance(response, ChangeResponse) else response.uncertainty_components
    return {} if components is None else components.missing


def _make_score(response: Response, encoding: Encoding) -> partial[Score]:
    if isinstance(response, DurationResponse):
        return partial(score_duration, _plan_duration(response, encoding))
    if isinstance(response, ChangeResponse):
        return partial(score_change, _plan_change(response, encoding))
    if isinstance(response, CumulativeChangeResponse):
        return partial(score_cumulative, _plan_cumulative(response, encoding))
    linear = plan_linear(response)
    if linear is not None:
        uncertainty = _lay_out_uncertainty(response.uncertainty_components)
        return partial(score_linear_binary, LinearBinaryPlan(linear, uncertainty))
    return partial(score_binary, _plan_binary(response, encoding))


def _plan_binary(response: ResponseModel, encoding: Encoding) -> BinaryPlan:
    return BinaryPlan(
        encoding=encoding,
        served=_lay_out_model(response.model),
        draws=tuple(map(_lay_out_model, response.refits)),
        uncertainty=_lay_out_uncertainty(response.uncertainty_components),
        beliefs=_lay_out_beliefs(response),
    )


def _plan_cumulative(response: CumulativeChangeResponse, encoding: Encoding) -> CumulativePlan:
    below, _, above = (float(special.logit(quantile)) for quantile in list_quantiles(response.level))
    return CumulativePlan(
        half=_plan_binary(response.response, encoding),
        shares=response.shares,
        margins=response.margins,
        quantiles=(below, above),
        mean_scale=response.mean_scale,
        measure=MEASURE,
        highest=HIGHEST_SCORE,
    )


def _plan_duration(response: DurationResponse, encoding: Encoding) -> DurationPlan:
    model, components = response.model, response.uncertainty_components
    cuts = np.array(model.cuts, dtype=float)
    n_visits = int(np.searchsorted(cuts, response.horizon_months + 1e-9, side="right"))
    served, *draws = (_lay_out_hazard(hazard, response.means) for hazard in (model.relief, *model.refits))
    return DurationPlan(
        encoding=encoding,
        served=served,
        draws=tuple(draws),
        cuts=cuts,
        n_visits=n_visits,
        is_modelled=bool(n_visits and response.horizon_months <= cuts[-1] + 1e-9),
        uncertainty=None if components is None else _lay_out_uncertainty(components),
        beliefs=_lay_out_beliefs(response),
        smallest=SMALLEST,
    )


def _plan_change(response: ChangeResponse, encoding: Encoding) -> ChangePlan:
    model = response.model
    lower, median, upper = _lay_out_quantiles(model.coefficients, response.means)
    return ChangePlan(
        encoding=encoding,
        quantiles=(lower, median, upper),
        medians=_lay_out_quantiles(model.medians, response.means),
        corrections=model.corrections,
        mean_scale=response.mean_scale,
        measure=MEASURE,
        highest=HIGHEST_SCORE,
        beliefs=_lay_out_beliefs(response),
    )


def _lay_out_quantiles(coefficients: Iterable[FloatArray], means: FloatArray) -> tuple[Linear, ...]:
    rows = (np.asarray(row, dtype=float) for row in coefficients)
    return tuple(Linear(float(row[0]), row[1:], np.asarray(means, dtype=float)) for row in rows)


def _lay_out_hazard(hazard: HazardModel, means: FloatArray) -> Hazard:
    reference = np.asarray(means, dtype=float)
    first, every = (
        Linear(0.0, np.asarray(part, dtype=float), reference) for part in (hazard.first, hazard.coefficients)
    )
    return Hazard(np.asarray(hazard.intercepts, dtype=float), every, first if first.coefficients.any() else None)


def _lay_out_model(model: BinaryModel) -> LogOdds:
    if isinstance(model, LinearModel):
        return Linear(float(model.intercept), np.asarray(model.coefficients), np.asarray(model.means))
    return ByRows(model)


def _lay_out_uncertainty(components: UncertaintyComponents) -> Uncertainty:
    return Uncertainty(components.between_sites, components.unexplained, components.evidence_share)


def _lay_out_beliefs(response: Response) -> Beliefs:
    return Beliefs(
        effect_weight=response.effect_weight,
        least_certainty=LEAST_CERTAINTY,
        reach=float(ndtri(LEAST_CERTAINTY)),
        shows_reasons=response.shows_reasons,
    )
