from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import torch
from pydantic import ValidationError

from designspace.data.images import Images
from designspace.denoising.clip import ClipField, chosen
from designspace.denoising.pipelines import Folder, read_folder
from designspace.denoising.precision import HasPrecision
from designspace.denoising.preconditioned import PreconditionedNetwork
from designspace.denoising.rows import CNoise, Conditional, Denoiser, Network, PreconditioningRows
from designspace.denoising.weights import load_tensors, require_fit
from designspace.errors import DataError
from designspace.registry.identity import as_json, built_with, identified
from designspace.registry.literature import KARRAS_2022, PLATEN_2022
from designspace.storage.files import file_hash
from designspace.training.rows import OwnRows


class DiffusersDenoiser(HasPrecision, Denoiser, name="diffusers"):
    """A network from a folder that the library diffusers wrote, with the scalings of its scheduler.

    ``path`` is the folder of a pipeline, with ``model_index.json``, or that of a model alone, relative to the YAML
    file. Nothing in it is executed. The scheduler's configuration decides the rows c_*, whatever the design says: what
    the network predicts (epsilon, v_prediction, sample or flow) and the levels that it was trained on. The rows of the
    design decide the rest, such as the time steps. ``scheduler`` is needed for a model alone: a file
    ``scheduler_config.json``, or its values; values without ``_class_name`` replace some of those in a pipeline.

    ``clip`` says what is done to D: ``own``, what the scheduler says (``clip_sample`` and ``thresholding``); ``none``;
    a number r, to clip to [-r, r]; or ``limit`` and ``quantile`` of dynamic thresholding. ``variant`` selects files
    such as those of ``fp16``; ``precision`` is that of the network in sampling. ``conditioning`` is a file with the
    embeddings of a prompt; see network ``diffusers``.

    The identity has the rows and the clipping that follow from the scheduler's configuration, the configuration of the
    model, and the contents of the weights. Raises ``DataError`` if a file is missing or unsuitable. von Platen et al.
    (2022); Karras et al. (2022), Eq. 7.
    """

    formula = r"""
        D(x; \sigma) = c_\mathrm{skip}(\sigma)\, x
            + c_\mathrm{out}(\sigma)\, F(c_\mathrm{in}(\sigma)\, x; c_\mathrm{noise}(\sigma))
    """
    sources = (PLATEN_2022, KARRAS_2022)
    has_network: ClassVar[bool] = True
    path: Path
    scheduler: Path | dict[str, Any] | None = None
    variant: str | None = None
    conditioning: Path | None = None
    clip: ClipField = None

    def require(self) -> None:
        folder = self._folder()
        network = _network(folder)
        network.require()
        self._rows(folder)
        try:
            with torch.device("meta"):  # names and shapes only
                built = network.build(folder.shape if len(folder.shape) == 3 else (*folder.shape, 8, 8), folder.classes)
            require_fit(folder.outline(), built.state_dict(), folder.weights, folder.network["model"])
        except DataError as error:
            error.within("path")
            raise

    def known_classes(self, data: Images) -> int:
        return self._folder().classes

    def why_labels(self) -> str:
        folder = self._folder()
        needed = _network(folder).needs_labels(folder.classes)
        return f"denoiser {self.name} knows classes only, not images without labels" if needed else ""

    def shape_of(self, data: Images) -> tuple[int, ...]:
        """The shape of a sample, whose size is that of the data if the folder does not say it."""
        return _shape(self._folder(), data)

    def load(self, data: Images, design: PreconditioningRows, device: torch.device) -> Conditional:
        folder = self._folder()
        network = self._built(folder, data)
        load_tensors(network, folder.tensors(), folder.weights, None, f"{folder.network['model']} with its config.json")
        return self._preconditioned(network, folder, data, device)

    def untrained(self, data: Images, design: PreconditioningRows, device: torch.device) -> PreconditionedNetwork:
        folder = self._folder()
        return self._preconditioned(self._built(folder, data), folder, data, device)

    def supported(self, design: PreconditioningRows) -> CNoise | None:
        return self._c_noise

    @cached_property
    def _c_noise(self) -> CNoise | None:
        """The folder's own row; ``None`` if the folder cannot be read, which ``require`` reports."""
        try:
            return self._rows(self._folder()).c_noise
        except DataError:
            return None

    def cautions(self) -> list[str]:
        folder = self._folder()
        return [quirk for quirk in folder.quirks if "clip_sample" not in quirk or self.clip is None]

    def identity(self) -> dict[str, Any]:
        """The identity by content; the rest of the folder, such as text encoders or a README, does not count."""
        folder = self._folder()
        rows, network, clip = self._rows(folder), _network(folder), chosen(self.clip, folder.clip)
        about = {
            "rows": folder.rows,
            "network": network.identity(),
            "weights": [file_hash(file) for file in folder.files()],
            "clip": None if clip is None else as_json(clip),
        } | identified(self, ["precision"])
        return self.origin() | about | built_with(type(part) for part in [network, *dict(rows).values()])

    def _folder(self) -> Folder:
        try:
            return read_folder(
                self.path, scheduler=self.scheduler, variant=self.variant, conditioning=self.conditioning
            )
        except DataError as error:
            error.within("path")
            raise

    def _rows(self, folder: Folder) -> OwnRows:
        """The rows of the folder. Raises ``DataError`` if a value in its configuration is out of range."""
        try:
            return OwnRows.model_validate(folder.rows)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, first["loc"]))
            wrong = DataError(f"{self.path}: the configuration of the scheduler gives {where}: {first['msg']}")
            wrong.within("path")
            raise wrong from error

    def _built(self, folder: Folder, data: Images) -> torch.nn.Module:
        return _network(folder).build(_shape(folder, data), folder.classes)

    def _preconditioned(
        self, network: torch.nn.Module, folder: Folder, data: Images, device: torch.device
    ) -> PreconditionedNetwork:
        ready = network.to(device).eval().requires_grad_(False)
        rows, clip = self._rows(folder), chosen(self.clip, folder.clip)
        return PreconditionedNetwork(ready, rows, _shape(folder, data), clip, self.precision)


def _network(folder: Folder) -> Network:
    return Network.model_validate(folder.network)


def _shape(folder: Folder, data: Images) -> tuple[int, ...]:
    return folder.shape if len(folder.shape) == 3 else (folder.shape[0], *data.shape[1:])
