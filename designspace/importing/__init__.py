"""Checkpoints of other programs, read without executing anything in them, as models for ``denoiser: pretrained``."""
