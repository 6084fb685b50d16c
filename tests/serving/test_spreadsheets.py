"""Ids that a spreadsheet would execute are written so that it does not, and come back as they were."""

from __future__ import annotations

import csv
import io
import tempfile
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from paincast.cohort.tables import conform
from paincast.files.spreadsheets import escape_formula, restore_formula, write_csv, write_rows
from paincast.predictor import PREDICTION_COLUMNS, make_abstentions
from paincast.serving.batch import PREDICTION_SCHEMA, predict_file, read_predictions
from paincast.serving.batch.output import PredictionsDraft, join_predictions

FORMULAS = ("=1+1", "+1", "-5", "@SUM(A1)", "\t=1", "\r=1", "=cmd|' /C calc'!A0", "＝1", "'=1", "''", "a;=1", "a\n=1")
SAFE = ("p-17", "17", "a=b", "NA", "null", "", "a,b", 'a"b', "ä;b", "0-1", "None")
IDS = st.text(alphabet=st.one_of(st.sampled_from(list("=+-@'\t\r\n,;\"| 0aNA")), st.characters(codec="utf-8")))


def begins_formula(cell: str) -> bool:
    return cell[:1] in tuple("=+-@\t\r＝＋－＠")


@pytest.mark.parametrize("text", [*FORMULAS, *SAFE])
def test_a_text_comes_back_and_begins_no_formula(text):
    escaped = escape_formula(text)
    assert restore_formula(escaped) == text
    assert not any(begins_formula(cell) for cell in [escaped, *escaped.split(";"), *escaped.splitlines()])
    assert (escaped == text) == (text in SAFE)


@given(IDS)
def test_any_text_comes_back(text):
    assert restore_formula(escape_formula(text)) == text
    assert not begins_formula(escape_formula(text))


def write_and_read(ids: list[str], suffix: str) -> pd.DataFrame:
    episodes = pd.DataFrame({"episode_id": ids, "patient_id": ids[::-1]}, dtype="str")
    rows = make_abstentions(conform("episodes", episodes), "facet_rfa", "pain_response", "because")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, f"out{suffix}")
        draft = PredictionsDraft(Path(folder, "part"), suffix)
        draft.write(pa.Table.from_pandas(rows, schema=PREDICTION_SCHEMA, preserve_index=False))
        draft.close()
        join_predictions([Path(folder, "part")], path, suffix)
        return read_predictions(path)


@pytest.mark.slow
@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
@given(ids=st.lists(IDS.filter(lambda text: "\x00" not in text), min_size=1, max_size=8))
@settings(max_examples=60)
def test_any_ids_of_predictions_come_back(suffix, ids):
    read = write_and_read(ids, suffix)
    assert read["episode_id"].tolist() == ids
    assert read["patient_id"].tolist() == ids[::-1]
    assert tuple(read.columns) == PREDICTION_COLUMNS


def test_a_file_of_predictions_holds_no_formula_and_ids_come_back(models_folder, tmp_path):
    ids = [*FORMULAS, *(text for text in SAFE if text not in ("", "null", "NA", "None"))]
    ids = [text for text in ids if text == text.strip() and "\n" not in text]
    frame = pd.DataFrame({"episode_id": ids, "patient_id": ids, "indication": "lumbar_facet", "pain_nrs": 7})
    frame.rename(columns={}).assign(**{"=HYPERLINK(1)": 1}).to_parquet(tmp_path / "patients.parquet", index=False)
    for suffix in (".csv", ".parquet"):
        out = tmp_path / f"out{suffix}"
        predict_file(tmp_path / "patients.parquet", out, models=models_folder)
        read = read_predictions(out)
        assert set(read["episode_id"]) <= set(ids)
        assert {"=1+1", "-5", "'=1"} <= set(read["episode_id"])
    for name in ("out.csv", "out.rejects.csv"):
        with (tmp_path / name).open(newline="", encoding="utf-8") as stream:
            cells = [cell for row in csv.reader(stream) for cell in row]
        assert not [cell for cell in cells if begins_formula(cell) and not cell.lstrip("-").replace(".", "").isdigit()]


@given(
    st.lists(
        st.tuples(
            st.none() | st.text(max_size=8) | st.sampled_from([*FORMULAS, *SAFE, "a\rb", 'q"u', "c,d", "e\nf"]),
            st.none() | st.floats(allow_nan=True),
            st.integers(-(2**53), 2**53),
            st.booleans(),
        ),
        min_size=1,
        max_size=6,
    )
)
def test_rows_of_cells_are_written_as_tables_are(rows):
    texts, numbers, integers, flags = map(list, zip(*rows, strict=True))
    columns = {"t": pd.Series(texts, dtype="str"), "x": pd.Series(numbers, dtype="float64"), "n": integers, "b": flags}
    table, cells = io.StringIO(newline=""), io.StringIO(newline="")
    write_csv(pd.DataFrame(columns), table, header=False)
    write_rows([texts, numbers, integers, flags], cells)
    assert cells.getvalue() == table.getvalue()


def test_names_of_columns_are_escaped(tmp_path):
    write_csv(pd.DataFrame({"=a": ["=b"], "n": [-1.5]}), tmp_path / "a.csv")
    assert (tmp_path / "a.csv").read_text() == "'=a,n\n'=b,-1.5\n"


def test_texts_are_read_as_texts_whether_they_repeat_or_not(tmp_path):
    few, many = (pa.array([f"{number % n} of {n}" for number in range(20)]) for n in (2, 20))
    coded = pa.table({"few": few.dictionary_encode(), "many": many.dictionary_encode(), "mixed": few})
    others = pa.table(
        {"few": few.dictionary_encode(), "many": many.dictionary_encode(), "mixed": few.dictionary_encode()}
    )
    schema = pa.schema([(name, pa.string()) for name in coded.column_names])
    draft = PredictionsDraft(tmp_path / "texts.parquet", ".parquet", schema)
    for table in (coded, coded.slice(0, 0), others):
        draft.write(table)
    draft.close()
    read = pq.read_table(tmp_path / "texts.parquet")
    assert read.schema == schema
    spelled = pa.table({"few": few, "many": many, "mixed": few})
    assert read.to_pydict() == pa.concat_tables([spelled, spelled]).to_pydict()
