"""One claim, one file; see `accelsim.experiment` for what a file holds."""
