"""What the results say: differences of points, effects of design choices, verdicts on claims.

The modules build on each other in this order: ``inference`` (tests), ``differences``, ``effects``, ``claims``,
``verdicts``. ``caveats`` has the conditions under which a value is misleading.
"""
