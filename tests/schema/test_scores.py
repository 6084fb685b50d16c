"""Columns of the contract that hold scores: derived from the library, behind those that were there before."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from paincast.cohort.registry.ingestion import ingest
from paincast.cohort.registry.units import unit_factors, unit_offset
from paincast.cohort.tables import Cohort, conform, digest_rows
from paincast.cohort.validate import validate_tables
from paincast.schema import EPISODES, VISITS, is_model_input
from paincast.schema.instruments import INSTRUMENTS

FIRST_BEFORE = ["episode_id", "patient_id", "site_id", "procedure_year", "technique", "indication", "approach"]
FIRST_AFTER = ["episode_id", "month", "pain_nrs", "odi", "womac", "eq5d_index", "opioid_mme", "pgic"]


def check(column: str, values: list[object], table: str = "episodes") -> tuple[pd.Series, list[tuple[str, str]]]:
    """Validate one column: what is left of it, and the rules that were broken with what was done."""
    n = len(values)
    ids = [f"e{i}" for i in range(n)]
    episodes = pd.DataFrame({"episode_id": ids, "patient_id": ids, "technique": "facet_rfa"})
    tables = {"episodes": episodes}
    if table == "visits":
        tables["visits"] = pd.DataFrame({"episode_id": ids, "month": 6.0, column: values})
    else:
        episodes[column] = values
    valid, rejects = validate_tables(tables)
    broken = rejects[rejects["column"] == column]
    return valid[table][column], list(zip(broken["rule"], broken["action"], strict=True))


def test_every_instrument_has_its_column_before_and_where_it_can_be_an_outcome_after():
    for instrument in INSTRUMENTS.values():
        before, after = EPISODES.get(instrument.column), VISITS.get(instrument.column)
        if instrument.domain == "global":
            assert before is None
        else:
            assert (before.role, before.timing) == ("predictor", "before")
            assert is_model_input(before)
        if instrument.domain == "pain type":
            assert after is None
        else:
            assert (after.role, after.timing) == ("outcome", "after")
            assert (after.low, after.high) == ((before or after).low, (before or after).high)


def test_the_columns_of_earlier_versions_keep_their_place():
    assert list(EPISODES)[: len(FIRST_BEFORE)] == FIRST_BEFORE
    assert list(VISITS)[: len(FIRST_AFTER)] == FIRST_AFTER
    assert list(EPISODES).index("payer") < list(EPISODES).index("physical_work_demand")
    assert EPISODES["odi"].label == "disability (ODI)"


def test_coagulation_is_recorded_and_anatomy_predicts():
    assert {EPISODES[name].role for name in ("aptt_seconds", "fibrinogen_g_per_l")} == {"process"}
    assert all(is_model_input(EPISODES[name]) for name in ("vascular_variant", "nerve_variant", "body_map_count"))
    assert EPISODES["physical_work_demand"].categories[0] == "sedentary"


@pytest.mark.parametrize("column", ["promis_pain_interference", "promis_depression"])
def test_raw_sums_below_the_t_scores_are_left_out_as_another_unit(column):
    kept, broken = check(column, [float(value) for value in range(4, 21)])
    assert kept.isna().all()
    assert broken == [("unit", "column left out")]


def test_raw_sums_of_physical_function_are_few_small_whole_numbers():
    raw = [6, 8, 11, 14, 17, 20, 22, 24, 27, 30, 12, 19]
    assert check("promis_physical_function", raw)[1] == [("unit", "column left out")]
    scores = [22.9, 26.9, 30.1, 34.4, 36.7, 40.4, 45.1, 51.2, 19.0, 28.4, 15.4, 73.3]
    kept, broken = check("promis_physical_function", scores)
    assert not broken
    assert kept.tolist() == scores
    assert not check("promis_physical_function", [25, 28, 30])[1], "few patients are not judged"


def test_a_single_impossible_t_score_is_rejected_alone():
    kept, broken = check("promis_anxiety", [*np.linspace(45, 70, 20), 12.0])
    assert kept.notna().sum() == 20
    assert broken == [("range", "cell emptied")]


def test_sums_of_the_dass_that_were_not_doubled_are_doubted():
    assert check("dass21_depression", [1, 3, 7, 8, 12, 15, 21])[1] == [("unit", "column left out")]
    assert not check("dass21_depression", [0, 2, 6, 14, 20, 42])[1]
    assert unit_factors(EPISODES["dass21_stress"])["0-21"] == 2.0


def test_an_impression_of_change_coded_from_0_is_left_out_and_read_by_its_unit():
    kept, broken = check("pgic", [0, 0, 1, 2, 0, 3, 6, 5], table="visits")
    assert kept.isna().all()
    assert broken == [("unit", "column left out")]
    assert check("pgic", [1, 2, 7, 0, 0, 0], table="visits")[1] == [("range", "cell emptied")] * 3


MAPPING = """
title: Our registry
read:
  file: export.csv
episodes:
  episode_id: {column: id}
  patient_id: {column: id}
  technique: {always: facet_rfa}
  ndi: {column: neck, unit: 0-50}
visits:
  - month: {always: 6}
    pgic: {column: impression, unit: UNIT}
"""


@pytest.mark.parametrize(("unit", "expected"), [("0-6", [1, 3, 7]), ("7-1", [8, 6, 2]), ("1-7", [0, 2, 6])])
def test_the_coding_of_the_impression_of_change_is_declared_as_a_unit(tmp_path, unit, expected):
    (tmp_path / "export.csv").write_text("id,neck,impression\na,10,0\nb,25,2\nc,50,6\n")
    (tmp_path / "ours.yaml").write_text(MAPPING.replace("UNIT", unit))
    cohort, _ = ingest([tmp_path / "export.csv"], tmp_path / "ours.yaml")
    in_range = [value if 1 <= value <= 7 else np.nan for value in expected]
    assert cohort.visits["pgic"].tolist() == pytest.approx(in_range, nan_ok=True)
    assert cohort.episodes["ndi"].tolist() == [20, 50, 100]


def test_a_score_is_declared_by_its_range():
    assert unit_factors(EPISODES["rmdq"])["0-24"] == unit_factors(EPISODES["rmdq"])["RMDQ points"] == 1.0
    assert unit_factors(EPISODES["tsk11"])["11-44"] == 1.0
    assert set(unit_factors(EPISODES["body_map_count"])) == {"regions"}


def test_a_visual_analogue_scale_in_centimetres_is_doubted_and_read_by_its_unit():
    assert check("vas", [3.5, 4.2, 5.1, 6.0, 7.7, 8.1])[1] == [("unit", "column left out")]
    assert not check("vas", [35, 42, 51, 60, 77, 81])[1]
    assert unit_factors(EPISODES["vas"])["cm"] == 10.0


def test_an_offset_belongs_to_a_unit_of_its_column():
    pgic, oks = VISITS["pgic"], VISITS["oks"]
    assert 7 * unit_factors(pgic)["7-1"] + unit_offset(pgic, "7-1") == 1
    assert [value * unit_factors(oks)["60-12"] + unit_offset(oks, "60-12") for value in (12, 60)] == [48, 0]
    assert unit_offset(EPISODES["odi"], "0-50") == 0
    assert unit_offset(EPISODES["sex"], "0-6") == 0


def digest(episodes: pd.DataFrame) -> str:
    empty = {name: conform(name, pd.DataFrame()) for name in ("visits", "events")}
    return digest_rows(Cohort(episodes=episodes, basis="real", **empty))


def test_a_digest_tells_what_is_recorded_and_not_which_columns_the_contract_has():
    frame = pd.DataFrame({"episode_id": ["a", "b"], "patient_id": ["a", "b"], "pain_nrs": [5.0, 7.0]})
    episodes = conform("episodes", frame)
    assert digest(episodes) == digest(episodes.drop(columns=["promis_anger", "isi"]))
    assert digest(episodes) != digest(conform("episodes", frame.rename(columns={"pain_nrs": "vas"})))


RAW = {
    "promis_depression": "promis_dep",
    "promis_anxiety": "promis_anxiety",
    "promis_sleep_disturbance": "promis_sleep",
    "tsk11": "tsk11",
    "bpi_interference": "bpi_interference",
}


def test_raw_sums_of_a_published_trial_are_not_taken_for_t_scores(real_data):
    rows = pd.read_csv(real_data / "back_pain_placebo_2022" / "Ashar2022_outcomes_demographics.csv")
    first = rows[rows["time"] == 1]
    scores = {column: first[name].tolist() for column, name in RAW.items()}
    found = {column: check(column, values) for column, values in scores.items()}
    assert {column for column, (_, broken) in found.items() if ("unit", "column left out") in broken} == {
        column for column in RAW if column.startswith("promis_")
    }
    assert found["tsk11"][0].notna().sum() == pd.Series(scores["tsk11"]).notna().sum()


def test_t_scores_of_a_pain_registry_are_in_range(real_data):
    file = real_data / "choir_2021" / "choir_pain.csv"
    if not file.is_file():
        pytest.skip("the registry choir_2021 is not among the published data sets")
    rows = pd.read_csv(file, nrows=4000)
    columns = {
        "promis_physical_function": "PROMIS_PHYSICAL_FUNCTION",
        "promis_pain_behavior": "PROMIS_PAIN_BEHAVIOR",
        "promis_depression": "PROMIS_DEPRESSION",
        "promis_anxiety": "PROMIS_ANXIETY",
        "promis_sleep_disturbance": "PROMIS_SLEEP_DISTURB_V1_0",
        "promis_pain_interference": "PROMIS_PAIN_INTERFERENCE",
        "promis_global_mental": "GH_MENTAL_SCORE",
        "promis_global_physical": "GH_PHYSICAL_SCORE",
    }
    n = len(rows)
    ids = [f"e{i}" for i in range(n)]
    episodes = pd.DataFrame({"episode_id": ids, "patient_id": ids, "technique": "no_procedure"})
    valid, rejects = validate_tables(
        {"episodes": episodes.assign(**{name: rows[source] for name, source in columns.items()})}
    )
    assert rejects.empty
    for name, source in columns.items():
        assert valid["episodes"][name].notna().sum() == rows[source].notna().sum()
