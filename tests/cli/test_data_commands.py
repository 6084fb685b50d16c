"""`paincast simulate`, `fetch` and `ingest`: what is written, what is said, and the exit codes."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from paincast.cohort.tables import load_cohort
from paincast.evaluation.simulated.truth import load_truth

MAPPING = """
title: Our registry
read:
  file: export.csv
episodes:
  episode_id: {column: id}
  patient_id: {column: person}
  technique: {always: facet_rfa}
  indication: {always: lumbar_facet}
  pain_nrs: {column: nrs, unit: 0-10}
  age_years: {column: age, unit: years}
visits:
  - month: {always: 6}
    pain_nrs: {column: nrs_6m, unit: 0-10}
cannot_tell:
  - the hospital
"""
ROWS = [f"{i},p{i},{5 + i % 5},{40 + i},{i % 6}" for i in range(20)]


@pytest.fixture
def registry(tmp_path):
    """Write a registry export of twenty rows, some of them replaced, and its mapping."""

    def write(**replaced: str) -> None:
        rows = [replaced.get(f"row{i}", row) for i, row in enumerate(ROWS)]
        (tmp_path / "export.csv").write_text("\n".join(["id,person,nrs,age,nrs_6m", *rows]) + "\n")
        (tmp_path / "ours.yaml").write_text(MAPPING)

    return write


def test_simulate_writes_a_cohort_with_its_truth_beside_it(tell, tmp_path):
    arguments = ["simulate", "-o", "cohort", "--technique", "facet_rfa", "--episodes", "60", "--seed", "4"]
    code, out, err = tell(*arguments, "--no-progress")
    assert (code, err) == (0, "")
    assert "facet_rfa: 60 episodes" in out
    cohort = load_cohort(tmp_path / "cohort")
    assert cohort.basis == "synthetic"
    assert set(cohort.episodes["technique"]) == {"facet_rfa"}
    assert set(load_truth(tmp_path / "cohort")["technique"]) == {"facet_rfa", "facet_joint_injection"}
    first = (tmp_path / "cohort" / "cohort.json").read_text()
    assert tell(*arguments)[2] == "", "progress is for a terminal, not for a log"
    assert (tmp_path / "cohort" / "cohort.json").read_text() == first


def test_simulate_refers_patients_of_an_indication(tell, tmp_path):
    arguments = ["simulate", "-o", "cohort", "--indication", "knee_osteoarthritis", "--seed", "4", "--no-progress"]
    code, out, err = tell(*arguments, "--patients", "300")
    assert (code, err) == (0, "")
    cohort = load_cohort(tmp_path / "cohort")
    counts = cohort.episodes["technique"].value_counts()
    assert len(counts) == 3
    for technique, n in counts.items():
        assert f"  {technique}: {n} episodes" in out
    assert cohort.details["patients_per_indication"] == 300


def test_simulate_keeps_who_was_not_treated(tell, tmp_path):
    arguments = ["--indication", "lumbar_facet", "--patients", "300", "--keep-untreated", "--no-progress"]
    code, out, err = tell("simulate", "-o", "cohort", *arguments)
    assert (code, err) == (0, "")
    counts = load_cohort(tmp_path / "cohort").episodes["technique"].value_counts()
    assert counts["no_procedure"] > counts["facet_rfa"]
    assert f"  no_procedure: {counts['no_procedure']} episodes" in out


def test_simulate_counts_either_episodes_or_patients(tell, tmp_path):
    for mixed in (
        ["--technique", "facet_rfa", "--patients", "20"],
        ["--episodes", "20", "--indication", "crps"],
        ["--episodes", "20", "--keep-untreated"],
    ):
        code, _, err = tell("simulate", "-o", "cohort", *mixed)
        assert code == 2
        assert "--technique and --episodes, or --indication and --patients" in err
    code, _, err = tell("simulate", "-o", "cohort", "--indication", "cancer_pain")
    assert code == 2
    assert "PC-SIMULATOR-05" in err
    assert list(tmp_path.iterdir()) == []


def test_simulate_refuses_what_has_no_evidence(tell, tmp_path):
    code, _, err = tell("simulate", "-o", "cohort", "--technique", "bariatric_embolization")
    assert code == 2
    assert "bariatric_embolization is refused" in err
    assert list(tmp_path.iterdir()) == []


def test_simulate_does_not_replace_a_folder_of_other_files(tell, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("x")
    code, _, err = tell("simulate", "-o", "mine", "--technique", "facet_rfa", "--episodes", "20", "--no-progress")
    assert code == 2
    assert "cannot write mine: it holds other files" in err
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["thesis.txt"]


def test_fetch_lists_citation_and_licence(tell):
    code, out, _ = tell("fetch", "--list")
    assert code == 0
    assert "caudal_esi_2018\n  Park SJ" in out
    assert out.count("licence: ") == 4


def test_fetch_without_or_with_an_unknown_name_says_what_there_is(tell):
    code, _, err = tell("fetch")
    assert code == 2
    assert "paincast fetch --list" in err
    code, _, err = tell("fetch", "caudal_esi_2017")
    assert code == 2
    assert "did you mean 'caudal_esi_2018'?" in err


def test_fetch_from_a_mirror_cites_the_source(tell, tmp_path, real_data):
    code, out, err = tell("fetch", "genicular_rfa_2024", "--mirror", str(real_data), "--no-progress")
    assert (code, err) == (0, "")
    assert "cite: Korean J Pain 2024" in out
    assert "licence: CC0-1.0" in out
    assert (tmp_path / "data" / "real" / "genicular_rfa_2024" / "trial75.csv").is_file()


def test_ingest_writes_cohort_and_rejects_and_says_what_it_read(tell, tmp_path, registry):
    registry(row3="3,p3,8,forty,2")
    code, out, err = tell("ingest", "ours.yaml", "export.csv", "-o", "cohorts/ours")
    assert (code, err) == (0, "")
    assert "20 episodes, 20 visits" in out
    assert "episodes with pain before: 20; with pain before and after: 20" in out
    assert "not recorded by the source: the hospital" in out
    rejects = pd.read_csv("cohorts/ours/rejects.csv")
    assert rejects[["row", "column", "action"]].to_numpy().tolist() == [[4, "age_years", "cell emptied"]]
    assert "forty" not in out + Path("cohorts/ours/rejects.csv").read_text()
    assert load_cohort(tmp_path / "cohorts" / "ours").n_real == 20


def test_more_rejects_than_allowed_exit_with_3_and_write_no_cohort(tell, tmp_path, registry):
    registry(row3="3,p3,8,forty,2", row7="7,p7,8,fifty,2")
    code, _, err = tell("ingest", "ours.yaml", "export.csv", "-o", "ours")
    assert code == 3
    assert "10.0% of the rows" in err
    assert "--max-rejects 1" in err
    assert not (tmp_path / "ours").exists()
    assert len(pd.read_csv("ours.rejects.csv")) == 2
    assert tell("ingest", "ours.yaml", "export.csv", "-o", "ours", "--max-rejects", "0.1")[0] == 0
    assert len(load_cohort(tmp_path / "ours").episodes) == 20


def test_a_wrong_unit_exits_with_3(tell, tmp_path, registry):
    registry(**{f"row{i}": f"{i},p{i},{50 + i},{40 + i},3" for i in range(20)})
    code, out, err = tell("ingest", "ours.yaml", "export.csv", "-o", "ours")
    assert code == 3
    assert "100.0%" in err
    assert "unit" in out
    assert not (tmp_path / "ours").exists()


def test_a_rejected_cohort_leaves_the_one_before(tell, tmp_path, registry):
    registry()
    assert tell("ingest", "ours.yaml", "export.csv", "-o", "ours")[0] == 0
    before = (tmp_path / "ours" / "cohort.json").read_text()
    registry(**{f"row{i}": f"same,p,8,{30 + i},2" for i in range(9)})
    assert tell("ingest", "ours.yaml", "export.csv", "-o", "ours")[0] == 3
    assert (tmp_path / "ours" / "cohort.json").read_text() == before


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["ours.yml", "export.csv", "-o", "ours"], "ours.yml"),
        (["caudal_esi_2017", "-o", "ours"], "did you mean 'caudal_esi_2018'"),
        (["caudal_esi_2018", "-o", "ours"], "run 'paincast fetch caudal_esi_2018'"),
        (["ours.yaml", "nowhere.csv", "-o", "ours"], "nowhere.csv"),
        (["ours.yaml", "export.csv", "-o", "export.csv"], "a file of that name exists"),
        (["--suggest", "nowhere.csv"], "nowhere.csv"),
    ],
)
def test_what_can_be_mended_is_said_in_one_line(tell, registry, arguments, words):
    registry()
    code, _, err = tell("ingest", *arguments)
    assert code == 2
    assert err.startswith("error: ")
    assert words in err
    assert err.count("\n") == 1


@pytest.mark.parametrize("arguments", [[], ["ours.yaml", "export.csv"], ["-o", "ours"]])
def test_ingest_asks_for_what_it_needs(tell, arguments):
    code, _, err = tell("ingest", *arguments)
    assert code == 2
    assert "--suggest FILE" in err


def test_a_first_mapping_is_suggested_to_edit(tell, tmp_path, registry):
    registry()
    code, text, _ = tell("ingest", "--suggest", "export.csv")
    assert code == 0
    assert '"nrs_6m"' in text
    code, out, _ = tell("ingest", "--suggest", "export.csv", "-o", "first.yaml")
    assert code == 0
    assert (tmp_path / "first.yaml").read_text() == text
    assert "paincast ingest first.yaml export.csv" in out
    assert "dry run" in out
    assert any(line.startswith("nrs_6m ") and "pain_nrs" in line for line in out.splitlines())
    code, _, err = tell("ingest", "first.yaml", "export.csv", "-o", "ours")
    assert code == 2
    assert "TODO" in err
