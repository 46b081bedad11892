"""ODE solvers: a row of Table 1."""
