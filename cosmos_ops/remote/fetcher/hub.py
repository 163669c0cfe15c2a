"""The HTTP protocol of the Hugging Face hub, as far as downloads need it."""

from __future__ import annotations

import http.client
import json
import re
from dataclasses import dataclass
from typing import Any
from urllib.error import HTTPError
from urllib.parse import quote, urljoin, urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

from .places import COMMIT
from .trouble import Trouble

SILENCE_LIMIT_S = 60
ANSWER_BYTES_MAX = 100_000_000
SHA256 = re.compile(r"[0-9a-f]{64}")
NETWORK_ERRORS = (OSError, http.client.HTTPException)
"""What a broken or silent connection raises; an `HTTPError`, which is an answer, is among them as well."""


@dataclass(frozen=True)
class Listed:
    """What the registry says of a file."""

    size_bytes: int | None
    hashes: dict[str, str]


@dataclass(frozen=True)
class Listing:
    """A repository at one commit."""

    commit: str
    files: dict[str, Listed]


class Hub:
    """A registry; the token goes to its own address and nowhere else."""

    def __init__(self, endpoint: str, token: str) -> None:
        self._endpoint = endpoint.rstrip("/")
        self._token = token
        self._opener = build_opener(_Redirects(self))
        if urlsplit(endpoint).scheme not in ("http", "https"):
            raise Trouble("network", f"HF_ENDPOINT is {endpoint!r}, which is no http or https address")

    def listing(self, repository: str, revision: str) -> Listing:
        """All files of a repository; names that would lead out of its folder are left out."""
        url = f"{self._endpoint}/api/models/{quote(repository)}/revision/{quote(revision, safe='')}?blobs=true"
        try:
            with self._opened(url) as answer:
                found = json.loads(answer.read(ANSWER_BYTES_MAX))
            files = {str(file["rfilename"]): _listed(file) for file in found["siblings"]}
            commit = str(found["sha"])
        except NETWORK_ERRORS as error:
            raise self.trouble(error, repository) from error
        except (ValueError, KeyError, TypeError) as error:
            raise Trouble("network", "the answer of the registry cannot be understood", repository=repository) from error
        if not COMMIT.fullmatch(commit):
            raise Trouble("network", "the registry names no commit", repository=repository)
        return Listing(commit, {name: listed for name, listed in files.items() if _stays_inside(name)})

    def look(self, repository: str, commit: str, file: str) -> Listed:
        """Size and checksum of one file, by which it also shows whether we may have it."""
        try:
            with self._opened(self._file_url(repository, commit, file), method="HEAD") as answer:
                return _described(answer.headers)
        except HTTPError as error:
            if error.code // 100 != 3:
                raise self.trouble(error, repository, file) from error
            with error:
                return _described(error.headers)
        except NETWORK_ERRORS as error:
            raise self.trouble(error, repository, file) from error

    def content(self, repository: str, commit: str, file: str, *, offset: int) -> http.client.HTTPResponse:
        """What is in a file from an offset on. Its `status` is 200 if it begins at the start all the same."""
        ranges = {"Range": f"bytes={offset}-"} if offset else {}
        answer: http.client.HTTPResponse = self._opened(self._file_url(repository, commit, file), **ranges)
        return answer

    def trouble(self, error: Exception, repository: str, file: str = "") -> Trouble:
        """What a failed request means."""
        if isinstance(error, HTTPError):
            with error:
                kind, detail = self._refusal(error)
        else:
            kind, detail = "network", f"{self._endpoint}: {getattr(error, 'reason', error) or type(error).__name__}"
        return Trouble(kind, detail, repository=repository, file=file)

    def headers(self, url: str) -> dict[str, str]:
        """What goes with a request beside the range, by its address."""
        is_ours = _origin(url) == _origin(self._endpoint)
        return {"User-Agent": "cosmos-ops", **({"Authorization": f"Bearer {self._token}"} if self._token and is_ours else {})}

    def _opened(self, url: str, method: str = "GET", **headers: str) -> Any:
        # The scheme was looked at when the endpoint was given.
        request = Request(url, method=method, headers={**headers, **self.headers(url)})  # noqa: S310
        return self._opener.open(request, timeout=SILENCE_LIMIT_S)

    def _file_url(self, repository: str, commit: str, file: str) -> str:
        return f"{self._endpoint}/{quote(repository)}/resolve/{commit}/{quote(file)}"

    def _refusal(self, error: HTTPError) -> tuple[str, str]:
        code = error.headers.get("X-Error-Code", "")
        words = error.headers.get("X-Error-Message", "") or code or f"HTTP {error.code}"
        if code == "GatedRepo":
            return ("gated" if self._token else "token-missing"), words
        if code in ("RepoNotFound", "RevisionNotFound", "EntryNotFound") or error.code == 404:
            return "not-found", words
        if error.code in (401, 403):
            return ("token-refused" if self._token else "token-missing"), words
        return "network", f"{self._endpoint} answers: {words}"


class _Redirects(HTTPRedirectHandler):
    """Follows to other machines only for the content itself, and leaves the token at home."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub

    def redirect_request(self, req: Request, _fp: Any, _code: int, _msg: str, _headers: Any, newurl: str) -> Request | None:
        """The next request; none for what is told by the answer itself."""
        url = urljoin(req.full_url, newurl)
        if req.get_method() == "HEAD" and _origin(url) != _origin(req.full_url):
            return None
        ranges = {"Range": req.headers["Range"]} if "Range" in req.headers else {}
        # The base class lets http and https pass only.
        return Request(url, method=req.get_method(), headers={**ranges, **self._hub.headers(url)})  # noqa: S310

    # Known to urllib since Python 3.11.
    http_error_308 = HTTPRedirectHandler.http_error_302


def _origin(url: str) -> tuple[str, str]:
    parts = urlsplit(url)
    return parts.scheme, parts.netloc.lower()


def _stays_inside(name: str) -> bool:
    return "\\" not in name and "\0" not in name and not {"", ".", ".."} & set(name.split("/"))


def _listed(file: dict[str, Any]) -> Listed:
    size = file.get("size")
    lfs = file.get("lfs")
    if lfs:
        return Listed(int(lfs["size"]), _hashes(str(lfs["sha256"])))
    return Listed(None if size is None else int(size), _hashes(str(file.get("blobId", ""))))


def _described(headers: Any) -> Listed:
    size = headers.get("X-Linked-Size") or headers.get("Content-Length")
    etag = headers.get("X-Linked-Etag") or headers.get("ETag") or ""
    # Without a size nothing can be said of a checksum of git, which has the size in it.
    return Listed(int(size), _hashes(etag.removeprefix("W/").strip('"'))) if size else Listed(None, {})


def _hashes(text: str) -> dict[str, str]:
    if SHA256.fullmatch(text):
        return {"sha256": text}
    return {"git-sha1": text} if COMMIT.fullmatch(text) else {}
