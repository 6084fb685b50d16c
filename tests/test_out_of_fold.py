"""Out-of-fold predictions go to a local file, from which the metrics can be computed again, and nowhere else."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from quick_training import PLAIN, make_quick_settings

from paincast.cli.model import replace_flags
from paincast.errors import SettingsError
from paincast.evaluation import compute_metrics
from paincast.settings import (
    EvaluationSettings,
    OutcomeSettings,
    TrackingSettings,
    TrainingSettings,
    check_settings,
)
from paincast.training import train
from paincast.training.out_of_fold import COLUMNS


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:::(mlflow|alembic|sqlalchemy|pydantic)")
@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_the_file_gives_the_metrics_again_and_stays_on_this_machine(tmp_path, suffix):
    file = tmp_path / "apart" / f"oof.{suffix}"
    file.parent.mkdir()
    result = train(
        make_quick_settings(
            tmp_path,
            outcome=OutcomeSettings(name="pain_response" if suffix == "csv" else "pain_change"),
            evaluation=EvaluationSettings(folds=3, resamples=60, export_oof=str(file)),
            model=PLAIN,
            tracking=TrackingSettings(uri=f"sqlite:///{tmp_path}/mlflow.db", artifacts=str(tmp_path / "artifacts")),
        )
    )
    rows = pd.read_csv(file) if suffix == "csv" else pd.read_parquet(file)
    assert list(rows.columns) == list(COLUMNS)
    assert file.stat().st_mode & 0o777 == 0o600
    [trained] = result.trained.values()
    reported = trained.metrics.set_index("metric")["estimate"]
    known = rows[rows["observed"].notna()]
    assert len(known) == trained.predictor.n_training
    assert (rows["weight"] > 0).equals(rows["observed"].notna())
    if suffix == "csv":
        again = compute_metrics(
            known["observed"],
            known["probability"],
            patients=known["patient_id"],
            rng=np.random.default_rng(1),
            resamples=50,
            weights=known["weight"],
        ).set_index("metric")["estimate"]
        for metric in ("auroc", "brier", "o_e_ratio", "calibration_slope"):
            assert again[metric] == pytest.approx(reported[metric])
    else:
        distance = np.average(abs(known["observed"] - known["expected"]), weights=known["weight"])
        assert distance == pytest.approx(reported["mean_absolute_error"])
    ids = [str(one).encode() for one in rows["episode_id"].head(20)]
    sent = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file() and path.parent != file.parent]
    assert len(sent) > 20
    assert not any(one in content for content in sent for one in ids)


def test_the_flag_stands_for_the_setting():
    assert replace_flags(["seed=3", "--export-oof=a.csv"]) == ["seed=3", "evaluation.export_oof='a.csv'"]
    assert replace_flags(["--export-oof", "it's.csv"]) == [r"evaluation.export_oof='it\'s.csv'"]


def test_another_kind_of_file_is_refused_before_the_work():
    with pytest.raises(SettingsError, match="oof") as refused:
        check_settings(TrainingSettings(evaluation=EvaluationSettings(export_oof="oof.xlsx")))
    assert refused.value.code == "PC-SETTINGS-34"
