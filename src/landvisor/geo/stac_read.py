"""Which images a STAC item or a list of items names: their files, dates and cloud cover."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urljoin, urlparse

from landvisor.errors import CollectionError
from landvisor.phrases import list_few
from landvisor.remote import Place, find_stem, hide_query, is_remote, read_json

Json = dict[str, Any]

_SUFFIXES = {".json", ".geojson"}
_SHOWN = 20
_MOST_PAGES = 1000


@dataclass(frozen=True)
class StacImage:
    """One item: its id, the files of the chosen assets, and what is known of the day.

    Attributes:
        name: Id of the item.
        files: A file or address per asset.
        bands: Names of the assets where they were chosen, else empty.
        date: `datetime` of the item, or the beginning of its interval, in ISO 8601.
        cloud_cover: `eo:cloud_cover` in percent.
    """

    name: str
    files: tuple[Place, ...]
    bands: tuple[str, ...]
    date: str | None
    cloud_cover: float | None


def read_stac(source: Place, assets: Sequence[str] = ()) -> tuple[StacImage, ...] | None:
    """Read the images that a STAC item, an item collection or a search result names.

    Pages that a search result links to (`next`) are read too.

    Args:
        source: A JSON file, or its address.
        assets: Names of the assets to read as the bands of one scene. Without them it is the only
            asset with the role `data`, else the only GeoTIFF.

    Returns:
        One image per item, or None where `source` is not STAC.

    Raises:
        CollectionError: If there is no item in it, or no single asset can be told in one.
        SceneError: If an address cannot be read.

    References:
        STAC specification 1.1.0, item and item collection; STAC API 1.0.0, item search, paging.
    """
    content = _load(source)
    if content is None or not _is_stac(content):
        return None
    if content.get("type") in {"Collection", "Catalog"}:
        raise CollectionError(
            f"{_shown(source)} is a STAC {content['type']}, which names no image itself; give an "
            "item, or the result of a search"
        )
    items = [(item, place) for page, place in _pages(content, source) for item in _items(page)]
    if not items:
        raise CollectionError(f"{_shown(source)} holds no STAC item; widen the search")
    return tuple(_read_item(item, place, assets) for item, place in items)


def is_stac(source: Place) -> bool:
    """Tell whether a JSON file or address is STAC.

    Raises:
        SceneError: If an address cannot be read.
    """
    content = _load(source)
    return content is not None and _is_stac(content)


def _load(source: Place) -> Json | None:
    """Return a JSON object, or None where there is something else that may be imagery."""
    if isinstance(source, Path):
        if source.suffix.lower() not in _SUFFIXES or not source.is_file():
            return None
        try:
            content = json.loads(source.read_text(encoding="utf-8"))
        except ValueError:
            return None
    elif not _may_be_json(source):
        return None
    else:
        content = read_json(source)
    return content if isinstance(content, dict) else None


def _may_be_json(address: str) -> bool:
    """Tell by its end; of an API's answer, which ends as it likes, the server tells."""
    bare = hide_query(address)
    end = Path(bare).suffix.lower()
    return end in _SUFFIXES or (bare.startswith("http") and not end)


def _is_stac(content: Json) -> bool:
    if content.get("type") == "FeatureCollection":
        features = content.get("features")
        if not isinstance(features, list):
            return False
        found = all(isinstance(f, dict) and "assets" in f for f in features)
        return found if features else "links" in content
    return "stac_version" in content or (content.get("type") == "Feature" and "assets" in content)


def _pages(content: Json, source: Place) -> Iterator[tuple[Json, Place]]:
    yield content, source
    if content.get("type") == "Feature":
        return
    for _ in range(_MOST_PAGES):
        following = next((k for k in content.get("links", []) if k.get("rel") == "next"), None)
        if following is None:
            return
        address = str(_resolve(following.get("href", ""), source))
        if following.get("method", "GET").upper() != "GET" or not is_remote(address):
            raise CollectionError(
                f"{_shown(source)} is one page of several, and the next is no address to fetch; "
                "save the items of all pages in one file"
            )
        content = read_json(address) or {}
        yield content, address
    raise CollectionError(f"{_shown(source)} has over {_MOST_PAGES:,} pages; narrow the search")


def _items(page: Json) -> list[Json]:
    return list(page.get("features", [])) if page.get("type") != "Feature" else [page]


def _read_item(item: Json, place: Place, assets: Sequence[str]) -> StacImage:
    facts = item.get("properties") or {}
    chosen = _choose(item, assets)
    cloud = facts.get("eo:cloud_cover")
    return StacImage(
        name=str(item.get("id") or find_stem(place)),
        files=tuple(_resolve(asset["href"], place) for asset in chosen.values()),
        bands=tuple(chosen) if assets else (),
        date=facts.get("datetime") or facts.get("start_datetime"),
        cloud_cover=float(cloud) if isinstance(cloud, int | float) else None,
    )


def _choose(item: Json, names: Sequence[str]) -> dict[str, Json]:
    """Return the assets to read, by name."""
    listed_assets = (item.get("assets") or {}).items()
    every = {key: a for key, a in listed_assets if isinstance(a, dict) and a.get("href")}
    name, listed = item.get("id"), list_few(every, shown=_SHOWN) or "none"
    lacking = next((wanted for wanted in names if wanted not in every), None)
    if lacking is not None:
        raise CollectionError(f"STAC item {name!r} has no asset {lacking!r}; it has {listed}")
    if names:
        return {wanted: every[wanted] for wanted in names}
    data = {key: asset for key, asset in every.items() if "data" in (asset.get("roles") or [])}
    tiffs = {k: a for k, a in every.items() if str(a.get("type")).startswith("image/tiff")}
    found = next((group for group in (data, tiffs) if len(group) == 1), None)
    if found is None:
        raise CollectionError(
            f"STAC item {name!r} has the assets {listed}; name the image, or the bands of one "
            "scene in order, with --asset"
        )
    return found


def _resolve(href: str, place: Place) -> Place:
    """Return where an asset lies: what is relative begins where the JSON lies."""
    if href.startswith("file:"):
        return Path(unquote(urlparse(href).path))
    if is_remote(href) or href.startswith("/vsi"):
        return href
    if isinstance(place, Path):
        return place.parent / href
    scheme, _, rest = hide_query(place).partition("://")
    # urljoin knows the web's schemes alone.
    return f"{scheme}://" + urljoin(f"http://{rest}", href).removeprefix("http://")


def _shown(source: Place) -> str:
    return repr(hide_query(source) if is_remote(source) else str(source))
