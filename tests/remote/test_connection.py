"""The connection to a real sshd: who gets in and who is refused, many at once, words that arrive as they are, and coming back."""

import os
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest

from cosmos_ops.errors import DockerUnavailableError, HostKeyError, HostUnreachableError, LoginRefusedError
from cosmos_ops.remote import connection as connection_module
from cosmos_ops.remote.connection import SESSIONS_MAX, Connection
from cosmos_ops.remote.docker_client import DockerClient
from cosmos_ops.remote.foreign import translated
from cosmos_ops.remote.login import fetch_host_key, fingerprint_of
from cosmos_ops.remote.target import SSHTarget
from tests.hosts.keys import PASSPHRASE

from .servers import a_target, host_key_of

pytestmark = [
    pytest.mark.gpu_machines,
    # paramiko leaves the pipes of a ProxyCommand to the collector of garbage, which warns of them at any time later.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]
HOSTILE = ["a'; touch x", 'say "hi" $(id) `id`', "two words", "größe 視頻", "-n", "line\nbreak", "*", "\\", "~", ""]


@pytest.fixture
def connect(machine, tmp_path):
    made = []

    def connected(**values):
        made.append(Connection(machine.name, a_target(machine, tmp_path, **values)))
        return made[-1]

    yield connected
    for connection in made:
        connection.close()


def echoed(connection, *words):
    return connection.run(["printf", "%s\\0", *words]).stdout.split("\0")[:-1]


def test_words_reach_a_command_as_they_are(connect):
    assert echoed(connect(), *HOSTILE) == HOSTILE


def test_a_command_s_end_is_told_with_all_it_said(connect):
    finished = connect().run(["sh", "-c", "cat; echo oops >&2; exit 3"], stdin=b"x" * 3_000_000)

    assert (finished.code, len(finished.stdout), finished.stderr) == (3, 3_000_000, "oops\n")


def test_a_host_key_that_nobody_knows_is_refused_with_its_fingerprint(connect, machine):
    with pytest.raises(HostKeyError, match="is not known; it shows SHA256:") as error:
        connect(host_key="").run(["true"])
    assert fingerprint_of(host_key_of(machine)) in str(error.value)


def test_a_key_in_the_known_hosts_is_accepted(connect, machine, tmp_path):
    (tmp_path / "ssh").mkdir()
    (tmp_path / "ssh" / "known_hosts").write_text(machine.known_hosts.read_text())

    assert connect(host_key="").run(["true"]).code == 0


def test_a_changed_host_key_is_refused_with_both_fingerprints(connect, machine):
    connection = connect()
    known = fingerprint_of(host_key_of(machine))
    machine.change_host_key()
    machine.restart_sshd()
    machine.kill_connections()

    with pytest.raises(HostKeyError, match="has changed: known is") as error:
        connection.run(["true"])
    assert known in str(error.value)
    assert fetch_host_key(connection.target).fingerprint in str(error.value)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"key_path": "stranger"}, "refuses this user and key"),
        ({"key_path": "/nowhere/key"}, "cannot be read"),
        ({"key_path": "encrypted"}, "is encrypted; give its passphrase"),
        ({"key_path": "encrypted", "passphrase": "wrong"}, "wrong passphrase"),
        ({"user": "nobody-of-that-name"}, "refuses this user and key"),
    ],
)
def test_who_may_not_log_in_is_told_why(connect, machine, values, words):
    if values.get("key_path") in ("stranger", "encrypted"):
        values = {**values, "key_path": str(getattr(machine.keys, values["key_path"]))}

    with pytest.raises(LoginRefusedError, match=words):
        connect(**values).run(["true"])


def test_an_encrypted_key_opens_with_its_passphrase_from_file_or_text(connect, machine):
    assert connect(key_path=str(machine.keys.encrypted), passphrase=PASSPHRASE).run(["true"]).code == 0
    text = machine.keys.encrypted.read_text()
    assert connect(key_path="", key=text, passphrase=PASSPHRASE).run(["true"]).code == 0


def test_the_agent_holds_the_key(connect, machine, monkeypatch, tmp_path):
    socket = tmp_path / "agent"
    with subprocess.Popen(["ssh-agent", "-D", "-a", str(socket)], stdout=subprocess.DEVNULL) as agent:
        try:
            monkeypatch.setenv("SSH_AUTH_SOCK", str(socket))
            while not socket.exists():
                os.sched_yield()
            subprocess.run(["ssh-add", "-q", str(machine.keys.plain)], check=True, env=os.environ)
            connection = connect(key_path="")
            assert connection.run(["true"]).code == 0
            connection.close()
        finally:
            agent.terminate()


def test_an_alias_and_a_jump_come_from_the_configuration(machines, tmp_path):
    gate, inner = machines
    folder = tmp_path / "ssh"
    folder.mkdir()
    (folder / "known_hosts").write_text(gate.known_hosts.read_text() + inner.known_hosts.read_text())
    (folder / "config").write_text(
        f"Host gate\n HostName {gate.address}\n Port {gate.port}\n User root\n IdentityFile {gate.keys.plain}\n"
        f"Host inner\n HostName {inner.address}\n Port {inner.port}\n User root\n IdentityFile {inner.keys.plain}\n"
        " ProxyJump gate\n"
    )
    connection = Connection("inner", SSHTarget("inner", ssh_folder=folder))
    try:
        assert connection.run(["cat", "/proc/sys/kernel/hostname"]).stdout.strip() == inner.name
        gate.kill_connections()
        assert connection.run(["cat", "/proc/sys/kernel/hostname"]).stdout.strip() == inner.name
    finally:
        connection.close()


def test_a_proxy_command_carries_the_connection(machine, tmp_path):
    folder = tmp_path / "ssh"
    folder.mkdir()
    plain = [word for word in machine.ssh_command() if "@" not in word]
    destination = next(word for word in machine.ssh_command() if "@" in word)
    command = " ".join([*plain, "-W", f"{machine.address}:{machine.port}", destination])
    (folder / "config").write_text(f"Host rig\n HostName {machine.address}\n Port {machine.port}\n ProxyCommand {command}\n")
    connection = Connection(
        "rig", SSHTarget("rig", "root", key_path=str(machine.keys.plain), host_key=host_key_of(machine), ssh_folder=folder)
    )
    try:
        assert echoed(connection, "through") == ["through"]
    finally:
        connection.close()


def test_many_threads_share_one_connection_below_the_limit_of_sessions(connect, machine):
    connection = connect()
    most, lock = [0], threading.Lock()
    running = set()

    def work(number):
        with connection.sftp() as sftp:
            with lock:
                running.add(number)
                most[0] = max(most[0], len(running))
            sftp.stat("/")
            with lock:
                running.discard(number)
        return echoed(connection, str(number))

    with ThreadPoolExecutor(40) as threads:
        assert list(threads.map(work, range(80))) == [[str(number)] for number in range(80)]
    assert most[0] <= SESSIONS_MAX
    assert len(connections_to(machine)) == 1


def connections_to(machine):
    """The connections of this process to its sshd."""
    found = psutil.Process().net_connections("tcp")
    return [one for one in found if one.raddr and one.raddr.port == machine.port and one.status == psutil.CONN_ESTABLISHED]


def test_after_a_cut_the_next_call_connects_again(connect, machine):
    connection = connect()
    assert echoed(connection, "before") == ["before"]
    machine.kill_connections()

    assert echoed(connection, "after") == ["after"]


def test_a_host_that_is_down_is_not_asked_by_everybody_at_once(connect, machine, monkeypatch):
    monkeypatch.setattr(connection_module, "PAUSE_MIN_S", 4.0)
    connection = connect()
    machine.stop_sshd()
    machine.kill_connections()
    with pytest.raises(HostUnreachableError):
        connection.run(["true"])
    machine.start_sshd()

    # Within the pause the last error is repeated, whoever asks; after it the host is asked again.
    with pytest.raises(HostUnreachableError):
        connection.run(["true"])
    while True:
        try:
            assert connection.run(["true"]).code == 0
            break
        except HostUnreachableError:
            continue


def test_a_name_that_nobody_knows_is_said_so(tmp_path):
    connection = Connection("rig", SSHTarget("rig.invalid", "root", ssh_folder=tmp_path))

    with pytest.raises(HostUnreachableError, match="host rig: nobody knows its address"):
        connection.run(["true"])


# Docker through the connection


@pytest.fixture
def docker_of(connect):
    made = []

    def client(command=(), **values):
        made.append(DockerClient(connect(**values), command=command))
        return made[-1]

    yield client
    for one in made:
        one.close()


def test_docker_is_reached_through_its_socket(docker_of, machine):
    client = docker_of()

    assert client.api().ping()
    assert Path(client.way) == machine.docker_socket


def test_where_sockets_are_not_forwarded_docker_is_reached_through_a_command(docker_of, machine):
    machine.restart_sshd(allows_stream_local=False)
    client = docker_of()

    assert client.api().ping()
    assert client.way == "docker system dial-stdio"
    with ThreadPoolExecutor(20) as threads:
        assert all(threads.map(lambda _: client.api().ping(), range(60)))


def test_docker_is_reached_with_sudo(docker_of):
    client = docker_of(("sudo", "-n", "docker"), user="with-sudo")

    assert client.api().version()["ApiVersion"]
    assert client.way == "sudo -n docker system dial-stdio"


def test_who_may_not_use_docker_is_told_what_to_do(docker_of):
    with pytest.raises(DockerUnavailableError, match=r"permission denied.*usermod -aG docker without-docker"):
        docker_of(user="without-docker").api()


def test_docker_that_is_down_may_come_back(docker_of, machine):
    client = docker_of()
    assert client.api().ping()
    machine.stop_dockerd()
    for words in ("broke off", r"does not answer at .*sudo systemctl start docker"):
        # The first call meets the channel of before.
        with pytest.raises(HostUnreachableError, match=words), translated("rig"):
            client.api().containers()
    machine.start_dockerd()

    assert client.api().ping()
