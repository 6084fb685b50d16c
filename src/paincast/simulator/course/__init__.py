"""Simulate follow-up: response, duration of relief, events, and the observation process."""
