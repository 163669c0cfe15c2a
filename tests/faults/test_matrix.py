"""What is survived: every fault at every phase, on a real dockerd and sshd. The matrix is printed at the end of the tests.

After each fault: the right status and error, no container, nothing half-staged, no execution twice unless the first one was
lost, all logs home, all slots free.
"""

from contextlib import ExitStack

import pytest

from cosmos_ops.runs import RunStatus
from flows.upkeep import reconcile_all
from tests.builders import left_over, recorded

from . import rig
from .matrix import FAULTS

pytestmark = pytest.mark.gpu_machines


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_fault(fault, prefect_api, home, server, tmp_path, record_property):
    with ExitStack() as stack:
        rig.save_block(server, "gpu-a", **stack.enter_context(fault.setting(server)))
        flows = [
            stack.enter_context(rig.held_flow(phase, server, tmp_path / phase, host="gpu-a", orders=fault.orders))
            for phase in fault.promised
        ]
        for flow in flows if fault.is_held else ():
            flow.wait_until_held()
        fault.cause(server, flows)
        if fault.is_killed:
            reconcile_all(waits=True)
        else:
            states = {flow.phase: flow.answer()["state"] for flow in flows}
            assert states == {phase: rig.state_of(outcome) for phase, outcome in fault.promised.items()}
        found = {flow.phase: rig.outcome(flow.run, rig.starts(server)) for flow in flows}

    record_property("matrix", [fault.name, found])
    assert found == dict(fault.promised)
    rig.assert_clean(server, may_resume=fault.is_killed, keeps_files=fault.keeps_files)
    assert left_over(home) == []
    for run in recorded().runs:
        assert run.status.is_final
        assert run.status is RunStatus.COMPLETED or run.failure is not None
        assert run.outputs.log is not None, run
        assert recorded().file(run, "log").stat().st_size > 0
