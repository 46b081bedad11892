"""The tracker of Weights & Biases, https://docs.wandb.ai"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from designspace.run.trackers import Metrics, Pictures, Tracked, Tracker, require_package

TIMEOUT = 20.0
"""Seconds to wait for the server when a trial begins, unless ``$WANDB_INIT_TIMEOUT`` says how many."""
PROJECT = "designspace"
"""The project, unless ``$WANDB_PROJECT`` names one."""


class WandB(Tracker, name="wandb"):
    """One run of Weights & Biases per trial.

    The group is the ablation, the id is that of the trial, so that a resumed trial continues its run, the config is the
    resolved spec with the values of the axes, and the summary has the metrics. The environment variables of W&B apply:
    ``WANDB_PROJECT``, ``WANDB_ENTITY``, ``WANDB_MODE=offline``, ``WANDB_DIR``. A server that does not answer is given
    up after ``TIMEOUT`` seconds in place of W&B's 90.
    """

    @classmethod
    def require(cls) -> None:
        """Raise ``ValueError`` if the package is missing or, unless W&B is offline, there is no key to log in with."""
        require_package(cls.name, "wandb", "W&B")
        import wandb

        if wandb.setup().settings.mode != "online":
            return
        try:
            wandb.login(verify=False)
        except wandb.Error as error:
            raise ValueError(f"tracker wandb: {error} To work without an account: WANDB_MODE=offline") from error

    def began(self, trial: Tracked, spec: Mapping[str, Any]) -> None:
        import wandb

        self._run = wandb.init(
            project=os.environ.get("WANDB_PROJECT", PROJECT),
            group=trial.ablation,
            name=trial.name,
            id=trial.id,
            resume="allow",
            config={**spec, "axes": dict(trial.axes)},
            reinit="create_new",  # workers compute several trials at the same time
            settings=wandb.Settings(console="off", silent=True, init_timeout=_patience()),
        )
        self._run.define_metric("training/*", step_metric="training/images")

    def progress(self, step: int, values: Mapping[str, float]) -> None:
        self._run.log({**values, "training/images": step})

    def ended(self, trial: Tracked, metrics: Metrics, pictures: Pictures) -> None:
        import wandb

        self._run.log({name: wandb.Image(picture) for name, picture in pictures.items()})
        self._run.summary.update(dict(metrics))
        self._run.finish(exit_code=0 if metrics else 1)


def _patience() -> float:
    return float(os.environ.get("WANDB_INIT_TIMEOUT", TIMEOUT))
