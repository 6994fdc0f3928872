"""Rules against real implementations: one table of cases, its recording, and its live comparison."""
