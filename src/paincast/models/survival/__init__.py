"""Models of a duration: cause-specific discrete-time hazards, their selection, and the served response."""
