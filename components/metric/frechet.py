from typing import ClassVar

from designspace.evaluation.frechet import bias_corrected, frechet, influence
from designspace.evaluation.measure import Measured, Sample
from designspace.evaluation.rows import Metric
from designspace.registry.literature import HEUSEL_2017


class Frechet(Metric, name="frechet"):
    """The squared Fréchet distance of two Gaussians with the means and covariances of the features.

    with m, C of the generated images' features ``[n, d]`` and m_r, C_r of the reference's; in squared units of the
    features, 0 where both agree. On Inception features it is the FID of Heusel et al. (2017). It is biased upwards by a
    term in 1 / n: compare equal n only, and n >= 10 d to read it as a distance. The standard error is std(IF) / sqrt(n)
    with the influence IF of each image, the reference taken as fixed. From n >= 3 d, ``bias_corrected`` beside it
    estimates what infinitely many images would score, with ``bias_corrected_se`` as its own standard error: it may be
    negative.
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
