"""Random linear responses on made-up patients with everything that an encoder can do."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from paincast.cohort.tables import conform
from paincast.features import EpisodeEncoder
from paincast.models.binary.logistic import LinearModel
from paincast.models.binary.model_kind import Candidate
from paincast.models.binary.response import ResponseModel
from paincast.models.binary.uncertainty_components import UncertaintyComponents
from paincast.models.calibration.affine import IDENTITY
from paincast.models.domain import fit_domain


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
    beliefs = pd.DataFrame({"belief": ["evidence", "no effect"], "weight": [weight, 1.0 - weight]})
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
        selection=beliefs if weight != 1.0 else pd.DataFrame({"candidate": ["ridge"]}),
    )


@pytest.fixture(scope="session")
def response_maker() -> Callable[..., ResponseModel]:
    return make_response


@pytest.fixture(scope="session")
def episode_maker() -> Callable[..., pd.DataFrame]:
    return make_episodes
