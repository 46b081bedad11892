"""What generated images are measured against, where that is not the data set of the ablation."""
