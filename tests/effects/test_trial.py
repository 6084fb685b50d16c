"""Trial files are read strictly: what is wrong is named with its line, and what is shipped can be used."""

from __future__ import annotations

from pathlib import Path

import pytest

from paincast.contract import BUILT_IN
from paincast.effects import TargetTrial, read_trial
from paincast.effects.trial import list_covariates, list_unadjusted
from paincast.errors import PaincastError, SettingsError
from paincast.reporting.effects.protocol import describe_protocol
from paincast.schema import EPISODES
from paincast.settings.configs import find_configs

SHIPPED = sorted((find_configs() / "trial").glob("*.yaml"))

LINES = {
    "question": "question: which is better?",
    "eligibility": "eligibility:\n  indications: [lumbar_radicular_disc]",
    "strategies": (
        "strategies:\n  block: {technique: nerve_root_block}\n  epidural: {technique: epidural_steroid_injection}"
    ),
    "reference": "reference: block",
    "outcome": "outcome: pain_response",
    "month": "month: 3",
}


def read(folder: Path, **changes: str) -> TargetTrial:
    file = folder / "trial.yaml"
    file.write_text("\n".join({**LINES, **changes}.values()) + "\n", encoding="utf-8")
    return read_trial(file)


@pytest.mark.parametrize("file", SHIPPED, ids=lambda file: file.stem)
def test_shipped_trials_can_be_read(file: Path) -> None:
    trial = read_trial(file)
    assert len(trial.strategies) >= 2
    assert trial.unmeasured
    assert list_unadjusted(trial) == ()
    assert (describe_protocol(trial) != "").all(axis=None)


def test_the_reference_comes_first_whatever_the_order(tmp_path: Path) -> None:
    trial = read(tmp_path, reference="reference: epidural")
    assert [strategy.name for strategy in trial.strategies] == ["epidural", "block"]
    assert trial.reference.technique == "epidural_steroid_injection"


def test_comparators_may_be_strategies(tmp_path: Path) -> None:
    strategies = LINES["strategies"].replace("nerve_root_block", "usual_care")
    assert read(tmp_path, strategies=strategies).reference.technique == "usual_care"


def test_conditions_are_those_of_the_evidence(tmp_path: Path) -> None:
    wanted = (
        "\n  conditions:\n    - {column: age_years, at_least: 18}\n"
        "    - any: [{column: smoker, is: false}, {column: work_status, any_of: [retired, working]}]"
    )
    trial = read(tmp_path, eligibility=LINES["eligibility"] + wanted)
    assert trial.conditions == (
        {"column": "age_years", "at_least": 18.0},
        {"any": [{"column": "smoker", "is": False}, {"column": "work_status", "any_of": ["retired", "working"]}]},
    )


def test_by_default_everything_known_before_is_adjusted_for_but_the_choice(tmp_path: Path) -> None:
    covariates = list_covariates(read(tmp_path, more="negative_controls: [diabetes, satisfaction]"))
    assert "diabetes" not in covariates
    assert {"age_years", "anticoagulant", "pain_nrs", "procedure_year", "test_block_success"} <= {*covariates}
    assert {EPISODES[name].timing for name in covariates} == {"before"}
    assert not {"technique", "approach", "steroid", "payer", "patient_id", "site_id", "height_cm"} & {*covariates}


def test_a_list_of_covariates_is_taken_as_it_is(tmp_path: Path) -> None:
    assert list_covariates(read(tmp_path, more="covariates: [payer, age_years]")) == ("age_years", "payer")


def test_what_a_list_of_covariates_leaves_out_is_known(tmp_path: Path) -> None:
    everything = list_covariates(read(tmp_path))
    named = read(tmp_path, more="covariates: [payer, age_years]\nnegative_controls: [diabetes]")
    assert list_unadjusted(named) == tuple(name for name in everything if name not in ("age_years", "diabetes"))


def test_a_column_may_be_left_out_on_purpose(tmp_path: Path) -> None:
    reasons = "not_adjusted:\n  bmi: an instrument\n  payer: >-\n    does not\n    matter"
    trial = read(tmp_path, more=reasons)
    assert trial.not_adjusted == {"bmi": "an instrument", "payer": "does not matter"}
    assert "bmi" not in list_covariates(trial)
    assert list_unadjusted(trial) == ("bmi", "payer")
    listed = read(tmp_path, more=f"covariates: [age_years]\n{reasons}")
    assert {"bmi", "payer", "pain_nrs"} < {*list_unadjusted(listed)}


def swap(key: str, old: str, new: str) -> dict[str, str]:
    """Change a word of one key."""
    return {key: LINES[key].replace(old, new)}


def add(key: str, line: str) -> dict[str, str]:
    """Add a line to one key."""
    return {key: f"{LINES[key]}\n  {line}"}


ESI, DISC = "epidural_steroid_injection", "lumbar_radicular_disc"
BAD = {
    "unknown key": ({"more": "outcom: x"}, ["line 10", "outcom"]),
    "missing key": ({"month": ""}, ["month"]),
    "unknown technique": (swap("strategies", "nerve_root_block", "nerve_rot_block"), ["nerve_root_block"]),
    "one strategy": ({"strategies": "strategies:\n  block: {technique: nerve_root_block}"}, ["line 4", "two"]),
    "same strategy twice": (add("strategies", "third: {technique: nerve_root_block}"), ["line 7", "block", "third"]),
    "overlap": (add("strategies", f"third: {{technique: {ESI}, approaches: [caudal]}}"), ["epidural", "third"]),
    "approach twice": (swap("strategies", ESI, f"{ESI}, approaches: [caudal, caudal]"), ["caudal"]),
    "no approach": (swap("strategies", ESI, f"{ESI}, approaches: []"), ["approaches"]),
    "unknown approach": (swap("strategies", ESI, f"{ESI}, approaches: [cuadal]"), ["caudal"]),
    "unknown indication": (swap("eligibility", DISC, "lumbar_radicular"), [DISC]),
    "no indication": (swap("eligibility", DISC, ""), ["indications"]),
    "not treated": (swap("eligibility", DISC, "knee_osteoarthritis"), ["nerve_root_block", "knee_osteoarthritis"]),
    "unknown reference": ({"reference": "reference: sham"}, ["line 7", "sham"]),
    "unknown outcome": ({"outcome": "outcome: pain_respons"}, ["line 8", "pain_response"]),
    "outcome that is not binary": ({"outcome": "outcome: pain_change"}, ["pain_change", "binary"]),
    "duration": ({"outcome": "outcome: relief_duration"}, ["relief_duration", "binary"]),
    "month of 0": ({"month": "month: 0"}, ["line 9", "0"]),
    "month that nobody reaches": ({"month": "month: 900"}, ["900"]),
    "month that is no number": ({"month": "month: three"}, ["three"]),
    "covariate of the choice": ({"more": "covariates: [approach]"}, ["approach"]),
    "covariate seen later": ({"more": "covariates: [guidance]"}, ["guidance"]),
    "covariate that is an id": ({"more": "covariates: [patient_id]"}, ["patient_id"]),
    "covariate twice": ({"more": "covariates: [bmi, bmi]"}, ["bmi"]),
    "covariate that was intended": ({"more": "covariates: [intended_technique]"}, ["line 10", "intended_technique"]),
    "reason for no column": ({"more": "not_adjusted: {bmj: an instrument}"}, ["line 10", "bmi"]),
    "reason for an id": ({"more": "not_adjusted: {patient_id: not known}"}, ["line 10", "patient_id"]),
    "reason for the choice": ({"more": "not_adjusted: {steroid: chosen}"}, ["line 10", "steroid"]),
    "no reason": ({"more": "not_adjusted:\n  bmi:"}, ["line 11", "not_adjusted.bmi", "empty"]),
    "blank reason": ({"more": "not_adjusted:\n  bmi: ' '"}, ["line 11", "not_adjusted.bmi", "empty"]),
    "list without reasons": ({"more": "not_adjusted: [bmi]"}, ["line 10", "not_adjusted"]),
    "reason for a covariate": ({"more": "covariates: [bmi]\nnot_adjusted: {bmi: an instrument}"}, ["line 11", "bmi"]),
    "reason for a control": (
        {"more": "negative_controls: [smoker]\nnot_adjusted: {smoker: an instrument}"},
        ["line 10", "smoker"],
    ),
    "control that is the outcome": ({"more": "negative_controls: [pain_response]"}, ["pain_response"]),
    "control that is a covariate": ({"more": "covariates: [smoker]\nnegative_controls: [smoker]"}, ["smoker"]),
    "control that is a number": ({"more": "negative_controls: [bmi]"}, ["bmi"]),
    "strength above 1": ({"more": "sensitivity: {outcome_r2: 1.5}"}, ["1.5"]),
    "unknown comparison": (add("eligibility", "conditions: [{column: age_years, over: 18}]"), ["over"]),
    "condition that holds for all": (
        add("eligibility", "conditions: [{column: age_years, at_least: 0}]"),
        ["age_years"],
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_files_are_refused_in_one_line(name: str, tmp_path: Path) -> None:
    changes, facts = BAD[name]
    with pytest.raises(PaincastError) as refused:
        read(tmp_path, **changes)
    message = str(refused.value)
    assert refused.value.code
    assert "\n" not in message
    assert [fact for fact in facts if fact not in message] == []


CHOSEN = {
    "technique": f"{{column: technique, any_of: [{ESI}]}}",
    "approach": "{column: approach, any_of: [caudal]}",
    "dose": "{column: steroid_dose_mg, at_least: 40}",
    "intention": "{column: intended_technique, any_of: [genicular_rfa]}",
    "seen later": "{column: guidance, any_of: [ct]}",
    "within others": "{any: [{column: smoker, is: true}, {all: [{column: rf_mode, any_of: [pulsed]}]}]}",
}


@pytest.mark.parametrize("name", CHOSEN)
def test_eligibility_must_not_look_at_the_choice_or_later(name: str, tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as refused:
        read(tmp_path, **add("eligibility", f"conditions: [{CHOSEN[name]}]"))
    assert refused.value.code == "PC-EFFECTS-07"
    assert "line 4, eligibility.conditions[1]" in str(refused.value)
    assert "\n" not in str(refused.value)


def test_techniques_without_evidence_may_be_compared_by_patients_alone(tmp_path: Path) -> None:
    strategies = LINES["strategies"].replace("nerve_root_block", "bariatric_embolization")
    trial = read(tmp_path, strategies=strategies)
    assert trial.reference.technique == "bariatric_embolization"
    assert list_covariates(trial, BUILT_IN)
