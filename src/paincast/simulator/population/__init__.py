"""Who the simulated patients are, who is referred, and who is chosen."""
