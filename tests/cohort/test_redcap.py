"""Exports of REDCap: events, repeating instruments and instances, checkbox fields, raw codes and labels."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from paincast.cohort.registry.conversion.redcap import combine_boxes
from paincast.cohort.registry.ingestion import ingest
from paincast.cohort.tables import Cohort
from paincast.errors import DataError, SettingsError

Ingested = tuple[Cohort, pd.DataFrame]

SPLIT_EVENTS = (
    "record_id,redcap_event_name,redcap_repeat_instrument,redcap_repeat_instance,redcap_data_access_group,dob,sex,dx,"
    "sx_dur,sx_dur_unit,smoking,comorb___1,comorb___2,comorb___3,comorb____99,proc_dt,approach,visit_dt,nrs,odi,pgic\n"
    "1,baseline_arm_1,,,south,1985-09-15,2,1,11,1,0,0,0,1,0,,,2022-10-19,9,47,\n"
    "1,procedure_arm_1,,,south,,,,,,,0,0,0,0,2022-10-25 00:00,1,,,,\n"
    "1,month_3_arm_1,,,south,,,,,,,0,0,0,0,,,2023-01-22,9,48,5\n"
    "1,month_6_arm_1,,,south,,,,,,,0,0,0,0,,,2023-04-19,,44,3\n"
    "2,baseline_arm_1,,,north,1981-02-17,2,2,2,2,0,0,0,0,1,,,2022-03-23,7,18,\n"
    "2,procedure_arm_1,,,north,,,,,,,0,0,0,0,2022-03-29 00:00,2,,,,\n"
    "2,month_3_arm_1,,,north,,,,,,,0,0,0,0,,,2022-06-25,2,17,1\n"
    "3,baseline_arm_1,,,south,1953-02-15,1,3,2,7,1,0,0,0,0,,,2021-03-21,5,40,\n"
    "3,procedure_arm_1,,,south,,,,,,,0,0,0,0,2021-03-27 00:00,2,,,,\n"
)
SPLIT_EVENTS_MAPPING = """
read:
  file: export.csv
  redcap: {record: record_id, episode: {event: procedure_arm_1}}
procedure_date: {column: proc_dt}
episodes:
  episode_id: {column: record_id}
  patient_id: {column: record_id}
  site_id: {column: redcap_data_access_group}
  technique: {always: epidural_steroid_injection}
  approach: {column: approach, codes: {1: interlaminar, 2: transforaminal}}
  indication:
    column: dx
    event: baseline_arm_1
    codes: {1: lumbar_radicular_disc, 2: lumbar_stenosis, 3: other_radicular}
  age_years: {column: dob, event: baseline_arm_1, reads: years before procedure}
  sex: {column: sex, event: baseline_arm_1, codes: {1: male, 2: female}}
  pain_duration_months:
    {column: sx_dur, event: baseline_arm_1, unit_column: sx_dur_unit, units: {1: months, 2: years}}
  diabetes: {checked: comorb___3, none: comorb____99, event: baseline_arm_1}
  pain_nrs: {column: nrs, event: baseline_arm_1}
  odi: {column: odi, event: baseline_arm_1}
visits:
  - event: [month_3_arm_1, month_6_arm_1]
    month: {column: visit_dt, reads: months since procedure}
    pain_nrs: {column: nrs}
    odi: {column: odi}
    pgic: {column: pgic}
"""


@pytest.fixture
def ingest_text(tmp_path: Path) -> Callable[[str, str], Ingested]:
    """Ingest an export given as text with a mapping given as text."""

    return partial(ingest_in, tmp_path)


def ingest_in(folder: Path, mapping: str, export: str) -> Ingested:
    (folder / "mapping.yaml").write_text(mapping, encoding="utf-8")
    (folder / "export.csv").write_text(export, encoding="utf-8-sig")
    return ingest(folder / "export.csv", folder / "mapping.yaml")


def kinds(rejects: pd.DataFrame) -> list[tuple[object, ...]]:
    return list(rejects[["table", "row", "column", "rule", "action"]].itertuples(index=False, name=None))


def test_a_field_is_taken_from_another_event_of_the_record(ingest_text: Callable[[str, str], Ingested]) -> None:
    cohort, _ = ingest_text(SPLIT_EVENTS_MAPPING, SPLIT_EVENTS)
    episodes = cohort.episodes.set_index("episode_id")
    assert episodes["pain_nrs"].to_dict() == {"1": 9, "2": 7, "3": 5}
    assert episodes["site_id"].to_dict() == {"1": "south", "2": "north", "3": "south"}
    assert episodes["indication"].to_dict() == {
        "1": "lumbar_radicular_disc",
        "2": "lumbar_stenosis",
        "3": "other_radicular",
    }
    assert episodes["approach"].to_dict() == {"1": "interlaminar", "2": "transforaminal", "3": "transforaminal"}
    assert episodes.loc["2", "age_years"] == pytest.approx(41.1, abs=0.05)
    visits = cohort.visits[["episode_id", "pain_nrs", "odi", "pgic"]]
    assert visits.fillna(-1).to_numpy().tolist() == [["1", 9, 48, 5], ["1", -1, 44, 3], ["2", 2, 17, 1]]
    assert cohort.visits["month"].round(1).tolist() == [2.9, 5.8, 2.9]


def test_units_of_a_neighbouring_column_apply_row_by_row(ingest_text: Callable[[str, str], Ingested]) -> None:
    cohort, rejects = ingest_text(SPLIT_EVENTS_MAPPING, SPLIT_EVENTS)
    assert cohort.episodes["pain_duration_months"].fillna(-1).tolist() == [11, 24, -1]
    assert kinds(rejects) == [("episodes", 9, "pain_duration_months", "unit", "cell emptied")]


def test_boxes_of_a_checkbox_field(ingest_text: Callable[[str, str], Ingested]) -> None:
    cohort, _ = ingest_text(SPLIT_EVENTS_MAPPING, SPLIT_EVENTS)
    assert cohort.episodes["diabetes"].astype("object").fillna("unknown").tolist() == [True, False, "unknown"]
    declared = SPLIT_EVENTS_MAPPING.replace("none: comorb____99", "nothing_checked: false")
    cohort, _ = ingest_text(declared, SPLIT_EVENTS)
    assert cohort.episodes["diabetes"].tolist() == [True, False, False]
    several = SPLIT_EVENTS_MAPPING.replace("checked: comorb___3", "checked: [comorb___3, comorb___1]")
    cohort, _ = ingest_text(several, SPLIT_EVENTS)
    assert cohort.episodes["diabetes"].tolist()[0]


def test_none_of_these_beside_another_box_contradicts(ingest_text: Callable[[str, str], Ingested]) -> None:
    export = SPLIT_EVENTS.replace("1,11,1,0,0,0,1,0,", "1,11,1,0,0,0,1,1,")
    cohort, rejects = ingest_text(SPLIT_EVENTS_MAPPING, export)
    assert pd.isna(cohort.episodes["diabetes"][0])
    assert ("episodes", 2, "diabetes", "contradiction", "cell emptied") in kinds(rejects)


def test_rows_of_an_event_that_is_not_read_are_rejected_or_ignored(
    ingest_text: Callable[[str, str], Ingested],
) -> None:
    export = SPLIT_EVENTS + "3,unscheduled_arm_1,,,south,,,,,,,0,0,0,0,,,2021-04-19,1,1,1\n"
    _, rejects = ingest_text(SPLIT_EVENTS_MAPPING, export)
    assert ("export.csv", 10, "redcap_event_name", "category", "row left out") in kinds(rejects)
    ignoring = SPLIT_EVENTS_MAPPING.replace(
        "{event: procedure_arm_1}}", "{event: procedure_arm_1}, ignore: [{event: unscheduled_arm_1}]}"
    )
    _, rejects = ingest_text(ignoring, export)
    assert "export.csv" not in set(rejects["table"])


def test_a_record_that_is_left_out_leaves_no_visits(ingest_text: Callable[[str, str], Ingested]) -> None:
    mapping = (
        SPLIT_EVENTS_MAPPING
        + "keep_rows_where:\n  - {column: smoking, event: baseline_arm_1, is: [0], is_not: [1], because: of a test}\n"
        + "  - {column: approach, is: [1], is_not: [2], because: of a test}\n"
    )
    cohort, rejects = ingest_text(mapping, SPLIT_EVENTS)
    assert cohort.episodes["episode_id"].tolist() == ["1"]
    assert cohort.visits["episode_id"].tolist() == ["1", "1"]
    assert kinds(rejects) == []
    assert [left["rows"] for left in cohort.details["left_out"]] == [2, 3]


LABELS = (
    'Record ID,Event Name,Repeat Instrument,Repeat Instance,Data Access Group,Complete?,"Illnesses (choice=Diabetes)",'
    '"Illnesses (choice=None)",Day,Technique,Pain,Complete?\n'
    "1,Baseline (Arm 1: A),,,South,Complete,Checked,Unchecked,,,8,Complete\n"
    "1,Procedure (Arm 1: A),,,South,,Unchecked,Unchecked,2022-01-01,Facet RFA,,Incomplete\n"
    "1,Month 3 (Arm 1: A),,,South,,Unchecked,Unchecked,,,3,Complete\n"
    "2,Baseline (Arm 1: A),,,South,Complete,Unchecked,Checked,,,7,Complete\n"
    "2,Procedure (Arm 1: A),,,South,,Unchecked,Unchecked,2022-02-01,Facet RFA,,Incomplete\n"
)
LABELS_MAPPING = """
read:
  file: export.csv
  redcap: {record: Record ID, episode: {event: "Procedure (Arm 1: A)"}}
episodes:
  episode_id: {column: Record ID}
  patient_id: {column: Record ID}
  site_id: {column: Data Access Group}
  technique: {column: Technique, codes: {Facet RFA: facet_rfa}}
  diabetes:
    checked: Illnesses (choice=Diabetes)
    none: Illnesses (choice=None)
    event: "Baseline (Arm 1: A)"
  pain_nrs: {column: Pain, event: "Baseline (Arm 1: A)"}
visits:
  - event: "Month 3 (Arm 1: A)"
    month: {always: 3}
    pain_nrs: {column: Pain}
"""


def test_an_export_of_labels_reads_like_one_of_codes(ingest_text: Callable[[str, str], Ingested]) -> None:
    cohort, rejects = ingest_text(LABELS_MAPPING, LABELS)
    assert cohort.episodes["diabetes"].tolist() == [True, False]
    assert cohort.episodes["pain_nrs"].tolist() == [8, 7]
    assert cohort.visits[["episode_id", "month", "pain_nrs"]].to_numpy().tolist() == [["1", 3, 3]]
    assert kinds(rejects) == [("export.csv", 0, "Complete?", "duplicate column", "column left out")]


REPEATING = (
    "record_id,redcap_repeat_instrument,redcap_repeat_instance,sex,proc_day,cpt,before,seen,nrs\n"
    "7,,,1,,,,,\n"
    "7,procedure,1,,2022-01-01,64635,8,,\n"
    "7,procedure,2,,2022-09-01,64635,7,,\n"
    "7,follow_up,1,,,,,2022-03-01,2\n"
    "7,follow_up,2,,,,,2022-08-30,6\n"
    "7,follow_up,3,,,,,2022-12-01,1\n"
    "7,follow_up,4,,,,,2021-12-01,9\n"
    "8,,,2,,,,,\n"
    "8,procedure,1,,2022-01-01,64635,5,,\n"
    "8,procedure,2,,2022-01-01,64635,6,,\n"
    "8,follow_up,1,,,,,2022-02-01,3\n"
)
REPEATING_MAPPING = """
read:
  file: export.csv
  redcap: {record: record_id, episode: {instrument: procedure}}
procedure_date: {column: proc_day}
episodes:
  episode_id: {columns: [record_id, redcap_repeat_instance]}
  patient_id: {column: record_id}
  technique: {column: cpt, codes: {64635: facet_rfa}}
  sex: {column: sex, instrument: none, codes: {1: male, 2: female}}
  pain_nrs: {column: before}
visits:
  - instrument: follow_up
    patient_id: {column: record_id}
    month: {column: seen, reads: months since procedure}
    pain_nrs: {column: nrs}
"""


def test_repeating_instruments_are_linked_by_date(ingest_text: Callable[[str, str], Ingested]) -> None:
    cohort, rejects = ingest_text(REPEATING_MAPPING, REPEATING)
    assert cohort.episodes["episode_id"].tolist() == ["7|1", "7|2", "8|1", "8|2"]
    assert cohort.episodes["sex"].tolist() == ["male", "male", "female", "female"]
    assert cohort.visits[["episode_id", "pain_nrs"]].to_numpy().tolist() == [["7|1", 2], ["7|1", 6], ["7|2", 1]]
    assert kinds(rejects) == [("visits", 11, "episode_id", "several procedures", "row left out")]
    assert [(left["rows"], left["column"]) for left in cohort.details["left_out"]] == [(1, "record_id")]


def test_rows_of_the_same_instance_belong_together(ingest_text: Callable[[str, str], Ingested]) -> None:
    mapping = REPEATING_MAPPING.replace("{column: before}", "{column: nrs, instrument: follow_up, instance: same}")
    cohort, _ = ingest_text(mapping, REPEATING)
    assert cohort.episodes["pain_nrs"].fillna(-1).tolist() == [2, 6, 3, -1]
    numbered = REPEATING_MAPPING.replace("{column: before}", "{column: nrs, instrument: follow_up, instance: 1}")
    cohort, _ = ingest_text(numbered, REPEATING)
    assert cohort.episodes["pain_nrs"].tolist() == [2, 2, 3, 3]


def test_values_that_differ_are_not_chosen_from(ingest_text: Callable[[str, str], Ingested]) -> None:
    mapping = REPEATING_MAPPING.replace("{column: before}", "{column: nrs, instrument: follow_up}")
    cohort, rejects = ingest_text(mapping, REPEATING)
    assert cohort.episodes["pain_nrs"].fillna(-1).tolist() == [-1, -1, 3, 3]
    assert kinds(rejects)[:2] == [("episodes", row, "pain_nrs", "several values", "cell emptied") for row in (2, 3)]


def test_an_export_without_events_is_refused(ingest_text: Callable[[str, str], Ingested]) -> None:
    with pytest.raises(DataError, match="redcap_event_name") as refused:
        ingest_text(SPLIT_EVENTS_MAPPING, SPLIT_EVENTS.replace("redcap_event_name", "visit_name"))
    assert refused.value.code == "PC-REGISTRY-18"


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("  redcap: {record: record_id, episode: {event: procedure_arm_1}}\n", "", "need 'redcap: {record: ...}'"),
        ("procedure_date:", "baseline_rows: {column: dx, is: [1]}\nprocedure_date:", "names these rows"),
        (", none: comorb____99", "", "nothing_checked"),
        ("none: comorb____99", "none: comorb____99, unit: kg", "does not apply here"),
        ("none: comorb____99", "none: comorb____99, codes: {1: true}", "cannot be combined with 'checked'"),
        ("{column: nrs, event: baseline_arm_1}", "{column: nrs, instance: last}", "number of a repeat instance"),
        ("{column: nrs, event: baseline_arm_1}", "{column: nrs, event: a, file: export.csv}", "the main file"),
        ("{column: nrs, event: baseline_arm_1}", "{column: nrs, none: nrs}", "cannot be combined with 'column'"),
        ("unit_column: sx_dur_unit, ", "", "need each other"),
        ("units: {1: months, 2: years}", "units: {1: months, 2: fortnights}", "fortnights"),
        ("units: {1: months, 2: years}", "units: {1: months, 2: years}, unit: days", "give either 'unit'"),
        ("record: record_id, ", "", "'record' is missing"),
        ("{event: procedure_arm_1}", "{evnt: procedure_arm_1}", "did you mean 'event'"),
    ],
)
def test_a_mistake_in_a_mapping_is_refused(
    ingest_text: Callable[[str, str], Ingested], old: str, new: str, words: str
) -> None:
    assert old in SPLIT_EVENTS_MAPPING
    with pytest.raises(SettingsError, match=words):
        ingest_text(SPLIT_EVENTS_MAPPING.replace(old, new, 1), SPLIT_EVENTS)


COMPOSITE = "pat,nr,ev,nrs,mon\nP1,1,base,8,\nP1,1,fu,3,3\nP1,2,base,7,\nP1,2,fu,2,3\nP2,1,base,6,\nP2,1,fu,1,3\n"
COMPOSITE_MAPPING = """
read: {file: export.csv}
baseline_rows: {column: ev, is: [base], is_not: [fu]}
episodes:
  episode_id: {columns: [pat, nr]}
  patient_id: {column: pat}
  technique: {always: facet_rfa}
  pain_nrs: {column: nrs}
visits:
  - month: {column: mon}
    pain_nrs: {column: nrs}
"""


def test_a_composite_id_tells_the_procedures_of_a_patient_apart(ingest_text: Callable[[str, str], Ingested]) -> None:
    cohort, rejects = ingest_text(COMPOSITE_MAPPING, COMPOSITE)
    assert cohort.episodes[["episode_id", "patient_id", "pain_nrs"]].to_numpy().tolist() == [
        ["P1|1", "P1", 8],
        ["P1|2", "P1", 7],
        ["P2|1", "P2", 6],
    ]
    assert cohort.visits[["episode_id", "pain_nrs"]].to_numpy().tolist() == [["P1|1", 3], ["P1|2", 2], ["P2|1", 1]]
    assert rejects.empty


def test_a_single_id_names_what_several_procedures_need(ingest_text: Callable[[str, str], Ingested]) -> None:
    cohort, rejects = ingest_text(COMPOSITE_MAPPING.replace("columns: [pat, nr]", "column: pat"), COMPOSITE)
    assert cohort.episodes["episode_id"].tolist() == ["P2"]
    duplicates = rejects[rejects["table"] == "episodes"]
    assert duplicates["row"].tolist() == [1, 3]
    assert duplicates["allowed"].str.contains("columns: [patient, number]", regex=False).all()


def test_visits_that_complement_each_other_are_merged(ingest_text: Callable[[str, str], Ingested]) -> None:
    export = "id,ev,nrs,odi,mon\n1,base,8,50,\n1,fu,3,,3\n1,fu,,20,3\n2,base,7,40,\n2,fu,2,,3\n2,fu,2,15,3\n"
    mapping = COMPOSITE_MAPPING.replace("columns: [pat, nr]", "column: id").replace("column: pat", "column: id")
    cohort, rejects = ingest_text(mapping + "    odi: {column: odi}\n", export)
    assert cohort.visits[["episode_id", "pain_nrs", "odi"]].to_numpy().tolist() == [["1", 3, 20], ["2", 2, 15]]
    assert kinds(rejects) == [("visits", row, "episode_id", "merged", "row left out") for row in (3, 6)]


TICKS = st.lists(st.lists(st.sampled_from(["0", "1", ""]), min_size=3, max_size=3), min_size=1, max_size=20)


@given(TICKS, st.sampled_from([("none", "c___99"), ("nothing_checked", "false"), ("nothing_checked", "missing")]))
def test_boxes_follow_their_rule_in_every_row(rows: list[list[str]], rule: tuple[str, str]) -> None:
    boxes = pd.DataFrame(rows, columns=["c___1", "c___2", "c___99"], dtype="str").replace("", pd.NA).astype("str")
    none_box, nothing = (rule[1], None) if rule[0] == "none" else (None, rule[1])
    values, broken = combine_boxes({str(name): boxes[name] for name in boxes}, ["c___1"], none_box, nothing)
    for i, (first, second, none) in enumerate(rows):
        contradicts = none_box is not None and none == "1" and "1" in (first, second)
        assert broken["contradiction"][0][i] == contradicts
        if contradicts:
            expected = None
        elif first == "1":
            expected = "true"
        elif "1" in (second, none) or (nothing == "false" and "0" in (first, second, none)):
            expected = "false"
        else:
            expected = None
        assert (None if pd.isna(values[i]) else values[i]) == expected


RECORD = st.fixed_dictionaries(
    {
        "baseline": st.tuples(st.integers(0, 10), st.integers(0, 100)),
        "after": st.one_of(st.none(), st.tuples(st.integers(0, 10), st.integers(0, 100))),
        "sex": st.sampled_from("12"),
    }
)
EVENTS_MAPPING = """
read:
  file: export.csv
  redcap: {record: id, episode: {event: procedure_arm_1}}
episodes:
  episode_id: {column: id}
  patient_id: {column: id}
  technique: {always: facet_rfa}
  sex: {column: sex, event: baseline_arm_1, codes: {1: male, 2: female}}
  pain_nrs: {column: nrs, event: baseline_arm_1}
  odi: {column: odi, event: baseline_arm_1}
visits:
  - {event: month_3_arm_1, month: {always: 3}, pain_nrs: {column: nrs}, odi: {column: odi}}
"""
WIDE_MAPPING = """
read: {file: export.csv}
episodes:
  episode_id: {column: id}
  patient_id: {column: id}
  technique: {always: facet_rfa}
  sex: {column: sex, codes: {1: male, 2: female}}
  pain_nrs: {column: nrs_0}
  odi: {column: odi_0}
visits:
  - {month: {always: 3}, pain_nrs: {column: nrs_3}, odi: {column: odi_3}}
"""


@settings(max_examples=8, deadline=None)
@given(st.lists(RECORD, min_size=1, max_size=8), st.randoms(use_true_random=False))
def test_an_export_by_event_gives_the_cohort_of_the_wide_one(records: list[dict[str, Any]], random: Random) -> None:
    wide, rows = ["id,sex,nrs_0,odi_0,nrs_3,odi_3"], []
    for i, record in enumerate(records):
        before, after = record["baseline"], record["after"] or ("", "")
        wide.append(f"r{i},{record['sex']},{before[0]},{before[1]},{after[0]},{after[1]}")
        rows += [f"r{i},baseline_arm_1,{record['sex']},{before[0]},{before[1]}", f"r{i},procedure_arm_1,,,"]
        rows += [f"r{i},month_3_arm_1,,{after[0]},{after[1]}"] if record["after"] else []
    random.shuffle(rows)
    cohorts = []
    for mapping, lines in (
        (WIDE_MAPPING, wide),
        (EVENTS_MAPPING, ["id,redcap_event_name,sex,nrs,odi", *rows]),
    ):
        with TemporaryDirectory() as folder:
            cohort, rejects = ingest_in(Path(folder), mapping, "\n".join(lines) + "\n")
        assert rejects.empty
        cohorts.append(cohort)
    for table in ("episodes", "visits"):
        tables = [getattr(cohort, table).sort_values("episode_id", ignore_index=True) for cohort in cohorts]
        pd.testing.assert_frame_equal(*tables)
