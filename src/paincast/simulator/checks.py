"""Validate the settings of the simulator; errors name the setting and the allowed values."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np

from paincast.errors import RefusalError, SettingsError, suggest_name
from paincast.evidence.figures import Record
from paincast.evidence.records import load_records, simulated_records, simulated_techniques
from paincast.schema import EPISODES, EVENT_KINDS, INDICATIONS, TECHNIQUES, VISITS
from paincast.settings import CohortSettings, check_field
from paincast.simulator.assumptions import ASSIGNMENTS, CORRELATIONS, UNTREATED, Assumptions
from paincast.simulator.defaults import COURSES, FACTORS, OUTCOME_LINKS

CURVE_TOLERANCE = 0.005
"""Largest allowed difference between a curve and its literature scenario at the primary month, which both contain."""

QUANTITIES = ("opioid_use", "opioid_dose", *EPISODES)
"""Names that may have loadings: the columns, and the two quantities of ``opioid_mme``."""

_CHOICE = tuple(column.name for column in EPISODES.values() if column.type in ("number", "boolean"))
_GUIDANCE = EPISODES["guidance"].categories
_SHARES = (
    "repeat_share",
    "visit_missing_share",
    "loss_share",
    "missing_other",
    "nrs_whole_share",
    "entry_error_share",
)
_AT_LEAST_ZERO = (
    "selection_slope",
    "confounding_strength",
    "site_habit_sd",
    "site_case_mix_sd",
    "site_response_sd",
    "missing_by_site",
    "complication_window_months",
    "interactions",
)
_BELOW_ONE = ("state_persistence", "response_persistence")


def check_techniques(techniques: Sequence[str] | None, scenario: str) -> tuple[str, ...]:
    """Return the requested techniques in the order of the contract; by default all with data for the scenario.

    Raises
    ------
    SettingsError
        If the argument is empty or not a list, or a technique is unknown.
    RefusalError
        If there is not enough evidence to simulate a technique.
    """
    if techniques is None:
        return tuple(name for name in simulated_techniques() if list_records(name, scenario, refuse=False))
    if isinstance(techniques, str) or not techniques:
        raise SettingsError(
            f"techniques must be a list with at least one of {', '.join(simulated_techniques())}",
            code="PC-SIMULATOR-01",
        )
    for technique in techniques:
        list_records(technique, scenario)
    return tuple(technique for technique in TECHNIQUES if technique in techniques)


def list_records(technique: str, scenario: str, *, refuse: bool = True) -> tuple[Record, ...]:
    """List the records of a technique that have a response curve and data for the scenario.

    Raises
    ------
    SettingsError
        If there is no technique of that name.
    RefusalError
        If there is none, unless ``refuse`` is false.
    """
    records = simulated_records(technique)
    usable = tuple(record for record in records if record.response and scenario in record.response.scenarios)
    if refuse and not usable:
        known = sorted({name for record in records if record.response for name in record.response.scenarios})
        raise RefusalError(
            f"technique {technique}: the evidence has no figure for the scenario {scenario}; it has {', '.join(known)}",
            code="PC-SIMULATOR-02",
        )
    return usable


def check_indications(indications: Sequence[str] | None, scenario: str) -> tuple[str, ...]:
    """Return the requested indications in the order of the contract; by default all with a technique to simulate.

    Raises
    ------
    SettingsError
        If the argument is empty or not a list, or an indication is unknown.
    RefusalError
        If no technique can be simulated for an indication.
    """
    known = {
        name
        for record in load_records()
        if record.response and scenario in record.response.scenarios
        for name in record.indications
    }
    simulated = tuple(name for name in INDICATIONS if name in known)
    if indications is None:
        return simulated
    if isinstance(indications, str) or not indications:
        raise SettingsError(
            f"indications must be a list with at least one of {', '.join(simulated)}", code="PC-SIMULATOR-03"
        )
    for indication in indications:
        if indication not in INDICATIONS:
            raise SettingsError(
                f"indication: unknown name '{indication}'; {suggest_name(indication, INDICATIONS)}",
                code="PC-SIMULATOR-04",
            )
        if indication not in simulated:
            raise RefusalError(
                f"indication {indication} cannot be simulated: the evidence has no response curve for it in the "
                f"scenario {scenario}; can be simulated: {', '.join(simulated)}",
                code="PC-SIMULATOR-05",
            )
    return tuple(name for name in simulated if name in indications)


def check_run(scenario: str, seed: object) -> None:
    """Validate the scenario and the seed.

    Raises
    ------
    SettingsError
        If a value is not allowed.
    """
    check_field(CohortSettings, "scenario", scenario)
    check_field(CohortSettings, "seed", seed)


def check_whole(name: str, value: object, low: int) -> None:
    """Validate a setting that must be an integer of at least ``low``.

    Raises
    ------
    SettingsError
        If the value is not allowed.
    """
    if not _is_whole(value) or value < low:  # type: ignore[operator]
        raise SettingsError(
            f"{name}={value} is not allowed; give a whole number, at least {low}", code="PC-SIMULATOR-06"
        )


def _is_whole(number: object) -> bool:
    return isinstance(number, (int, np.integer)) and not isinstance(number, bool)


def check_assumptions(assumptions: Assumptions) -> None:
    """Validate assumptions.

    Raises
    ------
    SettingsError
        If a setting is not allowed.
    """
    _check_choices(assumptions)
    for name, value in _list_shares(assumptions):
        if not (isinstance(value, (int, float)) and 0.0 <= value <= 1.0):
            raise SettingsError(f"{name}={value} is not allowed; a share lies from 0 to 1", code="PC-SIMULATOR-07")
    for name in _AT_LEAST_ZERO:
        if not getattr(assumptions, name) >= 0:
            raise SettingsError(
                f"{name}={getattr(assumptions, name)} is not allowed; give a number, at least 0", code="PC-SIMULATOR-08"
            )
    for name in _BELOW_ONE:
        if not 0 <= getattr(assumptions, name) < 1:
            raise SettingsError(
                f"{name}={getattr(assumptions, name)} is not allowed; from 0 to below 1", code="PC-SIMULATOR-09"
            )
    for name, share in assumptions.pass_shares.items():
        if not 0 < share <= 1:
            raise SettingsError(
                f"pass_shares['{name}']={share} is not allowed; above 0, at most 1", code="PC-SIMULATOR-10"
            )
    for option, preference in assumptions.preferences.items():
        if not preference.popularity > 0:
            raise SettingsError(
                f"preferences[{option}].popularity={preference.popularity} is not allowed; above 0",
                code="PC-SIMULATOR-11",
            )
    for name, low in (("n_sites", 1), ("reference_size", 1000), ("reference_seed", 0)):
        check_whole(name, getattr(assumptions, name), low)
    if assumptions.first_year > assumptions.last_year:
        raise SettingsError(
            f"first_year={assumptions.first_year} is after last_year={assumptions.last_year}", code="PC-SIMULATOR-12"
        )
    if not assumptions.response_30_shift > 0:
        raise SettingsError(
            f"response_30_shift={assumptions.response_30_shift} is not allowed; it must be above 0, because who has "
            "half less pain has 30 % less",
            code="PC-SIMULATOR-13",
        )
    _check_correlations(assumptions)
    _check_courses(assumptions)
    _check_choice(assumptions)
    for technique, guidance in assumptions.guidance.items():
        if not math.isclose(sum(guidance.values()), 1.0, abs_tol=1e-6):
            raise SettingsError(
                f"guidance['{technique}']: shares add up to {sum(guidance.values()):g}; they must to 1",
                code="PC-SIMULATOR-14",
            )
    if "" not in assumptions.guidance:
        raise SettingsError("guidance lacks '', the shares of techniques that are not named", code="PC-SIMULATOR-15")


def _check_choices(assumptions: Assumptions) -> None:
    for name, allowed in (("assignment", ASSIGNMENTS), ("correlation", CORRELATIONS), ("untreated", UNTREATED)):
        value = getattr(assumptions, name)
        if value not in allowed:
            raise SettingsError(
                f"{name}: unknown name '{value}'; {suggest_name(str(value), allowed)}", code="PC-SIMULATOR-16"
            )
    visits = [column for column in VISITS if column not in ("episode_id", "month")]
    named: tuple[tuple[str, Iterable[str], Iterable[str]], ...] = (
        ("loadings", assumptions.loadings, QUANTITIES),
        ("baseline", assumptions.baseline, EPISODES),
        ("referrals", assumptions.referrals, INDICATIONS),
        ("pass_shares", assumptions.pass_shares, EPISODES),
        ("missing", assumptions.missing, EPISODES),
        ("missing_at_visits", assumptions.missing_at_visits, visits),
        ("outcome_links", assumptions.outcome_links, OUTCOME_LINKS),
        ("courses", assumptions.courses, COURSES),
        ("guidance", [name for name in assumptions.guidance if name], TECHNIQUES),
        ("guidance", (kind for values in assumptions.guidance.values() for kind in values), _GUIDANCE),
        ("consequences", [name for name in assumptions.consequences if name], TECHNIQUES),
        ("consequences", (kind for values in assumptions.consequences.values() for kind in values), EVENT_KINDS),
        ("never", assumptions.never, TECHNIQUES),
        ("never", (rule.column for rule in assumptions.never.values()), _CHOICE),
        ("preferences", (technique for technique, _ in assumptions.preferences), TECHNIQUES),
        ("preferences", (name for values in assumptions.preferences.values() for name in values.terms), _CHOICE),
    )
    for setting, names, known in named:
        for name in names:
            if name not in known:
                raise SettingsError(
                    f"{setting}: unknown name '{name}'; {suggest_name(name, known)}", code="PC-SIMULATOR-17"
                )
    for setting, needed in (("outcome_links", OUTCOME_LINKS), ("courses", COURSES)):
        absent = [name for name in needed if name not in getattr(assumptions, setting)]
        if absent:
            raise SettingsError(f"{setting} lacks {', '.join(absent)}", code="PC-SIMULATOR-18")


def _check_choice(assumptions: Assumptions) -> None:
    for name in ("hidden_choice", "hidden_response"):
        if not math.isfinite(getattr(assumptions, name)):
            raise SettingsError(
                f"{name}={getattr(assumptions, name)} is not allowed; give a number", code="PC-SIMULATOR-36"
            )
    for technique, rule in assumptions.never.items():
        ends = [end for end in (rule.at_least, rule.below) if end is not None]
        if not ends or ends != sorted(set(ends)):
            raise SettingsError(
                f"never['{technique}']: at_least={rule.at_least}, below={rule.below} is no range; give one of them, or "
                "both with at_least below the other",
                code="PC-SIMULATOR-37",
            )


def _list_shares(assumptions: Assumptions) -> Iterator[tuple[str, float]]:
    for name in _SHARES:
        yield name, getattr(assumptions, name)
    for setting in ("missing", "missing_at_visits"):
        for name, share in getattr(assumptions, setting).items():
            yield f"{setting}['{name}']", share
    for technique, rule in assumptions.never.items():
        yield f"never['{technique}'].odds_factor", rule.odds_factor
    for column, baseline in assumptions.baseline.items():
        if baseline.share is not None:
            yield f"baseline['{column}'].share", baseline.share
    for technique, consequences in assumptions.consequences.items():
        for kind, consequence in consequences.items():
            yield f"consequences['{technique}']['{kind}'].share", consequence.share


def _check_correlations(assumptions: Assumptions) -> None:
    correlate_factors(assumptions)
    for name in assumptions.loadings:
        if len(assumptions.loadings[name]) != len(FACTORS):
            raise SettingsError(
                f"loadings['{name}'] must hold {len(FACTORS)} numbers, for {', '.join(FACTORS)}", code="PC-SIMULATOR-19"
            )
        explain_quantity(assumptions, name)
    for name, link in assumptions.outcome_links.items():
        if not -1 < link.correlation < 1:
            raise SettingsError(
                f"outcome_links['{name}'].correlation={link.correlation} is not allowed; above -1 and below 1",
                code="PC-SIMULATOR-20",
            )


def correlate_factors(assumptions: Assumptions) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    """Return the correlation matrix of the factors.

    Raises
    ------
    SettingsError
        If it is not positive definite.
    """
    matrix = np.eye(len(FACTORS))
    upper = np.triu_indices(len(FACTORS), k=1)
    matrix[upper] = assumptions.factor_correlations
    matrix.T[upper] = assumptions.factor_correlations
    if np.linalg.eigvalsh(matrix).min() <= 0:
        raise SettingsError(
            "factor_correlations: not positive definite; give correlations that can hold at once",
            code="PC-SIMULATOR-21",
        )
    return matrix


def explain_quantity(assumptions: Assumptions, name: str) -> float:
    """Compute the share of a quantity's variance that its loadings explain.

    Raises
    ------
    SettingsError
        If it is 1 or more.
    """
    loading = np.array(assumptions.loadings.get(name, (0.0, 0.0, 0.0)))
    share = float(loading @ correlate_factors(assumptions) @ loading)
    if not share < 1.0:
        raise SettingsError(
            f"loadings: those of '{name}' explain {share:.2f} of its variance; allowed is below 1",
            code="PC-SIMULATOR-22",
        )
    return share


def _check_courses(assumptions: Assumptions) -> None:
    for name, (margins, values) in assumptions.courses.items():
        if len(margins) != len(values) or list(margins) != sorted(set(margins)):
            raise SettingsError(
                f"courses['{name}']: give as many values as margins, margins increasing", code="PC-SIMULATOR-23"
            )
    below = dict(zip(*assumptions.courses["pgic"], strict=True))
    unsatisfied = [grade for margin, grade in below.items() if margin <= 0]
    satisfied = [grade for margin, grade in below.items() if margin > 0]
    if 0.0 not in below or min(unsatisfied) < 3 or max(satisfied, default=1) > 2:
        raise SettingsError(
            "courses['pgic']: grades below a margin of 0 are 3 or more, those from it on 2 or less",
            code="PC-SIMULATOR-24",
        )


def check_curve(record: Record, scenario: str) -> None:
    """Validate the response curve of a record.

    Raises
    ------
    RefusalError
        If the record has no curve or no data for the scenario.
    SettingsError
        If a share is not above 0 and below 1, or the curve disagrees with the literature scenario.
    """
    if record.response is None or record.primary_month is None:
        raise RefusalError(
            f"evidence record {record.id} holds no response curve; it cannot be simulated", code="PC-SIMULATOR-25"
        )
    if scenario not in record.response.scenarios:
        scenarios = ", ".join(record.response.scenarios)
        raise RefusalError(
            f"evidence record {record.id} has no scenario {scenario}; it has {scenarios}", code="PC-SIMULATOR-26"
        )
    if record.primary_month not in record.response.months:
        raise SettingsError(
            f"curve of {record.id}: no share at its primary month {record.primary_month:g}", code="PC-SIMULATOR-27"
        )
    shares: Mapping[str, float] = {
        **{f"month {month:g}": share for month, share in record.response.months.items()},
        **{f"scenario {name}": share for name, share in record.response.scenarios.items()},
    }
    for where, share in shares.items():
        if not (math.isfinite(share) and 0 < share < 1):
            raise SettingsError(
                f"curve of {record.id}, {where}: share {share} is not allowed; above 0 and below 1",
                code="PC-SIMULATOR-28",
            )
    shift = abs(record.response.months[record.primary_month] - record.response.scenarios.get("literature", np.nan))
    if shift > CURVE_TOLERANCE:
        raise SettingsError(
            f"curve of {record.id} contradicts itself: at its primary month {record.primary_month:g} it differs by "
            f"{shift:.3f} from the literature scenario; at most {CURVE_TOLERANCE} is allowed",
            code="PC-SIMULATOR-29",
        )
    if any(not month > 0 for month in record.response.months):
        raise SettingsError(f"curve of {record.id}: a month is not above 0", code="PC-SIMULATOR-30")
