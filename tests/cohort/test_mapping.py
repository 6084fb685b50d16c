from __future__ import annotations

from pathlib import Path

import pytest

from paincast.cohort.coercion import to_code
from paincast.cohort.registry.data_sets import list_data_sets
from paincast.cohort.registry.mapping import list_mappings, load_mapping
from paincast.cohort.registry.units import unit_factors
from paincast.errors import SettingsError
from paincast.schema import EPISODES, TABLES
from paincast.settings import find_configs

WHOLE = """
title: A registry
read:
  file: procedures.csv
  separator: semicolon
  decimal: comma
  join:
    - {file: scores.csv, by: id}
keep_rows_where:
  - {column: state, is: [done], is_not: others, because: it was not done}
procedure_date: {column: day, date_format: "%d.%m.%Y"}
episodes:
  episode_id: {column: id}
  patient_id: {column: person}
  technique: {column: ops, codes: {010: facet_rfa, no: no_procedure}}
  smoker: {column: smokes, codes: {yes: true, no: false, 9: missing}}
  weight_kg: {column: weight, unit: pounds}
  catastrophizing_pcs: {column: pcs, file: scores.csv}
visits:
  - month: {column: seen, reads: months since procedure, date_format: "%d.%m.%Y"}
    pain_nrs: {column: fall, reads: percent reduction from baseline}
events:
  - file: events.csv
    episode_id: {column: id}
    kind: {always: complication}
    when: {column: text, contains: [bleed]}
cannot_tell:
  - anything
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "registry.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_the_published_mappings_load_and_pin_their_files() -> None:
    names = list_mappings()
    assert {"back_pain_placebo_2022", "caudal_esi_2018", "genicular_rfa_2024", "trigeminal_percutaneous_2024"} <= set(
        names
    )
    pinned = {source.name: {file.name: file.sha256 for file in source.files} for source in list_data_sets()}
    for name in names:
        mapping = load_mapping(name)
        assert mapping.name == name
        assert mapping.citation
        assert mapping.licence
        assert mapping.cannot_tell
        assert dict(mapping.hashes) == pinned[name]
        assert set(mapping.files) <= set(mapping.hashes)


def test_pain_during_the_procedure_is_never_read() -> None:
    fields = load_mapping("caudal_esi_2018").episodes.values()
    assert "YS_During_Pain" not in {field.column for field in fields}


def test_a_whole_mapping_is_read_as_written(tmp_path: Path) -> None:
    mapping = load_mapping(write(tmp_path, WHOLE))
    assert mapping.files == ("procedures.csv", "scores.csv", "events.csv")
    assert mapping.dialect.separator == ";"
    assert mapping.dialect.decimal == "comma"
    assert mapping.episodes["technique"].codes == {"010": "facet_rfa", "no": "no_procedure"}
    assert mapping.episodes["smoker"].codes == {"yes": "true", "no": "false", "9": None}
    assert mapping.episodes["weight_kg"].factor == pytest.approx(0.45359237)
    assert mapping.keep_rows_where[0].is_not is None


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("episodes:", "episode:", r"line 12, episode: unknown key 'episode'; did you mean 'episodes'"),
        ("separator:", "seperator:", r"line 5, read.seperator: unknown key 'seperator'; did you mean 'separator'"),
        ("by: id", "buy: id", r"read.join\[1\].buy: unknown key 'buy'"),
        ("is_not: others", "isnot: others", r"keep_rows_where\[1\].isnot: .* did you mean 'is_not'"),
        ("because: it", "why: it", r"keep_rows_where\[1\].why: unknown key"),
        ("unit: pounds", "unitt: pounds", r"line 17, episodes.weight_kg.unitt: .* did you mean 'unit'"),
        ("weight_kg:", "weight:", r"episodes.weight: unknown column 'weight'; did you mean 'weight_kg'"),
        ("    pain_nrs:", "    pain_nsr:", r"visits\[1\].pain_nsr: unknown key .* did you mean 'pain_nrs'"),
        ("kind: {", "kinds: {", r"events\[1\].kinds: unknown key .* did you mean 'kind'"),
        ("contains:", "contain:", r"events\[1\].when.contain: unknown key"),
        ("  file: procedures.csv", "  fil: procedures.csv", r"read.fil: unknown key 'fil'; did you mean 'file'"),
        ("date_format: \"%d.%m.%Y\"}\nep", "format: x}\nep", r"procedure_date.format: unknown key 'format'"),
        ("separator: semicolon", "separator: dash", r"unknown value 'dash'"),
        ("unit: pounds", "unit: pund", r"unknown value 'pund'; did you mean 'pounds'"),
        ("unit: pounds", "unit: [pounds]", r"must be a single value"),
        ("unit: pounds", 'unit: ""', r"is empty; give a value"),
        ("facet_rfa", "facet_rf", r"unknown value 'facet_rf'; did you mean 'facet_rfa'"),
        ("yes: true", "yes: maybe", r"unknown value 'maybe'"),
        ("yes: true, no: false", "yes: true, yes: false", r"the key 'yes' appears twice"),
        ("9: missing", "9: missing, 9.0: false", r"the code '9.0' appears twice"),
        ("cannot_tell:\n  - anything", "cannot_tell: anything", r"cannot_tell: must be a list"),
        ("{column: id}\n  patient_id", "id\n  patient_id", r"must be a block of 'key: value' lines"),
        ("  patient_id: {column: person}\n", "", r"the key 'patient_id' is missing; every episode needs it"),
        ("month: {column: seen", "odi: {column: seen", r"visits\[1\]: the key 'month' is missing"),
        ("    episode_id: {column: id}\n    kind", "    kind", r"a block with its own file needs 'episode_id'"),
        ("{column: person}", "{column: person, always: x}", r"exactly one of 'column', 'columns', 'always'"),
        ("{column: person}", "{row_number: perhaps}", r"unknown value 'perhaps'"),
        ("{column: person}", "{column: person, unit: kg}", r"'unit' does not apply here"),
        ("unit: pounds", "reads: change from baseline", r"does not apply to weight_kg"),
        ("file: scores.csv}\nv", "file: score.csv}\nv", r"no file 'score.csv' .* did you mean 'scores.csv'"),
        ("procedure_date: {column: day, date_format: \"%d.%m.%Y\"}\n", "", r"needs the top-level key 'procedure_date'"),
        ("{column: person}", "{column: TODO}", r"is incomplete: TODO at line 14 \(episodes.patient_id.column\)"),
        ("title: A registry", "title: [A", r"not valid YAML"),
        ("title: A registry", "title: A registry\n[a, b]: c", r"a key must be a single value"),
        ("title: A registry", "title: A registry\n? {a: b}\n: c", r"a key must be a single value"),
    ],
)  # fmt: skip
def test_a_mistake_is_refused_with_its_place(tmp_path: Path, old: str, new: str, words: str) -> None:
    assert WHOLE.count(old) >= 1
    path = write(tmp_path, WHOLE.replace(old, new, 1))
    with pytest.raises(SettingsError, match=words) as caught:
        load_mapping(path)
    assert "registry.yaml" in str(caught.value)


@pytest.mark.parametrize(
    ("field", "words"),
    [
        ("age_years: {always: old}", "is not a number"),
        ("age_years: {always: 200}", "out of range; allowed: a number from 0 to 120 years"),
        ("diabetes: {always: perhaps}", "unknown value 'perhaps'"),
        ("diabetes: {column: a, true_if_contains: smoke}", "must be a list"),
        ("age_years: {column: a, true_if_contains: [old]}", "does not apply here"),
        ("age_years: {column: a, date_format: x}", "'date_format' does not apply here"),
        ("age_years: {always: 5, unit: years}", "cannot be combined with"),
    ],
)
def test_a_field_that_makes_no_sense_is_refused(tmp_path: Path, field: str, words: str) -> None:
    with pytest.raises(SettingsError, match=words):
        load_mapping(write(tmp_path, WHOLE.replace("visits:", f"  {field}\nvisits:", 1)))


@pytest.mark.parametrize("meaning", ["{}", "[]", "[{}]", "{means: true}", "[[]]"])
def test_a_code_whose_meaning_is_empty_is_refused(tmp_path: Path, meaning: str) -> None:
    text = WHOLE.replace("9: missing", f"9: {meaning}", 1)
    with pytest.raises(SettingsError, check=lambda error: error.code == "PC-REGISTRY-14"):
        load_mapping(write(tmp_path, text))


def test_rows_of_several_visits_need_an_id(tmp_path: Path) -> None:
    text = WHOLE.replace("episode_id: {column: id}", "episode_id: {row_number: true}", 1)
    with pytest.raises(SettingsError, match="'row_number' cannot link them"):
        load_mapping(write(tmp_path, text + "baseline_rows: {column: time, is: [1], is_not: others}\n"))


def test_a_mapping_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="there is no mapping named 'caudal_esi'; did you mean 'caudal_esi_2018'"):
        load_mapping("caudal_esi")
    with pytest.raises(SettingsError, check=lambda error: error.code == "PC-FILES-06"):
        load_mapping(tmp_path / "absent.yaml")
    with pytest.raises(SettingsError, check=lambda error: error.code == "PC-FILES-06"):
        load_mapping(tmp_path)
    with pytest.raises(SettingsError, match="is empty"):
        load_mapping(write(tmp_path, ""))
    (tmp_path / "latin.yaml").write_bytes("title: Ü".encode("latin-1"))
    with pytest.raises(SettingsError, match="not UTF-8"):
        load_mapping(tmp_path / "latin.yaml")


def test_every_unit_leads_into_the_unit_of_the_contract() -> None:
    for columns in TABLES.values():
        for column in columns.values():
            if column.unit is not None:
                assert 1.0 in unit_factors(column).values()
    assert 70 * unit_factors(EPISODES["pain_nrs"])["0-100"] == pytest.approx(7)
    assert 150_000 * unit_factors(EPISODES["platelets_10e9_per_l"])["1/uL"] == pytest.approx(150)
    assert 12 * unit_factors(EPISODES["systolic_blood_pressure_mmhg"])["kPa"] == pytest.approx(90, abs=0.01)
    assert 365.25 * unit_factors(EPISODES["pain_duration_months"])["days"] == pytest.approx(12)
    assert 52.17857 * unit_factors(EPISODES["pain_duration_months"])["weeks"] == pytest.approx(12, rel=1e-5)


def test_codes_are_compared_in_one_form() -> None:
    assert [to_code(code) for code in ("1.0", " 1", "01", "1.50", "no  surgery\n")] == [
        "1",
        "1",
        "01",
        "1.50",
        "no surgery",
    ]


def test_every_example_of_the_guide_loads(tmp_path: Path) -> None:
    guide = (find_configs() / "mapping" / "README.md").read_text(encoding="utf-8")
    examples = guide.split("```yaml\n")[1].split("```")[0].splitlines()
    assert len(examples) > 10
    for example in examples:
        name = example.split(":")[0]
        in_visit = name in ("month", "pgic") or "baseline" in example
        load_mapping(write(tmp_path, _with_field(example, in_visit=in_visit)))


def _with_field(example: str, *, in_visit: bool) -> str:
    name = example.split(":")[0]
    before, after = WHOLE.split("visits:\n")
    part = after if in_visit else before
    kept = [line for line in part.splitlines() if not line.strip(" -").startswith(f"{name}:")]
    if not in_visit:
        return "\n".join([*kept, f"  {example}", "visits:", after])
    rest = [line.replace("    pain_nrs", "  - pain_nrs") if name == "month" else line for line in kept]
    return "\n".join([before, "visits:", *rest[:1], f"    {example}", *rest[1:]])
