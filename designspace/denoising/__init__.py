"""The block *Network and preconditioning* of Table 1, and everything else that gives a denoiser D(x; sigma)."""
