"""Invented cohorts: small, with gaps everywhere, several sites, years, techniques and patients with many episodes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

from paincast.cohort.tables import Cohort, conform

TECHNIQUES = ["facet_rfa", "genicular_rfa", "epidural_steroid_injection", "usual_care"]
INDICATIONS = ["lumbar_facet", "knee_osteoarthritis", "lumbar_radicular_disc", "crps"]
MONTHS = [0.0, 1.0, 2.0, 3.0, 4.5, 6.0, 9.5, 12.0, 24.0]


def _hide(rng: np.random.Generator, values: Any, share: float) -> pd.Series:
    return pd.Series(values, dtype=object).where(rng.random(len(values)) >= share, None)


def invent_cohort(n: int = 200, *, seed: int = 0, basis: str = "synthetic", n_sites: int = 4) -> Cohort:
    """Invent a cohort whose every column has gaps."""
    rng = np.random.default_rng(seed)
    episodes = pd.DataFrame(
        {
            "episode_id": [f"episode-{place}" for place in range(n)],
            "patient_id": [f"secret-person-{place}" for place in rng.integers(0, max(n * 2 // 3, 1), n)],
            "site_id": _hide(rng, [f"clinic-{place}" for place in rng.integers(0, n_sites, n)], 0.1),
            "procedure_year": _hide(rng, rng.integers(2015, 2021, n).tolist(), 0.1),
            "technique": rng.choice(TECHNIQUES, n),
            "indication": _hide(rng, rng.choice(INDICATIONS, n), 0.2),
            "approach": _hide(rng, rng.choice(["caudal", "transforaminal"], n), 0.5),
            "age_years": _hide(rng, rng.integers(20, 90, n).tolist(), 0.1),
            "sex": _hide(rng, rng.choice(["female", "male"], n), 0.1),
            "pain_nrs": _hide(rng, rng.integers(0, 11, n).tolist(), 0.1),
            "pain_duration_months": _hide(rng, rng.integers(0, 600, n).tolist(), 0.3),
            "bmi": _hide(rng, rng.uniform(18, 40, n).tolist(), 0.4),
            "height_cm": _hide(rng, rng.uniform(150, 190, n).tolist(), 0.3),
            "weight_kg": _hide(rng, rng.uniform(50, 110, n).tolist(), 0.3),
            "prior_spine_surgery": _hide(rng, rng.random(n) < 0.5, 0.3),
            "spine_operations": _hide(rng, rng.integers(0, 3, n).tolist(), 0.3),
            "opioid_mme": _hide(rng, (rng.integers(0, 3, n) * 30).tolist(), 0.3),
            "opioid_refractory_pain": _hide(rng, rng.random(n) < 0.3, 0.3),
        }
    )
    n_visits = 4 * n
    of_episode = rng.integers(0, max(n, 1), n_visits) if n else np.array([], dtype=int)
    visits = pd.DataFrame({"row": of_episode, "month": rng.choice(MONTHS, len(of_episode))}).drop_duplicates()
    visits = visits.assign(
        episode_id=[f"episode-{row}" for row in visits["row"]],
        pain_nrs=_hide(rng, rng.integers(0, 11, len(visits)).tolist(), 0.2).to_numpy(),
        pgic=_hide(rng, rng.integers(1, 8, len(visits)).tolist(), 0.5).to_numpy(),
        eq5d_index=_hide(rng, rng.choice([0.5, 1.0], len(visits)).tolist(), 0.5).to_numpy(),
    )
    dead = rng.permutation(n)[: n // 20]
    events = pd.DataFrame(
        {"episode_id": [f"episode-{row}" for row in dead], "month": rng.choice([1.0, 5.0, 20.0], len(dead))}
    ).assign(kind="death")
    harmed = pd.DataFrame({"episode_id": [f"episode-{row}" for row in range(0, n, 9)], "month": 1.0})
    harmed = harmed.assign(kind="complication", detail="secret bleeding")
    tables = {"episodes": episodes, "visits": visits, "events": pd.concat([events, harmed])}
    return Cohort(**{name: conform(name, table) for name, table in tables.items()}, basis=basis)


@pytest.fixture(scope="session")
def invent() -> Callable[..., Cohort]:
    return invent_cohort
