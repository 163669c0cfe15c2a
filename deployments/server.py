"""A Prefect server of our own: started in the background, found again by its address in the home folder, stopped at the end."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx

from cosmos_ops.errors import HostUnreachableError, InputError
from cosmos_ops.settings import Settings

START_LIMIT_S = 120.0
STOP_LIMIT_S = 15.0
HOST = "127.0.0.1"
# Whoever was killed holds the place of `dispatch` for as long, and nobody else can start one.
SETTINGS = {"PREFECT_SERVER_CONCURRENCY_INITIAL_DEPLOYMENT_LEASE_DURATION": "60"}


def is_healthy(api_url: str) -> bool:
    """Whether a Prefect server answers there."""
    try:
        return httpx.get(f"{api_url}/health", timeout=2.0).status_code == httpx.codes.OK
    except httpx.HTTPError:
        return False


def running_server(settings: Settings) -> str | None:
    """The address of the server that `cosmos up` runs on this home folder, if one does."""
    try:
        api_url = str(json.loads(_address(settings).read_text(encoding="utf-8"))["api_url"])
    except (OSError, ValueError, KeyError):
        return None
    return api_url if is_healthy(api_url) else None


def known_server(settings: Settings) -> str | None:
    """The server that knows the hosts: the one that PREFECT_API_URL names, that of `cosmos up`, or none, for the embedded one.

    Raises:
        InputError: Nothing answers where PREFECT_API_URL points.
    """
    api_url = os.environ.get("PREFECT_API_URL")
    if not api_url:
        return running_server(settings)
    if not is_healthy(api_url):
        raise InputError(f"no Prefect server answers at PREFECT_API_URL={api_url}; start it, or unset the variable")
    return api_url


@contextmanager
def own_server(settings: Settings, port: int) -> Iterator[str]:
    """Run a server while we are inside; gives its API address.

    Raises:
        InputError: The port is taken.
        HostUnreachableError: It did not come up; the message names its log.
    """
    api_url = f"http://{HOST}:{port}/api"
    if is_healthy(api_url):
        raise InputError(f"a Prefect server runs on port {port} already; use it with PREFECT_API_URL={api_url}, or choose --port")
    log = settings.home_folder / "server.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("w", encoding="utf-8") as output:
        # A session of its own, so that Ctrl-C reaches us alone and we stop it in our order.
        process = subprocess.Popen(
            [sys.executable, "-m", "prefect", "server", "start", "--host", HOST, "--port", str(port)],
            env={**SETTINGS, **os.environ, "PREFECT_API_URL": api_url, "PREFECT_UI_API_URL": api_url},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        _wait(process, api_url, log)
        _address(settings).write_text(json.dumps({"api_url": api_url}), encoding="utf-8")
        yield api_url
    finally:
        _address(settings).unlink(missing_ok=True)
        _stop(process)


def _wait(process: subprocess.Popen[bytes], api_url: str, log: Path) -> None:
    until = time.monotonic() + START_LIMIT_S
    while not is_healthy(api_url):
        if process.poll() is not None:
            last = " ".join(log.read_text(encoding="utf-8", errors="replace").split()[-30:])
            raise HostUnreachableError(f"the Prefect server ended at once: {last}; its log is {log}")
        if time.monotonic() > until:
            raise HostUnreachableError(f"the Prefect server did not come up within {START_LIMIT_S:.0f} s; its log is {log}")
        time.sleep(0.2)


def _stop(process: subprocess.Popen[bytes]) -> None:
    with suppress(ProcessLookupError):
        process.send_signal(signal.SIGTERM)
    try:
        process.wait(STOP_LIMIT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _address(settings: Settings) -> Path:
    return settings.home_folder / "server.json"
