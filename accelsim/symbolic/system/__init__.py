"""A rule as a linear time-varying system: tableau, minimal realization, Markov parameters, normal form."""
