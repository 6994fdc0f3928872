"""Proofs: whether a claim that two rules are one holds."""
