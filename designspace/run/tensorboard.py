"""The tracker of TensorBoard, https://www.tensorflow.org/tensorboard"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from designspace.run.trackers import Metrics, Pictures, Tracked, Tracker, require_package

LONGEST = 100
"""The largest number of characters of the name of a trial in that of its folder."""


class TensorBoard(Tracker, name="tensorboard"):
    """Event files in the folder ``tensorboard`` of the results, in a folder of their own for each trial.

    Each has the metrics as scalars at step 0, for the tab HPARAMS as well, with the values of the axes; the loss by
    training images; the samples; and the resolved spec as text.
    """

    @classmethod
    def require(cls) -> None:
        """Raise ``ValueError`` if the package is missing."""
        require_package(cls.name, "tensorboard", "TensorBoard")

    def began(self, trial: Tracked, spec: Mapping[str, Any]) -> None:
        from torch.utils.tensorboard import SummaryWriter

        name = re.sub(r"[^\w.=,-]+", "_", trial.name)[:LONGEST]
        self._writer: Any = SummaryWriter(str(trial.folder / "tensorboard" / f"{name}-{trial.id}"))
        self._writer.add_text("spec", "```json\n" + json.dumps(spec, indent=1) + "\n```")

    def progress(self, step: int, values: Mapping[str, float]) -> None:
        for name, value in values.items():
            self._writer.add_scalar(name, value, step)

    def ended(self, trial: Tracked, metrics: Metrics, pictures: Pictures) -> None:
        from torch.utils.tensorboard.summary import hparams

        numbers = {name: float(value) for name, value in metrics.items() if not isinstance(value, str)}
        for name, value in numbers.items():
            self._writer.add_scalar(name, value, 0)
        for name, text in metrics.items():
            if isinstance(text, str):
                self._writer.add_text(name, text)
        if numbers:
            for part in hparams(dict(trial.axes), numbers):  # type: ignore[no-untyped-call]
                self._writer.file_writer.add_summary(part)
        for name, picture in pictures.items():
            self._writer.add_image(name, picture, dataformats="HWC")
        self._writer.close()
