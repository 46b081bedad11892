r"""The rows that a scheduler of diffusers implies: how its networks predict, and at which noise levels.

With :math:`\bar\alpha_t = \prod_{s \le t} (1 - \beta_s)`, the noise levels are :math:`\sigma_t = \sqrt{(1 -
\bar\alpha_t) / \bar\alpha_t}`, and the sample of diffusers is :math:`z = x \sqrt{\bar\alpha_t} = x / \sqrt{1 +
\sigma_t^2}`. In flow matching it is :math:`z = x / (1 + \sigma)`.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import Any, NamedTuple

from pydantic import ValidationError

from designspace.denoising.clip import Clip
from designspace.errors import DataError
from designspace.text import did_you_mean

Rows = dict[str, dict[str, Any]]
EDM = ("EDMDPMSolverMultistepScheduler", "EDMEulerScheduler")
FLOW = ("FlowMatchEulerDiscreteScheduler", "FlowMatchHeunDiscreteScheduler")
BETAS = (
    *("DDIMInverseScheduler", "DDIMParallelScheduler", "DDIMScheduler", "DDPMParallelScheduler", "DDPMScheduler"),
    *("DEISMultistepScheduler", "DPMSolverMultistepInverseScheduler", "DPMSolverMultistepScheduler"),
    *("DPMSolverSDEScheduler", "DPMSolverSinglestepScheduler", "EulerAncestralDiscreteScheduler"),
    *("EulerDiscreteScheduler", "HeunDiscreteScheduler", "KDPM2AncestralDiscreteScheduler", "KDPM2DiscreteScheduler"),
    *("LMSDiscreteScheduler", "PNDMScheduler", "SASolverScheduler", "UniPCMultistepScheduler"),
)
"""Schedulers of networks that were trained on the levels of betas, or of flow matching with ``use_flow_sigmas``."""
SCHEDULES = {"linear": "linear", "scaled_linear": "scaled_linear", "squaredcos_cap_v2": "cosine", "sigmoid": "sigmoid"}
"""The schedules of betas: their names in diffusers, and in the row c_noise ``betas``."""
INSTALL = "pip install 'designspace[diffusers]'"


class Scheduled(NamedTuple):
    """What a scheduler says about a network."""

    rows: Rows
    """The rows c_skip, c_out, c_in, c_noise, noise_distribution and loss_weight, as in a spec."""
    clip: Clip | None
    chosen: str
    """The reason for the rows, in a few words."""
    quirks: list[str]
    """What the scheduler does in sampling that is not taken over."""

    @property
    def notes(self) -> list[str]:
        """What was chosen and why, and the quirks, one sentence each."""
        rows = ", ".join(f"{row} {fields['name']}" for row, fields in self.rows.items() if row.startswith("c_"))
        how = "" if self.clip is None else f"; D is clipped to {self.clip.limit:g}"
        dynamic = " by dynamic thresholding" if self.clip and self.clip.quantile is not None else ""
        return [f"{self.chosen}; rows: {rows}{how}{dynamic}", *self.quirks]


def of_diffusers(name: str) -> Any:
    """The class ``name`` of the package diffusers. Raises ``DataError`` if it is not installed or has no such class."""
    try:
        return getattr(import_module("diffusers"), name)
    except ImportError as error:
        raise DataError(f"the package diffusers cannot be imported ({error}): {INSTALL}") from error
    except (AttributeError, RuntimeError) as error:  # the second if a dependency of the class is missing
        raise DataError(f"the installed diffusers has no {name}: {INSTALL} --upgrade") from error


def arguments(name: str) -> dict[str, Any]:
    """The arguments of a class of diffusers with their defaults. Raises ``DataError`` as ``of_diffusers`` does."""
    found = inspect.signature(of_diffusers(name).__init__).parameters.values()
    return {p.name: p.default for p in found if p.default is not p.empty}


def read_scheduler(config: Mapping[str, Any]) -> Scheduled:
    """What the configuration of a scheduler implies; values that it does not have are the defaults of its class.

    Raises ``DataError`` if the class or a value is not supported.
    """
    name = str(config.get("_class_name"))
    if name not in (*BETAS, *EDM, *FLOW):
        hint = did_you_mean(name, [*BETAS, *EDM, *FLOW])
        text = f"scheduler '{name}' does not say how its networks predict, or not in a way that is known here.{hint}"
        raise DataError(f"{text} Give the configuration of another one, such as scheduler: ./scheduler_config.json")
    given = arguments(name) | dict(config)
    chosen, rows = _rows(name, given)
    return Scheduled(rows, _clip(given), chosen, list(_quirks(name, given)))


def _rows(name: str, given: Mapping[str, Any]) -> tuple[str, Rows]:
    prediction = given.get("prediction_type")
    if name in FLOW or given.get("use_flow_sigmas") or prediction == "flow_prediction":
        if name not in FLOW and prediction != "flow_prediction":
            raise DataError(
                f"use_flow_sigmas with prediction_type {prediction!r} is not supported, but flow_prediction"
            )
        return f"{name}: flow matching, c_noise {given['num_train_timesteps']:g} t", _flow(given)
    if name in EDM:
        return f"{name}: preconditioning of EDM, {prediction}", _edm(given, prediction)
    if prediction not in ("epsilon", "v_prediction", "sample"):
        raise DataError(f"prediction_type {prediction!r} is not epsilon, v_prediction, sample or flow_prediction")
    continuous = given.get("timestep_type") == "continuous" and prediction == "v_prediction"
    levels: dict[str, Any] = _levels(given)
    rows = _predicting(prediction)
    rows |= {"noise_distribution": levels, "c_noise": {"name": "edm"} if continuous else levels}
    told = "a continuous noise level" if continuous else f"the index of {_named(levels)}"
    return f"{name}: predicts {prediction}, told {told}", rows


def _predicting(prediction: str) -> Rows:
    if prediction == "v_prediction":
        rows = ("c_skip", "c_out", "c_in", "loss_weight")
        return {row: {"name": "velocity", "sigma_data": 1.0} for row in rows}
    if prediction == "sample":
        signal: Rows = {"c_skip": {"name": "zero"}, "c_out": {"name": "data", "sigma_data": 1.0}}
        return signal | {"c_in": {"name": "ddpm"}, "loss_weight": {"name": "uniform"}}
    return {row: {"name": "ddpm"} for row in ("c_skip", "c_out", "c_in", "loss_weight")}


def _flow(given: Mapping[str, Any]) -> Rows:
    """Rows of flow matching; levels are drawn so that the logit of t is normal, as in Esser et al. (2024)."""
    rows: Rows = {row: {"name": "flow"} for row in ("c_skip", "c_out", "c_in", "loss_weight")}
    rows["c_noise"] = {"name": "flow", "M": given["num_train_timesteps"]}
    return rows | {"noise_distribution": {"name": "edm", "P_mean": 0.0, "P_std": 1.0}}


def _edm(given: Mapping[str, Any], prediction: object) -> Rows:
    if prediction not in ("epsilon", "v_prediction"):
        raise DataError(f"prediction_type {prediction!r} is not epsilon or v_prediction, as schedulers of EDM need it")
    sigma_data = {"sigma_data": given["sigma_data"]}
    rows = {row: {"name": "edm"} | sigma_data for row in ("c_skip", "c_out", "c_in", "loss_weight")}
    if prediction == "v_prediction":  # c_out of the opposite sign
        rows["c_out"] = {"name": "velocity"} | sigma_data
    return rows | {"c_noise": {"name": "edm"}, "noise_distribution": {"name": "edm"}}


def _levels(given: Mapping[str, Any]) -> dict[str, Any]:
    """The levels of the betas: ``ddpm`` or ``iddpm`` where they are the same, otherwise ``betas``."""
    M, schedule = given["num_train_timesteps"], given["beta_schedule"]
    zero = {"zero_terminal_snr": True} if given.get("rescale_betas_zero_snr") else {}
    if (betas := given.get("trained_betas")) is not None:
        return {"name": "betas", "betas": betas} | zero
    if schedule not in SCHEDULES:
        raise DataError(f"beta_schedule {schedule!r} is not {', '.join(SCHEDULES)}: give the betas as trained_betas")
    ends = {"beta_1": given["beta_start"], "beta_M": given["beta_end"]}
    if schedule == "squaredcos_cap_v2":
        return {"name": "betas", "schedule": "cosine", "M": M} | zero if zero else {"name": "iddpm", "M": M}
    if schedule == "linear" and not zero:
        return {"name": "ddpm", "M": M} | ends
    return {"name": "betas", "schedule": SCHEDULES[schedule], "M": M} | ends | zero


def _named(levels: Mapping[str, Any]) -> str:
    fields = (f"{key} {value}" for key, value in levels.items() if key not in ("name", "betas"))
    return f"the levels {levels['name']} ({', '.join(fields) or 'as given'})"


def _clip(given: Mapping[str, Any]) -> Clip | None:
    if not given.get("thresholding") and not given.get("clip_sample"):
        return None
    key = "sample_max_value" if given.get("thresholding") else "clip_sample_range"
    quantile = given.get("dynamic_thresholding_ratio", 0.995) if given.get("thresholding") else None
    try:
        return Clip(limit=given.get(key, 1.0), quantile=quantile)
    except ValidationError as error:
        raise DataError(f"{key} or dynamic_thresholding_ratio: {error.errors()[0]['msg']}") from error


def _quirks(name: str, given: Mapping[str, Any]) -> Iterator[str]:
    """Yield what users of the scheduler may not know, or expect to happen here as well."""
    shift = given.get("shift", given.get("flow_shift", 1.0))
    if name in FLOW and shift != 1 and not given.get("use_dynamic_shifting"):
        yield (
            f"{name} applies its shift {shift:g} twice, because its end points are shifted already; the row time_steps"
            f" decides here, for instance flow with shift: {shift:g}"
        )
    if given.get("timestep_spacing") == "leading":
        yield (
            f"{name} has timestep_spacing leading (steps_offset {given.get('steps_offset', 0)}), so that few steps"
            " begin far below the highest noise level; the row time_steps decides here"
        )
    if given.get("clip_sample") and not given.get("thresholding"):
        r = given.get("clip_sample_range", 1.0)
        yield f"{name} clips D to [-{r:g}, {r:g}] (clip_sample, which is on by default), and so does this denoiser"
    for key in ("use_karras_sigmas", "use_exponential_sigmas", "use_beta_sigmas", "use_lu_lambdas"):
        if given.get(key):
            yield f"{name} has {key}, which is not taken over; the row time_steps decides here"
    if given.get("set_alpha_to_one") is False:
        yield f"{name} ends at its lowest noise level (set_alpha_to_one false); to_zero decides here"
