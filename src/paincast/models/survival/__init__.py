"""Models of a duration: cause-specific discrete-time hazards, their choice, and the response that is served."""
