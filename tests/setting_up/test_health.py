"""The flow `host-health` on two servers: one goes bad, and comes back."""

import json
import time
from contextlib import closing
from pathlib import PurePosixPath
from typing import get_args

import httpx
import pytest
from prefect.events.worker import EventsWorker
from prefect.settings import PREFECT_API_URL
from prefect.variables import Variable

from cosmos_ops.host_health import HostHealth, health_of
from cosmos_ops.remote.findings import fail, ok, warn
from cosmos_ops.remote.setup_record import SetupRecord
from cosmos_ops.remote.ssh_host import SSHHost
from cosmos_ops.setting_up import FAMILIES
from flows.health import ARTIFACT, EVENT, VERDICTS, host_health
from flows.host_setup import Family
from tests.flows.steps import artifacts
from tests.hosts.images import BASE
from tests.remote.servers import a_spec

pytestmark = pytest.mark.gpu_machines

PATIENCE_S = 30


@pytest.fixture
def hosts(save_host, machines):
    """Two hosts of names of their own, so that events of other tests are not theirs."""
    Variable.unset(VERDICTS)
    number = time.time_ns()
    names = [f"health-{letter}-{number}" for letter in "ab"]
    for name, machine in zip(names, machines, strict=True):
        save_host(name, machine, images={"preview": BASE})
    return names


def look():
    """Run the flow, and give back what it says and its table by host."""
    state = host_health(return_state=True)
    assert state.is_completed()
    (table,) = artifacts(state.state_details.flow_run_id)
    assert table.key == ARTIFACT
    return state.result(), {row["host"]: row for row in json.loads(table.data)}


def events(name, count):
    """The changes of a host, the oldest first, once there are so many."""
    EventsWorker.instance().drain()
    wanted = {"filter": {"event": {"name": [EVENT]}, "resource": {"id": [f"cosmos.host.{name}"]}, "order": "ASC"}}
    until = time.monotonic() + PATIENCE_S
    while True:
        found = httpx.post(f"{PREFECT_API_URL.value()}/events/filter", json=wanted).raise_for_status().json()["events"]
        if len(found) >= count or time.monotonic() > until:
            return [(event["payload"]["before"], event["payload"]["after"]) for event in found]
        time.sleep(0.1)


def test_a_host_that_goes_bad_and_comes_back_is_told_each_time_once(hosts, machines):
    well, ill = hosts
    first, table = look()
    assert first == "2 of 2 GPU servers are ready"
    assert {row["verdict"] for row in table.values()} <= {"ok", "warn"}
    assert "GPU 0: 0 % busy" in table[well]["GPUs"]
    assert "GB free" in table[well]["disk"]
    verdict = table[ill]["verdict"]

    machines[1].stop_dockerd()
    said, table = look()
    again, _ = look()

    assert said == again
    assert said.startswith(f"1 of 2 GPU servers are ready; not ready: {ill} (docker: ")
    assert table[ill]["verdict"] == "fail"
    assert table[well]["verdict"] != "fail"

    machines[1].start_dockerd()
    said, _ = look()

    assert said == "2 of 2 GPU servers are ready"
    changes = events(ill, 2)
    assert changes[-2:] == [(verdict, "fail"), ("fail", verdict)]
    assert ("fail", "fail") not in changes


def test_a_host_that_cannot_be_reached_leaves_the_other_alone(hosts, machines):
    machines[0].stop_sshd()

    said, table = look()

    assert said.startswith(f"1 of 2 GPU servers are ready; not ready: {hosts[0]} (ssh: ")
    assert table[hosts[1]]["verdict"] != "fail"
    assert events(hosts[0], 1) == [("unknown", "fail")]


def test_a_block_that_says_nonsense_is_a_host_that_is_not_ready(save_host, machine):
    Variable.unset(VERDICTS)
    save_host("health-nonsense", machine, address="")

    said, table = look()

    assert said.startswith("0 of 1 GPU servers are ready; not ready: health-nonsense (block: ")
    assert "has no address" in table["health-nonsense"]["what is wrong"]


def test_without_hosts_there_is_nothing_to_look_at(save_host):
    assert look() == ("there are no GPU servers", {})


def test_missing_model_files_of_a_family_in_use_make_a_host_ill(machine, tmp_path):
    with closing(SSHHost(a_spec(machine, tmp_path, images={"transfer25": BASE}))) as host:
        before = health_of(host, needs_gpu=True)
        SetupRecord(modes=("vis",)).write(host, "transfer25")
        after = health_of(host, needs_gpu=True)

    (before_check, after_check) = (
        next(check for check in health.checks if check.name == "model files transfer25") for health in (before, after)
    )
    assert (before_check.verdict, after_check.verdict) == ("fail", "fail")
    assert "--mode multi --mode guardrails" in before_check.remedy
    assert "--mode vis`" in after_check.remedy
    assert before.verdict == "fail"


def test_a_damaged_record_of_a_set_up_is_as_good_as_none(machine, tmp_path):
    with closing(SSHHost(a_spec(machine, tmp_path))) as host:
        SetupRecord(modes=("vis",), smoke="x").write(host, "transfer25")
        assert SetupRecord.read(host, "transfer25") == SetupRecord(("vis",), "x")
        host.write(PurePosixPath("setup", "transfer25.json"), '{"modes": 3')
        assert SetupRecord.read(host, "transfer25") == SetupRecord()


@pytest.mark.parametrize(
    ("checks", "verdict", "problems"),
    [
        ((ok("fine", name="a"),), "ok", ()),
        ((ok("fine", name="a"), warn("low", "buy", name="b")), "warn", ("b: low",)),
        ((warn("low", "buy", name="b"), fail("gone", "mend", name="c")), "fail", ("c: gone", "b: low")),
        ((fail("gone", "mend", name="c"), ok("fine", name="a")), "fail", ("c: gone",)),
    ],
)
def test_the_worst_check_decides(checks, verdict, problems):
    health = HostHealth("gpu", checks)
    assert (health.verdict, health.problems) == (verdict, problems)


def test_the_form_of_the_flow_offers_every_family():
    assert get_args(Family) == FAMILIES
