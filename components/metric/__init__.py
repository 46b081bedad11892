"""Measures of distance between two sets of images."""
