from typing import ClassVar

from designspace.evaluation.frechet import bias_corrected, frechet, influence
from designspace.evaluation.measure import Measured, Sample
from designspace.evaluation.rows import Metric
from designspace.registry.literature import HEUSEL_2017


class Frechet(Metric, name="frechet"):
    """The squared Fréchet distance of two Gaussians with the means and covariances of the features.

    Here m and C are the mean and covariance of the generated features ``[n, d]``, and m_r and C_r those of the
    reference. The value is in squared units of the features, 0 where both agree; on Inception features it is the FID.
    It is biased upwards by a term in 1 / n: compare values of equal n only, and use n >= 10 d to read the value as a
    distance.

    The standard error is std(IF) / sqrt(n), where IF is the influence of each image and the reference is taken as
    fixed. For n >= 3 d, ``bias_corrected`` estimates the value for infinitely many images, with ``bias_corrected_se``
    as its standard error; it may be negative.
    """

    formula = r"d^2 = |m - m_r|^2 + \operatorname{tr}\left(C + C_r - 2 (C_r^{1/2} C\, C_r^{1/2})^{1/2}\right)"
    sources = (HEUSEL_2017,)
    moments_suffice: ClassVar[bool] = True

    def called(self, frechet: str) -> str:
        return frechet

    def measure(self, generated: Sample, reference: Sample) -> Measured:
        value = frechet(generated.moments, reference.moments)
        effect = influence(generated.features, reference.moments)
        se = float(effect.std()) / len(generated) ** 0.5
        return Measured(value, se, effect.float(), extra=bias_corrected(generated.features, reference.moments, se))
