"""The open contract: columns, techniques, indications and outcomes, built in or declared in ``contract.yaml``."""

from paincast.contract.contract import BUILT_IN, Contract, OwnIndication, OwnTechnique, describe_own_technique
from paincast.contract.keys import CONTRACT_SCHEMA
from paincast.contract.reading import CONTRACT_FILE, find_contract, load_contract, restore_contract

__all__ = [
    "BUILT_IN",
    "CONTRACT_FILE",
    "CONTRACT_SCHEMA",
    "Contract",
    "OwnIndication",
    "OwnTechnique",
    "describe_own_technique",
    "find_contract",
    "load_contract",
    "restore_contract",
]
