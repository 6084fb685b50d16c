"""Parse evidence records from YAML; unknown keys, missing figures and figures without source or tag are errors."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import MISSING, fields
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar

from paincast.deferred import yaml
from paincast.errors import DataError, suggest_name
from paincast.evidence.comparators import Comparator
from paincast.evidence.conditions import add_implied, check_condition, describe_condition
from paincast.evidence.context import (
    Certainty,
    ComparedArm,
    ComparedOutcome,
    Comparison,
    Cost,
    ExpectedChange,
    Finding,
    SeedClaim,
    SeedConflict,
)
from paincast.evidence.figures import (
    CERTAINTY_LEVELS,
    PREDICTOR_KINDS,
    PROVENANCE_TAGS,
    TRANSFORMS,
    Baseline,
    Curve,
    CurvePoint,
    Implied,
    PredictorEffect,
    PublishedRate,
    Record,
    Source,
    Survival,
    Transform,
    Untreated,
)
from paincast.evidence.merging import merge_computed
from paincast.evidence.safety import BLEEDING_CLASSES, SEVERITY_OF_KIND, Complication, Contraindication
from paincast.schema import EPISODES, EVENT_KINDS, INDICATIONS, TECHNIQUES

T = TypeVar("T")
Figures = Mapping[str, Any]


def read_yaml(path: Path) -> dict[str, Any]:
    """Read a YAML file of the package, whose content is a mapping; see :func:`parse_yaml`."""
    return parse_yaml(path.read_text(encoding="utf-8"), path.name)


def parse_yaml(text: str, name: str) -> dict[str, Any]:
    """Parse YAML whose content is a mapping; ``name`` stands for its file in errors.

    Raises
    ------
    DataError
        If it is not a YAML mapping.
    """
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        content = yaml.load(text, Loader=loader)
    except (yaml.YAMLError, ValueError, ArithmeticError) as error:  # a date or a number may be none
        raise DataError(f"{name} is not valid YAML", code="PC-EVIDENCE-07") from error
    if not isinstance(content, dict):
        raise DataError(f"{name} must hold a mapping of keys to values", code="PC-EVIDENCE-08")
    return content


def parse_sources(content: Figures) -> dict[str, Source]:
    """Parse the sources in ``sources.yaml``, keyed by id.

    Raises
    ------
    DataError
        If a key is unknown or missing.
    """
    return {name: build(Source, {"id": name, **entry}, f"source {name}") for name, entry in content.items()}


def parse_record(
    content: Figures,
    contraindications: Figures,
    costs: Figures,
    sources: Mapping[str, Source],
    computed: Figures | None = None,
) -> Record:
    """Parse and check a record.

    Parameters
    ----------
    content : mapping
        Content of a record file.
    contraindications, costs : mapping
        Content of ``contraindications.yaml`` and ``costs.yaml``, to which records refer by key.
    sources : mapping of str to Source
        Known sources.
    computed : mapping, optional
        Figures of the record in ``computed.yaml``; a record without a curve has none.

    Returns
    -------
    Record

    Raises
    ------
    DataError
        If the record is invalid; the message names the record, the key and the allowed values.
    """
    where = f"evidence record {content.get('id', 'without an id')}"
    figures: Figures = computed or {}
    bleeding = content.get("bleeding_class", "")
    _check_provenance(content, sources, where)
    merged = merge_computed(content, figures, where)
    parsed = {
        key: _PARSERS[key](value, f"{where}, {key}") if key in _PARSERS else value for key, value in merged.items()
    }
    parsed["response"] = parsed.pop("curve", None)
    parsed["contraindications"] = tuple(
        _parse_contraindication(name, contraindications, bleeding, where)
        for name in content.get("contraindications", ())
    )
    parsed["costs"] = tuple(_parse_cost(name, costs, where) for name in content.get("costs", ()))
    named = {item.source for item in (*parsed["contraindications"], *parsed["costs"])}
    cited = list_source_ids(content) | list_source_ids(figures)
    parsed["sources"] = tuple(sorted({*content.get("sources", ()), *cited, *named}))
    record = build(Record, parsed, where)
    _check_names(record, where)
    _check_curve(record, where)
    return record


def parse_comparison(entry: Figures, computed: Figures, sources: Mapping[str, Source]) -> Comparison:
    """Parse an entry of ``comparisons.yaml`` with its figures in ``computed.yaml``.

    Raises
    ------
    DataError
        If a key is unknown or missing, or a name is not known.
    """
    where = f"comparison of {entry.get('source', 'an unknown source')}"
    if any(computed.get(key) != entry.get(key) for key in ("source", "arms")):
        raise DataError(f"{where}: not computed yet; run paincast evidence diff --write", code="PC-EVIDENCE-58")
    told = {key: entry[key] for key in ("source", "tag") if key in entry}
    parsed = {
        **{key: value for key, value in {**entry, **computed}.items() if key != "arms"},
        **{side: build(ComparedArm, computed[side], f"{where}, {side}") for side in ("first", "second")},
        "outcomes": [build(ComparedOutcome, outcome, f"{where}, outcomes") for outcome in computed["outcomes"]],
        "findings": [build(Finding, {**told, **item}, f"{where}, findings") for item in entry.get("findings", ())],
    }
    comparison = build(Comparison, parsed, where)
    check_known(comparison.source, sources, f"{where}, source")
    check_known(comparison.indication, INDICATIONS, f"{where}, indication")
    check_known(comparison.tag, PROVENANCE_TAGS, f"{where}, tag")
    return comparison


def list_source_ids(content: Any) -> set[str]:
    """List all source ids in a part of a record file."""
    if isinstance(content, dict):
        source = content.get("source", ())
        named = {source} if isinstance(source, str) else set(source)
        named |= set(content.get("studies", ()))
        return named.union(*(list_source_ids(value) for value in content.values()))
    if isinstance(content, list):
        return set().union(*(list_source_ids(value) for value in content))
    return set()


def build(kind: Callable[..., T], content: Figures, where: str) -> T:
    """Build a dataclass from the keys of a mapping; an unknown or missing key is an error."""
    known = {item.name: item for item in fields(kind)}  # type: ignore[arg-type]
    for key in content:
        if key not in known:
            raise DataError(f"{where}: unknown key '{key}'; {suggest_name(str(key), known)}", code="PC-EVIDENCE-09")
    for name, item in known.items():
        if name not in content and item.default is MISSING and item.default_factory is MISSING:
            raise DataError(f"{where}: '{name}' is missing", code="PC-EVIDENCE-10")
    return kind(**{key: tuple(value) if isinstance(value, list) else value for key, value in content.items()})


def _check_names(record: Record, where: str) -> None:
    check_known(record.technique, TECHNIQUES, f"{where}, technique")
    check_known(record.bleeding_class, BLEEDING_CLASSES, f"{where}, bleeding_class")
    for indication in record.indications:
        check_known(indication, INDICATIONS, f"{where}, indication")
    if not record.indication and not record.gap:
        raise DataError(f"{where}: 'indication' is missing", code="PC-EVIDENCE-11")
    if record.approach is not None:
        check_known(record.approach, EPISODES["approach"].categories, f"{where}, approach")
    columns = (*record.baseline, *record.not_recorded, *(effect.column for effect in record.predictors))
    for column in columns:
        check_known(column, EPISODES, f"{where}, column")
    for column, baseline in record.baseline.items():
        _check_shares(column, baseline, f"{where}, baseline of {column}")


def _check_shares(column: str, baseline: Baseline, where: str) -> None:
    if baseline.shares is None:
        return
    if abs(sum(baseline.shares.values()) - 1.0) > 1e-6:
        raise DataError(
            f"{where}: shares add up to {sum(baseline.shares.values()):g}; they must add up to 1", code="PC-EVIDENCE-12"
        )
    if EPISODES[column].type == "category":
        for value in baseline.shares:
            check_known(str(value), EPISODES[column].categories, where)


def check_known(name: str, known: Any, where: str) -> None:
    """Check that a name is one of those known; the message suggests the nearest."""
    if name not in known:
        raise DataError(f"{where}: unknown name '{name}'; {suggest_name(name, known)}", code="PC-EVIDENCE-13")


def _check_curve(record: Record, where: str) -> None:
    if record.primary_month is None and not record.gap:
        raise DataError(f"{where}: 'primary_month' is missing", code="PC-EVIDENCE-14")
    if record.response and record.primary_month not in record.response.points:
        raise DataError(
            f"{where}: the curve has no share at the primary month {record.primary_month}", code="PC-EVIDENCE-17"
        )


_WITHOUT_PROVENANCE = frozenset({"primary_month", "follow_up_months", "curve"})
"""Keys whose numbers are no figures: they are what is asked."""

_WITHOUT_FIGURES = frozenset({"transform"})


def _check_provenance(content: Figures, sources: Mapping[str, Source], where: str) -> None:
    for path, number in walk_numbers({key: value for key, value in content.items() if key not in _WITHOUT_PROVENANCE}):
        del number
        if _WITHOUT_FIGURES & set(path):
            continue
        holders = [_descend(content, path[:depth]) for depth in range(len(path))]
        keys = set().union(*(holder for holder in holders if isinstance(holder, dict)))
        lacking = {"source", "tag"} - keys
        if lacking:
            raise DataError(
                f"{where}: {'.'.join(map(str, path))} has no {' and no '.join(sorted(lacking))}", code="PC-EVIDENCE-18"
            )
    for name in list_source_ids(content):
        check_known(name, sources, f"{where}, source")
    for tag in _list_tags(content):
        for part in str(tag).split("/"):
            check_known(part, PROVENANCE_TAGS, f"{where}, tag")


def walk_numbers(content: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], float]]:
    """Yield all numbers in a part of a record file, with the path of keys to each.

    Examples
    --------
    >>> list(walk_numbers({"curve": {"tag": "DERIVED", "months": {3: 0.5}}}))
    [(('curve', 'months', 3), 0.5)]
    """
    if isinstance(content, dict):
        for key, value in content.items():
            yield from walk_numbers(value, (*path, key))
    elif isinstance(content, list):
        for index, value in enumerate(content):
            yield from walk_numbers(value, (*path, index))
    elif isinstance(content, (int, float)) and not isinstance(content, bool):
        yield path, content


def _descend(content: Any, path: tuple[Any, ...]) -> Any:
    for key in path:
        content = content[key]
    return content


def _list_tags(content: Any) -> Iterator[str]:
    if isinstance(content, dict):
        for key, value in content.items():
            if key in ("tag", "source_tag", "threshold_tag"):
                yield value
            else:
                yield from _list_tags(value)
    elif isinstance(content, list):
        for value in content:
            yield from _list_tags(value)


def parse_transform(content: Figures, where: str) -> Transform:
    """Parse a transform, a mapping with a single key."""
    if len(content) != 1:
        raise DataError(
            f"{where}: a transform has exactly one key, one of {', '.join(TRANSFORMS)}", code="PC-EVIDENCE-19"
        )
    ((kind, value),) = content.items()
    check_known(kind, TRANSFORMS, where)
    return Transform(kind=kind, value=value)


def _parse_predictor(content: Figures, where: str) -> PredictorEffect:
    parsed = {**content, "transform": parse_transform(content.get("transform", {}), where)}
    effect = build(PredictorEffect, parsed, where)
    check_known(effect.kind, PREDICTOR_KINDS, f"{where}, kind")
    return effect


def _parse_curve(content: Figures, where: str) -> Curve:
    parsed = dict(content)
    points = {
        float(month): CurvePoint(**{**point, "source": tuple(point["source"])})
        for month, point in parsed.pop("curve").items()
    }
    parsed["points"] = MappingProxyType(points)
    scenarios = {name: figures["share"] for name, figures in content["scenarios"].items()}
    parsed["scenarios"] = MappingProxyType(scenarios)
    return build(Curve, parsed, where)


def _parse_untreated(content: Figures, where: str) -> Mapping[float, Untreated]:
    del where
    return MappingProxyType({float(month): Untreated(**figures) for month, figures in content.items()})


def parse_baseline(content: Figures, where: str) -> Baseline:
    """Parse the distribution of a column before the procedure."""
    return build(Baseline, content, where)


def _parse_baselines(content: Figures, where: str) -> Mapping[str, Baseline]:
    return MappingProxyType({name: parse_baseline(entry, f"{where}, {name}") for name, entry in content.items()})


def _parse_contraindication(name: str, known: Figures, bleeding: str, where: str) -> Contraindication:
    check_known(name, known, f"{where}, contraindications")
    location = f"contraindication {name}"
    entry = {"name": name, **known[name]}
    by_class = entry.pop("when_by_bleeding_class", None)
    if by_class is not None:
        check_known(bleeding, by_class, f"{where}, bleeding_class")
        entry["when"] = by_class[bleeding]
    check_condition(entry.get("when"), f"{location}, when")
    words = {"bleeding_class": bleeding, "condition": describe_condition(entry["when"])}
    changed = {"reason": entry["reason"].format(**words), "when": add_implied(entry["when"])}
    contraindication = build(Contraindication, {**entry, **changed}, location)
    check_known(contraindication.level, ("absolute", "relative", "caution"), f"{location}, level")
    return contraindication


def _parse_cost(name: str, known: Figures, where: str) -> Cost:
    check_known(name, known, f"{where}, costs")
    return build(Cost, known[name], f"cost {name}")


def _parse_certainty(content: Figures, where: str) -> Certainty:
    certainty = build(Certainty, content, where)
    check_known(certainty.level, CERTAINTY_LEVELS, f"{where}, level")
    return certainty


def _parse_complication(content: Figures, where: str) -> Complication:
    complication = build(Complication, content, where)
    check_known(complication.event_kind, EVENT_KINDS, f"{where}, event_kind")
    check_known(complication.kind, SEVERITY_OF_KIND, f"{where}, kind")
    for end in (*(complication.rate or ()), *(complication.per_patient or ())):
        if not 0 <= end <= 1:
            raise DataError(f"{where}: rate {end} is out of range; allowed: from 0 to 1", code="PC-EVIDENCE-21")
    return complication


def _one(kind: Callable[..., T]) -> Callable[[Any, str], T]:
    return lambda content, where: build(kind, content, where)


def _each(parse_one: Callable[[Any, str], T]) -> Callable[[Any, str], tuple[T, ...]]:
    """Return a parser of lists from a parser of one entry."""

    def parse(content: Any, where: str) -> tuple[T, ...]:
        return tuple(parse_one(entry, f"{where} {number}") for number, entry in enumerate(content, 1))

    return parse


_PARSERS: Mapping[str, Callable[[Any, str], Any]] = {
    "curve": _parse_curve,
    "comparators": _each(_one(Comparator)),
    "untreated": _parse_untreated,
    "survival": _one(Survival),
    "baseline": _parse_baselines,
    "predictors": _each(_parse_predictor),
    "implied": _one(Implied),
    "null_findings": _each(_one(Finding)),
    "published": _each(_one(PublishedRate)),
    "findings": _each(_one(Finding)),
    "expected_change": _each(_one(ExpectedChange)),
    "complications": _each(_parse_complication),
    "certainty": _parse_certainty,
    "seed": _one(SeedClaim),
    "seed_conflicts": _each(_one(SeedConflict)),
}
