"""What results say: differences with their errors, effects of choices, verdicts on claims."""
