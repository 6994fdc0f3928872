"""Derivations: one theorem a file, with a claim that is proved and a near miss that is refuted."""
