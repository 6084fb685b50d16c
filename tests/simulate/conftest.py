"""Large blocks of simulated episodes, drawn once."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from paincast.cohort.simulate.assumptions import Assumptions
from paincast.cohort.simulate.episodes import Block, simulate_block
from paincast.cohort.simulate.world import World, build_world

N_PATIENTS = 50_000


@pytest.fixture(scope="package")
def world() -> World:
    return build_world(["lumbar_facet", "failed_back_surgery", "pancreatic_cancer"], "literature", Assumptions())


@pytest.fixture(scope="package")
def facet(world: World) -> Block:
    return simulate_block(world, "lumbar_facet", np.random.default_rng(11), n_patients=N_PATIENTS)


@pytest.fixture(scope="package")
def failed_back(world: World) -> Block:
    return simulate_block(world, "failed_back_surgery", np.random.default_rng(12), n_patients=N_PATIENTS)


@pytest.fixture(scope="package")
def cancer(world: World) -> Block:
    return simulate_block(world, "pancreatic_cancer", np.random.default_rng(13), n_patients=N_PATIENTS)


@pytest.fixture(scope="package")
def fully_observed() -> Assumptions:
    return replace(Assumptions(), loss_log_odds=-50.0, visit_missing_share=0.0, missing={}, data_end_year=2100.0)
