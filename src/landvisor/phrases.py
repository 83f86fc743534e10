"""How messages say counts and lists."""

from __future__ import annotations

from collections.abc import Iterable


def say_count(number: int, noun: str, plural: str = "") -> str:
    """Say how many there are, as in "1 image" and "2,400 images".

    Args:
        number: How many.
        noun: What one of them is called.
        plural: What several are called; the noun with an s by default.
    """
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def list_few(names: Iterable[str], *, shown: int = 5) -> str:
    """Join the first names, and count the others."""
    every = list(names)
    more = f" and {len(every) - shown:,} more" if len(every) > shown else ""
    return ", ".join(every[:shown]) + more
