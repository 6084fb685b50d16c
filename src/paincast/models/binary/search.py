"""Search for the parameters of a kind of model, fold by fold; a trial that is clearly worse is pruned."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from paincast.models.binary.model_kind import ModelKind
from paincast.settings import ModelSettings

if TYPE_CHECKING:
    import optuna

FloatArray = npt.NDArray[np.float64]

CLEARLY_WORSE = 2.0
"""A trial is pruned when its loss is worse by this many standard errors of the paired difference."""

Known = tuple[FloatArray, FloatArray | None]
"""Weights of the rows of a fold, and the losses to beat there."""


def search_parameters(
    score_fold: Callable[[dict[str, Any], int, int], FloatArray],
    folds: Sequence[Known],
    settings: ModelSettings,
    rng: np.random.Generator,
    *,
    kind: ModelKind,
    asked_of: bytes = b"",
) -> dict[str, Any] | None:
    """Search for the parameters of a kind of model with the lowest cross-validated log loss.

    The parameters that the kind lists are tried first; further trials are proposed by a tree-structured Parzen
    estimator [1]_. A trial is pruned after a fold if the median of earlier trials was better there, or if it is clearly
    worse than the losses to beat.

    Parameters
    ----------
    score_fold : callable
        Called as ``score_fold(parameters, fold, seed)``; returns the loss of each held-out row.
    folds : sequence of (ndarray, ndarray or None)
        Weights of the held-out rows of each fold, and the losses to beat.
    settings : ModelSettings
        ``trials`` and ``search_storage``, a file that stores trials so that a search can be resumed.
    rng : numpy.random.Generator
        Source of the seeds.
    kind : ModelKind
        Provides the parameters to try first and the suggestions.
    asked_of : bytes
        Identifies the scored rows. A search is resumed from its file only if these, the folds and the seed are the
        same.

    Returns
    -------
    dict or None
        Parameters; None if every trial was clearly worse.

    References
    ----------
    .. [1] Bergstra J et al. Algorithms for hyper-parameter optimization. NeurIPS 2011.
    """
    import optuna

    assert kind.suggest is not None
    suggest = kind.suggest
    seed = int(rng.integers(2**31))

    def evaluate(trial: optuna.Trial) -> float:
        parameters = suggest(trial)
        losses: list[FloatArray] = []
        for number in range(len(folds)):
            losses.append(score_fold(parameters, number, seed))
            weight = np.concatenate([weights for weights, _ in folds[: number + 1]])
            joined = np.concatenate(losses)
            trial.report(float(joined @ weight / weight.sum()), number)
            if trial.should_prune() or _is_clearly_worse(joined, weight, folds):
                raise optuna.TrialPruned
        return float(joined @ weight / weight.sum())

    study = _open_study(settings, seed, _name_search(kind.name, seed, folds, asked_of))
    for candidate in kind.list_candidates(settings):
        study.enqueue_trial(candidate.parameters, skip_if_exists=True)
    study.optimize(evaluate, n_trials=max(settings.trials - len(_list_ended(study)), 0))
    finished = study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.COMPLETE,))
    return dict(study.best_trial.params) if finished else None


def _name_search(kind: str, seed: int, folds: Sequence[Known], asked_of: bytes) -> str:
    digest = hashlib.sha256(asked_of)
    for weights, best in folds:
        digest.update(weights.tobytes() + (b"" if best is None else best.tobytes()))
    return f"{kind}-{seed}-{digest.hexdigest()[:16]}"


def _open_study(settings: ModelSettings, seed: int, name: str) -> optuna.Study:
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    kept = settings.search_storage
    return optuna.create_study(
        study_name=name,
        storage=f"sqlite:///{kept}" if kept else None,
        load_if_exists=True,
        sampler=optuna.samplers.TPESampler(seed=seed, n_startup_trials=5),
        pruner=optuna.pruners.MedianPruner(n_startup_trials=3),
    )


def _list_ended(study: optuna.Study) -> list[optuna.trial.FrozenTrial]:
    return [trial for trial in study.get_trials(deepcopy=False) if trial.state.is_finished()]


def _is_clearly_worse(losses: FloatArray, weight: FloatArray, folds: Sequence[Known]) -> bool:
    known = [best for _, best in folds if best is not None]
    if not known:
        return False
    excess = losses - np.concatenate(known)[: len(losses)]
    mean = float(excess @ weight / weight.sum())
    error = float(np.sqrt(np.sum((weight * (excess - mean)) ** 2)) / weight.sum())
    return mean > CLEARLY_WORSE * error
