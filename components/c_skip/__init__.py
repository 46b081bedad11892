"""Skip scalings c_skip(sigma): a row of Table 1."""
