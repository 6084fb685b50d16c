"""Make the plan of a patient: every technique in one group, with all that is known of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from paincast.evidence import wording
from paincast.evidence.reading import list_source_ids
from paincast.evidence.records import comparisons_of, evidence_version, load_sources
from paincast.files.serialization import to_plain
from paincast.models_folder import list_notes
from paincast.planning.benefit import compute_benefits
from paincast.planning.contents import FORMAT, Harm, Plan, Reference, TechniquePlan, WorkUp
from paincast.planning.cost import compute_costs
from paincast.planning.evidence_parts import (
    PROTOCOL,
    RECOVERY,
    count_visits,
    list_certainty,
    list_harms,
    list_published_costs,
    list_statements,
    list_steps,
    list_trials,
    list_unrelated,
)
from paincast.planning.expected import Models, choose_month, expect, find_other_ages, list_durability
from paincast.planning.figures import Figure, publish
from paincast.planning.patient import Facts, read_facts
from paincast.planning.preferences import BY_CONTRAST, Preferences, Weights, order_options
from paincast.planning.stated import Contrast, Price, read_contrast, read_prices, read_weights
from paincast.planning.suitability import GROUPS, HOLDS, Suitability, assess_technique
from paincast.schema import EPISODES, IMPLIED_FACTS, RESEARCH_MARK, TECHNIQUES
from paincast.serving.months import common_contract
from paincast.serving.predict import gather_models
from paincast.version import __version__

ORDER = (
    "techniques stand by group (indicated, not assessed, contraindicated, not indicated), and within a group in the "
    "order of the contract; no result decides where one stands"
)
NOTES = (
    "Research software: a summary of what publications and models say, and no medical advice.",
    "What is expected after a technique is a prognosis given that technique: it does not compare techniques.",
    "Published figures are of adults.",
)


def plan(
    patient: object,
    models: Any = None,
    *,
    month: float | None = None,
    preferences: object = None,
    prices: object = None,
    comparison: object = None,
) -> Plan:
    """Make the plan of a patient.

    Parameters
    ----------
    patient : mapping, DataFrame, Series, str or Path
        Columns of the ``episodes`` table: a mapping, a table of one row, or a file (YAML, JSON, or any that ``paincast
        predict`` reads).
    models : str, Path, Predictor or mapping, optional
        Models as for :func:`paincast.predict`; by default published evidence alone answers.
    month : float, optional
        Month of all expected outcomes; by default that at which most indicated techniques have an answer.
    preferences : str, Path or mapping, optional
        Weights of patient or clinic; see :func:`paincast.planning.stated.weights.read_weights`.
    prices : str, Path or mapping, optional
        Prices; by default those shipped. See :func:`paincast.planning.stated.prices.read_prices`.
    comparison : object, mapping, str or Path, optional
        A comparison of techniques; see :func:`paincast.planning.stated.comparison.read_contrast`.

    Returns
    -------
    Plan

    Raises
    ------
    DataError
        If the patient or the models cannot be read, or it is not exactly one patient.
    SettingsError
        If the month, preferences, prices or comparison are malformed.

    Examples
    --------
    >>> import paincast
    >>> made = paincast.plan({"indication": "knee_osteoarthritis", "active_infection": False})
    >>> [item.technique for item in made.techniques if item.group == "indicated"]
    ['joint_injection', 'genicular_rfa', 'genicular_artery_embolization']
    >>> made.month, made.techniques[0].expected[0].figure.basis
    (3.0, 'published')
    """
    gathered = {} if models is None else gather_models(models)
    weights = None if preferences is None else read_weights(preferences)
    contrast = read_contrast(comparison)
    known_prices = read_prices(prices)
    facts = read_facts(patient, common_contract(gathered.values()))
    suitable = {name: assess_technique(name, facts.episode) for name in TECHNIQUES}
    fitting = {name: item for name, item in suitable.items() if item.records}
    indicated = {name: item for name, item in fitting.items() if item.group == GROUPS[0]}
    common = choose_month(indicated or fitting, facts.episode, gathered, month)
    techniques = tuple(
        _plan_technique(name, suitable[name], facts, gathered, common.month, known_prices.get(name))
        for group in GROUPS
        for name in TECHNIQUES
        if suitable[name].group == group
    )
    ordered: Preferences | None = None
    contrast = contrast.hold_for(facts, common.month, {name: item.group for name, item in suitable.items()})
    if weights is not None:
        figures = {**_gather_figures(techniques, known_prices), "recovery": weights.recovery, **contrast.figures}
        ordered = order_options(tuple(indicated), figures, weights, dict.fromkeys(BY_CONTRAST, contrast.refusal))
    indication = facts.get("indication") or ""
    made = Plan(
        format=FORMAT,
        use=RESEARCH_MARK,
        version=__version__,
        evidence_version=evidence_version(),
        indication=indication,
        known=facts.known,
        unread=facts.unread,
        contradictions=facts.contradictions,
        month=common.month,
        month_because=common.because,
        order=ORDER,
        techniques=techniques,
        work_up=tuple(_list_work_up(techniques, suitable, facts, gathered)),
        comparisons=comparisons_of(indication),
        preferences=ordered,
        comparison_unused=_explain_unused(contrast, weights),
        notes=(*NOTES, *_note_models(models, gathered)),
        sources={},
    )
    return replace(made, sources=_cite(made))


def _plan_technique(
    technique: str, suitable: Suitability, facts: Facts, models: Models, month: float | None, price: Price | None
) -> TechniquePlan:
    records, indication = suitable.records, facts.get("indication") or ""
    told = TechniquePlan(
        technique=technique,
        title=wording.name_technique(technique),
        group=suitable.group,
        because=suitable.because,
        records=tuple(record.id for record in records),
        rules=suitable.rules,
        cautions=tuple(
            f"{rule.severity}: {rule.reason}"
            for rule in suitable.rules
            if rule.status == HOLDS and rule.severity != "absolute"
        ),
        open_facts=suitable.open_facts,
    )
    if not records:
        return told
    expected = () if month is None else expect(technique, records, facts.episode, models, month)
    steps = list_steps(records, facts)
    return replace(
        told,
        steps=steps,
        expected=expected,
        benefits=() if month is None else compute_benefits(records, indication, month, facts.get("age_years")),
        harms=list_harms(records, indication),
        trials=list_trials(technique, records, indication),
        tells_nothing=list_unrelated(records),
        durability=tuple(list_durability(records, indication, month, facts.get("age_years"))),
        visits=count_visits(records, steps),
        recovery=list_statements(technique, (RECOVERY,)),
        protocol=list_statements(technique, PROTOCOL),
        costs=(*compute_costs(price, expected), *list_published_costs(records)),
        certainty=list_certainty(records),
        not_known=tuple(dict.fromkeys(text for record in records for text in record.not_known)),
        ages=find_other_ages(records, facts.get("age_years")),
    )


def _explain_unused(contrast: Contrast, weights: Weights | None) -> str:
    if contrast.unused or not contrast.figures:
        return contrast.refusal if contrast.unused else ""
    return "" if weights else "the comparison is not used: no weights were given"


def _gather_figures(techniques: Sequence[TechniquePlan], prices: Mapping[str, Price]) -> dict[str, dict[str, Figure]]:
    """Gather the components that enter from evidence: complications, visits and cost."""
    fitting = [item for item in techniques if item.records]
    return {
        "complications": {item.technique: _sum_harms(item.harms) for item in fitting},
        "visits": {item.technique: item.visits for item in fitting if item.visits},
        "cost": {name: price.price for name, price in prices.items()},
    }


def _sum_harms(harms: Sequence[Harm]) -> Figure:
    """Sum the rates of serious and moderate complications: how many are expected in a patient.

    Of several approaches it is the one with the most, with the lowest and highest ends of all. Without a rate of any
    serious complication it is unknown.
    """
    weighty = [item for item in harms if item.severity != "minor"]
    by_approach: dict[str, list[Figure]] = {}
    for item in weighty:
        if item.figure.value is not None and item.figure.unit == "share":
            by_approach.setdefault(item.approach, []).append(item.figure)
    uncounted = dict.fromkeys(item.event for item in weighty if item.figure.value is None)
    note = f"not counted by any study: {', '.join(uncounted)}" if uncounted else ""
    name, unit = "serious and moderate complications", "complications per patient"
    if not any(item.severity == "serious" and item.figure.value is not None for item in harms):
        return publish(name, unit, (), "", note=note or "no serious complication is counted")
    sums = [[sum(_end(figure, end) for figure in rates) for end in _ENDS] for rates in by_approach.values()]
    values, lowers, uppers = zip(*sums, strict=True)
    figures = [figure for rates in by_approach.values() for figure in rates]
    return publish(
        name,
        unit,
        tuple(dict.fromkeys(source for figure in figures for source in figure.source)),
        "DERIVED",
        value=max(values),
        lower=min(lowers),
        upper=max(uppers),
        interval="sums of the ends of all rates",
        note=note,
    )


_ENDS = ("value", "lower", "upper")


def _end(figure: Figure, end: str) -> float:
    """Return an end of a figure's interval, or its value where it has none."""
    known = getattr(figure, end)
    return float(figure.value if known is None else known)  # type: ignore[arg-type]


def _list_work_up(
    techniques: Sequence[TechniquePlan], suitable: Mapping[str, Suitability], facts: Facts, models: Models
) -> Iterator[WorkUp]:
    """List what is missing, each once, with the techniques that need it: for rules, tests, then predictions."""
    needs: dict[tuple[str, str], list[str]] = {}
    implied = IMPLIED_FACTS.get(facts.get("indication") or "", {})
    for item in techniques:
        for fact in item.open_facts:
            needs.setdefault(("rule", fact.column), []).append(item.technique)
    for item in techniques:
        for step in item.steps:
            if not step.is_known:
                needs.setdefault(("test", step.column), []).append(item.technique)
    for item in techniques:
        records = suitable[item.technique].records
        columns = [effect.column for record in records for effect in record.predictors]
        own = [model for model in models.values() if records and model.technique == item.technique]
        columns += [name for model in own for name in model.measures if name in EPISODES]
        for column in dict.fromkeys(columns):
            if EPISODES[column].role == "predictor" and facts.get(column) is None and column not in implied:
                needs.setdefault(("model", column), []).append(item.technique)
    for (kind, column), names in needs.items():
        yield WorkUp(kind=kind, column=column, description=EPISODES[column].description, techniques=tuple(names))


def _note_models(models: Any, gathered: Models) -> tuple[str, ...]:
    if not gathered:
        return ("No model was given: what is expected is published, of all patients treated and not of this one.",)
    own = sorted(common_contract(gathered.values()).own_techniques)
    declared = [f"Not in a plan, because no evidence stands beside them: {', '.join(own)}."] if own else []
    source = models if isinstance(models, str) or hasattr(models, "__fspath__") else None
    return (*declared, *(() if source is None else list_notes(source, gathered).values()))


def _cite(made: Plan) -> dict[str, Reference]:
    """Cite every source that stands in the plan."""
    sources = load_sources()
    return {
        name: Reference(
            citation=sources[name].citation, doi=sources[name].doi, pmid=sources[name].pmid, url=sources[name].url
        )
        for name in sorted(list_source_ids(to_plain(made)))
        if name in sources
    }
