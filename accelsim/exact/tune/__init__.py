"""Tuning: goals, searches, optima that a second route confirms."""
