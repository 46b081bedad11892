"""Evidence from results: differences between points, effects of design choices, and verdicts on claims.

The modules build on each other in this order: ``inference`` (tests), ``differences``, ``effects``, ``claims``,
``verdicts``. ``caveats`` defines the conditions under which a value is misleading.
"""
