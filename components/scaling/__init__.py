"""Scalings s(t): a row of Table 1."""
