"""`paincast profile`: what the terminal shows, the page it writes, and its errors."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

MAPPING = """
title: Our registry
read:
  file: export.csv
episodes:
  episode_id: {column: id}
  patient_id: {column: id}
  technique: {always: facet_rfa}
  indication: {always: lumbar_facet}
  pain_nrs: {column: nrs, unit: 0-10}
  age_years: {column: age, unit: years}
visits:
  - month: {always: 6}
    pain_nrs: {column: nrs_6m, unit: 0-10}
"""


@pytest.fixture
def registry(tmp_path: Path) -> None:
    """Write a registry's export: forty patients, of whom half respond, and one age that cannot be read."""
    rows = [f"p{place},8,{'x' if place == 7 else 40 + place},{2 if place % 2 else 7}" for place in range(40)]
    (tmp_path / "export.csv").write_text("\n".join(["id,nrs,age,nrs_6m", *rows]) + "\n")
    (tmp_path / "ours.yaml").write_text(MAPPING)


@pytest.mark.usefixtures("registry")
def test_a_registry_is_profiled_in_the_terminal_and_on_a_page(tell) -> None:
    assert tell("ingest", "ours.yaml", "export.csv", "-o", "ours", "--max-rejects", "1")[0] == 0
    code, out, _ = tell("profile", "ours", "-o", "profile.html")
    assert code == 0
    assert "ours: 40 episodes of 40 patients, 40 visits (basis real, rounded to five)" in out
    assert "50 % (35–65) of 40" in out
    assert "inside" in out
    page = Path("profile.html").read_text(encoding="utf-8")
    assert "fewer than 5" in page  # the one age
    assert "rows read from export.csv" in page


def test_a_simulated_cohort_is_counted_exactly(tell) -> None:
    assert tell("simulate", "-o", "cohort", "--technique", "facet_rfa", "--episodes", "63", "--no-progress")[0] == 0
    code, out, _ = tell("profile", "cohort")
    assert code == 0
    assert "cohort: 63 episodes" in out
    assert not Path("profile.html").exists()


def test_what_is_no_cohort_or_no_list_of_rejects_is_told(tell, tmp_path: Path) -> None:
    assert "PC-COHORT-02" in tell("profile", "nothing")[2]
    tell("simulate", "-o", "cohort", "--technique", "facet_rfa", "--episodes", "20", "--no-progress")
    pd.DataFrame({"a": [1]}).to_csv(tmp_path / "cohort" / "rejects.csv")
    assert "PC-COHORT-14" in tell("profile", "cohort")[2]
