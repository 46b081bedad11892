import math
from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from designspace.denoising.guidance import GuidedRows, PairGuidance, Unlabelled
from designspace.denoising.rows import Conditional, Denoiser, PreconditioningRows
from designspace.errors import DataError
from designspace.registry.component import Fraction
from designspace.registry.literature import KARRAS_2024_AUTOGUIDANCE


class Autoguidance(PairGuidance, name="autoguidance"):
    r"""Guidance by a weaker denoiser, for instance a smaller network or one that was trained for a shorter time.

    :math:`D_1` is the denoiser and :math:`D_0` the guide. Both make similar errors, those of the guide being larger, so
    that moving away from it reduces them without making images more typical of their class.
    ``guide`` is any denoiser, or ``snapshot`` a fraction of the training of the denoiser: the guide is then the
    denoiser itself at that point. Exactly one of them is given. With ``condition`` ``same``, the guide gets the labels
    of the images, if they have any; with ``none`` it never gets labels.

    ``weight`` is g; 1 means no guidance. The default 2.1 is that of the authors for EDM2-S on ImageNet-512, with a
    smaller network after 1/16 of the training as the guide, and the same condition. The guide has to support the noise
    levels of the denoiser. Each guided evaluation costs one of the guide. Karras et al. (2024), Eq. 3.
    """

    formula = r"D(x; \sigma) = D_0(x; \sigma) + g \left[D_1(x; \sigma) - D_0(x; \sigma)\right]"
    sources = (KARRAS_2024_AUTOGUIDANCE,)
    takes_guide: ClassVar[bool] = True
    weight: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 2.1
    guide: Denoiser | None = None
    snapshot: Fraction | None = None
    condition: Literal["same", "none"] = "same"

    @model_validator(mode="after")
    def _one_guide(self) -> Self:
        if (self.guide is None) == (self.snapshot is None):
            what = "either guide, a weaker denoiser, or snapshot, a fraction of the training such as 0.0625"
            text = f"it needs {what}{'' if self.guide is None else ', not both'}"
            raise PydanticCustomError("one_guide", "{text}", {"text": text})
        return self

    @property
    def guide_gets_labels(self) -> bool:
        return self.condition == "same"

    def guide_of(self, denoiser: Denoiser) -> Denoiser:
        if self.guide is not None:
            return self.guide
        assert self.snapshot is not None
        return denoiser.snapshot(self.snapshot)

    def repeated(self, k: int) -> Self:
        """With the guide of repeat k. A snapshot is one of the denoiser, which is repeated itself."""
        return self if self.guide is None else self.model_copy(update={"guide": self.guide.repeated(k)})

    def check(self, design: GuidedRows, denoiser: Denoiser, *, labelled: bool) -> None:
        super().check(design, denoiser, labelled=labelled)
        guide = self.guide_of(denoiser)
        try:
            guide.require()
        except DataError as error:
            error.within("snapshot" if self.guide is None else "guide")
            raise
        if guide == denoiser and self.guide_gets_labels:
            raise ValueError("the guide is the denoiser itself, so it has no effect: name a weaker one")
        if not self.guide_gets_labels and (why := guide.why_labels()):
            raise ValueError(f"condition: none evaluates the guide without labels, but {why}")
        self._require_levels(design, denoiser, guide)

    def cautions(self, denoiser: Denoiser) -> dict[str, str]:
        if self.snapshot is None or denoiser.keeps(self.snapshot):
            return {}
        again = "the training of the denoiser does not keep this snapshot, and may be repeated to make it"
        return {"snapshot": f"{again}: add {self.snapshot:g} to denoiser.snapshots"}

    def _require_levels(self, design: GuidedRows, denoiser: Denoiser, guide: Denoiser) -> None:
        """Raise ``ValueError`` unless the guide supports the noise levels at which it is evaluated."""
        lo, hi = _limits(denoiser, design)
        steps = design.time_steps
        lo = max(lo, getattr(steps, "sigma_min", 0.0), self.sigma_min)
        hi = min(hi, getattr(steps, "sigma_max", math.inf), self.sigma_max)
        low, high = _limits(guide, design)
        if lo < low or hi > high:
            raise ValueError(
                f"the guide, denoiser {guide.name}, supports noise levels from {low:.4g} to {high:.4g}, but is used"
                f" from {lo:.4g} to {hi:.4g}: set sigma_min and sigma_max of the guidance or of the time steps"
            )

    def wrap(self, denoiser: Conditional, *guides: Conditional) -> Conditional:
        return super().wrap(denoiser, *(guides if self.guide_gets_labels else map(Unlabelled, guides)))


def _limits(denoiser: Denoiser, design: PreconditioningRows) -> tuple[float, float]:
    known = denoiser.supported(design)
    return known.limits() if known else (0.0, math.inf)
