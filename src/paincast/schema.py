"""The data contract: a single declaration for each column, from which everything else is derived.

A cohort has three tables. An ``episode`` is a procedure on a patient, with the values known before the procedure; a
``visit`` is a follow-up of an episode; an ``event`` is a complication, repeat procedure, explant, surgery or death.
Validation, the data dictionary, the MLflow signature and the grouping of SHAP values use the declarations here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

ColumnType = Literal["text", "category", "number", "integer", "boolean"]
Role = Literal["id", "predictor", "technique", "funnel", "sensitive", "process", "safety", "outcome"]
Timing = Literal["before", "during", "after"]

TECHNIQUES = (
    "epidural_steroid_injection",
    "nerve_root_block",
    "facet_joint_injection",
    "joint_injection",
    "facet_rfa",
    "si_joint_rfa",
    "genicular_rfa",
    "spinal_cord_stimulation",
    "celiac_plexus_neurolysis",
    "hypogastric_plexus_neurolysis",
    "trigeminal_rhizotomy",
    "genicular_artery_embolization",
    "bariatric_embolization",
)
"""Techniques, each with a response model (``bariatric_embolization`` is refused: there is no evidence on pain)."""

MINIMUM_CELL = 5
"""Minimum number of patients in a table cell, a group or a mark in a figure."""

COMPARATORS = ("no_procedure", "usual_care", "placebo_injection", "psychological_therapy", "surgery")
"""Comparators that an episode may have instead of a technique; there is no response model for these."""

INDICATIONS = (
    "lumbar_radicular_disc",
    "lumbar_stenosis",
    "other_radicular",
    "lumbar_facet",
    "sacroiliac_joint",
    "failed_back_surgery",
    "chronic_low_back_pain",
    "crps",
    "other_neuropathic",
    "pancreatic_cancer",
    "pelvic_cancer",
    "knee_osteoarthritis",
    "hip_osteoarthritis",
    "trigeminal_neuralgia",
    "upper_abdominal_cancer",
    "chronic_pancreatitis",
    "chronic_pelvic_pain",
)

EVENT_KINDS = ("complication", "repeat_procedure", "explant", "surgery", "death")

RESEARCH_MARK = "research use only"
"""Label in runs, versions, reports and predictions for models trained only on simulated patients."""


@dataclass(frozen=True, kw_only=True)
class Column:
    """A column of the contract.

    Parameters
    ----------
    name : str
        Column name, including the unit if there is one.
    type : {"text", "category", "number", "integer", "boolean"}
        Logical type.
    description : str
        Meaning of the column, for clinicians.
    role : str
        How the column may be used. Model inputs are ``predictor``, ``technique`` (the choice made) and ``funnel``
        columns with timing ``before``; ``sensitive`` columns are used only for audits; ``safety`` columns only for
        eligibility; ``process`` columns are only recorded.
    timing : {"before", "during", "after"}
        When the value is known, relative to the procedure.
    unit : str, optional
        Unit of a number.
    low, high : float, optional
        Allowed range, ends included.
    categories : tuple of str
        Allowed values of a category.
    required : bool
        Whether a row without the value is rejected.
    log_scale : bool
        Whether the quantity is skewed and analysed as ``log(1 + value)``.
    label : str, optional
        Short name for figures; made from ``name`` when empty.
    """

    name: str
    type: ColumnType
    description: str
    role: Role
    timing: Timing
    unit: str | None = None
    low: float | None = None
    high: float | None = None
    categories: tuple[str, ...] = ()
    required: bool = False
    log_scale: bool = False
    label: str = ""

    @property
    def allowed(self) -> str:
        """Description of the allowed values."""
        if self.type == "category":
            return "one of " + ", ".join(self.categories)
        if self.type == "boolean":
            return "true or false (yes/no, 1/0)"
        if self.type == "text":
            return "text"
        kind = "a whole number" if self.type == "integer" else "a number"
        unit = f" {self.unit}" if self.unit else ""
        if self.low is None and self.high is None:
            return f"{kind}{unit}"
        if self.high is None:
            return f"{kind}, at least {self.low:g}{unit}"
        return f"{kind} from {self.low:g} to {self.high:g}{unit}"

    @property
    def display_name(self) -> str:
        """Name used in figures and tables."""
        return self.label or self.name.replace("_", " ")


def _number(name: str, low: float, high: float, unit: str | None, description: str, **more: object) -> Column:
    settings: dict[str, object] = {"role": "predictor", "timing": "before", **more}
    return Column(name=name, type="number", low=low, high=high, unit=unit, description=description, **settings)  # type: ignore[arg-type]


def _boolean(name: str, description: str, **more: object) -> Column:
    settings: dict[str, object] = {"role": "predictor", "timing": "before", **more}
    return Column(name=name, type="boolean", description=description, **settings)  # type: ignore[arg-type]


def _category(name: str, categories: tuple[str, ...], description: str, **more: object) -> Column:
    settings: dict[str, object] = {"role": "predictor", "timing": "before", **more}
    return Column(name=name, type="category", categories=categories, description=description, **settings)  # type: ignore[arg-type]


def _text(name: str, description: str, **more: object) -> Column:
    settings: dict[str, object] = {"role": "id", "timing": "before", **more}
    return Column(name=name, type="text", description=description, **settings)  # type: ignore[arg-type]


def _table(*columns: Column) -> Mapping[str, Column]:
    return MappingProxyType({column.name: column for column in columns})


EPISODES: Mapping[str, Column] = _table(
    _text("episode_id", "one procedure on one patient; unique", required=True),
    _text("patient_id", "the patient; all episodes of a patient stay on one side of every split", required=True),
    _text("site_id", "the hospital or department"),
    Column(
        name="procedure_year",
        type="integer",
        low=1980,
        high=2100,
        unit="years CE",
        role="id",
        timing="before",
        description="calendar year of the procedure, for temporal validation",
    ),
    _category(
        "technique", TECHNIQUES + COMPARATORS, "what is done, or the comparator", role="technique", required=True
    ),
    _category("indication", INDICATIONS, "the diagnosis treated; without it no model answers and none is trained"),
    _category(
        "approach",
        ("interlaminar", "transforaminal", "caudal", "percutaneous", "endoscopic"),
        "route of the needle, chosen before the procedure",
        role="technique",
    ),
    _category(
        "lesion_protocol",
        ("three_branch", "two_branch"),
        "nerve targets of a genicular ablation, chosen before the procedure",
        role="technique",
    ),
    _category("rf_mode", ("conventional", "cooled"), "kind of radiofrequency probe, chosen before", role="technique"),
    _category(
        "stimulation_waveform",
        ("tonic", "high_frequency_10khz", "closed_loop", "drg"),
        "how the spinal cord (or, for drg, the dorsal root ganglion) is stimulated, chosen before the implant",
        role="technique",
    ),
    _category(
        "guidance",
        ("fluoroscopy", "ct", "ultrasound", "augmented_reality", "robotic"),
        "image guidance; recorded, no effect on response is assumed",
        role="process",
        timing="during",
    ),
    _number("age_years", 0, 120, "years", "age at the procedure"),
    _category("sex", ("female", "male"), "sex as recorded"),
    _number("bmi", 10, 80, "kg/m2", "body mass index", label="BMI"),
    _number("height_cm", 100, 230, "cm", "body height", role="process"),
    _number("weight_kg", 20, 350, "kg", "body weight", role="process"),
    _boolean("smoker", "current smoking"),
    _boolean("diabetes", "diabetes mellitus"),
    _boolean("cardiovascular_disease", "known cardiovascular disease"),
    _boolean("anticoagulant", "takes an anticoagulant or antiplatelet drug", role="safety"),
    _boolean("active_infection", "local or systemic infection at the time of the procedure", role="safety"),
    _boolean("pregnant", "pregnancy", role="safety"),
    _boolean("contrast_allergy", "allergy to iodinated contrast", role="safety"),
    _boolean("cardiac_device", "pacemaker or other implanted cardiac device", role="safety"),
    _number("inr", 0.5, 20, None, "international normalised ratio of the clotting time", role="safety", label="INR"),
    _number("platelets_10e9_per_l", 0, 3000, "×10⁹/L", "platelet count", role="safety", label="platelets"),
    _boolean("coagulation_disorder", "disorder of blood clotting, inherited or acquired", role="safety"),
    _number(
        "life_expectancy_months",
        0,
        1200,
        "months",
        "life expectancy as judged by the team",
        role="safety",
        label="life expectancy",
    ),
    _boolean("active_psychosis", "psychosis that is active", role="safety"),
    _boolean("untreated_major_depression", "major depression that is not treated", role="safety"),
    _boolean("substance_use_disorder", "substance use disorder that is active", role="safety"),
    _boolean("bowel_obstruction", "obstruction of the bowel", role="safety"),
    _number(
        "systolic_blood_pressure_mmhg", 30, 300, "mmHg", "systolic blood pressure, after any correction", role="safety"
    ),
    _boolean("peripheral_artery_disease", "severe peripheral artery disease of the legs", role="safety"),
    _number(
        "egfr_ml_min_1_73m2",
        0,
        250,
        "mL/min/1.73 m2",
        "estimated glomerular filtration rate",
        role="safety",
        label="eGFR",
    ),
    _boolean("planned_knee_replacement", "replacement of the knee is planned", role="safety"),
    _category("work_status", ("working", "retired", "not_working"), "employment", role="predictor"),
    _boolean("compensation_claim", "open workers' compensation claim or litigation"),
    _boolean("regular_exercise", "exercises at least once a week"),
    _number("pain_nrs", 0, 10, "NRS points", "average pain before the procedure", label="baseline pain"),
    _number(
        "pain_duration_months", 0, 1200, "months", "how long the pain has lasted", log_scale=True, label="pain duration"
    ),
    _number("odi", 0, 100, "ODI points", "Oswestry Disability Index", label="disability (ODI)"),
    _number("womac", 0, 100, "WOMAC points", "WOMAC total score, worse is higher", label="WOMAC"),
    _number("eq5d_index", -1, 1, None, "EQ-5D index value", label="EQ-5D"),
    _number(
        "opioid_mme",
        0,
        3000,
        "mg/day",
        "opioid dose in oral morphine milligram equivalents, 0 for non-users",
        log_scale=True,
        label="opioid dose",
    ),
    _number("analgesic_doses_per_week", 0, 200, "doses/week", "analgesic consumption", log_scale=True),
    _boolean("depression", "depression by history or a positive screen"),
    _boolean("anxiety", "anxiety by history or a positive screen"),
    _boolean(
        "psychological_yellow_flags", "psychological or social obstacles to recovery found by a structured screen"
    ),
    _number("catastrophizing_pcs", 0, 52, "PCS points", "Pain Catastrophizing Scale", label="catastrophizing"),
    _number("hads_anxiety", 0, 21, "HADS points", "Hospital Anxiety and Depression Scale, anxiety"),
    _number("hads_depression", 0, 21, "HADS points", "Hospital Anxiety and Depression Scale, depression"),
    _boolean("prior_spine_surgery", "earlier operation on the spine"),
    _number("spine_operations", 0, 20, "operations", "how many earlier operations on the spine"),
    _boolean("prior_procedure", "earlier surgery or intervention for the same pain"),
    _boolean("radicular_pattern", "pain follows a dermatome"),
    _boolean("leg_dominant_pain", "pain is worse in the leg than in the back"),
    _boolean("referral_below_knee", "pain is referred below the knee"),
    _boolean("sensory_deficit", "sensory loss in the painful dermatome, or a large hernia that explains it"),
    _boolean("disc_herniation", "a disc herniation on imaging explains the radicular pain"),
    _boolean("low_grade_root_compression", "nerve root touched or displaced, not flattened, on MRI"),
    _boolean("severe_central_stenosis", "severe narrowing of the central canal on MRI"),
    _boolean("neuropathic_drug_response", "responded to drugs for neuropathic pain"),
    _boolean("paraspinal_tenderness", "tenderness over the facet joints"),
    _boolean("facet_loading_pain", "extension with rotation provokes the pain"),
    _boolean("scoliosis", "lumbar scoliosis on imaging"),
    _boolean("brush_allodynia", "brush-evoked allodynia"),
    _category("pain_pattern", ("paroxysmal", "persistent"), "time pattern of facial pain"),
    _category("pain_side", ("left", "right", "bilateral"), "side of the pain"),
    _number("kellgren_lawrence", 0, 4, "grade", "radiographic grade of osteoarthritis", label="Kellgren-Lawrence"),
    _boolean("joint_effusion", "effusion of the joint, clinically or on imaging"),
    _boolean("synovitis", "synovitis or effusion of the joint on ultrasound"),
    _boolean("bone_marrow_lesion", "bone marrow lesion with a subchondral insufficiency fracture on MRI"),
    _number("sindou_grade", 0, 3, "grade", "grade of neurovascular conflict on MRI"),
    _number("treated_levels", 1, 8, "levels", "number of joints or levels to be treated"),
    _category("tumour_site", ("head", "body_or_tail"), "part of the pancreas that holds the tumour"),
    _boolean("plexus_invasion", "the tumour invades the coeliac plexus on imaging"),
    _boolean("celiac_ganglia_visible", "the coeliac ganglia can be seen on imaging"),
    _boolean("distant_metastasis", "distant metastasis"),
    _boolean("opioid_refractory_pain", "opioids no longer control the pain (a late neurolysis)"),
    _boolean("somatic_component", "somatic or neuropathic pain beside the visceral pain"),
    _number(
        "diagnostic_blocks_positive",
        0,
        2,
        "blocks",
        "positive diagnostic blocks",
        role="funnel",
        label="positive blocks",
    ),
    _number("block_relief_percent", 0, 100, "%", "relief after the diagnostic block", role="funnel"),
    _boolean("test_block_success", "at least 50 % relief after a test block of the joint or plexus", role="funnel"),
    _boolean("stimulation_trial_success", "at least 50 % relief in the trial of stimulation", role="funnel"),
    _boolean(
        "failed_first_block", "no response to an earlier neurolysis, or progression of the tumour since", role="funnel"
    ),
    _category("ethnicity", ("asian", "black", "hispanic", "white", "other"), "ethnicity as recorded", role="sensitive"),
    _category(
        "payer", ("private", "medicare", "medicaid", "public", "self_pay", "other"), "who pays", role="sensitive"
    ),
)

VISITS: Mapping[str, Column] = _table(
    _text("episode_id", "the episode followed up", required=True),
    _number(
        "month", 0, 240, "months after the procedure", "time of the visit", role="id", timing="after", required=True
    ),
    _number("pain_nrs", 0, 10, "NRS points", "average pain at the visit", role="outcome", timing="after"),
    _number("odi", 0, 100, "ODI points", "Oswestry Disability Index at the visit", role="outcome", timing="after"),
    _number("womac", 0, 100, "WOMAC points", "WOMAC total score at the visit", role="outcome", timing="after"),
    _number("eq5d_index", -1, 1, None, "EQ-5D index value at the visit", role="outcome", timing="after"),
    _number("opioid_mme", 0, 3000, "mg/day", "opioid dose at the visit", role="outcome", timing="after"),
    _number(
        "pgic",
        1,
        7,
        "PGIC points",
        "Patient Global Impression of Change, 1 is very much improved",
        role="outcome",
        timing="after",
    ),
)

EVENTS: Mapping[str, Column] = _table(
    _text("episode_id", "the episode concerned", required=True),
    _number(
        "month",
        0,
        240,
        "months after the procedure",
        "time of the event; missing where the source does not tell it",
        role="id",
        timing="after",
    ),
    _category("kind", EVENT_KINDS, "what happened", role="outcome", timing="after", required=True),
    _text("detail", "which complication or operation", role="outcome", timing="after"),
)

TABLES: Mapping[str, Mapping[str, Column]] = MappingProxyType(
    {"episodes": EPISODES, "visits": VISITS, "events": EVENTS}
)

MODEL_ROLES = frozenset({"predictor", "technique", "funnel"})


def is_model_input(column: Column) -> bool:
    """Check whether a column is a model input: known before the procedure, and predictor, technique or funnel."""
    return column.timing == "before" and column.role in MODEL_ROLES and column.name not in ("technique",)


def model_columns() -> tuple[Column, ...]:
    """Return the columns that are model inputs, in the order of the contract."""
    return tuple(column for column in EPISODES.values() if is_model_input(column))


def build_data_dictionary() -> list[dict[str, str]]:
    """List the columns of the contract with table, type, unit, allowed values, role, timing and description."""
    return [
        {
            "table": table,
            "column": column.name,
            "type": column.type,
            "unit": column.unit or "",
            "allowed": column.allowed,
            "role": column.role,
            "timing": column.timing,
            "required": "yes" if column.required else "no",
            "description": column.description,
        }
        for table, columns in TABLES.items()
        for column in columns.values()
    ]
