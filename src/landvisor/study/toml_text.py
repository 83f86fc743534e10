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
    return "\n".join(_write_table(content, "")).strip() + "\n"


def _write_table(content: Mapping[str, Any], path: str) -> list[str]:
    tables = {k: v for k, v in content.items() if isinstance(v, Mapping) and v}
    lists = {k: v for k, v in content.items() if _is_tables(v)}
    lines = [
        f"{_key(k)} = {_value(v)}" for k, v in content.items() if k not in tables and k not in lists
    ]
    if lines and path:
        lines = ["", f"[{path}]", *lines]
    for key, inner in tables.items():
        lines += _write_table(inner, _join(path, key))
    for key, rows in lists.items():
        for each in rows:
            lines += ["", f"[[{_join(path, key)}]]"]
            lines += [f"{_key(k)} = {_value(v)}" for k, v in each.items()]
    return lines


def _is_tables(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(v, Mapping) for v in value)


def _join(path: str, key: str) -> str:
    return f"{path}.{_key(key)}" if path else _key(key)


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
