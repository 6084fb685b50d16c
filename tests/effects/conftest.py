from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest

from paincast.cohort.tables import Cohort
from paincast.effects import TargetTrial, read_trial
from paincast.effects.arms import Arms
from paincast.settings.configs import find_configs
from paincast.simulator import Assumptions, Truth, simulate_cohort

FloatArray = npt.NDArray[np.float64]
DISC = "lumbar_radicular_disc"

Invent = Callable[..., Arms]


@pytest.fixture(scope="session")
def trial() -> TargetTrial:
    """Epidural against nerve root block."""
    return read_trial(find_configs() / "trial" / "epidural_against_root_block.yaml")


@pytest.fixture(scope="session")
def simulated() -> tuple[Cohort, Truth]:
    """A confounded registry of both techniques, with missing values and loss to follow-up."""
    return simulate_cohort(
        techniques=["epidural_steroid_injection", "nerve_root_block"],
        episodes_per_technique=2700,
        seed=4,
        assumptions=Assumptions(referrals={DISC: 1.0}, reference_size=4000),
    )


@pytest.fixture
def invent_arms() -> Invent:
    """Make arms of invented patients, whose choice and outcome depend on the first of four covariates."""

    def invent(
        seed: int = 1,
        n: int = 3000,
        *,
        k: int = 2,
        confounding: float = 0.7,
        effects: tuple[float, ...] = (0.0, 0.5, -0.5),
        lost: float = 0.0,
    ) -> Arms:
        rng = np.random.default_rng(seed)
        covariates = rng.normal(size=(n, 4))
        utilities = confounding * covariates[:, :1] * np.arange(k) + rng.gumbel(size=(n, k))
        strategy = utilities.argmax(axis=1)
        log_odds = 0.8 * covariates[:, 0] + np.array(effects)[strategy]
        outcome = (rng.random(n) < 1 / (1 + np.exp(-log_odds))).astype(float)
        is_lost = rng.random(n) < lost / (1 + np.exp(-2 * covariates[:, 0]))
        return Arms(
            strategies=tuple("abc"[:k]),
            episodes=pd.DataFrame({"patient_id": np.arange(n).astype(str)}),
            strategy=strategy,
            outcome=np.where(is_lost, np.nan, outcome),
            patient=np.arange(n),
            site=rng.integers(0, 8, n),
            matrix=covariates,
            columns=("w", "x", "y", "z"),
            common=np.ones(4, dtype=bool),
        )

    return invent


@pytest.fixture
def take_rows() -> Callable[[Arms, npt.NDArray[np.intp]], Arms]:
    """Take some rows of arms, in any order."""

    def take(arms: Arms, rows: npt.NDArray[np.intp]) -> Arms:
        named = {name: getattr(arms, name)[rows] for name in ("strategy", "outcome", "patient", "site", "matrix")}
        return replace(arms, episodes=arms.episodes.iloc[rows].reset_index(drop=True), **named)

    return take
