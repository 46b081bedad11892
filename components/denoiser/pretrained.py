from functools import cached_property
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, ClassVar, Self

import torch
from pydantic import ValidationInfo, field_validator

from designspace.data.images import Images
from designspace.denoising.clip import Clip, ClipField, chosen
from designspace.denoising.precision import HasPrecision
from designspace.denoising.preconditioned import PreconditionedNetwork
from designspace.denoising.rows import CNoise, Conditional, Denoiser, Network, PreconditioningRows
from designspace.errors import DataError
from designspace.registry.component import FOLDER, folder_of
from designspace.registry.identity import Since, as_json, built_with, identified
from designspace.registry.literature import KARRAS_2022
from designspace.storage.files import file_hash
from designspace.text import did_you_mean
from designspace.training.export import ROWS, described, file_of, read, read_about, snapshot_of
from designspace.training.rows import OwnRows

SHIPPED = Path(str(files("designspace"))) / "models"


class Pretrained(HasPrecision, Denoiser, name="pretrained"):
    """A trained denoiser from files, with the scalings that it was trained with.

    ``model`` is the name of a model that comes with the package, or a path relative to the YAML file:
    ``<path>.safetensors`` holds the parameters and ``<path>.json`` everything that they depend on, as
    ``designspace train --export`` and ``designspace import`` write them. The model's own rows c_* are used, whatever
    the design says. ``clip`` says what is done to D: ``own``, what the model says, if anything; ``none``; a number r,
    to clip to [-r, r]; or ``limit`` and ``quantile`` of dynamic thresholding. Raises ``DataError`` if a file is missing
    and tells its ``source``, if that is given. ``precision`` is that of the network in sampling.

    The snapshot of its training at, say, 0.25 is the model ``<path>-0.25``. A model with labels is sampled and guided
    without them only if its description says that training left some out: ``label_dropout`` of the denoiser or of the
    network, or an entry for "no class" in a network of diffusers. Karras et al. (2022), Eq. 7.
    """

    formula = r"""
        D(x; \sigma) = c_\mathrm{skip}(\sigma)\, x
            + c_\mathrm{out}(\sigma)\, F(c_\mathrm{in}(\sigma)\, x; c_\mathrm{noise}(\sigma))
    """
    sources = (KARRAS_2022,)
    has_network: ClassVar[bool] = True
    model: str
    clip: Annotated[ClipField, Since(None)] = None
    source: str = ""
    """Where the model comes from: what to do if it is missing. It is not part of the identity."""

    @field_validator("model")
    @classmethod
    def _beside_the_spec(cls, model: str, info: ValidationInfo) -> str:
        """Make a path absolute. A name without ``/`` is that of a file beside the spec or else of a shipped model."""
        place = (folder_of(info) or Path.cwd()) / Path(model).expanduser()
        return str(place) if "/" in model or file_of(place, ".json").is_file() else model

    @property
    def path(self) -> Path:
        """The path of the files without their suffix."""
        return SHIPPED / self.model

    def require(self) -> None:
        if not file_of(self.path, ".json").is_file():
            known = sorted(path.stem for path in SHIPPED.glob("*.json"))
            hint = did_you_mean(self.model, known)
            if self.source:
                raise DataError(f"there is no {file_of(self.path.resolve(), '.json')}: {self.source}")
            make = "`designspace import` makes one from a checkpoint."
            raise DataError(f"there is no model '{self.model}'.{hint} {make} Models shipped: {', '.join(known)}.")

    @property
    def labels(self) -> bool:
        """Whether the network was trained with class labels."""
        self.require()
        return bool(read_about(self.path)["denoiser"]["labels"])

    def known_classes(self, data: Images) -> int:
        return int(read_about(self.path)["data"]["classes"]) if self.labels else 0

    def why_labels(self) -> str:
        if not self.labels or self._knows_no_class():
            return ""
        description = file_of(self.path, ".json")
        why = f"the model does not know images without labels, since {description.name} does not say that training left"
        return f'{why} out labels; if it did, add the probability to its entry "denoiser", "label_dropout": 0.1'

    def _knows_no_class(self) -> bool:
        """Whether training left out some labels, as far as the description says."""
        about = read_about(self.path)
        own, network = about["denoiser"], self._parts()[1]
        if own.get("label_dropout") or network.drops_labels:
            return True
        return own.get("name") != "trained" and network.knows_no_class(int(about["data"]["classes"]))

    def snapshot(self, fraction: float) -> Self:
        self.require()
        path = snapshot_of(Path(self.model), fraction)
        found = type(self)(model=str(path), clip=self.clip, source=self.source, precision=self.precision)
        if not file_of(found.path, ".json").is_file():
            make = "`designspace train --export` writes the snapshots of denoiser trained"
            raise ValueError(f"model {self.model} has no snapshot {path.name}: {make}; or name another guide")
        own, its = read_about(self.path), read_about(found.path)
        expected = own.get("key"), {"fraction": fraction, "of_images": own.get("images")}
        if (its.get("key"), its.get("snapshot")) != expected:
            raise ValueError(f"model {path.name} is not the snapshot at {fraction:g} of the training of {self.model}")
        return found

    def shape_of(self, data: Images) -> tuple[int, ...]:
        self.require()
        return tuple(read_about(self.path)["data"]["shape"])

    def load(self, data: Images, design: PreconditioningRows, device: torch.device) -> Conditional:
        made = self.untrained(data, design, device)
        assert isinstance(made.network, torch.nn.Module)
        try:
            made.network.load_state_dict(read(self.path).parameters)
        except RuntimeError as error:
            files = (file_of(self.path, suffix) for suffix in (".safetensors", ".json"))
            raise DataError("{} does not fit the network in {}".format(*files)) from error
        return made

    def untrained(self, data: Images, design: PreconditioningRows, device: torch.device) -> PreconditionedNetwork:
        self.require()
        spec, shape = read_about(self.path)["denoiser"], self.shape_of(data)
        rows, network_row = self._parts()
        network = network_row.build(shape, self.known_classes(data), spec["augment"])
        ready = network.to(device).eval().requires_grad_(False)
        return PreconditionedNetwork(ready, rows, shape, chosen(self.clip, _own_clip(spec)), self.precision)

    def supported(self, design: PreconditioningRows) -> CNoise | None:
        return self._c_noise

    @cached_property
    def _c_noise(self) -> CNoise | None:
        """The model's own row; ``None`` if there is no such model, which ``require`` reports."""
        try:
            return self._parts()[0].c_noise
        except (DataError, OSError):
            return None

    def identity(self) -> dict[str, Any]:
        """The identity by content, without the measurements of the model, which may be added later."""
        self.require()
        rows, network = self._parts()
        parts = built_with(type(part) for part in [network, *dict(rows).values()])
        files = [described(self.path), file_hash(file_of(self.path, ".safetensors"))]
        own = {"network": network.identity()} if network.runs_user_code else {}
        of_model = _own_clip(read_about(self.path)["denoiser"])
        clip = chosen(self.clip, of_model)
        other = {} if clip == chosen(None, of_model) else {"clip": None if clip is None else as_json(clip)}
        return self.origin() | {"files": files} | own | parts | other | identified(self, ["precision"])

    def _parts(self) -> tuple[OwnRows, Network]:
        """The rows and the network that the model was trained with."""
        about = read_about(self.path)
        rows = OwnRows.model_validate({row: about["design"][row] for row in ROWS})
        context = {FOLDER: self.path.absolute().parent}  # which the file of a factory may be relative to
        return rows, Network.model_validate(about["denoiser"]["network"], context=context)


def _own_clip(about: dict[str, Any]) -> Clip | None:
    """The clipping that the description of a denoiser names; most name none."""
    return None if about.get("clip") is None else Clip.model_validate(about["clip"])
