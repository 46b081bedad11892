"""Transformations of training images (Appendix F.2 of the EDM paper)."""
