"""Format the figures of a record as text: names, percentages, months, ranges and rates."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from paincast.evidence.figures import PredictorEffect, Record
from paincast.evidence.safety import Complication

TECHNIQUE_NAMES: Mapping[str, str] = MappingProxyType(
    {
        "facet_rfa": "Radiofrequency ablation of the lumbar medial branches",
        "si_joint_rfa": "Radiofrequency ablation of the sacral lateral branches",
        "genicular_rfa": "Radiofrequency ablation of the genicular nerves",
        "nerve_root_block": "Selective nerve root block",
        "celiac_plexus_neurolysis": "Coeliac plexus neurolysis",
    }
)
INDICATION_NAMES: Mapping[str, str] = MappingProxyType(
    {
        "lumbar_radicular_disc": "radicular pain from a disc herniation",
        "lumbar_stenosis": "lumbar spinal stenosis",
        "other_radicular": "radicular pain of other or mixed cause",
        "lumbar_facet": "lumbar facet joint pain",
        "sacroiliac_joint": "sacroiliac joint pain",
        "failed_back_surgery": "pain after spine surgery",
        "crps": "complex regional pain syndrome",
        "other_neuropathic": "other neuropathic pain",
        "": "chronic pain",
    }
)
SCENARIO_NAMES: Mapping[str, str] = MappingProxyType(
    {"literature": "literature", "pragmatic": "pragmatic", "seed_optimistic": "as the founding review has it"}
)
_DIRECTIONS: Mapping[str, str] = MappingProxyType({"better": "more often", "worse": "less often"})


def name_technique(technique: str) -> str:
    """Return the display name of a technique."""
    return TECHNIQUE_NAMES.get(technique) or technique.replace("_", " ").capitalize()


def name_indication(indication: str) -> str:
    """Return the display name of an indication."""
    return INDICATION_NAMES.get(indication) or indication.replace("_", " ")


def name_place(record: Record) -> str:
    """Return the display name of a record's indication and approach."""
    named = name_indication(record.indication)
    return f"{named[0].upper()}{named[1:]}" + (f", {record.approach}" if record.approach else "")


def name_scenario(scenario: str) -> str:
    """Return the display name of a scenario."""
    return SCENARIO_NAMES.get(scenario, scenario)


def percent(share: float) -> str:
    """Format a share in percent, with more digits for rare events.

    Examples
    --------
    >>> percent(0.54), percent(0.0997), percent(0.005), percent(0.00033)
    ('54 %', '10 %', '0.5 %', '0.033 %')
    """
    hundred = 100 * share
    return f"{hundred:.0f} %" if hundred >= 9.5 or hundred == 0 else f"{hundred:.2g} %"


def months(number: float) -> str:
    """Format a time after the procedure.

    Examples
    --------
    >>> months(0), months(0.5), months(1), months(24)
    ('once', '2 weeks', '1 month', '24 months')
    """
    if number == 0:
        return "once"
    if number < 1:
        weeks = max(1, round(number * 52 / 12))
        return f"{weeks} week{'s' * (weeks != 1)}"
    return f"{number:g} month{'s' * (number != 1)}"


def span(ends: tuple[float, float]) -> str:
    """Format a range of shares in percent."""
    low, high = ends
    return percent(low) if low == high else f"{percent(low).removesuffix(' %')} to {percent(high)}"


def points(difference: float) -> str:
    """Format a difference of shares in percentage points.

    Examples
    --------
    >>> points(0.47), points(-0.012)
    ('47 points more', '1.2 points less')
    """
    size = percent(abs(difference)).removesuffix(" %")
    return f"{size} points {'less' if difference < 0 else 'more'}"


def join(parts: Iterable[str]) -> str:
    """Join items as in a sentence.

    Examples
    --------
    >>> join(["a", "b", "c"])
    'a, b and c'
    """
    items = list(parts)
    return " and ".join(filter(None, (", ".join(items[:-1]), *items[-1:])))


def ratio(effect: PredictorEffect) -> str:
    """Format the odds ratio of a predictor with its 95 % interval."""
    lower, upper = effect.interval
    return f"{effect.odds_ratio:.2f} ({lower:.2f} to {upper:.2f})"


def direct(effect: PredictorEffect) -> str:
    """Say in words whether patients with a characteristic respond more or less often."""
    return _DIRECTIONS.get(effect.direction, effect.direction)


def rate(item: Complication) -> str:
    """Format the rate of a complication with its 95 % interval, or its lowest and highest published rate, time and n.

    Examples
    --------
    >>> told = Complication(event="", kind="", source="", tag="FOUND", estimate=0.01, rate=(0, 0.05), events=1, n=129)
    >>> rate(told)
    '1 % (0 to 5 %), 1 of 129'
    >>> rate(Complication(event="", kind="", source="", tag="FOUND"))
    'not counted'
    """
    if item.rate is None:
        return "not counted"
    interval = _find_interval(item)
    share = span(item.rate) if item.estimate is None else percent(item.estimate)
    about = (
        f"{share} ({span(interval)})" if interval else share,
        f"per {item.per}" if item.per != "patient" else "",
        f"({span(item.per_patient)} of patients)" if item.per_patient else "",
        f"by {months(item.by_month)}" if item.by_month else "",
    )
    counted = "" if not item.n else f", n {item.n}" if item.events is None else f", {item.events} of {item.n}"
    return " ".join(filter(None, about)) + counted


def _find_interval(item: Complication) -> tuple[float, float] | None:
    """Find the interval of a rate: pooled, published, or computed from a share and n."""
    if item.rate is None or item.estimate is not None or item.ci95:
        return item.ci95 or item.rate
    if not item.n or item.rate[0] != item.rate[1]:
        return None
    from paincast.statistics import compute_wilson_interval

    lower, upper = compute_wilson_interval(item.rate[0], item.n)
    return float(lower), float(upper)
