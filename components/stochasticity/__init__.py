"""How much noise is added back during sampling: Section 4 of the EDM paper."""
