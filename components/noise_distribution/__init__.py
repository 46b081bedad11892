"""Noise distributions p(sigma) of training: a row of Table 1."""
