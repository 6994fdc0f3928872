"""Counterexamples: gradients that no choice of hyperparameters follows."""
