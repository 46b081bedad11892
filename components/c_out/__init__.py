"""Output scalings c_out(sigma): a row of Table 1."""
