"""`paincast simulate --report`: where the page goes, what is said, and when it is refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from paincast.errors import RefusalError
from paincast.reporting import simulation
from paincast.simulator import Assumptions, write_cohort, write_referrals

ARGUMENTS = ["simulate", "-o", "cohort", "--technique", "facet_rfa", "--episodes", "60", "--seed", "4", "--no-progress"]


@pytest.mark.slow
def test_the_report_stands_beside_the_cohort(tell, tmp_path):
    code, out, err = tell(*ARGUMENTS, "--report")
    assert (code, err) == (0, "")
    assert "written: cohort.report.html (60 episodes beside their evidence)" in out
    assert (tmp_path / "cohort.report.html").read_text(encoding="utf-8").startswith("<!doctype html>")


@pytest.mark.slow
def test_the_report_goes_where_it_is_told(tell, tmp_path):
    code, out, _ = tell(*ARGUMENTS, "--report", "pages/facet.html")
    assert code == 0
    assert "written: pages/facet.html" in out
    assert (tmp_path / "pages" / "facet.html").is_file()


def test_without_the_option_there_is_no_report(tell, tmp_path):
    assert tell(*ARGUMENTS)[0] == 0
    assert [path.name for path in tmp_path.iterdir()] == ["cohort"]


@pytest.mark.slow
def test_of_a_large_cohort_the_first_episodes_are_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small, large = tmp_path / "small", tmp_path / "large"
    for folder, n in ((small, 300), (large, 301)):
        write_cohort(folder, techniques=["facet_rfa"], episodes_per_technique=n, seed=4)
    monkeypatch.setattr(simulation, "MOST_EPISODES", 300)
    assert simulation.report_simulation(large, tmp_path / "large.html") == 300
    assert simulation.report_simulation(small, tmp_path / "small.html") == 300
    assert (tmp_path / "large.html").read_bytes() == (tmp_path / "small.html").read_bytes()


def test_a_large_cohort_of_other_assumptions_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    changed = replace(Assumptions(), loss_share=0.1)
    write_cohort(tmp_path / "cohort", techniques=["facet_rfa"], episodes_per_technique=20, assumptions=changed)
    monkeypatch.setattr(simulation, "MOST_EPISODES", 10)
    with pytest.raises(RefusalError, match=r"changed assumptions \(loss_share\); simulate at most 10 episodes"):
        simulation.report_simulation(tmp_path / "cohort", tmp_path / "report.html")


def test_of_referred_patients_the_first_are_shown_if_treated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pages = []
    monkeypatch.setattr(simulation, "write_report", lambda cohort, *_: pages.append(cohort) or "")
    monkeypatch.setattr(simulation, "MOST_EPISODES", 200)
    for n in (200, 300):
        folder = tmp_path / str(n)
        write_referrals(folder, indications=["lumbar_facet"], patients_per_indication=n, keep_untreated=True, seed=4)
        simulation.report_simulation(folder, tmp_path / "page.html")
    assert set(pages[0].episodes["technique"]) == {"facet_joint_injection", "facet_rfa"}
    assert pages[0].visits["episode_id"].isin(pages[0].episodes["episode_id"]).all()
    pd.testing.assert_frame_equal(pages[1].episodes, pages[0].episodes)
