"""Files of patients with one fault each: every patient is answered, or rejected with the place."""

from __future__ import annotations

import io
import os
import re
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from paincast.cohort.reading import batches as reading
from paincast.errors import DataError
from paincast.schema import EPISODES, RESEARCH_MARK
from paincast.serving.batch import BatchSummary, predict_file, read_predictions

COLUMNS = ["episode_id", "technique", "indication", "age_years", "pain_nrs", "odi", "pain_pattern", "notes"]


def make_rows() -> list[list[str]]:
    return [[f"ex-{n}", "", "lumbar_facet", str(40 + n), str(4 + n % 5), str(30 + n), "", ""] for n in range(1, 11)]


@pytest.fixture
def answer(tmp_path: Path, models_folder: Path):
    """Predict for rows below a header; the ids answered, the rejects by place and rule, and the summary."""

    def call(
        rows: list[list[str]] | Path, header: list[str] | None = None, **options
    ) -> tuple[list[str], list[tuple[int, str]], BatchSummary]:
        source = rows if isinstance(rows, Path) else tmp_path / "in.csv"
        if not isinstance(rows, Path):
            source.write_text("".join(",".join(row) + "\n" for row in [header or COLUMNS, *rows]))
        out = tmp_path / "out.parquet"
        summary = predict_file(source, out, models=models_folder, techniques=["facet_rfa"], **options)
        rejects = [] if summary.rejects_path is None else pd.read_csv(summary.rejects_path, keep_default_na=False)
        told = rejects[["row", "rule"]].to_numpy().tolist() if len(rejects) else []
        known = [(place, rule) for place, rule in told if rule != "unknown column"]
        return read_predictions(out)["episode_id"].tolist(), known, summary

    return call


def ids_without(*places: int) -> list[str]:
    return [f"ex-{n}" for n in range(1, 11) if n not in places]


@pytest.mark.slow
def test_a_row_cut_short_or_too_long_is_not_answered(answer) -> None:
    for change, rule in ((lambda row: row[:-3], "too few cells"), (lambda row: [*row, "x"], "too many cells")):
        rows = make_rows()
        rows[1] = change(rows[1])
        ids, rejects, summary = answer(rows)
        assert (ids, rejects) == (ids_without(2), [(2, rule)])
        assert (summary.n_patients, summary.reject_share) == (10, 0.1)


@pytest.mark.slow
@pytest.mark.parametrize("batch_rows", [1, 3, 5000])
def test_a_mark_opened_in_one_patient_and_closed_in_another_swallows_nobody(answer, batch_rows: int) -> None:
    rows = make_rows()
    rows[1][7], rows[5][7] = '"said fine', 'done"'
    ids, rejects, _ = answer(rows, chunk_rows=batch_rows)
    assert (ids, rejects) == (ids_without(2, 6), [(2, "quotation mark"), (6, "quotation mark")])


@pytest.mark.slow
def test_spaces_around_a_name_change_no_answer(answer, tmp_path: Path) -> None:
    answer(make_rows())
    plain = read_predictions(tmp_path / "out.parquet")
    ids, rejects, _ = answer(make_rows(), [f" {name}\u00a0" for name in COLUMNS])
    assert (ids, rejects) == (ids_without(), [])
    pd.testing.assert_frame_equal(read_predictions(tmp_path / "out.parquet"), plain)


@pytest.mark.slow
@pytest.mark.parametrize("index", [["episode_id"], ["episode_id", "age_years"]])
def test_what_pandas_put_into_the_index_is_read(answer, tmp_path: Path, index: list[str]) -> None:
    answer(make_rows())
    plain = read_predictions(tmp_path / "out.parquet")
    patients = pd.DataFrame(make_rows(), columns=COLUMNS).astype({"age_years": "int64"}).drop(columns="notes")
    patients.set_index(index).to_parquet(tmp_path / "in.parquet")
    ids, rejects, _ = answer(tmp_path / "in.parquet")
    assert (ids, rejects) == (ids_without(), [])
    pd.testing.assert_frame_equal(read_predictions(tmp_path / "out.parquet"), plain)


def test_a_used_name_that_stands_twice_refuses_the_file_and_an_unused_one_does_not(answer) -> None:
    with pytest.raises(DataError, match="'odi' appears twice"):
        answer(make_rows(), [*COLUMNS[:-1], "odi"])
    ids, rejects, summary = answer(make_rows(), [*COLUMNS[:-2], "notes", "notes"])
    assert (ids, rejects, summary.reject_share) == (ids_without(), [(0, "duplicate column")], 0.0)


@pytest.mark.slow
def test_a_cell_that_cannot_be_read_is_told_with_the_answer(answer, tmp_path: Path) -> None:
    rows = make_rows()
    rows[2][6] = "x" * 40_000
    ids, rejects, _ = answer(rows, chunk_rows=2)
    assert (ids, rejects) == (ids_without(), [(3, "cell too long")])
    told = read_predictions(tmp_path / "out.parquet").set_index("episode_id")["cautions"]
    assert "pain_pattern" in told["ex-3"]
    assert not told.drop("ex-3").str.contains("unusable").any()


@pytest.mark.slow
def test_a_column_of_lists_is_told_with_every_answer(answer, tmp_path: Path) -> None:
    table = pa.Table.from_pandas(pd.DataFrame(make_rows(), columns=COLUMNS).drop(columns=["notes", "pain_pattern"]))
    pq.write_table(table.append_column("pain_pattern", pa.array([["x"]] * 10)), tmp_path / "in.parquet")
    ids, rejects, summary = answer(tmp_path / "in.parquet", chunk_rows=3)
    assert (ids, rejects, summary.reject_share) == (ids_without(), [(0, "column type")], 1.0)
    assert read_predictions(tmp_path / "out.parquet")["cautions"].str.contains("pain_pattern").all()


def test_labels_and_sums_are_no_patients_and_no_loss(answer) -> None:
    rows = make_rows()
    labels = ["Case", "Technique", "Diagnosis", "Age", "Pain", "Disability", "", ""]
    sums = ["Mean", "", "", "45", "6", "35", "", ""]
    ids, rejects, summary = answer([labels, *rows, sums])
    assert (ids, rejects) == (ids_without(), [(1, "not a patient"), (12, "not a patient")])
    assert (summary.n_patients, summary.reject_share) == (10, 0.0)


def test_a_file_that_shrinks_leaves_the_output_as_it_was(tmp_path: Path, models_folder: Path, monkeypatch) -> None:
    source = tmp_path / "in.csv"
    source.write_text("".join(",".join(row) + "\n" for row in [COLUMNS, *make_rows()]))
    real = reading.RowRules.leave_out

    def shrink(rules: reading.RowRules, block: reading.Block) -> reading.Block:
        os.truncate(source, source.stat().st_size // 2)
        return real(rules, block)

    monkeypatch.setattr(reading.RowRules, "leave_out", shrink)
    with pytest.raises(DataError, match="changed while it was read"):
        predict_file(source, tmp_path / "out.csv", models=models_folder)
    assert [path.name for path in tmp_path.iterdir()] == ["in.csv"]


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_a_pipe_is_called_what_it_is(tmp_path: Path, models_folder: Path, suffix: str) -> None:
    os.mkfifo(tmp_path / f"in{suffix}")
    with pytest.raises(DataError, match=re.escape(f"in{suffix} is a named pipe")):
        predict_file(tmp_path / f"in{suffix}", tmp_path / "out.csv", models=models_folder)


def test_the_columns_of_these_rows_are_those_of_the_contract() -> None:
    assert set(COLUMNS) - set(EPISODES) == {"notes"}


DAMAGES = ["", "Zyxwv", '"', "1,5", "n/a", "\n", ";", "x y", "999", "-1", "lumbar_facet", "ex-1", "Total", "Stand:"]


@pytest.mark.slow
@given(
    st.lists(st.tuples(st.integers(0, 9), st.integers(0, 7), st.sampled_from(DAMAGES)), max_size=8), st.integers(1, 12)
)
@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
def test_every_row_of_a_damaged_file_is_answered_abstained_or_rejected(
    tmp_path_factory: pytest.TempPathFactory, models_folder: Path, damages: list[tuple[int, int, str]], batch_rows: int
) -> None:
    folder, rows = tmp_path_factory.mktemp("damaged"), make_rows()
    for row, column, value in damages:
        rows[row][column] = value
    text = "".join(",".join(row) + "\n" for row in [COLUMNS, *rows])
    (folder / "in.csv").write_text(text)
    summary = predict_file(folder / "in.csv", folder / "out.csv", models=models_folder, chunk_rows=batch_rows)
    answers = read_predictions(folder / "out.csv")
    rejects = pd.read_csv(summary.rejects_path or io.StringIO("row,rule,action"), keep_default_na=False)
    left_out = rejects[(rejects["action"] == "row left out") & (rejects["row"] > 0)]
    n_ids = answers["episode_id"].nunique()
    no_patients = left_out["rule"] == "not a patient"
    assert n_ids + left_out.loc[~no_patients, "row"].nunique() == summary.n_patients
    assert (answers["abstained"] == answers["probability"].isna()).all()
    assert (answers["abstained"] == (answers["abstained_because"] != "")).all()
    assert set(answers["use"]) <= {RESEARCH_MARK}
    if not any(value in ('"', "\n") for _, _, value in damages):
        blank = sum(not "".join(row).strip() for row in rows)
        assert summary.n_patients + no_patients.sum() + blank == len(rows)
        whole = {place for place, row in enumerate(rows, 1) if ",".join(row).count(",") == len(COLUMNS) - 1}
        assert set(left_out["row"]) >= set(range(1, len(rows) + 1)) - whole
    assert "Zyxwv" not in rejects.to_csv()


PATIENTS = pd.DataFrame(
    {
        "episode_id": [f"ex-{n}" for n in range(1, 7)],
        "site_id": ["Köln", "Görlitz"] * 3,
        "indication": "lumbar_facet",
        "sex": ["female", "male"] * 3,
        "age_years": [41.5, 52.25, 63.0, 74.5, 48.0, 59.0],
        "pain_nrs": [7.5, 6.0, 8.5, 5.0, 9.0, 4.5],
        "odi": [40.0, 52.0, 61.0, 33.0, 28.0, 47.0],
    }
)


def write_patients(form: str, folder: Path) -> Path:
    """Write the patients as a file of another form; returns the path to predict for."""
    if form in ("sav", "dta"):
        pyreadstat = pytest.importorskip("pyreadstat")
        coded = PATIENTS.assign(sex=PATIENTS["sex"].map({"female": 1.0, "male": 2.0}))
        write = pyreadstat.write_sav if form == "sav" else pyreadstat.write_dta
        write(coded, folder / f"in.{form}", variable_value_labels={"sex": {1: "Female", 2: "Male"}})
        return folder / f"in.{form}"
    if form == "folder":
        (folder / "in").mkdir()
        PATIENTS[:2].to_csv(folder / "in" / "a.csv", index=False)
        PATIENTS[2:].to_csv(folder / "in" / "b.csv", index=False, sep=";", encoding="utf-16")
        return folder / "in"
    separator, decimal, encoding = form.split()
    PATIENTS.to_csv(folder / "in.csv", index=False, sep=separator, decimal=decimal, encoding=encoding)
    return folder / "in.csv"


@pytest.mark.slow
@pytest.mark.parametrize("form", ["; , windows-1252", "| , utf-16", ", , utf-8-sig", "sav", "dta", "folder"])
def test_every_form_of_a_file_gets_the_same_answers(tmp_path: Path, models_folder: Path, form: str) -> None:
    answers = []
    for name, written in (("plain", ", . utf-8"), ("other", form)):
        (tmp_path / name).mkdir()
        source, out = write_patients(written, tmp_path / name), tmp_path / f"{name}.parquet"
        summary = predict_file(source, out, models=models_folder, techniques=["facet_rfa"], chunk_rows=2)
        assert (summary.n_patients, summary.n_rejects) == (6, 0)
        answers.append(read_predictions(out))
    assert answers[0]["probability"].notna().all()
    pd.testing.assert_frame_equal(*answers)
