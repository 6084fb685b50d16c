"""What the server says of itself holds for what it answers."""

from __future__ import annotations

import json

import pytest

from paincast.contract import BUILT_IN
from paincast.predictor.rows import PREDICTION_COLUMNS
from paincast.serving.rest.models import ServedModels
from paincast.serving.rest.openapi import describe_server
from paincast.serving.rest.options import ServerOptions


@pytest.fixture(scope="module")
def document(client):
    return client.get("/openapi.json").json()


def list_references(node: object) -> set[str]:
    if isinstance(node, dict):
        own = {node["$ref"]} if "$ref" in node else set()
        return own.union(*map(list_references, node.values()))
    return set().union(*map(list_references, node)) if isinstance(node, list) else set()


def test_every_column_of_the_contract_is_described(document):
    columns = document["components"]["schemas"]["Patient"]["properties"]
    assert list(columns) == list(BUILT_IN.episodes)
    pain = columns["pain_nrs"]
    assert (pain["type"], pain["minimum"], pain["maximum"]) == (["number", "null"], 0, 10)
    assert all(column["description"] for column in columns.values())
    assert columns["age_years"]["x-unit"] == "years"
    asked = document["components"]["schemas"]["Question"]["properties"]
    assert "surgery" not in str(asked["techniques"])
    assert "facet_rfa" in asked["techniques"]["anyOf"][0]["enum"]
    assert columns["sex"]["enum"] == ["female", "male", None]
    assert columns["depression"]["type"] == ["boolean", "null"]


def test_every_reference_leads_somewhere_and_errors_are_typed(document):
    schemas = document["components"]["schemas"]
    assert list_references(document) == {f"#/components/schemas/{name}" for name in schemas}
    responses = document["paths"]["/predict"]["post"]["responses"]
    assert set(responses) == {"200", "400", "401", "408", "413", "415", "422", "500", "503", "504"}
    assert list(schemas["Prediction"]["properties"]) == ["row", *PREDICTION_COLUMNS]


def test_the_example_is_answered(client, document):
    body = document["paths"]["/predict"]["post"]["requestBody"]["content"]["application/json"]
    content = client.post(body["examples"]["invented"]["value"]).json()
    assert content["rejects"] == []
    assert not all(row["abstained"] for row in content["predictions"])
    schemas = document["components"]["schemas"]
    for row in content["predictions"]:
        for name, value in row.items():
            assert_fits(value, schemas["Prediction"]["properties"][name])
        for name, value in (pair for reason in row["missing_values"] for pair in reason.items()):
            assert_fits(value, schemas["Reason"]["properties"][name])


def assert_fits(value: object, schema: dict) -> None:
    kinds = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    names = {str: "string", bool: "boolean", int: "integer", float: "number", list: "array", type(None): "null"}
    assert names[type(value)] in kinds


def test_a_token_is_part_of_the_description_where_there_is_one():
    served = ServedModels({})
    assert "security" not in describe_server(served, ServerOptions())
    guarded = describe_server(served, ServerOptions(token="0123456789abcdef"))
    assert guarded["security"] == [{"token": []}]
    assert guarded["paths"]["/health"]["get"]["security"] == []
    assert "0123456789abcdef" not in json.dumps(guarded)
