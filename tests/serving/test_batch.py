"""Files in, files out: the same answers whatever the form and the chunks, nothing lost, nothing half-written."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from paincast.cohort.rejects import compute_reject_share
from paincast.errors import DataError, OutputError, SettingsError
from paincast.predictor import PREDICTION_COLUMNS
from paincast.schema import RESEARCH_MARK
from paincast.serving.batch import PREDICTION_SCHEMA, predict_file, scoring
from paincast.serving.predict import predict

HEADER = "episode_id,patient_id,indication,pain_nrs,age_years,odi\n"
GOOD = "a,p1,lumbar_facet,7,50,40\n"


@pytest.fixture
def predict_text(tmp_path, models_folder):
    """Predict for a CSV text (or bytes); the paths and the summary."""

    def call(text: str | bytes, **options):
        source = tmp_path / "patients.csv"
        source.write_bytes(text if isinstance(text, bytes) else text.encode())
        return predict_file(source, tmp_path / "out.csv", models=models_folder, **options)

    return call


def read_csv(path: Path) -> pd.DataFrame:
    frame = pd.read_csv(path, keep_default_na=False, na_values={"probability": [""], "lower": [""], "upper": [""]})
    return frame.assign(**{name: frame[name].map(json.loads) for name in ("reasons_for", "reasons_against")})


def drop_other_unit(reasons: list[dict[str, object]]) -> list[dict[str, object]]:
    return [{name: said for name, said in reason.items() if said is not None} for reason in reasons]


@pytest.mark.slow
@pytest.mark.parametrize("source_suffix", [".csv", ".parquet"])
@pytest.mark.parametrize("out_suffix", [".csv", ".parquet", ".PARQUET"])
def test_a_file_gives_what_the_function_gives(patients, models_folder, tmp_path, source_suffix, out_suffix):
    source, out = tmp_path / f"patients{source_suffix}", tmp_path / f"out{out_suffix}"
    patients.to_csv(source, index=False) if source_suffix == ".csv" else patients.to_parquet(source, index=False)
    summary = predict_file(source, out, models=models_folder)
    expected = predict(patients, models_folder)
    if out_suffix == ".csv":
        found = read_csv(out)
    else:
        assert pq.read_schema(out).equals(PREDICTION_SCHEMA)
        found = pd.DataFrame(pq.read_table(out).to_pylist())
        found["reasons_for"] = found["reasons_for"].map(drop_other_unit)
    assert tuple(found.columns) == PREDICTION_COLUMNS
    texts = ("episode_id", "technique", "abstained_because", "cautions", "use")
    for column in (*texts, "abstained", "n_real", "reasons_for"):
        assert found[column].tolist() == expected[column].tolist(), column
    assert found["probability"].astype(float).to_numpy() == pytest.approx(
        expected["probability"].to_numpy(), nan_ok=True
    )
    assert (summary.n_patients, summary.n_rejects, summary.rejects_path) == (5, 0, None)
    assert summary.n_predicted == int((~expected["abstained"]).sum())
    assert summary.n_abstained == int(expected["abstained"].sum())
    assert set(expected.loc[~expected["abstained"], "use"]) == {RESEARCH_MARK}
    assert set(summary.marked) == {"epidural_steroid_injection", "facet_rfa"}
    assert summary.by_technique["trigeminal_rhizotomy"] == (0, 1)


@pytest.mark.slow
@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_chunks_change_nothing(patients, models_folder, tmp_path, suffix):
    source = tmp_path / f"patients{suffix}"
    many = pd.concat([patients.assign(episode_id=patients["episode_id"] + str(i)) for i in range(4)], ignore_index=True)
    many["age_years"] = many["age_years"].astype(object)
    many.loc[[3, 11], "age_years"] = "old"
    many = many.astype({"age_years": "str"})
    many.to_csv(source, index=False) if suffix == ".csv" else many.to_parquet(source, index=False)
    written = []
    for rows in (3, 100):
        out = tmp_path / f"out{rows}.csv"
        predict_file(source, out, models=models_folder, chunk_rows=rows)
        written.append((out.read_text(), (tmp_path / f"out{rows}.rejects.csv").read_text()))
    assert written[0] == written[1]
    assert [line.split(",")[2] for line in written[0][1].splitlines()[1:]] == ["4", "12"]


def make_lines(**columns: str) -> str:
    """Make a file of patients a, b, c … of whom one column differs."""
    (name, values), given = (
        next(iter(columns.items())),
        dict(zip(HEADER.strip().split(","), GOOD.split(","), strict=True)),
    )
    rows = [{**given, "episode_id": "abcdefgh"[row], name: value} for row, value in enumerate(values.split())]
    return pd.DataFrame(rows).map(str.strip).to_csv(index=False)


WHOLE_FILES = {
    "ids that differ far apart": (HEADER + GOOD + GOOD.replace("a,", "b,") * 3 + GOOD.replace("50", "60"), "bbb", 4),
    "copies": (HEADER + (GOOD + GOOD.replace("a,", "b,")) * 3, "ab", 4),
    "copies and one that differs": (HEADER + GOOD * 3 + GOOD.replace("a,", "b,") + GOOD.replace("50", "60"), "b", 4),
    "a decimal comma at the end": (make_lines(odi='40 1.200 40 "40,5"').replace('"""', '"'), "abcd", 1),
    "shares among percentages": (make_lines(odi="40 50 0.4 60 0.5 0.6 0.7"), "abcdefg", 4),
    "a column in another unit": (make_lines(odi="40 50 400 500 600"), "abcde", 1),
}


@pytest.mark.slow
@pytest.mark.parametrize("what", WHOLE_FILES)
def test_what_a_whole_file_shows_holds_for_each_row_in_whatever_batches(predict_text, tmp_path, what):
    text, patients, n_rejects = WHOLE_FILES[what]
    written = []
    for rows, part_rows in ((1, 1), (2, 100), (100, 100)):
        summary = predict_text(text, chunk_rows=rows, part_rows=part_rows)
        rejects = (tmp_path / "out.rejects.csv").read_text().splitlines()
        written.append(((tmp_path / "out.csv").read_text(), sorted(rejects), summary.reject_share))
    assert written[0] == written[1] == written[2]
    assert read_csv(tmp_path / "out.csv")["episode_id"].unique().tolist() == list(dict.fromkeys(patients))
    assert summary.n_rejects == n_rejects


@pytest.mark.slow
def test_rejects_name_the_place_in_the_file_and_no_value(predict_text, tmp_path):
    lines = [
        GOOD,
        "\n",
        "b,p2,lumbar_facet,seventy,50,40\n",
        "c,p3,lumbar_facets,7,50,40\n",
        "a,p1,lumbar_facet,5,51,40\n",
    ]
    summary = predict_text(
        HEADER.replace("odi", "odi,hair") + "".join(lines).replace("40\n", "40,grey\n"), chunk_rows=2
    )
    rejects = pd.read_csv(tmp_path / "out.rejects.csv", keep_default_na=False)
    found = rejects[["row", "column", "rule", "action"]].to_numpy().tolist()
    assert sorted(found) == [
        [0, "hair", "unknown column", "column left out"],
        [1, "episode_id", "duplicate", "row left out"],
        [3, "pain_nrs", "not a number", "cell emptied"],
        [4, "indication", "category", "cell emptied"],
        [5, "episode_id", "duplicate", "row left out"],
    ]
    text = (tmp_path / "out.rejects.csv").read_text()
    assert not any(value in text for value in ("seventy", "lumbar_facets", "grey"))
    assert summary.n_rejects == 5
    assert summary.n_patients == 4
    assert summary.reject_share == 0.5
    assert read_csv(tmp_path / "out.csv")["episode_id"].unique().tolist() == ["b", "c"]


@pytest.mark.slow
def test_a_rejects_file_of_an_earlier_run_does_not_stay(predict_text, tmp_path):
    predict_text(HEADER + GOOD.replace("7", "seven"))
    assert (tmp_path / "out.rejects.csv").exists()
    predict_text(HEADER + GOOD)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.csv", "out.summary.json", "patients.csv"]


def test_ids_are_made_from_the_place_when_absent(predict_text, tmp_path):
    predict_text("indication,pain_nrs\nlumbar_facet,7\nlumbar_facet,6\nlumbar_facet,5\n", chunk_rows=2)
    assert read_csv(tmp_path / "out.csv")["episode_id"].unique().tolist() == ["row-1", "row-2", "row-3"]


@pytest.mark.slow
@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"], ids=["plain", "byte order mark"])
def test_exports_of_spreadsheets_are_read(predict_text, separator, mark):
    text = (HEADER + GOOD).replace(",", separator).replace("\n", "\r\n")
    summary = predict_text(mark + text.encode())
    assert (summary.n_rejects, summary.n_predicted) == (0, 1)


@pytest.mark.slow
def test_names_in_another_case_are_known_and_twins_are_refused(predict_text, tmp_path):
    predict_text(HEADER + GOOD)
    usual = read_csv(tmp_path / "out.csv")
    assert predict_text(HEADER.upper() + GOOD).n_rejects == 0
    pd.testing.assert_frame_equal(read_csv(tmp_path / "out.csv"), usual)
    with pytest.raises(DataError, match="'odi' appears twice"):
        predict_text(HEADER.strip() + ",ODI\n" + GOOD.strip() + ",50\n")


@pytest.mark.slow
def test_a_column_whose_name_is_nearly_that_of_an_absent_one_is_noted(predict_text):
    assert predict_text(HEADER + GOOD).notes == ()
    summary = predict_text(HEADER.replace("age_years", "Age (years)").strip() + ",surgeon\n" + GOOD.strip() + ",Jane\n")
    (note,) = summary.notes
    assert "'Age (years)'" in note
    assert "age_years" in note


UNREADABLE = [
    (b"", "is empty"),
    (HEADER.encode(), "has column names but no patients"),
    (b"\n\n\n", "must name the columns"),
    (HEADER.encode() + b"a,p1,lumbar_facet,7,50,40,\x81\n", "not WINDOWS-1252"),
    ((HEADER + GOOD).replace("pain_nrs", "pain_nsr").encode(), r"'pain_nrs' \(nearest in the data: 'pain_nsr'\)"),
    ((HEADER + GOOD).replace("indication", "indicatoin").encode(), "nearest in the data: 'indicatoin'"),
    ((HEADER + "b,p2,lumbar_facet,7,50,40,Jane\n").encode(), r"too many cells \(1\); first at row 1"),
    ((HEADER + "b,p2,lumbar_facet,7,Jane\n").encode(), r"too few cells \(1\); first at row 1"),
    ((HEADER.replace("odi", "pain_nrs") + GOOD).encode(), "'pain_nrs' appears twice"),
]


@pytest.mark.slow
@pytest.mark.parametrize(("content", "words"), UNREADABLE, ids=[words for _, words in UNREADABLE])
def test_what_cannot_be_read_is_an_error_in_words(predict_text, tmp_path, content, words):
    with pytest.raises(DataError, match=words) as told:
        predict_text(content)
    assert "Jane" not in str(told.value)
    assert [path.name for path in tmp_path.iterdir()] == ["patients.csv"]


def test_a_truncated_parquet_is_an_error_in_words(patients, models_folder, tmp_path):
    source = tmp_path / "patients.parquet"
    patients.to_parquet(source, index=False)
    source.write_bytes(source.read_bytes()[:-20])
    with pytest.raises(DataError, match="not a readable Parquet file"):
        predict_file(source, tmp_path / "out.csv", models=models_folder)


def test_a_parquet_damaged_inside_is_an_error_in_words(patients, models_folder, tmp_path):
    source = tmp_path / "patients.parquet"
    patients.to_parquet(source, index=False)
    raw = bytearray(source.read_bytes())
    raw[4:200] = bytes(196)
    source.write_bytes(raw)
    with pytest.raises(DataError, match="damaged"):
        predict_file(source, tmp_path / "out.csv", models=models_folder)
    assert [path.name for path in tmp_path.iterdir()] == ["patients.parquet"]


@pytest.mark.parametrize(
    ("source", "words"),
    [("folder.csv", "is a directory"), ("nowhere.csv", "does not exist"), ("text.docx", "unknown suffix '.docx'")],
)
def test_what_is_no_file_of_patients_is_refused(models_folder, tmp_path, source, words):
    (tmp_path / "folder.csv").mkdir()
    (tmp_path / "text.docx").write_text("x")
    with pytest.raises(DataError, match=words):
        predict_file(tmp_path / source, tmp_path / "out.csv", models=models_folder)


def test_the_output_must_be_another_file_of_a_known_kind(patients, models_folder, tmp_path):
    source = tmp_path / "out.rejects.csv"
    patients.to_csv(source, index=False)
    (tmp_path / "link.csv").symlink_to(source)
    os.link(source, tmp_path / "hard.csv")
    for out in (source, tmp_path / "out.csv", tmp_path / "link.csv", tmp_path / "hard.csv"):
        with pytest.raises(OutputError, match="is the input file of patients"):
            predict_file(source, out, models=models_folder)
    with pytest.raises(OutputError, match=r"unknown suffix '\.xlsx'"):
        predict_file(source, tmp_path / "out.xlsx", models=models_folder)
    assert source.read_text() == patients.to_csv(index=False)


def test_a_line_of_millions_of_columns_is_refused_before_it_is_split(predict_text):
    started = time.process_time()
    with pytest.raises(DataError) as told:
        predict_text(b"a," * 2_000_000 + b"\n" + b"7," * 2_000_000 + b"\n")
    assert told.value.code == "PC-READING-36"
    assert time.process_time() - started < 3


def test_dictionaries_whose_texts_differ_by_spaces_are_read(models_folder, tmp_path):
    pains = pa.array(["7", " 7", "7 "]).dictionary_encode()
    patients = pa.table({"episode_id": ["a", "b", "c"], "indication": ["lumbar_facet"] * 3, "pain_nrs": pains})
    pq.write_table(patients, tmp_path / "in.parquet")
    assert predict_file(tmp_path / "in.parquet", tmp_path / "out.csv", models=models_folder).n_rejects == 0
    assert read_csv(tmp_path / "out.csv")["probability"].nunique() == 1


@pytest.mark.parametrize("looped", ["patients.csv", "out.csv"])
def test_a_link_that_leads_back_to_itself_is_said(models_folder, tmp_path, looped):
    (tmp_path / "patients.csv").write_text(HEADER + GOOD)
    (tmp_path / looped).unlink(missing_ok=True)
    (tmp_path / looped).symlink_to(tmp_path / looped)
    if looped == "out.csv":
        predict_file(tmp_path / "patients.csv", tmp_path / "out.csv", models=models_folder)
        assert not (tmp_path / "out.csv").is_symlink()
        return
    with pytest.raises(DataError, match="back to itself") as told:
        predict_file(tmp_path / "patients.csv", tmp_path / "out.csv", models=models_folder)
    assert told.value.code == "PC-FILES-17"


def test_an_unwritable_output_is_said_before_predicting(patients, models_folder, tmp_path, monkeypatch):
    patients.to_csv(tmp_path / "patients.csv", index=False)
    (tmp_path / "taken").write_text("")
    monkeypatch.setattr(scoring, "answer_patients", lambda *_, **__: pytest.fail("predicted in vain"))
    with pytest.raises(OutputError, match="cannot write"):
        predict_file(tmp_path / "patients.csv", tmp_path / "taken" / "out.csv", models=models_folder)


@pytest.mark.slow
def test_a_failure_half_way_leaves_the_old_output(predict_text, tmp_path, monkeypatch):
    predict_text(HEADER + GOOD)
    before = (tmp_path / "out.csv").read_text()
    real, calls = scoring.answer_patients, []

    def fail_at_second(*arguments, **options):
        calls.append(1)
        if len(calls) == 2:
            raise RuntimeError("half way")
        return real(*arguments, **options)

    monkeypatch.setattr(scoring, "answer_patients", fail_at_second)
    with pytest.raises(RuntimeError, match="half way"):
        predict_text(HEADER + GOOD + GOOD.replace("a,", "b,"), chunk_rows=1)
    assert (tmp_path / "out.csv").read_text() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.csv", "out.summary.json", "patients.csv"]


def test_a_wrong_technique_is_said_before_anything_is_read(tmp_path, models_folder):
    (tmp_path / "patients.csv").write_text(HEADER + GOOD)
    with pytest.raises(SettingsError, match="did you mean 'facet_rfa'"):
        predict_file(tmp_path / "patients.csv", tmp_path / "out.csv", models=models_folder, techniques=["facet_rf"])


def make_rejects(*rows: tuple[int, str, str, str]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["row", "column", "rule", "action"])


@pytest.mark.parametrize(
    ("rows", "share"),
    [
        ([], 0.0),
        ([(0, "hair", "unknown column", "column left out")], 0.0),
        ([(0, "odi", "unit", "column left out")], 1.0),
        ([(1, "odi", "range", "cell emptied"), (2, "bmi", "range", "cell emptied")], 0.1),
        ([(1, "odi", "range", "cell emptied"), (2, "odi", "range", "cell emptied")], 0.2),
        ([(n, "episode_id", "duplicate", "row left out") for n in (1, 2, 2, 3)], 0.3),
    ],
)
def test_the_share_of_rejects_is_that_of_the_worst_column_or_of_the_rows(rows, share):
    assert compute_reject_share(make_rejects(*rows), 10) == share
