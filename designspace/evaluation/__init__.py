"""Evaluation: features, moments, distances, error bars."""
