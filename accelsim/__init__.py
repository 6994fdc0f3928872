"""accelsim: one rule gives the proof, the exact risk, the simulation and the figure."""

from accelsim.optimizer import optimizer

__all__ = ["optimizer"]
