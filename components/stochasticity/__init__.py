"""How much noise sampling adds back: Section 4 of the EDM paper."""
