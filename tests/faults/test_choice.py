"""Which host does the work: the named one, a healthy one that has the family, else this machine."""

import pytest

from blocks import GPUHost
from cosmos_ops.errors import HostUnhealthyError, HostUnknownError
from flows.hosts import choose, is_aside
from tests.builders import opened_store

from . import rig

pytestmark = pytest.mark.gpu_machines


@pytest.fixture
def store(prefect_api, home):
    with opened_store() as store:
        yield store


def chosen(name, family, store):
    host = choose(name, family, store)
    host.close()
    return host.name


def test_without_servers_this_machine_does_what_it_can(store):
    assert chosen("auto", "preview", store) == "local"
    with pytest.raises(HostUnknownError, match="no healthy host has the family 'cosmos3'"):
        choose("auto", "cosmos3", store)


def test_this_machine_may_be_paused(store):
    GPUHost(is_paused=True).save("local", overwrite=True)
    for name in ("auto", "local"):
        with pytest.raises(HostUnhealthyError, match="host local is paused; `cosmos host resume local` gives it work again"):
            choose(name, "preview", store)


def test_this_machine_is_refused_for_a_family_that_needs_its_image(store):
    with pytest.raises(HostUnknownError, match=r"host local is this machine.*not the family 'transfer1'; name a GPU server"):
        choose("local", "transfer1", store)


def test_a_name_that_nobody_saved_is_refused(store):
    with pytest.raises(HostUnknownError, match="there is no host 'nobody'"):
        choose("nobody", "preview", store)


def test_the_host_with_the_most_free_slots_is_chosen(store, servers):
    first, second = servers
    rig.save_block(first, "gpu-a", slots=[[0], [1]])
    rig.save_block(second, "gpu-b", slots=[[0], [1], [2]])
    assert chosen("auto", "preview", store) == "gpu-b"
    occupy(second, 0, 1)
    assert chosen("auto", "preview", store) == "gpu-a"


def occupy(machine, *gpus):
    for gpu in gpus:
        labels = {"cosmos.job": f"jb_{gpu}", "cosmos.gpus": str(gpu)}
        machine.docker.containers.run(rig.IMAGE, ["sleep", "600"], labels=labels, network_mode="none", detach=True)


def test_a_host_that_is_down_or_lacks_the_family_is_left_out(store, servers):
    first, second = servers
    rig.save_block(first, "gpu-a")
    rig.save_block(second, "gpu-b")
    first.stop_sshd()
    assert chosen("auto", "preview", store) == "gpu-b"
    rig.save_block(second, "gpu-b", images={"cosmos3": "cosmos3:1"})
    assert chosen("auto", "preview", store) == "local"
    assert chosen("auto", "cosmos3", store) == "gpu-b"


def test_after_three_faults_a_host_must_show_that_it_works(store, server):
    rig.save_block(server, "gpu-a")
    for _ in range(3):
        assert not is_aside("gpu-a", store)
        store.note_fault("gpu-a", "lost contact")
    assert is_aside("gpu-a", store)

    server.stop_dockerd()
    with pytest.raises(HostUnhealthyError, match=r"put aside after 3 faults within 10 minutes; now: .*docker does not answer"):
        choose("gpu-a", "preview", store)
    assert chosen("auto", "preview", store) == "local"
    server.start_dockerd()
    assert chosen("gpu-a", "preview", store) == "gpu-a"
    assert not is_aside("gpu-a", store)
