"""What is stated for a plan is held against its limits, against itself, and against patient and month."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

from paincast.errors import DataError, PaincastError, SettingsError
from paincast.planning.contents import Plan
from paincast.planning.patient import read_facts
from paincast.planning.planner import plan
from paincast.planning.stated import read_contrast, read_prices, read_weights
from paincast.planning.suitability import assess_technique
from paincast.planning.text import format_plan

KNEE: dict[str, Any] = {"indication": "knee_osteoarthritis", "active_infection": False, "age_years": 60}
PLAIN: dict[str, Any] = {
    "reference": "joint_injection",
    "passed": True,
    "indications": ["knee_osteoarthritis"],
    "month": 3,
    "basis": "real",
    "n": 5000,
    "contrasts": {
        "genicular_rfa": {"relief": [0.2, 0.1, 0.3]},
        "genicular_artery_embolization": {"relief": [0.1, -0.05, 0.25]},
    },
}
TECHNIQUES_OF = {
    "joint": "joint_injection",
    "ablation": "genicular_rfa",
    "embolization": "genicular_artery_embolization",
}
PASSED = {"diagnostic": "preference score", "value": 0.6, "limit": 0.4, "is_upper": False, "passed": True}
FAILED = {**PASSED, "value": 0.3, "passed": False}


def make_row(strategy: str, estimate: float, population: str = "all analysed patients") -> dict[str, Any]:
    told = {"strategy": strategy, "reference": "joint", "population": population, "estimate": estimate}
    return {**told, "lower": estimate - 0.1, "upper": estimate + 0.1}


ROWS = [make_row("ablation", 0.2), make_row("embolization", 0.1), make_row("ablation", 0.5, "patients in equipoise")]
RESULT: dict[str, Any] = {
    "format": 2,
    "verdict": "answered",
    "question": "which",
    "strategies": [
        {"name": name, "technique": technique, "approaches": []} for name, technique in TECHNIQUES_OF.items()
    ],
    "indications": ["knee_osteoarthritis"],
    "conditions": [],
    "reference": "joint",
    "outcome": "pain_response",
    "month": 3.0,
    "basis": "real",
    "n": 4000,
    "cohort": "ours",
    "diagnostics": [PASSED],
    "contrasts": ROWS,
    "refusal": None,
}
EXPECTED_ORDER = ("genicular_rfa", "genicular_artery_embolization", "joint_injection")


def weigh(comparison: object, *, patient: dict[str, Any] = KNEE, month: float | None = None) -> Plan:
    return plan(patient, month=month, preferences={"weights": {"relief": 1}}, comparison=comparison)


def find_reason(made: Plan) -> str:
    """Find why the comparison has no say; text, JSON and the weighing tell the same."""
    assert made.preferences is not None
    assert made.preferences.status == "fixed"
    reason = made.preferences.left_out["relief"]
    assert made.comparison_unused == reason
    assert " ".join(reason.split()[-4:]) in " ".join(format_plan(made).split())
    return reason


@pytest.mark.parametrize("content", [PLAIN, RESULT], ids=["plain", "result"])
def test_a_comparison_of_patients_like_this_one_at_the_month_of_the_plan_is_used(content: dict[str, Any]) -> None:
    made = weigh(content)
    assert made.preferences is not None
    assert (made.preferences.order, made.month, made.comparison_unused) == (EXPECTED_ORDER, 3.0, "")


@pytest.mark.parametrize("content", [PLAIN, RESULT], ids=["plain", "result"])
@pytest.mark.parametrize(
    ("change", "patient", "month", "unused", "fact"),
    [
        ({"indications": ["lumbar_facet"]}, {}, None, "indication", "lumbar_facet"),
        ({"conditions": [{"column": "diabetes", "is": False}]}, {"diabetes": True}, None, "condition", "diabetes"),
        ({"conditions": [{"column": "diabetes", "is": False}]}, {}, None, "condition", "cannot be assessed"),
        ({"conditions": [{"column": "age_years", "at_least": 70}]}, {}, None, "condition", "at least 70 years"),
        ({}, {}, 6.0, "month", "month 6"),
        ({"month": 12.0}, {}, None, "month", "month 12"),
    ],
)
def test_a_comparison_of_others_is_not_used(
    content: dict[str, Any],
    change: dict[str, Any],
    patient: dict[str, Any],
    month: float | None,
    unused: str,
    fact: str,
) -> None:
    made = weigh({**content, **change}, patient={**KNEE, **patient}, month=month)
    assert fact in find_reason(made)
    facts = read_facts({**KNEE, **patient})
    groups = {name: assess_technique(name, facts.episode).group for name in TECHNIQUES_OF.values()}
    assert read_contrast({**content, **change}).hold_for(facts, made.month, groups).unused == unused


def test_a_comparison_with_a_technique_that_is_contraindicated_is_not_used() -> None:
    """Who may not have one of the strategies was not compared."""
    contrasts = {"spinal_cord_stimulation": {"relief": [0.2, 0.1, 0.3]}}
    told = {**PLAIN, "reference": "epidural_steroid_injection", "indications": ["failed_back_surgery"]}
    patient = {"indication": "failed_back_surgery", "active_infection": False, "stimulation_trial_success": False}
    reason = find_reason(weigh({**told, "contrasts": contrasts}, patient=patient, month=3.0))
    assert "spinal_cord_stimulation, which is contraindicated" in reason


def test_a_condition_that_the_patient_fulfils_is_no_obstacle() -> None:
    conditions = [{"any": [{"column": "age_years", "below": 70}, {"column": "diabetes", "is": True}]}]
    assert weigh({**RESULT, "conditions": conditions}).comparison_unused == ""


def test_a_comparison_without_weights_says_that_it_is_not_used() -> None:
    made = plan(KNEE, comparison=RESULT)
    assert made.preferences is None
    assert "weights" in made.comparison_unused
    assert plan(KNEE).comparison_unused == ""


@pytest.mark.parametrize(
    ("change", "unused"),
    [
        ({"verdict": "refused", "contrasts": None, "refusal": {"message": "no overlap"}}, "diagnostics"),
        ({"strategies": [{**one, "approaches": ["caudal"]} for one in RESULT["strategies"]]}, "approaches"),
        ({"outcome": "satisfaction"}, "outcome"),
        ({"outcome": "pain_response_30"}, "outcome"),
        ({"basis": "synthetic"}, "basis"),
        ({"basis": "blended"}, "basis"),
        (
            {"strategies": [{**RESULT["strategies"][0], "technique": "usual_care"}, *RESULT["strategies"][1:]]},
            "comparator",
        ),
    ],
)
def test_a_comparison_that_says_nothing_of_techniques_has_no_figures(change: dict[str, Any], unused: str) -> None:
    contrast = read_contrast({**RESULT, **change})
    assert (dict(contrast.figures), contrast.unused) == ({}, unused)
    assert find_reason(weigh({**RESULT, **change})) == contrast.refusal


def test_a_refusal_is_repeated() -> None:
    refused = {**RESULT, "verdict": "refused", "contrasts": None, "refusal": {"message": "no overlap"}}
    assert "no overlap" in read_contrast(refused).refusal
    assert "no overlap" in read_contrast({"passed": False, "because": "no overlap"}).refusal


TWICE = [*RESULT["strategies"], {"name": "other", "technique": "genicular_rfa", "approaches": []}]


@pytest.mark.parametrize(
    "change",
    [
        {"passed": False},
        {"diagnostics": [PASSED, FAILED]},
        {"diagnostics": [{**PASSED, "value": 0.3}]},
        {"diagnostics": [{**PASSED, "is_upper": True}]},
        {"diagnostics": [{**PASSED, "value": math.nan}]},
        {"diagnostics": [{**PASSED, "passed": 1}]},
        {"diagnostics": []},
        {"refusal": {"message": "no overlap"}},
        {"contrasts": None},
        {"verdict": "refused"},
        {"reference": "nobody"},
        {"strategies": [*RESULT["strategies"], RESULT["strategies"][1]]},
        {"strategies": TWICE, "contrasts": [*ROWS, make_row("other", 0.1)]},
        {"strategies": [{**one, "technique": "surgery"} for one in RESULT["strategies"]]},
        {"strategies": RESULT["strategies"][:1], "contrasts": []},
        {"contrasts": ROWS[:1]},
        {"contrasts": [*ROWS, ROWS[0]]},
        {"contrasts": [*ROWS, make_row("nobody", 0.1)]},
        {"contrasts": [*ROWS, make_row("joint", 0.1)]},
        {"contrasts": [ROWS[0], {**ROWS[1], "reference": "ablation"}]},
        {"contrasts": [ROWS[0], {**ROWS[1], "lower": 0.15}]},
        {"contrasts": [ROWS[0], {**ROWS[1], "estimate": math.nan}]},
        {"contrasts": [ROWS[0], {**ROWS[1], "upper": math.inf}]},
        {"contrasts": [ROWS[0], {**ROWS[1], "upper": 1e300}]},
        {"contrasts": [ROWS[0], {**ROWS[1], "upper": 10**400}]},
        {"contrasts": [ROWS[0], {**ROWS[1], "lower": None}]},
        {"contrasts": [ROWS[0], {**ROWS[1], "lower": "low"}]},
        {"contrasts": [*ROWS[:2], {**ROWS[2], "estimate": math.nan}]},
    ],
)
def test_a_result_that_contradicts_itself_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(SettingsError) as refused:
        read_contrast({**RESULT, **change})
    assert refused.value.code == "PC-PLANNING-14"


def test_the_reference_may_stand_there_with_no_difference() -> None:
    row = {**make_row("joint", 0.0), "lower": 0.0, "upper": 0.0}
    assert read_contrast({**RESULT, "contrasts": [*ROWS, row]}).figures == read_contrast(RESULT).figures


@pytest.mark.parametrize(
    "change",
    [
        {"format": 1},
        {"verdict": "perhaps"},
        {"strategies": [7]},
        {"diagnostics": [7]},
        {"diagnostics": [{**PASSED, "value": "high"}]},
        {"reference": []},
        {"contrasts": 7},
        {"contrasts": [{}]},
        {"outcome": []},
    ],
)
def test_a_broken_result_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(SettingsError) as refused:
        read_contrast({**RESULT, **change})
    assert refused.value.code == "PC-PLANNING-10"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"passed": "yes"}, "PC-PLANNING-07"),
        ({"winner": "genicular_rfa"}, "PC-PLANNING-07"),
        ({"reference": "surgery"}, "PC-PLANNING-08"),
        ({"contrasts": []}, "PC-PLANNING-08"),
        ({"contrasts": {"surgery": {"relief": [0.1, 0.0, 0.2]}}}, "PC-PLANNING-08"),
        ({"contrasts": {"genicular_rfa": {"beauty": [0.1, 0.0, 0.2]}}}, "PC-PLANNING-09"),
        ({"contrasts": {"genicular_rfa": {"relief": [0.1, 0.0]}}}, "PC-PLANNING-09"),
        ({"contrasts": {"genicular_rfa": {}}}, "PC-PLANNING-09"),
        ({"contrasts": {"genicular_rfa": {"relief": [0.5, 0.6, 0.7]}}}, "PC-PLANNING-14"),
        ({"contrasts": {"genicular_rfa": {"relief": [math.nan, 0, 1]}}}, "PC-PLANNING-14"),
        ({"contrasts": {"genicular_rfa": {"relief": [0.1, 0, 10**400]}}}, "PC-PLANNING-14"),
        ({"contrasts": {"joint_injection": {"relief": [0.1, 0, 0.2]}}}, "PC-PLANNING-14"),
        ({"source": "\x1b[31mred"}, "PC-PLANNING-15"),
        ({"source": 7}, "PC-PLANNING-15"),
        ({"source": "x" * 2000}, "PC-PLANNING-15"),
        ({"conditions": ["diabetes is no"]}, "PC-PLANNING-16"),
        ({"conditions": [{"column": "beauty", "is": True}]}, "PC-PLANNING-16"),
        ({"conditions": "all"}, "PC-PLANNING-16"),
    ],
)
def test_a_malformed_comparison_is_refused(change: dict[str, Any], code: str) -> None:
    with pytest.raises(SettingsError) as refused:
        read_contrast({**PLAIN, **change})
    assert refused.value.code == code
    with pytest.raises(SettingsError):
        read_contrast(7)


@pytest.mark.parametrize(
    "change",
    [
        {"indications": 5},
        {"indications": None},
        {"indications": []},
        {"indications": [["crps"]]},
        {"indications": "knee_osteoarthritis"},
        {"n": "many"},
        {"n": 10**30},
        {"month": "x"},
        {"month": None},
        {"month": True},
        {"month": math.nan},
        {"month": 1e300},
        {"month": {"a": 1}},
        {"basis": 7},
    ],
)
@pytest.mark.parametrize("content", [PLAIN, RESULT], ids=["plain", "result"])
def test_what_is_told_of_a_comparison_is_checked(content: dict[str, Any], change: dict[str, Any]) -> None:
    with pytest.raises(SettingsError) as refused:
        read_contrast({**content, **change})
    assert refused.value.code == "PC-PLANNING-11"


def test_a_key_that_stands_twice_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "comparison.json"
    file.write_text(json.dumps(RESULT)[:-1] + ', "basis": "real"}', encoding="utf-8")
    with pytest.raises(DataError, check=lambda error: error.code == "PC-FILES-72"):
        read_contrast(file)


EXTREMES = ("1e-320", "1e300", "-1e300", "-1", "nan", "inf", "-inf", "many", "'\\e[31m'", "1e400")
RANGE = "{weights: {visits: 1}, ranges: {visits: {worst: %s, best: %s}}}"
RECOVERY = "{weights: {visits: 1}, recovery: {facet_rfa: {days: %s, lower: 0, upper: %s, source: us, year: %s}}}"


@pytest.mark.parametrize(
    "text",
    [
        *(f"{{weights: {{visits: {number}}}}}" for number in EXTREMES),
        *(RANGE % (number, "0") for number in EXTREMES),
        *(RANGE % ("1.0e+9", number) for number in ("1e300", "-1e300", "nan", "-inf", "many")),
        *(RECOVERY % (number, "2", "2025") for number in EXTREMES if number != "1e-320"),
        *(RECOVERY % ("1", number, "2025") for number in EXTREMES),
        *(RECOVERY % ("1", "2", number) for number in (*EXTREMES, "2025.5")),
    ],
)
def test_weights_out_of_their_limits_are_one_line(tmp_path: Path, text: str) -> None:
    file = tmp_path / "weights.yaml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(SettingsError, check=lambda error: bool(error.code)) as refused:
        read_weights(file)
    assert "\x1b" not in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    "content",
    [
        {},
        {"weights": {}},
        {"weights": {"visits": 0}},
        {"weights": {"beauty": 1}},
        {"weights": {"visits": 1}, "ranges": {"visits": {"worst": 0, "best": 9}}},
        {"weights": {"visits": 1}, "ranges": {"visits": {"worst": 1e-9, "best": 0}}},
        {"weights": {"visits": 1}, "recovery": {"genicular_rfa": {"days": 2}}},
        {"weights": {"visits": 1}, "wishes": 1},
        7,
    ],
)
def test_malformed_preferences_are_refused(content: object) -> None:
    with pytest.raises(PaincastError, check=lambda error: bool(error.code)):
        read_weights(content)


PRICE = {"amount": 1000, "lower": 900, "upper": 1100, "currency": "EUR", "year": 2025, "source": "our ward"}
GAIN = {"gain": 0.1, "lower": 0.05, "upper": 0.2, "months": 12, "against": "usual care", "source": "us", "year": 2024}


def price(**more: Any) -> dict[str, Any]:
    return {"prices": {"facet_rfa": {**PRICE, **more}}}


@pytest.mark.parametrize("number", [1e-320, 1e300, -1, -1e300, math.nan, math.inf, "many", "\x1b[31m", 0])
@pytest.mark.parametrize("key", ["amount", "lower", "upper", "sd", "n", "year", "gain", "qaly_upper", "months"])
def test_prices_out_of_their_limits_are_one_line(key: str, number: Any) -> None:
    if key in ("gain", "qaly_upper", "months"):
        content = price(quality_adjusted_years={**GAIN, key.removeprefix("qaly_"): number})
    else:
        content = price(**{key: number})
        if key == "sd":
            content["prices"]["facet_rfa"] |= {"n": 9}
            del content["prices"]["facet_rfa"]["lower"], content["prices"]["facet_rfa"]["upper"]
    with pytest.raises(SettingsError, check=lambda error: bool(error.code)) as refused:
        read_prices(content)
    assert "\x1b" not in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("currency", ["<b>EUR</b>", "eur", "EURO", "E\x1bR", "EUR\x07", "", "€", "EUR 2", "ÄÖÜ"])
def test_a_currency_is_three_capital_letters(currency: str) -> None:
    with pytest.raises(SettingsError, check=lambda error: bool(error.code)) as refused:
        read_prices(price(currency=currency))
    assert not currency or currency not in str(refused.value)


@pytest.mark.parametrize("key", ["what", "source"])
def test_texts_of_prices_print(key: str) -> None:
    with pytest.raises(SettingsError, check=lambda error: bool(error.code)):
        read_prices(price(**{key: "two \x1b[31m levels"}))
    assert read_prices(price(what="two\n levels"))["facet_rfa"].price.note == "two levels"


@pytest.mark.parametrize(
    "content",
    [
        {},
        {"prices": {"facet_rfa": {"amount": 3}}},
        price(lower=2000),
        price(colour="red"),
        price(n=2.5),
        {"prices": {"surgery": {}}},
    ],
)
def test_malformed_prices_are_refused(content: object) -> None:
    with pytest.raises(SettingsError, check=lambda error: bool(error.code)):
        read_prices(content)


def test_extreme_prices_within_the_limits_give_finite_costs() -> None:
    from paincast.planning.contents import Expected
    from paincast.planning.cost import compute_costs
    from paincast.planning.expected import PAIN
    from paincast.planning.figures import publish

    response = publish(PAIN, "share", (), "", value=1e-4, lower=1e-6, upper=1.0, interval="95 % interval")
    content = price(amount=1e9, lower=0.01, upper=1e9, quality_adjusted_years={**GAIN, "gain": 1e-6, "lower": 1e-6})
    for figure in compute_costs(read_prices(content)["facet_rfa"], [Expected(outcome=PAIN, figure=response)]):
        assert all(end is not None and math.isfinite(end) for end in (figure.value, figure.lower, figure.upper))
