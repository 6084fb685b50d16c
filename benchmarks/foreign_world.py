"""A world whose effects are drawn anew."""

FOREIGN_VERSION = "0"


def draw_foreign(technique, episodes, rng):
    raise NotImplementedError
