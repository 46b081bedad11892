"""From trials to results: read ``run``, then ``worker`` (which trial), ``pipeline`` (one trial) and ``stages``."""
