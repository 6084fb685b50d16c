"""An external validation gives what a training gives: tables, a page, and a run in MLflow bound to the content."""

from __future__ import annotations

from dataclasses import replace

import mlflow
import numpy as np
import pandas as pd
import pytest

from paincast.cli.app import run
from paincast.cohort.tables import Cohort, conform, save_cohort
from paincast.errors import OutputError
from paincast.evaluation.assessment import compare_risk_with_intervals
from paincast.gates.use import CONTENT
from paincast.outcomes import OUTCOMES, compute_outcome
from paincast.predictor import add_version, load_predictor, save_predictor
from paincast.predictor.validation import Validation
from paincast.reporting.model.external import EvaluatedModel, write_external_report
from paincast.serving.validation.external import ExternalValidation, evaluate_models
from paincast.settings import TrackingSettings
from paincast.tracking import log_validation, resolve_store

EPIDURAL = ("epidural_steroid_injection", "pain_response")
ALWAYS_THERE = {
    "abstentions",
    "calibration_flexible",
    "decision_curve",
    "expected_response",
    "histogram",
    "intervals",
    "loss_to_follow_up",
    "observation_weights",
    "subgroups",
    "tipping_point",
}


@pytest.fixture(scope="module")
def make_lossy_cohort(make_cohort):
    """Lose most of those with much disability, and give twelve patients another indication."""

    def make(basis: str = "synthetic") -> Cohort:
        cohort, rng = make_cohort(0.5, n=300, basis=basis), np.random.default_rng(8)
        lost = (cohort.episodes["odi"].to_numpy(float) > 50) & (rng.random(300) < 0.7)
        episodes = cohort.episodes.assign(
            indication=np.where(np.arange(300) >= 288, "sacroiliac_joint", "lumbar_radicular_disc"),
            sex=rng.choice(["male", "female"], 300),
        )
        visits = cohort.visits[~cohort.visits["episode_id"].isin(set(cohort.episodes["episode_id"][lost]))]
        return replace(cohort, episodes=conform("episodes", episodes), visits=visits.reset_index(drop=True))

    return make


@pytest.fixture(scope="module")
def model(models_folder):
    return load_predictor(models_folder.joinpath(*EPIDURAL))


@pytest.fixture(scope="module")
def found(model, make_lossy_cohort) -> ExternalValidation:
    return evaluate_models({"one": model}, make_lossy_cohort(), rng=np.random.default_rng(1), resamples=60)


@pytest.mark.slow
def test_an_evaluation_gives_the_tables_of_a_training(found):
    tables = found.select_model(*EPIDURAL)
    assert {*ALWAYS_THERE, "metrics", "flow", "calibration"} == set(tables)
    assert found.select_model("facet_rfa", "pain_response") == {}
    assert {"auroc", "o_e_ratio", "auroc_delong", "ici", "e50", "e90"} <= set(tables["metrics"]["metric"])
    assert set(tables["decision_curve"]["strategy"]) >= {"model", "treat_all", "treat_none"}
    flow = tables["flow"].iloc[0]
    [reason] = tables["abstentions"]["reason"]
    assert reason.startswith("the indication is not one")
    assert flow["abstained"] == tables["abstentions"]["n"].sum()
    weights = tables["observation_weights"].set_index("measure")["value"]
    assert weights["asked"] == 288
    assert weights["asked"] - weights["lost"] == flow["evaluated"]


@pytest.mark.slow
def test_metrics_stand_for_those_lost_to_follow_up(found, model, make_lossy_cohort):
    tables = found.select_model(*EPIDURAL)
    loss = tables["loss_to_follow_up"].set_index("metric").loc["o_e_ratio"]
    metrics = tables["metrics"].set_index("metric")["estimate"]
    assert loss["weighted_estimate"] == metrics["o_e_ratio"] != loss["complete_case_estimate"]
    cohort = make_lossy_cohort()
    answers = model.predict_episodes(cohort.episodes)
    asked = (OUTCOMES["pain_response"], model.horizon_months, model.window_months)
    observed = compute_outcome(cohort.episodes, cohort.visits, cohort.events, *asked).value
    usable = observed.notna() & ~answers["abstained"].astype(bool)
    complete = observed[usable].sum() / answers.loc[usable, "probability"].sum()
    assert loss["complete_case_estimate"] == pytest.approx(complete)
    # Those lost have much disability, whom the model predicts to respond less: the weights make up for them.
    means = tables["intervals"].set_index("measure")["estimate"]
    assert means["mean_probability"] < answers.loc[usable, "probability"].mean()
    assert means["mean_lower"] < means["mean_probability"] < means["mean_upper"]
    assert means["observed_risk"] / means["mean_probability"] == pytest.approx(metrics["o_e_ratio"])


def test_the_limits_of_individuals_are_described_without_an_interval():
    class Data:
        episodes = pd.DataFrame({"patient_id": ["a", "b", "c"]})
        observed = np.array([1.0, 0.0, np.nan])
        known = np.array([True, True, False])

    answers = pd.DataFrame({"probability": [0.5, 0.3, 0.9], "lower": 0.2, "upper": [0.8, 0.6, 1.0], "level": 0.9})
    settings = type("Settings", (), {"confidence": 0.95})
    table = compare_risk_with_intervals(Data, answers, np.array([3.0, 1.0, 0.0]), settings).set_index("measure")
    assert table["estimate"].round(6).tolist() == [0.75, 0.45, 0.2, 0.75]
    assert table["lower"].isna().tolist() == [False, False, True, True]
    assert table["n"].tolist() == [2] * 4


VALIDATION = Validation(cohort="elsewhere", content="a", n=80, o_e=0.5, lower=0.4, upper=0.6, contradicts=True)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("validation", "because", "verdict"),
    [
        (VALIDATION, "", "contradicted by data"),
        (replace(VALIDATION, contradicts=False), "", "not contradicted"),
        (replace(VALIDATION, n=45, contradicts=False), "", "no verdict: fewer than 50"),
        (None, "the patients are synthetic", "no verdict: the patients are synthetic"),
    ],
)
def test_the_page_gives_the_verdict_and_every_part(found, model, validation, because, verdict):
    tables = found.select_model(*EPIDURAL)
    evaluated = EvaluatedModel(predictor=model, tables=tables, validation=validation, not_recorded=because)
    assert evaluated.describe_verdict().startswith(verdict)
    page = write_external_report("elsewhere", "real", [evaluated])
    assert page.count("data:image/svg+xml") == 4
    for part in ("calibration", "benefit", "groups", "patients"):
        assert f'id="{"-".join(EPIDURAL)}-{part}"' in page
    assert ("1 of 1 is contradicted" in page) == (verdict == "contradicted by data")


def test_a_model_that_could_not_be_measured_is_listed_with_the_reason(model):
    flow = pd.DataFrame({"evaluated": [0], "note": ["nobody was followed up"]})
    evaluated = EvaluatedModel(predictor=model, tables={"flow": flow}, validation=None, not_recorded="")
    assert "not measured: nobody was followed up" in write_external_report("elsewhere", "real", [evaluated])


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:::(mlflow|alembic|sqlalchemy|pydantic)")
def test_a_run_bound_to_the_content_holds_tables_and_no_rows(model, tmp_path, capsys, make_lossy_cohort):
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    name, client = "paincast." + ".".join(EPIDURAL), mlflow.MlflowClient(tracking_uri=uri, registry_uri=uri)
    client.create_registered_model(name)
    for content in (model.version, "another"):
        client.create_model_version(name, "somewhere", tags={CONTENT: content})
    save_predictor(model, tmp_path / "models" / "one")
    cohort = make_lossy_cohort("real")
    save_cohort(cohort, tmp_path / "elsewhere")
    where = ["-o", str(tmp_path / "report"), "--tracking-uri", uri, "--resamples", "50"]
    assert run(["evaluate", str(tmp_path / "models"), str(tmp_path / "elsewhere"), *where]) == 0
    [logged] = client.search_runs([one.experiment_id for one in client.search_experiments()])
    assert logged.info.status == "FINISHED"
    assert (logged.data.tags["kind"], logged.data.tags[CONTENT]) == ("external_validation", model.version)
    assert logged.data.tags["model_versions"] == f"models:/{name}/1"
    tags = [client.get_model_version(name, number).tags for number in ("1", "2")]
    assert [entry.get("validation_run") for entry in tags] == [logged.info.run_id, None]
    assert f"runs:/{logged.info.run_id}" in capsys.readouterr().out
    printed = pd.read_csv(tmp_path / "report" / "metrics.csv").set_index("metric")["estimate"].dropna()
    assert {metric: logged.data.metrics[metric] for metric in printed.index} == pytest.approx(printed.to_dict())
    folder = client.download_artifacts(logged.info.run_id, "", str(tmp_path))
    texts = [path.read_text(encoding="utf-8") for path in tmp_path.joinpath(folder).rglob("*.[ch][st][vm]*")]
    assert len(texts) >= len(ALWAYS_THERE)
    ids = {*cohort.episodes["episode_id"], *cohort.episodes["patient_id"]}
    assert not any(f",{one}," in text or f">{one}<" in text for text in texts for one in ids)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:::(mlflow|alembic|sqlalchemy|pydantic)")
def test_no_run_is_logged_for_a_model_that_is_not_registered_nor_for_rows(model, found, tmp_path):
    store = resolve_store(TrackingSettings(uri=f"sqlite:///{tmp_path}/mlflow.db"))
    tables = found.select_model(*EPIDURAL)
    assert log_validation(store, model, VALIDATION, tables, "page") is None
    rows = {**tables, "rows": pd.DataFrame({"patient_id": ["a"]})}
    with pytest.raises(OutputError, match="patient_id") as refused:
        log_validation(store, add_version(model), VALIDATION, rows, "page")
    assert refused.value.code == "PC-TRACKING-13"
