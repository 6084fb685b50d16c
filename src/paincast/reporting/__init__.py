"""Figures and tables of a report; the only place that knows matplotlib."""
