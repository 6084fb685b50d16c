"""Reports: pages and figures of a model, of evidence, and of a simulated cohort; the only room that knows matplotlib.

``figures/`` draws; ``model/`` writes report, card, checklists and summaries of a run; ``evidence/`` writes protocol
cards, lists and references; ``simulation`` writes the page of a simulated cohort. Pages are filled from ``templates/``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from paincast.reporting.evidence.card import build_card
    from paincast.reporting.evidence.listing import build_list
    from paincast.reporting.evidence.pages import write_html, write_markdown
    from paincast.reporting.evidence.references import format_bibtex, format_csl
    from paincast.reporting.figures.report import Results, draw_figures
    from paincast.reporting.figures.waterfall import plot_waterfall
    from paincast.reporting.model.card import write_model_card
    from paincast.reporting.model.overview import write_overview
    from paincast.reporting.model.report import write_report
    from paincast.reporting.model.run_contents import RunContents, read_run_folder
    from paincast.reporting.model.summary import summarize_predictions, summarize_training
    from paincast.reporting.simulation import report_simulation

__all__ = [
    "Results",
    "RunContents",
    "build_card",
    "build_list",
    "draw_figures",
    "format_bibtex",
    "format_csl",
    "plot_waterfall",
    "read_run_folder",
    "report_simulation",
    "summarize_predictions",
    "summarize_training",
    "write_html",
    "write_markdown",
    "write_model_card",
    "write_overview",
    "write_report",
]

_MODULES = {
    "evidence.card": ("build_card",),
    "evidence.listing": ("build_list",),
    "evidence.pages": ("write_html", "write_markdown"),
    "evidence.references": ("format_bibtex", "format_csl"),
    "figures.report": ("Results", "draw_figures"),
    "figures.waterfall": ("plot_waterfall",),
    "model.card": ("write_model_card",),
    "model.overview": ("write_overview",),
    "model.report": ("write_report",),
    "model.run_contents": ("RunContents", "read_run_folder"),
    "model.summary": ("summarize_predictions", "summarize_training"),
    "simulation": ("report_simulation",),
}
_HOMES = {name: f"{__name__}.{module}" for module, names in _MODULES.items() for name in names}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first asked for: matplotlib and pandas are slow to import."""
    if name not in _HOMES:
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return __all__
