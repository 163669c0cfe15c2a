"""Prefect's environment; set before Prefect is imported, so that all its state is ours and nobody's profile is touched."""

import os

from cosmos_ops.settings import Settings

QUIET = {
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "DO_NOT_TRACK": "1",
    "PREFECT_CLI_PROMPT": "false",
    "PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW": "ignore",
}
SERVER = {
    "PREFECT_SERVER_SERVICES_CANCELLATION_CLEANUP_LOOP_SECONDS": "5",
    "PREFECT_FLOWS_HEARTBEAT_FREQUENCY": "30",
    "PREFECT_RUNNER_POLL_FREQUENCY": "1",
    # Lines of the model are on the server within this time instead of two seconds.
    "PREFECT_LOGGING_TO_API_BATCH_INTERVAL": "1",
    # The server's own limit is 20 s, which a first start on a slow machine can miss.
    "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "120",
}


def use_own_prefect(settings: Settings, *, api_url: str | None) -> None:
    """Point Prefect at our home folder, and at a server, or at the embedded one if there is no address."""
    os.environ["PREFECT_HOME"] = str(settings.prefect_folder)
    os.environ["PREFECT_PROFILES_PATH"] = str(settings.prefect_folder / "profiles.toml")
    for name, value in {**QUIET, **SERVER}.items():
        os.environ.setdefault(name, value)
    if api_url is None:
        os.environ.pop("PREFECT_API_URL", None)
        os.environ["PREFECT_SERVER_ALLOW_EPHEMERAL_MODE"] = "true"
        os.environ.pop("PREFECT_API_KEY", None)
    else:
        os.environ["PREFECT_API_URL"] = api_url
    settings.prefect_folder.mkdir(parents=True, exist_ok=True)
