"""Small values for the tests of the store."""

from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from pathlib import Path, PurePosixPath
from typing import Annotated, Any

from alembic import command
from alembic.config import Config
from pydantic import Field, JsonValue
from sqlalchemy import create_engine, text

from cosmos_ops.errors import InputError
from cosmos_ops.job import ContainerSpec, InputFile, Job, JobItem, TextFile
from cosmos_ops.names import new_id
from cosmos_ops.params import Params, PerRun
from cosmos_ops.runs import Prompt, Queueing, Run
from cosmos_ops.sizes import Needs, SampleSize
from cosmos_ops.store import Store, schema

START = datetime(2030, 1, 2, 3, 4, 5, 678901, tzinfo=timezone.utc)


class TinyParams(Params):
    """Parameters of an operation that exists in these tests only."""

    seed: Annotated[int, PerRun("seed")] = Field(1, ge=0, le=100)
    """Seed of everything."""
    title: Annotated[str, PerRun("title")] = ""
    """What is written on it."""


class Clock:
    """A clock that moves only when told."""

    def __init__(self) -> None:
        self.time = START

    def __call__(self) -> datetime:
        return self.time

    def advance(self, seconds: float) -> None:
        self.time += timedelta(seconds=seconds)


def read_params(operation: str, family: str, data: Mapping[str, JsonValue]) -> Params:
    if family != "preview":
        raise InputError(f"there is no family '{family}'")
    return TinyParams.read(data)


def open_store(url: str, **options: Any) -> Store:
    return Store.open(url, read_params=read_params, **options)


def a_prompt(text: str = "a red car", **values: Any) -> Prompt:
    return Prompt(text, **values)


def a_run(prompt_id: str, *, seed: int = 1, **values: Any) -> Run[Any]:
    values = {"operation": "inference", "family": "preview", "request_key": new_id("rq"), **values}
    return Run(prompt_id=prompt_id, params=TinyParams(seed=seed), **values)


def a_job(*run_ids: str, **values: Any) -> Job:
    values = {
        "id": new_id("jb"),
        "operation": "inference",
        "family": "preview",
        "container": ContainerSpec("preview:1", ("render", "--all"), {"LANG": "C"}),
        "inputs": (InputFile(Path("/videos/a b.mp4"), "ab" * 32, 12),),
        "files": (TextFile(PurePosixPath("specs/1.json"), "{\n}\0ü"),),
        "items": tuple(JobItem(run, PurePosixPath("out", run), (PurePosixPath("out", run, "done"),)) for run in run_ids),
        "stall_limit_s": 60.0,
        **values,
    }
    return Job(**values)


def queued_runs(store: Store, count: int) -> list[Run[Any]]:
    prompt = store.add_prompt(a_prompt())
    return [store.add_run(a_run(prompt.id)) for _ in range(count)]


def queueing(**values: Any) -> Queueing:
    return Queueing(**{"needs": Needs(SampleSize(frames=1)), **values})


def queued(store: Store, count: int, **values: Any) -> list[Run[Any]]:
    """Runs that wait in the shared queue."""
    prompt = store.add_prompt(a_prompt())
    return [store.add_run(a_run(prompt.id, **{"queueing": queueing(), **values})) for _ in range(count)]


def make_store(url: str, revision: str, rows: Mapping[str, Mapping[str, Any]]) -> None:
    """A store of an older version, with one row in each of these tables."""
    engine = create_engine(url)
    with engine.begin() as connection:
        config = Config(attributes={"connection": connection})
        config.set_main_option("script_location", str(schema.MIGRATIONS))
        command.upgrade(config, revision)
        for table, row in rows.items():
            columns = ", ".join(row)
            values = ", ".join(f":{column}" for column in row)
            connection.execute(text(f"INSERT INTO {table} ({columns}) VALUES ({values})"), row)
    engine.dispose()
