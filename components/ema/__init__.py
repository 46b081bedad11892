"""Components of the row ema."""
