"""Noise schedules sigma(t): a row of Table 1."""
