"""Settings of a training run: plain dataclasses with sane defaults.

The command line composes them with Hydra from ``configs/``; a Python user builds them
directly. Nothing here knows Hydra.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

MODEL_KINDS = ("logistic", "xgboost", "ebm")
FITTED_CALIBRATIONS = ("none", "affine", "beta", "isotonic", "venn_abers")
"""Methods of calibration, the simplest first."""

OBSERVATION_METHODS = ("weighted", "complete_case")
CALIBRATION_METHODS = (*FITTED_CALIBRATIONS, "auto")
COHORT_SOURCES = ("simulated", "folder", "blended")
LADDER_METHODS = ("average", "cross_validation", "closed_test")
BASES = ("synthetic", "real", "blended")
HELD_OUT = ("none", "site", "year", "both")
SCENARIOS = ("literature", "pragmatic", "seed_optimistic")
CARD_ITEMS = (
    *("tripod_5a", "tripod_6b", "tripod_8a", "tripod_9a", "tripod_10", "tripod_11", "tripod_20a", "tripod_20b"),
    *("tripod_21", "tripod_23a", "tripod_26", "probast_d2_4", "probast_e4_6", "probast_e4_7"),
)
"""Items of the checklists that a gate asks for unless told otherwise; ``configs/gate/default.yaml`` says why."""


@dataclass
class CohortSettings:
    """Where the episodes come from.

    ``source`` is ``simulated`` (made on the spot from the evidence), ``folder`` (a cohort written by
    ``paincast simulate`` or ``paincast ingest`` at ``path``) or ``blended`` (real episodes ingested at ``real``, and
    beside them episodes simulated as for ``simulated``; :class:`LadderSettings` say how much each counts).
    """

    source: str = "simulated"
    path: str | None = None
    real: str | None = None
    episodes_per_technique: int = 1500
    scenario: str = "literature"
    seed: int = 20260101


@dataclass
class OutcomeSettings:
    """Which question is asked of the follow-up; ``name="all"`` asks every one of them.

    ``horizon_months`` empty means the technique's primary horizon, ``window_months`` empty the window of the outcome.
    ``complication_kind`` counts complications of one kind only, as written in ``detail`` of the events.
    """

    name: str = "pain_response"
    horizon_months: float | None = None
    window_months: list[float] | None = None
    complication_kind: str | None = None


@dataclass
class ObservationSettings:
    """What is done about loss to follow-up.

    ``method`` is ``weighted`` (inverse probability of being observed) or ``complete_case`` (those observed stand for
    all). The penalty of the model of being observed is chosen among ``inverse_penalties`` by cross-validation in
    ``folds``; weights are cut off at their quantile ``truncation``. With fewer than ``minimum_lost`` episodes on a side
    no model is fitted and weights are 1. The sweep shifts the log odds of those lost by each of ``shifts``.
    """

    method: str = "weighted"
    inverse_penalties: list[float] = field(default_factory=lambda: [0.0001, 0.003, 0.1])
    folds: int = 3
    truncation: float = 0.99
    minimum_lost: int = 20
    shifts: list[float] = field(default_factory=lambda: [-2.0, -1.5, -1.0, -0.5, 0.0, 0.5, 1.0, 1.5, 2.0])


@dataclass
class ModelSettings:
    """Candidate models and how one is chosen.

    Penalised logistic models are tried with every ``ridge_spreads`` (standard deviation of the prior of a log odds
    ratio per two standard deviations of a number, or per yes) and ``lasso_strengths`` (elastic net with ``l1_ratio``;
    a multiple of one over the square root of the number of rows), on ``splines`` or straight lines, and shrunk towards
    each share in ``borrowing`` of what techniques have in common. That is fitted with one of ``pool_penalties`` on at
    most ``pool_rows`` episodes of every other technique; with ``minimum_alone`` episodes of the smaller class a
    technique has nothing to gain and borrows from none. Boosted trees are searched in ``trials`` trials, ``boosting``
    first, kept in the file ``search_storage`` if one is named; ``monotone`` imposes the directions that evidence calls
    moderate or strong. An explainable boosting machine is tried with each set of parameters in ``additive``, the
    simplest first. Trees and additive steps need more data than a logistic model: beside one they are tried only with
    ``minimum_flexible`` episodes of the smaller class. The simplest candidate wins whose cross-validated log loss is
    within ``standard_errors`` of the lowest.
    """

    candidates: list[str] = field(default_factory=lambda: ["logistic", "xgboost"])
    splines: bool = True
    ridge_spreads: list[float] = field(default_factory=lambda: [0.03, 0.06, 0.12, 0.25, 0.5])
    lasso_strengths: list[float] = field(default_factory=lambda: [1.6, 0.8, 0.4, 0.2])
    l1_ratio: float = 0.9
    averaging: float = 0.35
    simplest_odds: float = 20.0
    borrowing: list[float] = field(default_factory=lambda: [1.0, 0.5, 0.0])
    directions: bool = True
    pool_penalties: list[float] = field(default_factory=lambda: [0.001, 0.002, 0.004, 0.008, 0.03])
    pool_rows: int = 3000
    minimum_alone: int = 4000
    boosting: list[dict[str, Any]] = field(
        default_factory=lambda: [
            {
                "n_estimators": 60,
                "max_depth": 2,
                "learning_rate": 0.1,
                "min_child_weight": 10.0,
                "reg_lambda": 5.0,
                "subsample": 1.0,
                "colsample_bytree": 1.0,
            },
        ]
    )
    trials: int = 8
    search_storage: str | None = None
    additive: list[dict[str, Any]] = field(
        default_factory=lambda: [
            {"max_rounds": rounds, "learning_rate": 0.04, "max_bins": 32} for rounds in (10, 20, 40, 80, 160)
        ]
    )
    monotone: bool = True
    minimum_flexible: int = 200
    selection_folds: int = 5
    standard_errors: float = 1.0
    minimum_events: int = 8


@dataclass
class CalibrationSettings:
    """How cross-fitted margins are recalibrated; ``slope_prior_sd`` shrinks slopes towards 1.

    ``method=auto`` takes the simplest of ``candidates`` whose log loss, cross-validated in ``folds`` on the margins,
    is within ``standard_errors`` of the lowest.
    """

    method: str = "affine"
    slope_prior_sd: float = 0.25
    candidates: list[str] = field(default_factory=lambda: ["none", "affine"])
    folds: int = 10
    standard_errors: float = 0.5


@dataclass
class LadderSettings:
    """How far ``cohort.source=blended`` goes from what evidence says to what real patients say.

    ``method`` is ``average``: cross-validation on the real rows (``folds``, ``repeats``) gives each level that
    holds evidence its share, in proportion to its likelihood to the power ``averaging``, and real rows speak alone
    where their log loss is lower by more than ``standard_errors``; or ``cross_validation``: the level that stands
    most on evidence wins whose log loss is within ``standard_errors`` of the lowest; or ``closed_test`` at level
    ``significance``. The weight of a simulated row beside a real one is chosen among ``synthetic_weights``. The log
    of the slope by which evidence is recalibrated has a normal prior with standard deviation ``slope_prior_sd``.
    All levels are linear in the log odds: of the candidate models only ``logistic`` is used.
    """

    method: str = "average"
    averaging: float = 0.35
    folds: int = 5
    repeats: int = 5
    standard_errors: float = 1.0
    synthetic_weights: list[float] = field(default_factory=lambda: [1.0, 0.3, 0.1, 0.03, 0.01, 0.003, 0.001])
    slope_prior_sd: float = 1.0
    significance: float = 0.05


@dataclass
class DurationSettings:
    """How the model of ``relief_duration`` is chosen and fitted: hazards at the visits.

    ``inverse_penalties`` is the grid of C of the penalised hazards, and ``first_differs`` whether effects may differ
    between the first visit and later ones; all are tried in ``folds``, patients kept together. With fewer than
    ``minimum_events`` losses of relief, or episodes without, nothing is fitted; intervals between visits with fewer
    than ``minimum_interval_events`` losses are joined. ``refits`` to reweighted patients make the interval.
    """

    inverse_penalties: list[float] = field(default_factory=lambda: [0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0])
    first_differs: list[bool] = field(default_factory=lambda: [False, True])
    folds: int = 5
    refits: int = 30
    minimum_events: int = 8
    minimum_interval_events: int = 5


@dataclass
class ChangeSettings:
    """How the model of ``pain_change`` is chosen and fitted: conditional quantiles, conformalised.

    ``penalties`` are ridge penalties per unit of mean loss, ``bandwidth`` the width, as a share of the score before,
    over which the corner of that loss is rounded. The choice and the conformal scores come from ``folds``, patients
    kept together; ``level`` is that of the interval. At least ``minimum_episodes`` must have a known change.
    """

    penalties: list[float] = field(default_factory=lambda: [0.01, 0.03, 0.1, 0.3, 1.0])
    bandwidth: float = 0.05
    folds: int = 5
    level: float = 0.80
    minimum_episodes: int = 20


@dataclass
class UncertaintySettings:
    """Interval for the individual's probability: bootstrap refits of patients, and its level.

    The standard deviation of the log odds between sites is estimated, and taken to be ``least_site_spread`` at least.
    """

    refits: int = 30
    level: float = 0.90
    least_site_spread: float = 0.1


@dataclass
class EvaluationSettings:
    """Honest evaluation: outer folds (patients kept together), repeats, and bootstrap intervals of the metrics.

    Durations and changes are predicted once in each fold, without ``repeats``. Somebody might decide for or against the
    procedure at a probability within ``threshold_range``, over which the decision curve is drawn.

    Of binary outcomes the whole modelling can be done again: ``optimism`` times on patients drawn with replacement, to
    correct the apparent performance (0: not at all), and for each site without it or each year from those before it
    (``held_out``: none, site, year or both). Each takes as long as one fold.
    """

    folds: int = 5
    repeats: int = 1
    resamples: int = 500
    confidence: float = 0.95
    threshold_range: list[float] = field(default_factory=lambda: [0.2, 0.6])
    optimism: int = 0
    held_out: str = "none"


@dataclass
class GateSettings:
    """What a model must show to be promoted; limits are held against the bounds of intervals, not against estimates.

    ``bases`` are those allowed; ``synthetic`` needs ``research_use``, and what is promoted under it carries that mark.
    At least ``minimum_real`` real episodes must be behind the model, its cohort must have met every minimum sample size
    (``sample_size``), and intervals must cover at least ``confidence``.

    The interval of the AUROC must lie above the first of ``auroc``; above the second as a whole it is taken for a leak,
    as it is on simulated data above the AUROC of the true probabilities. The intervals of ``calibration_slope`` and
    ``o_e_ratio`` must lie within their two limits, that of the ICI not above ``ici``, and at some threshold the net
    benefit must be above those of treating all and none (``net_benefit``). No subgroup may have an interval of its O/E
    wholly outside ``subgroup_o_e_ratio``; one of at least ``subgroup_size`` episodes must have one. Of outcomes that
    are numbers, the interval of the coverage must lie within ``coverage_margin`` of what was promised, and
    ``pinball_gain`` above 0. ``card_items`` of the checklists must be filled, or not apply to such an outcome.
    Null, false or an empty list leaves a criterion out.
    """

    name: str = "default"
    research_use: bool = False
    bases: list[str] = field(default_factory=lambda: ["real", "blended"])
    minimum_real: int = 100
    sample_size: bool = True
    confidence: float = 0.95
    auroc: list[float] = field(default_factory=lambda: [0.5, 0.95])
    calibration_slope: list[float] | None = field(default_factory=lambda: [0.8, 1.25])
    o_e_ratio: list[float] | None = field(default_factory=lambda: [0.8, 1.25])
    ici: float | None = 0.05
    net_benefit: bool = True
    subgroup_o_e_ratio: list[float] | None = field(default_factory=lambda: [0.8, 1.25])
    subgroup_size: int = 100
    coverage_margin: float | None = 0.05
    pinball_gain: bool = True
    card_items: list[str] = field(default_factory=lambda: list(CARD_ITEMS))


@dataclass
class TrackingSettings:
    """Where runs are recorded; no ``uri`` means ``MLFLOW_TRACKING_URI``, or ``mlflow.db`` in the working folder."""

    enabled: bool = True
    uri: str | None = None
    artifacts: str | None = None
    experiment: str = "paincast"
    register: bool = True


@dataclass
class TrainingSettings:
    """Everything one training run needs.

    ``statements`` hold what only people can say of a model, by item of its checklists: ``tripod_17`` is the approval of
    an ethics committee, ``tripod_18a`` who paid. An item that nothing fills is shown as missing.
    """

    cohort: CohortSettings = field(default_factory=CohortSettings)
    techniques: list[str] = field(default_factory=list)
    outcome: OutcomeSettings = field(default_factory=OutcomeSettings)
    observation: ObservationSettings = field(default_factory=ObservationSettings)
    model: ModelSettings = field(default_factory=ModelSettings)
    calibration: CalibrationSettings = field(default_factory=CalibrationSettings)
    ladder: LadderSettings = field(default_factory=LadderSettings)
    duration: DurationSettings = field(default_factory=DurationSettings)
    change: ChangeSettings = field(default_factory=ChangeSettings)
    uncertainty: UncertaintySettings = field(default_factory=UncertaintySettings)
    evaluation: EvaluationSettings = field(default_factory=EvaluationSettings)
    gate: GateSettings = field(default_factory=GateSettings)
    tracking: TrackingSettings = field(default_factory=TrackingSettings)
    models_folder: str = "models"
    statements: dict[str, str] = field(default_factory=dict)
    seed: int = 7
    jobs: int = -1
    progress: bool = True
