"""How large model files are that a host lacks, before anything is downloaded."""

from collections.abc import Sequence
from dataclasses import dataclass

from cosmos_ops.remote.checkpoint_download import Access
from cosmos_ops.remote.checkpoint_files import Found
from cosmos_ops.remote.fetcher.hub import Hub, Listing
from cosmos_ops.remote.fetcher.places import matching
from cosmos_ops.remote.fetcher.trouble import Trouble


@dataclass(frozen=True)
class Missing:
    """What has to come."""

    file_count: int
    size_bytes: int
    unknown: tuple[str, ...] = ()
    """Repositories of whose missing files nobody could tell the size."""


def missing(found: Sequence[Found], access: Access) -> Missing:
    """What is missing; the registry is asked from this machine for sizes that nobody knows, until it does not answer."""
    absent = {one.path: one for one in found if one.state != "present"}
    sizes = [one.size_bytes for one in absent.values() if one.size_bytes is not None]
    nameless = [one for one in absent.values() if one.size_bytes is None]
    listings = _listings(nameless, access)
    unknown: list[str] = []
    for one in nameless:
        asked = _sizes(one, listings.get(one.checkpoint.source))
        sizes += asked or [0]
        if not asked:
            unknown.append(one.checkpoint.repository)
    return Missing(len(sizes), sum(sizes), tuple(dict.fromkeys(unknown)))


def _listings(nameless: Sequence[Found], access: Access) -> dict[str, Listing]:
    listings: dict[str, Listing] = {}
    for one in {found.checkpoint.source: found.checkpoint for found in nameless}.values():
        try:
            listings[one.source] = Hub(access.endpoint, access.token).listing(one.repository, one.revision)
        except Trouble as trouble:
            if trouble.kind == "network":
                break
    return listings


def _sizes(found: Found, listing: Listing | None) -> list[int]:
    if listing is None:
        return []
    names = [name for name in matching(found.file, listing.files) if name in listing.files]
    return [listing.files[name].size_bytes or 0 for name in names]
