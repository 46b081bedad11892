"""Denoisers D(x; sigma)."""
