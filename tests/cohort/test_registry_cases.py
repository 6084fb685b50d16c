"""Files as registries export them: each is read as its owner means it, or told."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import pandas as pd
import pytest

from paincast.cohort.registry.ingest import ingest
from paincast.cohort.registry.mapping import load_mapping
from paincast.cohort.registry.suggestion.suggest import suggest_mapping
from paincast.cohort.tables import Cohort
from paincast.cohort.validate import validate_patients

FIELDS = """
episodes:
  episode_id: {column: id}
  patient_id: {column: id}
  technique: {always: facet_rfa}
  pain_nrs: {column: nrs}
"""


class Case(NamedTuple):
    """A file, its mapping below ``read``, the pain of its episodes, and the rules of its rejects by row."""

    text: str
    pain: list[float | None]
    rejects: list[tuple[int, str]]
    fields: str = FIELDS


CASES = {
    "a title above the header": Case(
        "Export Schmerzregister 28.11.2026;\nid;nrs\n1;7\n2;6\n", [7, 6], [(0, "title line")]
    ),
    "labels below the header": Case("id,nrs\nParticipant,Average pain\n1,7\n2,6\n", [7, 6], [(1, "not a patient")]),
    "a stray quotation mark": Case(
        "id;nrs;text\n" + "".join(f"{n};7;ok\n" for n in range(1, 300)) + '300;7;"L4\n301;6;ok\n',
        [*[7] * 299, 6],
        [(300, "quotation mark")],
    ),
    "a name that appears twice and is not used": Case(
        "id,Complete?,nrs,Complete?\n1,Complete,7,Complete\n2,Complete,6,Complete\n", [7, 6], [(0, "duplicate column")]
    ),
    "two scales in one column": Case(
        "id,nrs\n0,70\n1,65\n2,80\n3,75\n4,60\n5,7\n6,8\n7,6\n",
        [7, 6.5, 8, 7.5, 6, None, None, None],
        [(6, "unit"), (7, "unit"), (8, "unit")],
        FIELDS.replace("{column: nrs}", "{column: nrs, unit: mm}"),
    ),
    "words for no value": Case("id,nrs\n1,7\n2,n/a\n3,.\n4,-\n5,#N/A\n6,unknown\n7,#NULL!\n", [7, *[None] * 6], []),
    "decimal commas": Case("id;nrs\n1;7,5\n2;6,0\n", [7.5, 6], []),
    "decimal commas in quotation marks": Case('id,nrs\n1,"7,5"\n2,"6,0"\n', [7.5, 6], []),
    "decimal commas between tabs": Case("id\tnrs\n1\t7,5\n2\t6\n", [7.5, 6], []),
    "bars": Case("id|nrs\n1|7.5\n2|6\n", [7.5, 6], []),
}


def ingest_text(folder: Path, case: Case, encoding: str = "utf-8") -> tuple[Cohort, pd.DataFrame]:
    (folder / "in.csv").write_bytes(case.text.encode(encoding))
    (folder / "m.yaml").write_text("read: {file: in.csv}" + case.fields, encoding="utf-8")
    return ingest(load_mapping(folder / "m.yaml"), [folder / "in.csv"])


def list_pain(episodes: pd.DataFrame) -> list[float | None]:
    return [None if pd.isna(pain) else pain for pain in episodes["pain_nrs"]]


@pytest.mark.parametrize("name", CASES)
def test_a_file_is_read_as_its_owner_means_it(tmp_path: Path, name: str) -> None:
    cohort, rejects = ingest_text(tmp_path, CASES[name])
    assert list_pain(cohort.episodes) == CASES[name].pain
    assert list(rejects[["row", "rule"]].itertuples(index=False, name=None)) == CASES[name].rejects


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "windows-1252"])
@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@pytest.mark.parametrize("decimal", [".", ","])
def test_ingest_and_predict_read_the_dialects_that_suggest_reads(
    tmp_path: Path, encoding: str, separator: str, decimal: str
) -> None:
    rows = [["id", "site_id", "pain_nrs"], ["1", "Köln", "7.5"], ["2", "Görlitz", "6"]]
    lines = [separator.join(f'"{cell.replace(".", decimal)}"' for cell in row) for row in rows]
    case = Case(
        "\n".join(lines) + "\n", [7.5, 6], [], FIELDS.replace("nrs}", "pain_nrs}") + "  site_id: {column: site_id}\n"
    )
    cohort, rejects = ingest_text(tmp_path, case, encoding)
    patients, unread = validate_patients(tmp_path / "in.csv")
    for episodes in (cohort.episodes, patients):
        assert list_pain(episodes) == case.pain
        assert episodes["site_id"].tolist() == ["Köln", "Görlitz"]
    assert len(rejects) == 0
    assert set(unread["rule"]) <= {"unknown column"}
    draft = suggest_mapping(tmp_path / "in.csv")
    assert ("decimal: comma" in draft) == (decimal == ",")
    assert ("encoding:" in draft) == (encoding in ("utf-16", "windows-1252"))
    assert ("separator:" in draft) == (separator != ",")


def test_thousands_are_read_by_the_declared_or_shown_mark(tmp_path: Path) -> None:
    case = Case(
        "id;mme;nrs\n1;1.200;7,5\n2;60;6,0\n3;1.200,0;5,0\n", [7.5, 6, 5], [], FIELDS + "  opioid_mme: {column: mme}\n"
    )
    cohort, rejects = ingest_text(tmp_path, case)
    assert cohort.episodes["opioid_mme"].tolist() == [1200, 60, 1200]
    assert len(rejects) == 0


def test_a_number_with_two_readings_between_semicolons_is_asked_for(tmp_path: Path) -> None:
    case = Case("id;mme;nrs\n1;1.200;7\n2;60;6\n", [7, 6], [], FIELDS + "  opioid_mme: {column: mme}\n")
    cohort, rejects = ingest_text(tmp_path, case)
    assert cohort.episodes["opioid_mme"].fillna(-1).tolist() == [-1, 60]
    assert rejects[["row", "column", "rule"]].to_numpy().tolist() == [[1, "opioid_mme", "not a number"]]
    assert "decimal: TODO" in suggest_mapping(tmp_path / "in.csv")


def test_none_is_an_answer_where_it_is_listed_and_missing_elsewhere(tmp_path: Path) -> None:
    fields = (
        FIELDS + "  prior_procedure: {column: prior, codes: {None: false, surgery: true}}\n  site_id: {column: site}\n"
    )
    case = Case("id,prior,nrs,site\n1,None,7,NA\n2,surgery,6,None\n3,n/a,5,Nord\n", [7, 6, 5], [], fields)
    cohort, rejects = ingest_text(tmp_path, case)
    assert cohort.episodes["prior_procedure"].to_numpy("object", na_value=None).tolist() == [False, True, None]
    assert cohort.episodes["site_id"].fillna("").tolist() == ["", "", "Nord"]
    assert len(rejects) == 0


DATED = """
procedure_date: {column: op}
episodes:
  episode_id: {column: id}
  patient_id: {column: id}
  technique: {always: facet_rfa}
  procedure_year: {column: op, reads: year of date}
  pain_nrs: {column: nrs}
visits:
  - month: {column: seen, reads: months since procedure}
    pain_nrs: {column: after}
"""


@pytest.mark.parametrize(
    ("op", "seen", "year", "month"),
    [
        ("2022-01-01T00:00:00+01:00", "2022-01-01", 2022, 0),
        ("2022-03-01", "2022-03-01T00:30:00+02:00", 2022, 0),
        ("2021-12-31T20:00:00-05:00", "2021-12-31", 2021, 0),
        ("2022-03-01 14:30", "2022-03-01", 2022, 0),
        ("2022-03-01 00:00", "2022-03-31", 2022, 30 / 30.4375),
    ],
)
def test_the_local_day_counts_whatever_the_hour(tmp_path: Path, op: str, seen: str, year: int, month: float) -> None:
    case = Case(f"id,op,nrs,seen,after\n1,{op},7,{seen},3\n", [7], [], DATED)
    cohort, rejects = ingest_text(tmp_path, case)
    assert cohort.episodes["procedure_year"].tolist() == [year]
    assert cohort.visits["month"].tolist() == pytest.approx([month])
    assert len(rejects) == 0
