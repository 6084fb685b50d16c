"""Columns of an episode: a procedure on a patient, with the values known before it."""

from __future__ import annotations

from collections.abc import Mapping

from paincast.schema.column import Column, by_name
from paincast.schema.column import boolean_column as _boolean
from paincast.schema.column import category_column as _category
from paincast.schema.column import number_column as _number
from paincast.schema.column import text_column as _text
from paincast.schema.instruments import INSTRUMENTS
from paincast.schema.names import COMPARATORS, INDICATIONS, TECHNIQUES
from paincast.schema.scores import score_column as _score
from paincast.schema.scores import scores_before

_DECLARED: Mapping[str, Column] = by_name(
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
        "steroid",
        ("dexamethasone", "betamethasone", "methylprednisolone", "triamcinolone", "other", "no_steroid"),
        "steroid to be injected, chosen before; no_steroid for an anaesthetic or saline alone",
        role="technique",
    ),
    _number("steroid_dose_mg", 0, 400, "mg", "dose of that steroid, not converted to another", role="technique"),
    _category(
        "neurolytic",
        ("ethanol", "phenol", "glycerol"),
        "substance that destroys the nerve, chosen before",
        role="technique",
    ),
    _number("neurolytic_volume_ml", 0, 100, "mL", "volume of the neurolytic, all needles together", role="technique"),
    _number(
        "lesion_temperature_c",
        37,
        100,
        "°C",
        "temperature of the radiofrequency lesion, chosen before",
        role="technique",
    ),
    _number(
        "needle_gauge",
        14,
        30,
        "gauge",
        "needle of the procedure; recorded, no effect on response is assumed",
        role="process",
        timing="during",
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
    _score(INSTRUMENTS["nrs_average"], "average pain before the procedure", label="baseline pain"),
    _number(
        "pain_duration_months", 0, 1200, "months", "how long the pain has lasted", log_scale=True, label="pain duration"
    ),
    _score(INSTRUMENTS["odi"], "Oswestry Disability Index", label="disability (ODI)"),
    _score(INSTRUMENTS["womac"], "WOMAC total score, worse is higher", label="WOMAC"),
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
    _score(INSTRUMENTS["pcs"], "Pain Catastrophizing Scale", label="catastrophizing"),
    _score(INSTRUMENTS["hads_anxiety"], "Hospital Anxiety and Depression Scale, anxiety", label=""),
    _score(INSTRUMENTS["hads_depression"], "Hospital Anxiety and Depression Scale, depression", label=""),
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
    _category(
        "physical_work_demand",
        ("sedentary", "light", "medium", "heavy", "very_heavy"),
        "how heavy the work is that the patient does or did last",
    ),
    _boolean("social_isolation", "lives alone without regular contacts, or a positive screen for social isolation"),
    _boolean("widespread_pain", "widespread pain by a body map, or fibromyalgia"),
    _number(
        "body_map_count", 0, 100, "regions", "regions of the body marked as painful; their number depends on the map"
    ),
    _boolean("vascular_variant", "variant of the arteries near the target on imaging"),
    _boolean("nerve_variant", "variant of the target nerves or plexus on imaging"),
    _number(
        "aptt_seconds",
        5,
        300,
        "s",
        "activated partial thromboplastin time; recorded, no rule needs it",
        role="process",
        label="aPTT",
    ),
    _number(
        "fibrinogen_g_per_l",
        0,
        20,
        "g/L",
        "fibrinogen in plasma; recorded, no rule needs it",
        role="process",
        label="fibrinogen",
    ),
    _category(
        "intended_technique",
        TECHNIQUES,
        "technique that was not done because its trial or block failed; the technique is then no_procedure",
        role="process",
    ),
)

EPISODES: Mapping[str, Column] = by_name(*_DECLARED.values(), *scores_before(_DECLARED))
