from collections.abc import Sequence

import numpy as np

from designspace.evaluation.measure import Draw, Measured, Sample, rooted
from designspace.evaluation.moments import Array, check_widths
from designspace.evaluation.rows import Metric
from designspace.evaluation.transport import mean_transport, mean_transport_of_draws, projected
from designspace.registry.component import Count, Order
from designspace.registry.literature import BONNEEL_2015, RABIN_2011
from designspace.sampling.noise import generator


class SlicedWasserstein(Metric, name="sliced_wasserstein"):
    r"""The Wasserstein distance along random directions.

    The L ``directions`` :math:`\theta_l` are uniform on the sphere of d dimensions; the value is in units of the
    features. Unlike a Fréchet distance it sees more than mean and covariance. For equal covariances and means that
    differ by g, the expected value with p = 2 is :math:`|g| / \sqrt d`. The directions depend on d, L and ``seed``
    alone, so differences between trials are paired. The value is above 0 for equal distributions: compare values of
    equal n only. The standard error is computed from the dual potentials, with reference and directions taken as fixed.
    """

    formula = r"\left(\frac1L \sum_{l=1}^L W_p^p(\theta_l^\top x, \theta_l^\top y)\right)^{1/p}"
    sources = (RABIN_2011, BONNEEL_2015)
    p: Order = 2.0
    directions: Count = 500
    seed: int = 0

    def measure(self, generated: Sample, reference: Sample) -> Measured:
        check_widths(generated.features.shape[1], reference.features.shape[1])
        x, y = (self._projected(of) for of in (generated, reference))
        return rooted(*mean_transport(x, y, self.p), self.p)

    def drawn(self, reference: Sample, draws: Sequence[Draw]) -> list[float]:
        found = mean_transport_of_draws(self._projected(reference), draws, self.p)
        return [value ** (1 / self.p) for value in found]

    def _projected(self, sample: Sample) -> Array:
        """The features along each direction, ``[n, L]``."""
        size = self.directions, sample.features.shape[1]
        along = generator("sliced_wasserstein", self.seed).standard_normal(size).T
        along /= np.linalg.norm(along, axis=0)
        return projected(sample.features, along)
