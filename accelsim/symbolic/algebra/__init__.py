"""Algebra: rational functions, written expressions, recurrences, roots, and the elimination of unknowns."""
