"""The names of flow runs: they say what the flow run works on."""

from datetime import datetime
from pathlib import Path
from typing import Any

from prefect import runtime

NAMES_MAX = 2
NAME_LENGTH_MAX = 40

NAME_TAG = "name: "
"""Of a flow run that somebody has named: Prefect would call it as its flow does when it starts."""


def flow_run_name() -> str:
    """Such as `inference: misty canyon, neon street and 4 more`, or what somebody has called it."""
    given = next((tag for tag in runtime.flow_run.tags if tag.startswith(NAME_TAG)), "")
    return given.removeprefix(NAME_TAG) or f"{runtime.flow_run.flow_name}: {work_title()}"


def dispatch_name() -> str:
    """Such as `dispatch 2026-11-25 21:53`: it works on whatever waits."""
    return f"dispatch {datetime.now():%Y-%m-%d %H:%M}"


def work_title() -> str:
    """What the flow run works on, from its parameters."""
    given = runtime.flow_run.parameters
    names = [_name(prompt) for prompt in given.get("prompts") or []] or [
        Path(str(source)).name for source in given.get("sources") or []
    ]
    more = f" and {len(names) - NAMES_MAX} more" if len(names) > NAMES_MAX else ""
    return ", ".join(names[:NAMES_MAX]) + more or "latest"


def _name(prompt: Any) -> str:
    # Before Prefect has validated them, the parameters are what the API sent.
    given = prompt if isinstance(prompt, dict) else prompt.model_dump()
    name = given.get("name") or " ".join(str(given.get("text", "")).split()[:5]) or given.get("prompt_id") or "prompt"
    return " ".join(str(name).split())[:NAME_LENGTH_MAX]
