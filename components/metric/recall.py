import torch

from designspace.evaluation.manifold import OverlapMetric, overlap
from designspace.evaluation.measure import Measured, Sample, jackknife
from designspace.registry.component import Neighbours
from designspace.registry.literature import KYNKAANNIEMI_2019


class Recall(OverlapMetric, name="recall"):
    """The share of the reference's images that could have been generated: they lie in a ball around a generated one.

    with n generated features x, m reference features y, and :math:`r_k(x_i)` the distance of x_i to its k-th nearest
    neighbour among the x. From 0 to 1; one generated image far from all others has a ball around everything.
    Kynkäänniemi et al. (2019). The standard error is the jackknife's over the generated images, the balls of the others
    drawn anew without each; none for n = k + 1. It is cautious: on Gaussians of 4 and 32 dimensions it was 1.4 to 2.2
    times the truth, that of paired differences 2.2 to 3.3 times. Raises ``ValueError`` for k images or fewer of either
    set, and for a reference that is all the same.
    """

    formula = r"\frac1m \left|\left\{j : |x_i - y_j| \le r_k(x_i) \text{ for some } i\right\}\right|"
    sources = (KYNKAANNIEMI_2019,)
    k: Neighbours = 3

    def measure(self, generated: Sample, reference: Sample) -> Measured:
        found, m = overlap(generated, reference, self.k), len(reference)
        if found.recalled_without is None:
            return Measured(found.recalled / m)
        return jackknife(found.recalled / m, torch.from_numpy(found.recalled_without / m))
