from typing import Annotated, ClassVar, Self

import torch
from pydantic import Field
from torch import nn

from designspace.data.images import Images
from designspace.denoising.preconditioned import PreconditionedNetwork
from designspace.denoising.rows import Conditional, Denoiser, Network, PreconditioningRows
from designspace.registry.literature import KARRAS_2022
from designspace.storage.files import content_key
from designspace.training.checkpoints import Plan, trained
from designspace.training.recipe import Recipe
from designspace.training.rows import Augmentation, training_rows


class Trained(Recipe, Denoiser, name="trained"):
    """A network that is trained on the data of the ablation, with the rows of the design.

    Training sees ``training_images`` images, whatever the batch size; the denoiser uses the moving average of the
    parameters. All trials that share data, network, recipe and the rows c_*, noise_distribution and loss_weight share
    one training run, and a longer run continues a shorter one. ``labels`` says whether the network is told the class.
    Karras et al. (2022), Eq. 8.
    """

    formula = r"""
        \min_\theta \mathbb E\left[\lambda(\sigma) \left|D_\theta(y + n; \sigma) - y\right|^2\right], \quad
            \sigma \sim p_\mathrm{train}, \quad n \sim \mathcal N(0, \sigma^2 I)
    """
    sources = (KARRAS_2022,)
    version: ClassVar[int] = 2
    rows: ClassVar[tuple[str, ...]] = ("c_skip", "c_out", "c_in", "c_noise", "noise_distribution", "loss_weight")
    reads_data: ClassVar[bool] = True
    models_pixels: ClassVar[bool] = True
    has_network: ClassVar[bool] = True
    network: Network
    training_images: Annotated[int, Field(ge=0, le=100_000_000_000)] = 1_000_000
    augmentation: Augmentation | None = None
    labels: bool = False

    def known_classes(self, data: Images) -> int:
        return data.class_count if self.labels else 0

    def shape_of(self, data: Images) -> tuple[int, ...]:
        return data.shape

    def load(self, data: Images, design: PreconditioningRows, device: torch.device) -> Conditional:
        network = trained(self.plan(data, design), self.training_images, device).average
        return PreconditionedNetwork(network, design, data.shape)

    def untrained(self, data: Images, design: PreconditioningRows, device: torch.device) -> Conditional:
        return PreconditionedNetwork(self._build(data).to(device), design, data.shape)

    def repeated(self, k: int) -> Self:
        """The same training with the seeds ``seed + k`` of batches and noise, and of the network if it has one."""
        seeded = {"seed": self.network.seed + k} if hasattr(self.network, "seed") else {}
        return self.model_copy(update={"seed": self.seed + k, "network": self.network.model_copy(update=seeded)})

    def plan(self, data: Images, design: PreconditioningRows) -> Plan:
        """What to train, with the key under which its states are cached."""
        rows = training_rows(design)
        own = {k: v for k, v in self.identity().items() if k != "training_images"}
        key = content_key(own, {row: getattr(rows, row).identity() for row in self.rows}, data.content_hash)
        spec = self.model_dump(mode="json") | {"augment": self._augment}
        return Plan(key, rows, data, self, self.augmentation, self.labels, lambda: self._build(data), spec)

    @property
    def _augment(self) -> int:
        return self.augmentation.size if self.augmentation else 0

    def _build(self, data: Images) -> nn.Module:
        return self.network.build(data.shape, self.known_classes(data), self._augment)
