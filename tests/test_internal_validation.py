"""Doing the whole modelling again: optimism, sites and years held out, and what is said where that cannot be."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from mlflow import MlflowClient
from quick_training import make_quick_settings
from scipy.special import logit
from sklearn.linear_model import LogisticRegression

from paincast.cohort.registry.ingest import ingest
from paincast.cohort.registry.mapping import load_mapping
from paincast.cohort.tables import save_cohort
from paincast.errors import RefusalError
from paincast.features import EpisodeEncoder
from paincast.models.binary.borrowing import Pool
from paincast.models.binary.surroundings import Surroundings, make_parts
from paincast.outcomes import get_outcome
from paincast.progress import SILENT
from paincast.reporting.figures.robustness import describe_held_out, make_forest_axes, plot_held_out
from paincast.reporting.model.report import write_report
from paincast.reporting.model.run_contents import read_run_folder
from paincast.reporting.model.validation import tabulate_held_out
from paincast.settings import (
    CohortSettings,
    EvaluationSettings,
    ModelSettings,
    OutcomeSettings,
    TrackingSettings,
    TrainingSettings,
)
from paincast.simulator import simulate_cohort
from paincast.tracking import fetch_runs, resolve_store
from paincast.training import train
from paincast.training.internal_validation import (
    InternalValidation,
    explain_not_measured,
    list_large_groups,
    validate_modelling,
)
from paincast.training.kinds import refit as refits
from paincast.training.kinds.refit import ResponseRefit
from paincast.training_set import TrainingSet, make_training_set

pytestmark = pytest.mark.slow

LINEAR = ModelSettings(
    candidates=["logistic"],
    borrowing=[0.0],
    lasso_penalties=[],
    ridge_prior_sds=[0.25],
    splines=False,
    selection_folds=2,
)
PLACES = ["patient_id", "site_id", "procedure_year"]


@pytest.fixture(scope="module")
def data() -> TrainingSet:
    cohort, _ = simulate_cohort(techniques=["facet_rfa"], episodes_per_technique=240, seed=3)
    made = make_training_set("facet_rfa", cohort, get_outcome("pain_response"), OutcomeSettings())
    place = np.arange(len(made.episodes))
    sites = pd.Series(np.array(["a", "b", "c"])[place % 3], dtype="str")
    return replace(made, episodes=made.episodes.assign(site_id=sites, procedure_year=2020.0 + place % 4))


def make_overfitting(seen: list[tuple[pd.DataFrame, frozenset[object]]] | None = None):
    """Make a modelling that fits every column without a penalty, and tells what it saw."""

    def refit(train, outcome, test, rng, excluded):
        del rng
        if seen is not None:
            seen.append((train, frozenset(excluded)))
        known = ~np.isnan(outcome)
        encoder = EpisodeEncoder(splines=False).fit(train)
        fitted = LogisticRegression(C=1e2, solver="newton-cholesky").fit(
            encoder.transform(train)[known], outcome[known]
        )
        return fitted.decision_function(encoder.transform(test))

    return refit


def validate(data, refit, *, seed=0, jobs=1, progress=SILENT, everybody=None, **settings) -> InternalValidation:
    return validate_modelling(
        data,
        TrainingSettings(evaluation=EvaluationSettings(**settings), jobs=jobs),
        refit,
        np.random.default_rng(seed),
        progress,
        everybody=data.episodes[PLACES] if everybody is None else everybody,
    )


def say(found: InternalValidation, part: str) -> tuple[str, str]:
    row = found.parts.set_index("part").loc[part]
    return row["status"], row["says"]


@pytest.fixture(scope="module")
def overfitted(data):
    seen: list[tuple[pd.DataFrame, frozenset[object]]] = []
    return validate(data, make_overfitting(seen), optimism=50), seen


def test_the_corrected_slope_of_an_overfitted_model_is_below_the_apparent_one(overfitted, data):
    found, _ = overfitted
    table = found.tables["optimism"].set_index("metric")
    assert table.loc["calibration_slope", "apparent"] > 0.95
    assert table.loc["calibration_slope", "estimate"] < 0.8
    assert table.loc["auroc", "optimism"] > 0.05
    assert (table["n"] == data.known.sum()).all()
    logged = found.list_metrics().set_index("metric")
    assert logged.loc["optimism_corrected_auroc", "estimate"] == table.loc["auroc", "estimate"]
    assert logged.loc["optimism_auroc", "estimate"] == table.loc["auroc", "optimism"]


def test_what_is_corrected_has_no_interval_that_only_looks_like_one(overfitted):
    table = overfitted[0].tables["optimism"].set_index("metric")
    assert table[["lower", "upper"]].isna().all(axis=None)
    assert table.loc["o_e_ratio", "method"].startswith("mean over 50 resamples of ")
    assert "no interval" in table.loc["auroc", "method"]


def test_a_patient_drawn_twice_is_one_patient_and_nobody_else_is_in_the_resample(overfitted, data):
    (first, _), *resamples = overfitted[1]
    assert len(first) == len(data.episodes)
    assert len(resamples) == 50
    for drawn, _ in resamples:
        assert drawn.index.is_unique
        sizes = drawn.groupby("patient_id").size() / data.episodes.groupby("patient_id").size()
        assert (sizes.dropna() % 1 == 0).all()


@pytest.mark.parametrize("held_out", ["site", "year"])
def test_the_number_of_workers_changes_nothing(data, held_out):
    refit = ResponseRefit(
        settings=TrainingSettings(model=LINEAR), around=Surroundings(technique="facet_rfa"), parts={}, directed=True
    )
    one, two = (validate(data, refit, jobs=jobs, held_out=held_out).tables for jobs in (1, 2))
    pd.testing.assert_frame_equal(one[f"held_out_{held_out}"], two[f"held_out_{held_out}"])


def test_the_number_of_workers_does_not_change_optimism(overfitted, data):
    two = validate(data, make_overfitting(), jobs=2, optimism=50)
    pd.testing.assert_frame_equal(overfitted[0].tables["optimism"], two.tables["optimism"])


def test_a_site_is_never_learnt_from_not_even_in_another_technique(data):
    elsewhere = pd.DataFrame({"patient_id": ["x", "x", "y"], "site_id": ["a", "z", "z"], "procedure_year": 2020.0})
    seen = []
    everybody = pd.concat([data.episodes[PLACES], elsewhere])
    validate(data, make_overfitting(seen), held_out="site", everybody=everybody)
    assert [set(train["site_id"]) for train, _ in seen] == [{"b", "c"}, {"a", "c"}, {"a", "b"}]
    at_a = set(data.episodes.loc[data.episodes["site_id"] == "a", "patient_id"])
    assert seen[0][1] == at_a | {"x"}
    assert not set(seen[0][0]["patient_id"]) & at_a


def test_later_years_are_predicted_from_earlier_ones_only(data):
    seen = []
    found = validate(data, make_overfitting(seen), held_out="year")
    assert [sorted(set(train["procedure_year"])) for train, _ in seen] == [
        [2020.0],
        [2020.0, 2021.0],
        [2020.0, 2021.0, 2022.0],
    ]
    later = set(data.episodes.loc[data.episodes["procedure_year"] > 2020, "patient_id"])
    assert seen[0][1] == later
    first = found.tables["held_out_year"].query("level == '2020.0'")
    assert first["estimate"].isna().all()
    assert first["method"].eq("not estimable: no year before it").all()


def test_what_only_a_site_tells_is_of_no_use_where_it_is_held_out(data):
    """A site whose patients nearly all respond is found out at once by who has seen it, and by nobody else."""
    rng = np.random.default_rng(5)
    rate = data.episodes["site_id"].map({"a": 0.85, "b": 0.15, "c": 0.5}).to_numpy()
    observed = np.where(data.known, rng.random(len(rate)) < rate, np.nan)

    def remember_sites(train, outcome, test, rng, excluded):
        del rng, excluded
        means = pd.Series(outcome).groupby(train["site_id"].to_numpy()).mean()
        return logit(test["site_id"].map(means).fillna(np.nanmean(outcome)).to_numpy(float))

    found = validate(replace(data, observed=observed), remember_sites, optimism=50, held_out="site")
    assert found.tables["optimism"].set_index("metric").loc["auroc", "estimate"] > 0.75
    ratio = found.tables["held_out_site"].query("metric == 'o_e_ratio'").set_index("level")["estimate"]
    assert ratio.drop("all").max() > 2
    assert ratio.drop("all").min() < 0.3
    pooled = found.list_metrics().set_index("metric").loc["new_site_o_e_ratio"]
    assert pooled["lower"] < 0.1
    assert pooled["upper"] > 3


def test_nothing_is_borrowed_from_patients_who_are_barred(monkeypatch):
    cohort, _ = simulate_cohort(techniques=["facet_rfa", "si_joint_rfa"], episodes_per_technique=150, seed=4)
    settings, asked = TrainingSettings(model=replace(LINEAR, borrowing=[1.0])), {}
    for technique in ("facet_rfa", "si_joint_rfa"):
        made = make_training_set(technique, cohort, get_outcome("pain_response"), OutcomeSettings())
        asked[technique] = (made.episodes, made.observed)
    parts = make_parts(asked, settings, np.random.default_rng(1))
    pools: list[Pool] = []

    def remember(train, outcome, test, rng, *, settings, surroundings):
        del train, outcome, settings, rng
        pools.append(surroundings.pool)
        return np.zeros(len(test))

    monkeypatch.setattr(refits, "fit_and_predict", remember)
    episodes, observed = asked["facet_rfa"]
    around = Surroundings(technique="facet_rfa", pool=Pool(parts=(parts["si_joint_rfa"],)))
    refit = ResponseRefit(settings=settings, around=around, parts=parts, directed=True)
    everybody = cohort.episodes
    excluded = set(everybody.loc[everybody["site_id"] == everybody["site_id"].mode()[0], "patient_id"])
    lent = set(parts["si_joint_rfa"].patients)
    assert lent & excluded
    for who in (set(), excluded):
        refit(episodes, observed, episodes, np.random.default_rng(2), who)
    assert set(pools[0].parts[0].patients) == lent
    assert set(pools[1].parts[0].patients) == lent - excluded - set(episodes["patient_id"])


def test_one_site_and_one_year_are_told_and_nothing_fails(data):
    here = replace(data, episodes=data.episodes.assign(site_id="only", procedure_year=2021.0))
    found = validate(here, make_overfitting(), held_out="both")
    assert found.tables == {}
    assert say(found, "held_out_site") == ("cannot be measured", "cannot be held out: one site")
    assert say(found, "held_out_year") == ("cannot be measured", "cannot be held out: one year")
    nowhere = replace(data, episodes=data.episodes.assign(site_id=None))
    assert say(validate(nowhere, make_overfitting(), held_out="site"), "held_out_site")[1] == (
        "cannot be held out: no site is recorded"
    )


def test_small_sites_are_not_held_out_and_their_counts_are_hidden(data):
    sites = data.episodes["site_id"].to_numpy(object).copy()
    sites[:3], sites[3:7], sites[7:12] = "tiny", "small", None
    seen = []
    scattered = replace(data, episodes=data.episodes.assign(site_id=pd.Series(sites, dtype="str")))
    found = validate(scattered, make_overfitting(seen), held_out="site")
    assert len(seen) == 3
    assert all({"tiny", "small"} <= set(train["site_id"].dropna()) for train, _ in seen)
    table = found.tables["held_out_site"]
    own = table[table["n_groups"].isna()]
    hidden = own[own["n"].isna()]
    assert set(hidden["level"]) >= {"4", "5"}
    assert hidden.query("level in ['4', '5']")["estimate"].isna().all()
    assert own[["n", "n_patients"]].min().min() >= 5
    assert not set(own["level"]) & {"tiny", "small", "a", "b", "c"}
    assert re.search(r"\b[2-5] of 6 without metrics", say(found, "held_out_site")[1])


def test_groups_that_are_all_small_are_counted_not_failed(data):
    many = data.episodes.assign(site_id=pd.Series(np.arange(len(data.episodes)) // 4, dtype="str"))
    status, told = say(validate(replace(data, episodes=many), make_overfitting(), held_out="site"), "held_out_site")
    assert status == "cannot be measured"
    assert re.fullmatch(r"cannot be held out: 0 of \d+ sites have 5 patients with the outcome and 5 without", told)


def test_a_modelling_that_is_refused_tells_no_counts(data):
    def refuse_without_a(train, outcome, test, rng, excluded):
        if "a" not in set(train["site_id"]):
            raise RefusalError("7 with and 90 without the outcome")
        return make_overfitting()(train, outcome, test, rng, excluded)

    table = validate(data, refuse_without_a, held_out="site").tables["held_out_site"]
    left = table[table["method"].str.startswith("not estimable: not held out")]
    assert left["level"].nunique() == 1
    assert not table["method"].str.contains("7 with").any()


def test_five_patients_of_each_kind_are_needed():
    groups, outcome = pd.Series(["a"] * 10 + [None] * 20), np.array([0.0, 1.0] * 15)
    assert list_large_groups(groups, np.arange(30), outcome) == ["a"]
    assert list_large_groups(groups, np.zeros(30), outcome) == []


def make_settings(folder: Path, **changes: object) -> TrainingSettings:
    given: dict[str, object] = {
        "cohort": CohortSettings(episodes_per_technique=300),
        "model": LINEAR,
        "evaluation": EvaluationSettings(folds=3, resamples=60, optimism=50, held_out="both"),
    }
    return make_quick_settings(folder, **{**given, **changes})


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    folder = tmp_path_factory.mktemp("validated")
    tracking = TrackingSettings(uri=f"sqlite:///{folder}/mlflow.db", artifacts=str(folder / "artifacts"))
    result = train(make_settings(folder, tracking=tracking))
    store = resolve_store(tracking)
    name = "paincast.facet_rfa.pain_response@candidate"
    (one,) = fetch_runs(store, name, tmp_path_factory.mktemp("fetched"))
    client = MlflowClient(tracking_uri=store.uri)
    version = client.get_model_version_by_alias("paincast.facet_rfa.pain_response", "candidate")
    facts = read_run_folder(one.folder, one.tags, one.params)
    return result.trained["facet_rfa/pain_response"], client.get_run(version.run_id), facts


def test_a_run_records_what_was_done_again(recorded):
    trained, run, facts = recorded
    metrics = run.data.metrics
    assert {"optimism_corrected_auroc", "optimism_auroc", "held_out_site_auroc", "new_site_o_e_ratio"} <= set(metrics)
    assert {"held_out_site_auroc_lower", "new_site_o_e_ratio_upper", "new_year_auroc_lower"} <= set(metrics)
    assert run.data.params["evaluation.optimism"] == "50"
    assert {"optimism", "held_out_site", "held_out_year", "internal_validation"} <= set(facts.tables)
    assert {"validation/held_out_site", "validation/held_out_year"} <= set(facts.pictures)
    assert not facts.tables["metrics"]["metric"].str.contains("optimism|held_out").any()
    assert trained.validation.parts["status"].eq("measured").all()


def test_the_report_shows_it_and_the_checklists_point_to_it(recorded):
    *_, facts = recorded
    page = write_report(facts)
    assert "Corrected for optimism" in page
    assert "Each site held out in turn" in page
    assert "prediction interval" in page
    items = facts.tables["checklist"].set_index("item")
    assert items.loc["probast_d4_4", "status"] == "filled"
    for item, table in (
        ("tripod_12c", "optimism"),
        ("probast_d4_5", "optimism"),
        ("tripod_12d", "held_out_site"),
    ):
        assert f"tables/{table}.csv" in items.loc[item, "evidence"]
        assert "missing" not in items.loc[item, "says"]
    # Simulated years are no years of patients.
    assert items.loc["tripod_23b", "status"] == "missing"


def test_the_forest_says_what_it_shows(recorded):
    table = recorded[-1].tables["held_out_site"]
    panels = make_forest_axes(12)
    plot_held_out(table, panels, basis="synthetic", title="Sites")
    labels = [label.get_text() for label in panels[0].get_yticklabels()]
    assert labels[-1] == "mean (grey: a new one)"
    assert [ax.get_xlabel() for ax in panels] == ["Observed / expected", "Calibration slope", "AUROC"]
    assert "by a model that had not seen the site" in describe_held_out(table)
    assert tabulate_held_out(table)["Group"].tolist()[-2:] == ["mean of sites", "a new site"]


def test_the_model_is_the_same_with_and_without(recorded, tmp_path):
    plain = train(make_settings(tmp_path, evaluation=EvaluationSettings(folds=3, resamples=60)))
    assert plain.trained["facet_rfa/pain_response"].predictor.version == recorded[0].predictor.version


def test_a_number_says_that_it_is_not_measured(tmp_path):
    tracking = TrackingSettings(uri=f"sqlite:///{tmp_path}/mlflow.db", artifacts=str(tmp_path / "artifacts"))
    settings = make_settings(tmp_path, outcome=OutcomeSettings(name="pain_change"), tracking=tracking)
    assert train(settings).trained["facet_rfa/pain_change"].validation is None
    (one,) = fetch_runs(resolve_store(tracking), "paincast.facet_rfa.pain_change@candidate", tmp_path / "fetched")
    page = write_report(read_run_folder(one.folder, one.tags, one.params))
    assert "Optimism: cannot be measured; available for binary outcomes only; this one is continuous" in page


def test_what_was_not_asked_for_says_how_to_ask():
    parts = explain_not_measured(EvaluationSettings(), "binary").parts.set_index("part")
    assert parts["status"].eq("not measured").all()
    assert parts.loc["optimism", "says"].startswith("not requested: evaluation.optimism=200")
    timed = explain_not_measured(EvaluationSettings(held_out="site"), "time_to_event").parts.set_index("part")
    assert timed["status"].tolist() == ["not measured", "cannot be measured", "not measured"]


def test_real_patients_are_corrected_for_optimism_and_their_one_place_is_told(real_data, tmp_path):
    name = "genicular_rfa_2024"
    cohort, _ = ingest(
        load_mapping(name), sorted(path for path in (real_data / name).iterdir() if path.suffix != ".json")
    )
    save_cohort(cohort, tmp_path / name)
    result = train(
        make_settings(
            tmp_path,
            cohort=CohortSettings(source="folder", path=str(tmp_path / name)),
            techniques=["genicular_rfa"],
            outcome=OutcomeSettings(horizon_months=3.0),
        )
    )
    found = result.trained["genicular_rfa/pain_response"].validation
    table = found.tables["optimism"].set_index("metric")
    assert table.loc["auroc", "optimism"] > 0.02
    assert (table["n"] == 47).all()
    assert re.match(r"cannot be held out: (one|no) site", say(found, "held_out_site")[1])
