"""Evidence from results: differences between points, effects of design choices, and verdicts on claims.

``inference`` has the tests, and ``contrasts`` linear combinations of points with their standard errors.
``differences``, ``interactions`` of the ``factors`` that an ablation varies, and their ``effects`` build on them, and
so do, in this order, the modules about claims: ``statements``, ``interaction``, ``claims``, ``compared`` and
``verdicts``. ``caveats`` defines the conditions under which a value is misleading.
"""
