"""Build the fixed quantities of a scenario: sites, distributions, choice probabilities and calibrated intercepts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from paincast.errors import RefusalError, SettingsError
from paincast.evidence.figures import Record, Survival
from paincast.evidence.records import load_records
from paincast.schema import INDICATIONS
from paincast.simulator.assumptions import Assumptions
from paincast.simulator.course.events import Risk, list_risks
from paincast.simulator.course.response import (
    OutcomeModels,
    compute_effects,
    compute_shared,
    list_strengths,
    scale_curve,
    solve_response,
)
from paincast.simulator.population.choice import compute_propensity, find_options
from paincast.simulator.population.marginals import Columns, merge_baselines
from paincast.simulator.population.patients import compute_scores
from paincast.simulator.population.referral import (
    Population,
    Referred,
    draw_referred,
    make_columns,
    make_population,
)
from paincast.simulator.population.selection import compute_pass, find_share, make_stage, name_stage
from paincast.simulator.population.sites import Float, FloatArray, Sites, make_sites


class Option(NamedTuple):
    """A technique and approach that a patient with an indication may receive.

    Parameters
    ----------
    record : Record
        Evidence record.
    model : OutcomeModels
        Outcome models.
    risks : tuple of Risk
        Event risks.
    stage : str or None
        Column of the trial or block that decides on selection.
    effect : int
        Index of its sum of predictors among the distinct sums of the indication.
    """

    record: Record
    model: OutcomeModels
    risks: tuple[Risk, ...]
    stage: str | None
    effect: int


class Stratum(NamedTuple):
    """Fixed quantities of an indication.

    Parameters
    ----------
    population : Population
        Referred population.
    options : tuple of Option
        Treatment options.
    uptake : ndarray of shape (n_options,)
        Share of referred patients who are treated with each option.
    survival : Survival or None
        Survival, if death is a competing event.
    mean_age : float
        Mean age in years of referred patients.
    """

    population: Population
    options: tuple[Option, ...]
    uptake: FloatArray
    survival: Survival | None
    mean_age: float

    @property
    def leads(self) -> tuple[Record, ...]:
        """Return a record for each distinct sum of predictors, in the order of ``Option.effect``."""
        record_by_effect = {option.effect: option.record for option in reversed(self.options)}
        return tuple(record_by_effect[effect] for effect in sorted(record_by_effect))


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """Fixed quantities of a simulation.

    Parameters
    ----------
    assumptions : Assumptions
        Settings without a source.
    name : str
        Evidence scenario.
    sites : Sites
        Site effects.
    strata : mapping of str to Stratum
        Fixed quantities of each indication.
    """

    assumptions: Assumptions
    name: str
    sites: Sites
    strata: Mapping[str, Stratum]


class _Reference(NamedTuple):
    population: Population
    records: tuple[Record, ...]
    referred: Referred
    columns: Columns
    shared: Float
    treated: Float
    uptake: FloatArray

    def find_places(self, technique: str) -> list[int]:
        return [place for place, record in enumerate(self.records) if record.technique == technique]


def build_scenario(indications: Iterable[str], name: str, assumptions: Assumptions) -> Scenario:
    """Build the scenario for some indications.

    Choice probabilities and intercepts are computed on a reference population of each indication, drawn with a separate
    seed: they do not depend on the size or seed of a cohort, nor on the requested techniques.
    """
    records = tuple(record for record in load_records() if record.response and name in record.response.scenarios)
    site_rng, *streams = np.random.default_rng(assumptions.reference_seed).spawn(1 + len(INDICATIONS))
    pairs = list(dict.fromkeys((record.technique, record.approach) for record in records))
    sites = make_sites(assumptions, pairs, site_rng)
    asked = set(indications)
    options = {
        indication: [records[index] for index in find_options(indication, records)]
        for indication in INDICATIONS
        if indication in asked
    }
    own_indications = {record.indication for eligible in options.values() for record in eligible}
    references = {
        indication: _draw_reference(indication, records, sites, assumptions, streams[INDICATIONS.index(indication)])
        for indication in INDICATIONS
        if indication in asked | own_indications
    }
    _check_never(references.values(), assumptions)
    models: dict[str, OutcomeModels] = {}
    for eligible in options.values():
        for record in eligible:
            if record.id not in models:
                models[record.id] = _solve(record, references[record.indication], name, assumptions)
    strata = {indication: _make_stratum(references[indication], models, name, assumptions) for indication in options}
    return Scenario(assumptions=assumptions, name=name, sites=sites, strata=strata)


def require_control(scenario: Scenario) -> None:
    """Require that the response without the procedure is known of each option that some do not get.

    Raises
    ------
    RefusalError
        If the evidence does not give it.
    """
    for indication, stratum in scenario.strata.items():
        for option in stratum.options:
            models = option.model.by_outcome.values()
            if option.stage and not all(np.isfinite(model.control_intercepts).all() for model in models):
                raise RefusalError(
                    f"keep_untreated: the evidence does not tell how patients with {indication} respond without "
                    f"{option.record.technique}; simulate those treated alone",
                    code="PC-SIMULATOR-40",
                )


def _draw_reference(
    indication: str, records: Sequence[Record], sites: Sites, assumptions: Assumptions, rng: np.random.Generator
) -> _Reference:
    options = tuple(records[index] for index in find_options(indication, records))
    named = [column for column in map(name_stage, options) if column]
    stages = {
        column: make_stage(
            column,
            find_share(column, [record for record in options if name_stage(record) == column], assumptions),
            assumptions.selection_slope,
        )
        for column in dict.fromkeys(named)
    }
    baselines = merge_baselines(indication, records, assumptions)
    _check_predictors(indication, options, baselines)
    population = make_population(indication, baselines, stages, assumptions)
    referred = draw_referred(population, assumptions.reference_size, sites, assumptions, rng)
    columns = make_columns(population, referred, assumptions)
    selection_probability = compute_selection_probability(population, referred, options)
    # The published curves are those of patients who were not randomised, so intercepts are solved under the confounded
    # choice, whatever the assignment of the cohort.
    practice = replace(assumptions, assignment="confounded")
    treated = selection_probability * compute_propensity(columns, referred, options, sites, practice)
    allotted = selection_probability * compute_propensity(columns, referred, options, sites, assumptions)
    return _Reference(
        population=population,
        records=options,
        referred=referred,
        columns=columns,
        shared=compute_shared(sites, referred, assumptions),
        treated=treated,
        uptake=allotted.mean(axis=1, dtype=float),
    )


def _check_predictors(indication: str, options: Sequence[Record], baselines: Mapping[str, Any]) -> None:
    for record in options:
        for effect in record.active_predictors:
            if effect.column not in baselines:
                raise SettingsError(
                    f"baseline: evidence record {record.id} has a predictor {effect.column}, and nothing gives its "
                    f"distribution in {indication}; add it to the record or to the assumptions",
                    code="PC-SIMULATOR-35",
                )


def _check_never(references: Iterable[_Reference], assumptions: Assumptions) -> None:
    """Require that each rule acts on somebody, and leaves its technique to somebody."""
    for technique, rule in assumptions.never.items():
        own = [held for held in references if held.find_places(technique)]
        if any(not held.treated[place].any() for held in own for place in held.find_places(technique)):
            raise SettingsError(
                f"never['{technique}']: nobody of an indication is left for it; make the range narrower, or give an "
                "odds_factor above 0",
                code="PC-SIMULATOR-39",
            )
        if own and not any(rule.column in held.population.baselines for held in own):
            raise SettingsError(
                f"never['{technique}']: {rule.column} is simulated in no indication of that technique; choose another "
                "column",
                code="PC-SIMULATOR-38",
            )


def compute_selection_probability(population: Population, referred: Referred, options: Sequence[Record]) -> Float:
    """Compute the probability of selection for treatment after the trial or block of each option.

    Returns
    -------
    ndarray of shape (n_options, n)
    """
    scores = compute_scores(population.structure, referred.latents, list(population.stages))
    passing = {column: compute_pass(stage, scores[column]) for column, stage in population.stages.items()}
    everybody = np.ones(len(referred.patient), dtype=np.float32)
    named = [name_stage(record) for record in options]
    return np.array([everybody if column is None else passing[column] for column in named])


def _solve(record: Record, reference: _Reference, scenario: str, assumptions: Assumptions) -> OutcomeModels:
    return solve_response(
        record,
        scenario,
        compute_effects(record, reference.columns, assumptions),
        reference.shared,
        reference.treated[reference.records.index(record)],
        np.asarray(reference.columns["opioid_mme"] > 0, dtype=np.float32),
        list_strengths(assumptions, list(reference.columns)),
        assumptions,
    )


def _make_stratum(
    reference: _Reference, models: Mapping[str, OutcomeModels], scenario: str, assumptions: Assumptions
) -> Stratum:
    sums: list[Any] = []
    options = []
    for record in reference.records:
        terms = [(effect.column, effect.transform, effect.odds_ratio) for effect in record.active_predictors]
        spreads = [record.baseline[column].sd for column, *_ in terms if column in record.baseline]
        if (terms, spreads) not in sums:
            sums.append((terms, spreads))
        options.append(
            Option(
                record=record,
                model=models[record.id],
                risks=list_risks(record, scale_curve(record, scenario), assumptions),
                stage=name_stage(record),
                effect=sums.index((terms, spreads)),
            )
        )
    survival = [record.survival for record in reference.records if record.survival]
    return Stratum(
        population=reference.population,
        options=tuple(options),
        uptake=reference.uptake,
        survival=survival[0] if survival else None,
        mean_age=float(reference.columns["age_years"].mean()),
    )
