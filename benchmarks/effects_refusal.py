"""Which comparisons are refused: settings without overlap and with a funnel, and good ones."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from effects_worlds import EPIDURAL, ROOT_BLOCK, SPARE, World, draw_known, draw_world, keep_episodes, make_pair

from paincast.effects import compare_techniques
from paincast.errors import RefusalError

Row = dict[str, Any]
INJECTION, EMBOLIZATION = "joint_injection", "genicular_artery_embolization"
SEEDS = 20

DISC = make_pair("lumbar_radicular_disc", ROOT_BLOCK, EPIDURAL, 3.0)
KNEE = make_pair("knee_osteoarthritis", INJECTION, EMBOLIZATION, 6.0)
FACET = make_pair("lumbar_facet", "facet_joint_injection", "facet_rfa", 6.0)
FAILED_SURGERY = make_pair("failed_back_surgery", EPIDURAL, "spinal_cord_stimulation", 3.0)


class Setting(NamedTuple):
    """A kind of cohort, and whether a comparison on it should be answered."""

    good: bool
    draw: Callable[[int], World]


def draw_cut(cut: Callable[[pd.DataFrame, np.random.Generator], pd.Series], seed: int) -> World:
    """Randomise, and then take away patients who could not have got what they got."""
    sizes = dict.fromkeys((EPIDURAL, ROOT_BLOCK), int(2.5 * 2000 * SPARE))
    world = draw_world(DISC, seed, sizes, assignment="randomised")
    kept = cut(world.cohort.episodes, np.random.default_rng(seed))
    return world._replace(cohort=keep_episodes(world.cohort, kept))


def by_site(episodes: pd.DataFrame, rng: np.random.Generator) -> pd.Series:  # noqa: ARG001 (what every cut is given)
    """Each site has one technique alone."""
    even = episodes["site_id"].str[-1].isin(list("02468"))
    return even == (episodes["technique"] == EPIDURAL)


def by_pain(episodes: pd.DataFrame, rng: np.random.Generator, *, exceptions: float) -> pd.Series:
    """Pain of 7 and more decides, but for some exceptions."""
    follows = (episodes["pain_nrs"] >= 7) == (episodes["technique"] == EPIDURAL)
    return follows | (rng.random(len(episodes)) < exceptions)


def by_age(episodes: pd.DataFrame, rng: np.random.Generator, *, share: float) -> pd.Series:  # noqa: ARG001 (ditto)
    """The oldest never get one technique."""
    old = episodes["age_years"] >= episodes["age_years"].quantile(1.0 - share)
    return ~(old & (episodes["technique"] == EPIDURAL))


SETTINGS: dict[str, Setting] = {
    "randomised, disc": Setting(True, partial(draw_known, DISC, assignment="randomised")),
    "randomised, knee": Setting(True, partial(draw_known, KNEE, assignment="randomised")),
    "confounded, disc": Setting(True, partial(draw_known, DISC)),
    "confounded, knee": Setting(True, partial(draw_known, KNEE)),
    "confounding 3 times as strong": Setting(False, partial(draw_known, DISC, confounding_strength=3.0)),
    "confounding 4 times as strong": Setting(False, partial(draw_known, DISC, confounding_strength=4.0)),
    "one technique at each site": Setting(False, partial(draw_cut, by_site)),
    "pain decides": Setting(False, partial(draw_cut, partial(by_pain, exceptions=0.0))),
    "pain decides, 5 % exceptions": Setting(False, partial(draw_cut, partial(by_pain, exceptions=0.05))),
    "oldest fifth never": Setting(False, partial(draw_cut, partial(by_age, share=0.2))),
    "oldest two fifths never": Setting(False, partial(draw_cut, partial(by_age, share=0.4))),
    "block decides, facet": Setting(
        False, partial(draw_world, FACET, per_technique=dict.fromkeys(("facet_joint_injection", "facet_rfa"), 2800))
    ),
    "trial decides, failed surgery": Setting(
        False,
        partial(draw_world, FAILED_SURGERY, per_technique=dict.fromkeys((EPIDURAL, "spinal_cord_stimulation"), 2800)),
    ),
}


def measure_refusal(seed: int) -> Iterator[Row]:
    """Good settings and others, at least 2,000 known outcomes each: which are refused, and by what."""
    for name, setting in SETTINGS.items():
        world = setting.draw(seed=seed)
        try:
            failed = compare_techniques(world.trial, world.cohort, np.random.default_rng(seed)).failed
            why = "; ".join(one.name.partition(",")[0] for one in failed)
        except RefusalError as refusal:
            why = refusal.code
        yield {"seed": seed, "setting": name, "good": setting.good, "refused": bool(why), "why": why}


CLAIMS: dict[str, Callable[[int], Iterator[Row]]] = {"refusal": measure_refusal}


def summarize(rows: pd.DataFrame) -> pd.DataFrame:
    """Summarise the share refused, and what refused it."""
    found = []
    for name, own in rows.groupby("setting", sort=False):
        why = own["why"].fillna("").str.split("; ").explode()
        counts = why[why != ""].value_counts()
        found.append(
            {
                "setting": name,
                "good": bool(own["good"].iloc[0]),
                "seeds": len(own),
                "refused": own["refused"].mean(),
                "by": ", ".join(f"{one} {n}" for one, n in counts.items()),
            }
        )
    return pd.DataFrame(found)
