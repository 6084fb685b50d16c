"""What a run records beyond the headline, and that it tells of no few patients."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest

from paincast.disclosure.flow import format_label_months, suppress_small_loss, suppress_small_steps
from paincast.errors import SettingsError
from paincast.evaluation.assessment import Assessment, assess_predictions, list_thresholds
from paincast.evidence.records import list_citations, records_of
from paincast.outcomes import get_outcome
from paincast.reporting.figures.axes import make_axes
from paincast.reporting.figures.review import describe_decision_curve, describe_groups, plot_groups
from paincast.settings import EvaluationSettings, OutcomeSettings, TrainingSettings, check_settings
from paincast.simulator import simulate_cohort
from paincast.training_set import TrainingSet, make_training_set

QUICK = EvaluationSettings(resamples=60, threshold_range=[0.3, 0.5])


@pytest.fixture(scope="module")
def data() -> TrainingSet:
    cohort, _ = simulate_cohort(techniques=["facet_rfa"], episodes_per_technique=300, seed=3)
    rare = cohort.episodes.index < 3
    cohort.episodes["payer"] = pd.Series(np.where(rare, "private", "public"), dtype="str")
    return make_training_set("facet_rfa", cohort, get_outcome("pain_response"), OutcomeSettings())


@pytest.fixture(scope="module")
def assessed(data) -> Assessment:
    probability = np.random.default_rng(1).uniform(0.2, 0.8, len(data.observed))
    return assess_predictions(data, probability, data.known.astype(float), QUICK, np.random.default_rng(2))


def test_every_table_a_gate_asks_for_is_there(assessed):
    assert set(assessed.metrics["metric"]) == {"auroc_delong", "ici", "e50", "e90", "emax", "ici_loess"}
    assert set(assessed.list_tables()) == {
        *("calibration_flexible", "decision_curve", "expected_response", "subgroups", "sites", "years", "pooled")
    }
    assert assessed.decision_curve["threshold"].min() == 0.3
    assert "base_rate" in set(assessed.decision_curve["strategy"])
    assert {"sex", "age_band", "indication", "payer"} <= set(assessed.subgroups["attribute"])


def test_the_sources_of_simulated_patients_are_those_of_the_technique():
    cohort, _ = simulate_cohort(techniques=["facet_rfa", "spinal_cord_stimulation"], episodes_per_technique=30, seed=3)
    own = make_training_set("facet_rfa", cohort, get_outcome("pain_response"), OutcomeSettings()).cohort.sources
    assert own == list_citations(records_of("facet_rfa"))
    assert len(own) < len(cohort.sources)
    other = replace(cohort, basis="real", sources=("our registry",)).select_technique("facet_rfa")
    assert other.sources == ("our registry",)


def test_no_site_is_named(assessed, data):
    named = set(data.episodes["site_id"].dropna())
    assert not named & set(assessed.sites["level"])
    assert assessed.sites.drop_duplicates("level")["n"].is_monotonic_decreasing


def test_what_the_cohort_does_not_tell_is_no_group(data):
    known = data.known.astype(float)
    nowhere = replace(data, episodes=data.episodes.assign(site_id=None, sex=None))
    found = assess_predictions(nowhere, 0.5 + 0.1 * known, known, QUICK, np.random.default_rng(2))
    assert "sites" not in found.list_tables()
    assert not {"sex", "site"} & set(found.subgroups["attribute"])


def test_a_group_of_three_is_hidden_and_the_other_with_it(assessed):
    payers = assessed.subgroups[assessed.subgroups["attribute"] == "payer"]
    assert payers[["n", "n_patients", "n_events"]].isna().all().all()
    assert (payers["estimate"].dropna() == payers["estimate"].dropna().round(2)).all()
    few = payers[payers["level"] == "private"]
    assert few["estimate"].isna().all()
    assert few["method"].str.contains("fewer than 5 patients").all()


def test_the_pictures_of_groups_and_benefit_say_what_they_show(assessed):
    tables = assessed.list_tables()
    ax = plot_groups(tables["subgroups"], make_axes(), basis="real")
    labels = [label.get_text() for label in ax.get_yticklabels()]
    assert any("n not shown" in label for label in labels)
    assert "too small to tell" in describe_groups(tables["subgroups"], of="subgroups")
    said = describe_decision_curve(tables["decision_curve"])
    assert "from 0.3 to 0.5" in said
    assert "any of 11 thresholds" in said


def test_real_patients_are_parted_in_one_way_by_thresholds_groups_and_bars(data):
    real = replace(data, cohort=replace(data.cohort, basis="real"))
    known, rng = data.known, np.random.default_rng(5)
    predicted = rng.uniform(0.2, 0.8, len(known))
    found = assess_predictions(real, predicted, known.astype(float), QUICK, np.random.default_rng(2))
    model = found.decision_curve.query("strategy == 'model'")
    told = sorted(set(model.dropna(subset="estimate")["threshold"]))
    assert 3 <= len(told) < 11
    assert model[~model["threshold"].isin(told)]["method"].str.contains("not shown").all()
    edges = [*told, *found.histogram["left"]]
    ranked, outcome = np.sort(predicted[known]), data.observed[known][np.argsort(predicted[known])]
    starts = np.append(0, found.calibration["n"].cumsum())[:-1]
    parts = np.unique([*starts, *np.searchsorted(ranked, told), len(ranked)])
    cells = [outcome[low:high] for low, high in pairwise(parts)]
    assert min(min(cell.sum(), len(cell) - cell.sum()) for cell in cells) >= 5
    bars = np.unique([*starts, *np.searchsorted(ranked, edges), len(ranked)])
    assert np.diff(bars).min() >= 5


@pytest.mark.parametrize(
    ("counts", "shown"),
    [
        ([100, 10, 90, 20, 70, 30], [100, 10, 90, 20, 70, 30]),
        ([100, 2, 98, 0, 98, 30], [None, None, None, 0, 98, 30]),
        ([100, 2, 98, 28, 70, 30], [100, None, None, None, 70, 30]),
        ([100, 20, 80, 3, 77, 4], [100, None, None, None, 77, None]),
        ([100, 2, 98, 1, 97, 30], [None, None, None, None, 97, 30]),
    ],
)
def test_small_steps_of_the_flow_are_hidden_with_what_gives_them_away(counts, shown):
    steps = [
        "episodes of the technique",
        "not asked: no pain",
        "asked: all",
        "lost: no visit",
        "with an answer",
        "with",
    ]
    hidden = suppress_small_steps(pd.DataFrame({"step": steps, "n": counts}))["n"]
    assert [None if pd.isna(n) else n for n in hidden] == shown


@pytest.mark.parametrize(
    ("months", "shown", "told"),
    [
        ([40, 60], [40, 60], "answered by visits of month 3: 40, month 4: 60"),
        ([3, 40, 60], [None, None, 60], "answered by visits of month 5: 60, other months (3, 4): 43"),
        ([3, 97], [None, None], "answered by visits of other months (3, 4): 100"),
        ([1, 1, 50, 48], [None, None, 50, None], "answered by visits of month 5: 50, other months (3, 4, 6): 50"),
        ([2], [None], ""),
    ],
)
def test_few_answers_of_a_month_are_hidden_with_what_gives_them_away(months, shown, told):
    steps = ["with an answer", *(f"answered by a visit of month {month}" for month in range(3, 3 + len(months)))]
    flow = suppress_small_steps(pd.DataFrame({"step": steps, "n": [sum(months), *months]}))
    assert [None if pd.isna(n) else n for n in flow["n"]][1:] == shown
    assert format_label_months(dict(enumerate(months, 3))) == told


def test_a_few_lost_are_hidden_from_the_weights():
    weights = pd.DataFrame({"measure": ["asked", "observed", "lost"], "value": [50.0, 47.0, 3.0]})
    assert suppress_small_loss(weights)["value"].isna().tolist() == [True, False, True]
    assert suppress_small_loss(weights.replace(3.0, 30.0))["value"].notna().all()


@pytest.mark.parametrize("limits", [[0.6, 0.2], [0.0, 0.5], [0.3]])
def test_a_range_of_thresholds_is_checked(limits):
    settings = TrainingSettings(evaluation=EvaluationSettings(threshold_range=limits))
    with pytest.raises(SettingsError, match=r"evaluation\.threshold_range"):
        check_settings(settings)


def test_thresholds_hold_both_ends():
    cuts = list_thresholds(EvaluationSettings(threshold_range=[0.2, 0.6]), 0.1)
    assert (cuts[0], cuts[-1], len(cuts)) == (0.2, 0.6, 21)


@pytest.mark.parametrize("rate", [0.004, 0.1, 0.55, 1.0])
def test_thresholds_follow_the_event_rate(rate):
    cuts = np.array(list_thresholds(EvaluationSettings(), rate))
    assert 0 < cuts[0] < min(max(rate, 0.02), 0.98) < cuts[-1] < 1
    assert len(cuts) >= 9
