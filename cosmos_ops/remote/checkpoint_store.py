"""Whether the model files that a job needs are on its host: a quick look before every job, and verification on demand.

`checkpoint_download` brings them, `checkpoint_files` has what a look finds.
"""

import json
import re
import shlex
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed

from cosmos_ops.checkpoints import Checkpoint, checkpoints_for
from cosmos_ops.errors import CheckpointMissingError, HostUnhealthyError
from cosmos_ops.remote.checkpoint_files import Entry, Found, Models, read_models, read_object
from cosmos_ops.remote.checkpoint_news import size_text
from cosmos_ops.remote.fetcher.places import HASHES, VERIFIED
from cosmos_ops.remote.ssh_host import MODELS, SSHHost

FILES_AT_A_TIME = 3
NAMED_MAX = 3
KEPT_AT_ONCE_BYTES = 1_000_000_000
"""Of a file as large as this it is kept at once that it was read; of smaller ones together."""
_PATIENCE_S = 60.0
_BYTES_PER_S_MIN = 10_000_000
# OpenSSL uses what the processor has for SHA-256. Read from standard input, no name of a file comes back in the output.
_HASH = """
case $1 in
sha256) openssl dgst -sha256 -r <"$2" 2>/dev/null || sha256sum <"$2" ;;
md5) md5sum <"$2" ;;
git-sha1) { printf 'blob %s\\0' "$3"; cat; } <"$2" | sha1sum ;;
esac
"""
_HEXADECIMAL = re.compile(r"[0-9a-f]{32,64}(?= )")


def look(host: SSHHost, checkpoints: Sequence[Checkpoint]) -> list[Found]:
    """What is there of these checkpoints, by name, size and what is remembered of earlier verifications; reads no file."""
    models = read_models(host, checkpoints)
    return [found for checkpoint in checkpoints for found in models.found(checkpoint)]


def require(host: SSHHost, family: str, modes: Sequence[str]) -> None:
    """Make sure that a host has what a job of these modes needs; quick.

    Raises:
        CheckpointMissingError: It has not; the message names the command that mends it.
        InputError: The family has no such mode.
    """
    if words := refusal(look(host, checkpoints_for(family, modes)), host_name=host.name, family=family, modes=modes):
        raise CheckpointMissingError(words)


def refusal(found: Sequence[Found], *, host_name: str, family: str, modes: Sequence[str]) -> str:
    """Why jobs of these modes cannot run there, and the command that mends it; empty if they can."""
    states = {"missing": ("missing", "partial"), "damaged": ("damaged", "wrong size")}
    names = {word: [one.name for one in found if one.state in meant] for word, meant in states.items()}
    reasons = [f"{len(some)} {word} ({_shortened(some)})" for word, some in names.items() if some]
    if not reasons:
        return ""
    options = [option for mode in dict.fromkeys(modes) for option in ("--mode", mode)]
    command = shlex.join(["cosmos", "checkpoints", "download", "--host", host_name, "--family", family, *options])
    return f"host {host_name}: of the model files of {family}, {'; '.join(reasons)}; `{command}` brings them"


def verify(
    host: SSHHost, checkpoints: Sequence[Checkpoint], *, on_news: Callable[[str], None] = lambda _news: None
) -> list[Found]:
    """Compare every file that is there with its checksum; what was read before and has not changed is not read again.

    Args:
        host: Where; the host itself reads the files, a few at a time.
        checkpoints: What.
        on_news: Told what is read and what came of it, in this thread.

    Returns:
        As `look`; a file of which nobody knows a checksum stays unverified.

    Raises:
        HostUnhealthyError: A file cannot be read.
    """
    models = read_models(host, checkpoints)
    before = [found for checkpoint in checkpoints for found in models.found(checkpoint)]
    unread = {found.path: found for found in before if found.state == "present" and not found.is_verified and found.hashes}
    if unread:
        size = size_text(sum(found.size_bytes or 0 for found in unread.values()))
        on_news(f"Files to read: {len(unread)}, {size} ...")
        models = _with_hashes(host, models, list(unread.values()), on_news)
    after = [found for checkpoint in checkpoints for found in models.found(checkpoint)]
    for name in dict.fromkeys(found.name for found in after if found.state in ("damaged", "wrong size")):
        on_news(f"Damaged: {name}; download it again, the damaged file is replaced")
    return after


def _with_hashes(host: SSHHost, models: Models, unread: Sequence[Found], on_news: Callable[[str], None]) -> Models:
    fresh: dict[str, Entry] = {}
    with ThreadPoolExecutor(FILES_AT_A_TIME) as threads:
        futures = {threads.submit(_hash, host, found): found for found in unread}
        try:
            for count, future in enumerate(as_completed(futures), 1):
                found, entry = futures[future], future.result()
                fresh[str(found.path)] = entry
                if (found.size_bytes or 0) >= KEPT_AT_ONCE_BYTES:
                    _keep(host, fresh)
                on_news(f"[{count}/{len(futures)}] {found.name}")
        finally:
            for future in futures:
                future.cancel()
            _keep(host, fresh)
    return models.with_verified(fresh)


def _hash(host: SSHHost, found: Found) -> Entry:
    assert found.stat is not None
    kind = next(name for name in HASHES if name in found.hashes)
    argv = ["sh", "-c", _HASH, "sh", kind, str(host.workspace / MODELS / found.path), str(found.stat.size_bytes)]
    done = host.connection.run(argv, limit_s=_PATIENCE_S + found.stat.size_bytes / _BYTES_PER_S_MIN)
    digest = _HEXADECIMAL.match(done.stdout)
    if done.code or not digest:
        words = " ".join(done.stderr.split())
        raise HostUnhealthyError(f"host {host.name}: {found.name} cannot be read ({words}); look at the disk there")
    return {"size_bytes": found.stat.size_bytes, "mtime_ns": found.stat.mtime_ns, "hashes": {kind: digest[0]}}


def _keep(host: SSHHost, fresh: Mapping[str, Entry]) -> None:
    """Remember it on the host. A download at the same moment may forget it again; the file is then read once more."""
    known = read_object(host.read(MODELS / VERIFIED) or "")
    host.write(MODELS / VERIFIED, json.dumps({**known, **fresh}, indent=1))


def _shortened(names: Sequence[str]) -> str:
    more = [f"and {len(names) - NAMED_MAX} more"] if len(names) > NAMED_MAX else []
    return ", ".join([*names[:NAMED_MAX], *more])
