"""The tables that a mapping reads from FHIR resources, and what their columns are called."""

from __future__ import annotations

from paincast.cohort.long.types import LongTable

PROCEDURES, PATIENTS = "Procedure", "Patient"
PATIENT = "patient"
"""Column of the patient's id in the table of procedures."""
PROCEDURE_DATE = "performed"

LONG_TABLES = tuple(
    LongTable(
        file=resource,
        person=f"{resource}.subject",
        name=f"{resource}.{name}",
        value=(f"{resource}.{value}",),
        at=f"{resource}.{at}",
        unit="unit",
        is_optional=True,
    )
    for resource, name, value, at in (
        ("Observation", "code", "value", "effective"),
        ("QuestionnaireResponse", "item", "answer", "authored"),
        ("Condition", "code", "value", "onset"),
    )
)
"""Observations by their codes, answers by the ``linkId`` of their item, and conditions, whose value is their code."""

OTHER_TYPES = frozenset((
    "AdverseEvent", "AllergyIntolerance", "Appointment", "Basic", "BodyStructure", "CarePlan", "CareTeam", "Claim",
    "ClinicalImpression", "Communication", "Composition", "Consent", "Coverage", "DetectedIssue", "Device",
    "DeviceRequest", "DeviceUseStatement", "DiagnosticReport", "DocumentReference", "Encounter", "EpisodeOfCare",
    "ExplanationOfBenefit", "FamilyMemberHistory", "Flag", "Goal", "Group", "ImagingStudy", "Immunization", "List",
    "Location", "Media", "Medication", "MedicationAdministration", "MedicationDispense", "MedicationRequest",
    "MedicationStatement", "NutritionOrder", "OperationOutcome", "Organization", "Person", "Practitioner",
    "PractitionerRole", "Provenance", "Questionnaire", "RelatedPerson", "ResearchSubject", "RiskAssessment",
    "Schedule", "ServiceRequest", "Specimen", "Substance", "Task",
))  # fmt: skip
"""Types of resources that are not read, and are told by name; any other text may be a value of a patient."""
