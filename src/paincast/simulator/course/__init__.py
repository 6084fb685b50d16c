"""What happens to simulated patients: response, relief, events, and what is observed of it."""
