"""Models of a duration: discrete hazards and their choice."""
