"""Put what is pooled from the extraction table beside published meta-analyses, and beside another method: tables.

Run with: python benchmarks/evidence.py [reviews|methods|counts]
"""

from __future__ import annotations

import sys

import numpy as np
import pandas as pd
from scipy.special import expit, logit
from simulator_sample import as_markdown

from paincast.evaluation.groups.meta_analysis import pool_random_effects
from paincast.evidence import load_records, load_sources
from paincast.evidence.records import load_contents
from paincast.evidence.synthesis.compute import make_target
from paincast.evidence.synthesis.counts import NOT_PRIMARY, OUTCOME, Count, find_trials, list_counts
from paincast.evidence.synthesis.extraction import load_studies
from paincast.evidence.synthesis.pooling import fit_pool, predict_curve

REVIEWS = ("systematic review", "meta-analysis")
TREATED = ("treatment", "other technique")


def compare_reviews() -> pd.DataFrame:
    """Shares with half relief that reviews pool beside those of the records; reviews themselves are not pooled."""
    pool = fit_pool(list_counts(load_studies()))
    rows = []
    for record in load_records():
        if record.response is None:
            continue
        target = make_target(load_contents()[record.id])
        for study in load_studies().values():
            if study.design not in REVIEWS or record.indication not in study.indications:
                continue
            for result in study.results:
                arm = study.arms[result.arm]
                fits = arm.technique == record.technique and arm.approach in ("", record.approach or "", None)
                counts = result.outcome == OUTCOME and arm.kind in TREATED
                if not (fits and counts and result.month and result.share):
                    continue
                ours = predict_curve(pool, target._replace(months=(result.month,))).iloc[0]
                lower, upper = result.ci95 or (np.nan, np.nan)
                rows.append(
                    {
                        "record": record.id,
                        "review": study.id,
                        "outcome": result.outcome,
                        "month": result.month,
                        "review's share": result.share,
                        "lower": lower,
                        "upper": upper,
                        "pooled here": ours["share"],
                        "from": ours["lower"],
                        "to": ours["upper"],
                        "new study": f"{ours['predicted_lower']:.2f} to {ours['predicted_upper']:.2f}",
                        "ok": bool(ours["predicted_lower"] <= result.share <= ours["predicted_upper"]),
                    }
                )
    return pd.DataFrame(rows)


def select_counts(record: str, counts: list[Count]) -> list[tuple[str, float, float]]:
    """Counts of half relief of a record's studies nearest to its primary month, one for each set of patients."""
    content = load_contents()[record]
    target, at = make_target(content), float(content["primary_month"])
    own = [
        count
        for count in counts
        if count.technique == target.technique
        and target.indication in count.indications
        and (not target.approach or count.approach == target.approach)
        and count.outcome == OUTCOME
        and abs(count.month - at) <= at / 2
    ]
    nearest: dict[str, float] = {}
    for count in sorted(own, key=lambda count: (abs(count.month - at), count.month)):
        nearest.setdefault(count.trial, count.month)
    kept = [count for count in own if nearest[count.trial] == count.month]
    return [
        (
            trial,
            sum(count.events for count in kept if count.trial == trial),
            sum(count.n for count in kept if count.trial == trial),
        )
        for trial in nearest
    ]


def compare_methods() -> pd.DataFrame:
    """The pooled share at the primary month beside restricted maximum likelihood of the record's own studies alone."""
    counts = list_counts(load_studies())
    rows = []
    for record in load_records():
        if record.response is None or record.primary_month is None:
            continue
        own = select_counts(record.id, counts)
        point = record.response.points[record.primary_month]
        row = {
            "record": record.id,
            "month": record.primary_month,
            "pooled here": point.share,
            "lower": point.lower,
            "upper": point.upper,
            "studies": len(own),
        }
        if len(own) > 1:
            events, n = (np.array(values, dtype=float) for values in list(zip(*own, strict=True))[1:])
            events, n = np.where((events == 0) | (events == n), [events + 0.5, n + 1.0], [events, n])
            alone = pool_random_effects(logit(events / n), np.sqrt(1 / events + 1 / (n - events)))
            row |= {"alone": expit(alone.mean), "from": expit(alone.lower), "to": expit(alone.upper), "tau": alone.tau}
        rows.append(row)
    return pd.DataFrame(rows)


def count_all_patients() -> int:
    """Patients of primary studies: of studies that report the same, those of the largest; of an arm, its first step."""
    studies = load_studies()
    largest: dict[str, int] = {}
    for name, trial in find_trials(studies).items():
        if studies[name].design not in NOT_PRIMARY:
            arms = [arm for arm in studies[name].arms.values() if not arm.regroups]
            n = sum(arm.n_randomised or arm.n_treated or arm.n_seen or 0 for arm in arms)
            largest[trial] = max(largest.get(trial, 0), n)
    return sum(largest.values())


def count_evidence() -> pd.DataFrame:
    """Studies, patients and figures by tag."""
    studies = load_studies().values()
    arms = [arm for study in studies for arm in study.arms.values()]
    sources = load_sources().values()
    simulated = [record for record in load_records() if record.response]
    figures = [
        *(f"curve {point.support}" for record in simulated for point in record.response.points.values()),
        *(f"odds ratio {effect.basis}" for record in simulated for effect in record.predictors),
        *(f"baseline {item.tag}" for record in simulated for item in record.baseline.values()),
        *(f"complication {item.tag}" for record in simulated for item in record.counted_complications),
    ]
    rows = [
        ("studies", len(studies)),
        ("arms", len(arms)),
        ("patients of primary studies, each once", count_all_patients()),
        ("results, associations, harms", sum(len(s.results) + len(s.associations) + len(s.harms) for s in studies)),
        ("sources of records", len(sources)),
        ("of them with DOI or PMID", sum(bool(source.doi or source.pmid) for source in sources)),
        *pd.Series(figures).value_counts().sort_index().items(),
    ]
    return pd.DataFrame(rows, columns=["what", "n"])


TABLES = {"reviews": compare_reviews, "methods": compare_methods, "counts": count_evidence}


def main(words: list[str]) -> None:
    for name in words or list(TABLES):
        print(f"\n### {name}\n\n{TABLES[name].__doc__}\n\n{as_markdown(TABLES[name]())}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
