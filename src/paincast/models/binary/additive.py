"""The explainable boosting machine: a sum of step functions, one per encoded column, stored as plain numbers.

It is fitted by interpret-core, an optional extra; prediction needs only numpy.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from paincast.deferred import special
from paincast.disclosure.rounding import FEW_DIGITS, round_digits, round_share
from paincast.errors import SettingsError
from paincast.models.binary.model_kind import ModelKind
from paincast.models.calibration.affine import AffineCalibration
from paincast.settings import ModelSettings

if TYPE_CHECKING:
    from interpret.glassbox import ExplainableBoostingClassifier

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Steps:
    """Contribution of one encoded column to the log odds: constant between edges, with a score for missing values.

    Parameters
    ----------
    edges : ndarray of shape (n_edges,)
        Ascending; a value equal to an edge belongs above it.
    scores : ndarray of shape (n_edges + 1,)
        Log odds added below the first edge, between edges, and from the last edge on.
    missing : float
        Log odds added where the value is missing.
    mean : float
        Mean contribution in training: the reference of the SHAP values.
    """

    edges: FloatArray
    scores: FloatArray
    missing: float
    mean: float = 0.0

    def look_up(self, values: FloatArray) -> FloatArray:
        """Return the contribution of each value, shape (n,)."""
        position = np.searchsorted(self.edges, values, side="right")
        return np.where(np.isnan(values), self.missing, self.scores[position])

    def scale(self, slope: float) -> Steps:
        """Multiply the contribution by a slope."""
        return Steps(edges=self.edges, scores=slope * self.scores, missing=slope * self.missing, mean=slope * self.mean)


@dataclass(frozen=True, kw_only=True)
class AdditiveModel:
    """A generalised additive model of steps on an encoded matrix, in which missing values are NaN.

    Parameters
    ----------
    intercept : float
        Log odds before the contributions of the columns.
    columns : tuple of Steps
        Contribution of each encoded column.
    """

    intercept: float
    columns: tuple[Steps, ...]

    def linear_predictor(self, matrix: FloatArray) -> FloatArray:
        """Return the log odds, shape (n,)."""
        total = np.full(len(matrix), self.intercept, dtype=float)
        for position, column in enumerate(self.columns):
            total += column.look_up(matrix[:, position])
        return total

    def contributions(self, matrix: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return base, shape (n,), and SHAP values, shape (n, n_encoded), that add up to the linear predictor.

        Without interactions the SHAP value of a column is its contribution minus the mean contribution in training
        (Lundberg and Lee 2017, doi:10.48550/arXiv.1705.07874).
        """
        means = np.array([column.mean for column in self.columns], dtype=float)
        return np.full(len(matrix), self.intercept + means.sum()), self._add(matrix) - means

    def recalibrate(self, calibration: AffineCalibration) -> AdditiveModel:
        """Fold an affine calibration into the scores (times the slope) and the intercept."""
        return AdditiveModel(
            intercept=calibration.intercept + calibration.slope * self.intercept,
            columns=tuple(column.scale(calibration.slope) for column in self.columns),
        )

    def _add(self, matrix: FloatArray) -> FloatArray:
        """Return the contribution of each column, shape (n, n_encoded)."""
        added = [column.look_up(matrix[:, position]) for position, column in enumerate(self.columns)]
        return np.column_stack([np.empty((len(matrix), 0)), *added])


def fit_additive(
    matrix: FloatArray,
    outcome: FloatArray,
    *,
    parameters: dict[str, Any],
    rng: np.random.Generator,
    weights: FloatArray | None = None,
    monotone: tuple[int, ...] = (),
) -> AdditiveModel:
    """Fit an explainable boosting machine without interactions on log loss [1]_ [2]_.

    Columns are boosted in turn, more often those with the largest gain. Cross-validation chooses the number of rounds,
    and one machine with that many rounds is fitted to all rows. Early stopping in bags, the default of the library,
    needs many bags and much time until fits with different seeds agree. Smoothing rounds, which cut at random, are not
    used: they fit noise in every column.

    Parameters
    ----------
    matrix : ndarray of shape (n, n_encoded)
        Encoded episodes; missing values are NaN and have a separate score.
    outcome : ndarray of shape (n,)
        0 or 1, both present among rows of positive weight.
    parameters : dict
        Parameters of ``ExplainableBoostingClassifier`` such as ``max_rounds``, ``learning_rate`` and ``max_bins``.
    rng : numpy.random.Generator
        Source of the seed, which matters only if ``parameters`` set bags or smoothing.
    weights : ndarray of shape (n,), optional
        Weights of the rows; those of weight 0 are left out.
    monotone : tuple of {-1, 0, 1}
        Direction imposed on each column; empty for none. A missing value has no direction.

    Returns
    -------
    AdditiveModel

    Raises
    ------
    SettingsError
        If interpret-core is not installed.

    References
    ----------
    .. [1] Lou Y, Caruana R, Gehrke J. Intelligible models for classification and regression. KDD 2012.
       doi:10.1145/2339530.2339556
    .. [2] Nori H, Jenkins S, Koch P, Caruana R. InterpretML: a unified framework for machine learning
       interpretability. 2019. doi:10.48550/arXiv.1909.09223
    """
    weight = np.ones(len(outcome)) if weights is None else weights
    kept = weight > 0
    rows, answers, weight = matrix[kept], outcome[kept], weight[kept]
    seed = int(rng.integers(2**31))
    if matrix.shape[1] == 0:
        return AdditiveModel(intercept=float(special.logit(np.average(answers, weights=weight))), columns=())
    # The library needs the range of each column; a column without any value gets 0 everywhere.
    recorded = np.isfinite(rows).any(axis=0)
    rows = np.where(recorded, rows, 0.0)
    machine = _make_machine(matrix.shape[1], parameters, seed, monotone)
    with warnings.catch_warnings():
        # The warning concerns the library's plots, which are not used here.
        warnings.filterwarnings("ignore", message="Missing values detected", category=UserWarning)
        machine.fit(rows, answers.astype(int), sample_weight=weight)
    columns = [
        replace(column, mean=float(np.average(column.look_up(rows[:, position]), weights=weight)))
        for position, column in enumerate(read_steps(machine, matrix.shape[1]))
    ]
    return AdditiveModel(intercept=float(np.ravel(machine.intercept_)[0]), columns=tuple(columns))


def read_steps(machine: ExplainableBoostingClassifier, n_columns: int) -> list[Steps]:
    """Read the steps of every column from a fitted machine without interactions; a column without a term adds 0.

    The first score of a term is for missing values, the last for unseen categories, which do not occur with numbers.
    """
    steps = [Steps(edges=np.empty(0), scores=np.zeros(1), missing=0.0) for _ in range(n_columns)]
    for (column,), scores in zip(machine.term_features_, machine.term_scores_, strict=True):
        edges = np.asarray(machine.bins_[column][0], dtype=float)
        steps[column] = Steps(edges=edges, scores=np.array(scores[1:-1], dtype=float), missing=float(scores[0]))
    return steps


def require_library(asked: str, listed: str) -> None:
    """Raise an error if the library is not installed.

    Parameters
    ----------
    asked : str
        The setting that needs it, as the user wrote it.
    listed : str
        The setting from which ``ebm`` can be removed.

    Raises
    ------
    SettingsError
        If interpret-core is not installed.
    """
    if find_spec("interpret") is None:
        raise _explain_missing(asked, listed)


def _explain_missing(asked: str, listed: str) -> SettingsError:
    return SettingsError(
        f"{asked} needs interpret-core, which is not installed; install it with 'pip install paincast[ebm]', "
        f"or take 'ebm' out of {listed}",
        code="PC-MODEL-01",
    )


def _make_machine(
    n_columns: int, parameters: dict[str, Any], seed: int, monotone: tuple[int, ...]
) -> ExplainableBoostingClassifier:
    try:
        from interpret.glassbox import ExplainableBoostingClassifier
    except ImportError as error:
        raise _explain_missing("model=ebm", "model.candidates") from error
    log = logging.getLogger("interpret")
    if log.level == logging.NOTSET:
        # Otherwise it logs five lines per fit at level INFO.
        log.setLevel(logging.WARNING)
    chosen = {"outer_bags": 1, "validation_size": 0, "early_stopping_rounds": 0, "smoothing_rounds": 0, **parameters}
    return ExplainableBoostingClassifier(
        feature_types=["continuous"] * n_columns,
        monotone_constraints=list(monotone) if any(monotone) else None,
        interactions=0,
        # Missing values go to the side with the larger gain: a separate leaf would fit the noise of a few of them.
        missing="gain",
        n_jobs=1,
        random_state=seed,
        **chosen,
    )


def list_additive(settings: ModelSettings, *, borrows: bool) -> Sequence[Mapping[str, Any]]:  # noqa: ARG001 (of every kind)
    """Return the sets of parameters in the settings."""
    return settings.additive


def round_additive(model: AdditiveModel, flags: Sequence[bool], n: int) -> AdditiveModel:
    """Round the mean contribution of each column; for a 0/1 column, compute it from the rounded share."""
    rounded = []
    for column, flag in zip(model.columns, flags, strict=True):
        absent, present = column.look_up(np.array([0.0, 1.0]))
        mean = round_digits(column.mean, FEW_DIGITS)
        if flag and present != absent:
            share = float(np.clip((column.mean - absent) / (present - absent), 0.0, 1.0))
            mean = float(absent + round_share(share, n) * (present - absent))
        rounded.append(replace(column, mean=mean))
    return replace(model, columns=tuple(rounded))


EBM = ModelKind(
    name="ebm",
    model_type=AdditiveModel,
    fit=fit_additive,
    list_parameters=list_additive,
    round_model=round_additive,
    native_missing=True,
    flexible=True,
    takes_monotone=True,
    require_library=require_library,
)
