"""A technique, an instrument, predictors and an outcome of one's own: from a file to a report and an answer."""

from __future__ import annotations

import os
import subprocess
import sys
from itertools import product
from pathlib import Path

import pandas as pd
import pytest
from own_registry import MAPPING, make_patients, write_registry

from paincast.contract import BUILT_IN, load_contract
from paincast.features import EpisodeEncoder
from paincast.serving.batch import read_predictions
from paincast.serving.predict import load_models

pytestmark = pytest.mark.slow

QUICK = ("evaluation=quick", "uncertainty.refits=10", "progress=false", "jobs=1", "model=logistic")
ASKED = pd.DataFrame(
    {
        "patient_id": ["a", "b", "c", "d"],
        "technique": ["intradiscal_prp", "intradiscal_prp", "intradiscal_prp", "facet_rfa"],
        "indication": ["discogenic_pain", "discogenic_pain", "discogenic_pain", "lumbar_facet"],
        "age_years": [50, 60, 60, 60],
        "sex": ["female", "male", "male", "male"],
        "pain_nrs": [7, 8, 8, 8],
        "zcq_function": [3.1, 2.5, 2.5, 2.5],
        "crp_mg_l": [1.0, 30.0, 3000.0, 3.0],
        "modic_type": ["i", "none", "iv", "ii"],
        "prior_prp": ["no", "yes", "yes", "yes"],
        "discs_injected": [2, 1, 1, 1],
    }
)


def call(folder: Path, *command: str, code: int = 0) -> str:
    environment = {name: text for name, text in os.environ.items() if not name.startswith("MLFLOW_")}
    done = subprocess.run(
        [sys.executable, "-m", "paincast", *command],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == code, f"{' '.join(command)}: {done.stdout}{done.stderr}"
    return done.stdout + done.stderr


@pytest.mark.filterwarnings("ignore:::(mlflow|alembic|sqlalchemy|pydantic)")
def test_from_a_file_and_a_contract_to_a_report_and_an_answer(tmp_path):
    import mlflow
    from mlflow import MlflowClient

    write_registry(tmp_path / "in", make_patients(400))
    contract = load_contract(tmp_path / "in" / "contract.yaml")
    call(tmp_path, "ingest", "in/mapping.yaml", "in/patients.csv", "-o", "cohort")
    on_cohort = ("cohort=folder", "cohort.path=cohort", *QUICK)
    call(tmp_path, "train", *on_cohort, "technique=intradiscal_prp", "outcome=walking_improved")

    # From here on nothing needs the files of the registry.
    for file in (tmp_path / "in").iterdir():
        file.unlink()
    [model] = load_models(tmp_path / "models").values()
    assert model.contract == contract
    assert (model.outcome, model.horizon_months, model.basis) == ("walking_improved", 6.0, "real")
    assert {"crp_mg_l", "modic_type", "prior_prp", "discs_injected"} <= {*model.response.encoder.owners}
    assert not {"operating_minutes", "blood_group"} & {*model.response.encoder.owners}

    # The run: digest, labels in report and tables, the sensitive column among the subgroups, own columns declared.
    client = MlflowClient(tracking_uri=f"sqlite:///{tmp_path}/mlflow.db")
    [run] = client.search_runs(["1"], filter_string="tags.kind = 'model'")
    assert run.data.tags["contract"] == contract.digest
    assert "verdict" in run.data.tags
    tables = Path(client.download_artifacts(run.info.run_id, "tables", str(tmp_path)))
    assert {"crp_mg_l", "modic_type"} <= {*pd.read_csv(tables / "importance.csv")["variable"]}
    assert "blood_group" in {*pd.read_csv(tables / "subgroups.csv")["attribute"]}
    assert {"CRP", "Modic changes"} <= {*pd.read_csv(tables / "characteristics.csv")["variable"]}
    call(tmp_path, "report", "paincast.intradiscal_prp.walking_improved@candidate", "-o", "report")
    page = (tmp_path / "report" / "report.html").read_text()
    assert "CRP" in page

    # Answers: probability, interval and reasons by own columns; what the contract does not allow is a reject.
    ASKED.to_csv(tmp_path / "asked.csv", index=False)
    call(tmp_path, "predict", "asked.csv", "-o", "answers.csv", "--no-progress", code=3)
    answers = read_predictions(tmp_path / "answers.csv").set_index("patient_id")
    own = answers[answers["technique"] == "intradiscal_prp"]
    assert own.loc["a", "probability"] > own.loc["b", "probability"] + 0.2
    assert "crp_mg_l" in {reason["variable"] for reason in own.loc["b", "reasons_against"]}
    assert set(own["contract"]) == {contract.digest}
    assert own.loc["c", "abstained"]
    assert "no published evidence" in own.loc["a", "cautions"]
    rejects = pd.read_csv(tmp_path / "answers.rejects.csv")
    assert set(zip(rejects["column"], rejects["rule"], strict=True)) == {
        ("crp_mg_l", "range"),
        ("modic_type", "category"),
    }

    # MLflow serves the same numbers; evaluation on other patients and the profile go through.
    as_run = "models:/paincast.intradiscal_prp.walking_improved@candidate"
    call(tmp_path, "predict", "asked.csv", "--models", as_run, "-o", "served.csv", "--no-progress", code=3)
    served_by_run = read_predictions(tmp_path / "served.csv").set_index("patient_id")
    assert served_by_run.loc["a", "probability"] == own.loc["a", "probability"]
    mlflow.set_tracking_uri(f"sqlite:///{tmp_path}/mlflow.db")
    loaded = mlflow.pyfunc.load_model(as_run)
    assert {"crp_mg_l", "modic_type", "zcq_function"} <= {*loaded.metadata.get_input_schema().input_names()}
    assert loaded.predict(ASKED)["probability"].iloc[0] == pytest.approx(own.loc["a", "probability"], abs=1e-12)
    write_registry(tmp_path / "later", make_patients(200, seed=9))
    call(tmp_path, "ingest", "later/mapping.yaml", "later/patients.csv", "-o", "later_cohort")
    call(tmp_path, "evaluate", "models", "later_cohort", "-o", "evaluated")
    by_file = ("later/patients.csv", "--mapping", "later/mapping.yaml", "--no-record", "-o", "evaluated_file")
    call(tmp_path, "evaluate", "models", *by_file)
    assert (tmp_path / "evaluated_file" / "metrics.csv").read_text() == (
        tmp_path / "evaluated" / "metrics.csv"
    ).read_text()
    (tmp_path / "later" / "mapping.yaml").write_text(
        MAPPING.replace("{column: sex, codes: {f: female, m: male}}", "{column: sex}")
    )
    assert "PC-SERVING-38" in call(tmp_path, "evaluate", "models", *by_file, code=2)
    call(tmp_path, "profile", "cohort", "-o", "profile.html")
    assert (
        "Platelet-rich" in (tmp_path / "profile.html").read_text()
        or "intradiscal" in (tmp_path / "profile.html").read_text()
    )


@pytest.mark.parametrize("outcome", ["pain_response", "pain_change"])
def test_a_prior_of_another_technique_is_borrowed_only_where_the_contract_says_so(tmp_path, outcome):
    write_registry(tmp_path, make_patients(150, technique="cool"))
    call(tmp_path, "ingest", "mapping.yaml", "patients.csv", "-o", "cohort")
    call(
        tmp_path,
        "train",
        "cohort=folder",
        "cohort.path=cohort",
        "outcome.horizon_months=6",
        f"outcome={outcome}",
        *QUICK,
    )
    [model] = load_models(tmp_path / "models").values()
    assert model.basis == "blended"
    assert len(model.sources) > 1
    assert {"crp_mg_l", "modic_type"} <= {*model.response.encoder.owners}
    answer = model.predict(pd.DataFrame({"indication": ["lumbar_facet"], "pain_nrs": [7], "crp_mg_l": [2.0]}))
    assert "facet_rfa" in answer["cautions"].iloc[0]


def test_every_encoder_of_a_training_is_of_the_contract(tmp_path, monkeypatch):
    """A function that forgot the contract would silently leave out the columns of a registry's own."""
    from paincast.cohort.registry.ingestion import ingest
    from paincast.cohort.tables import save_cohort
    from paincast.training import train

    seen = set()
    original = EpisodeEncoder.fit
    monkeypatch.setattr(EpisodeEncoder, "fit", lambda self, X, y=None: seen.add(self.contract) or original(self, X, y))
    patients = pd.concat([make_patients(150), make_patients(150, "cool", seed=2).assign(nr=lambda p: "C" + p["nr"])])
    mapping = write_registry(tmp_path / "in", patients)
    cohort, _ = ingest(tmp_path / "in" / "patients.csv", mapping)
    save_cohort(cohort, tmp_path / "cohort")
    for outcome, prior in product(("pain_response", "pain_change", "relief_duration"), (True, False)):
        train(
            cohort=tmp_path / "cohort",
            outcome=outcome,
            evaluation="quick",
            model={"prior": prior, "candidates": ["logistic"]},
            models_folder=tmp_path / "models",
            **{"outcome.horizon_months": [6.0], "tracking.enabled": False, "jobs": 1, "uncertainty.refits": 10},
        )
    assert seen == {cohort.contract}
    assert cohort.contract != BUILT_IN
