from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from paincast.cohort.doubts import detect_wrong_scale
from paincast.cohort.registry.ingest import ingest
from paincast.cohort.registry.mapping import load_mapping
from paincast.cohort.registry.suggestion import suggest_mapping
from paincast.cohort.rejects import compute_reject_share
from paincast.cohort.tables import Cohort
from paincast.cohort.validate import validate_patients, validate_tables
from paincast.errors import DataError, SettingsError
from paincast.schema import TABLES

VISIT_ROWS = """
read: {file: in.csv}
baseline_rows: {column: ev, is: [base, procedure], is_not: [fu]}
episodes:
  episode_id: {column: id}
  patient_id: {column: id}
  technique: {always: facet_rfa}
  pain_nrs: {column: nrs}
  odi: {column: odi}
visits:
  - month: {column: mon}
    pain_nrs: {column: nrs}
    odi: {column: odi}
"""


def ingest_text(folder: Path, mapping: str, text: str) -> tuple[Cohort, pd.DataFrame]:
    (folder / "in.csv").write_text(text, encoding="utf-8")
    (folder / "map.yaml").write_text(mapping, encoding="utf-8")
    return ingest(load_mapping(folder / "map.yaml"), [folder / "in.csv"])


def kinds(rejects: pd.DataFrame) -> list[tuple[object, ...]]:
    return list(rejects[["table", "row", "column", "rule"]].itertuples(index=False, name=None))


def test_two_rows_of_a_visit_that_complement_each_other_become_one(tmp_path: Path) -> None:
    cohort, rejects = ingest_text(
        tmp_path,
        VISIT_ROWS,
        "id,ev,nrs,odi,mon\n1,base,8,50,\n1,fu,3,,3\n1,fu,,20,3\n2,base,7,40,\n2,fu,2,,3\n2,fu,2,15,3\n",
    )
    assert cohort.visits[["pain_nrs", "odi"]].to_numpy().tolist() == [[3, 20], [2, 15]]
    assert kinds(rejects) == [("visits", 3, "episode_id", "merged"), ("visits", 6, "episode_id", "merged")]
    assert compute_reject_share(rejects, 4) == 0


def test_rows_of_a_visit_that_contradict_each_other_are_all_left_out(tmp_path: Path) -> None:
    text = "id,ev,nrs,odi,mon\n1,base,8,50,\n1,fu,3,,3\n1,fu,4,20,3\n1,fu,,20,3\n1,fu,2,,6\n"
    cohort, rejects = ingest_text(tmp_path, VISIT_ROWS, text)
    assert cohort.visits["month"].tolist() == [6]
    assert kinds(rejects) == [("visits", row, "episode_id", "duplicate") for row in (2, 3, 4)]


def test_a_value_that_is_out_of_range_contradicts_as_well(tmp_path: Path) -> None:
    cohort, rejects = ingest_text(
        tmp_path, VISIT_ROWS, "id,ev,nrs,odi,mon\n1,base,8,50,\n1,fu,3,,3\n1,fu,33,20,3\n1,fu,2,,6\n1,fu,,200,6\n"
    )
    assert cohort.visits[["month", "pain_nrs"]].to_numpy().tolist() == [[6, 2]]
    assert set(kinds(rejects)) == {
        ("visits", 3, "pain_nrs", "range"),
        ("visits", 2, "episode_id", "duplicate"),
        ("visits", 3, "episode_id", "duplicate"),
        ("visits", 5, "odi", "range"),
        ("visits", 5, "episode_id", "merged"),
    }


CELLS = st.sampled_from(["", "1", "2", "9", "99", "x"])


@pytest.mark.slow
@given(st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from(["3", "6"]), CELLS, CELLS), max_size=6), st.randoms())
@example([("a", "3", "1", ""), *[("a", "3", "99", "")] * 3], random.Random(0))  # the whole column is left out
@settings(max_examples=25)
def test_visits_come_out_the_same_in_any_order_and_every_row_is_accounted_for(
    rows: list, order_of: random.Random
) -> None:
    columns = ["episode_id", "month", "pain_nrs", "odi"]
    episodes = pd.DataFrame({"episode_id": ["a", "b"], "patient_id": ["a", "b"], "technique": ["facet_rfa"] * 2})
    shuffled = list(rows)
    order_of.shuffle(shuffled)
    outcomes = []
    for order in (rows, shuffled):
        visits = pd.DataFrame(order, columns=columns, dtype="str")
        valid, rejects = validate_tables({"episodes": episodes, "visits": visits})
        left_out = rejects[(rejects["table"] == "visits") & (rejects["action"] == "row left out")]
        assert len(valid["visits"]) + left_out["row"].nunique() == len(rows)
        outcomes.append(valid["visits"].sort_values(["episode_id", "month"], ignore_index=True))
        whole = set(rejects.loc[rejects["action"] == "column left out", "column"])
        for visit in valid["visits"].itertuples():
            own = [row for row in rows if row[0] == visit.episode_id and float(row[1]) == visit.month]
            for name, at in (("pain_nrs", 2), ("odi", 3)):
                value = getattr(visit, name)
                assert pd.isna(value) or str(int(value)) in {row[at] for row in own}
                assert name in whole or len({row[at] for row in own if row[at] not in ("", "x")}) <= 1
    pd.testing.assert_frame_equal(*outcomes)


def test_split_events_of_one_record_become_one_episode(tmp_path: Path) -> None:
    mapping = """
read: {file: in.csv}
baseline_rows: {column: event, is: [baseline_arm_1, procedure_arm_1], is_not: others}
procedure_date: {column: proc_dt}
episodes:
  episode_id: {column: record_id}
  patient_id: {column: record_id}
  site_id: {column: group}
  technique: {always: facet_rfa}
  sex: {column: sex, codes: {1: male, 2: female}}
  pain_nrs: {column: nrs}
  approach: {column: approach, codes: {1: percutaneous}}
  procedure_year: {column: proc_dt, reads: year of date}
  diabetes: {column: comorb___1, codes: {1: true, 0: missing}}
visits:
  - month: {column: visit_dt, reads: months since procedure}
    pain_nrs: {column: nrs, reads: change from baseline}
"""
    text = (
        "record_id,event,group,sex,comorb___1,proc_dt,approach,visit_dt,nrs\n"
        "1,baseline_arm_1,south,2,1,,,2022-10-19,9\n"
        "1,procedure_arm_1,south,,0,2022-10-25 00:00,1,,\n"
        "1,month_3_arm_1,south,,0,,,2023-01-22,-4\n"
        "2,baseline_arm_1,north,1,0,,,2022-03-23,7\n"
        "2,procedure_arm_1,north,,0,2022-03-29 00:00,1,,\n"
    )
    cohort, rejects = ingest_text(tmp_path, mapping, text)
    columns = ["episode_id", "sex", "pain_nrs", "approach", "procedure_year"]
    assert cohort.episodes[columns].to_numpy().tolist() == [
        ["1", "female", 9, "percutaneous", 2022],
        ["2", "male", 7, "percutaneous", 2022],
    ]
    assert cohort.episodes["diabetes"].tolist() == [True, pd.NA]
    assert cohort.visits["pain_nrs"].tolist() == [5]
    assert cohort.visits["month"].tolist() == pytest.approx([89 * 12 / 365.25])
    assert set(rejects["rule"]) == {"merged"}


PROCEDURES = "pat,nr,ev,nrs,mon,op\nP1,1,base,8,,2022-01-01\nP1,1,fu,3,3,\nP1,2,base,7,,2023-01-01\nP1,2,fu,2,3,\n"
SEVERAL = """
read: {file: in.csv}
baseline_rows: {column: ev, is: [base], is_not: [fu]}
episodes:
  episode_id: {column: pat}
  patient_id: {column: pat}
  technique: {always: facet_rfa}
  pain_nrs: {column: nrs}
visits:
  - month: {column: mon}
    pain_nrs: {column: nrs}
"""


def test_two_procedures_of_a_patient_are_rejects_with_advice_or_kept_by_a_joined_id(tmp_path: Path) -> None:
    cohort, rejects = ingest_text(tmp_path, SEVERAL, PROCEDURES)
    assert cohort.episodes.empty
    lost = rejects[(rejects["table"] == "episodes") & (rejects["rule"] == "duplicate")]
    assert lost["row"].tolist() == [1, 3]
    assert lost["allowed"].str.contains("columns: [patient, number]", regex=False).all()
    joined = SEVERAL.replace("episode_id: {column: pat}", "episode_id: {columns: [pat, nr], prefix: h-}")
    cohort, rejects = ingest_text(tmp_path, joined, PROCEDURES)
    assert cohort.episodes["episode_id"].tolist() == ["h-P1|1", "h-P1|2"]
    assert cohort.episodes["patient_id"].tolist() == ["P1", "P1"]
    assert cohort.visits[["episode_id", "pain_nrs"]].to_numpy().tolist() == [["h-P1|1", 3], ["h-P1|2", 2]]
    assert rejects.empty
    assert cohort.details["files"]["in.csv"]["columns_not_used"] == ["op"]


@pytest.mark.parametrize("month", ["1_000", "nan", "inf", "0x10", "3,0", "six"])
def test_a_constant_that_only_resembles_a_number_is_refused(tmp_path: Path, month: str) -> None:
    (tmp_path / "map.yaml").write_text(SEVERAL.replace("{column: mon}", f"{{always: '{month}'}}"))
    with pytest.raises(SettingsError, check=lambda error: error.code == "PC-REGISTRY-14"):
        load_mapping(tmp_path / "map.yaml")


@pytest.mark.slow
@pytest.mark.parametrize("second", ["7", "8", ""])
def test_rows_of_one_id_on_two_days_are_two_procedures(tmp_path: Path, second: str) -> None:
    mapping = SEVERAL.replace("episodes:", "procedure_date: {column: op}\nepisodes:", 1)
    cohort, rejects = ingest_text(tmp_path, mapping, PROCEDURES.replace("base,7", f"base,{second}"))
    assert cohort.episodes.empty
    assert cohort.visits.empty
    duplicates = rejects[(rejects["table"] == "episodes") & (rejects["rule"] == "duplicate")]
    assert duplicates["row"].tolist() == [1, 3]


def test_joined_ids_of_other_parts_never_meet_and_need_every_part(tmp_path: Path) -> None:
    joined = SEVERAL.replace("episode_id: {column: pat}", "episode_id: {columns: [pat, nr]}")
    cohort, rejects = ingest_text(tmp_path, joined, "pat,nr,ev,nrs,mon\na|b,c,base,1,\na,b|c,base,2,\na,,base,3,\n")
    assert cohort.episodes["episode_id"].nunique() == 2
    assert kinds(rejects) == [("episodes", 3, "episode_id", "required")]


@pytest.mark.parametrize(
    "field",
    ["{columns: [pat, nr], column: pat}", "{columns: [pat], codes: {1: 2}}", "{columns: [pat], row_number: true}"],
)
def test_a_joined_id_goes_with_nothing_else(tmp_path: Path, field: str) -> None:
    (tmp_path / "map.yaml").write_text(SEVERAL.replace("episode_id: {column: pat}", f"episode_id: {field}"))
    with pytest.raises(SettingsError, check=lambda error: error.code == "PC-REGISTRY-14"):
        load_mapping(tmp_path / "map.yaml")


VISITS_OF_PATIENTS = "PatNr,Zentrum,Visite,Diagnose,VAS (mm)\n" + "".join(
    f"P{patient:04d},{'Köln' if patient % 2 else 'Görlitz'},{visit},CRPS,{40 + patient}\n"
    for patient in range(5)
    for visit in ("Ausgangswert", "3 Mon.", "6 Mon.")
)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["PatNr", "patient_id", "MRN", "Subject ID", "Fallnummer", "record_id", "Pat-Nr."])
def test_numbering_rows_as_patients_is_refused_where_a_column_holds_their_ids(tmp_path: Path, name: str) -> None:
    numbered = """
read: {file: in.csv}
episodes:
  episode_id: {row_number: true}
  patient_id: {row_number: true}
  technique: {always: facet_rfa}
"""
    with pytest.raises(DataError, match=f"the column '{name}'"):
        ingest_text(tmp_path, numbered, VISITS_OF_PATIENTS.replace("PatNr", name))
    twice = VISITS_OF_PATIENTS.replace("Zentrum", name).replace("PatNr", name)
    with pytest.raises(DataError, match=f"'{name}' appears twice"):
        ingest_text(tmp_path, numbered, twice)
    (tmp_path / "twice.csv").write_text(twice)
    assert "patient_id: {column: TODO}" in suggest_mapping(tmp_path / "twice.csv")
    cohort, _ = ingest_text(tmp_path, numbered, VISITS_OF_PATIENTS.replace("PatNr", "Reihe"))
    assert len(cohort.episodes) == 15


def test_rows_may_be_numbered_where_a_filter_keeps_one_of_each_patient(tmp_path: Path) -> None:
    mapping = """
read: {file: in.csv}
keep_rows_where: [{column: Visite, is: [Ausgangswert], is_not: others, because: only the first visit is read}]
episodes:
  episode_id: {row_number: true}
  patient_id: {row_number: true}
  technique: {always: facet_rfa}
"""
    cohort, _ = ingest_text(tmp_path, mapping, VISITS_OF_PATIENTS)
    assert cohort.episodes["episode_id"].tolist() == ["1", "4", "7", "10", "13"]


def test_a_suggestion_numbers_no_rows_of_patients_that_stand_several_times(tmp_path: Path) -> None:
    unclear = VISITS_OF_PATIENTS.replace("Ausgangswert", "A").replace("3 Mon.", "B").replace("6 Mon.", "C")
    (tmp_path / "in.csv").write_text(unclear, encoding="utf-8")
    lines = suggest_mapping(tmp_path / "in.csv").splitlines()
    episode = next(line for line in lines if "episode_id:" in line)
    assert "{column: TODO}" in episode
    assert "PatNr" in episode
    assert '  patient_id: {column: "PatNr"}  # guess' in lines
    assert not any("row_number" in line for line in lines)
    assert "#   PatNr" not in lines


MIXED = """
read: {file: in.csv}
episodes:
  episode_id: {column: id}
  patient_id: {column: id}
  technique: {always: facet_rfa}
  pain_nrs: {column: vas, unit: mm}
visits:
  - month: {always: 3}
    pain_nrs: {column: vas3, unit: mm}
"""


def test_two_scales_of_pain_in_one_column_are_in_doubt(tmp_path: Path) -> None:
    text = "id,vas,vas3\n0,70,30\n1,65,20\n2,80,40\n3,75,70\n4,60,10\n5,7,3\n6,8,4\n7,6,2\n"
    cohort, rejects = ingest_text(tmp_path, MIXED, text)
    assert cohort.episodes["pain_nrs"].fillna(-1).tolist() == [7, 6.5, 8, 7.5, 6, -1, -1, -1]
    assert cohort.visits["pain_nrs"].fillna(-1).tolist() == [3, 2, 4, 7, 1, -1, -1, -1]
    assert kinds(rejects) == [(table, row, "pain_nrs", "unit") for row in (6, 7, 8) for table in ("episodes", "visits")]


def test_two_patients_of_a_hospital_on_another_scale_are_in_doubt(tmp_path: Path) -> None:
    text = "id,site,vas,vas3\n0,A,70,30\n1,A,65,20\n2,A,80,40\n3,C,50,30\n4,C,60,10\n5,B,7,3\n6,B,8,4\n7,B,,9\n"
    mapping = MIXED.replace("  pain_nrs: {column: vas,", "  site_id: {column: site}\n  pain_nrs: {column: vas,", 1)
    cohort, rejects = ingest_text(tmp_path, mapping, text)
    assert cohort.episodes["pain_nrs"].fillna(-1).tolist() == [7, 6.5, 8, 5, 6, -1, -1, -1]
    assert kinds(rejects) == [(table, row, "pain_nrs", "unit") for row in (6, 7) for table in ("episodes", "visits")]


def test_a_column_that_is_wholly_on_the_smaller_scale_is_in_doubt(tmp_path: Path) -> None:
    cohort, rejects = ingest_text(tmp_path, MIXED, "id,vas,vas3\n0,7,3\n1,6,2\n2,8,4\n3,10,1\n")
    assert cohort.episodes["pain_nrs"].isna().all()
    assert ("episodes", 0, "pain_nrs", "unit") in kinds(rejects)


def test_shares_among_percentages_are_in_doubt() -> None:
    relief = ["80", "70", "95", "0.8", "0.75", "0.9", "0", "100"]
    patients, rejects = validate_patients(pd.DataFrame({"block_relief_percent": relief}))
    assert patients["block_relief_percent"].fillna(-1).tolist() == [80, 70, 95, -1, -1, -1, 0, 100]
    assert rejects["rule"].tolist() == ["unit"] * 3


def validate_pain(before: np.ndarray, after: np.ndarray) -> pd.DataFrame:
    ids = [f"e{i}" for i in range(len(before))]
    episodes = pd.DataFrame({"episode_id": ids, "patient_id": ids, "technique": "facet_rfa", "pain_nrs": before})
    visits = pd.DataFrame({"episode_id": ids, "month": 3.0, "pain_nrs": after})
    return validate_tables({"episodes": episodes, "visits": visits})[1]


@pytest.mark.parametrize("n", [20, 100, 1000, 20_000])
@pytest.mark.parametrize("grid", [1, 5, 10])
def test_an_ordinary_visual_analogue_scale_is_not_in_doubt(n: int, grid: int) -> None:
    rng = np.random.default_rng(n + grid)
    for _ in range(20):
        before = np.clip(rng.normal(65, 18, n), 0, 100)
        relieved = rng.random(n) < 0.6
        after = np.where(relieved, np.clip(rng.exponential(8, n), 0, 100), np.clip(rng.normal(50, 20, n), 0, 100))
        for table, values in (("episodes", before), ("visits", after)):
            on_grid = pd.Series(np.round(values / grid) * grid / 10)
            assert not detect_wrong_scale(
                on_grid, TABLES[table]["pain_nrs"], table, pd.Series(False, index=on_grid.index)
            )


@pytest.mark.parametrize("share", [0.1, 0.3, 0.5, 0.9])
def test_a_hospital_on_another_scale_is_found(share: float) -> None:
    rng = np.random.default_rng(5)
    n = 300
    before, after = np.clip(rng.normal(65, 15, n), 0, 100).round(), np.clip(rng.normal(35, 25, n), 0, 100).round()
    other = np.arange(n) < share * n
    before[other], after[other] = (before[other] / 10).round(), (after[other] / 10).round()
    rejects = validate_pain(before / 10, after / 10)
    doubted = set(rejects.loc[(rejects["table"] == "episodes") & (rejects["rule"] == "unit"), "row"] - 1)
    assert set(np.flatnonzero(other & (before > 0))) <= doubted


@pytest.mark.slow
def test_real_pain_is_not_in_doubt(real_data: Path) -> None:
    for name in ("caudal_esi_2018", "genicular_rfa_2024", "back_pain_placebo_2022"):
        mapping = load_mapping(name)
        _, rejects = ingest(mapping, [real_data / name / file for file in mapping.files])
        assert "unit" not in set(rejects["rule"])
    pain = pd.read_csv(real_data / "choir_2021" / "choir_pain.csv")
    before, after = pain["PAIN_INTENSITY_AVERAGE"], pain["PAIN_INTENSITY_AVERAGE.FOLLOW_UP"]
    assert "unit" not in set(validate_pain(before.to_numpy(float), after.to_numpy(float))["rule"])


REDUCTIONS = """
read: {file: in.csv}
episodes:
  episode_id: {column: id}
  patient_id: {column: id}
  technique: {always: facet_rfa}
  pain_nrs: {column: nrs}
visits:
  - month: {always: 6}
    pain_nrs: {column: red, reads: percent reduction from baseline%s}
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("unit", "reductions", "after"),
    [
        ("", ["50", "25 %", "-25", "1", "100"], [4, 6, 10, 7.92, 0]),
        (", unit: 0-100", ["50", "25", "0"], [4, 6, 8]),
        (", unit: 0-1", ["0.5", "0.25", "-0.25", "1", "0"], [4, 6, 10, 0, 8]),
        ("", ["0.5", "0.25", "-0.25", "1", "0"], [None, None, None, None, 8]),
        ("", ["50", "75", "0.5", "0.75", "0.25", "100"], [4, 2, None, None, None, 0]),
        ("", ["0.5", "0.9", "0.7", "1.2", "1.6", "50"], [7.96, 7.928, 7.944, 7.904, 7.872, 4]),
    ],
)
def test_a_percent_reduction_is_read_in_its_unit_and_shares_are_doubted(
    tmp_path: Path, unit: str, reductions: list[str], after: list[float | None]
) -> None:
    text = "id,nrs,red\n" + "".join(f"p{n},8,{value}\n" for n, value in enumerate(reductions))
    cohort, rejects = ingest_text(tmp_path, REDUCTIONS % unit, text)
    held = cohort.visits.set_index("episode_id")["pain_nrs"].reindex([f"p{n}" for n in range(len(after))])
    assert [None if pd.isna(value) else round(value, 6) for value in held] == after
    doubted = [("visits", place, "pain_nrs", "unit") for place, value in enumerate(after, 1) if value is None]
    assert [kind[:4] for kind in kinds(rejects)] == doubted


def test_a_unit_has_no_meaning_where_a_date_is_read(tmp_path: Path) -> None:
    dated = REDUCTIONS.replace("month: {always: 6}", "month: {column: id, reads: months since procedure, unit: days}")
    (tmp_path / "map.yaml").write_text(dated % "")
    with pytest.raises(SettingsError, match="'unit' does not apply"):
        load_mapping(tmp_path / "map.yaml")


PROCEDURE_IN_ANOTHER_ROW = """
read: {file: in.csv}
baseline_rows: {column: ev, is: [base, op], is_not: [fu]}
procedure_date: {column: op}
episodes:
  episode_id: {column: id}
  patient_id: {column: id}
  technique: {always: facet_rfa}
  age_years: {column: born, reads: years before procedure}
  procedure_year: {column: op, reads: year of date}
  pain_nrs: {column: nrs}
visits:
  - month: {column: seen, reads: months since procedure}
    pain_nrs: {column: nrs}
"""


@pytest.mark.slow
@pytest.mark.parametrize("order", [(0, 1, 2), (1, 0, 2), (2, 1, 0)])
def test_an_age_at_baseline_counts_to_the_procedure_in_another_row_of_the_episode(tmp_path: Path, order: tuple) -> None:
    rows = ["1,base,1950-01-10,,,8", "1,op,,2020-01-10 00:00,,", "1,fu,,,2020-01-10,3"]
    others = ["2,base,1960-01-10,,,7", "3,base,1960-01-10,,,7", "3,op,,2020-01-10,,", "3,op,,2021-01-10,,"]
    lines = ["id,ev,born,op,seen,nrs", *(rows[at] for at in order), *others]
    cohort, rejects = ingest_text(tmp_path, PROCEDURE_IN_ANOTHER_ROW, "\n".join(lines) + "\n")
    ages = cohort.episodes.set_index("episode_id")["age_years"]
    assert ages["1"] == pytest.approx(70, abs=0.01)
    assert pd.isna(ages["2"])
    assert "3" not in ages
    assert cohort.visits[["episode_id", "month", "pain_nrs"]].to_numpy().tolist() == [["1", 0, 3]]
    assert {kind[3] for kind in kinds(rejects)} == {"merged", "no procedure date", "duplicate"}
