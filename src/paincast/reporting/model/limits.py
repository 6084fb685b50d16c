"""What a model must not be taken for, in words for what it stands on."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from paincast.gates.use import USE_LIMIT
from paincast.reporting.model.run_facts import RunFacts

BASIS_LIMITS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "synthetic": (
            "No real patient stands behind any number here. Patients were simulated from published averages, many of "
            "them judged or assumed; the same evidence made the patients and is found again by the model.",
            "Where predictions agree with outcomes, the method works. That does not show that the model is right about "
            "anybody.",
            "Relations that no study has published are absent from the simulation, and from the model.",
            "It is for research and for trying the software out, and may not be used for a decision about a patient.",
        ),
        "real": (
            "The numbers are out of fold: for patients the model had not seen, of the registry it was made from. "
            "Whether they hold in another hospital, another country or later years they do not show; for that use "
            "'paincast evaluate' on a cohort of its own.",
            "A registry holds who was treated there. Who was not offered the procedure, or declined it, is not in it.",
            "Intervals hold for these predictions; they do not cover choices that were made after looking at the data.",
        ),
        "blended": (
            "Simulated and real patients were fitted together. Read every number beside the count of real episodes: "
            "the fewer they are, the more of the model is published averages.",
            "Performance is measured on real patients only, out of fold, in the registry they come from. Whether it "
            "holds elsewhere it does not show.",
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


def say_without_evidence(facts: Mapping[str, str]) -> list[str]:
    """Say of which indications no published evidence stands beside the model; nothing where there is some of each."""
    names = facts.get("without_evidence", "")
    said = f"No published evidence stands beside the model for: {names}. There it rests on real patients alone."
    return [said] if names else []


def list_limits(run: RunFacts) -> list[str]:
    """List the limits of a model for what it stands on, what its outcome is not, and what is peculiar to the run."""
    facts = run.facts
    is_not = [f"This outcome is not {facts['is_not']}."] if facts.get("is_not") else []
    notes = [note for note in facts.get("notes", "").split("\n") if note]
    return [*BASIS_LIMITS[run.tags["basis"]], *say_without_evidence(facts), *is_not, *notes, *ALWAYS]
