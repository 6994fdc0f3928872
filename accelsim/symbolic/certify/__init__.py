"""Certificates: documents of proofs and refutations, and their verifier, which searches for nothing."""
