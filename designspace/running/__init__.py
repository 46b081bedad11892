"""What a run does: the stages of a trial, what they load and keep, and what a run says meanwhile."""
