"""A simulated machine is what other tests take it for, and leaves nothing behind."""

import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import docker
import pytest

from . import leaks
from .images import BASE, LIBRARIES, TINY, image_store, install_images
from .keys import PASSPHRASE
from .machine import GPUMachine

pytestmark = pytest.mark.gpu_machines

ROOT = Path(__file__).parents[2]
FIELDS = "index,uuid,name,driver_version,memory.total,memory.used,utilization.gpu"


def wait_until(is_so, *, timeout_s=20):
    deadline = time.monotonic() + timeout_s
    while not is_so():
        assert time.monotonic() < deadline, "It did not come to that in time"
        time.sleep(0.02)


def a_container(machine, *command, **options):
    return machine.docker.containers.run(TINY, list(command) or ["sleep", "1000"], detach=True, **options)


def state_of(machine, container):
    """State and exit code, asked of the dockerd that runs now."""
    state = machine.docker.api.inspect_container(container.id)["State"]
    return state["Status"], state["ExitCode"]


def logs_in(machine, *options, **login):
    done = subprocess.run([*machine.ssh_command(**login), *options, "true"], capture_output=True, timeout=60, check=False)
    return done.returncode == 0


def dockerd_answers(path):
    with socket.socket(socket.AF_UNIX) as connection, suppress(ConnectionResetError):
        connection.settimeout(20)
        connection.connect(str(path))
        connection.sendall(b"GET /_ping HTTP/1.0\r\n\r\n")
        return connection.recv(12) == b"HTTP/1.0 200"
    return False


# Docker


def test_two_machines_run_side_by_side(machines):
    containers = [a_container(machine, labels={"job": "one"}) for machine in machines]
    assert [machine.containers(job="one") for machine in machines] == [[container] for container in containers]
    assert [machine.containers(job="two") for machine in machines] == [[], []]
    assert [machine.ssh("hostname").stdout for machine in machines] == ["gpu-a\n", "gpu-b\n"]


def test_a_request_for_a_gpu_reaches_the_container(machine):
    gpu = docker.types.DeviceRequest(device_ids=["1"], capabilities=[["gpu"]])
    assert machine.docker.containers.run(TINY, ["sh", "-c", "echo $NVIDIA_VISIBLE_DEVICES"], device_requests=[gpu]) == b"1\n"


def test_the_base_image_has_python_and_pip(machine):
    script = "import pip, sys; print(sys.version_info >= (3, 10))"
    assert machine.docker.containers.run(BASE, ["python", "-c", script], network_mode="none") == b"True\n"


def test_processes_in_containers_are_known_outside(machine):
    a_container(machine)
    [pid] = machine.container_pids()
    until = time.monotonic() + 20
    # At first it still is docker's runc, which becomes the program.
    while b"sleep" not in Path(f"/proc/{pid}/cmdline").read_bytes():
        assert time.monotonic() < until
        time.sleep(0.01)


def test_a_container_out_of_memory_is_killed_for_that(machine):
    limits = {"mem_limit": "16m", "memswap_limit": "16m"}
    container = machine.docker.containers.run(BASE, ["python", "-c", "b'x' * 2**26"], detach=True, **limits)
    container.wait()
    state = machine.docker.api.inspect_container(container.id)["State"]
    assert (state["OOMKilled"], state["ExitCode"]) == (True, 137)


def test_a_container_runs_on_while_dockerd_restarts_with_live_restore(machine):
    container = a_container(machine)
    pids = machine.container_pids()
    machine.restart_dockerd(live_restore=True)
    assert state_of(machine, container) == ("running", 0)
    assert machine.container_pids() == pids


def test_a_container_is_stopped_when_dockerd_restarts_without_live_restore(machine):
    container = a_container(machine, "sh", "-c", "trap 'exit 7' TERM; sleep 1000 & wait")
    machine.restart_dockerd(live_restore=False)
    assert state_of(machine, container) == ("exited", 7)


def test_a_container_runs_on_when_dockerd_is_killed(machine):
    a_container(machine)
    pids = machine.container_pids()
    machine.kill_dockerd()
    assert not machine.docker_answers()
    assert machine.container_pids() == pids
    machine.start_dockerd(live_restore=True)
    assert machine.container_pids() == pids


def test_files_and_ended_containers_survive_a_reboot(machine):
    container = a_container(machine)
    (machine.workspace / "file").write_text("kept")
    machine.reboot()
    assert state_of(machine, container) == ("exited", 255)
    assert machine.ssh(f"cat {machine.workspace}/file").stdout == "kept"


# SSH


@pytest.mark.parametrize(
    ("user", "command", "may"),
    [
        ("root", "docker ps", True),
        ("with-docker", "docker ps", True),
        ("with-sudo", "docker ps", False),
        ("with-sudo", "sudo -n docker ps", True),
        ("without-docker", "docker ps", False),
        ("without-docker", "sudo -n docker ps", False),
    ],
)
def test_who_may_use_docker(machine, user, command, may):
    done = machine.ssh(command, user=user)
    assert (done.returncode == 0) is may, done.stderr
    assert may or "permission denied" in done.stderr or "a password is required" in done.stderr


def test_docker_over_ssh_is_the_dockerd_of_the_machine(machine):
    done = machine.ssh("docker info --format '{{.ID}} {{.Name}}'")
    assert done.stdout == f"{machine.docker.info()['ID']} gpu-a\n"


def test_only_authorized_keys_are_let_in(machine):
    assert logs_in(machine, key=machine.keys.plain)
    assert not logs_in(machine, key=machine.keys.stranger)


def test_the_encrypted_key_opens_with_its_passphrase_and_is_authorized(machine, tmp_path):
    ask = tmp_path / "ask"
    ask.write_text(f"#!/bin/sh\necho '{PASSPHRASE}'\n")
    ask.chmod(0o700)
    command = [*machine.ssh_command(key=machine.keys.encrypted, is_batch=False), "true"]
    environment = {"SSH_ASKPASS": str(ask), "SSH_ASKPASS_REQUIRE": "force", "PATH": "/usr/bin"}
    assert subprocess.run(command, env=environment, stdin=subprocess.DEVNULL, timeout=60, check=False).returncode == 0
    assert not logs_in(machine, key=machine.keys.encrypted)


def test_a_changed_host_key_is_noticed(machine):
    machine.change_host_key()
    machine.restart_sshd()
    assert "REMOTE HOST IDENTIFICATION HAS CHANGED" in machine.ssh("true").stderr
    machine.trust_host_key()
    assert logs_in(machine)


@pytest.mark.parametrize("is_allowed", [True, False])
def test_sockets_are_forwarded_if_that_is_allowed(machine, tmp_path, is_allowed):
    machine.restart_sshd(allows_stream_local=is_allowed)
    near = tmp_path / "near.sock"
    forward = subprocess.Popen([*machine.ssh_command(), "-N", f"-L{near}:/run/docker.sock"], stderr=subprocess.DEVNULL)
    try:
        wait_until(near.exists)
        assert dockerd_answers(near) is is_allowed
    finally:
        # Not by SIGTERM, which ssh 9.2 now and then notices only after five minutes.
        forward.kill()
        forward.wait()


def test_killed_connections_end_at_the_client_and_new_ones_are_accepted(machine):
    client = subprocess.Popen(
        [*machine.ssh_command(), "echo in; exec sleep 1000"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    with client:
        assert client.stdout.readline() == b"in\n"
        assert machine.kill_connections() > 0
        assert client.wait(timeout=20) == 255
    assert logs_in(machine)
    assert "sleep 1000" in machine.run("ps", "ax")


def test_nobody_gets_in_while_sshd_is_stopped(machine):
    port = machine.port
    machine.stop_sshd()
    assert not logs_in(machine)
    machine.start_sshd()
    assert logs_in(machine)
    assert machine.port == port


def test_a_blocked_port_answers_nothing_until_the_block_ends(machine):
    with machine.blocked():
        assert "timed out" in machine.ssh("true", timeout_s=1).stderr
    assert logs_in(machine)


def test_a_port_blocked_for_some_time_is_open_again_by_itself(machine):
    begun = time.monotonic()
    machine.block_port(seconds=0.5)
    # The kernel of the client repeats what was dropped.
    assert logs_in(machine)
    assert time.monotonic() - begun > 0.5


# Other things that a machine has


def test_nvidia_smi_answers_queries(machine):
    assert machine.ssh(f"nvidia-smi --query-gpu={FIELDS} --format=csv,noheader,nounits").stdout.splitlines() == [
        "0, GPU-3f1c2b7e-9a54-4d0e-8c61-5b2f7a9d4e10, NVIDIA H100 80GB HBM3, 570.133.20, 81559, 1, 0",
        "1, GPU-c84d0a16-27be-4f39-b1d5-e06a93f85c72, NVIDIA H100 80GB HBM3, 570.133.20, 81559, 1, 0",
    ]


@pytest.mark.parametrize(
    ("options", "answer", "status"),
    [
        ("--query-gpu=name,memory.total --format=csv --id=1", "name, memory.total [MiB]\nNVIDIA H100 80GB HBM3, 81559 MiB\n", 0),
        ("--query-gpu=gpu_name --format=csv,noheader -i 0", "NVIDIA H100 80GB HBM3\n", 0),
        ("--query-gpu=colour --format=csv", 'Field "colour" is not a valid field to query.\n\n', 2),
        ("--query-compute-apps=pid,used_memory --format=csv,noheader", "", 0),
        ("-L | cut -c1-40", "GPU 0: NVIDIA H100 80GB HBM3 (UUID: GPU-\nGPU 1: NVIDIA H100 80GB HBM3 (UUID: GPU-\n", 0),
    ],
)
def test_nvidia_smi_takes_options(machine, options, answer, status):
    done = machine.ssh(f"nvidia-smi {options}")
    assert (done.stdout, done.returncode) == (answer, status)


def test_nvidia_smi_shows_its_table(machine):
    assert "| N/A   29C    P0             69W /  700W |       1MiB /  81559MiB |" in machine.ssh("nvidia-smi").stdout


def test_nvidia_smi_fails_without_a_driver(machine):
    machine.set_gpus("no_driver")
    done = machine.ssh("nvidia-smi")
    assert (done.stdout.startswith("NVIDIA-SMI has failed"), done.returncode) == (True, 9)


def test_the_clock_can_be_wrong(machine):
    machine.set_clock(offset_s=-3600.5)
    assert float(machine.ssh("date +%s.%N").stdout) == pytest.approx(time.time() - 3600.5, abs=5)


def test_a_small_disk_is_full_soon(machine):
    with machine.small_disk(size_mb=1) as disk:
        written = machine.ssh(f"head -c 2M /dev/zero > {disk}/file")
        assert "No space left on device" in written.stderr
        assert machine.seen(disk / "file").stat().st_size == 2**20
        with pytest.raises(docker.errors.ContainerError, match="No space left on device"):
            machine.docker.containers.run(TINY, ["sh", "-c", "echo 1 > /disk/other"], volumes=[f"{disk}:/disk"])
    assert not disk.exists()


# Clean


def test_a_machine_is_made_clean(machine):
    a_container(machine, volumes=["volume:/volume"])
    machine.ssh("nohup sleep 1000 >/dev/null 2>&1 & echo lost > file; sudo true", user="with-sudo")
    (machine.workspace / "folder").mkdir()
    machine.set_clock(offset_s=60)
    machine.restart_dockerd(live_restore=True)
    machine.restart_sshd(allows_stream_local=False)
    machine.block_port(seconds=1000)
    machine.make_clean()
    assert (machine.containers(), machine.docker.volumes.list(), machine.container_pids()) == ([], [], [])
    assert "sleep" not in machine.run("ps", "ax")
    assert list(machine.workspace.iterdir()) == []
    assert machine.ssh("ls", user="with-sudo").stdout == ""
    assert not machine.docker.info()["LiveRestoreEnabled"]


def test_a_machine_that_is_off_is_made_clean(machine):
    machine.stop()
    machine.make_clean()
    assert logs_in(machine)


def test_nothing_is_left_of_a_machine_that_was_stopped(machine):
    a_container(machine)
    machine.block_port(seconds=1000)
    words = " ".join(leaks.find(machine.folder))
    assert all(thing in words for thing in ("dockerd", "in a container", "iptables rule", "control group"))
    machine.stop()
    assert leaks.find(machine.folder) == [f"folder {machine.folder}"]


def test_the_images_of_a_machine_can_be_removed_and_stay_in_the_store(machine):
    other = GPUMachine(leaks.new_folder(), "other")
    try:
        install_images(image_store(), other)
        other.start()
        for image in (LIBRARIES, BASE, TINY):
            other.docker.images.remove(image)
        assert other.docker.images.list() == []
    finally:
        other.remove()
    assert machine.docker.containers.run(BASE, ["python", "-c", "print(1)"], remove=True) == b"1\n"


KILLED = """
import time
from tests.hosts.images import TINY, image_store, install_images
from tests.hosts.leaks import new_folder
from tests.hosts.machine import GPUMachine

machine = GPUMachine(new_folder(), "killed")
install_images(image_store(), machine)
machine.start()
machine.docker.containers.run(TINY, ["sleep", "1000"], detach=True)
machine.block_port(seconds=1000)
print(machine.folder, flush=True)
time.sleep(1000)
"""


def test_a_machine_ends_with_the_process_that_started_it_and_the_next_one_removes_the_rest(gpu_machines):
    with subprocess.Popen([sys.executable, "-c", KILLED], cwd=ROOT, stdout=subprocess.PIPE) as process:
        folder = Path(process.stdout.readline().decode().strip())
        assert folder not in leaks.stale_folders()
        process.send_signal(signal.SIGKILL)
    wait_until(lambda: not [left for left in leaks.find(folder) if left.startswith(("process", "mount"))])
    assert folder in leaks.stale_folders()
    leaks.remove(folder)
    assert leaks.find(folder) == []
