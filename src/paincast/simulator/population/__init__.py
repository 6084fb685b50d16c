"""Simulate patients: baseline variables, referral, choice of technique and selection for treatment."""
