"""Evaluation: features of images, and distances between sets of features with their error bars."""
