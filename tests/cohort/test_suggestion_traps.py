"""Names that look right and are not, and values that contradict their name: never a wrong guess without a TODO."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from paincast.cohort.registry.ingest import ingest
from paincast.cohort.registry.mapping import load_mapping
from paincast.cohort.registry.suggestion import format_dry_run, format_understood, run_dry, suggest
from paincast.cohort.registry.suggestion.language.words import read_words
from paincast.cohort.registry.suggestion.notes import Note, read_notes
from paincast.errors import DataError, SettingsError
from paincast.schema import EPISODES

PAIN = [str(4 + i % 6) for i in range(12)]


def draft(
    folder: Path, columns: Mapping[str, Sequence[str]], notes: Mapping[str, Note] | None = None
) -> dict[str, dict]:
    n = max(map(len, columns.values()))
    rows = {"patient_id": [f"P{i}" for i in range(n)], **{name: [*values] for name, values in columns.items()}}
    pd.DataFrame(rows).to_csv(folder / "in.csv", index=False)
    return yaml.load(suggest(folder / "in.csv", dictionary=notes).text, Loader=yaml.BaseLoader)


def columns_taken(mapping: dict[str, dict]) -> dict[str, str]:
    """Which columns of the file are taken without any TODO."""
    fields = [*mapping["episodes"].items(), *(pair for block in mapping.get("visits", []) for pair in block.items())]
    return {
        field["column"]: name
        for name, field in fields
        if isinstance(field, dict) and "column" in field and "TODO" not in yaml.safe_dump(field)
    }


def test_an_odi_of_at_most_50_may_be_the_raw_sum(tmp_path: Path) -> None:
    values = [str(v) for v in (10, 22, 31, 44, 50, 18, 26, 40, 12, 34, 28, 46)]
    assert draft(tmp_path, {"odi": values})["episodes"]["odi"] == {"column": "odi", "unit": "TODO"}
    assert draft(tmp_path, {"ODI (%)": values})["episodes"]["odi"] == {"column": "ODI (%)", "unit": "0-100"}
    assert draft(tmp_path, {"odi": [*values, "62"]})["episodes"]["odi"] == {"column": "odi"}
    text = suggest(tmp_path / "in.csv").text
    assert "TODO" not in next(line for line in text.splitlines() if " odi:" in line)


def test_pain_of_0_to_100_gets_its_unit(tmp_path: Path) -> None:
    values = [str(v) for v in (35, 80, 62, 71, 44, 90, 55, 60, 72, 38, 66, 81)]
    assert draft(tmp_path, {"pain": values})["episodes"]["pain_nrs"] == {"column": "pain", "unit": "0-100"}
    assert draft(tmp_path, {"pain": PAIN})["episodes"]["pain_nrs"] == {"column": "pain"}


@pytest.mark.parametrize(
    ("values", "choices", "expected"),
    [
        ("0123456", {}, "TODO"),
        ("1234567", {}, "TODO"),
        ("0123456", {"0": "Very much improved", "3": "No change", "6": "Very much worse"}, "0-6"),
        ("1234567", {"1": "Very much worse", "4": "No change", "7": "Very much improved"}, "7-1"),
        ("1234567", {"1": "Very much improved", "4": "No change", "7": "Very much worse"}, "1-7"),
    ],
)
def test_an_impression_of_change_is_read_in_its_direction_or_asked(
    tmp_path: Path, values: str, choices: dict[str, str], expected: str
) -> None:
    labels = {code: choices.get(code, f"step {code}") for code in values} if choices else {}
    mapping = draft(tmp_path, {"pgic_3m": [*values, *values]}, {"pgic_3m": Note(choices=labels)})
    field = mapping["visits"][0]["pgic"]
    if expected == "TODO":
        assert "TODO" in yaml.safe_dump(field)
    else:
        assert field == {"column": "pgic_3m", "unit": expected}


def test_the_catastrophizing_scale_is_told_by_values_or_labels_from_its_six_items_and_from_sf_36(
    tmp_path: Path,
) -> None:
    full = [str(v) for v in (3, 8, 51, 22, 40, 12, 6, 30, 33, 18, 25, 44)]
    short = [str(v) for v in (3, 8, 24, 22, 10, 12, 6, 20, 13, 18, 5, 14)]
    summary = ["31.2", "44.1", "38.7", "25.9", "51.3", "29.8", "36.6", "40.4", "33.0", "27.7", "45.5", "30.9"]
    assert columns_taken(draft(tmp_path, {"pcs": full}))["pcs"] == "catastrophizing_pcs"
    assert "pcs" not in columns_taken(draft(tmp_path, {"pcs": short}))
    assert "pcs" not in columns_taken(draft(tmp_path, {"pcs": summary}))
    for name in ("pcs6_total", "sf36_pcs", "SF-12 PCS", "pcqtotalscoreval"):
        assert columns_taken(draft(tmp_path, {name: short})).get(name) != "catastrophizing_pcs"
    labelled = {"pcs": Note(label="SF-36 physical component summary")}
    assert columns_taken(draft(tmp_path, {"pcs": full}, labelled)).get("pcs") != "catastrophizing_pcs"
    labelled = {"pcs": Note(label="Pain Catastrophizing Scale, total")}
    assert columns_taken(draft(tmp_path, {"pcs": full}, labelled))["pcs"] == "catastrophizing_pcs"


@pytest.mark.parametrize(
    ("name", "never"),
    [
        ("dass_depression", "hads_depression"),
        ("DASS21_anxiety", "hads_anxiety"),
        ("phq9_total", "hads_depression"),
        ("phq_depression", "depression"),
        ("ndi_total", "odi"),
        ("eq_vas", "pain_nrs"),
        ("eq5d_vas", "pain_nrs"),
        ("womac_pain", "womac"),
        ("V00WOMADLR", "womac"),
        ("koos_pain", "pain_nrs"),
        ("oks_5", "oks"),
        ("Knee Replacement Pre-Op Q 5", "oks"),
        ("education", "pain_duration_months"),
        ("age_at_pain_onset", "age_years"),
        ("pain_interference", "pain_nrs"),
        ("pain_relief_pct", "pain_nrs"),
        ("hospital_days", "site_id"),
        ("family_history_diabetes", "diabetes"),
        ("depression_score_raw", "depression"),
    ],
)
def test_names_of_something_else_are_never_taken(tmp_path: Path, name: str, never: str) -> None:
    values = [str(i % 5) for i in range(12)]
    assert columns_taken(draft(tmp_path, {name: values})).get(name) != never


def test_raw_sums_of_promis_are_no_t_scores(tmp_path: Path) -> None:
    sums = [str(4 + i) for i in range(12)]
    for name in ("promis_depression", "promis_pain_interference", "promis_sleep_raw"):
        assert name not in columns_taken(draft(tmp_path, {name: sums}))


def test_items_of_the_oxford_knee_score_are_not_the_score(tmp_path: Path) -> None:
    items = {f"oks_{i}": [str((i + j) % 5) for j in range(12)] for i in range(1, 13)}
    assert not set(columns_taken(draft(tmp_path, {**items, "nrs": PAIN}))) & set(items)


def test_codes_with_their_label_in_the_cell_are_understood(tmp_path: Path) -> None:
    sex = draft(tmp_path, {"sex": ["1: Male", "2: Female"] * 6})["episodes"]["sex"]
    assert sex["codes"] == {"1: Male": "male", "2: Female": "female"}
    unlabelled = draft(tmp_path, {"sex": ["1", "2"] * 6})["episodes"]["sex"]
    assert set(unlabelled["codes"].values()) == {"TODO"}
    labelled = draft(tmp_path, {"sex": ["1", "2"] * 6}, {"sex": Note(choices={"1": "weiblich", "2": "männlich"})})
    assert labelled["episodes"]["sex"]["codes"] == {"1": "female", "2": "male"}


@pytest.mark.parametrize(
    ("letters", "women"), [("FM", "F"), ("WM", "W"), ("KM", "K"), ("VM", "V"), ("HF", "F"), ("HM", "M")]
)
def test_letters_for_sex_are_read_among_the_others_of_the_column(tmp_path: Path, letters: str, women: str) -> None:
    codes = draft(tmp_path, {"sex": [*letters] * 6})["episodes"]["sex"]["codes"]
    assert {code for code, meaning in codes.items() if meaning == "female"} == {women}


def test_the_missing_word_of_a_statistics_program_is_no_value(tmp_path: Path) -> None:
    mapping = draft(tmp_path, {"nrs": [*PAIN[:10], "#NULL!", "#NULL!"], "smoker": ["yes", "no", "#NULL!"] * 4})
    assert mapping["episodes"]["pain_nrs"] == {"column": "nrs"}
    assert mapping["episodes"]["smoker"] == {"column": "smoker"}


def test_weeks_as_text_are_visits(tmp_path: Path) -> None:
    rows = [f"P{i},{visit},{5 + i % 5 - 2 * k}" for i in range(6) for k, visit in enumerate(("baseline", "week 12"))]
    (tmp_path / "in.csv").write_text("id,visit,nrs\n" + "\n".join(rows) + "\n")
    suggestion = suggest(tmp_path / "in.csv")
    mapping = yaml.load(suggestion.text, Loader=yaml.BaseLoader)
    assert mapping["baseline_rows"] == {"column": "visit", "is": ["baseline"], "is_not": ["week 12"]}
    assert mapping["visits"][0]["month"] == {"column": "visit", "codes": {"week 12": "2.76"}}
    counts = run_dry(suggestion.draft, tmp_path / "in.csv").counts.set_index("what")["n"]
    assert counts["episodes"] == 6
    assert counts["visits"] == 6


def test_a_first_visit_is_taken_for_the_baseline_only_if_a_person_says_so(tmp_path: Path) -> None:
    mapping = draft(tmp_path, {"T1_nrs": PAIN, "T2_nrs": PAIN})
    assert mapping["episodes"]["pain_nrs"] == {"column": "TODO"}
    assert [block["month"] for block in mapping["visits"]] == [{"always": "TODO"}]
    mapping = draft(tmp_path, {"T0_nrs": PAIN, "T1_nrs": PAIN})
    assert mapping["episodes"]["pain_nrs"] == {"column": "T0_nrs"}
    mapping = draft(tmp_path, {"nrs_0": PAIN, "nrs_6": PAIN, "nrs_12": PAIN})
    assert mapping["episodes"]["pain_nrs"] == {"column": "nrs_0"}
    assert [block["pain_nrs"]["column"] for block in mapping["visits"]] == ["nrs_12", "nrs_6"]


def test_names_alone_are_enough_for_a_first_draft(tmp_path: Path) -> None:
    (tmp_path / "in.csv").write_text("PatNr,Alter,NRS_baseline,NRS_3m\n")
    suggestion = suggest(tmp_path / "in.csv")
    assert set(suggestion.understood["becomes"]) == {"patient_id", "age_years", "pain_nrs"}
    assert "nothing can be read yet" in format_dry_run(run_dry(suggestion.draft, tmp_path / "in.csv"))


def test_pain_with_a_week_is_a_duration_or_a_score_of_that_week(tmp_path: Path) -> None:
    for name in ("pain_week", "pain_month"):
        assert columns_taken(draft(tmp_path, {name: PAIN})).get(name) is None
    long = [str(8 + 9 * i) for i in range(12)]
    assert draft(tmp_path, {"pain_weeks": long})["episodes"]["pain_duration_months"]["unit"] == "weeks"
    assert columns_taken(draft(tmp_path, {"pain_years": PAIN}))["pain_years"] == "pain_duration_months"


def test_the_week_that_a_questionnaire_looks_back_on_is_no_follow_up(tmp_path: Path) -> None:
    mapping = draft(tmp_path, {"bpi_avg7d": PAIN})
    assert "TODO" in yaml.safe_dump(mapping["episodes"]["pain_nrs"])
    assert "visits" not in mapping
    visits = ["before", "3 months", "6 months"] * 4
    by_visit = draft(tmp_path, {"patient_id": [f"P{i // 3}" for i in range(12)], "visit": visits, "bpi_avg7d": PAIN})
    assert by_visit["visits"][0]["pain_nrs"]["column"] == "bpi_avg7d"
    assert columns_taken(draft(tmp_path, {"pain": PAIN, "pain_7d": PAIN})) == {
        "pain": "pain_nrs",
        "pain_7d": "pain_nrs",
        "patient_id": "patient_id",
    }


def test_a_history_of_surgery_may_be_of_any_surgery(tmp_path: Path) -> None:
    assert columns_taken(draft(tmp_path, {"surgical_history": ["0", "1"] * 6})).get("surgical_history") is None


def test_worst_pain_is_not_average_pain(tmp_path: Path) -> None:
    values = {"pain_worst": PAIN, "pain_average": PAIN, "pain_now": PAIN}
    assert columns_taken(draft(tmp_path, values))["pain_average"] == "pain_nrs"
    only = draft(tmp_path, {"pain_worst": PAIN})
    assert only["episodes"]["pain_nrs"] == {"column": "TODO"}
    assert '"pain_worst"' in suggest(tmp_path / "in.csv").text


def test_what_is_computed_or_identifies_is_listed_with_its_reason_and_never_read(tmp_path: Path) -> None:
    names = ["Zyxwv Qrst"] * 12
    computed = {"responder": ["1", "0"] * 6, "delta_nrs": PAIN, "pct_improvement": PAIN, "mcid_reached": ["1", "0"] * 6}
    columns = {
        "patient_name": names,
        "phone": names,
        "MRN": names,
        "success_3m": ["1", "0"] * 6,
        **computed,
        "nrs": PAIN,
    }
    assert set(columns_taken(draft(tmp_path, columns))) == {"patient_id", "nrs"}
    suggestion = suggest(tmp_path / "in.csv")
    assert "Zyxwv" not in suggestion.text + format_understood(suggestion.understood)
    why = suggestion.understood.set_index("column")["why"]
    assert why["patient_name"] == why["phone"] == why["MRN"] == "identifies persons"
    assert all("already computed" in why[name] for name in [*computed, "success_3m"])


def test_dates_become_ages_durations_and_months(tmp_path: Path) -> None:
    mapping = draft(
        tmp_path,
        {
            "date_of_birth": [f"19{40 + i}-05-01" for i in range(12)],
            "surgery_date": ["2021-06-01"] * 12,
            "date_of_pain_onset": ["2019-06-01"] * 12,
            "nrs": PAIN,
        },
    )
    assert mapping["procedure_date"] == {"column": "surgery_date"}
    assert mapping["episodes"]["age_years"] == {"column": "date_of_birth", "reads": "years before procedure"}
    assert mapping["episodes"]["pain_duration_months"]["reads"] == "months before procedure"
    assert mapping["episodes"]["procedure_year"] == {"column": "surgery_date", "reads": "year of date"}
    assert "bmi" not in draft(tmp_path, {"bmi": ["2021-06-01"] * 12})["episodes"]


@pytest.mark.parametrize(
    ("name", "items", "months"),
    [
        ("Schmerzstärke_12Mon", ("pain", "intensity"), 12),
        ("douleur moyenne M6", ("pain", "average"), 6),
        ("dolor_3_meses", ("pain",), 3),
        ("smärta 1 år", ("pain",), 12),
        ("smerte_3mdr", ("pain",), 3),
        ("pijnscore 6 weken", ("pain",), 1.38),
        ("NRSBackPain.3m", ("nrs", "back", "pain"), 3),
        ("bpiavgpainrtngscl", ("bpi", "average", "pain"), None),
        ("Körpergröße (cm)", ("height",), None),
        ("V00WOMTSR", ("womac", "right"), 0),
        ("promisavgpainrtngpst7dscl", ("promis", "average", "pain"), None),
    ],
)
def test_names_in_many_languages_are_read_as_concepts_and_times(
    name: str, items: tuple[str, ...], months: float | None
) -> None:
    reading = read_words(name)
    assert reading.items == items
    assert (reading.time.months if reading.time else None) == (
        None if months is None else pytest.approx(months, abs=0.01)
    )


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=st.text(min_size=1, max_size=30).filter(lambda text: text.strip() == text and "\x00" not in text))
def test_any_name_gets_a_suggestion(name: str) -> None:
    reading = read_words(name)
    assert all(reading.items)


# fmt: off
NAMES = [
    "id", "PatNr", "episode_id", "sex", "Female", "age", "dob", "surgery_date", "visit", "Visite", "visit_date",
    "month", "nrs", "NRS_0", "nrs_3", "nrs_3m", "pain_worst", "vas(mm)", "odi", "odi_12mo", "delta_odi_6m", "pcs",
    "pgic_3m", "promis_depression", "phq9", "dass_d", "womac_left", "womac_right", "eq5d", "smoker", "Raucher",
    "diabetes", "weight_lbs", "Größe", "bmi", "duration", "pain_duration_years", "technique", "Verfahren", "group",
    "diagnosis", "side", "race", "mme", "c___1", "c___2", "x1", "x2", "comment", "success_3m", "site",
    "opioid_dose", "T1_odi", "T2_odi",
]
# fmt: on
KINDS = st.sampled_from(
    [
        ["1", "2", "1", "2", "1", "2"],
        ["0", "1", "", "0", "1", "#NULL!"],
        ["4", "7", "10", "3", "8", "5"],
        ["40", "70", "55", "12", "88", "63"],
        ["7,5", "6,25", "3,1", "4", "5,5", "8,2"],
        ["2021-01-02", "2021-03-04", "", "2020-05-06", "2021-01-02", "2022-01-01"],
        ["01.02.2021", "13.04.2021", "05.06.2021", "", "01.02.2021", "30.12.2022"],
        ["01/02/2021", "03/04/2021", "05/06/2021", "", "01/02/2021", "02/02/2022"],
        ["baseline", "3 months", "baseline", "3 months", "baseline", "3 months"],
        ["1: Male", "2: Female", "1: Male", "2: Female", "1: Male", "2: Female"],
        ["Facet RFA", "Block", "Facet RFA", "Facet RFA", "ISG-RFA", 'x: y, "z"'],
        ["", "", "", "", "", ""],
        ["ja", "nein", "ja", "nein", "ja", "nein"],
    ]
)


@pytest.mark.slow
@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(columns=st.dictionaries(st.sampled_from(NAMES), KINDS, min_size=1, max_size=12))
def test_any_file_gets_a_mapping_that_is_valid_but_for_its_doubts(
    tmp_path: Path, columns: dict[str, list[str]]
) -> None:
    file, mapping = tmp_path / "in.csv", tmp_path / "in.yaml"
    pd.DataFrame(columns).assign(row=[f"r{i}" for i in range(6)]).to_csv(file, index=False)
    suggestion = suggest(file)
    mapping.write_text(suggestion.text, encoding="utf-8")
    try:
        load_mapping(mapping)
    except SettingsError as error:
        assert error.code == "PC-REGISTRY-17"  # noqa: PT017
    run = run_dry(suggestion.draft, file)
    assert run.failed == ""
    assert set(suggestion.understood["column"]) == {*columns, "row"}


@pytest.mark.parametrize("timed", ["odi_12mo", "delta_odi_6m", "T2_odi"])
@pytest.mark.parametrize("is_bare", [True, False])
def test_where_rows_tell_the_times_one_column_of_a_measure_is_read(tmp_path: Path, timed: str, is_bare: bool) -> None:
    file, mapping = tmp_path / "in.csv", tmp_path / "in.yaml"
    numbers = ["40", "70", "55", "12", "88", "63"]
    visit = ["baseline", "3 months"] * 3
    columns = {"id": ["1", "1", "2", "2", "3", "3"], "visit": visit, timed: numbers, "odi_3mo": numbers}
    pd.DataFrame(columns | ({"odi": numbers} if is_bare else {})).to_csv(file, index=False)
    suggestion = suggest(file)
    mapping.write_text(suggestion.text, encoding="utf-8")
    with pytest.raises(SettingsError) as refused:
        load_mapping(mapping)
    assert refused.value.code == "PC-REGISTRY-17"
    read = [entry.settings["column"] for block in suggestion.draft.visits for entry in block.fields]
    assert read in ([["odi"]] if is_bare else [[], [timed], ["odi_3mo"]])
    unread = suggestion.understood.set_index("column")["becomes"]
    assert (unread[[timed, "odi_3mo"]] == "").sum() >= (2 if is_bare else 1)


def test_a_dictionary_of_redcap_or_a_plain_table_gives_labels(tmp_path: Path) -> None:
    heading = (
        "Variable / Field Name,Form Name,Section Header,Field Type,Field Label,"
        '"Choices, Calculations, OR Slider Labels",Field Note,Text Validation Type OR Show Slider Number,'
        "Text Validation Min,Text Validation Max,Identifier?,Branching Logic (Show field only if...),Required Field?,"
        "Custom Alignment,Question Number (surveys only),Matrix Group Name,Matrix Ranking?,Field Annotation"
    )
    fields = [
        'q1,baseline,,radio,Sex at birth,"1, Male | 2, Female",,,,,,,,,,,,',
        "q2,baseline,,text,What is your age in years?,,,integer,18,110,,,,,,,,",
        "q3,baseline,,text,Last name,,,,,,y,,,,,,,",
    ]
    (tmp_path / "redcap.csv").write_text("\n".join([heading, *fields]) + "\n")
    notes = read_notes(tmp_path / "redcap.csv")
    mapping = draft(tmp_path, {"q1": ["1", "2"] * 6, "q2": [str(40 + i) for i in range(12)], "q3": ["x"] * 12}, notes)
    assert mapping["episodes"]["sex"]["codes"] == {"1": "male", "2": "female"}
    assert mapping["episodes"]["age_years"]["column"] == "q2"
    (tmp_path / "plain.csv").write_text("variable,label,values\nq1,Sex at birth,1=Male; 2=Female\nq2,Age,\nq3,Notes,\n")
    assert read_notes(tmp_path / "plain.csv")["q1"] == Note(label="Sex at birth", choices={"1": "Male", "2": "Female"})
    (tmp_path / "other.csv").write_text("a,b\n1,2\n")
    with pytest.raises(DataError, check=lambda error: error.code == "PC-REGISTRY-30"):
        read_notes(tmp_path / "other.csv")


def make_visit_rows() -> str:
    """Eight procedures of seven patients with a row for each visit; the last patient has two."""
    heading = "PatNr,Eingriff_Nr,Geburtsdatum,Geschlecht,Eingriffsdatum,Visite,Visitendatum,Verfahren,Diagnose,VAS (mm)"
    lines = [heading]
    for i in range(8):
        patient = min(i, 6)
        who = f"P{patient:03d},{1 + i // 7},17.08.19{40 + patient},{('weiblich', 'männlich')[patient % 2]},19.10.2022"
        what = "Facetten-RFA,Facettensyndrom" if i % 3 else "ISG-RFA,ISG-Syndrom"
        visits = {
            "Ausgangswert,09.10.2022": 70,
            "Eingriff,19.10.2022": 70,
            "3 Mon.,15.01.2023": 30,
            "6 Mon.,24.04.2023": 20,
        }
        lines += [f"{who},{visit},{what},{value + i}" for visit, value in visits.items()]
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize(("encoding", "separator"), [("utf-8", ","), ("windows-1252", ";")])
def test_a_german_file_of_visits_gets_a_mapping_that_needs_no_edit(
    tmp_path: Path, encoding: str, separator: str
) -> None:
    file, mapping = tmp_path / "in.csv", tmp_path / "in.yaml"
    file.write_bytes(make_visit_rows().replace(",", separator).encode(encoding))
    suggestion = suggest(file)
    mapping.write_text(suggestion.text, encoding="utf-8")
    cohort, _ = ingest(load_mapping(mapping), [file])
    assert len(cohort.episodes) == 8
    assert cohort.episodes["patient_id"].nunique() == 7
    assert cohort.episodes["technique"].value_counts().to_dict() == {"facet_rfa": 5, "si_joint_rfa": 3}
    assert cohort.episodes["indication"].value_counts().to_dict() == {"lumbar_facet": 5, "sacroiliac_joint": 3}
    assert cohort.episodes["age_years"].between(70, 83).all()
    assert cohort.visits["month"].round(0).value_counts().to_dict() == {3.0: 8, 6.0: 8}
    assert cohort.episodes.loc[0, "pain_nrs"] == pytest.approx(7.0)
    shown = format_dry_run(run_dry(suggestion.draft, file))
    assert "episodes: 8" in shown
    assert "at least 50% less pain" in shown


def test_the_dry_run_hides_small_counts_and_leaves_out_what_is_open(tmp_path: Path) -> None:
    file = tmp_path / "in.csv"
    rows = [f"{8},{4 if i < 2 else 7},{i % 2 + 1}" for i in range(12)]
    file.write_text("nrs,nrs_3m,sex\n" + "\n".join(rows) + "\n")
    run = run_dry(suggest(file).draft, file)
    assert set(run.still_open) == {"technique", "sex"}
    counts = run.counts.set_index("what")["n"]
    assert counts["episodes"] == 12
    assert counts.isna().sum() == 1
    assert "hidden" in format_dry_run(run)
    assert "sex" in run.worst["column"].tolist()


def test_a_suggestion_is_refused_until_its_doubts_are_decided(tmp_path: Path) -> None:
    draft(tmp_path, {"nrs_back": PAIN, "nrs_leg": PAIN})
    (tmp_path / "in.yaml").write_text(suggest(tmp_path / "in.csv").text, encoding="utf-8")
    with pytest.raises(SettingsError, check=lambda error: error.code == "PC-REGISTRY-17"):
        load_mapping(tmp_path / "in.yaml")
    assert 'one of "nrs_back", "nrs_leg"' in (tmp_path / "in.yaml").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", sorted(set(EPISODES) - {"vas"}))
def test_the_name_of_every_column_of_the_contract_is_recognized(name: str) -> None:
    from paincast.cohort.registry.suggestion.names.matching import match_column
    from paincast.cohort.registry.suggestion.names.targets import gather_targets

    best = match_column(name, read_words(name), None, gather_targets())[0]
    assert (best.target.name, best.certainty) == (name, "certain")


def test_columns_of_a_contract_are_found_by_their_own_names(tmp_path: Path) -> None:
    (tmp_path / "contract.yaml").write_text(
        "contract: 1\nname: ours\npredictors:\n"
        "  crp_mg_l: {type: number, unit: mg/L, range: [0, 500], known: before}\n"
        "  modic_type: {type: category, values: [none, i, ii, iii], known: before}\n"
    )
    columns = {"CRP_mg_L": ["3", "12", "5"] * 4, "modic_type": ["i", "ii", "none"] * 4, "nrs": PAIN}
    mapping = draft(tmp_path, columns)
    assert mapping["episodes"]["crp_mg_l"] == {"column": "CRP_mg_L"}
    assert mapping["episodes"]["modic_type"]["codes"] == {"i": "i", "ii": "ii"}
    run = run_dry(suggest(tmp_path / "in.csv").draft, tmp_path / "in.csv")
    assert run.failed == ""


REDCAP = (
    "record_id,redcap_event_name,redcap_repeat_instrument,dob,sex,sx_dur,sx_dur_unit,comorb___3,comorb___99,proc_dt,"
    "nrs,visit_dt\n"
) + "".join(
    f"{i},baseline_arm_1,,19{50 + i}-01-01,{i % 2 + 1},{6 + i},1,{i % 2},{1 - i % 2},,{5 + i % 4},2022-01-01\n"
    f"{i},procedure_arm_1,,,,,,0,0,2022-01-10,,\n"
    f"{i},month_3_arm_1,,,,,,0,0,,{2 + i % 3},2022-04-10\n"
    for i in range(10)
)


def test_an_export_of_redcap_is_read_by_events_boxes_and_units(tmp_path: Path) -> None:
    (tmp_path / "in.csv").write_text(REDCAP)
    notes = {
        "sex": Note(label="Sex at birth", choices={"1": "Male", "2": "Female"}),
        "sx_dur": Note(label="Duration of symptoms"),
        "sx_dur_unit": Note(label="Unit", choices={"1": "months", "2": "years"}),
        "comorb___3": Note(label="Comorbidity Diabetes"),
        "comorb___99": Note(label="Comorbidity None"),
    }
    suggestion = suggest(tmp_path / "in.csv", dictionary=notes)
    mapping = yaml.load(suggestion.text, Loader=yaml.BaseLoader)
    episodes = mapping["episodes"]
    assert mapping["read"]["redcap"] == {"record": "record_id", "episode": {"event": "procedure_arm_1"}}
    assert episodes["diabetes"] == {"checked": "comorb___3", "none": "comorb___99", "event": "baseline_arm_1"}
    assert episodes["pain_duration_months"]["units"] == {"1": "months", "2": "years"}
    assert mapping["visits"][0]["event"] == ["month_3_arm_1"]
    (tmp_path / "in.yaml").write_text(suggestion.text.replace("{always: TODO}", "{always: facet_rfa}"))
    cohort, rejects = ingest(load_mapping(tmp_path / "in.yaml"), [tmp_path / "in.csv"])
    assert rejects.empty
    assert cohort.episodes["sex"].value_counts().to_dict() == {"male": 5, "female": 5}
    assert cohort.episodes["diabetes"].sum() == 5
    assert cohort.visits["month"].round().tolist() == [3.0] * 10


SCORES = [str(i % 10) for i in range(30)]


def write_visits(folder: Path, name: str, visits: Sequence[str], heading: str = "Monat") -> Path:
    """Thirty patients with a row for each visit."""
    rows = [f"{1000 + i};facet RFA;{visit};{(7 * i + k) % 11}" for i in range(30) for k, visit in enumerate(visits)]
    file = folder / "in.csv"
    file.write_text(f"{name};Procedure;{heading};NRS\n" + "\n".join(rows) + "\n", encoding="utf-8")
    return file


@pytest.mark.parametrize("name", ["age", "Alter (Jahre)"])
def test_years_of_birth_are_never_ages_in_days(tmp_path: Path, name: str) -> None:
    years = [str(1940 + i) for i in range(30)]
    assert draft(tmp_path, {name: years})["episodes"]["age_years"] == {"column": name, "reads": "TODO"}
    dated = draft(tmp_path, {name: years, "procedure date": ["2020-01-05"] * 30})
    assert dated["episodes"]["age_years"] == {"column": name, "reads": "year of birth"}
    few = draft(tmp_path, {"age": [str(1300 + 20 * i) for i in range(30)]})
    assert few["episodes"]["age_years"]["unit"] != "days"


@pytest.mark.parametrize(
    "name",
    [
        "N° dossier",
        "Numéro de dossier",
        "IPP",
        "NIP",
        "Aktenzeichen",
        "Numero paziente",
        "Historia clínica",
        "Zorgnummer",
        "Patient MRN",
        "MRN",
    ],
)
def test_ids_of_patients_are_known_in_many_languages(tmp_path: Path, name: str) -> None:
    mapping = yaml.load(suggest(write_visits(tmp_path, name, ["0", "3", "12"])).text, Loader=yaml.BaseLoader)
    assert mapping["episodes"]["patient_id"] == {"column": name}
    assert mapping["baseline_rows"] == {"column": "Monat", "is": ["0"], "is_not": ["3", "12"]}


@pytest.mark.parametrize("name", ["Nr", "Lfd. Nr.", "Kod", "CPR", "Persnr", "Zyxwv"])
def test_values_that_repeat_like_ids_are_asked_about_and_rows_not_numbered(tmp_path: Path, name: str) -> None:
    suggestion = suggest(write_visits(tmp_path, name, ["0", "3", "12"]))
    mapping = yaml.load(suggestion.text, Loader=yaml.BaseLoader)
    assert mapping["episodes"]["patient_id"] == mapping["episodes"]["episode_id"] == {"column": "TODO"}
    assert f'"{name}"' in suggestion.text
    assert mapping["baseline_rows"] == {"column": "Monat", "is": ["0", "TODO"], "is_not": ["3", "12"]}


@pytest.mark.parametrize("name", ["N° dossier", "IPP", "Nr", "Lfd. Nr.", "CPR", "Kod", "Patient MRN", "Aktenzeichen"])
def test_rows_are_not_numbered_as_patients_beside_a_column_of_repeating_ids(tmp_path: Path, name: str) -> None:
    file = write_visits(tmp_path, name, ["0", "3", "12"])
    numbered = "{row_number: true}"
    (tmp_path / "in.yaml").write_text(
        f"title: t\nread: {{file: in.csv}}\nepisodes:\n  episode_id: {numbered}\n  patient_id: {numbered}\n"
        "  technique: {column: Procedure, codes: {facet RFA: facet_rfa}}\n  pain_nrs: {column: NRS}\n"
    )
    with pytest.raises(DataError, check=lambda error: error.code == "PC-REGISTRY-04"):
        ingest(load_mapping(tmp_path / "in.yaml"), [file])


def test_french_visits_are_days_weeks_and_months(tmp_path: Path) -> None:
    file = write_visits(tmp_path, "N° dossier", ["J0", "S6", "M3", "M12"], heading="Visite")
    mapping = yaml.load(suggest(file).text, Loader=yaml.BaseLoader)
    assert mapping["baseline_rows"]["is"] == ["J0"]
    assert mapping["visits"][0]["month"]["codes"] == {"S6": "1.38", "M3": "3", "M12": "12"}


@pytest.mark.parametrize("name", ["NRS final", "pain final", "HADS-D final", "NRS result", "NRS2", "NRS (2)"])
def test_a_final_or_second_score_is_never_taken_for_the_baseline(tmp_path: Path, name: str) -> None:
    mapping = draft(tmp_path, {name: SCORES})
    fields = [*mapping["episodes"].values(), *(block["month"] for block in mapping.get("visits", []))]
    assert {"column": name} not in mapping["episodes"].values()
    assert any(field in ({"column": "TODO"}, {"always": "TODO"}) for field in fields)


def test_numbers_of_questions_are_no_visits_where_a_label_tells_what_they_are(tmp_path: Path) -> None:
    labels = {
        "V12": "Worst pain before procedure",
        "V13": "Smoking status",
        "V14": "Age",
        "V15": "NRS 3 months after procedure",
    }
    columns = {"V12": SCORES, "V13": ["1", "2"] * 15, "V14": [str(30 + i) for i in range(30)], "V15": SCORES}
    mapping = draft(tmp_path, columns, {name: Note(label=label) for name, label in labels.items()})
    assert mapping["episodes"]["pain_nrs"] == {"column": "TODO"}
    assert mapping["episodes"]["smoker"]["column"] == "V13"
    assert mapping["episodes"]["age_years"] == {"column": "V14"}
    assert mapping["visits"] == [{"month": {"always": "3"}, "pain_nrs": {"column": "V15"}}]


def test_pain_of_0_to_4_and_pain_of_the_neck_are_asked_about(tmp_path: Path) -> None:
    verbal = draft(tmp_path, {"NRS": [str(i % 5) for i in range(30)]})
    assert verbal["episodes"]["pain_nrs"] == {"column": "NRS", "unit": "TODO"}
    assert draft(tmp_path, {"NRS neck": SCORES})["episodes"]["pain_nrs"] == {"column": "TODO"}


@pytest.mark.parametrize(
    "time",
    [
        "vor OP",
        "bei Aufnahme",
        "vor Intervention",
        "vor Infiltration",
        "vor Behandlung",
        "bei Eintritt",
        "avant intervention",
        "antes",
        "prima",
        "före",
        "før",
        "voor",
    ],
)
def test_words_for_before_are_known_in_many_languages(tmp_path: Path, time: str) -> None:
    mapping = draft(tmp_path, {f"NRS {time}": SCORES, "NRS 3 Monate": SCORES})
    assert mapping["episodes"]["pain_nrs"] == {"column": f"NRS {time}"}


def test_one_word_among_numbers_may_mean_that_no_value_was_recorded(tmp_path: Path) -> None:
    mapping = draft(tmp_path, {"NRS": [*SCORES, *["lost to FU"] * 6]})
    assert mapping["episodes"]["pain_nrs"] == {"column": "NRS", "missing": ["lost to FU", "TODO"]}
