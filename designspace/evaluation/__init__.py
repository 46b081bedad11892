"""Evaluation: features of images, distances between sets of features, and the error bars of both."""
