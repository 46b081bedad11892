"""Detectors, which compute the features of images."""
