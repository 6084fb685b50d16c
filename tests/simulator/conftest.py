"""Large blocks of simulated episodes, drawn once."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest

from paincast.simulator.assumptions import Assumptions
from paincast.simulator.block import Followed, Screened, follow_option, screen_block
from paincast.simulator.scenario import Option, Scenario, Stratum, build_scenario

N_PATIENTS = 60_000
INDICATIONS = ("lumbar_facet", "failed_back_surgery", "pancreatic_cancer", "lumbar_radicular_disc")


@dataclass(frozen=True, kw_only=True)
class Drawn:
    """A block of one indication, with everybody who was treated by each option."""

    scenario: Scenario
    stratum: Stratum
    screened: Screened
    treated: dict[str, Followed]

    def option(self, name: str) -> Option:
        return self.stratum.options[self.treated[name].place]


def draw_block(
    scenario: Scenario, indication: str, seed: int, n_patients: int = N_PATIENTS, *, treat: bool = True
) -> Drawn:
    stratum = scenario.strata[indication]
    screened = screen_block(scenario, stratum, np.random.default_rng(seed), n_patients)
    treated = {
        name_option(option): follow_option(scenario, stratum, screened, place)
        for place, option in enumerate(stratum.options if treat else ())
    }
    return Drawn(scenario=scenario, stratum=stratum, screened=screened, treated=treated)


def name_option(option: Option) -> str:
    return option.record.approach or option.record.technique


@pytest.fixture(scope="package")
def scenario() -> Scenario:
    return build_scenario(INDICATIONS, "literature", Assumptions())


@pytest.fixture(scope="package")
def facet(scenario: Scenario) -> Drawn:
    return draw_block(scenario, "lumbar_facet", 11)


@pytest.fixture(scope="package")
def failed_back(scenario: Scenario) -> Drawn:
    return draw_block(scenario, "failed_back_surgery", 12)


@pytest.fixture(scope="package")
def cancer(scenario: Scenario) -> Drawn:
    return draw_block(scenario, "pancreatic_cancer", 13)


@pytest.fixture(scope="package")
def radicular(scenario: Scenario) -> Drawn:
    return draw_block(scenario, "lumbar_radicular_disc", 14)


@pytest.fixture(scope="package")
def fully_observed() -> Assumptions:
    return replace(
        Assumptions(),
        loss_share=0.0,
        visit_missing_share=0.0,
        missing={},
        missing_other=0.0,
        missing_at_visits={},
        data_end_year=2100.0,
    )
