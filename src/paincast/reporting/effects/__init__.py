"""Comparisons of techniques: what may leave of one, its figures, and the report by the TARGET statement."""
