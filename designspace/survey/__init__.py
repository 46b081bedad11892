"""A survey of a new data set: measurements, and suggestions for a design that follow from them."""
