"""Loss weights lambda(sigma) of training: a row of Table 1."""
