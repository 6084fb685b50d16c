"""The limits of a model, by its basis."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from paincast.gates.use import USE_LIMIT
from paincast.reporting.model.run_contents import RunContents

BASIS_LIMITS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "synthetic": (
            "No number here comes from a real patient. Patients were simulated from published averages, many of them "
            "judged or assumed; the model finds the evidence that made its patients.",
            "Agreement of predictions with outcomes shows that the method works, not that the model is right about any "
            "real patient.",
            "Relations that no study has published are absent from the simulation, and from the model.",
            "It is for research and for trying the software out, and may not be used for a decision about a patient.",
        ),
        "real": (
            "All metrics are out of fold: for patients the model had not seen, of the registry it was made from. They "
            "do not show whether the model holds in another hospital, another country or later years; for that, use "
            "'paincast evaluate' on a separate cohort.",
            "A registry holds treated patients only, not those who declined the procedure or were not offered it.",
            "Intervals do not cover choices that were made after looking at the data.",
        ),
        "blended": (
            "Simulated and real patients were fitted together. Read every number beside the count of real episodes: "
            "the fewer they are, the more of the model is published averages.",
            "Performance is measured on real patients only, out of fold, in the registry they come from. It does not "
            "show whether the model holds elsewhere.",
            "Published rates come from studies whose patients, techniques and follow-up differ from those here.",
        ),
    }
)

ALWAYS = (
    "A prediction here is what to expect given the procedure, not what the procedure adds: some patients get better "
    "without it. Do not rank procedures by it.",
    USE_LIMIT,
    "Research software: not a medical device, not medical advice.",
)


def list_without_evidence(facts: Mapping[str, str]) -> list[str]:
    """List the indications without published evidence, in one sentence; nothing where all have some."""
    names = facts.get("without_evidence", "")
    sentence = f"No published evidence exists for: {names}. There the model rests on real patients alone."
    return [sentence] if names else []


def list_limits(run: RunContents) -> list[str]:
    """List the limits of a model: those of its basis, what its outcome is not, and the notes of the run."""
    facts = run.facts
    is_not = [f"This outcome is not {facts['is_not']}."] if facts.get("is_not") else []
    notes = [note for note in facts.get("notes", "").split("\n") if note]
    return [*BASIS_LIMITS[run.tags["basis"]], *list_without_evidence(facts), *is_not, *notes, *ALWAYS]
