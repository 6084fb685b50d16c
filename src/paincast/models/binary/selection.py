"""Select a candidate by grouped cross-validation on log loss with the one-standard-error rule."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from paincast import features
from paincast.contract import BUILT_IN, Contract
from paincast.deferred import pandas as pd
from paincast.features import FittedEncoder
from paincast.models.binary.boosting import HeldOut
from paincast.models.binary.borrowing import Pool, fit_shared, make_part, weigh_directions
from paincast.models.binary.kinds import KINDS, fit_candidate, list_kinds
from paincast.models.binary.model_kind import Candidate, ModelKind
from paincast.models.binary.search import search_parameters
from paincast.models.calibration.calibrated import BinaryModel
from paincast.models.choice import compare_losses, find_simplest
from paincast.models.skill import find_skilled, share_candidates
from paincast.settings import ModelSettings
from paincast.splits import Fold, count_smaller_class, make_folds
from paincast.statistics import compute_log_loss

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Sample:
    """Rows to fit on, with prior information.

    Parameters
    ----------
    episodes : DataFrame of shape (n, ...)
        Episodes in the types of the contract.
    outcome, weights : ndarray of shape (n,)
        0 or 1, and weights with mean 1.
    technique : str
        The technique.
    directions, strong_directions : mapping of str to {-1, 1}
        Expected signs of published predictors (:func:`paincast.evidence.expected_signs.load_expected_signs`).
    pool : Pool
        Data of other techniques for partial pooling.
    contract : Contract
        Declares the columns.
    """

    episodes: pd.DataFrame
    outcome: FloatArray
    weights: FloatArray
    technique: str = ""
    directions: Mapping[str, int] = field(default_factory=dict)
    strong_directions: Mapping[str, int] = field(default_factory=dict)
    pool: Pool = field(default_factory=Pool)
    contract: Contract = BUILT_IN

    @property
    def patients(self) -> npt.NDArray[np.object_]:
        """The patient of each row."""
        return self.episodes["patient_id"].to_numpy(object)

    @property
    def borrows(self) -> bool:
        """Whether there is prior information to shrink towards."""
        return bool(self.pool.parts or self.directions)

    def take(self, rows: npt.NDArray[np.intp]) -> Sample:
        """Keep some rows."""
        return replace(self, episodes=self.episodes.iloc[rows], outcome=self.outcome[rows], weights=self.weights[rows])


@dataclass(frozen=True, kw_only=True)
class Encoded:
    """A sample encoded for linear models and for trees, with the prior of the linear models.

    Parameters
    ----------
    sample : Sample
        The rows.
    encoders : mapping of bool to FittedEncoder
        Encoders by whether missing values are kept.
    matrices : mapping of bool to ndarray of shape (n, n_encoded)
        The rows, encoded.
    prior : ndarray of shape (n_encoded,)
        Coefficients shared by all techniques, on the columns of the linear encoder.
    """

    sample: Sample
    encoders: Mapping[bool, FittedEncoder]
    matrices: Mapping[bool, FloatArray]
    prior: FloatArray

    def fit(
        self,
        candidate: Candidate,
        rng: np.random.Generator,
        weights: FloatArray | None = None,
        *,
        linear: BinaryModel | None = None,
        held_out: HeldOut | None = None,
    ) -> BinaryModel:
        """Fit a candidate, with weights that multiply those of the sample; ``linear`` is what trees carry on."""
        weight = self.sample.weights if weights is None else self.sample.weights * weights
        native = KINDS[candidate.kind].native_missing
        encoder = self.encoders[native]
        strong = self.sample.strong_directions
        return fit_candidate(
            candidate,
            self.matrices[native],
            self.sample.outcome,
            rng,
            weight,
            spreads=encoder.spreads,
            prior=self.prior,
            directions=weigh_directions(encoder, self.sample.directions),
            monotone=tuple(strong.get(str(name), 0) for name in encoder.get_feature_names_out()),
            linear=linear,
            held_out=held_out,
        )


@dataclass(frozen=True, kw_only=True)
class Selection:
    """Result of a selection.

    Parameters
    ----------
    candidates : tuple of Candidate
        The candidates compared, the simplest first.
    position : int
        Index of the chosen candidate.
    linear_predictor : ndarray of shape (n_candidates, n)
        Cross-fitted linear predictors.
    losses : ndarray of shape (n_candidates, n)
        Log loss of each row.
    table : DataFrame
        One row per candidate: ``candidate, kind, log_loss, excess, excess_se, share, chosen``.
    shares : ndarray of shape (n_candidates,)
        Share of each candidate in the served model; the shares add up to 1.
    carried_shares : ndarray of shape (n_candidates,)
        Share of each candidate in the linear model that trees carry on.
    """

    candidates: tuple[Candidate, ...]
    position: int
    linear_predictor: FloatArray
    losses: FloatArray
    table: pd.DataFrame
    shares: FloatArray
    carried_shares: FloatArray

    @property
    def chosen(self) -> Candidate:
        """The chosen candidate."""
        return self.candidates[self.position]

    @property
    def chosen_linear_predictor(self) -> FloatArray:
        """Cross-fitted linear predictors of the served model, shape (n,)."""
        return np.asarray(self.linear_predictor[self.position], dtype=float)

    def fit(self, encoded: Encoded, rng: np.random.Generator) -> BinaryModel:
        """Fit the chosen candidate, or the average of candidates, to encoded rows."""
        if KINDS[self.chosen.kind].carries:
            return encoded.fit(self.chosen, rng, linear=self._fit_average(self.carried_shares, encoded, rng))
        return self._fit_average(self.shares, encoded, rng)

    def _fit_average(self, shares: FloatArray, encoded: Encoded, rng: np.random.Generator) -> BinaryModel:
        members = np.flatnonzero(shares)
        models = [encoded.fit(self.candidates[member], rng) for member in members]
        return average_models(self.candidates[members[0]].kind, models, shares[members])

    def refit(
        self, position: int, encoded: Encoded, rng: np.random.Generator, weights: FloatArray | None = None
    ) -> BinaryModel:
        """Fit one candidate to weighted rows; what trees carry on is one of the linear models, drawn by its share."""
        linear = None
        if KINDS[self.candidates[position].kind].carries:
            drawn = int(rng.choice(len(self.candidates), p=self.carried_shares))
            linear = encoded.fit(self.candidates[drawn], rng, weights)
        return encoded.fit(self.candidates[position], rng, weights, linear=linear)

    def list_plausible(self) -> list[int]:
        """List plausible candidates: within one standard error of the best, the less penalised half of them.

        A strongly penalised model is biased towards its prior; less penalised fits show by how much.
        """
        within = self.table["excess"] <= self.table["excess_se"]
        single = np.array([not candidate.is_average for candidate in self.candidates])
        positions = np.flatnonzero(within & (self.table["kind"] == self.chosen.kind) & single)
        plausible = [int(position) for position in positions]
        return plausible[len(plausible) // 2 :] or [int(np.argmax(self.shares))]


def average_models(kind: str, models: Sequence[BinaryModel], shares: FloatArray) -> BinaryModel:
    """Average models of one kind; a single one is its own average."""
    if len(models) == 1:
        return models[0]
    average = KINDS[kind].average
    assert average is not None
    return average(models, shares)


def encode_sample(sample: Sample, settings: ModelSettings) -> Encoded:
    """Encode rows for every kind of candidate, and fit the coefficients shared with other techniques."""
    kinds = list_kinds(settings)
    linear = features.EpisodeEncoder(splines=settings.splines, contract=sample.contract).fit(sample.episodes)
    encoders = {
        native: linear.leave_missing() if native else linear for native in {kind.native_missing for kind in kinds}
    }
    matrices = {native: encoder.transform(sample.episodes) for native, encoder in encoders.items()}
    prior = np.zeros(0)
    if any(kind.borrows for kind in kinds):
        prior = fit_prior(sample, encoders[False], matrices[False])
    return Encoded(sample=sample, encoders=encoders, matrices=matrices, prior=prior)


def fit_prior(
    sample: Sample, encoder: FittedEncoder, matrix: FloatArray, pool_weights: FloatArray | None = None
) -> FloatArray:
    """Fit the coefficients that techniques share, on the columns of the encoder; 0 without prior information."""
    if not sample.borrows:
        return np.zeros(matrix.shape[1])
    part = make_part(
        sample.technique, encoder, matrix, sample.directions, sample.outcome, sample.weights, sample.patients
    )
    shared = fit_shared(sample.pool, part, pool_weights)
    coefficients = np.array([shared.coefficients[name] for name in part.names])
    return np.asarray(coefficients / encoder.spreads + shared.score * weigh_directions(encoder, sample.directions))


def select_candidate(sample: Sample, settings: ModelSettings, rng: np.random.Generator) -> Selection:
    """Select a candidate by grouped cross-validation.

    The penalised logistic models are averaged into one logistic model. Each is weighted by its cross-validated
    likelihood to the power ``settings.averaging``, times ``settings.simplest_prior_odds`` for the simplest: the
    coefficients shared by all techniques, and, if no other technique is at hand, the overall risk [1]_. The simplest
    kind is chosen whose log loss exceeds the lowest by at most ``settings.standard_errors`` standard errors of the
    paired difference, with patients as the unit [2]_: first the average, then additive models, then trees. Without
    averaging, the rule applies to every single candidate. The shared coefficients are fitted again in every fold. A
    model that has not shown enough skill gives way to the overall risk (:mod:`paincast.models.skill`). Beside logistic
    models, trees carry on the linear predictor of their average; alone, they are searched for with the expected signs
    and without.

    Parameters
    ----------
    sample : Sample
        Rows to select on.
    settings : ModelSettings
        Candidates and rules.
    rng : numpy.random.Generator
        Source of folds and sampling.

    Returns
    -------
    Selection

    References
    ----------
    .. [1] Yao Y et al. Using stacking to average Bayesian predictive distributions. Bayesian Anal 2018;13:917-1007.
       doi:10.1214/17-BA1091 (pseudo-Bayesian model averaging; tempered here by the power).
    .. [2] Breiman L et al. Classification and Regression Trees (1984), section 3.4.3 (one-standard-error rule).
    """
    fold_rng, fit_rng, search_rng = rng.spawn(3)
    folds = make_folds(sample.outcome, sample.patients, settings.selection_folds, fold_rng)
    fitted_on = [encode_sample(sample.take(train), settings) for train, _ in folds]
    candidates: tuple[Candidate, ...] = ()
    linear_predictor, shares = np.empty((0, len(sample.outcome))), np.empty(0)
    carried, linear = np.empty(0), tuple[BinaryModel, ...]()
    for kind in list_kinds(settings):
        if kind.suggest:
            listed = _search(kind, sample, folds, fitted_on, linear_predictor, settings, search_rng, linear)
        else:
            listed = kind.list_candidates(settings, borrows=sample.borrows)
        fitted, models = _cross_fit(listed, sample, folds, fitted_on, search_rng if kind.suggest else fit_rng, linear)
        averaged = np.zeros(len(listed))
        if kind.average:
            carried = share_candidates(listed, fitted, sample, settings)
            kept = np.flatnonzero(carried)
            linear = tuple(average_models(kind.name, [row[one] for one in kept], carried[kept]) for row in models)
            if settings.averaging:
                listed, fitted, averaged = _add_average(kind, listed, fitted, carried)
        candidates, linear_predictor, shares = (
            (*candidates, *listed),
            np.concatenate([linear_predictor, fitted]),
            np.concatenate([shares, averaged]),
        )
    losses = compute_log_loss(linear_predictor, sample.outcome)
    table = compare_losses(losses, weights=sample.weights, groups=sample.patients)
    averages = {candidate.kind for candidate in candidates if candidate.is_average}
    eligible = [
        index for index, candidate in enumerate(candidates) if candidate.is_average or candidate.kind not in averages
    ]
    position = eligible[find_simplest(table.iloc[eligible], settings.standard_errors)]
    position = find_skilled(position, candidates, linear_predictor, folds, sample, settings)
    if not candidates[position].is_average:
        shares = np.eye(len(candidates))[position]
    table.insert(0, "candidate", [candidate.label for candidate in candidates])
    table.insert(1, "kind", [candidate.kind for candidate in candidates])
    table = table.assign(share=shares, chosen=table.index == position)
    carried_shares = np.zeros(len(candidates))
    carried_shares[: len(carried)] = carried
    return Selection(
        carried_shares=carried_shares,
        candidates=candidates,
        position=position,
        linear_predictor=linear_predictor,
        losses=losses,
        table=table,
        shares=shares,
    )


def _add_average(
    kind: ModelKind, single: tuple[Candidate, ...], linear_predictor: FloatArray, shares: FloatArray
) -> tuple[tuple[Candidate, ...], FloatArray, FloatArray]:
    """Append the average to the candidates of a kind; return them, their cross-fitted predictors and their shares."""
    borrowed = (
        {"borrowed": float(shares @ [candidate.parameters["borrowed"] for candidate in single])} if kind.borrows else {}
    )
    parameters = {**borrowed, "averaged": int(np.count_nonzero(shares))}
    average = Candidate(kind=kind.name, parameters=parameters)
    return (*single, average), np.vstack([linear_predictor, shares @ linear_predictor]), np.append(shares, 0.0)


def _search(
    kind: ModelKind,
    sample: Sample,
    folds: Sequence[Fold],
    fitted_on: Sequence[Encoded],
    linear_predictor: FloatArray,
    settings: ModelSettings,
    rng: np.random.Generator,
    linear: Sequence[BinaryModel],
) -> tuple[Candidate, ...]:
    """Search for the best candidate of a kind; none if all are clearly worse than the best of the other kinds."""
    losses = compute_log_loss(linear_predictor, sample.outcome)
    best = losses[int(np.argmin(losses @ sample.weights))] if len(losses) else None
    tested = [sample.episodes.iloc[test] for _, test in folds]
    held_out = [
        HeldOut(encoded.encoders[kind.native_missing].transform(rows), sample.outcome[test], sample.weights[test])
        for encoded, (_, test), rows in zip(fitted_on, folds, tested, strict=True)
    ]
    known = [(sample.weights[test], None if best is None else best[test]) for _, test in folds]

    def score_fold(parameters: dict[str, Any], number: int, seed: int) -> tuple[FloatArray, int]:
        rows, carried = held_out[number], linear[number] if linear else None
        candidate, rng = Candidate(kind=kind.name, parameters=parameters), np.random.default_rng(seed)
        model: Any = fitted_on[number].fit(candidate, rng, linear=carried, held_out=rows)
        return compute_log_loss(model.linear_predictor(rows.matrix), rows.outcome), model.n_trees

    parameters = search_parameters(
        score_fold,
        known,
        settings,
        rng,
        kind=kind,
        smaller_class=count_smaller_class(sample.outcome),
        asked_of=_describe_rows(kind, sample, fitted_on),
    )
    return () if parameters is None else (Candidate(kind=kind.name, parameters=parameters),)


def _describe_rows(kind: ModelKind, sample: Sample, fitted_on: Sequence[Encoded]) -> bytes:
    """Return bytes that identify the rows, their outcome and the directions imposed on trees."""
    parts = [sample.outcome.tobytes(), repr(sorted(sample.strong_directions.items())).encode()]
    return b"".join([*parts, *(encoded.matrices[kind.native_missing].tobytes() for encoded in fitted_on)])


def _cross_fit(
    candidates: Sequence[Candidate],
    sample: Sample,
    folds: Sequence[Fold],
    fitted_on: Sequence[Encoded],
    rng: np.random.Generator,
    linear: Sequence[BinaryModel],
) -> tuple[FloatArray, list[list[BinaryModel]]]:
    """Predict the rows of each fold by models of the others, and return these by fold and candidate."""
    linear_predictor = np.zeros((len(candidates), len(sample.outcome)))
    models: list[list[BinaryModel]] = []
    for number, (encoded, (_, test)) in enumerate(zip(fitted_on, folds, strict=True)):
        held_out = sample.episodes.iloc[test]
        matrices = {native: encoder.transform(held_out) for native, encoder in encoded.encoders.items()}
        carried = linear[number] if linear else None
        models.append([encoded.fit(candidate, rng, linear=carried) for candidate in candidates])
        for position, (candidate, model) in enumerate(zip(candidates, models[-1], strict=True)):
            linear_predictor[position, test] = model.linear_predictor(matrices[KINDS[candidate.kind].native_missing])
    return linear_predictor, models
