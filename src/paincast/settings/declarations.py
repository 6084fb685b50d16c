"""Settings of a training run as plain dataclasses; those of the models are in :mod:`paincast.settings.modelling`.

The command line composes them with Hydra from ``configs/``; Python users give keywords to
:func:`paincast.settings.make_settings` or build the dataclasses. Nothing here imports Hydra.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from paincast.schema import TECHNIQUES
from paincast.settings.choices import (
    BASES,
    CARD_ITEMS,
    COHORT_SOURCES,
    HELD_OUT,
    LARGEST_SEED,
    MAX_CONFIDENCE,
    MIN_CONFIDENCE,
    MIN_RESAMPLES,
    MOST_EPISODES,
    SCENARIOS,
)
from paincast.settings.declare import setting
from paincast.settings.modelling import (
    CalibrationSettings,
    ChangeSettings,
    DurationSettings,
    ModelSettings,
    ObservationSettings,
    UncertaintySettings,
)


@dataclass
class CohortSettings:
    """Where the episodes come from."""

    source: str = setting(
        "simulated",
        "simulated: made on the spot from the evidence; folder: a cohort written by 'paincast ingest' or 'paincast "
        "simulate'; blended: the published evidence, updated by real episodes.",
        one_of=COHORT_SOURCES,
    )
    path: str | None = setting(None, "Folder of the cohort, for source=folder.")
    real: str | None = setting(None, "Folder of the ingested real episodes, for source=blended.")
    episodes_per_technique: int = setting(
        1500, "Simulated episodes of each technique.", at_least=1, at_most=MOST_EPISODES, unit="episodes"
    )
    scenario: str = setting("literature", "Evidence scenario of the simulation.", one_of=SCENARIOS)
    interactions: float = setting(
        0.0,
        "Simulate interactions of this size, which no evidence tells of: age with body mass index, pain with "
        "catastrophizing. Patients then teach the model; 0 simulates none.",
        at_least=0.0,
        at_most=5.0,
        unit="log odds",
    )
    seed: int = setting(20260101, "Seed of the simulation.", at_least=0, at_most=LARGEST_SEED)
    rehearse: bool = setting(
        False,
        "Let simulated patients stand for real ones, to rehearse a registry; otherwise the model follows the evidence "
        "itself, and they only evaluate it.",
    )


@dataclass
class OutcomeSettings:
    """Which outcome is predicted, and which follow-up visits determine it."""

    name: str = setting("pain_response", "Name of the outcome; all stands for every one of them.")
    horizon_months: Any = setting(
        None,
        "Months after the procedure: a number, or a list such as [3,6,12] for a model at each of them; null takes the "
        "primary horizon of each technique.",
        at_least=0.1,
        at_most=240,
        min_items=1,
        unit="months",
        kind=float | list[float] | None,
    )
    window_months: list[float] | None = setting(
        None,
        "First and last month of the visits that count; null takes the window of the outcome.",
        at_least=1e-6,
        at_most=240,
        increasing=True,
        unit="months",
        allowed="two increasing months above 0 and up to 240, for example [0.5,1.5]",
    )
    complication_kind: str | None = setting(
        None, "Count only this kind of complication, as written in detail of the events."
    )

    @property
    def months(self) -> tuple[float | None, ...]:
        """Requested months in ascending order; None stands for the primary horizon of each technique."""
        if self.horizon_months is None:
            return (None,)
        several = isinstance(self.horizon_months, list | tuple)
        return tuple(sorted(map(float, self.horizon_months if several else [self.horizon_months])))


@dataclass
class EvaluationSettings:
    """Evaluation: outer cross-validation, bootstrap intervals, and internal validation of the whole modelling.

    ``optimism`` and ``held_out`` apply to binary outcomes; each repeat takes as long as a fold.
    """

    folds: int = setting(5, "Outer folds; patients stay together.", at_least=2, at_most=20)
    repeats: int = setting(
        1, "How often folds are drawn; durations and changes are predicted once.", at_least=1, at_most=100
    )
    resamples: int = setting(500, "Bootstrap resamples of the metrics.", at_least=MIN_RESAMPLES, at_most=100_000)
    confidence: float = setting(
        0.95, "Confidence of the intervals of the metrics.", at_least=MIN_CONFIDENCE, at_most=MAX_CONFIDENCE
    )
    threshold_range: list[float] | None = setting(
        None,
        "Range of threshold probabilities of the decision curve; null takes half to twice the odds of the outcome.",
        at_least=0.01,
        at_most=0.99,
        increasing=True,
    )
    optimism: int = setting(
        0,
        "Bootstrap repeats of the whole modelling for optimism-corrected performance; 0 leaves it out.",
        at_least=0,
        at_most=10_000,
        allowed=f"0, or {MIN_RESAMPLES} to 10000",
    )
    held_out: str = setting(
        "none",
        "Internal-external cross-validation: hold out each site, each year in turn (predicted from the years before "
        "it), both, or none.",
        one_of=HELD_OUT,
    )
    export_oof: str | None = setting(
        None,
        "Local file for the out-of-fold prediction of every patient, from which the metrics can be computed again; it "
        "is never sent to MLflow. null writes none.",
        allowed="a name that ends in .csv or .parquet",
    )


@dataclass
class GateSettings:
    """Criteria that a model must meet to be promoted.

    Limits apply to the bounds of intervals, not to estimates. Null, false or an empty list disables a criterion.
    """

    name: str = setting("default", "Name of the gate.", allowed="letters, digits, _ and -")
    research_use: bool = setting(False, "Whether models promoted under the gate are for research use only.")
    bases: list[str] = setting(
        ["real", "blended"],
        "Allowed bases of a model; synthetic needs research_use.",
        one_of=BASES,
        min_items=1,
    )
    minimum_real: int = setting(
        100, "Fewest real episodes behind the model.", at_least=0, at_most=10_000_000, unit="episodes"
    )
    sample_size: bool = setting(
        True, "Require the patients that the served model needs; not asked of simulated patients."
    )
    slope_probability: float | None = setting(
        0.8, "Lowest probability of a calibration slope between 0.85 and 1.15.", at_least=0.0, at_most=1.0
    )
    lost_share: float | None = setting(0.3, "Largest share lost to follow-up.", at_least=0.0, at_most=1.0)
    tipping_odds: float | None = setting(
        1.5,
        "Those lost may have odds of the outcome this many times higher or lower than predicted, and the verdict on "
        "observed over expected must hold.",
        at_least=1.0,
        at_most=100.0,
    )
    confidence: float = setting(
        0.95, "Lowest confidence of the intervals.", at_least=MIN_CONFIDENCE, at_most=MAX_CONFIDENCE
    )
    auroc: list[float] = setting(
        [0.5, 0.95],
        "The interval of the AUROC must lie above the first; wholly above the second, it is taken as a leak.",
        at_least=0.0,
        at_most=1.0,
        increasing=True,
    )
    log_loss_gain: bool = setting(True, "Require less log loss than telling everybody the overall risk.")
    calibration_slope: list[float] | None = setting(
        [0.8, 1.25],
        "Limits of the interval of the calibration slope, out of fold and in held-out sites or years.",
        at_least=0.0,
        at_most=10.0,
        increasing=True,
    )
    o_e_ratio: list[float] | None = setting(
        [0.8, 1.25],
        "Limits of the interval of observed over expected outcomes in held-out sites or years and in other cohorts.",
        at_least=0.0,
        at_most=10.0,
        increasing=True,
    )
    held_out: bool = setting(
        True,
        "Require that calibration in held-out sites or years, or in another cohort, is shown to keep the limits; "
        "otherwise it must only not be shown to break them.",
    )
    ici: float | None = setting(
        0.05,
        "Highest upper bound of the integrated calibration index, by spline and by loess.",
        at_least=0.0,
        at_most=1.0,
    )
    net_benefit: bool = setting(
        True,
        "Require a threshold at which selecting by prognosis has more net benefit than treating all and treating none.",
    )
    subgroup_o_e_ratio: list[float] | None = setting(
        [0.8, 1.25],
        "No subgroup may have an interval of observed over expected outcomes wholly outside these limits.",
        at_least=0.0,
        at_most=10.0,
        increasing=True,
    )
    subgroup_size: int = setting(
        100, "A subgroup of this size must have an interval.", at_least=1, at_most=10_000_000, unit="episodes"
    )
    coverage_margin: float | None = setting(
        0.05,
        "For outcomes that are numbers: how far the coverage of intervals may differ from their level.",
        at_least=0.0,
        at_most=0.5,
    )
    pinball_gain: bool = setting(True, "For outcomes that are numbers: require less pinball loss than without a model.")
    card_items: list[str] = setting(
        list(CARD_ITEMS), "Items of the checklists that must be filled, or not apply to the outcome."
    )


@dataclass
class TrackingSettings:
    """Where runs are logged."""

    enabled: bool = setting(True, "Record runs in MLflow.")
    uri: str | None = setting(
        None, "Address of the tracking store; null takes MLFLOW_TRACKING_URI, or mlflow.db in the working folder."
    )
    artifacts: str | None = setting(None, "Where files of runs are kept; null takes the default of the store.")
    experiment: str = setting("paincast", "Name of the MLflow experiment.")
    register: bool = setting(True, "Register each model as a new version.")


@dataclass
class TrainingSettings:
    """Everything one training run needs."""

    cohort: CohortSettings = field(default_factory=CohortSettings)
    techniques: list[str] = setting(
        [],
        "Techniques to train; an empty list takes all in the cohort.",
        allowed=f"{', '.join(TECHNIQUES)}, or a technique of the cohort's contract",
    )
    outcome: OutcomeSettings = field(default_factory=OutcomeSettings)
    observation: ObservationSettings = field(default_factory=ObservationSettings)
    model: ModelSettings = field(default_factory=ModelSettings)
    calibration: CalibrationSettings = field(default_factory=CalibrationSettings)
    duration: DurationSettings = field(default_factory=DurationSettings)
    change: ChangeSettings = field(default_factory=ChangeSettings)
    uncertainty: UncertaintySettings = field(default_factory=UncertaintySettings)
    evaluation: EvaluationSettings = field(default_factory=EvaluationSettings)
    gate: GateSettings = field(default_factory=GateSettings)
    tracking: TrackingSettings = field(default_factory=TrackingSettings)
    models_folder: str = setting(
        "models",
        "Folder that models are written to, as TECHNIQUE/OUTCOME; further months as TECHNIQUE/OUTCOME.month-12.",
    )
    statements: dict[str, str] = setting(
        {},
        "Statements about a model that only people can make, by item of its checklists: tripod_17 is the approval of "
        "an ethics committee, tripod_18a who paid. An item that nothing fills is shown as missing.",
    )
    seed: int = setting(7, "Random seed of training.", at_least=0, at_most=LARGEST_SEED)
    jobs: int = setting(
        -1,
        "Processes; -1 is one for each core.",
        at_least=-1024,
        at_most=1024,
        allowed="1 to 1024; -1 is one for each core, -2 one fewer, and so on",
    )
    progress: bool = setting(True, "Show progress on the command line.")
