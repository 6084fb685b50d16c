"""Performance by subgroup and by site."""
