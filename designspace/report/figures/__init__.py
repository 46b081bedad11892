"""The figures of a report, one module per figure with its data beside its drawing.

Each has a public function that takes a study and returns a matplotlib ``Figure``, or ``None`` if the study has nothing
to show in it. ``designspace.plots`` offers the same functions to users.
"""
