"""Exact second moments: risks, rates, thresholds and tuned hyperparameters without sampling."""
