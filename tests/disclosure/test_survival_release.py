"""How long relief lasts of a small real cohort, through training and tracking to the attack."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from attack import attack_course, attack_course_flow, find_leaks
from test_attack import read_everything

from paincast.cohort.tables import save_cohort
from paincast.disclosure.flow import suppress_small_steps
from paincast.disclosure.rounding import round_measured
from paincast.disclosure.survival import choose_months, suppress_months
from paincast.evaluation.survival.curves import compute_kaplan_meier
from paincast.settings import (
    CohortSettings,
    DurationSettings,
    EvaluationSettings,
    OutcomeSettings,
    TrackingSettings,
    TrainingSettings,
    UncertaintySettings,
)
from paincast.simulator import simulate_cohort
from paincast.training import train

pytestmark = pytest.mark.filterwarnings("ignore:::(mlflow|alembic|sqlalchemy|pydantic)")


@pytest.fixture(scope="module", params=[160, 230])
def released(request, tmp_path_factory):
    """Train on invented patients, said to be real, of whom few are lost at some visits and few died."""
    folder = tmp_path_factory.mktemp("course")
    cohort, _ = simulate_cohort(techniques=["facet_rfa"], episodes_per_technique=request.param, seed=request.param)
    save_cohort(replace(cohort, basis="real"), folder / "cohort")
    train(
        TrainingSettings(
            techniques=["facet_rfa"],
            cohort=CohortSettings(source="folder", path=str(folder / "cohort")),
            outcome=OutcomeSettings(name="relief_duration", horizon_months=6.0),
            duration=DurationSettings(prior_sds=[0.3], refits=10),
            evaluation=EvaluationSettings(folds=3, repeats=1, resamples=60),
            uncertainty=UncertaintySettings(refits=10),
            tracking=TrackingSettings(uri=f"sqlite:///{folder / 'mlflow.db'}", artifacts=str(folder / "artifacts")),
            models_folder=str(folder / "models"),
            progress=False,
            jobs=1,
        )
    )
    return read_everything(folder)


def test_no_few_who_lost_relief_or_left_are_found(released):
    tables, _, _ = released
    assert "course" in tables
    assert find_leaks(*released) == []


def test_the_attack_finds_few_in_a_curve_that_tells_them():
    course = pd.DataFrame({"month": ["1.0", "3.0"], "survival": ["0.9", "0.87"], "at_risk": ["100", "90"]})
    assert list(attack_course(course))
    steps = {"seen after the procedure": 100, "relief lost": 40, "alive and followed to month 6": 97}
    flow = pd.DataFrame({"step": list(steps), "n": np.array(list(steps.values())).astype(str)})
    assert list(attack_course_flow(flow, {}))


def draw_course(rng):
    """Draw at which visits relief was lost, and patients left or died."""
    n = int(rng.integers(30, 200))
    months = rng.choice([1.0, 3.0, 6.0, 12.0], n, p=rng.dirichlet([1.0] * 4))
    return months, rng.choice([0.0, 1.0, 2.0], n, p=rng.dirichlet([2.0, 2.0, 0.3]))


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(40))
def test_a_drawn_course_tells_of_none_of_few(seed):
    rng = np.random.default_rng(seed)
    for _ in range(10):
        months, status = draw_course(rng)
        at = [1.0, 3.0, 6.0, 12.0]
        told = choose_months(months, status, at, event=1.0)
        course = round_measured(suppress_months(compute_kaplan_meier(months, status, at, 0.95), told))
        assert list(attack_course(course.astype(str))) == []
        followed = (months >= 6.0) | (status == 1.0)
        held = followed & ~((status == 1.0) & (months <= 6.0))
        steps = {
            "episodes of the technique": len(months),
            "asked: all": len(months),
            "seen after the procedure": len(months),
            "relief lost": (status == 1.0).sum(),
            "died with relief": (status == 2.0).sum(),
            "alive and followed to month 6": followed.sum(),
            "of these with relief up to month 6": held.sum(),
            "patients with an answer": len(months) - int(rng.integers(0, 6)),
        }
        if min(held.sum(), followed.sum() - held.sum()) >= 5:
            flow = suppress_small_steps(pd.DataFrame({"step": list(steps), "n": [int(n) for n in steps.values()]}))
            assert list(attack_course_flow(flow.assign(n=flow["n"].astype(object)), {})) == []
