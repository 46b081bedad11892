"""What a report says in rows and columns, and what a reader must know of it."""
