"""Compute the figures of all records from the extraction table.

They are written to ``computed.yaml`` in the folder of the evidence, which is part of the package: nothing is fitted
when records are loaded. A test holds the file against the table.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from scipy.special import expit, logit

from paincast.evidence.figures import Transform
from paincast.evidence.reading import parse_baseline, parse_transform
from paincast.evidence.synthesis.control_arms import find_comparators, pool_untreated
from paincast.evidence.synthesis.counts import Target, find_trials, list_counts, performs
from paincast.evidence.synthesis.odds import estimate_log_odds
from paincast.evidence.synthesis.patients import pool_patients
from paincast.evidence.synthesis.pooling import Pool, fit_pool, predict_curve
from paincast.evidence.synthesis.quantities import compute_implied
from paincast.evidence.synthesis.rates import list_published, pool_harms, pool_passes
from paincast.evidence.synthesis.study import Study

Figures = Mapping[str, Any]
Studies = Mapping[str, Study]

DIGITS = 4
"""Decimals of what is written."""


def compute_records(studies: Studies, contents: Mapping[str, Figures]) -> dict[str, Any]:
    """Compute the figures of records from the extraction table.

    Parameters
    ----------
    studies : mapping of str to Study
        The extraction table.
    contents : mapping of str to mapping
        Content of the record files, by id.

    Returns
    -------
    dict
        For each record with a curve, as plain data: ``curve``, ``scenarios``, ``comparators``, ``untreated``,
        ``predictors``, ``baseline``, ``complications``, ``passes``, ``published`` and ``implied``.
    """
    pool, trials = fit_pool(list_counts(studies)), find_trials(studies)
    return {
        name: round_figures(_compute_record(studies, trials, pool, content))
        for name, content in sorted(contents.items())
        if "curve" in content
    }


def _compute_record(studies: Studies, trials: Mapping[str, str], pool: Pool, content: Figures) -> dict[str, Any]:
    target = make_target(content)
    own = [study for study in studies.values() if treats(study, target)]
    comparators = [
        comparator
        for indication in (target.indication, *content.get("also_covers", ()))
        for comparator in find_comparators(studies, target._replace(indication=indication))
    ]
    matching = [comparator for comparator in comparators if comparator.indication == target.indication]
    untreated = pool_untreated(studies, target, matching)
    patients = pool_patients(own, content)
    curve, scenarios = _compute_curve(pool, target, content)
    predictors = _estimate_predictors(studies, trials, own, target, content, patients)
    transforms = [
        (entry["column"], parse_transform(entry["transform"], target.record), figures["log_odds"])
        for entry, figures in zip(content.get("predictors", ()), predictors, strict=True)
        if entry["kind"] != "effect_modifier"
    ]
    return {
        "curve": curve,
        "scenarios": scenarios,
        "comparators": [asdict(comparator) for comparator in comparators],
        "untreated": {row.pop("month"): row for row in untreated.to_dict("records")},
        "predictors": predictors,
        "baseline": patients,
        "complications": pool_harms(own, target, content.get("complications", ())),
        "passes": pool_passes(own, target),
        "published": list_published(own, target),
        "implied": compute_implied(
            transforms, _read_baselines(content, patients), curve[float(content["primary_month"])]["share"]
        ),
    }


def make_target(content: Figures) -> Target:
    """Make the target of a record from the content of its file."""
    months = tuple(float(month) for month in content["curve"]["months"])
    return Target(content["id"], content["technique"], content["indication"], content.get("approach") or "", months)


def treats(study: Study, target: Target) -> bool:
    """Tell whether a study treats the indication of a record by its technique and approach."""
    return target.indication in study.indications and any(performs(arm, target) for arm in study.arms.values())


def _compute_curve(pool: Pool, target: Target, content: Figures) -> tuple[dict[float, Any], dict[str, Any]]:
    """Compute the curve, and what each scenario gives at the primary month.

    The scenario ``literature`` takes every primary study by its own denominator as one over those treated or seen,
    ``pragmatic`` as one over all who entered or were randomised; ``seed_optimistic`` is the middle, on the log odds, of
    what the founding review says, or the literature where it gives no share.
    """
    names = ("share", "lower", "upper", "predicted_lower", "predicted_upper")
    points = {float(row["month"]): row for row in predict_curve(pool, target).to_dict("records")}
    at = float(content["primary_month"])
    pragmatic = predict_curve(pool, target._replace(months=(at,)), intended=True).to_dict("records")[0]
    claimed = content.get("seed", {}).get("response")
    middle = points[at]["share"] if claimed is None else expit(np.mean(logit(np.array(claimed))))
    scenarios = {
        "literature": {name: points[at][name] for name in names},
        "pragmatic": {name: pragmatic[name] for name in names},
        "seed_optimistic": {"share": middle},
    }
    curve = {
        month: {**{name: row[name] for name in (*names, "support", "n")}, "source": _split(row["of"])}
        for month, row in points.items()
    }
    return curve, scenarios


def _split(names: str) -> list[str]:
    return names.split(", ") if names else []


def _estimate_predictors(
    studies: Studies,
    trials: Mapping[str, str],
    own: Sequence[Study],
    target: Target,
    content: Figures,
    patients: Figures,
) -> list[dict[str, Any]]:
    """Estimate the log odds ratio of each predictor from the studies of the record, and those that it names."""
    baselines = _read_baselines(content, patients)
    figures = []
    for entry in content.get("predictors", ()):
        named = entry.get("source", ())
        ids = {study.id for study in own} | ({named} if isinstance(named, str) else set(named))
        column, transform = entry["column"], parse_transform(entry["transform"], target.record)
        estimate = estimate_log_odds(
            [
                (studies[name], association)
                for name in sorted(ids & set(studies))
                for association in studies[name].associations
                if association.column == column and _concerns(association.contrast, transform)
            ],
            column,
            transform,
            baselines.get(column),
            kind=entry["kind"],
            direction=entry["direction"],
            technique=target.technique,
            trials=trials,
        )
        figures.append(
            {"log_odds": estimate.mean, "sd": estimate.sd, "basis": estimate.basis, "studies": list(estimate.studies)}
        )
    return figures


def _concerns(contrast: Figures, transform: Transform) -> bool:
    """Tell whether a contrast is of the category that a transform asks for; numbers can be compared."""
    value = next(iter(contrast.values()), None)
    return not isinstance(transform.value, str) or value is None or value == transform.value


def _read_baselines(content: Figures, patients: Figures) -> dict[str, Any]:
    entries = {**content.get("baseline", {}), **patients}
    return {name: parse_baseline(entry, content["id"]) for name, entry in entries.items()}


def round_figures(content: Any) -> Any:
    """Round every number of plain data, and turn numpy's and pandas' numbers and tuples into those of YAML."""
    if isinstance(content, Mapping):
        return {key: round_figures(value) for key, value in content.items()}
    if isinstance(content, (list, tuple)):
        return [round_figures(value) for value in content]
    if isinstance(content, (bool, str)) or content is None:
        return content
    if isinstance(content, (int, np.integer)):
        return int(content)
    return round(float(content), DIGITS)
