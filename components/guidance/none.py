from designspace.denoising.guidance import Guidance
from designspace.denoising.rows import Conditional


class NoGuidance(Guidance, name="none"):
    """The denoiser as it is, with the labels of the images if there are any."""

    formula = r"D(x; \sigma) = D_c(x; \sigma)"

    @property
    def effective(self) -> bool:
        return False

    def wrap(self, denoiser: Conditional, *guides: Conditional) -> Conditional:
        return denoiser
