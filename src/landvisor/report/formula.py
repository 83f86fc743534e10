"""Formulae as trees of plain values, which both MathML and typst can show."""

from __future__ import annotations

from html import escape
from typing import Any

Formula = dict[str, Any]
"""A node: its `kind` and what it needs; see the functions below."""

_SUM = '<mo movablelimits="false">∑</mo>'
_RELATIONS = "=<>≤≥∈"


def sym(letter: str) -> Formula:
    """Return a variable, in italics."""
    return {"kind": "sym", "text": letter}


def word(text: str) -> Formula:
    """Return a name or number, upright."""
    return {"kind": "word", "text": text}


def sign(text: str) -> Formula:
    """Return an operator, relation or bracket."""
    spacing = "relation" if text in _RELATIONS else "fence" if text in "()[]|" else "binary"
    return {"kind": "sign", "text": text, "spacing": spacing}


def minus() -> Formula:
    """Return the sign of a negative, which stands close to what follows."""
    return {"kind": "sign", "text": "−", "spacing": "normal"}


def named(function: str) -> Formula:
    """Return a function such as log, apart from its argument."""
    return {"kind": "named", "text": function}


def row(*parts: Formula | str) -> Formula:
    """Return parts one after the other; strings are operators."""
    nodes = [sign(part) if isinstance(part, str) else part for part in parts]
    return {"kind": "row", "of": nodes}


def frac(above: Formula, below: Formula) -> Formula:
    """Return a fraction."""
    return {"kind": "frac", "of": [above, below]}


def script(base: Formula, *, low: Formula | None = None, high: Formula | None = None) -> Formula:
    """Return something with an index, a power or both."""
    return {"kind": "script", "base": base, "low": low, "high": high}


def total(index: str, *parts: Formula | str) -> Formula:
    """Return the sum of something over an index."""
    return {"kind": "total", "index": sym(index), "of": row(*parts)}


def brackets(*parts: Formula | str) -> Formula:
    """Return parts in round brackets that grow with them."""
    return {"kind": "brackets", "of": row(*parts)}


def to_mathml(formula: Formula) -> str:
    """Return presentation MathML, which browsers show without a script."""
    return f'<math display="block">{_to_mathml(formula)}</math>'


def _to_mathml(node: Formula) -> str:
    kind = node["kind"]
    if kind in ("sym", "word", "sign", "named"):
        return _leaf(node)
    if kind == "row":
        return f"<mrow>{''.join(map(_to_mathml, node['of']))}</mrow>"
    if kind == "frac":
        return f"<mfrac>{''.join(map(_to_mathml, node['of']))}</mfrac>"
    if kind == "brackets":
        return f"<mrow><mo>(</mo>{_to_mathml(node['of'])}<mo>)</mo></mrow>"
    if kind == "total":
        below, inner = _to_mathml(node["index"]), _to_mathml(node["of"])
        return f"<mrow><munder>{_SUM}{below}</munder>{inner}</mrow>"
    return _script(node)


def _leaf(node: Formula) -> str:
    text = escape(node["text"])
    if node["kind"] == "sym":
        return f"<mi>{text}</mi>"
    if node["kind"] == "sign":
        form = ' form="prefix"' if node["spacing"] == "normal" else ""
        return f"<mo{form}>{text}</mo>"
    if node["kind"] == "named":
        return f'<mi>{text}</mi><mspace width="0.17em"/>'
    return f"<mn>{text}</mn>" if text[0].isdigit() else f'<mi mathvariant="normal">{text}</mi>'


def _script(node: Formula) -> str:
    base, low, high = (node[name] and _to_mathml(node[name]) for name in ("base", "low", "high"))
    if low and high:
        return f"<msubsup>{base}{low}{high}</msubsup>"
    return f"<msub>{base}{low}</msub>" if low else f"<msup>{base}{high}</msup>"
