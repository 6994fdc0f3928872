"""Proofs exported to Coq, whose kernel checks them."""
