"""Simulation: replicas of a rule on a problem, by plain arrays or compiled kernels."""
