"""The run of a comparison: no identifiers, and a description that fits."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from paincast.errors import OutputError
from paincast.settings import TrackingSettings
from paincast.tracking import ComparisonRun, DatasetSummary, log_comparison, resolve_store
from paincast.tracking.describe import LONGEST_DESCRIPTION, describe_comparison
from paincast.tracking.log_comparisons import name_metric

RUN = ComparisonRun(
    name="one against other",
    basis="real",
    n_real=5000,
    verdict="refused",
    unmet=("share in equipoise, one and other",),
    question="Which?",
    findings=("REFUSED.",),
    limits=("Not random.",),
    dataset=DatasetSummary(name="ours", digest="0" * 32, sources=("Ours",), n_episodes=5000, is_rounded=True),
    params={"seed": 7},
    tables={"diagnostics": pd.DataFrame({"diagnostic": ["share"], "value": [0.2], "limit": [0.4], "passed": [False]})},
    figures={},
    captions={},
    files={},
)


def test_tables_with_identifiers_are_not_sent(tmp_path: Path) -> None:
    rows = replace(RUN, tables={"rows": pd.DataFrame({"patient_id": ["a"]})})
    with pytest.raises(OutputError) as refusal:
        log_comparison(resolve_store(TrackingSettings(), tmp_path), rows)
    assert refusal.value.code == "PC-TRACKING-13"
    assert not (tmp_path / "mlflow.db").exists()


def test_the_description_tells_verdict_and_diagnostics_and_fits() -> None:
    text = describe_comparison(RUN)
    assert text.startswith("**REAL**: 5000 real of about 5000 episodes · refused")
    assert "| share | 0.2 | 0.4 | False |" in text
    assert "Contrasts" not in text
    long = replace(RUN, limits=tuple("limit" * 100 for _ in range(100)))
    assert len(describe_comparison(long)) <= LONGEST_DESCRIPTION


@pytest.mark.parametrize(
    "name",
    [
        "share in equipoise, a and b",
        "standardised difference of columns not adjusted for, a and b",
        "negative control x, standard errors from 0",
        "µ (%)",
    ],
)
def test_metrics_are_named_in_letters_that_mlflow_takes(name: str) -> None:
    from mlflow.utils.validation import _validate_metric_name

    _validate_metric_name(name_metric(name))
