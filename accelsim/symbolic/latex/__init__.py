"""Rules, claims and proofs in LaTeX."""
