"""What a report draws: modules with data, and beside each one that draws it."""
