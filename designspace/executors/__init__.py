"""How the trials of an ablation are shared among processes."""
