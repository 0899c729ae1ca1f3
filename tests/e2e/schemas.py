"""The JSON Schemas of what commands print, docs/schemas/COMMAND.json: checked here, with the few words of the language that they use.

With MFORMER_REWRITE_GOLDEN=1 what a command prints is taken into its schema instead: new fields and types are added, and all
that is there stays. Describe what is new, and review the difference.
"""

import json
import os
from pathlib import Path

FOLDER = Path(__file__).resolve().parents[2] / "docs/schemas"
REWRITES = os.environ.get("MFORMER_REWRITE_GOLDEN") == "1"
TYPES = {"object": dict, "array": list, "string": str, "boolean": bool, "null": type(None)}


def file_of(command):
    return FOLDER / (command.replace(" ", "-") + ".json")


def check(command, value):
    """The first thing that the command's schema does not allow, or None."""
    path = file_of(command)
    if REWRITES:
        schema = json.loads(path.read_text()) if path.exists() else new_schema(command)
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(widened(schema, value), indent=1, ensure_ascii=False) + "\n")
    if not path.exists():
        return f"there is no {path}"
    return problem(json.loads(path.read_text()), value, command)


def new_schema(command):
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": f"mformer {command} --json"}


def type_of(value):
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, (int, float)):
        return "integer" if isinstance(value, int) else "number"
    return next(name for name, kind in TYPES.items() if isinstance(value, kind))


def types_in(schema):
    known = schema.get("type", [])
    return [known] if isinstance(known, str) else known


def problem(schema, value, place):
    """What of the value the schema does not allow. A field that it does not name is a problem, though JSON Schema would let it
    pass: here whatever is printed must be described."""
    if "const" in schema and value != schema["const"]:
        return f"{place} is {value!r}, not {schema['const']!r}"
    kinds = types_in(schema)
    allowed = kinds + (["integer"] if "number" in kinds else [])
    if kinds and type_of(value) not in allowed:
        return f"{place} is of type {type_of(value)}, not {kinds}"
    if isinstance(value, list):
        return first(problem(schema.get("items", {}), item, f"{place}[{i}]") for i, item in enumerate(value))
    if isinstance(value, dict):
        return first(field_problem(schema, name, value, place) for name in [*value, *schema.get("required", [])])
    return None


def field_problem(schema, name, value, place):
    if name not in value:
        return f"{place} lacks {name}"
    inner = schema.get("properties", {}).get(name, schema.get("additionalProperties"))
    return f"{place}.{name} is not described" if inner is None else problem(inner, value[name], f"{place}.{name}")


def undescribed(schema, place=""):
    """The fields without a description, by their places."""
    for name, field in schema.get("properties", {}).items():
        inner = f"{place}.{name}".lstrip(".")
        if not field.get("description", "").strip():
            yield inner
        yield from undescribed(field, inner)
    for inner in (schema.get("items"), schema.get("additionalProperties")):
        if isinstance(inner, dict):
            yield from undescribed(inner, place)


def first(problems):
    return next((found for found in problems if found is not None), None)


def widened(schema, value):
    """The schema with what it lacks to allow the value."""
    if "description" in schema and "type" not in schema:
        return schema  # of a field of many forms
    schema, kind = dict(schema), type_of(value)
    kinds = types_in(schema)
    if kind not in kinds and not (kind == "integer" and "number" in kinds):
        kinds = [other for other in kinds if not (kind == "number" and other == "integer")] + [kind]
        schema["type"] = kinds[0] if len(kinds) == 1 else sorted(kinds)
    if kind == "object" and "additionalProperties" in schema:
        for item in value.values():
            schema["additionalProperties"] = widened(schema["additionalProperties"], item)
    elif kind == "object":
        known = schema.get("properties", {})
        seen = "properties" in schema
        required = [name for name in (schema.get("required", []) if seen else value) if name in value]
        schema["properties"] = {**known, **{name: widened(known.get(name, {}), item) for name, item in value.items()}}
        schema["required"] = required
    elif kind == "array":
        items = schema.get("items", {})
        for item in value:
            items = widened(items, item)
        schema["items"] = items
    return schema
