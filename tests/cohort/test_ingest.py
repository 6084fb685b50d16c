from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from paincast.cohort.registry.ingest import describe_ingestion, ingest
from paincast.cohort.registry.mapping import load_mapping
from paincast.cohort.tables import Cohort, load_cohort, save_cohort
from paincast.errors import DataError, SettingsError
from paincast.outcomes import OUTCOMES, compute_outcome
from paincast.schema import TABLES

SENTINEL = "Zyxwv-Secret"
Ingested = tuple[Cohort, pd.DataFrame]

WIDE = """
read: {file: wide.csv}
episodes:
  episode_id: {column: id}
  patient_id: {column: id}
  technique: {column: ops, codes: {RF: facet_rfa, none: no_procedure}}
  pain_nrs: {column: vas, unit: 0-100}
  weight_kg: {column: lb, unit: pounds}
  pain_duration_months: {column: years, unit: years}
  diabetes: {column: history, true_if_contains: [diabet]}
  smoker: {column: smokes, codes: {j: true, n: false, "9": missing}}
visits:
  - month: {column: days, unit: days}
    pain_nrs: {column: vas after, unit: 0-100}
  - month: {always: 6}
    pain_nrs: {column: fall, reads: percent reduction from baseline}
events:
  - kind: {always: complication}
    month: {always: 0}
    when: {column: bled, is: [1], is_not: [0, missing]}
"""
WIDE_ROWS = (
    "id,ops,vas,lb,years,history,smokes,days,vas  after,fall,bled,\n"
    "a,RF,80,200,2,Type 2 Diabetes; gout,j,61,30,50,1,\n"
    "b, none ,60,150,0.5,gout,n,NA,,NaN,0,\n"
    "c,RF,70,,1,,9,30,70,0,,\n"
    ",,,,,,,,,,,\n"
)


@pytest.fixture
def registry(tmp_path: Path) -> Callable[..., Ingested]:
    """Ingest files given by name and text with a mapping given as text."""

    def ingest_texts(mapping: str, **files: str) -> Ingested:
        (tmp_path / "registry.yaml").write_text(mapping, encoding="utf-8")
        paths = []
        for name, text in files.items():
            paths.append(tmp_path / f"{name}.csv")
            paths[-1].write_text(text, encoding="utf-8-sig")
        return ingest(load_mapping(tmp_path / "registry.yaml"), paths)

    return ingest_texts


def ingest_real(folder: Path, name: str) -> Ingested:
    mapping = load_mapping(name)
    return ingest(mapping, [folder / name / file for file in mapping.files])


def pair(cohort: Cohort, months: tuple[float, float]) -> pd.DataFrame:
    visits = cohort.visits[cohort.visits["month"].between(*months)]
    both = cohort.episodes.merge(visits, on="episode_id", suffixes=("", "_after"), validate="one_to_one")
    return both[both["pain_nrs"].notna() & both["pain_nrs_after"].notna()]


def share(cohort: Cohort, outcome: str, horizon: float, window: tuple[float, float] | None = None) -> float:
    tables = cohort.episodes, cohort.visits, cohort.events
    return float(compute_outcome(*tables, OUTCOMES[outcome], horizon, window).value.mean())


def kinds(rejects: pd.DataFrame) -> list[tuple[object, ...]]:
    return list(rejects[["table", "row", "column", "rule", "action"]].itertuples(index=False, name=None))


def test_caudal_esi_gives_the_figures_counted_by_hand(real_data: Path) -> None:
    cohort, rejects = ingest_real(real_data, "caudal_esi_2018")
    pairs = pair(cohort, (1, 1))
    assert (len(cohort.episodes), len(pairs), len(rejects)) == (127, 111, 0)
    assert pairs["pain_nrs"].mean() == pytest.approx(6.70, abs=0.005)
    assert pairs["pain_nrs_after"].mean() == pytest.approx(5.05, abs=0.005)
    assert pairs["pain_nrs"].corr(pairs["pain_nrs_after"]) == pytest.approx(0.57, abs=0.005)
    assert share(cohort, "pain_response", 1) == pytest.approx(0.090, abs=0.0005)
    assert share(cohort, "pain_response_30", 1) == pytest.approx(0.333, abs=0.0005)
    assert set(cohort.episodes["technique"]) == {"epidural_steroid_injection"}
    assert set(cohort.episodes["approach"]) == {"caudal"}
    assert cohort.episodes["indication"].value_counts().to_dict() == {
        "lumbar_stenosis": 60,
        "failed_back_surgery": 27,
        "lumbar_radicular_disc": 22,
        "other_radicular": 18,
    }
    assert cohort.episodes["sex"].value_counts().to_dict() == {"female": 72, "male": 55}
    assert cohort.episodes["site_id"].isna().all()
    assert len(cohort.events) == 15


def test_genicular_rfa_gives_the_figures_counted_by_hand(real_data: Path) -> None:
    cohort, rejects = ingest_real(real_data, "genicular_rfa_2024")
    pairs = pair(cohort, (3, 3))
    assert (len(cohort.episodes), len(pairs)) == (47, 47)
    assert pairs["pain_nrs"].mean() == pytest.approx(8.09, abs=0.005)
    assert pairs["pain_nrs_after"].mean() == pytest.approx(4.32, abs=0.005)
    assert pairs["pain_nrs"].corr(pairs["pain_nrs_after"]) == pytest.approx(0.17, abs=0.005)
    assert share(cohort, "pain_response", 3) == pytest.approx(0.489, abs=0.0005)
    assert kinds(rejects) == [("episodes", 17, "height_cm", "range", "cell emptied")]
    assert cohort.episodes["height_cm"].notna().sum() == 46
    assert cohort.episodes["sex"].isna().all()
    assert cohort.episodes["lesion_protocol"].value_counts().to_dict() == {"two_branch": 24, "three_branch": 23}


@pytest.mark.slow
def test_trigeminal_registry_gives_the_figures_counted_by_hand(real_data: Path) -> None:
    cohort, rejects = ingest_real(real_data, "trigeminal_percutaneous_2024")
    assert cohort.episodes["technique"].value_counts().to_dict() == {
        "surgery": 80,
        "trigeminal_rhizotomy": 31,
        "no_procedure": 9,
    }
    assert cohort.details["left_out"][0]["rows"] == 53
    percutaneous = cohort.select_technique("trigeminal_rhizotomy")
    pairs = pair(percutaneous, (0, 240))
    assert len(pairs) == 22
    assert percutaneous.episodes["pain_nrs"].mean() == pytest.approx(6.0, abs=0.05)
    assert pairs["pain_nrs_after"].mean() == pytest.approx(0.5, abs=0.05)
    assert percutaneous.visits["month"].mean() * 365.25 / 84 == pytest.approx(81, abs=0.5)
    assert share(percutaneous, "pain_response", 18, (0, 240)) == pytest.approx(0.86, abs=0.005)
    everybody = pair(cohort, (0, 240))
    assert everybody["pain_nrs"].corr(everybody["pain_nrs_after"]) == pytest.approx(0, abs=0.005)
    assert cohort.episodes["hads_anxiety"].notna().sum() == 68
    assert cohort.episodes["diabetes"].notna().all()
    assert set(rejects["table"]) == {"participants_psychology.tsv"}
    assert set(rejects["rule"]) == {"unknown episode"}


def test_placebo_trial_gives_the_figures_counted_by_hand(real_data: Path) -> None:
    cohort, rejects = ingest_real(real_data, "back_pain_placebo_2022")
    pairs = pair(cohort, (1, 1))
    assert (len(cohort.episodes), len(pairs), len(rejects)) == (151, 135, 0)
    assert cohort.details["files"]["Ashar2022_outcomes_demographics.csv"]["rows"] == 341
    assert [entry["rows"] for entry in cohort.details["left_out"]] == [54, 1]
    assert pairs["technique"].value_counts().to_dict() == {
        "usual_care": 47,
        "placebo_injection": 44,
        "psychological_therapy": 44,
    }
    shares = {name: share(cohort.select_technique(name), "pain_response", 1) for name in set(pairs["technique"])}
    expected = {"placebo_injection": 0.34, "usual_care": 0.17, "psychological_therapy": 0.80}
    assert shares == pytest.approx(expected, abs=0.005)
    assert pairs["pain_nrs"].corr(pairs["pain_nrs_after"]) == pytest.approx(0.40, abs=0.005)


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["back_pain_placebo_2022", "caudal_esi_2018", "genicular_rfa_2024", "trigeminal_percutaneous_2024"]
)
def test_a_real_cohort_is_saved_loaded_and_described(real_data: Path, tmp_path: Path, name: str) -> None:
    cohort, rejects = ingest_real(real_data, name)
    assert all(file["as_published"] for file in cohort.details["files"].values())
    save_cohort(cohort, tmp_path / name, extras={"rejects": rejects})
    loaded = load_cohort(tmp_path / name)
    assert loaded.basis == "real"
    assert loaded.details["cannot_tell"] == cohort.details["cannot_tell"]
    for table in TABLES:
        pd.testing.assert_frame_equal(getattr(loaded, table), getattr(cohort, table))
    told = "\n".join(describe_ingestion(cohort, rejects))
    assert f"{len(cohort.episodes)} episodes" in told
    assert told.count("left out by the mapping") == len(cohort.details["left_out"])


def test_a_wide_file_is_read_in_units_codes_and_words(registry: Callable[..., Ingested]) -> None:
    cohort, rejects = registry(WIDE, wide=WIDE_ROWS)
    assert rejects.empty
    episodes = cohort.episodes.set_index("episode_id")
    assert episodes["technique"].to_dict() == {"a": "facet_rfa", "b": "no_procedure", "c": "facet_rfa"}
    assert episodes["pain_nrs"].tolist() == [8, 6, 7]
    assert episodes.loc["a", "weight_kg"] == pytest.approx(90.718474)
    assert episodes["pain_duration_months"].tolist() == [24, 6, 12]
    assert episodes["diabetes"].tolist() == [True, False, pd.NA]
    assert episodes["smoker"].tolist() == [True, False, pd.NA]
    visits = cohort.visits.set_index("episode_id")
    assert visits.loc["a", "month"].tolist() == pytest.approx([61 * 12 / 365.25, 6])
    assert visits.loc["a", "pain_nrs"].tolist() == [3, 4]
    assert visits.loc["c", "pain_nrs"].tolist() == [7, 7]
    assert "b" not in visits.index
    assert cohort.events["episode_id"].tolist() == ["a"]
    assert cohort.details["left_out"] == [{"column": "", "because": "no value was recorded at the visit", "rows": 2}]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("a,RF", "a,PRF", ("episodes", 1, "technique", "category", "row left out")),
        ("gout,j", "gout,x", ("episodes", 1, "smoker", "category", "cell emptied")),
        (",200,", ",heavy,", ("episodes", 1, "weight_kg", "not a number", "cell emptied")),
        ("61,30", "-61,30", ("visits", 1, "month", "before the procedure", "row left out")),
        ("61,30", "two,30", ("visits", 1, "month", "not a number", "row left out")),
        ("61,30", ",30", ("visits", 1, "month", "required", "row left out")),
        ("50,1,", "50,2,", ("events", 1, "bled", "category", "row left out")),
        (",80,", ",,", ("visits", 1, "pain_nrs", "no baseline", "cell emptied")),
        ("a,RF", "b,RF", ("episodes", 1, "episode_id", "duplicate", "row left out")),
        ("a,RF,80", "a,RF,80,9", ("wide.csv", 1, "", "too many cells", "row left out")),
        ("a,RF,80,", "a,RF,", ("wide.csv", 1, "", "too few cells", "row left out")),
    ],
)
def test_what_the_mapping_does_not_list_is_a_reject(
    registry: Callable[..., Ingested], old: str, new: str, expected: tuple[object, ...]
) -> None:
    assert old in WIDE_ROWS
    cohort, rejects = registry(WIDE, wide=WIDE_ROWS.replace(old, new, 1))
    assert expected in kinds(rejects)
    assert "c" in set(cohort.episodes["episode_id"])


def test_pain_in_another_unit_than_declared_is_a_reject(registry: Callable[..., Ingested]) -> None:
    cohort, rejects = registry(WIDE.replace("vas, unit: 0-100", "vas"), wide=WIDE_ROWS)
    assert ("episodes", 0, "pain_nrs", "unit", "column left out") in kinds(rejects)
    assert cohort.episodes["pain_nrs"].isna().all()


LONG = """
read: {file: long.csv, separator: semicolon, decimal: comma}
baseline_rows: {column: when, is: [pre], is_not: others}
procedure_date: {column: ops date, date_format: "%d.%m.%Y"}
episodes:
  episode_id: {column: id, prefix: h1-}
  patient_id: {column: id, prefix: h1-}
  technique: {always: facet_rfa}
  pain_nrs: {column: pain}
  procedure_year: {column: ops date, reads: year of date, date_format: "%d.%m.%Y"}
  age_years: {column: born, reads: years before procedure, date_format: "%d.%m.%Y"}
visits:
  - month: {column: seen, reads: months since procedure, date_format: "%d.%m.%Y"}
    pain_nrs: {column: pain}
  - month: {column: seen, reads: months since procedure, date_format: "%d.%m.%Y"}
    odi: {column: odi}
    when: {column: when, is: [home], is_not: others}
"""
LONG_ROWS = (
    "id;when;ops date;seen;born;pain;odi\n"
    "1;pre;01.02.2021;;01.02.1961;7,5;\n"
    "1;fu;;01.05.2021;;2,5;\n"
    "1;fu;;15.01.2021;;2;\n"
    "2;pre;30.02.2021;;01.01.1950;6;\n"
    "2;fu;;01.05.2021;;3;\n"
    "3;fu;;01.05.2021;;3;\n"
)


def test_long_visits_and_dates_become_months_since_the_procedure(registry: Callable[..., Ingested]) -> None:
    cohort, rejects = registry(LONG, long=LONG_ROWS)
    assert cohort.episodes["episode_id"].tolist() == ["h1-1", "h1-2"]
    assert cohort.episodes["pain_nrs"].tolist() == [7.5, 6]
    assert cohort.episodes["procedure_year"].tolist() == [2021, pd.NA]
    assert cohort.episodes["age_years"].tolist()[0] == pytest.approx(60, abs=0.01)
    assert cohort.visits["month"].tolist() == pytest.approx([89 * 12 / 365.25])
    assert set(kinds(rejects)) >= {
        ("episodes", 4, "ops date", "not a date", "cell emptied"),
        ("visits", 3, "month", "before the procedure", "row left out"),
        ("visits", 5, "month", "no procedure date", "row left out"),
        ("visits", 6, "month", "no procedure date", "row left out"),
    }


def test_visits_in_a_file_of_their_own_find_their_episode(registry: Callable[..., Ingested]) -> None:
    mapping = """
read: {file: main.csv, join: [{file: scores.csv, by: id, called: pid}]}
keep_rows_where:
  - {column: state, is: [done], is_not: [planned], because: it was not done}
episodes:
  episode_id: {column: id}
  patient_id: {column: id}
  technique: {always: facet_rfa}
  pain_nrs: {column: pain}
  catastrophizing_pcs: {column: pcs, file: scores.csv}
visits:
  - file: visits.csv
    episode_id: {column: case}
    month: {column: week, unit: weeks}
    pain_nrs: {column: delta, reads: change from baseline}
"""
    cohort, rejects = registry(
        mapping,
        main="id,state,pain\na,done,8\nb,planned,7\nc,odd,6\nd,done,5\n",
        scores="pid,pcs\na,20\nd,1\nd,2\nz,3\n,4\n",
        visits="case,week,delta\na,4,-3\na,12,-5\nb,4,-1\nd,4,1\n",
    )
    assert cohort.episodes["episode_id"].tolist() == ["a", "d"]
    assert cohort.episodes["catastrophizing_pcs"].fillna(-1).tolist() == [20, -1]
    assert cohort.visits["pain_nrs"].tolist() == [5, 3, 6]
    assert cohort.visits["month"].tolist() == pytest.approx([28 * 12 / 365.25, 84 * 12 / 365.25, 28 * 12 / 365.25])
    assert cohort.details["left_out"] == [{"column": "state", "because": "it was not done", "rows": 1}]
    assert set(kinds(rejects)) == {
        ("main.csv", 3, "state", "category", "row left out"),
        ("scores.csv", 2, "pid", "duplicate", "row left out"),
        ("scores.csv", 3, "pid", "duplicate", "row left out"),
        ("scores.csv", 4, "pid", "unknown episode", "row left out"),
        ("scores.csv", 5, "pid", "required", "row left out"),
        ("visits", 3, "pain_nrs", "no baseline", "cell emptied"),
    }


def test_parquet_gives_what_text_gives(registry: Callable[..., Ingested], tmp_path: Path) -> None:
    from_text, _ = registry(WIDE, wide=WIDE_ROWS)
    typed = pd.read_csv(tmp_path / "wide.csv").dropna(how="all").rename(columns={"vas  after": "vas after"})
    typed.to_parquet(tmp_path / "wide.parquet")
    from_parquet, rejects = ingest(load_mapping(tmp_path / "registry.yaml"), [tmp_path / "wide.parquet"])
    assert rejects.empty
    for table in TABLES:
        pd.testing.assert_frame_equal(getattr(from_parquet, table), getattr(from_text, table))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is empty"),
        (b"\n", "must name the columns"),
        (b"id,ops\n", "has column names but no patients"),
        (b"id,ops\n,\n", "has column names but no patients"),
        (b"id,ops\n\x81,RF\n", "is not WINDOWS-1252 text"),
        (b'id,ops\n"a,RF\n', "no row can be read: quotation mark"),
        (b"id,id\na,b\n", "'id' appears twice"),
        (b"17,80,2020-01-05\n18,90,2020-01-06\n", "instead of column names"),
    ],
)
def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path, content: bytes, words: str) -> None:
    (tmp_path / "registry.yaml").write_text(WIDE, encoding="utf-8")
    (tmp_path / "wide.csv").write_bytes(content)
    with pytest.raises(DataError, match=words):
        ingest(load_mapping(tmp_path / "registry.yaml"), [tmp_path / "wide.csv"])


def test_what_is_no_table_is_refused(tmp_path: Path) -> None:
    (tmp_path / "registry.yaml").write_text(WIDE, encoding="utf-8")
    mapping = load_mapping(tmp_path / "registry.yaml")
    with pytest.raises(DataError, match="is a directory"):
        ingest(mapping, [tmp_path])
    with pytest.raises(DataError, check=lambda error: error.code == "PC-FILES-17"):
        ingest(mapping, [tmp_path / "wide.csv"])
    with pytest.raises(DataError, match=r"reads 1 file\(s\), wide.csv; 0 given"):
        ingest(mapping, [])
    (tmp_path / "wide.docx").write_bytes(b"PK")
    with pytest.raises(DataError, match=r"unknown suffix '\.docx'"):
        ingest(mapping, [tmp_path / "wide.docx"])
    pd.DataFrame({"id": ["a"] * 100}).to_parquet(tmp_path / "wide.parquet")
    whole = (tmp_path / "wide.parquet").read_bytes()
    (tmp_path / "wide.parquet").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, check=lambda error: error.code == "PC-READING-14"):
        ingest(mapping, [tmp_path / "wide.parquet"])


def test_a_missing_column_is_refused_with_the_nearest_names(registry: Callable[..., Ingested]) -> None:
    with pytest.raises(DataError, match=r"'smokes' in wide.csv \(nearest in the data: 'smoke'\)"):
        registry(WIDE, wide=WIDE_ROWS.replace("smokes", "smoke"))


def test_details_can_be_written_as_json_and_name_what_is_not_read(registry: Callable[..., Ingested]) -> None:
    cohort, _ = registry(WIDE, wide=WIDE_ROWS.replace("bled,", "bled,extra"))
    read = json.loads(json.dumps(cohort.details))["files"]["wide.csv"]
    assert read["columns_not_used"] == ["extra"]
    assert read["rows"] == 3
    assert read["as_published"] is None


CELLS = st.sampled_from([SENTINEL, f"5 {SENTINEL}", "", "-7", "1e12", "NA", "RF", "a", "0.5", "j", "inf"])


@pytest.mark.slow
@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 10), CELLS), max_size=12))
@settings(max_examples=20, deadline=None)
def test_every_row_of_a_corrupted_file_is_accounted_for(
    tmp_path_factory: pytest.TempPathFactory, damages: list[tuple[int, int, str]]
) -> None:
    folder = tmp_path_factory.mktemp("registry")
    header, *rows, _ = WIDE_ROWS.splitlines()
    cells = [row.split(",") for row in [*rows, *(row.replace(row[0], row[0].upper(), 1) for row in rows)]]
    for row, column, value in damages:
        cells[row][column] = value
    blank = sum(not any(cell.strip() for cell in row) for row in cells)
    (folder / "wide.csv").write_text("\n".join([header, *map(",".join, cells)]), encoding="utf-8")
    (folder / "registry.yaml").write_text(WIDE, encoding="utf-8")
    cohort, rejects = ingest(load_mapping(folder / "registry.yaml"), [folder / "wide.csv"])
    out = rejects[(rejects["table"] == "episodes") & (rejects["action"] == "row left out")]
    assert len(cohort.episodes) + out["row"].nunique() + blank == len(cells)
    for table, frame in (("visits", cohort.visits), ("events", cohort.events)):
        assert set(frame["episode_id"]) <= set(cohort.episodes["episode_id"]), table
    assert "Zyxwv" not in rejects.to_csv()
    assert "Zyxwv" not in json.dumps(cohort.details)
    assert "Zyxwv" not in "\n".join(describe_ingestion(cohort, rejects))


NARROW = """
read: {file: narrow.csv}
episodes:
  episode_id: {column: id}
  patient_id: {column: id}
  technique: {always: facet_rfa}
  pain_nrs: {column: nrs}
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("id,nrs\nParticipant,Average pain\n1,7\n2,6\n", [(1, "not a patient")]),
        ("Export Schmerzregister 28.11.2026;\nid;nrs\n1;7\n2;6\n", [(0, "title line")]),
        ("sep=;\nid;nrs\n1;7\n2;6\n", [(0, "title line")]),
        ("id,Complete?,nrs,Complete?\n1,Complete,7,Complete\n2,Complete,6,Complete\n", [(0, "duplicate column")]),
        ("id,nrs,\n1,7,x\n2,6,\n", [(0, "no column name")]),
        ('id,nrs,text\n1,7,ok\n3,5,"L4" links\n2,6,ok\n', [(2, "quotation mark")]),
        ("id,nrs\n1,7\n2,6\nSumme,13\n", [(3, "not a patient")]),
    ],
)
def test_what_is_no_sound_row_of_an_export_costs_no_patient(
    registry: Callable[..., Ingested], text: str, expected: list[tuple[int, str]]
) -> None:
    cohort, rejects = registry(NARROW, narrow=text)
    assert cohort.episodes["episode_id"].tolist() == ["1", "2"]
    assert cohort.episodes["pain_nrs"].tolist() == [7, 6]
    assert list(rejects[["row", "rule"]].itertuples(index=False, name=None)) == expected
    assert set(rejects["table"]) == {"narrow.csv"}
    assert cohort.details["files"]["narrow.csv"]["rows"] == 2 + sum(place > 0 for place, _ in expected)


def test_rejects_of_a_file_by_another_name_are_told_under_the_name_of_the_mapping(tmp_path: Path) -> None:
    (tmp_path / "registry.yaml").write_text(NARROW, encoding="utf-8")
    (tmp_path / "other.csv").write_text("id,nrs\n1,7\n2\n", encoding="utf-8")
    cohort, rejects = ingest(load_mapping(tmp_path / "registry.yaml"), [tmp_path / "other.csv"])
    assert set(rejects["table"]) == set(cohort.details["files"]) == {"narrow.csv"}


@pytest.mark.parametrize(
    ("other", "undeclared"), [("6,5", 1200), ("6.5", None), ("6", None)], ids=["commas", "both marks", "no mark"]
)
def test_a_number_with_two_readings_is_none_unless_a_mark_is_declared_or_shown(
    tmp_path: Path, other: str, undeclared: float | None
) -> None:
    first = "7" if other == "6" else "7,5"
    rows = f"id;nrs;mme\n1;{first};1.200\n2;{other};60\n3;7,5;20\n".replace("7,5;20", f"{first};20")
    expected = {"": [undeclared, 60, 20], ", decimal: comma": [1200, 60, 20], ", decimal: point": [1.2, 60, 20]}
    for mark, doses in expected.items():
        mapping = NARROW.replace("narrow.csv", "narrow.csv, separator: semicolon" + mark)
        (tmp_path / "m.yaml").write_text(mapping + "  opioid_mme: {column: mme}\n")
        (tmp_path / "narrow.csv").write_text(rows)
        cohort, _ = ingest(load_mapping(tmp_path / "m.yaml"), [tmp_path / "narrow.csv"])
        assert [None if pd.isna(dose) else dose for dose in cohort.episodes["opioid_mme"]] == doses, mark


def test_columns_that_are_true_are_counted_and_a_row_with_gaps_has_no_count(tmp_path: Path) -> None:
    mapping = """
read: {file: in.csv}
episodes:
  episode_id: {column: id}
  patient_id: {column: id}
  technique: {always: facet_rfa}
  body_map_count: {count_true: [head, neck, arm]}
"""
    (tmp_path / "map.yaml").write_text(mapping)
    (tmp_path / "in.csv").write_text("id,head,neck,arm\na,1,0,1\nb,yes,yes,yes\nc,,,\nd,1,,0\ne,1,3,0\nf,0,0,0\n")
    cohort, rejects = ingest(load_mapping(tmp_path / "map.yaml"), [tmp_path / "in.csv"])
    counts = cohort.episodes.set_index("episode_id")["body_map_count"]
    assert counts.dropna().to_dict() == {"a": 2.0, "b": 3.0, "f": 0.0}
    assert rejects.set_index("row")["rule"].to_dict() == {4: "incomplete", 5: "category"}
    assert "columns_not_used" in str(cohort.details)
    (tmp_path / "map.yaml").write_text(mapping.replace("body_map_count", "smoker"))
    with pytest.raises(SettingsError, match="'count_true' does not apply"):
        load_mapping(tmp_path / "map.yaml")
