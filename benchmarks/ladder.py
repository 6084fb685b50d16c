"""Every level of the ladder on the four published data sets, and the level it would have chosen without the test rows.

Run with: OMP_NUM_THREADS=1 python benchmarks/ladder.py FOLDER [repeats] [seed]

FOLDER holds the published files of each set in a folder of its name. Prints a Markdown table; no row of a patient.
"""

from __future__ import annotations

import sys
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from paincast.cohort.registry.ingest import ingest
from paincast.cohort.registry.mapping import load_mapping
from paincast.evaluation.validation.levels import compare_levels
from paincast.evidence import load_records, load_sources
from paincast.models.choice import compare_losses
from paincast.models.updating.ladder import cross_fit_ladder
from paincast.models.updating.prior_evidence import (
    AVERAGE,
    EVIDENCE,
    OVERALL_RISK,
    Evidence,
    make_no_evidence,
    make_rate_evidence,
)
from paincast.outcomes import get_outcome
from paincast.settings import (
    EvaluationSettings,
    ModelSettings,
    OutcomeSettings,
    TrainingSettings,
    UncertaintySettings,
)
from paincast.statistics import compute_log_loss
from paincast.training.kinds.blended import gather_evidence
from paincast.training.kinds.published import counted_in
from paincast.training_set import TrainingSet, make_training_set

CHOICE = "choice"
CONTROL = "placebo injection"


@dataclass(frozen=True)
class Question:
    """A data set, whose response is asked in it, and at which month."""

    data: str
    technique: str
    month: float


QUESTIONS = (
    Question("caudal_esi_2018", "epidural_steroid_injection", 1.0),
    Question("genicular_rfa_2024", "genicular_rfa", 3.0),
    Question("trigeminal_percutaneous_2024", "trigeminal_rhizotomy", 18.0),
    Question("back_pain_placebo_2022", "placebo_injection", 1.0),
)


def make_settings(repeats: int, seed: int) -> TrainingSettings:
    """Give the shipped settings, but let three patients of a class suffice: the trigeminal set has no more."""
    return TrainingSettings(
        model=ModelSettings(candidates=["logistic"], minimum_events=3),
        evaluation=EvaluationSettings(folds=5, repeats=repeats),
        uncertainty=UncertaintySettings(refits=10),
        seed=seed,
        jobs=1,
    )


def load_rows(folder: Path, question: Question) -> TrainingSet:
    files = sorted(file for file in (folder / question.data).iterdir() if file.suffix != ".json")
    cohort, _ = ingest(load_mapping(question.data), files)
    asked = OutcomeSettings(horizon_months=question.month)
    return make_training_set(question.technique, cohort, get_outcome("pain_response"), asked)


def find_evidence(data: TrainingSet, settings: TrainingSettings, rng: np.random.Generator) -> Evidence:
    """Find the evidence as training does; of a placebo injection it is the control response of another study."""
    if data.technique != "placebo_injection":
        return gather_evidence(data, settings, rng)
    controls = [item for record in load_records() for item in record.comparators if item.kind == CONTROL]
    for control in controls:
        if not any(counted_in(name, data.cohort.sources) for name in control.source):
            cited = "; ".join(load_sources()[name].citation for name in control.source)
            # The number of patients shapes refits only, of which none are made here.
            return make_rate_evidence(control.share, 50, rng, f"{control.share:.0%}, {control.definition} ({cited})")
    return make_no_evidence("no control response of this definition from another study")


def measure(data: TrainingSet, settings: TrainingSettings) -> tuple[pd.DataFrame, str]:
    evidence_rng, cross_rng, table_rng = np.random.default_rng(settings.seed).spawn(3)
    evidence = find_evidence(data, settings, evidence_rng)
    crossed = cross_fit_ladder(evidence, data.episodes, data.observed, settings, cross_rng)
    known = data.known
    outcome, patients = data.observed[known], data.episodes["patient_id"].to_numpy(object)[known]
    names = (*crossed.names, CHOICE)
    linear_predictor = np.concatenate([crossed.linear_predictor, crossed.chosen_linear_predictor[None]])[:, :, known]
    counts = Counter(crossed.chosen)
    constant = {OVERALL_RISK} if evidence.response else {OVERALL_RISK, EVIDENCE, AVERAGE}
    flat = constant | ({CHOICE} if set(counts) <= constant else set())
    table = compare_levels(outcome, linear_predictor, names, patients=patients, rng=table_rng, flat=tuple(flat))
    losses = compute_log_loss(linear_predictor, outcome).mean(axis=1)
    single = [place for place, name in enumerate(crossed.names) if name != AVERAGE]
    best = min(single, key=lambda place: losses[place].mean())
    paired = compare_losses(losses[[best, -1]], groups=patients)
    difference = losses[-1] - losses[best]
    error = float(paired["excess_se"].max())
    held = difference.mean() <= error or bool(np.allclose(difference, 0.0))
    verdict = (
        f"best single level {names[best]}; the choice minus it {difference.mean():+.4f} (SE {error:.4f}): "
        f"{'no worse by more than 1 SE' if held else 'WORSE by more than 1 SE'}"
    )
    shares = [f"{counts[name] / len(crossed.chosen):.0%}" for name in crossed.names]
    return table.assign(chosen=[*shares, ""]), f"evidence: {evidence.said}; {verdict}"


def write_row(title: str, row: pd.Series) -> str:
    def show(measure: str, digits: int) -> str:
        if np.isnan(row[measure]):
            return "–"
        if np.isnan(row[f"{measure}_lower"]):
            return f"{row[measure]:.{digits}f}"
        return (
            f"{row[measure]:.{digits}f} ({row[f'{measure}_lower']:.{digits}f} to {row[f'{measure}_upper']:.{digits}f})"
        )

    figures = [show("log_loss", 3), show("gain", 3), show("o_e_ratio", 2), show("calibration_slope", 2), row["chosen"]]
    return f"| {title} | {row['level']} | " + " | ".join(figures) + " |"


def main() -> None:
    folder = Path(sys.argv[1])
    repeats, seed = (int(sys.argv[place]) if len(sys.argv) > place else default for place, default in ((2, 20), (3, 7)))
    settings = make_settings(repeats, seed)
    told = []
    print("| set | level | log loss | gain over the first level | O/E | slope | chosen |")
    print("|---|---|---:|---:|---:|---:|---:|")
    for question in QUESTIONS:
        started = time.process_time()
        data = load_rows(folder, question)
        table, verdict = measure(data, settings)
        title = f"{question.data} ({int(np.nansum(data.observed))} of {int(data.known.sum())})"
        for place, row in table.iterrows():
            print(write_row(title if place == 0 else "", row), flush=True)
        told.append(f"- {question.data}: {verdict}. {time.process_time() - started:.0f} s of processor time.")
    print(f"\n{repeats} x 5-fold cross-validation, seed {seed}; intervals: 95 %, 500 resamples of patients.\n")
    print("\n".join(told))


if __name__ == "__main__":
    main()
