"""Log loss on published patients: prior and patients together, beside the overall risk and the patients alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
from joblib import Parallel, delayed
from scipy.special import logit
from simulator_sample import as_markdown
from tqdm import tqdm

from paincast.cohort.registry.ingest import ingest
from paincast.cohort.registry.mapping import load_mapping
from paincast.models.binary.response import fit_and_predict
from paincast.models.prior.posterior import update_prior
from paincast.models.prior.response import make_linear, predict_with_prior
from paincast.outcomes import get_outcome
from paincast.settings import ModelSettings, OutcomeSettings, TrainingSettings
from paincast.splits import spread_folds
from paincast.statistics import compute_clustered_error, compute_log_loss
from paincast.training.kinds.prior import GatheredPrior, gather_prior
from paincast.training_set import TrainingSet, make_training_set

FloatArray = npt.NDArray[np.float64]

FOLDS = 5
CROSS_SEED = 7
SERVED, OVERALL, ALONE, EVIDENCE = "served", "overall risk", "real rows alone", "prior alone"

SETTINGS = TrainingSettings(jobs=1)
ALONE_SETTINGS = TrainingSettings(
    jobs=1, model=ModelSettings(candidates=["logistic"], borrowing=[0.0], directions=False)
)


@dataclass(frozen=True)
class Question:
    """A published set, and what is asked of it."""

    data: str
    technique: str
    outcome: str
    month: float


QUESTIONS = (
    Question("caudal_esi_2018", "epidural_steroid_injection", "pain_response", 1.0),
    Question("caudal_esi_2018", "epidural_steroid_injection", "pain_response_30", 1.0),
    Question("genicular_rfa_2024", "genicular_rfa", "pain_response", 3.0),
    Question("genicular_rfa_2024", "genicular_rfa", "pain_response_30", 3.0),
    Question("trigeminal_percutaneous_2024", "trigeminal_rhizotomy", "pain_response", 18.0),
)


def load_rows(folder: Path, question: Question) -> TrainingSet:
    """Read a published set and ask the outcome."""
    files = sorted(file for file in (folder / question.data).iterdir() if file.suffix != ".json")
    cohort, _ = ingest(load_mapping(question.data), files)
    asked = OutcomeSettings(name=question.outcome, horizon_months=question.month)
    return make_training_set(question.technique, cohort, get_outcome(question.outcome), asked)


def predict_fold(
    gathered: GatheredPrior,
    data: TrainingSet,
    train: npt.NDArray[np.intp],
    test: npt.NDArray[np.intp],
    rng: np.random.Generator,
) -> dict[str, FloatArray]:
    """Predict the log odds of a fold from the others, each in its way."""
    seen, outcome, asked = data.episodes.iloc[train], data.observed[train], data.episodes.iloc[test]
    prior = gathered.prior
    evidence = make_linear(update_prior(prior, None).mean, prior.means)
    return {
        SERVED: predict_with_prior(seen, outcome, asked, rng, prior=prior, settings=SETTINGS),
        OVERALL: np.full(len(test), logit(np.nanmean(outcome))),
        ALONE: fit_and_predict(seen, outcome, asked, rng, settings=ALONE_SETTINGS),
        EVIDENCE: evidence.linear_predictor(prior.encoder.transform(asked)),
    }


def measure(folder: Path, question: Question, repeats: int, jobs: int) -> tuple[pd.DataFrame, str]:
    """Compare losses on one set, by patient; a sentence tells of the prior and of the weights of its beliefs."""
    data = load_rows(folder, question)
    gathered = gather_prior(data, SETTINGS, np.random.default_rng(SETTINGS.seed))
    patients = data.episodes["patient_id"].to_numpy(object)
    tasks = [
        (train, test, child)
        for rng in np.random.default_rng(CROSS_SEED).spawn(repeats)
        for (train, test), child in spread_folds(data.observed, patients, FOLDS, rng)
    ]
    made = Parallel(n_jobs=jobs, return_as="generator")(delayed(predict_fold)(gathered, data, *task) for task in tasks)
    losses = {name: np.zeros(len(patients)) for name in (SERVED, OVERALL, ALONE, EVIDENCE)}
    for (_, test, _), predicted in zip(tasks, tqdm(made, total=len(tasks), desc=question.data), strict=True):
        for name, log_odds in predicted.items():
            losses[name][test] += compute_log_loss(log_odds, data.observed[test]) / repeats
    known = data.known
    served = losses[SERVED][known]
    row: dict[str, object] = {
        "set": f"{question.data}, {question.outcome}, month {question.month:g}",
        "events": f"{int(np.nansum(data.observed))} of {int(known.sum())}",
        **{name: float(loss[known].mean()) for name, loss in losses.items()},
    }
    for name in (OVERALL, ALONE):
        excess = served - losses[name][known]
        error = compute_clustered_error((excess - excess.mean()) / len(excess), patients[known])
        verdict = "holds" if excess.mean() <= error else "MISSED"
        row[f"served − {name}"] = f"{excess.mean():+.4f} (SE {error:.4f}): {verdict}"
    return pd.DataFrame([row]), f"- {row['set']}: {gathered.description}"


def run_real(folder: Path, repeats: int, jobs: int, questions: Sequence[Question] = QUESTIONS) -> None:
    """Compare losses on all sets, and print what was found."""
    found = [measure(folder, question, repeats, jobs) for question in questions]
    print(f"\n{repeats} x {FOLDS}-fold cross-validation, seed {CROSS_SEED}; log loss, standard errors by patient\n")
    print(as_markdown(pd.concat([table for table, _ in found])), "\n")
    print("\n".join(told for _, told in found))
