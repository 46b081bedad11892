"""Sampling, the first block of Table 1: its rows, the flow that they define, and the solvers that follow it.

The layers are ``rows``, ``flow``, ``solver``, ``probe`` and ``sample``; each imports only those before it. ``sample``
holds the loop of Algorithms 1 and 2.
"""
