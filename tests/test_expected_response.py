"""What the decision curve is held against: the response that evidence records expect of the patients at hand."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import cast

import numpy as np
import pandas as pd
import pytest

from paincast.cohort.registry.ingest import ingest
from paincast.cohort.registry.mapping import load_mapping
from paincast.cohort.tables import Cohort
from paincast.contract import BUILT_IN
from paincast.evaluation.assessment import assess_predictions
from paincast.evaluation.expected import ANTICIPATED_AUROC, anticipate_auroc, find_expected_response
from paincast.evidence.records import load_record, primary_horizon, records_of, simulated_records, simulated_techniques
from paincast.evidence.scenarios import shift_curve
from paincast.outcomes import get_outcome
from paincast.reporting.figures.axes import make_axes
from paincast.reporting.figures.review import describe_decision_curve, plot_decision_curve
from paincast.settings import SCENARIOS, EvaluationSettings, OutcomeSettings
from paincast.simulator import simulate_cohort
from paincast.training_set import TrainingSet, make_training_set

QUICK = EvaluationSettings(resamples=50, threshold_range=[0.3, 0.6])
DISC, STENOSIS = "esi_caudal__lumbar_radicular_disc", "esi_caudal__lumbar_stenosis"
EPIDURAL = "epidural_steroid_injection"


def make_set(technique: str, month: float, outcome: str = "pain_response", **changes: object) -> TrainingSet:
    cohort, _ = simulate_cohort(techniques=[technique], episodes_per_technique=120, seed=3)
    asked = make_training_set(technique, cohort, get_outcome(outcome), OutcomeSettings(horizon_months=month))
    return replace(asked, episodes=asked.episodes.assign(**changes)) if changes else asked


def spread(data: TrainingSet, counts: dict[tuple[str, str | None], int]) -> TrainingSet:
    """Give those with an answer indications and approaches, so many of each; the last takes what is left."""
    pairs = [pair for pair, n in counts.items() for _ in range(n)]
    rows = np.flatnonzero(data.known)
    episodes = data.episodes.copy()
    for row, (indication, approach) in zip(rows, [*pairs, *[pairs[-1]] * len(rows)], strict=False):
        episodes.loc[row, ["indication", "approach"]] = [indication, approach]
    return replace(data, episodes=episodes)


@pytest.fixture(scope="module")
def epidural() -> TrainingSet:
    return make_set(EPIDURAL, 3.0)


def expect(technique: str, month: float, scenario: str = "literature", **of: str) -> float:
    """Read the share that a record expects, in whole percent."""
    return round(shift_curve(load_record(technique, **of), scenario)[month], 2)


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_the_rate_is_that_of_the_scenario_at_the_month_and_is_named(scenario):
    expected = expect("facet_rfa", 6.0, scenario)
    found = find_expected_response(make_set("facet_rfa", 6.0), scenario)
    assert found.share == pytest.approx(expected)
    assert found.table["record"].tolist() == ["facet_rfa__lumbar_facet", "all"]
    said = found.table["says"].iloc[-1]
    assert all(fact in said for fact in (f"'{scenario}'", "month 6", f"{expected:.0%}", "facet_rfa__lumbar_facet"))


def test_records_are_weighted_by_the_patients_they_cover(epidural):
    n = int(epidural.known.sum())
    data = spread(epidural, {("lumbar_radicular_disc", "caudal"): 30, ("failed_back_surgery", "caudal"): 1})
    found = find_expected_response(data, "literature")
    disc, stenosis = (
        shift_curve(load_record(EPIDURAL, name, "caudal"), "literature")[3.0]
        for name in ("lumbar_radicular_disc", "failed_back_surgery")
    )
    assert found.share == round((30 * disc + (n - 30) * stenosis) / n, 2)
    assert found.table["record"].tolist() == [DISC, STENOSIS, "all"]


def test_the_rate_does_not_tell_of_four_patients(epidural):
    few = {("lumbar_radicular_disc", "caudal"): 4, ("lumbar_stenosis", "caudal"): 1}
    found = find_expected_response(spread(epidural, few), "literature")
    assert found.table["record"].tolist() == [STENOSIS, "all"]
    assert found.share == expect(EPIDURAL, 3.0, indication="lumbar_stenosis", approach="caudal")


def test_who_has_no_record_does_not_count(epidural):
    told = {("lumbar_radicular_disc", None): 20, ("lumbar_stenosis", "caudal"): 1}
    caudal = expect(EPIDURAL, 3.0, indication="lumbar_stenosis", approach="caudal")
    assert find_expected_response(spread(epidural, told), "literature").share == caudal
    nobody = find_expected_response(spread(epidural, {("lumbar_stenosis", None): 1}), "literature")
    assert nobody.share is None
    assert "indication and approach" in nobody.table["says"].iloc[-1]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("data", "fact"),
    [
        (("facet_rfa", 6.0, "function_response"), "pain_response only"),
        (("facet_rfa", 6.0, "pain_response_30"), "pain_response only"),
        (("facet_rfa", 4.0, "pain_response"), "holds months 1, 3, 6, 12, 24, 60 only"),
    ],
)
def test_without_a_curve_there_is_no_line_and_it_is_said_why(data, fact):
    asked = make_set(*data)
    found = find_expected_response(asked, "literature")
    assert found.share is None
    said = found.table["says"].iloc[-1]
    assert fact in said
    assert f"month {data[1]:g}" in said
    known = asked.known.astype(float)
    assessed = assess_predictions(asked, 0.4 + 0.1 * known, known, QUICK, np.random.default_rng(1))
    assert "base_rate" not in set(assessed.decision_curve["strategy"]) | set(assessed.decision_curve["versus"])
    assert said[1:] in describe_decision_curve(assessed.decision_curve, assessed.expected_response)
    assert list_lines(assessed.decision_curve, assessed.expected_response) == 3


def list_lines(curve: pd.DataFrame, expected: pd.DataFrame) -> int:
    ax = plot_decision_curve(curve, make_axes(), basis="real", expected=expected)
    return len(ax.get_legend().get_texts())


def open_cohort(name: str, folder) -> Cohort:
    files = sorted((folder / name).iterdir())
    return ingest(load_mapping(name), files)[0]


def test_without_any_curve_there_is_no_rate(epidural, monkeypatch):
    without = tuple(replace(record, response=None) for record in records_of(EPIDURAL))
    monkeypatch.setattr("paincast.evaluation.expected.records_of", lambda _: without)
    found = find_expected_response(epidural, "literature")
    assert found.share is None
    assert f"{EPIDURAL} holds no response curve" in found.table["says"].iloc[-1]


def test_real_knees_and_caudal_patients_have_a_curve_with_its_records_in_the_legend(real_data):
    knees = make_training_set(
        "genicular_rfa", open_cohort("genicular_rfa_2024", real_data), get_outcome("pain_response"), OutcomeSettings()
    )
    assert find_expected_response(knees, "literature").share == expect("genicular_rfa", knees.horizon_months)
    caudal = make_training_set(
        EPIDURAL,
        open_cohort("caudal_esi_2018", real_data),
        get_outcome("pain_response"),
        OutcomeSettings(horizon_months=1.0),
    )
    known = caudal.known.astype(float)
    assessed = assess_predictions(caudal, 0.1 + 0.1 * known, known, QUICK, np.random.default_rng(1))
    assert assessed.expected_response["record"].tolist() == [DISC, STENOSIS, "all"]
    *by_record, share = assessed.expected_response["expected"]
    expected = [
        expect(EPIDURAL, 1.0, indication=name, approach="caudal")
        for name in ("lumbar_radicular_disc", "lumbar_stenosis")
    ]
    assert by_record == expected
    assert min(expected) - 0.005 <= share <= max(expected) + 0.005
    ax = plot_decision_curve(assessed.decision_curve, make_axes(), basis="real", expected=assessed.expected_response)
    named = [text.get_text() for text in ax.get_legend().get_texts()]
    assert any(f"{share:.0%}" in name and "'literature'" in name and "month 1)" in name for name in named)
    assert "published" not in " ".join(named)


@pytest.mark.parametrize("technique", simulated_techniques())
def test_every_technique_with_a_curve_has_an_expected_response_at_its_own_month(technique):
    records = simulated_records(technique)
    month = primary_horizon(technique)
    patients = [(name, record.approach) for record in records for name in record.indications for _ in range(5)]
    data = SimpleNamespace(
        contract=BUILT_IN,
        unmatched=(),
        technique=technique,
        horizon_months=month,
        outcome=get_outcome("pain_response"),
        known=np.ones(len(patients), bool),
        episodes=pd.DataFrame(patients, columns=["indication", "approach"]),
    )
    found = find_expected_response(cast("TrainingSet", data), "literature")
    shares = [shift_curve(record, "literature")[month] for record in records]
    assert found.share is not None
    assert min(shares) - 0.005 <= found.share <= max(shares) + 0.005
    assert set(found.table["record"]) <= {*(record.id for record in records), "all"}


def test_the_auroc_that_can_be_anticipated_is_that_of_the_records_of_the_patients(epidural):
    records = {record.id: record.implied.bayes_optimal_auc for record in records_of(EPIDURAL) if record.implied}
    disc = spread(epidural, {("lumbar_radicular_disc", "caudal"): 1})
    assert anticipate_auroc(disc) == round(records[DISC], 2)
    assert min(records.values()) - 0.005 <= anticipate_auroc(epidural) <= max(records.values()) + 0.005
    assert anticipate_auroc(make_set(EPIDURAL, 1.0, outcome="complication")) == ANTICIPATED_AUROC
