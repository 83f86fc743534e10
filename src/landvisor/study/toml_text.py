"""A study as TOML text that `study run` reads again."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from landvisor.study.spec import StudySpec

_BARE = re.compile(r"[A-Za-z0-9_-]+")


def write_toml(spec: StudySpec) -> str:
    """Write a study without what has its default; reading it gives an equal study."""
    content = spec.model_dump(mode="json", exclude_defaults=True)
    tables = {k: v for k, v in content.items() if isinstance(v, Mapping)}
    lists = {k: v for k, v in content.items() if _is_tables(v)}
    lines = _write_pairs({k: v for k, v in content.items() if k not in {**tables, **lists}})
    for key, inner in tables.items():
        lines += ["", f"[{_key(key)}]", *_write_pairs(inner)]
    for key, rows in lists.items():
        for each in rows:
            lines += ["", f"[[{_key(key)}]]", *_write_pairs(each)]
    return "\n".join(lines) + "\n"


def _write_pairs(content: Mapping[str, Any]) -> list[str]:
    return [f"{_key(key)} = {_value(value)}" for key, value in content.items()]


def _is_tables(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(v, Mapping) for v in value)


def _key(key: str) -> str:
    return key if _BARE.fullmatch(key) else _text(key)


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, Mapping):
        inner = ", ".join(f"{_key(k)} = {_value(v)}" for k, v in value.items())
        return f"{{ {inner} }}" if inner else "{}"
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(_value, value))}]"
    return repr(value)


def _text(text: str) -> str:
    """Return a basic string; what JSON escapes, TOML escapes alike, but for DEL."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
