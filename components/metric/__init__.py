"""Metrics: distances between generated and reference images, and measurements of sampler and denoiser."""
