r"""The block *Training* of Table 1: minimising Eq. 8 of Karras et al. (2022), https://arxiv.org/abs/2206.00364.

.. math:: \mathbb E_{\sigma, y, n}\left[\lambda(\sigma) \left|D(y + n; \sigma) - y\right|^2 / d\right],
    \qquad \sigma \sim p_\mathrm{train}, \quad n \sim \mathcal N(0, \sigma^2 I)

with y an image of d values. Everything random is a function of (seed, step), so an interrupted run resumes as if it had
not been interrupted.
"""
