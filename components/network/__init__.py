"""Networks F_theta."""
