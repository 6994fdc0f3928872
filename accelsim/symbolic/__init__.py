"""Symbolic equivalence: linear systems, proofs, counterexamples, certificates."""
