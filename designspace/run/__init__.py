"""From trials to results: the stages of a trial, the workers that share them, and what a run reports meanwhile."""
