"""Random responses of every kind on made-up patients with everything that an encoder can do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache, partial
from typing import Any

import numpy as np
import pandas as pd
import pytest

from paincast.cohort.tables import conform
from paincast.features import EpisodeEncoder
from paincast.files.serialization import PlainTable
from paincast.models.binary.additive import AdditiveModel, Steps
from paincast.models.binary.boosting import fit_boosted, fit_boosted_linear
from paincast.models.binary.logistic import LinearModel
from paincast.models.binary.model_kind import Candidate
from paincast.models.binary.response import ResponseModel
from paincast.models.binary.uncertainty_components import UncertaintyComponents
from paincast.models.calibration.affine import IDENTITY, AffineCalibration
from paincast.models.calibration.calibrated import BinaryModel, CalibratedModel
from paincast.models.calibration.curved import BetaCalibration
from paincast.models.continuous.change import ChangeModel
from paincast.models.continuous.cumulative import CumulativeChangeResponse
from paincast.models.continuous.response import ChangeResponse
from paincast.models.domain import Domain, fit_domain
from paincast.models.serialization import Response
from paincast.models.survival.duration import DurationModel
from paincast.models.survival.hazard import HazardModel
from paincast.models.survival.response import DurationResponse


def make_episodes(seed: int, n: int, missing: float = 0.1) -> pd.DataFrame:
    """Make patients with splines, zeros, a skewed number, categories, yes/no values and gaps."""
    rng = np.random.default_rng(seed)
    columns = {
        "indication": pd.Series(["lumbar_facet"] * n),
        "age_years": pd.Series(rng.normal(55, 12, n).clip(18, 100)),
        "bmi": pd.Series(rng.normal(28, 5, n).clip(14, 60)),
        "pain_nrs": pd.Series(rng.integers(0, 11, n).astype(float)),
        "pain_duration_months": pd.Series(rng.lognormal(3, 1, n).clip(0, 700)),
        "opioid_mme": pd.Series(np.where(rng.random(n) < 0.5, 0.0, rng.uniform(1, 200, n))),
        "odi": pd.Series(rng.normal(45, 15, n).clip(0, 100)),
        "sex": pd.Series(rng.choice(["female", "male"], n)),
        "work_status": pd.Series(rng.choice(["working", "sick_leave", "not_working"], n)),
        "depression": pd.Series(rng.random(n) < 0.3, dtype="boolean"),
        "smoker": pd.Series(rng.random(n) < 0.3, dtype="boolean"),
        "prior_spine_surgery": pd.Series(rng.random(n) < 0.2, dtype="boolean"),
    }
    for name, values in columns.items():
        if name != "indication":
            columns[name] = values.mask(rng.random(n) < missing)
    ids = {"episode_id": [f"e{i}" for i in range(n)], "patient_id": [f"p{i}" for i in range(n)]}
    return conform("episodes", pd.DataFrame({**ids, "technique": "facet_rfa", **columns}))


def make_response(seed: int, *, weight: float = 1.0, draws: int = 7) -> ResponseModel:
    """Make a response with random coefficients; a weight below 1 is that of a model with a prior."""
    rng = np.random.default_rng(seed)
    episodes = make_episodes(seed + 1000, 300)
    encoder = EpisodeEncoder(splines=bool(rng.random() < 0.8)).fit(episodes)
    matrix = encoder.transform(episodes)
    means = matrix.mean(axis=0)
    served = rng.normal(0, 0.4, matrix.shape[1])
    models = [
        LinearModel(
            intercept=float(rng.normal()),
            coefficients=served + scale * rng.normal(0, 0.15, matrix.shape[1]),
            means=means if weight != 1.0 else means + scale * rng.normal(0, 0.01, len(means)),
        )
        for scale in [0.0] + [1.0] * draws
    ]
    beliefs = PlainTable([{"belief": "evidence", "weight": weight}, {"belief": "no effect", "weight": 1.0 - weight}])
    return ResponseModel(
        encoder=encoder,
        model=models[0],
        refits=tuple(models[1:]),
        uncertainty_components=UncertaintyComponents(
            between_sites=0.04,
            missing={name: 0.01 * (place + 1) for place, name in enumerate(dict.fromkeys(encoder.owners))},
            unexplained=0.02,
            evidence_share=0.3,
        ),
        domain=fit_domain(encoder, episodes),
        candidate=Candidate(kind="logistic", parameters={}),
        calibration=IDENTITY,
        selection=beliefs if weight != 1.0 else PlainTable([{"candidate": "ridge"}]),
    )


@pytest.fixture(scope="session")
def response_maker() -> Callable[..., ResponseModel]:
    return make_response


@pytest.fixture(scope="session")
def episode_maker() -> Callable[..., pd.DataFrame]:
    return make_episodes


def make_change(seed: int, *, draws: int = 6) -> ChangeResponse:
    """Make random quantiles of the change of pain."""
    rng = np.random.default_rng(seed)
    episodes = make_episodes(seed + 1000, 300)
    encoder = EpisodeEncoder(splines=seed % 2 == 0).fit(episodes)
    matrix = encoder.transform(episodes)
    slopes = rng.normal(0, 0.08, matrix.shape[1])
    served = [[level, *(slopes + rng.normal(0, 0.03, len(slopes)))] for level in (-0.8, -0.4, 0.1)]
    model = ChangeModel(
        encoder=encoder,
        coefficients=np.array(served),
        corrections=(0.05, -0.1),
        level=0.8,
        penalty=0.1,
        medians=tuple(np.array(served[1]) + rng.normal(0, 0.04, len(slopes) + 1) for _ in range(draws)),
    )
    return ChangeResponse(
        model=model,
        domain=fit_domain(encoder, episodes),
        means=matrix.mean(axis=0),
        mean_scale=5.5,
        missing_variances={name: 0.002 * place for place, name in enumerate(dict.fromkeys(encoder.owners))},
    )


def make_cumulative(seed: int, **told: Any) -> CumulativeChangeResponse:
    """Make a change of pain that follows from a random model of half relief."""
    half = make_response(seed, **told)
    return CumulativeChangeResponse(
        response=half,
        shares=np.array([-0.2, 0.0, 0.3, 0.5, 0.8, 1.0]),
        margins=np.array([-2.5, -1.5, -0.6, 0.0, 1.2, 2.0]),
        level=0.8,
        mean_scale=5.5,
        missing_variances={name: 0.003 * place for place, name in enumerate(dict.fromkeys(half.encoder.owners))},
    )


def make_duration(seed: int, *, weight: float = 1.0, differs: bool = True, draws: int = 6) -> DurationResponse:
    """Make random hazards; with a weight below 1 those of a model with a prior."""
    rng = np.random.default_rng(seed)
    half = make_response(seed, weight=weight)
    matrix = half.encoder.transform(make_episodes(seed + 1000, 300))
    slopes, first = rng.normal(0, 0.3, matrix.shape[1]), rng.normal(0, 0.2, matrix.shape[1]) * differs
    hazards = [
        HazardModel(
            intercepts=np.array([-0.4, -1.5, -1.0, -2.0]) + scale * rng.normal(0, 0.1, 4),
            coefficients=slopes + scale * rng.normal(0, 0.1, len(slopes)),
            first=first + scale * differs * rng.normal(0, 0.1, len(slopes)),
        )
        for scale in [0.0] + [1.0] * draws
    ]
    model = DurationModel(
        encoder=half.encoder,
        cuts=(1.0, 3.0, 6.0, 12.0),
        relief=hazards[0],
        death=None,
        refits=tuple(hazards[1:]),
        selection=half.selection,
    )
    return DurationResponse(
        model=model,
        domain=half.domain,
        means=matrix.mean(axis=0),
        horizon_months=6.0,
        missing_variances=half.uncertainty_components.missing,
        uncertainty_components=None if weight == 1.0 else half.uncertainty_components,
    )


def make_by_rows(seed: int, kind: str, *, weight: float = 1.0, draws: int = 4) -> ResponseModel:
    """Make a response whose models have functions of their own: trees, steps, a curved calibration."""
    rng = np.random.default_rng(seed)
    half, episodes = make_response(seed, weight=weight, draws=draws), make_episodes(seed + 1000, 300)
    encoder = half.encoder.leave_missing() if kind in ("xgboost", "ebm") else half.encoder
    matrix, outcome = encoder.transform(episodes), (rng.random(300) < 0.4).astype(float)
    parameters = {"n_estimators": 12, "max_depth": 3, "learning_rate": 0.3, "subsample": 0.8}

    def fit(linear: LinearModel) -> BinaryModel:
        if kind == "xgboost":
            trees = fit_boosted(matrix, outcome, parameters=parameters, rng=rng)
            return trees.recalibrate(AffineCalibration(0.1, 0.9))
        if kind == "boosted_logistic":
            return fit_boosted_linear(matrix, outcome, linear=linear, parameters=parameters, rng=rng)
        if kind == "ebm":
            return AdditiveModel(
                intercept=0.2,
                columns=tuple(
                    Steps(edges=np.array([-0.5, 0.5]), scores=rng.normal(0, 0.3, 3), missing=0.1, mean=0.05)
                    for _ in range(matrix.shape[1])
                ),
            )
        return CalibratedModel(model=linear, calibration=BetaCalibration(0.1, 1.2, 0.7))

    models = [fit(model) for model in (half.model, *half.refits)]
    return replace(half, encoder=encoder, model=models[0], refits=tuple(models[1:]))


def make_earlier(seed: int) -> ResponseModel:
    """Make a linear response that compares fewer numbers with the training cohort, as one of an earlier version may."""
    response = make_response(seed)
    domain = Domain(names=response.domain.names[1:], precision=response.domain.precision[1:, 1:])
    return replace(response, domain=domain)


RESPONSES: dict[str, Callable[[int], Response]] = {
    "linear": make_response,
    "linear with prior": partial(make_response, weight=0.7),
    "linear by rows": make_earlier,
    "change": make_change,
    "cumulative": partial(make_cumulative, weight=0.7),
    "cumulative without prior": make_cumulative,
    "cumulative on trees": lambda seed: replace(make_cumulative(seed), response=make_by_rows(seed, "boosted_logistic")),
    "duration": make_duration,
    "duration with prior": partial(make_duration, weight=0.7),
    "duration with the same effects at each visit": partial(make_duration, differs=False),
    "xgboost": partial(make_by_rows, kind="xgboost"),
    "boosted_logistic": partial(make_by_rows, kind="boosted_logistic"),
    "boosted_logistic with prior": partial(make_by_rows, kind="boosted_logistic", weight=0.7),
    "ebm": partial(make_by_rows, kind="ebm"),
    "curved": partial(make_by_rows, kind="curved"),
}
"""Responses of every kind, by seed."""


@pytest.fixture(scope="session", params=RESPONSES)
def any_response_maker(request: pytest.FixtureRequest) -> Callable[[int], Response]:
    return cache(RESPONSES[request.param])


@pytest.fixture(scope="session")
def duration_maker() -> Callable[..., DurationResponse]:
    return make_duration


@pytest.fixture(scope="session")
def earlier_maker() -> Callable[[int], ResponseModel]:
    return make_earlier


@pytest.fixture(scope="session")
def by_rows_maker() -> Callable[..., ResponseModel]:
    return make_by_rows
