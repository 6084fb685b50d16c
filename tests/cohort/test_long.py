"""Long tables: a name, a value and a date in each row become values before a procedure and visits after it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from paincast.cohort.long.linking import Procedures, link_to_latest_before
from paincast.cohort.long.pivot import find_nearest_before
from paincast.cohort.registry.ingest import describe_ingestion
from paincast.cohort.registry.ingestion import ingest
from paincast.cohort.registry.mapping import load_mapping
from paincast.cohort.tables import Cohort
from paincast.errors import DataError, SettingsError

Ingested = tuple[Cohort, pd.DataFrame]

MAPPING = """
title: Scores in rows
read:
  file: procedures.csv
  long:
    - {file: scores.csv, person: pat, name: item, value: score, at: day, unit: unit}
  baseline_window: {most_days_before: 60, same_day: true}
procedure_date: {column: day}
episodes:
  episode_id: {columns: [pat, day]}
  patient_id: {column: pat}
  technique: {column: code, codes: {RF: facet_rfa}}
  sex: {named: sex, most_days_before: 36500, codes: {1: male, 2: female}}
  pain_nrs: {named: NRS}
  odi: {named: [ODI, oswestry]}
  weight_kg: {named: weight, most_days_before: 400}
visits:
  - pain_nrs: {named: NRS}
    odi: {named: [ODI, oswestry]}
"""
PROCEDURES = "pat,day,code\na,2024-01-10,RF\na,2024-09-10,RF\nb,2024-02-01,RF\n"
SCORES = """pat,item,score,day,unit
a,sex,2,2010-01-01,
a,NRS,9,2023-10-01,
a,NRS,8,2024-01-01,
a,NRS,7,2024-01-10,{score}
a,ODI,44,2024-01-09,
a,NRS,3,2024-04-10,
a,oswestry,20,2024-04-10,
a,NRS,6,2024-09-01,
a,NRS,2,2024-12-01,
b,NRS,5,2024-01-31,
b,pulse,80,2024-05-01,/min
z,NRS,1,2024-05-01,
"""


@pytest.fixture
def ingest_texts(tmp_path: Path) -> Callable[..., Ingested]:
    """Ingest scores given as text with a mapping given as text."""

    def run(mapping: str, scores: str, procedures: str = PROCEDURES) -> Ingested:
        return ingest_in(tmp_path, mapping, {"procedures.csv": procedures, "scores.csv": scores})

    return run


def ingest_in(folder: Path, mapping: str, files: dict[str, str]) -> Ingested:
    (folder / "mapping.yaml").write_text(mapping, encoding="utf-8")
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")
    return ingest([folder / name for name in files], folder / "mapping.yaml")


def kinds(rejects: pd.DataFrame) -> list[tuple[object, ...]]:
    return list(rejects[["table", "row", "column", "rule", "action"]].itertuples(index=False, name=None))


def left_out(cohort: Cohort) -> dict[str, int]:
    return {entry["because"]: entry["rows"] for entry in cohort.details["left_out"]}


def test_the_latest_value_within_the_window_is_the_baseline(ingest_texts: Callable[..., Ingested]) -> None:
    cohort, rejects = ingest_texts(MAPPING, SCORES)
    episodes = cohort.episodes.set_index("episode_id")
    assert episodes["pain_nrs"].to_dict() == {"a|2024-01-10": 7, "a|2024-09-10": 6, "b|2024-02-01": 5}
    assert episodes["odi"].fillna(-1).tolist() == [44, -1, -1]
    assert episodes["sex"].fillna("").tolist() == ["female", "female", ""]
    assert rejects.empty
    before_only = MAPPING.replace("same_day: true", "same_day: false")
    cohort, _ = ingest_texts(before_only, SCORES)
    assert cohort.episodes["pain_nrs"].tolist() == [8, 6, 5]


def test_a_later_value_belongs_to_the_latest_procedure_before_it(ingest_texts: Callable[..., Ingested]) -> None:
    cohort, _ = ingest_texts(MAPPING, SCORES)
    visits = cohort.visits[["episode_id", "month", "pain_nrs", "odi"]].round(1).fillna(-1)
    assert visits.to_numpy().tolist() == [
        ["a|2024-01-10", 3.0, 3, 20],
        ["a|2024-01-10", 7.7, 6, -1],
        ["a|2024-09-10", 2.7, 2, -1],
    ]
    assert list(cohort.details["long_values"].values()) == [5, 4, 1, 1]


def test_what_is_not_used_is_told(ingest_texts: Callable[..., Ingested]) -> None:
    cohort, rejects = ingest_texts(MAPPING, SCORES)
    assert list(left_out(cohort).values()) == [1, 1, 2]
    lines = describe_ingestion(cohort, rejects)
    assert "read 12 rows of scores.csv" in lines
    cohort, rejects = ingest_texts(MAPPING.replace("named: NRS", "named: NRSS"), SCORES)
    assert "no row of the long tables has the name 'NRSS'" in describe_ingestion(cohort, rejects)


def test_units_stand_in_a_neighbouring_column(ingest_texts: Callable[..., Ingested]) -> None:
    scores = SCORES + "a,weight,180,2023-12-01,[lb_av]\na,weight,80,2024-09-01,kg\n"
    cohort, rejects = ingest_texts(MAPPING, scores)
    assert cohort.episodes["weight_kg"].round(1).fillna(-1).tolist() == [81.6, 80, -1]
    cohort, rejects = ingest_texts(MAPPING, scores + "b,weight,80,2024-01-01,\n")
    assert kinds(rejects) == [("episodes", 3, "weight_kg", "unit", "cell emptied")]
    cohort, rejects = ingest_texts(MAPPING, scores.replace("kg", "lb"))
    assert kinds(rejects) == [("episodes", 2, "weight_kg", "unit", "cell emptied")]
    own_words = MAPPING.replace("{named: weight,", "{named: weight, unit: kg, units: {lb: pounds, '[lb_av]': pounds},")
    cohort, rejects = ingest_texts(own_words, scores.replace("kg", "lb") + "b,weight,80,2024-01-01,\n")
    assert cohort.episodes["weight_kg"].round(1).tolist() == [81.6, 36.3, 80]
    assert rejects.empty


def test_values_without_any_unit_are_in_the_unit_of_the_contract(ingest_texts: Callable[..., Ingested]) -> None:
    cohort, rejects = ingest_texts(MAPPING, SCORES + "b,weight,80,2024-01-01,\n")
    assert cohort.episodes["weight_kg"].fillna(-1).tolist() == [-1, -1, 80]
    assert rejects.empty


def test_values_of_a_day_that_differ_are_not_chosen_from(ingest_texts: Callable[..., Ingested]) -> None:
    scores = SCORES + "b,NRS,6,2024-01-31,\na,NRS,4,2024-04-10,\n"
    cohort, rejects = ingest_texts(MAPPING, scores)
    assert kinds(rejects) == [
        ("episodes", 3, "pain_nrs", "several values", "cell emptied"),
        ("visits", 6, "pain_nrs", "several values", "cell emptied"),
    ]
    assert cohort.visits["odi"].tolist()[0] == 20
    cohort, rejects = ingest_texts(MAPPING, SCORES + "b,NRS,5.0,2024-01-31,\n")
    assert rejects.empty


@pytest.mark.parametrize(
    ("row", "column", "rule"),
    [
        ("b,NRS,1,2024-05,", "day", "no day"),
        ("b,NRS,1,soon,", "day", "not a date"),
        ("b,NRS,1,,", "day", "required"),
        (",NRS,1,2024-05-01,", "pat", "required"),
    ],
)
def test_a_row_that_cannot_be_placed_is_rejected(
    ingest_texts: Callable[..., Ingested], row: str, column: str, rule: str
) -> None:
    _, rejects = ingest_texts(MAPPING, SCORES + row + "\n")
    assert kinds(rejects) == [("scores.csv", 13, column, rule, "row left out")]


def test_two_procedures_of_a_day_share_no_value(ingest_texts: Callable[..., Ingested]) -> None:
    mapping = MAPPING.replace("columns: [pat, day]", "columns: [pat, day, number]")
    procedures = "pat,day,code,number\na,2024-01-10,RF,1\na,2024-01-10,RF,2\n"
    cohort, rejects = ingest_texts(mapping, SCORES, procedures)
    assert cohort.visits.empty
    rows = rejects.loc[rejects["rule"] == "several procedures", "row"].tolist()
    assert rows == [6, 7, 8, 9]


def test_sides_and_levels_of_a_day_may_be_one_procedure(ingest_texts: Callable[..., Ingested]) -> None:
    mapping = MAPPING.replace("columns: [pat, day]", "columns: [pat, day, number]")
    mapping = mapping.replace("  baseline_window:", "  one_procedure_a_day: true\n  baseline_window:")
    mapping = mapping.replace("codes: {RF: facet_rfa}", "codes: {RF: facet_rfa, SI: si_joint_rfa}")
    procedures = "pat,day,code,number\na,2024-01-10,RF,1\na,2024-01-10,RF,2\na,2024-09-10,RF,1\nb,2024-02-01,SI,1\n"
    cohort, rejects = ingest_texts(mapping, SCORES, procedures)
    assert cohort.episodes["episode_id"].tolist() == ["a|2024-01-10|1", "a|2024-09-10|1", "b|2024-02-01|1"]
    assert len(cohort.visits) == 3
    assert rejects.empty
    assert left_out(cohort)["an earlier row has the same technique of the patient on the same day"] == 1
    both = procedures.replace("RF,2", "SI,2")
    _, rejects = ingest_texts(mapping, SCORES, both)
    assert set(rejects["rule"]) == {"several procedures"}


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("  baseline_window: {most_days_before: 60, same_day: true}\n", "", "need 'baseline_window"),
        (", same_day: true", "", "'same_day' is missing"),
        ("most_days_before: 60", "most_days_before: -1", "whole number of days"),
        ("procedure_date: {column: day}\n", "", "'procedure_date'"),
        (
            "pain_nrs: {named: NRS}\n    odi",
            "month: {always: 3}\n    pain_nrs: {named: NRS}\n    odi",
            "leave out 'month'",
        ),
        ("visits:\n  - pain_nrs: {named: NRS}", "visits:\n  - pain_nrs: {column: NRS}", "all must be"),
        ("{named: NRS}", "{named: NRS, file: other.csv}", "no long table"),
        ("{named: NRS}", "{named: NRS, column: a}", "exactly one of"),
        ("{named: NRS}", "{named: NRS, date_format: '%Y'}", "does not apply|cannot be combined"),
        ("patient_id: {column: pat}", "patient_id: {row_number: true}", "patient_id as 'column'"),
        ("value: score, ", "", "'value' is missing"),
    ],
)
def test_a_mistake_in_a_mapping_is_refused(tmp_path: Path, old: str, new: str, words: str) -> None:
    assert old in MAPPING
    (tmp_path / "mapping.yaml").write_text(MAPPING.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(SettingsError, match=words):
        load_mapping(tmp_path / "mapping.yaml")


def test_a_named_value_needs_a_long_table(tmp_path: Path) -> None:
    lines = [line for line in MAPPING.splitlines() if "scores.csv" not in line and "long:" not in line]
    (tmp_path / "mapping.yaml").write_text("\n".join(lines), encoding="utf-8")
    with pytest.raises(SettingsError, match="needs 'long'"):
        load_mapping(tmp_path / "mapping.yaml")


def test_a_missing_column_is_named(ingest_texts: Callable[..., Ingested]) -> None:
    with pytest.raises(DataError, match=r"'score' in scores\.csv") as refused:
        ingest_texts(MAPPING, SCORES.replace("item,score", "item,scores"))
    assert refused.value.code == "PC-REGISTRY-02"


TWO_TABLES = """
read:
  file: procedures.csv
  long:
    - {file: scores.csv, person: pat, name: item, value: [number, text], at: day, date_format: "%d.%m.%Y"}
    - {file: more.csv, person: who, name: what, value: how, at: when}
  baseline_window: {most_days_before: 60, same_day: true}
  missing: ["-99"]
procedure_date: {column: day}
episodes:
  episode_id: {columns: [pat, day]}
  patient_id: {column: pat, prefix: site-1-}
  technique: {column: code, codes: {RF: facet_rfa}}
  pain_nrs: {named: VAS, unit: 0-100}
  odi: {named: ODI, file: more.csv}
  smoker: {named: smokes, codes: {never: false, daily: true}}
  pain_duration_months: {named: onset, most_days_before: 36500, reads: months before procedure}
visits:
  - pain_nrs: {named: relief, reads: percent reduction from baseline}
    odi: {named: ODI, file: more.csv}
"""


def test_several_tables_are_read_as_one(tmp_path: Path) -> None:
    files = {
        "procedures.csv": "pat,day,code\na,2024-01-10,RF\n",
        "scores.csv": "pat,item,number,text,day\na,VAS,80,,09.01.2024\na,VAS,-99,,10.01.2024\n"
        "a,smokes,,daily,09.01.2024\na,relief,50,,10.04.2024\na,ODI,1,,10.04.2024\na,onset,,2023-01-10,09.01.2024\n",
        "more.csv": "who,what,how,when\na,ODI,44,2024-01-08\na,ODI,20,2024-04-10\n",
    }
    cohort, rejects = ingest_in(tmp_path, TWO_TABLES, files)
    assert rejects.empty
    columns = ["patient_id", "pain_nrs", "odi", "smoker", "pain_duration_months"]
    assert cohort.episodes[columns].round(1).to_numpy().tolist() == [["site-1-a", 8, 44, True, 12]]
    assert cohort.visits[["pain_nrs", "odi"]].to_numpy().tolist() == [[4, 20]]


WIDE_MAPPING = """
read: {file: wide.csv}
procedure_date: {column: day}
episodes:
  episode_id: {columns: [pat, day]}
  patient_id: {column: pat}
  technique: {always: facet_rfa}
  pain_nrs: {column: nrs_0}
  odi: {column: odi_0}
visits:
  - {month: {column: day_1, reads: months since procedure}, pain_nrs: {column: nrs_1}, odi: {column: odi_1}}
  - {month: {column: day_2, reads: months since procedure}, pain_nrs: {column: nrs_2}, odi: {column: odi_2}}
"""
LONG_MAPPING = (
    MAPPING.replace("technique: {column: code, codes: {RF: facet_rfa}}", "technique: {always: facet_rfa}")
    .replace("  sex: {named: sex, most_days_before: 36500, codes: {1: male, 2: female}}\n", "")
    .replace("  weight_kg: {named: weight, most_days_before: 400}\n", "")
)
SCORE = st.one_of(st.none(), st.integers(0, 10))
PATIENT = st.fixed_dictionaries(
    {
        "gaps": st.tuples(st.integers(0, 60), st.integers(1, 300), st.integers(1, 300)),
        "nrs": st.tuples(SCORE, SCORE, SCORE),
        "odi": st.tuples(SCORE, SCORE, SCORE),
        "repeats": st.booleans(),
    }
)


def make_wide_rows(patients: list[dict[str, tuple[int, ...]]]) -> list[dict[str, object]]:
    rows = []
    for i, patient in enumerate(patients):
        for start in (date(2020, 1, 1), date(2023, 1, 1))[: 1 + bool(patient["repeats"])]:
            before, first, second = patient["gaps"]
            days = [start - timedelta(before), start + timedelta(first), start + timedelta(first + second)]
            row: dict[str, object] = {"pat": f"p{i}", "day": start}
            for k, day in enumerate(days):
                is_shared = k == 0 and start.year == 2023  # would also be a visit of the procedure before
                row |= {f"day_{k}": day, f"nrs_{k}": None if is_shared else patient["nrs"][k]}
                row[f"odi_{k}"] = None if is_shared else patient["odi"][k]
            rows.append(row)
    return rows


@settings(max_examples=8, deadline=None)
@given(st.lists(PATIENT, min_size=1, max_size=6))
def test_a_long_table_gives_the_cohort_of_the_wide_one(patients: list[dict[str, tuple[int, ...]]]) -> None:
    wide = pd.DataFrame(make_wide_rows(patients)).astype(
        {f"{n}_{k}": "Int64" for n in ("nrs", "odi") for k in range(3)}
    )
    scores = [
        {"pat": row["pat"], "item": item, "score": row[f"{column}_{k}"], "day": row[f"day_{k}"], "unit": ""}
        for row in wide.to_dict("records")
        for k in range(3)
        for item, column in (("NRS", "nrs"), ("ODI", "odi"))
        if not pd.isna(row[f"{column}_{k}"])
    ]
    long = pd.DataFrame(scores, columns=["pat", "item", "score", "day", "unit"]).sample(frac=1, random_state=1)
    if long.empty:
        return
    with TemporaryDirectory() as folder:
        of_wide, _ = ingest_in(Path(folder), WIDE_MAPPING, {"wide.csv": wide.to_csv(index=False)})
        files = {"procedures.csv": wide[["pat", "day"]].to_csv(index=False), "scores.csv": long.to_csv(index=False)}
        of_long, rejects = ingest_in(Path(folder), LONG_MAPPING, files)
    assert rejects.empty
    for table, keys in (("episodes", ["episode_id"]), ("visits", ["episode_id", "month"])):
        tables = [getattr(cohort, table).sort_values(keys, ignore_index=True) for cohort in (of_wide, of_long)]
        pd.testing.assert_frame_equal(*tables)


DAYS = st.integers(0, 40)


@given(
    st.lists(st.tuples(st.sampled_from("pq"), DAYS), max_size=8),
    st.lists(st.tuples(st.sampled_from("pqr"), DAYS), min_size=1, max_size=12),
)
def test_links_are_those_of_a_search_row_by_row(procedures: list[tuple[str, int]], rows: list[tuple[str, int]]) -> None:
    start = pd.Timestamp("2024-01-01")
    frame = pd.DataFrame(
        [(f"e{i}", person, start + pd.Timedelta(days=day)) for i, (person, day) in enumerate(procedures)],
        columns=["episode_id", "person", "day"],
    ).astype({"episode_id": "str", "person": "str", "day": "datetime64[s]"})
    dated = pd.DataFrame([(person, start + pd.Timedelta(days=day)) for person, day in rows], columns=["person", "day"])
    links = link_to_latest_before(dated["person"], dated["day"], Procedures(**{str(k): frame[k] for k in frame}))
    for i, (person, day) in enumerate(rows):
        earlier = [(other, f"e{k}") for k, (of, other) in enumerate(procedures) if of == person and other < day]
        latest = [episode for other, episode in earlier if other == max(earlier)[0]]
        assert links.several[i] == (len(latest) > 1)
        assert (None if pd.isna(links.episode_id[i]) else links.episode_id[i]) == (
            latest[0] if len(latest) == 1 else None
        )


@given(
    st.lists(st.tuples(st.sampled_from("pq"), DAYS), min_size=1, max_size=6),
    st.lists(st.tuples(st.sampled_from("pqr"), DAYS, st.integers(0, 3)), max_size=12),
    st.integers(1, 20),
    st.booleans(),
)
def test_baselines_are_those_of_a_search_row_by_row(
    procedures: list[tuple[str, int]], rows: list[tuple[str, int, int]], most_days: int, same_day: bool
) -> None:
    start = pd.Timestamp("2024-01-01")
    values = pd.DataFrame(
        {
            "person": pd.Series([person for person, _, _ in rows], dtype="str"),
            "day": pd.Series([start + pd.Timedelta(days=day) for _, day, _ in rows], dtype="datetime64[s]"),
            "value": pd.Series([str(value) for _, _, value in rows], dtype="str"),
            "unit": pd.Series([""] * len(rows), dtype="str"),
        }
    )
    person = pd.Series([person for person, _ in procedures], dtype="str")
    days = pd.Series([start + pd.Timedelta(days=day) for _, day in procedures])
    found = find_nearest_before(values, person, days, most_days=most_days, same_day=same_day)
    for i, (of, day) in enumerate(procedures):
        gaps = [(day - at, value) for other, at, value in rows if other == of]
        near = [(gap, value) for gap, value in gaps if (0 if same_day else 1) <= gap <= most_days]
        nearest = {str(value) for gap, value in near if gap == min(near)[0]}
        assert found["several"][i] == (len(nearest) > 1)
        assert (None if pd.isna(found["value"][i]) else found["value"][i]) == (
            nearest.pop() if len(nearest) == 1 else None
        )


def test_a_person_without_any_day_of_a_procedure_ends_nothing(ingest_texts: Callable[..., Ingested]) -> None:
    cohort, _ = ingest_texts(MAPPING, SCORES, PROCEDURES + "c,,RF\nd,soon,RF\n")
    assert cohort.episodes["patient_id"].tolist() == ["a", "a", "b", "d"]
    assert cohort.visits["pain_nrs"].tolist() == [3, 6, 2]
