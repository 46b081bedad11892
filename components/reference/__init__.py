"""References that generated images are compared with in place of the data set."""
