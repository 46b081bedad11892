from typing import ClassVar

from designspace.evaluation.measure import Measured, Sample, rooted
from designspace.evaluation.moments import float64
from designspace.evaluation.rows import Metric
from designspace.evaluation.transport import mean_transport
from designspace.registry.component import Order
from designspace.registry.literature import DELBARRIO_1999, VASERSTEIN_1969


class Wasserstein(Metric, name="wasserstein"):
    """The Wasserstein distance of features that are one number each, as of toys seen by the detector ``pixels``.

    with the quantile functions of the n generated and the m reference numbers, in units of the features; exact for any
    n and m. p = 1 is the earth mover's distance, the area between the distribution functions. It is above 0 for equal
    distributions by a term in 1 / sqrt(n): compare equal n only. The standard error is that of the dual potentials, the
    reference taken as fixed. Vaserstein (1969); del Barrio et al. (1999). Raises ``ValueError`` for features of more
    dimensions.
    """

    formula = r"W_p = \left(\int_0^1 \left|F^{-1}(u) - G^{-1}(u)\right|^p du\right)^{1/p}"
    sources = (VASERSTEIN_1969, DELBARRIO_1999)
    dimensions: ClassVar[int | None] = 1
    p: Order = 1.0

    def measure(self, generated: Sample, reference: Sample) -> Measured:
        x, y = float64(generated.features), float64(reference.features)
        if (wide := max(x.shape[1], y.shape[1])) > 1:
            raise ValueError(f"metric wasserstein is for 1 feature an image, not {wide}: use sliced_wasserstein")
        return rooted(*mean_transport(x, y, self.p), self.p)
