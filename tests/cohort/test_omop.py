"""A folder of tables of the OMOP Common Data Model 5.4 becomes a cohort."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from paincast.cohort.registry.ingest import describe_ingestion
from paincast.cohort.registry.ingestion import ingest
from paincast.errors import DataError, SettingsError

MAPPING = """
title: OMOP
read:
  model: omop
  baseline_window: {most_days_before: 90, same_day: true}
episodes:
  episode_id: {column: procedure_occurrence_id}
  patient_id: {column: person_id}
  site_id: {column: care_site_id, file: visit_occurrence}
  technique: {column: procedure_concept_id, codes: {2000001: facet_rfa, 2000002: si_joint_rfa}}
  age_years: {column: year_of_birth, file: person, reads: year of birth}
  sex: {column: gender_concept_id, file: person, codes: {8507: male, 8532: female, 0: missing}}
  pain_nrs: {named: 3000001}
  weight_kg: {named: 3000002, units: {9529: kg, 8739: pounds}, most_days_before: 365}
  smoker: {named: 3000003, most_days_before: 3650, codes: {45877994: true, 45878245: false}}
visits:
  - pain_nrs: {named: 3000001}
    pgic: {named: 3000004, codes: {much better: 2, worse: 6}}
events:
  - file: condition_occurrence
    patient_id: {column: person_id}
    month: {column: condition_start_date, reads: months since procedure}
    when: {column: condition_concept_id, is: [4000001], is_not: others}
    kind: {always: complication}
"""
N_PERSONS = 200


def make_tables(n_persons: int) -> dict[str, pd.DataFrame]:
    """Invent tables: each person has a procedure in 2023, pain before and after; every fifth has a second procedure."""
    random = np.random.default_rng(20240401)
    persons = pd.DataFrame(
        {
            "person_id": np.arange(1, n_persons + 1),
            "gender_concept_id": random.choice([8507, 8532], n_persons),
            "year_of_birth": random.integers(1935, 1995, n_persons),
        }
    )
    days = pd.Timestamp("2023-01-02") + pd.to_timedelta(random.integers(0, 300, n_persons), unit="D")
    first = pd.DataFrame({"person_id": persons["person_id"], "procedure_date": days, "procedure_concept_id": 2000001})
    second = first.iloc[::5].assign(procedure_concept_id=2000002)
    second["procedure_date"] += pd.Timedelta(days=200)
    other = first.iloc[::3].assign(procedure_concept_id=2000009)
    procedures = pd.concat([first, second, other], ignore_index=True)
    procedures.insert(0, "procedure_occurrence_id", np.arange(10_001, 10_001 + len(procedures)))
    procedures["visit_occurrence_id"] = procedures["procedure_occurrence_id"] + 50_000
    visits = procedures[["visit_occurrence_id", "person_id"]].assign(care_site_id=procedures["person_id"] % 4)
    pain = [_measure(first, shift, 3000001, random.integers(0, 11, n_persons)) for shift in (-10, 90, 180)]
    weight = _measure(first, -100, 3000002, np.full(n_persons, 180.0)).assign(unit_concept_id=8739)
    pulse = _measure(first, -1, 3000099, np.full(n_persons, 70))
    observed = _observe(first, -400, 3000003).assign(value_as_concept_id=45877994)
    change = _observe(first, 90, 3000004).assign(value_as_string="much better")
    return {
        "person": persons,
        "procedure_occurrence": procedures,
        "visit_occurrence": visits,
        "measurement": pd.concat([*pain, weight, pulse], ignore_index=True),
        "observation": pd.concat([observed, change], ignore_index=True),
        "condition_occurrence": pd.DataFrame(
            {
                "person_id": [1, 2, 3],
                "condition_concept_id": [4000001, 4000001, 4000002],
                "condition_start_date": ["2024-03-01", "2001-01-01", "2024-03-01"],
            }
        ),
    }


def _measure(first: pd.DataFrame, shift: int, concept: int, values: np.ndarray) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "person_id": first["person_id"],
            "measurement_concept_id": concept,
            "measurement_date": first["procedure_date"] + pd.Timedelta(days=shift),
            "operator_concept_id": 4172703,
            "value_as_number": values,
            "value_as_concept_id": 0,
            "unit_concept_id": 0,
        }
    )


def _observe(first: pd.DataFrame, shift: int, concept: int) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "person_id": first["person_id"],
            "observation_concept_id": concept,
            "observation_date": first["procedure_date"] + pd.Timedelta(days=shift),
            "value_as_number": np.nan,
            "value_as_string": "",
            "value_as_concept_id": 0,
            "unit_concept_id": np.nan,
        }
    )


@pytest.fixture
def mapping(tmp_path: Path) -> Path:
    path = tmp_path / "omop.yaml"
    path.write_text(MAPPING, encoding="utf-8")
    return path


def write_csv(table: pd.DataFrame, path: Path) -> None:
    table.to_csv(path.with_suffix(".csv"), index=False)


def write_upper_case_csv(table: pd.DataFrame, path: Path) -> None:
    name = path.with_name(path.name.upper() + ".CSV")
    table.rename(columns=str.upper).to_csv(name, index=False, sep="\t")


def write_parquet(table: pd.DataFrame, path: Path) -> None:
    table.to_parquet(path.with_suffix(".parquet"), index=False)


@pytest.mark.parametrize("write", [write_csv, write_upper_case_csv, write_parquet])
def test_a_folder_of_tables_becomes_a_cohort(
    tmp_path: Path, mapping: Path, write: Callable[[pd.DataFrame, Path], None]
) -> None:
    tables = make_tables(N_PERSONS)
    folder = tmp_path / "cdm"
    folder.mkdir()
    for name, table in tables.items():
        write(table, folder / name)
    write(pd.DataFrame({"concept_id": [1]}), folder / "concept")
    cohort, rejects = ingest(folder, mapping)
    assert rejects.empty
    episodes = cohort.episodes
    assert episodes["technique"].value_counts().to_dict() == {"facet_rfa": 200, "si_joint_rfa": 40}
    assert episodes["patient_id"].nunique() == N_PERSONS
    first = episodes[episodes["technique"] == "facet_rfa"].reset_index(drop=True)
    before, after, later = tables["measurement"]["value_as_number"].to_numpy()[:600].reshape(3, 200)
    assert first["pain_nrs"].tolist() == before.tolist()
    assert first["weight_kg"].round(2).unique().tolist() == [81.65]
    assert first["smoker"].all()
    assert first["age_years"].tolist() == (2023 - tables["person"]["year_of_birth"]).tolist()
    assert sorted(episodes["site_id"].unique()) == ["0", "1", "2", "3"]
    visits = cohort.visits[cohort.visits["month"].between(2.9, 3.0)]
    assert visits["pain_nrs"].tolist() == after.tolist()
    assert visits["pgic"].unique().tolist() == [2]
    assert len(cohort.visits) == 400
    assert later.size == 200
    assert cohort.events[["kind", "detail"]].fillna("").to_numpy().tolist() == [["complication", ""]]


def test_what_other_codes_and_persons_hold_is_told(tmp_path: Path, mapping: Path) -> None:
    tables = make_tables(N_PERSONS)
    tables["person"] = pd.concat([tables["person"], tables["person"].assign(person_id=lambda t: t["person_id"] + 1000)])
    for name, table in tables.items():
        write_csv(table, tmp_path / name)
    cohort, rejects = ingest(tmp_path, mapping)
    lines = describe_ingestion(cohort, rejects)
    assert "left out by the mapping: 67 rows because its code is not listed under technique" in lines
    assert "left out by the mapping: 200 rows because no procedure refers to it in person" in lines
    assert "left out by the mapping: 200 rows because the mapping does not name it in measurement" in lines
    assert cohort.details["files"]["measurement"]["rows"] == 1000


def test_a_condition_is_its_own_value(tmp_path: Path, mapping: Path) -> None:
    indication = (
        "  indication: {named: [5, 6], file: condition_occurrence, codes: {5: lumbar_facet, 6: sacroiliac_joint}}"
    )
    mapping.write_text(MAPPING.replace("  pain_nrs:", f"{indication}\n  pain_nrs:", 1), encoding="utf-8")
    tables = make_tables(3)
    days = tables["procedure_occurrence"].groupby("person_id")["procedure_date"].first()
    conditions = [(1, 5, days[1] - pd.Timedelta(days=80)), (1, 6, days[1] - pd.Timedelta(days=10)), (2, 5, days[2])]
    columns = ["person_id", "condition_concept_id", "condition_start_date"]
    tables["condition_occurrence"] = pd.DataFrame(conditions, columns=columns)
    for name, table in tables.items():
        write_csv(table, tmp_path / name)
    cohort, rejects = ingest(tmp_path, mapping)
    assert rejects.empty
    found = cohort.episodes.drop_duplicates("patient_id")["indication"].fillna("").tolist()
    assert found == ["sacroiliac_joint", "lumbar_facet", ""]
    (tmp_path / "condition_occurrence.csv").unlink()
    with pytest.raises(DataError, match="condition_occurrence"):
        ingest(tmp_path, mapping)


def test_a_bound_is_no_value(tmp_path: Path, mapping: Path) -> None:
    tables = make_tables(20)
    tables["measurement"].loc[0, "operator_concept_id"] = 4172704
    for name, table in tables.items():
        write_csv(table, tmp_path / name)
    cohort, rejects = ingest(tmp_path, mapping)
    assert rejects[["table", "row", "column", "rule"]].to_numpy().tolist() == [
        ["measurement", 1, "operator_concept_id", "comparator"]
    ]
    assert cohort.episodes["pain_nrs"].isna().tolist()[0]


def test_tables_that_are_needed_are_named(tmp_path: Path, mapping: Path) -> None:
    tables = make_tables(5)
    write_csv(tables["procedure_occurrence"], tmp_path / "procedure_occurrence")
    with pytest.raises(
        DataError, match="person, visit_occurrence, condition_occurrence, measurement or obs"
    ) as refused:
        ingest(tmp_path, mapping)
    assert refused.value.code == "PC-REGISTRY-19"
    write_parquet(tables["procedure_occurrence"], tmp_path / "procedure_occurrence")
    with pytest.raises(DataError, match="two files") as refused:
        ingest(tmp_path, mapping)
    assert refused.value.code == "PC-LONG-01"


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("model: omop", "model: omopp", "did you mean 'omop'"),
        ("model: omop", "model: omop\n  file: a.csv", "either 'file', or 'model"),
        ("model: omop", "model: omop\n  join: [{file: a, by: b}]", "cannot be combined with 'model'"),
        ("file: person, reads: year of birth", "file: people, reads: year of birth", "no file 'people'"),
    ],
)
def test_a_mistake_in_a_mapping_is_refused(mapping: Path, old: str, new: str, words: str) -> None:
    mapping.write_text(MAPPING.replace(old, new), encoding="utf-8")
    with pytest.raises(SettingsError, match=words):
        ingest([], mapping)
