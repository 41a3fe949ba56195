"""The scenario that every client is held to: `clients/scenario.json`, read, filled in and compared."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

FILE = Path(__file__).resolve().parents[2] / "scenario.json"

Outcome = dict[str, Any]
"""``{"response": …}`` in proto3 JSON, or ``{"error": {"code", "reason", "fields"}}``."""


def play(run: str, call: Callable[[str, Any], Outcome]) -> int:
    """Takes every step; says how many there were."""
    saved = {"run": run}
    steps = json.loads(FILE.read_text())["steps"]
    for step in steps:
        outcome = call(step["call"], fill(step.get("request", {}), saved))
        if "error" in step:
            problem = refused(fill(step["error"], saved), outcome)
        else:
            problem = differs(fill(step.get("response", {}), saved), outcome.get("response"), "response")
        assert problem is None, f"{step['name']}: {problem}, in {outcome}"
        for name, path in step.get("save", {}).items():
            saved[name] = at(outcome["response"], path)
    return len(steps)


def fill(value: Any, saved: dict[str, str]) -> Any:
    """Puts what was saved in the place of `${name}`, in every string."""
    if isinstance(value, dict):
        return {key: fill(item, saved) for key, item in value.items()}
    if isinstance(value, list):
        return [fill(item, saved) for item in value]
    if isinstance(value, str):
        return re.sub(r"\$\{([\w-]+)\}", lambda found: saved[found[1]], value)
    return value


def at(value: Any, path: str) -> Any:
    """The part of an answer that a path such as ``references.0.key`` names."""
    for part in path.split("."):
        value = value[int(part)] if isinstance(value, list) else value[part]
    return value


def differs(wanted: Any, found: Any, path: str) -> str | None:
    """Where what is wanted is no part of what is found; nothing where it is."""
    if wanted == "*":
        return None if found not in (None, "", [], {}) else f"{path} is empty"
    if isinstance(wanted, dict) and isinstance(found, dict):
        parts = ((wanted[key], found.get(key), f"{path}.{key}") for key in wanted)
    elif isinstance(wanted, list) and isinstance(found, list) and len(wanted) == len(found):
        parts = ((*pair, f"{path}[{place}]") for place, pair in enumerate(zip(wanted, found, strict=True)))
    else:
        return None if wanted == found else f"{path} is {found!r}, not {wanted!r}"
    return next((problem for part in parts if (problem := differs(*part)) is not None), None)


def refused(wanted: Any, outcome: Outcome) -> str | None:
    """Where an error isn't what is wanted; nothing where it is."""
    if "error" not in outcome:
        return "it was not refused"
    found = outcome["error"]
    if found["code"] != wanted["code"] or wanted.get("reason", found["reason"]) != found["reason"]:
        return f"it was refused with {found['code']} {found['reason']}"
    missing = set(wanted.get("fields", ())) - set(found["fields"])
    return f"no violation of {sorted(missing)}" if missing else None
