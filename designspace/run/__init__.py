"""From trials to results.

Read ``run`` first, then ``worker`` (which trial is next), ``pipeline`` (one trial) and ``stages`` (its cached stages).
"""
