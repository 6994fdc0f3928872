"""Long runs: leaps over steps, frozen blocks, first steps below a threshold."""
