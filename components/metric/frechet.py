from typing import ClassVar

from designspace.evaluation.expansion import expanded
from designspace.evaluation.frechet import frechet, influence
from designspace.evaluation.measure import Measured, Sample
from designspace.evaluation.rows import Metric
from designspace.registry.literature import HEUSEL_2017
from designspace.results.uncertainty import standard_error, suffices


class Frechet(Metric, name="frechet"):
    """The squared Fréchet distance of two Gaussians with the means and covariances of the features.

    Here m and C are the mean and covariance of the n generated features, each of d dimensions, and m_r and C_r those of
    the reference. The value is in squared units of the features, 0 where both agree; on Inception features it is the
    FID. It is biased upwards by a term in 1 / n: compare values of equal n only, and use n >= 10 d to read the value as
    a distance.

    The standard error is that over draws of generated images; the reference is taken as fixed. It is computed from the
    influence of each image and, for n >= 3 d, from the second-order influence of pairs of images. For n < 3 d there is
    no second order, and the standard error is too large for images that are as good as the reference.

    For n >= 3 d, there are also ``bias_corrected``, an estimate of the value for infinitely many generated images, and
    ``skew``, by which the 95 % interval is moved upwards. If the m features of the reference are known and m >= 3 d,
    ``both_corrected`` estimates the value for infinitely many images on both sides. Estimates may be negative.
    ``effective_images`` is the number of images on which the standard error rests, or would rest if they were drawn
    from the reference, whichever is lower.
    """

    version: ClassVar[int] = 3
    formula = r"d^2 = |m - m_r|^2 + \operatorname{tr}\left(C + C_r - 2 (C_r^{1/2} C\, C_r^{1/2})^{1/2}\right)"
    sources = (HEUSEL_2017,)
    moments_suffice: ClassVar[bool] = True

    def called(self, frechet: str) -> str:
        return frechet

    def value(self, generated: Sample, reference: Sample) -> float:
        return frechet(generated.moments, reference.moments)

    def measure(self, generated: Sample, reference: Sample) -> Measured:
        value = self.value(generated, reference)
        if suffices(*generated.features.shape):
            return expanded(value, generated, reference)
        effect = influence(generated.features, reference.moments)
        return Measured(value, standard_error(effect.numpy()), effect.float())
