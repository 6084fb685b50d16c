"""Explanations: exact sums, rankings that tell their doubt, directions beside the evidence, and nobody shown alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit, logit

from paincast.cohort.tables import conform
from paincast.disclosure.groups import choose_released_groups
from paincast.errors import DataError
from paincast.evidence.rules import collect_rules
from paincast.explain import (
    DirectionVerdict,
    Explanation,
    Resamples,
    assess_directions,
    compute_dependence,
    compute_importance,
    compute_waterfall,
    explain_model,
    list_unseen_directions,
    rank_importance,
    resample_explanations,
    review_explanation,
    summarize_group,
)
from paincast.features import EpisodeEncoder
from paincast.files.serialization import PlainTable
from paincast.models.binary.response import ResponseModel, fit_response_model
from paincast.models.survival.duration import DurationModel
from paincast.models.survival.hazard import HazardModel
from paincast.models.survival.response import make_duration_response
from paincast.predictor import Predictor, add_version
from paincast.settings import (
    FITTED_CALIBRATIONS,
)

Fit = Callable[..., tuple[ResponseModel, pd.DataFrame]]
DIRECTIONS = {"depression": -1, "diagnostic_blocks_positive": 1, "odi": 1, "scoliosis": -1}
"""True of the made-up cohort but for that of ``odi``, which is turned round; it holds no ``scoliosis``."""


def make_episodes(n: int, seed: int = 0) -> tuple[pd.DataFrame, np.ndarray]:
    rng = np.random.default_rng(seed)
    depression = rng.random(n) < 0.3
    blocks = rng.integers(0, 3, n).astype(float)
    odi = rng.normal(40, 12, n).clip(0, 100)
    work = rng.choice(["working", "retired", "not_working"], n)
    probability = expit(-0.4 - 0.9 * depression + 0.8 * (blocks - 1) - 0.05 * (odi - 40) + 0.8 * (work == "working"))
    episodes = pd.DataFrame(
        {
            "episode_id": [f"e{i}" for i in range(n)],
            "patient_id": [f"p{i // 2}" if i < n / 5 else f"p{i}" for i in range(n)],
            "technique": "facet_rfa",
            "indication": "lumbar_facet",
            "pain_nrs": rng.integers(4, 11, n),
            "odi": np.where(rng.random(n) < 0.1, np.nan, odi),
            "depression": pd.array(np.where(rng.random(n) < 0.1, None, depression), dtype="boolean"),
            "diagnostic_blocks_positive": blocks,
            "work_status": np.where(rng.random(n) < 0.1, None, work),
        }
    )
    return conform("episodes", episodes), (rng.random(n) < probability).astype(float)


@pytest.fixture(scope="module")
def fit(few_settings) -> Fit:
    """Fit a response model of one kind, and give it with its episodes."""

    def fit_it(kind: str, n: int = 400, calibration: str = "affine") -> tuple[ResponseModel, pd.DataFrame]:
        episodes, outcome = make_episodes(n)
        settings = few_settings(kind, calibration)
        return fit_response_model(episodes, outcome, settings, np.random.default_rng(1)), episodes

    return fit_it


@pytest.fixture(scope="module")
def fitted(fit) -> tuple[ResponseModel, pd.DataFrame]:
    return fit("logistic", 800)


def make_constant(contributions: dict[str, list[float]], values: dict[str, object]) -> tuple[Explanation, Resamples]:
    """Explain patients by a model all of whose refits agree, each row a patient."""
    shown = pd.DataFrame(contributions)
    n = len(shown)
    explanation = Explanation(base=np.zeros(n), contributions=shown, values=pd.DataFrame(values))
    weights = np.random.default_rng(0).multinomial(n, np.full(n, 1 / n), size=200).astype(float)
    held = shown.to_numpy(float)[None]
    rows, model = np.arange(n), np.zeros(200, dtype=int)
    return explanation, Resamples(rows=rows, contributions=held, weights=weights, model=model, n_refits=0)


@pytest.mark.slow
@pytest.mark.parametrize("calibration", FITTED_CALIBRATIONS)
def test_a_waterfall_ends_at_the_served_log_odds(fit, kind, calibration):
    response, episodes = fit(kind, calibration=calibration)
    predictor = add_version(
        Predictor(
            technique="facet_rfa",
            outcome="pain_response",
            horizon_months=6.0,
            window_months=(3.0, 9.0),
            measures=("pain_nrs",),
            basis="synthetic",
            n_training=400,
            n_events=200,
            n_real=0,
            level=0.9,
            response=response,
            rules=collect_rules("facet_rfa", "pain_response"),
        )
    )
    # The gaps of a patient are explained as well as the values.
    patients = pd.concat([episodes.head(12), episodes[episodes[["odi", "work_status"]].isna().any(axis=1)].head(12)])
    served, explanation = predictor.predict_episodes(patients), explain_model(predictor.response, patients)
    assert not served["abstained"].any()
    assert set(explanation.contributions.columns) <= set(episodes.columns)
    for row, probability in enumerate(served["probability"]):
        steps = compute_waterfall(explanation, row, most=2)
        assert abs(steps["end"].iloc[-1] - logit(probability)) <= 1e-5
        moves = steps[steps["step"].isin(["start", "variable", "rest"])]
        assert abs(moves["contribution"].sum() - logit(probability)) <= 1e-5
        np.testing.assert_allclose(moves["begin"].iloc[1:], moves["end"].iloc[:-1], atol=1e-12)


def test_a_waterfall_names_the_strongest_and_counts_the_rest(fitted):
    response, episodes = fitted
    explanation = explain_model(response, episodes)
    steps = compute_waterfall(explanation, 3, most=2)
    assert steps["step"].tolist() == ["start", "variable", "variable", "rest", "served"]
    strongest = explanation.contributions.iloc[3].abs().nlargest(2).index.tolist()
    assert steps["variable"].tolist()[1:3] == strongest
    assert steps["value"].iloc[3] == f"{explanation.contributions.shape[1] - 2} other variables"
    # One variable that is left over is named rather than hidden.
    every = compute_waterfall(explanation, 3, most=explanation.contributions.shape[1] - 1)
    assert "rest" not in set(every["step"])
    with pytest.raises(DataError, match="row 800 is not explained; allowed: 0 to 799"):
        compute_waterfall(explanation, 800)


def test_the_mean_of_a_group_adds_up_and_shows_no_value_and_nobody_alone(fitted):
    response, episodes = fitted
    explanation = explain_model(response, episodes)
    member = explanation.served >= np.quantile(explanation.served, 0.8)
    steps = compute_waterfall(summarize_group(explanation, member))
    assert steps["end"].iloc[-1] == pytest.approx(response.linear_predictor(episodes)[member].mean(), abs=1e-9)
    assert set(steps.loc[steps["step"] == "variable", "value"]) == {""}
    # The first eight rows are four patients.
    with pytest.raises(DataError, match="a group of 4 patients is not averaged; allowed: 5 or more"):
        summarize_group(explanation, np.arange(len(episodes)) < 8)


@pytest.mark.slow
def test_refits_are_explained_on_their_own_log_odds(fit, kind):
    response, episodes = fit(kind)
    linear_predictors = response.refit_linear_predictors(episodes)
    for (base, parts), linear_predictor in zip(response.refit_contributions(episodes), linear_predictors, strict=True):
        np.testing.assert_allclose(base + parts.sum(axis=1), linear_predictor, atol=1e-5)


def test_refits_of_a_duration_are_explained_at_its_horizon():
    episodes, _ = make_episodes(300)
    encoder = EpisodeEncoder(splines=False).fit(episodes)
    n = len(encoder.owners)
    rng = np.random.default_rng(0)
    hazards = [
        HazardModel(intercepts=np.array([-1.0, -2.0]), coefficients=rng.normal(0, 0.3, n), first=np.zeros(n))
        for _ in range(4)
    ]
    model = DurationModel(
        encoder=encoder,
        cuts=(3.0, 6.0),
        relief=hazards[0],
        death=None,
        refits=tuple(hazards[1:]),
        selection=PlainTable(),
    )
    response = make_duration_response(model, episodes, np.ones(300), 6.0)
    drawn = resample_explanations(response, episodes, np.random.default_rng(0), resamples=60)
    assert drawn.n_refits == 3
    for (base, parts), hazard in zip(response.refit_contributions(episodes), hazards[1:], strict=True):
        served = hazard.survival(encoder.transform(episodes))[:, 1]
        np.testing.assert_allclose(base + parts.sum(axis=1), logit(served), atol=1e-6)


def test_a_ranking_tells_what_is_sure_and_what_is_not(fitted):
    response, episodes = fitted
    explanation = explain_model(response, episodes)
    drawn = resample_explanations(response, episodes, np.random.default_rng(0), resamples=300)
    table = rank_importance(explanation, drawn).set_index("variable")
    expected = compute_importance(explanation).set_index("variable")["mean_absolute_log_odds"]
    pd.testing.assert_series_equal(table["importance"], expected, check_names=False)
    assert table["rank"].tolist() == list(range(1, len(table) + 1))
    assert (table["lower"] <= table["importance"]).all()
    assert (table["importance"] <= table["upper"]).all()
    assert (table["rank_lower"] <= table["rank"]).all()
    assert (table["rank"] <= table["rank_upper"]).all()
    assert table["rank_upper"].max() <= len(table)
    assert table.loc["pain_nrs", "rank_lower"] > table.loc["diagnostic_blocks_positive", "rank_upper"]
    assert set(table["method"]) == {"percentiles of 300 resamples of patients, over 10 refits"}


def test_ranks_that_hang_on_the_patients_have_wide_intervals():
    rng = np.random.default_rng(0)
    even, odd = rng.normal(size=60), rng.normal(size=60)
    explanation, drawn = make_constant(
        {"age_years": 3 * even, "odi": even, "bmi": odd, "pain_nrs": 0 * even},
        dict.fromkeys(("age_years", "odi", "bmi", "pain_nrs"), even),
    )
    table = rank_importance(explanation, drawn).set_index("variable")
    assert table.loc["age_years", ["rank_lower", "rank_upper"]].tolist() == [1, 1]
    assert table.loc["odi", ["rank_lower", "rank_upper"]].tolist() == [2, 3]
    assert table.loc["pain_nrs", ["rank_lower", "rank_upper"]].tolist() == [4, 4]
    assert "no refits" in table["method"].iloc[0]


def test_refits_that_differ_widen_the_rank():
    values = np.linspace(-1, 1, 50)
    explanation, drawn = make_constant({"odi": 1.2 * values, "bmi": values}, {"odi": values, "bmi": values})
    turned = np.stack([drawn.contributions[0], drawn.contributions[0][:, ::-1]])
    split = replace(drawn, contributions=turned, model=np.arange(200) % 2, n_refits=2)
    assert rank_importance(explanation, drawn)["rank_upper"].tolist() == [1, 2]
    assert rank_importance(explanation, split)[["rank_lower", "rank_upper"]].to_numpy().tolist() == [[1, 2], [1, 2]]


def test_patients_are_drawn_with_all_their_episodes(fitted):
    response, episodes = fitted
    drawn = resample_explanations(response, episodes, np.random.default_rng(0), resamples=40, most_patients=100)
    patients = episodes["patient_id"].to_numpy(object)[drawn.rows]
    assert len(set(patients)) == 100
    assert set(np.flatnonzero(episodes["patient_id"].isin(patients))) == set(drawn.rows)
    together = pd.DataFrame(drawn.weights.T).groupby(patients).nunique()
    assert (together == 1).all(axis=None)
    once = pd.DataFrame(drawn.weights.T).groupby(patients).first()
    assert (once.sum() == 100).all()
    again = resample_explanations(response, episodes, np.random.default_rng(0), resamples=40, most_patients=100)
    np.testing.assert_array_equal(drawn.weights, again.weights)


def test_directions_are_held_against_the_evidence(fitted):
    response, episodes = fitted
    explanation = explain_model(response, episodes)
    directions = DIRECTIONS | {"work_status=working": 1, "work_status=retired": 1, "pain_nrs": 1}
    drawn = resample_explanations(response, episodes, np.random.default_rng(0), resamples=400)
    table = assess_directions(explanation, drawn, directions, strong={"depression"}).set_index("variable")
    assert table.loc["depression"].tolist() == ["less", "less", "agrees", "moderate or strong"]
    assert table.loc["diagnostic_blocks_positive"].tolist() == ["more", "more", "agrees", "weaker"]
    assert table.loc["odi"].tolist() == ["more", "less", "conflicts", "weaker"]
    assert table.loc["pain_nrs", ["learned_direction", "verdict"]].tolist() == ["unclear", "undecided"]
    work = table.loc["work_status"]
    assert work["evidence_direction"] == "retired: more; working: more"
    assert "working: more" in work["learned_direction"]
    assert work["verdict"] != DirectionVerdict.AGREES
    assert list_unseen_directions(explanation, directions) == ["scoliosis"]
    assert set(assess_directions(explanation, drawn, {})["verdict"]) == {"no published direction"}


def test_less_pain_is_more_of_the_outcome_where_points_are_served():
    values = np.linspace(0, 1, 40)
    explanation, drawn = make_constant({"odi": -values}, {"odi": values})
    points = replace(explanation, unit="points", sign=-1.0)
    for given, learned in ((explanation, "less"), (points, "more")):
        assert assess_directions(given, drawn, {"odi": 1})["learned_direction"].tolist() == [learned]


def test_a_variable_that_is_not_used_is_undecided():
    explanation, drawn = make_constant({"odi": [0.0] * 30}, {"odi": np.linspace(0, 1, 30)})
    table = assess_directions(explanation, drawn, {"odi": -1})
    assert table[["learned_direction", "verdict"]].to_numpy().tolist() == [["not used", "undecided"]]


def test_dependence_gives_means_of_groups_that_are_large_enough(fitted):
    response, episodes = fitted
    explanation = explain_model(response, episodes)
    drawn = resample_explanations(response, episodes, np.random.default_rng(0), resamples=100)
    for name in explanation.contributions.columns:
        for simulated in (True, False):
            table = compute_dependence(explanation, drawn, name, simulated=simulated)
            assert (table["n"] >= 5).all()
            assert (table["lower"] <= table["contribution"]).all()
            assert (table["contribution"] <= table["upper"]).all()
            assert simulated or (table["n"] % 5 == 0).all()
    yes = compute_dependence(explanation, drawn, "depression", simulated=True).set_index("group").loc["yes"]
    member = episodes["depression"].fillna(False).to_numpy(bool)
    assert yes["contribution"] == pytest.approx(explanation.contributions.loc[member, "depression"].mean())
    assert yes["n"] == episodes.loc[member, "patient_id"].nunique()
    exact, odi = (compute_dependence(explanation, drawn, "odi", simulated=known) for known in (True, False))
    np.testing.assert_allclose(odi["contribution"], exact["contribution"], rtol=0.05)
    assert all(float(f"{mean:.2g}") == mean for mean in odi["contribution"])
    assert odi["group"].tolist() == ["number"] * 10 + ["missing"]
    assert odi["value"].dropna().is_monotonic_increasing
    # No group ends at a patient: its mean lies inside.
    assert odi["value"].min() > episodes["odi"].min()
    assert odi["value"].max() < episodes["odi"].max()


def test_groups_of_few_are_hidden_and_patients_are_counted_once():
    values = pd.Series(["a"] * 3 + ["b"] * 20 + ["c"] * 30, dtype="str")
    explanation, drawn = make_constant({"work_status": np.arange(53.0)}, {"work_status": values})
    shown = compute_dependence(explanation, drawn, "work_status", simulated=False)
    # b goes with a, because the total would give a away.
    assert shown["group"].tolist() == ["c"]
    patients = np.array(["one"] * 18 + [f"p{i}" for i in range(35)], dtype=object)
    again = compute_dependence(replace(explanation, patients=patients), drawn, "work_status", simulated=False)
    assert again["group"].tolist() == ["c"]
    assert choose_released_groups(values.to_numpy(object), np.zeros(53, dtype=int), smallest=5) == []


def test_a_review_joins_ranking_and_verdict_and_keeps_conflicts_in_sight(fitted):
    response, episodes = fitted
    explanation = explain_model(response, episodes)
    review = review_explanation(
        response, episodes, explanation, np.random.default_rng(0), directions=DIRECTIONS, simulated=False, resamples=100
    )
    columns = "variable importance lower upper rank rank_lower rank_upper evidence_direction learned_direction verdict"
    assert list(review.importance.columns[:10]) == columns.split()
    assert review.conflicts["variable"].tolist() == ["odi"]
    assert "odi" in set(review.dependence["variable"])
    assert review.unseen == ("scoliosis",)
