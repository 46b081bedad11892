"""Noise conditionings c_noise(sigma): a row of Table 1."""
