"""Summarize a batch prediction: for the caller, and as JSON beside the output."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from paincast.serving.batch.tally import Tally

FORMAT = 1


@dataclass(frozen=True, kw_only=True)
class BatchSummary:
    """Result of a batch prediction.

    Parameters
    ----------
    n_patients : int
        Rows read.
    n_predicted, n_abstained : int
        Predictions and abstentions; a patient has one for each requested technique, outcome and month.
    by_technique : dict
        ``technique -> (predicted, abstained)``.
    marked : tuple of str
        Techniques with a prediction for research use only.
    reasons : dict
        The most common reason to abstain, by technique.
    n_rejects : int
        Lines of the rejects file.
    reject_share : float
        See :func:`paincast.cohort.rejects.compute_reject_share`.
    rejects_path : Path or None
        File with the rejects; None if there are none.
    notes : tuple of str
        Notes on the models, see :func:`paincast.models_folder.list_notes`, on how the file was read, and on columns
        that were not read but whose name is similar to that of an absent column.
    summary_path : Path or None
        File with this summary, and more, as JSON.
    """

    n_patients: int
    n_predicted: int
    n_abstained: int
    by_technique: dict[str, tuple[int, int]]
    marked: tuple[str, ...]
    reasons: dict[str, str]
    n_rejects: int
    reject_share: float
    rejects_path: Path | None
    notes: tuple[str, ...] = ()
    summary_path: Path | None = None


def summarize(total: Tally, *, rejects_path: Path, summary_path: Path, notes: tuple[str, ...]) -> BatchSummary:
    """Summarize the counts of all parts."""
    techniques = dict.fromkeys([*total.predicted, *total.abstained])
    return BatchSummary(
        n_patients=total.n_patients,
        n_predicted=total.predicted.total(),
        n_abstained=total.abstained.total(),
        by_technique={name: (total.predicted[name], total.abstained[name]) for name in techniques},
        marked=tuple(name for name in techniques if name in total.marked),
        reasons={name: counted.most_common(1)[0][0] for name, counted in total.reasons.items()},
        n_rejects=total.n_rejects,
        reject_share=total.lost.compute_share(total.n_patients),
        rejects_path=rejects_path if total.n_rejects else None,
        notes=notes,
        summary_path=summary_path,
    )


def write_summary(
    path: Path, summary: BatchSummary, total: Tally, plan: dict[str, Any], files: dict[str, dict[str, Any]]
) -> None:
    """Write the summary as JSON; the same run writes the same bytes, however often it was interrupted.

    Parameters
    ----------
    path : Path
        File to write.
    summary : BatchSummary
        Of the run.
    total : Tally
        Counts of all parts.
    plan : dict
        What it was made from.
    files : dict
        Name, rows and SHA-256 of the predictions and, if there are any, of the rejects.
    """
    content = {
        "format": FORMAT,
        **{name: plan[name] for name in ("software", "input", "models", "contract", "options")},
        **files,
        "patients": summary.n_patients,
        "predicted": summary.n_predicted,
        "abstained": summary.n_abstained,
        "reject_share": summary.reject_share,
        "techniques": {
            name: {
                "predicted": predicted,
                "abstained": abstained,
                "abstained_because": dict(total.reasons[name].most_common()) if name in total.reasons else {},
            }
            for name, (predicted, abstained) in summary.by_technique.items()
        },
        "research_use_only": list(summary.marked),
        "notes": list(summary.notes),
    }
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
