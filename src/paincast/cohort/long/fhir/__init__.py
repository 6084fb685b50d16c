"""FHIR R4: patients, procedures, observations and answers to questionnaires, from bundles and NDJSON."""
