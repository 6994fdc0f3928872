"""Combinators: averages of the returned iterate of any rule."""
COMBINATORS = {}
