"""Search: the hyperparameters and the transform that make one rule another."""
