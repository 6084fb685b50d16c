"""Search for the parameters of a kind of model, fold by fold; a trial that is clearly worse is pruned."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from paincast.models.binary.boosting import MOST_TREES
from paincast.models.binary.model_kind import ModelKind
from paincast.settings import ModelSettings

if TYPE_CHECKING:
    import optuna

FloatArray = npt.NDArray[np.float64]

MOST_GROWTH = 2.0
"""Largest factor by which trials grow with the number of episodes."""

CLEARLY_WORSE = 2.0
"""A trial is pruned when its loss is worse by this many standard errors of the paired difference."""

TREES = "n_estimators"
"""Parameter that gives the number of trees; of those that are tried first, the largest is the most trees of a trial."""

Known = tuple[FloatArray, FloatArray | None]
"""Weights of the rows of a fold, and the losses to beat there."""

ScoreFold = Callable[[dict[str, Any], int, int], tuple[FloatArray, int]]
"""Called with parameters, fold and seed; returns the loss of each held-out row, and the number of trees."""


def count_trials(settings: ModelSettings, smaller_class: int) -> int:
    """Count the trials of a search: they grow with the square root of the smaller class, up to twice as many.

    Examples
    --------
    >>> [count_trials(ModelSettings(), n) for n in (50, 200, 800, 5000)]
    [8, 8, 16, 16]
    """
    growth = np.sqrt(max(smaller_class / settings.minimum_flexible, 1.0))
    return round(settings.trials * min(float(growth), MOST_GROWTH))


def search_parameters(
    score_fold: ScoreFold,
    folds: Sequence[Known],
    settings: ModelSettings,
    rng: np.random.Generator,
    *,
    kind: ModelKind,
    smaller_class: int = 0,
    asked_of: bytes = b"",
) -> dict[str, Any] | None:
    """Search for the parameters of a kind of model with the lowest cross-validated log loss.

    The parameters that the kind lists are tried first; further trials are proposed by a tree-structured Parzen
    estimator [1]_. A trial is pruned after a fold if the median of earlier trials was better there, or if it is clearly
    worse than the losses to beat. In each fold, trees are added until the held-out rows are predicted no better; the
    mean number over the folds is returned. Trials beyond ``settings.trials`` are only spent with more episodes
    (:func:`count_trials`), and where the best so far predicts better than what is to beat.

    Parameters
    ----------
    score_fold : callable
        Called as ``score_fold(parameters, fold, seed)``; returns the loss of each held-out row and the number of trees.
    folds : sequence of (ndarray, ndarray or None)
        Weights of the held-out rows of each fold, and the losses to beat.
    settings : ModelSettings
        ``trials`` and ``search_storage``, a file that stores trials so that a search can be resumed.
    rng : numpy.random.Generator
        Source of the seeds.
    kind : ModelKind
        Provides the parameters to try first and the suggestions.
    smaller_class : int
        Episodes of the smaller class.
    asked_of : bytes
        Identifies the scored rows. A search is resumed from its file only if these, the folds and the seed are the
        same.

    Returns
    -------
    dict or None
        Parameters with ``n_estimators``; None if every trial was clearly worse.

    References
    ----------
    .. [1] Bergstra J et al. Algorithms for hyper-parameter optimization. NeurIPS 2011.
    """
    import optuna

    assert kind.suggest is not None
    suggest = kind.suggest
    seed = int(rng.integers(2**31))
    listed = [dict(candidate.parameters) for candidate in kind.list_candidates(settings)]
    most = max([int(given.pop(TREES, MOST_TREES)) for given in listed] or [MOST_TREES])

    def evaluate(trial: optuna.Trial) -> float:
        parameters = suggest(trial)
        losses: list[FloatArray] = []
        trees = []
        for number in range(len(folds)):
            loss, n_trees = score_fold({TREES: most, **parameters}, number, seed)
            losses.append(loss)
            trees.append(n_trees)
            weight = np.concatenate([weights for weights, _ in folds[: number + 1]])
            joined = np.concatenate(losses)
            trial.report(float(joined @ weight / weight.sum()), number)
            if trial.should_prune() or _is_clearly_worse(joined, weight, folds):
                raise optuna.TrialPruned
        trial.set_user_attr(TREES, max(round(float(np.mean(trees))), 1))
        return float(joined @ weight / weight.sum())

    study = _open_study(settings, seed, _name_search(kind.name, seed, folds, asked_of))
    for given in listed:
        study.enqueue_trial(given, skip_if_exists=True)
    study.optimize(evaluate, n_trials=max(settings.trials - len(_list_ended(study)), 0))
    further = count_trials(settings, smaller_class) - len(_list_ended(study))
    if further > 0 and _beats(study, folds):
        study.optimize(evaluate, n_trials=further)
    best = _find_best(study)
    return None if best is None else {TREES: best.user_attrs[TREES], **best.params}


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


def _find_best(study: optuna.Study) -> optuna.trial.FrozenTrial | None:
    complete = [trial for trial in _list_ended(study) if TREES in trial.user_attrs]
    return min(complete, key=_read_value, default=None)


def _read_value(trial: optuna.trial.FrozenTrial) -> float:
    return np.inf if trial.value is None else trial.value


def _beats(study: optuna.Study, folds: Sequence[Known]) -> bool:
    """Tell whether the best trial predicts better than what is to beat."""
    best = _find_best(study)
    known = [loss for _, loss in folds if loss is not None]
    if best is None or not known:
        return best is not None
    weight = np.concatenate([weights for weights, _ in folds])
    return bool(_read_value(best) < np.concatenate(known) @ weight / weight.sum())


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
