"""Ingestion in batches gives what ingestion of whole tables gives."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from paincast.cohort.registry.ingest import (
    describe_ingestion,
    ingest,
    ingest_in_batches,
    ingest_to_folder,
    ingest_whole,
)
from paincast.cohort.registry.mapping import load_mapping
from paincast.cohort.registry.streaming.decisions import MixedMarksError
from paincast.cohort.registry.streaming.passes import stream
from paincast.cohort.registry.streaming.plain import is_plain
from paincast.cohort.registry.streaming.sinks import FolderSink, MemorySink
from paincast.cohort.rejects import read_rejects
from paincast.cohort.tables import Cohort, digest_rows, load_cohort, save_cohort
from paincast.schema import TABLES

MAPPING = """
read: {file: in.csv, missing: ["-9"]}
keep_rows_where:
  - {column: kind, is: [index, proc], is_not: [other], because: the row is no procedure}
procedure_date: {column: day}
episodes:
  episode_id: {column: id}
  patient_id: {column: person, prefix: p-}
  site_id: {column: site}
  technique:
    column: code
    codes: {RF: facet_rfa, "1": si_joint_rfa, X: {means: facet_rfa, where: {column: where, is: [back]}}}
  indication: {column: why}
  procedure_year: {column: day, reads: year of date}
  age_years: {column: born, reads: years before procedure, date_format: "%d.%m.%y"}
  pain_nrs: {column: vas, unit: mm}
  odi: {column: odi}
  weight_kg: {column: weight, unit_column: weight_unit, units: {kg: kg, lb: pounds}}
  diabetes: {column: history, true_if_contains: [diabet]}
  smoker: {column: smokes}
  spine_operations: {count_true: [op1, op2]}
visits:
  - month: {always: 3}
    pain_nrs: {column: vas3, unit: mm}
    odi: {column: odi3, reads: change from baseline}
  - month: {column: seen, reads: months since procedure}
    pain_nrs: {column: vas_seen, unit: mm}
events:
  - kind: {always: complication}
    month: {always: 0}
    when: {column: bled, is: ["1"], is_not: ["0", missing]}
"""

NUMBERS = [
    "7",
    "70",
    "65",
    "8",
    "0",
    "3,5",
    "3.5",
    "1.200",
    "1.200,5",
    "x",
    "",
    "-9",
    "n/a",
    "120",
    "6",
    "9",
    "2",
    "50 %",
]
POOLS: dict[str, list[str]] = {
    "kind": ["index", "index", "index", "proc", "other", "strange", ""],
    "id": ["a", "b", "c", "", "unknown"],
    "person": ["1", "2", ""],
    "site": ["A", "B", "B", ""],
    "code": ["RF", "RF", "1", "X", "rf", "Y", ""],
    "where": ["back", "neck", ""],
    "why": ["lumbar_facet", "Lumbar_Facet", "flu", ""],
    "day": ["2020-01-31", "2020-02-29", "2020", "44562", "", "31.01.2020", "1900-01-01"],
    "born": ["31.12.50", "01.02.19", "31.02.50", "", "x"],
    "vas": NUMBERS,
    "odi": NUMBERS,
    "weight": NUMBERS,
    "weight_unit": ["kg", "lb", "", "st"],
    "history": ["Diabetes", "gout; diabetic", "", "gout"],
    "smokes": ["yes", "no", "1", "0", "maybe", ""],
    "op1": ["1", "0", "", "x"],
    "op2": ["1", "0", ""],
    "vas3": NUMBERS,
    "odi3": ["-10", "5", "", "3,5", "x"],
    "seen": ["2020-05-01", "2019-05-01", "", "2020-02-29"],
    "vas_seen": NUMBERS,
    "bled": ["1", "0", "", "2"],
    "note": ["", "well", "#", "1,5"],
}
PLAIN: dict[str, list[str]] = {
    "kind": ["index"],
    "id": [],
    "person": ["1", "2", "3"],
    "site": ["A", "A", "B"],
    "code": ["RF", "1"],
    "day": ["2020-01-31", "2020-02-29"],
    "vas": ["70", "65", "80", "55", "7", "6"],
    "odi": ["7", "8", "40", "55", "9"],
    "vas3": ["3", "30", "20", "4"],
}
"""Fewer values, so that rules on whole columns apply and rows are kept."""


@st.composite
def write_rows(draw: st.DrawFn) -> list[list[str]]:
    n = draw(st.integers(1, 16))
    own_ids = draw(st.booleans())
    columns = []
    for name, pool in POOLS.items():
        if name == "id" and own_ids:
            columns.append([f"e{row}" for row in range(n)])
            continue
        few = draw(st.lists(st.sampled_from(pool), min_size=1, max_size=4))
        cells = st.sampled_from(draw(st.sampled_from([pool, few, PLAIN.get(name) or pool])))
        columns.append(draw(st.lists(cells, min_size=n, max_size=n)))
    return [list(row) for row in zip(*columns, strict=True)]


def write_csv(rows: list[list[str]], file: Path, separator: str) -> None:
    quoted = [[f'"{cell}"' if separator in cell else cell for cell in row] for row in [list(POOLS), *rows]]
    file.write_text("".join(separator.join(row) + "\n" for row in quoted), encoding="utf-8")


def assert_same(found: tuple[Cohort, pd.DataFrame], whole: tuple[Cohort, pd.DataFrame]) -> None:
    for table in TABLES:
        pd.testing.assert_frame_equal(getattr(found[0], table), getattr(whole[0], table))
    assert found[0].details == whole[0].details
    assert digest_rows(found[0]) == digest_rows(whole[0])
    pd.testing.assert_frame_equal(found[1], whole[1])
    assert describe_ingestion(*found) == describe_ingestion(*whole)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made: Path = tmp_path_factory.mktemp("streaming")
    (made / "registry.yaml").write_text(MAPPING, encoding="utf-8")
    return made


def check_rows(folder: Path, rows: list[list[str]], separator: str, batch_rows: int) -> None:
    mapping = load_mapping(folder / "registry.yaml")
    assert is_plain(mapping)
    file = folder / "in.csv"
    write_csv(rows, file, separator)
    assert_same(ingest_in_batches(mapping, file, batch_rows=batch_rows), ingest_whole(mapping, [file]))


CASES = given(rows=write_rows(), separator=st.sampled_from([",", ";"]), batch_rows=st.integers(3, 9))
UNCHECKED = [HealthCheck.too_slow, HealthCheck.data_too_large]


@CASES
@settings(max_examples=4, deadline=None, suppress_health_check=UNCHECKED)
def test_batches_give_what_a_whole_table_gives(
    folder: Path, rows: list[list[str]], separator: str, batch_rows: int
) -> None:
    check_rows(folder, rows, separator, batch_rows)


@pytest.mark.slow
@CASES
@settings(max_examples=40, deadline=None, suppress_health_check=UNCHECKED)
def test_batches_give_what_a_whole_table_gives_in_many_cases(
    folder: Path, rows: list[list[str]], separator: str, batch_rows: int
) -> None:
    check_rows(folder, rows, separator, batch_rows)


SIMPLE = """
read: {file: in.csv}
episodes:
  episode_id: {columns: [id, number]}
  patient_id: {column: id}
  site_id: {column: site}
  technique: {column: code, codes: {RF: facet_rfa}}
  pain_nrs: {column: vas, unit: mm}
  diabetes: {column: sugar}
visits:
  - month: {always: 3}
    pain_nrs: {column: vas3, unit: mm}
"""


def simple_rows(n: int) -> pd.DataFrame:
    rows = pd.DataFrame({"id": [f"p{row}" for row in range(n)], "number": 1, "site": "A", "code": "RF"})
    return rows.assign(vas=[50 + row % 40 for row in range(n)], sugar=True, vas3=[5 + row % 70 for row in range(n)])


def check_frame(folder: Path, rows: pd.DataFrame) -> tuple[Cohort, pd.DataFrame]:
    """Ingest rows as CSV by both routes; they have to agree."""
    (folder / "simple.yaml").write_text(SIMPLE, encoding="utf-8")
    mapping = load_mapping(folder / "simple.yaml")
    rows.to_csv(folder / "in.csv", index=False)
    found = ingest_in_batches(mapping, folder / "in.csv", batch_rows=4)
    assert_same(found, ingest_whole(mapping, [folder / "in.csv"]))
    return found


def kinds(rejects: pd.DataFrame) -> list[tuple[object, ...]]:
    return list(rejects[["table", "row", "column", "rule"]].itertuples(index=False, name=None))


def test_rows_that_share_an_id_meet_from_far_apart(tmp_path: Path) -> None:
    rows = simple_rows(20).astype("object")
    rows.loc[11] = rows.loc[2]
    rows.loc[13, ["id", "vas"]] = "p5", 88
    rows.loc[17, "id"] = "p7"
    rows.loc[[7, 17], ["sugar", "vas", "vas3"]] = [[None, 71, 12], [False, None, None]]
    cohort, rejects = check_frame(tmp_path, rows)
    assert [kind for kind in kinds(rejects) if kind[0] == "episodes"] == [
        ("episodes", 6, "episode_id", "duplicate"),
        ("episodes", 12, "episode_id", "duplicate"),
        ("episodes", 14, "episode_id", "duplicate"),
        ("episodes", 18, "episode_id", "merged"),
    ]
    merged = cohort.episodes.set_index("episode_id").loc["p7|1"]
    assert (merged["pain_nrs"], merged["diabetes"]) == (7.1, False)
    assert cohort.episodes["episode_id"].is_unique


def test_a_unit_that_only_the_whole_column_tells_empties_the_first_rows_too(tmp_path: Path) -> None:
    rows = simple_rows(20).assign(vas=[50] * 4 + [600] * 16)
    cohort, rejects = check_frame(tmp_path, rows)
    assert kinds(rejects) == [("episodes", 0, "pain_nrs", "unit")]
    assert cohort.episodes["pain_nrs"].isna().all()


def test_a_hospital_on_a_smaller_scale_is_in_doubt_in_every_batch(tmp_path: Path) -> None:
    rows = simple_rows(20)
    rows.loc[[1, 9, 18], ["site", "vas"]] = [["B", 7], ["B", 8], ["B", 6]]
    _, rejects = check_frame(tmp_path, rows)
    assert [kind for kind in kinds(rejects) if kind[0] == "episodes"] == [
        ("episodes", row, "pain_nrs", "unit") for row in (2, 10, 19)
    ]


def test_commas_that_come_late_decide_how_all_numbers_are_read(tmp_path: Path) -> None:
    rows = simple_rows(20).assign(vas=["1.200"] + ["50"] * 17 + ["55,5", "60,5"])
    cohort, rejects = check_frame(tmp_path, rows)
    assert kinds(rejects) == [("episodes", 1, "pain_nrs", "range")]
    assert cohort.episodes["pain_nrs"].tolist()[-2:] == [5.55, 6.05]


def test_marks_that_only_a_whole_table_can_count_are_left_to_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = simple_rows(20).assign(vas=["51.5", "52.5"] * 5 + ["55,5", "60,5"] * 5)
    monkeypatch.setattr("paincast.cohort.registry.streaming.decisions.MOST_MARKED", 2)
    (tmp_path / "simple.yaml").write_text(SIMPLE, encoding="utf-8")
    mapping = load_mapping(tmp_path / "simple.yaml")
    rows.to_csv(tmp_path / "in.csv", index=False)
    with pytest.raises(MixedMarksError):
        stream(mapping, tmp_path / "in.csv", MemorySink(mapping.contract))
    assert_same(ingest(mapping, [tmp_path / "in.csv"]), ingest_whole(mapping, [tmp_path / "in.csv"]))


def test_a_folder_holds_what_both_routes_give(tmp_path: Path) -> None:
    rows = simple_rows(20).astype("object")
    rows.loc[[3, 12], "vas"] = "x", 4000
    rows.loc[7, "code"] = "?"
    (tmp_path / "simple.yaml").write_text(SIMPLE.replace("in.csv", "'*.csv'"), encoding="utf-8")
    (tmp_path / "in").mkdir()
    rows[:9].to_csv(tmp_path / "in" / "a.csv", index=False)
    rows[9:].to_csv(tmp_path / "in" / "b.csv", index=False)
    mapping = load_mapping(tmp_path / "simple.yaml")
    out = tmp_path / "out"
    out.mkdir()
    sink = FolderSink(out, mapping.contract)
    stream(mapping, tmp_path / "in", sink, batch_rows=4)
    cohort, rejects = ingest_whole(mapping, [tmp_path / "in"])
    for table in TABLES:
        pd.testing.assert_frame_equal(pd.read_parquet(out / f"{table}.parquet"), getattr(cohort, table))
    pd.testing.assert_frame_equal(read_rejects(out / "rejects.csv"), rejects)
    assert [*zip(rejects["file"], rejects["row"], strict=True)][:2] == [("a.csv", 4), ("a.csv", 8)]


def test_the_command_s_folder_is_that_of_the_tables_in_memory(tmp_path: Path) -> None:
    rows = simple_rows(20).assign(vas=["x"] + ["50"] * 19)
    (tmp_path / "simple.yaml").write_text(SIMPLE, encoding="utf-8")
    mapping = load_mapping(tmp_path / "simple.yaml")
    rows.to_csv(tmp_path / "in.csv", index=False)
    found = ingest_to_folder(mapping, [tmp_path / "in.csv"], tmp_path / "out", max_rejects=0.5)
    cohort, rejects = ingest_whole(mapping, [tmp_path / "in.csv"])
    save_cohort(cohort, tmp_path / "whole")
    manifests = [json.loads((tmp_path / name / "cohort.json").read_text()) for name in ("out", "whole")]
    assert manifests[0] == manifests[1]
    assert found.lines == [
        *describe_ingestion(cohort, rejects),
        "episodes with pain before: 19; with pain before and after: 19",
    ]
    assert (found.share, found.is_written) == (0.05, True)
    assert sorted(file.name for file in (tmp_path / "out").iterdir()) == [
        "cohort.json", "episodes.parquet", "events.parquet", "rejects.csv", "visits.parquet",
    ]  # fmt: skip
    assert digest_rows(load_cohort(tmp_path / "out")) == digest_rows(cohort)


def test_typed_columns_of_parquet_are_read_as_their_texts(tmp_path: Path) -> None:
    rows = simple_rows(20).assign(vas=[None, *[50.5] * 10, *[60.0] * 9], id=range(20))
    table = pa.Table.from_pandas(rows, preserve_index=False)
    codes = table["code"].dictionary_encode()
    pq.write_table(table.set_column(table.column_names.index("code"), "code", codes), tmp_path / "in.parquet")
    (tmp_path / "simple.yaml").write_text(SIMPLE.replace("in.csv", "in.parquet"), encoding="utf-8")
    mapping = load_mapping(tmp_path / "simple.yaml")
    found = ingest_in_batches(mapping, tmp_path / "in.parquet", batch_rows=4)
    assert_same(found, ingest_whole(mapping, [tmp_path / "in.parquet"]))
    assert found[0].episodes["pain_nrs"].tolist()[1:3] == [5.05, 5.05]
    assert found[0].episodes["episode_id"][0] == "0|1"


def test_a_number_near_the_largest_is_a_reject_without_a_warning(tmp_path: Path) -> None:
    rows = simple_rows(6).astype("object")
    rows.loc[2, "vas"] = "1" + "0" * 308
    cohort, rejects = check_frame(tmp_path, rows)
    assert kinds(rejects) == [("episodes", 3, "pain_nrs", "not a number")]
    assert cohort.episodes["pain_nrs"].notna().sum() == 5
