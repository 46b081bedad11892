"""Searching for the best design: races between the components of one row after another."""
