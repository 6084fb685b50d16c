"""What is expected at one common month: by models where they answer, else by the published curve of the record."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any, NamedTuple

from paincast.deferred import pandas as pd
from paincast.effects.trial import LATEST_MONTH
from paincast.errors import SettingsError
from paincast.evidence.comparators import Comparator, choose_comparator, explain_silence
from paincast.evidence.figures import TAG_OF_SUPPORT, CurvePoint, Record
from paincast.planning.contents import Expected
from paincast.planning.figures import Figure, publish
from paincast.planning.suitability import Suitability
from paincast.predictor import Predictor
from paincast.scoring.linear_plain import FARTHEST_SCORE
from paincast.serving import predict
from paincast.serving.months import check_months

PAIN = "pain_response"
BORROWED = "the nearest evidence, of"
NEW_STUDY = "95 % interval of the share in a new study"
SUPPORTS: Mapping[str, str] = MappingProxyType(
    {
        "counted": "pooled from studies; those of {indication} count this month",
        "near month": "pooled from studies; those of {indication} count a near month",
        "other outcome": "pooled from studies; those of {indication} count another outcome near this month",
        "interpolated": "no study of {indication} counts near this month; read off the pooled course",
        "carried over": "assumed: carried over from other indications and techniques",
    }
)
"""What a point of a curve stands on, in words."""

COUNTED = ("counted", "near month", "other outcome")
"""Supports by studies of the indication."""

OTHER_AGES = "other ages"
"""Support of a figure that is withheld, because the studies are of other ages."""

ADULT_YEARS = 18.0
"""Lowest age of the patients of the evidence."""

Models = Mapping[str, Predictor]


class Month(NamedTuple):
    """The common month and why it is taken; None where nothing has an answer."""

    month: float | None
    because: str


def choose_month(
    suitable: Mapping[str, Suitability], episode: pd.DataFrame, models: Models, asked: object = None
) -> Month:
    """Choose the month of all expected outcomes.

    Parameters
    ----------
    suitable : mapping of str to Suitability
        Techniques whose indication fits.
    episode : DataFrame of shape (1, ...)
        The patient: only studies of the patient's indication count as such, and evidence of other ages has no answer.
    models : mapping of str to Predictor
        Models; may be empty.
    asked : float, optional
        Month that is asked for.

    Returns
    -------
    Month
        By default that at which most of the techniques have an answer, of a model if there are models, else of a
        published curve. Of several it is the one at which studies of the indication count most of them, then the
        primary month of most, then the earliest.

    Raises
    ------
    SettingsError
        If the month asked is not a number above 0, or lies beyond 20 years.
    """
    if asked is not None:
        months = check_months([asked])  # type: ignore[list-item]
        assert months is not None
        if months[0] > LATEST_MONTH:
            raise SettingsError(f"month: needs a number up to {LATEST_MONTH:g}", code="PC-PLANNING-13")
        return Month(months[0], "asked for")
    by_model = _count([_list_model_months(name, models) for name in suitable])
    points = [_list_points(item, episode) for item in suitable.values()]
    by_curve = _count([set(of) for of in points])
    by_count = _count([{month for month, support in of.items() if support in COUNTED} for of in points])
    primary = _count([{record.primary_month or 0.0 for record in item.records} for item in suitable.values()])
    candidates = by_model or by_curve
    if not candidates:
        return Month(None, "no technique that fits has an answer at any month")
    ranks = (candidates, by_count, primary)
    best = min(candidates, key=lambda month: (*(-rank.get(month, 0) for rank in ranks), month))
    what = "a model" if by_model else "a published response"
    counted = f", {by_count.get(best, 0)} of them from studies of the indication" if not by_model else ""
    return Month(best, f"{candidates[best]} of {len(suitable)} techniques that fit have {what} at this month{counted}")


def _list_points(item: Suitability, episode: pd.DataFrame) -> dict[float, str]:
    """List the months of the curves of a technique, each with the best support of any approach.

    What studies of another indication count is carried over.
    """
    found: dict[float, str] = {}
    for record in item.records:
        is_own = record.indication == episode["indication"].iloc[0]
        points = {} if explain_ages(record, get_age(episode)) or not record.response else record.response.points
        for month, point in points.items():
            support = point.support if is_own else "carried over"
            found[month] = min(found.get(month, support), support, key=[*SUPPORTS].index)
    return found


def _count(sets: Sequence[set[float]]) -> dict[float, int]:
    return {month: sum(month in months for months in sets) for month in sorted(set().union(*sets))}


def _list_model_months(technique: str, models: Models) -> set[float]:
    return {model.horizon_months for model in models.values() if model.technique == technique}


def expect(
    technique: str, records: Sequence[Record], episode: pd.DataFrame, models: Models, month: float
) -> tuple[Expected, ...]:
    """Give what is expected after a technique at a month.

    Parameters
    ----------
    technique : str
        Technique.
    records : sequence of Record
        The nearest records, one for each approach.
    episode : DataFrame of shape (1, ...)
        The patient.
    models : mapping of str to Predictor
        Models; a technique without one, or whose model abstains, has the published curve.
    month : float
        The common month.

    Returns
    -------
    tuple of Expected
        Outcomes of models first, an abstention without a value; then half less pain by each record if no model
        answered that.
    """
    rows = _predict(technique, episode, models, month)
    alone = records[0] if len(records) == 1 else None
    ages = find_other_ages(records, get_age(episode))
    expected = [
        Expected(
            outcome=row["outcome"],
            figure=_read_row(row, month, f"of evidence behind a model: {ages}" if ages else ""),
            **_find_control(alone, row["outcome"], episode, month),
        )
        for row in rows
        if not (row["abstained"] and row["outcome"] == PAIN)
    ]
    silent = {row["outcome"]: row["abstained_because"] for row in rows if row["abstained"]}
    if PAIN not in {item.outcome for item in expected}:
        remark = f"the model abstains: {silent[PAIN]}" if PAIN in silent else ""
        expected += [_expect_published(record, episode, month, remark) for record in records]
    return tuple(expected)


def _expect_published(record: Record, episode: pd.DataFrame, month: float, remark: str) -> Expected:
    """Give half less pain by the published curve of a record."""
    indication, ages = str(episode["indication"].iloc[0]), explain_ages(record, get_age(episode))
    return Expected(
        outcome=PAIN,
        approach=record.approach or "",
        figure=withhold(read_curve(record, indication, month, remark), ages),
        support=OTHER_AGES if ages else _find_support(record, month),
        borrowed_from="" if record.indication == indication else record.indication,
        **_find_control(record, PAIN, episode, month),
    )


def explain_ages(record: Record, age: float | None) -> str:
    """Explain why figures of a record are not of the patient's age; empty where they are, or the age is unknown.

    The studies are of adults. As in the domain of models, an age is outside if it is more than four standard deviations
    from the mean of the record.
    """
    if age is None:
        return ""
    if age < ADULT_YEARS:
        return "the studies are of adults, and the patient is younger"
    told = record.baseline.get("age_years")
    if told is None or told.mean is None or told.sd is None or abs(age - told.mean) <= FARTHEST_SCORE * told.sd:
        return ""
    return f"the patients of the studies were {told.mean:.0f} years old on average (standard deviation {told.sd:.0f})"


def find_other_ages(records: Sequence[Record], age: float | None) -> str:
    """Find why figures of some of the records are not of the patient's age; empty where all are."""
    return next(filter(None, (explain_ages(record, age) for record in records)), "")


def get_age(episode: pd.DataFrame) -> float | None:
    """Get the age of the patient in years; None where it is unknown."""
    age = episode["age_years"].iloc[0]
    return None if pd.isna(age) else float(age)


def withhold(figure: Figure, reason: str) -> Figure:
    """Withhold the value of a figure if there is a reason, which its note then tells."""
    if not reason:
        return figure
    blank = replace(figure, value=None, lower=None, upper=None, interval="", confidence=None, n=None)
    return replace(blank, note=f"withheld: {reason}", denominator="", source=(), tag="")


def _find_support(record: Record, month: float) -> str:
    points = record.response.points if record.response else {}
    return points[month].support if month in points else ""


def _predict(technique: str, episode: pd.DataFrame, models: Models, month: float) -> list[dict[str, Any]]:
    own = {name: model for name, model in models.items() if model.technique == technique}
    if not own:
        return []
    columns = [str(name) for name in episode.columns[episode.iloc[0].notna()]]
    rows = predict(episode[columns], own, techniques=[technique], months=[month], explain=0)
    return [{str(name): value for name, value in row.items()} for row in rows.to_dict("records")]


def _read_row(row: Mapping[str, Any], month: float, remark: str = "") -> Figure:
    """Read a prediction as a figure; ``n`` counts real patients."""
    is_share = not pd.isna(row["probability"])
    names = ("probability", "lower", "upper") if is_share else ("expected", "expected_lower", "expected_upper")
    value, lower, upper = (None if pd.isna(row[name]) else float(row[name]) for name in names)
    remarks = ["n counts real patients"]
    if row["abstained"]:
        remarks = [f"the model abstains: {row['abstained_because']}"]
    elif row["in_domain"] is False:
        remarks.append("the patient is unlike those the model was trained on")
    remarks += [remark] if remark else []
    return Figure(
        name=str(row["outcome"]),
        unit="share" if is_share or row["outcome"] != "pain_change" else "points",
        value=value,
        lower=lower,
        upper=upper,
        interval=f"{row['level']:.0%} interval for this patient".replace("%", " %"),
        confidence=None if lower is None else float(row["level"]),
        month=month,
        basis=str(row["basis"]),
        source=(f"model {row['model_version']}",),
        n=int(row["n_real"]),
        validation=str(row["validated_on"]) or "not held against real patients whom the model had not seen",
        note="; ".join(remarks),
    )


def read_curve(record: Record, indication: str, month: float, remark: str = "") -> Figure:
    """Read the published curve of a record at one of its months; between them it is not read.

    At a month that no study of the record counts, the point itself is read off the pooled course: the note tells
    between which months that studies count.
    """
    points = record.response.points if record.response else {}
    borrowed = "" if record.indication == indication else f"{BORROWED} {record.indication}"
    if month not in points:
        told = ", ".join(f"{other:g}" for other in sorted(points)) or "none"
        note = "; ".join(filter(None, (remark, borrowed, f"no figure at month {month:g}; months with one: {told}")))
        return publish(PAIN, "share", (), "", month=month, note=note)
    point = points[month]
    whose = record.indication if borrowed else "the indication"
    notes = (remark, borrowed, _describe_support(points, month).format(indication=whose))
    return publish(
        PAIN,
        "share",
        point.source,
        "DERIVED" if borrowed and point.support == "counted" else TAG_OF_SUPPORT[point.support],
        value=point.share,
        lower=point.predicted_lower,
        upper=point.predicted_upper,
        interval=NEW_STUDY,
        denominator=name_denominator(record),
        month=month,
        n=point.n,
        note="; ".join(filter(None, notes)),
    )


def name_denominator(record: Record) -> str:
    """Name whom the shares of a record's curve are of."""
    return (record.response.denominator if record.response else "") or "those treated"


def _describe_support(points: Mapping[float, CurvePoint], month: float) -> str:
    """Describe what a point stands on; one that is read off the course with the counted months around it."""
    told = SUPPORTS[points[month].support]
    counted = sorted(other for other, point in points.items() if point.support in COUNTED)
    if points[month].support != "interpolated" or not counted:
        return told
    before = max((other for other in counted if other < month), default=None)
    after = min((other for other in counted if other > month), default=None)
    if before is None:
        return f"{told}, before month {after:g}, the first that they count"
    if after is None:
        return f"{told}, after month {before:g}, the last that they count"
    return f"{told} between months {before:g} and {after:g}"


def choose_control(record: Record, outcome: str, indication: str, month: float) -> tuple[Comparator | None, str]:
    """Choose the control arm that fits outcome, month and indication, or explain why there is none."""
    own = [item for item in record.comparators if item.indication == indication]
    control = choose_comparator(own, outcome, month)
    remark = record.without if record.indication == indication else ""
    return control, "" if control else explain_silence(own, outcome, month, remark)


def _find_control(record: Record | None, outcome: str, episode: pd.DataFrame, month: float) -> dict[str, Any]:
    if record is None:
        return {"control_because": "the approach is not given, and controls are those of an approach"}
    if ages := explain_ages(record, get_age(episode)):
        return {"control_because": ages}
    control, silence = choose_control(record, outcome, str(episode["indication"].iloc[0]), month)
    return {"control": show_control(control) if control else None, "control_because": silence}


def show_control(control: Comparator) -> Figure:
    """Show the share of a control arm as a figure."""
    return publish(
        control.outcome,
        "share",
        control.source,
        control.tag,
        value=control.share,
        lower=control.lower,
        upper=control.upper,
        interval="95 % interval",
        month=control.month,
        n=control.n,
        note=f"{control.kind}: {control.definition}",
    )


def list_durability(
    records: Sequence[Record], indication: str, month: float | None, age: float | None = None
) -> Iterator[Figure]:
    """List the published response at later months, and survival where it limits follow-up."""
    for record in records:
        by = f", {record.approach}" if record.approach and len(records) > 1 else ""
        for later in sorted(record.curve or {}):
            if month is None or later > month:
                later_on = withhold(read_curve(record, indication, later), explain_ages(record, age))
                yield replace(later_on, name=f"{PAIN}{by}")
        if record.survival:
            told = record.survival
            yield publish(
                f"median survival{by}", "months", told.source, told.tag, value=told.median_months, note=told.note
            )
