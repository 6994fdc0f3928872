"""Stationary behaviour: rates with two-sided bounds, noise floors, edges of stability."""
