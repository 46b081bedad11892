"""What a new data set suggests for a design: what its pixels are, and at which noise levels there is what to learn."""
