"""The block *Network and preconditioning* of Table 1: where D(x; sigma) comes from."""
