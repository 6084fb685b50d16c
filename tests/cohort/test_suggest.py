from __future__ import annotations

from pathlib import Path

import pytest

from paincast.cohort.registry.ingest import ingest
from paincast.cohort.registry.mapping import load_mapping
from paincast.cohort.registry.suggestion import run_dry, suggest, suggest_mapping
from paincast.errors import DataError, SettingsError

SECRET = "Zyxwv Secret"


def write_registry(path: Path) -> Path:
    names = "Patient ID,Sex,Age (years),Weight (lbs),VAS baseline,Procedure type,Smoking,Surgeon,Notes"
    header = f"{names},nrs_3m,delta_odi_6_months"
    rows = [
        f"P{i:03d},{'FM'[i % 2]},{40 + i},{150 + i},{40 + i},{['RF lumbar', 'Block'][i % 2]},{['yes', 'no'][i % 2]},"
        f"Surgeon {i},{SECRET} {i},{i % 11},{-i}"
        for i in range(20)
    ]
    rows.append(f"P900,F,50,160,70,{SECRET},no,,,5,-3")
    path.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    return path


def finish(text: str) -> str:
    """Fill in what a data manager would fill in."""
    for todo, value in {
        '"RF lumbar": TODO': '"RF lumbar": facet_rfa',
        '"Block": TODO': '"Block": nerve_root_block',
        "      TODO: TODO": f'      "{SECRET}": missing',
        "episode_id: {row_number: true, prefix: row-}": "episode_id: {row_number: true, prefix: case-}",
    }.items():
        assert todo in text
        text = text.replace(todo, value)
    return text


def test_names_units_codes_and_follow_ups_are_guessed(tmp_path: Path) -> None:
    text = suggest_mapping(write_registry(tmp_path / "registry.csv"))
    for line in (
        'patient_id: {column: "Patient ID"}  # guess',
        'age_years: {column: "Age (years)", unit: years}  # guess',
        'weight_kg: {column: "Weight (lbs)", unit: pounds}  # guess',
        'pain_nrs: {column: "VAS baseline", unit: 0-100}  # guess',
        'smoker: {column: "Smoking"}  # guess',
        '"F": female',
        '"M": male',
        "- month: {always: 3}",
        'pain_nrs: {column: "nrs_3m"}  # guess',
        "- month: {always: 6}",
        'odi: {column: "delta_odi_6_months", reads: change from baseline}  # guess',
        "#   Surgeon",
    ):
        assert line in text


def test_neither_free_text_nor_ids_nor_rare_values_are_shown(tmp_path: Path) -> None:
    text = suggest_mapping(write_registry(tmp_path / "registry.csv"))
    assert "Zyxwv" not in text
    assert "P0" not in text
    assert "Surgeon 1" not in text


def test_the_suggestion_is_refused_in_words_until_it_is_finished_and_then_works(tmp_path: Path) -> None:
    registry, mapping = write_registry(tmp_path / "registry.csv"), tmp_path / "registry.yaml"
    text = suggest_mapping(registry)
    mapping.write_text(text, encoding="utf-8")
    with pytest.raises(SettingsError, match=r"is incomplete: TODO at line \d+ \(episodes.technique.codes"):
        load_mapping(mapping)
    mapping.write_text(finish(text), encoding="utf-8")
    cohort, rejects = ingest(load_mapping(mapping), [registry])
    assert len(cohort.episodes) == 20
    assert cohort.episodes["technique"].value_counts().to_dict() == {"facet_rfa": 10, "nerve_root_block": 10}
    assert cohort.visits["pain_nrs"].notna().sum() == 20
    assert rejects.loc[rejects["action"] == "row left out", "column"].tolist()[0] == "technique"


@pytest.mark.slow
def test_every_real_file_gets_a_suggestion_that_is_refused_only_for_what_is_to_do(
    real_data: Path, tmp_path: Path
) -> None:
    for file in sorted(real_data.glob("*/*.[ct]sv")):
        (tmp_path / "mapping.yaml").write_text(suggest_mapping(file), encoding="utf-8")
        with pytest.raises(SettingsError, check=lambda error: error.code == "PC-REGISTRY-17"):
            load_mapping(tmp_path / "mapping.yaml")


@pytest.mark.slow
def test_a_registry_of_pain_clinics_needs_three_edits(real_data: Path, tmp_path: Path) -> None:
    registry, mapping = real_data / "choir_2021" / "choir_pain.csv", tmp_path / "choir.yaml"
    if not registry.exists():
        pytest.skip("choir_2021 is not at hand")
    suggestion = suggest(registry)
    lines = suggestion.text.splitlines()[2:]
    assert sum("TODO" in line for line in lines) == 3
    text = suggestion.text.replace("technique: {always: TODO}", "technique: {always: usual_care}")
    text = text.replace("month: {always: TODO}", "month: {always: 3}").replace(", TODO]", "]")
    mapping.write_text(text, encoding="utf-8")
    cohort, _ = ingest(load_mapping(mapping), [registry])
    assert len(cohort.episodes) == 21_658
    before = cohort.visits["episode_id"].map(cohort.episodes.set_index("episode_id")["pain_nrs"])
    assert (before.notna() & cohort.visits["pain_nrs"].notna()).sum() == 7_138
    assert cohort.episodes["body_map_count"].between(0, 74).all()
    counts = run_dry(suggestion.draft, registry).counts.set_index("what")["n"]
    assert counts.filter(like="less pain").tolist() == [588]


def test_a_file_that_cannot_be_read_gets_no_suggestion(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="is a directory"):
        suggest_mapping(tmp_path)


@pytest.mark.parametrize(
    ("dates", "reading"),
    [
        (["2021-02-27", "2022-11-30"], ", reads: year of date}"),
        (["27/02/2021", "11/12/2022"], ', reads: year of date, date_format: "%d/%m/%Y"}'),
        (["02/27/2021", "11/12/2022"], ', reads: year of date, date_format: "%m/%d/%Y"}'),
        (["01/02/2021", "11/12/2022"], ', reads: year of date, date_format: "TODO"}'),
        (["2021", "2022"], "}"),
    ],
)
def test_the_way_a_date_is_written_is_guessed_only_where_it_is_plain(tmp_path: Path, dates: list[str], reading: str):
    file = tmp_path / "registry.csv"
    file.write_text("year of procedure,NRS\n" + "".join(f"{date},7\n" for date in dates))
    line = next(line for line in suggest_mapping(file).splitlines() if "procedure_year" in line)
    assert line.startswith(f'  procedure_year: {{column: "year of procedure"{reading}  # guess')


@pytest.mark.parametrize("encoding", ["utf-8", "windows-1252", "utf-16"])
def test_an_export_with_semicolons_in_any_usual_encoding_gets_a_mapping_that_reads_it(
    tmp_path: Path, encoding: str
) -> None:
    text = "PatNr;Größe (cm);BMI\n1;170;25\n2;180;\n3;165;24\n4;160;x;y\n"
    (tmp_path / "in.csv").write_bytes(text.encode(encoding))
    suggested = suggest_mapping(tmp_path / "in.csv")
    assert "separator: semicolon" in suggested
    assert ("encoding:" in suggested) == (encoding != "utf-8")
    assert "Größe (cm)" in suggested
    assert "too many cells: 1 x, first at row 4" in suggested
    (tmp_path / "in.yaml").write_text(suggested.replace("TODO", "facet_rfa"), encoding="utf-8")
    mapping = load_mapping(tmp_path / "in.yaml")
    assert (mapping.dialect.separator, mapping.dialect.encoding or "utf-8") == (";", encoding)
    assert mapping.episodes["bmi"].column == "BMI"


def test_a_decimal_comma_and_the_unit_of_what_it_writes_are_guessed(tmp_path: Path) -> None:
    file, mapping = tmp_path / "registry.csv", tmp_path / "registry.yaml"
    file.write_text("Patient ID;VAS;BMI\n" + "".join(f"P{i};{40 + i},5;27,4\n" for i in range(6)), encoding="utf-8")
    text = suggest_mapping(file)
    assert "  decimal: comma  # detected" in text.splitlines()
    assert '  pain_nrs: {column: "VAS", unit: 0-100}  # guess' in text.splitlines()
    mapping.write_text(text.replace("{always: TODO}", "{always: facet_rfa}"), encoding="utf-8")
    cohort, rejects = ingest(load_mapping(mapping), [file])
    assert rejects.empty
    assert cohort.episodes["pain_nrs"].tolist() == pytest.approx([4.05, 4.15, 4.25, 4.35, 4.45, 4.55])
    assert set(cohort.episodes["bmi"]) == {27.4}
    file.write_text(file.read_text(encoding="utf-8").replace(",", "."), encoding="utf-8")
    assert "decimal" not in suggest_mapping(file)


def test_a_word_among_the_numbers_of_visits_ends_nothing(tmp_path: Path) -> None:
    rows = [f"P{patient},{visit},{9 - visit}" for patient in range(8) for visit in range(3)]
    text = "\n".join(["patient_id,visit,nrs", *rows, "P8,0,8", "P8,lost,"]) + "\n"
    (tmp_path / "visits.csv").write_text(text, encoding="utf-8")
    assert "column: visit" in suggest_mapping(tmp_path / "visits.csv").replace('"', "")


def test_a_folder_of_headers_alone_is_drafted(tmp_path: Path) -> None:
    (tmp_path / "export").mkdir()
    (tmp_path / "export" / "a.csv").write_text("patient_id,age,nrs\n", encoding="utf-8")
    assert "patient_id" in suggest_mapping(tmp_path / "export")
