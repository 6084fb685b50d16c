"""A check for Schemathesis: what is refused comes back without a text or a number of the request.

``SCHEMATHESIS_HOOKS=benchmarks/rest_echo.py schemathesis run …`` loads it; see ``rest.py``.
"""

from __future__ import annotations

import re

import schemathesis

SHORTEST = 5
"""Characters from which a text that comes back is no coincidence."""


def list_texts(node):
    if isinstance(node, dict):
        return [text for pair in node.items() for part in pair for text in list_texts(part)]
    if isinstance(node, list):
        return [text for part in node for text in list_texts(part)]
    return [] if isinstance(node, bool) or node is None else [str(node)]


@schemathesis.check
def nothing_echoed(ctx, response, case):  # noqa: ARG001
    if response.status_code < 400:
        return
    words = set(re.findall(r"[\w.+-]+", response.text))
    schema = str(case.operation.schema.raw_schema)
    for text in list_texts(case.body):
        if len(text) >= SHORTEST and text not in schema and (text in words or (" " in text and text in response.text)):
            raise AssertionError(f"{response.status_code} with a text of the request")
