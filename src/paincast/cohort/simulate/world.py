"""What is the same in every simulated cohort of a scenario: sites, distributions, choices and solved intercepts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from paincast.cohort.simulate.assumptions import Assumptions
from paincast.cohort.simulate.choice import compute_propensity, find_options
from paincast.cohort.simulate.pain import merge_baselines
from paincast.cohort.simulate.population import Population, draw_population
from paincast.cohort.simulate.response import ResponseModel, compute_effects, solve_response
from paincast.cohort.simulate.sites import FloatArray, Sites, make_sites
from paincast.evidence.figures import Baseline, Record
from paincast.evidence.records import load_records
from paincast.schema import INDICATIONS


@dataclass(frozen=True, kw_only=True)
class World:
    """Everything fixed before the first patient is drawn.

    Parameters
    ----------
    assumptions : Assumptions
        Settings without a source.
    records : tuple of Record
        Records with a response curve; an option is a place in this tuple.
    sites : Sites
        The sites.
    months : ndarray of shape (n_months,)
        Every month at which some curve has a share.
    baselines : mapping of str to mapping
        Distributions of the columns, by indication.
    options : mapping of str to tuple of int
        Eligible options, by indication.
    uptake : mapping of str to ndarray
        Mean propensity of each option, by indication.
    models : mapping of int to ResponseModel
        Solved intercepts, by option.
    """

    assumptions: Assumptions
    records: tuple[Record, ...]
    sites: Sites
    months: FloatArray
    baselines: Mapping[str, Mapping[str, Baseline]]
    options: Mapping[str, tuple[int, ...]]
    uptake: Mapping[str, FloatArray]
    models: Mapping[int, ResponseModel]


def build_world(indications: Iterable[str], scenario: str, assumptions: Assumptions) -> World:
    """Prepare the simulation of some indications in a scenario.

    Choices and intercepts are taken over a reference population of each indication, drawn with its own seed: they
    depend neither on the size nor on the seed of a cohort, nor on which techniques are asked for.
    """
    records = tuple(record for record in load_records() if record.response)
    site_rng, *streams = np.random.default_rng(assumptions.reference_seed).spawn(1 + len(INDICATIONS))
    pairs = list(dict.fromkeys((record.technique, record.approach) for record in records))
    sites = make_sites(assumptions, pairs, site_rng)
    asked = set(indications)
    options = {name: find_options(name, records) for name in INDICATIONS if name in asked}
    eligible = sorted({option for places in options.values() for option in places})
    needed = [name for name in INDICATIONS if name in asked | {records[option].indication for option in eligible}]
    baselines = {name: merge_baselines(name, records, assumptions) for name in needed}
    references = {
        name: draw_population(
            assumptions.reference_size, baselines[name], sites, assumptions, streams[INDICATIONS.index(name)]
        )
        for name in needed
    }
    propensity = {
        name: compute_propensity(reference, find_options(name, records), records, sites, assumptions)
        for name, reference in references.items()
    }
    return World(
        assumptions=assumptions,
        records=records,
        sites=sites,
        months=np.array(sorted({month for record in records for month in record.curve or ()})),
        baselines=baselines,
        options=options,
        uptake={name: propensity[name].mean(axis=0) for name in options},
        models={
            option: _solve(option, records, scenario, references, propensity, sites, assumptions) for option in eligible
        },
    )


def _solve(
    option: int,
    records: Sequence[Record],
    scenario: str,
    references: Mapping[str, Population],
    propensity: Mapping[str, FloatArray],
    sites: Sites,
    assumptions: Assumptions,
) -> ResponseModel:
    record = records[option]
    reference = references[record.indication]
    place = find_options(record.indication, records).index(option)
    return solve_response(
        record,
        scenario,
        compute_effects(record, reference.columns, assumptions),
        sites.response[reference.site],
        propensity[record.indication][:, place],
        assumptions,
    )
