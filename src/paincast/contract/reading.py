"""Read ``contract.yaml`` strictly: unknown keys, missing facts and names that are built in are errors."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

from paincast.contract.columns import read_name, read_predictor, read_text
from paincast.contract.contract import BUILT_IN, Contract, OwnIndication, OwnTechnique
from paincast.contract.instruments import read_instrument
from paincast.contract.keys import VERSION, list_keys, list_required
from paincast.contract.outcomes import read_outcome
from paincast.deferred import yaml
from paincast.errors import DataError, SettingsError
from paincast.files.strict_yaml import Node, parse_yaml, read_yaml
from paincast.outcomes import OUTCOMES
from paincast.schema import COMPARATORS, EPISODES, EVENTS, INDICATIONS, TECHNIQUES, VISITS, Column
from paincast.schema.instruments import INSTRUMENTS, Instrument
from paincast.schema.scores import score_at_visit, score_column

CONTRACT_FILE = "contract.yaml"


def find_contract(beside: str | Path) -> Contract:
    """Load the ``contract.yaml`` in the folder of a file, or return the built-in contract where there is none.

    Parameters
    ----------
    beside : str or Path
        A mapping, or a registry's file.

    Raises
    ------
    SettingsError
        See :func:`load_contract`.
    """
    file = Path(beside).parent / CONTRACT_FILE
    return load_contract(file) if file.exists() else BUILT_IN


def load_contract(path: str | Path) -> Contract:
    """Load a contract strictly.

    Parameters
    ----------
    path : str or Path
        A YAML file with the keys of :data:`paincast.contract.CONTRACT_SCHEMA`.

    Returns
    -------
    Contract
        The built-in contract with what the file declares.

    Raises
    ------
    SettingsError
        With line and key: if a key is unknown, a fact is missing or of the wrong type, or a name is built in.
    """
    return _build(read_yaml(path))


@cache
def restore_contract(declared: str) -> Contract:
    """Build a contract anew from :attr:`Contract.declared`, as cohorts and bundles keep it.

    Raises
    ------
    DataError
        If it cannot be read.
    """
    if not declared:
        return BUILT_IN
    try:
        return _build(parse_yaml(declared, "the contract"))
    except SettingsError as error:
        raise DataError(f"the contract stored here cannot be read: {error}", code="PC-CONTRACT-01") from error


def _build(root: Node) -> Contract:
    top = root.section(list_keys(), required=list_required())
    top["contract"].choice((VERSION,))
    named = {name: read_instrument(name, node) for name, node in _blocks(top, "instruments")}
    instruments = MappingProxyType({**INSTRUMENTS, **named})
    own = {name: instrument for name, instrument in named.items() if name not in INSTRUMENTS}
    indications = {name: _read_indication(node) for name, node in _blocks(top, "indications")}
    techniques = {name: _read_technique(node) for name, node in _blocks(top, "techniques")}
    predictors = {name: read_predictor(name, node, instruments) for name, node in _blocks(top, "predictors")}
    _refuse_taken(top, "instruments", {*EPISODES, *VISITS, *EVENTS} - {*INSTRUMENTS})
    _refuse_taken(top, "indications", {*INDICATIONS})
    _refuse_taken(top, "techniques", {*TECHNIQUES, *COMPARATORS})
    _refuse_taken(top, "predictors", {*EPISODES, *VISITS, *EVENTS, *instruments})
    visits = {**VISITS, **{name: score_at_visit(instrument) for name, instrument in own.items()}}
    outcomes = {name: read_outcome(name, node, visits, instruments) for name, node in _blocks(top, "outcomes")}
    return Contract(
        name=read_text(top["name"]),
        declared=json.dumps(_to_plain(root.content), ensure_ascii=False),
        episodes=_extend_episodes(techniques, indications, own, predictors),
        visits=MappingProxyType(visits),
        events=EVENTS,
        own_techniques=MappingProxyType(techniques),
        own_indications=MappingProxyType(indications),
        instruments=instruments,
        outcomes=MappingProxyType({**OUTCOMES, **outcomes}),
    )


def _blocks(top: Mapping[str, Node], key: str) -> Iterator[tuple[str, Node]]:
    for name, node in top[key].children().items() if key in top else ():
        yield read_name(name, node), node


def _refuse_taken(top: Mapping[str, Node], key: str, taken: set[str]) -> None:
    for name, node in _blocks(top, key):
        if name in taken:
            raise node.refuse(
                f"'{name}' is built in or declared above, and cannot be declared again; choose another name"
            )


def _read_indication(node: Node) -> OwnIndication:
    keys = node.section(list_keys("indication"), required=list_required("indication"))
    return OwnIndication(title=read_text(keys["title"]), icd10=keys["icd10"].texts() if "icd10" in keys else ())


def _read_technique(node: Node) -> OwnTechnique:
    keys = node.section(list_keys("technique"), required=list_required("technique"))
    if "evidence" in keys:
        keys["evidence"].choice(("none",))
    like = keys["like"].choice(("none", *TECHNIQUES)) if "like" in keys else "none"
    return OwnTechnique(
        title=read_text(keys["title"]),
        like="" if like == "none" else like,
        month=keys["month"].number(above=0, at_most=240) if "month" in keys else None,
        codes={system: codes.texts() for system, codes in keys["codes"].children().items()} if "codes" in keys else {},
    )


def _extend_episodes(
    techniques: Mapping[str, OwnTechnique],
    indications: Mapping[str, OwnIndication],
    own: Mapping[str, Instrument],
    predictors: Mapping[str, Column],
) -> Mapping[str, Column]:
    own_names = {"technique": techniques, "intended_technique": techniques, "indication": indications}
    named = {
        name: replace(EPISODES[name], categories=(*EPISODES[name].categories, *names))
        for name, names in own_names.items()
    }
    scores = {name: score_column(instrument) for name, instrument in own.items()}
    return MappingProxyType({**EPISODES, **named, **scores, **predictors})


def _to_plain(content: yaml.Node) -> Any:
    if isinstance(content, yaml.MappingNode):
        return {str(key.value).strip(): _to_plain(value) for key, value in content.value}
    if isinstance(content, yaml.SequenceNode):
        return [_to_plain(value) for value in content.value]
    return " ".join(str(content.value).split())
