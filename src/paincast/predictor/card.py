"""Format a predictor for display: one line in a terminal, a small card in a notebook."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape

_CARD = "border:1px solid #bbb;border-radius:6px;padding:8px 12px;display:inline-block;font-family:sans-serif"


def format_line(facts: Mapping[str, str]) -> str:
    """Format the facts about a predictor in one line.

    Examples
    --------
    >>> format_line({"technique": "facet_rfa", "use": "research use only"})
    'Predictor(technique=facet_rfa, use=research use only)'
    """
    return f"Predictor({', '.join(f'{name}={fact}' for name, fact in facts.items())})"


def format_card(facts: Mapping[str, str]) -> str:
    """Format the facts about a predictor as an HTML card."""
    rows = "".join(
        f"<tr><th style='text-align:left;padding-right:12px'>{escape(name)}</th>"
        f"<td style='text-align:left'>{escape(fact)}</td></tr>"
        for name, fact in facts.items()
    )
    return f"<div style='{_CARD}'><strong>paincast model</strong><table>{rows}</table></div>"
