"""The JSON schema of an ablation's YAML, for editors."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from pydantic import TypeAdapter

from designspace.denoising.sigma_data import NAME, SigmaData
from designspace.design import Design, preset_names
from designspace.registry.component import Component
from designspace.registry.known import ROWS
from designspace.spec.ablation import Ablation
from designspace.spec.evaluate import Evaluate
from designspace.spec.paths import PARTS, STEPS

Schema = dict[str, Any]


def schema() -> Schema:
    """The JSON schema of an ablation, with all registered components and their fields."""
    result = Ablation.model_json_schema()
    defs = result.setdefault("$defs", {})
    for model in (Design, Evaluate):
        own = model.model_json_schema()
        defs |= own.pop("$defs", {}) | {model.__name__: own}
    for row in ROWS.values():
        for cls in row.known.values():
            defs |= cls.model_json_schema().get("$defs", {})
    defs |= {row.__name__: _row(row) for row in ROWS.values()}  # instead of pydantic's, which list no fields
    properties = result["properties"]
    properties |= {name: _ref(name.capitalize()) for name in ("data", "denoiser", "guidance", "decoder", "evaluate")}
    rows = defs.pop("Design")["properties"]
    properties["design"] = _design(rows)
    properties |= {step: {"type": "integer", "minimum": 1} for step in STEPS}
    for part in PARTS[1:]:
        properties[part]["properties"] = {row: _values(kind) for row, kind in rows.items()}
    tried = defs["Search"]["properties"]["rows"]
    any_row = tried["additionalProperties"]["anyOf"]
    whole = [kind for kind in any_row if kind.get("type") != "array"]  # all, and a range
    tried["properties"] = {row: {"anyOf": [*whole, _values(kind)]} for row, kind in rows.items()}
    defs["Search"]["properties"]["at"] |= {"minProperties": 1, "maxProperties": 1, **_at_one_of(STEPS)}
    result |= {"title": "designspace ablation", "required": []}
    finite: Schema = _finite({"$schema": "https://json-schema.org/draft/2020-12/schema", **result})
    return finite


def _row(row: type[Component]) -> Schema:
    """The schema of a row: the name of a component, optionally with fields."""
    names = row.known.names()
    own = {"type": "string", "not": {"enum": names}}  # the name of the user's own component
    own_fields: Schema = {"type": "object", "properties": {"name": own}, "required": ["name"]}
    return {"anyOf": [{"enum": names}, *(_component(row.known[name]) for name in sorted(row.known)), own, own_fields]}


def _component(cls: type[Component]) -> Schema:
    own = cls.model_json_schema()
    aliases = cls.known.aliases_of(cls)
    fields = {"name": {"enum": [cls.name, *aliases]} if aliases else {"const": cls.name}} | own.get("properties", {})
    first_line = (cls.__doc__ or "").strip().partition("\n")[0]
    return {
        "type": "object",
        "title": cls.name,
        "description": first_line,
        "properties": fields,
        "additionalProperties": _reads_other_fields(cls),
    }


def _reads_other_fields(cls: type[Component]) -> bool:
    validators = cls.__pydantic_decorators__.model_validators.values()
    return any(validator.info.mode == "before" for validator in validators)


def _design(rows: Schema) -> Schema:
    presets: Schema = {"enum": preset_names()}
    sigma_data = TypeAdapter(SigmaData).json_schema()
    properties = {"preset": presets, NAME: sigma_data, **rows}
    mapping = {"type": "object", "properties": properties, "additionalProperties": False}
    return {"anyOf": [presets, mapping]}


def _values(kind: Schema) -> Schema:
    """The schema of an axis: a list of values of ``kind``, or of fields that are set together."""
    return {"type": "array", "items": {"anyOf": [kind, _ref("Change")]}}


def _at_one_of(fields: Sequence[str]) -> Schema:
    """The schema of budgets: one of ``fields`` with an integer or a list of them."""
    budget: Schema = {"type": "integer", "minimum": 1}
    budgets: Schema = {"anyOf": [budget, {"type": "array", "items": budget, "minItems": 1}]}
    return {"properties": dict.fromkeys(fields, budgets), "additionalProperties": False}


def _finite(value: Any) -> Any:
    """``value`` without infinite defaults, which JSON cannot express."""
    if isinstance(value, dict):
        return {k: _finite(v) for k, v in value.items() if not (isinstance(v, float) and math.isinf(v))}
    return [_finite(item) for item in value] if isinstance(value, list) else value


def _ref(name: str) -> Schema:
    return {"$ref": f"#/$defs/{name}"}
