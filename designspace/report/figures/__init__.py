"""The figures of a report. Each module prepares the data of a figure and draws it.

Its public function takes a study and returns a matplotlib ``Figure``, or ``None`` if the study has no data for it.
``designspace.plots`` offers the same functions to users.
"""
