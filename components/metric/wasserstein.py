from typing import ClassVar

from designspace.evaluation.measure import Measured, Sample, rooted
from designspace.evaluation.moments import float64
from designspace.evaluation.rows import Metric
from designspace.evaluation.transport import mean_transport
from designspace.registry.component import Order
from designspace.registry.literature import DELBARRIO_1999, VASERSTEIN_1969


class Wasserstein(Metric, name="wasserstein"):
    """The Wasserstein distance of one-dimensional features, such as those of toy data and the detector ``pixels``.

    F and G are the distribution functions of the n generated and the m reference numbers; the value is in units of the
    features and exact for any n and m. With p = 1 it is the earth mover's distance, the area between the distribution
    functions. For equal distributions it is above 0 by a term in 1 / sqrt(n): compare values of equal n only. The
    standard error is computed from the dual potentials, with the reference taken as fixed. Raises ``ValueError`` for
    features of more than one dimension.
    """

    formula = r"W_p = \left(\int_0^1 \left|F^{-1}(u) - G^{-1}(u)\right|^p du\right)^{1/p}"
    sources = (VASERSTEIN_1969, DELBARRIO_1999)
    dimensions: ClassVar[int | None] = 1
    p: Order = 1.0

    def measure(self, generated: Sample, reference: Sample) -> Measured:
        x, y = float64(generated.features), float64(reference.features)
        if (wide := max(x.shape[1], y.shape[1])) > 1:
            raise ValueError(f"metric wasserstein is for one feature per image, not {wide}: use sliced_wasserstein")
        return rooted(*mean_transport(x, y, self.p), self.p)
