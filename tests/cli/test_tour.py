"""From published registries to predictions, by commands alone."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pandas as pd
import pytest

SETS = {"caudal_esi_2018": (127, 111), "genicular_rfa_2024": (47, 47), "trigeminal_percutaneous_2024": (120, 79)}


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:::(mlflow|alembic|sqlalchemy|pydantic|hydra)")
def test_from_real_registries_to_predictions_that_know_their_limits(tell, tmp_path, real_data, monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    assert tell("fetch", *SETS, "--mirror", str(real_data), "--no-progress")[0] == 0
    for name, (episodes, pairs) in SETS.items():
        code, out, err = tell("ingest", name, "-o", f"data/cohorts/{name}")
        assert (code, err) == (0, "")
        assert f": {episodes} episodes" in out
        assert f"with pain before and after: {pairs}" in out
    quick = ["model=logistic", "evaluation=quick", "uncertainty.refits=10", "progress=false", "jobs=1"]
    code, out, err = tell("train", "-m", "experiment=caudal_esi_2018,genicular_rfa_2024", *quick)
    assert (code, err) == (0, "")
    assert "paincast review" in out
    with closing(sqlite3.connect(tmp_path / "mlflow.db")) as store:
        tags = dict(store.execute("select value, count(*) from tags where key = 'basis' group by value"))
    assert set(tags) == {"real", "blended"}
    trigeminal = "data/cohorts/trigeminal_percutaneous_2024/episodes.parquet"
    assert tell("predict", trigeminal, "-o", "predictions.csv", "--techniques", "all", "--no-progress")[0] == 0
    predictions = pd.read_csv("predictions.csv")
    assert predictions["abstained"].all()
    reasons = predictions.groupby("technique")["abstained_because"].agg(lambda part: part.iloc[0])
    assert "there is no model for trigeminal_rhizotomy" in reasons["trigeminal_rhizotomy"]
    assert "surgery is a comparator" in reasons["surgery"]
    assert "the indication is not one this technique treats" in reasons["genicular_rfa"]
    modelled = predictions[predictions["technique"].isin(["epidural_steroid_injection", "genicular_rfa"])]
    assert set(modelled["basis"]) == {"blended"}
    assert set(modelled["n_real"]) == {111, 47}
