"""Input scalings c_in(sigma): a row of Table 1."""
