"""A survey of a new data set: statistics of its pixels, and suggestions for a design that follow from them."""
