"""`cosmos host check` on a real machine with a real fault: the right look fails, says what to do, and spares what needs it.

- nothing is left on the machine, whatever was found
- a fault of the GPUs is a failure only for families that need one
"""

from contextlib import closing, contextmanager

import pytest

from cosmos_ops.remote.checks import STEPS, check_host
from cosmos_ops.remote.findings import Check
from cosmos_ops.remote.spec import Limits
from cosmos_ops.remote.ssh_host import SSHHost
from tests.hosts.images import BASE
from tests.hosts.keys import PASSPHRASE

from .servers import a_spec, a_target

pytestmark = pytest.mark.gpu_machines

AFTER_LOGIN = {"user", "clock", "files", "disk", "docker", "docker disk", "limits", "images", "gpus", "gpu containers"}
AFTER_DOCKER = {"docker disk", "limits", "images", "gpu containers"}


@pytest.fixture
def look(machine, tmp_path):
    """Check the machine; by default as root, for a family that needs no GPU."""

    def look(*, needs_gpu=False, login=None, **values) -> dict[str, Check]:
        if login is not None:
            values["target"] = a_target(machine, tmp_path, **login)
        with closing(SSHHost(a_spec(machine, tmp_path, **values))) as host:
            checks = list(check_host(host, needs_gpu=needs_gpu))
        assert all(check.remedy for check in checks if check.verdict in ("warn", "fail"))
        return {check.name: check for check in checks}

    return look


def failed(checks):
    return {name for name, check in checks.items() if check.verdict == "fail"}


def skipped(checks):
    return {name for name, check in checks.items() if check.verdict == "skipped"}


def test_a_machine_in_order_passes_every_look_and_nothing_is_left_there(machine, look):
    checks = look(needs_gpu=True)

    assert {check.verdict for check in checks.values()} == {"ok"}
    assert len(checks) == len(STEPS)
    assert "round trip" in checks["ssh"].detail
    assert str(machine.docker_socket) in checks["docker"].detail
    assert checks["gpus"].detail.startswith("2 x NVIDIA H100")
    assert BASE in checks["gpu containers"].detail
    assert [path for path in machine.workspace.rglob("*") if path.is_file()] == []
    assert machine.containers() == []


def test_a_key_that_nobody_knows_is_refused_and_nothing_else_is_tried(machine, look):
    checks = look(login={"key_path": str(machine.keys.stranger)})

    assert failed(checks) == {"ssh"}
    assert skipped(checks) == AFTER_LOGIN
    assert f"ssh-copy-id -i {machine.keys.stranger} -p {machine.port} root@" in checks["ssh"].remedy


@pytest.mark.parametrize(("passphrase", "verdict"), [("", "fail"), ("wrong", "fail"), (PASSPHRASE, "ok")])
def test_an_encrypted_key_needs_its_passphrase(machine, look, passphrase, verdict):
    checks = look(login={"key_path": str(machine.keys.encrypted), "passphrase": passphrase})

    assert checks["ssh"].verdict == verdict
    assert ("passphrase" in checks["ssh"].remedy) is (verdict == "fail")
    assert PASSPHRASE not in str(checks)


def test_a_host_key_that_has_changed_is_never_overlooked(machine, look, tmp_path):
    known = a_target(machine, tmp_path).host_key
    machine.change_host_key()
    machine.restart_sshd()

    checks = look(login={"host_key": known})

    assert failed(checks) == {"ssh"}
    assert "host key has changed" in checks["ssh"].detail
    assert "ssh-keygen -lf" in checks["ssh"].remedy
    assert f"cosmos host add {machine.name} ssh://root@{machine.address}:{machine.port} --replace" in checks["ssh"].remedy


def test_a_machine_that_does_not_answer(machine, look):
    machine.stop_sshd()

    checks = look()

    assert failed(checks) == {"ssh"}
    assert f"ssh -p {machine.port}" in checks["ssh"].remedy


def test_a_login_shell_that_talks_is_named_with_its_words(machine, look):
    (machine.folder / "home" / "root" / ".bashrc").write_text("echo welcome to the machine\n")

    checks = look()

    assert "user" in failed(checks)
    assert "welcome to the machine" in checks["user"].detail


@pytest.mark.parametrize(("offset_s", "verdict"), [(2, "ok"), (60, "warn"), (-60, "warn"), (3600, "fail")])
def test_a_clock_that_is_wrong(machine, look, offset_s, verdict):
    machine.set_clock(offset_s=offset_s)

    clock = look()["clock"]

    assert clock.verdict == verdict
    assert ("behind" in clock.detail) is (offset_s < 0)


def test_a_workspace_that_is_closed_to_the_user(machine, look):
    (machine.folder / "closed").mkdir(mode=0o755, exist_ok=True)

    checks = look(login={"user": "with-docker"}, workspace=str(machine.folder / "closed"))

    assert failed(checks) == {"files"}
    assert "install -d -o with-docker" in checks["files"].remedy


def test_a_disk_that_is_too_small(machine, look):
    with machine.small_disk(size_mb=5) as path:
        checks = look(workspace=str(path))

    assert failed(checks) == {"disk"}
    assert skipped(checks) == {"files"}
    assert str(path) in checks["disk"].remedy


def test_a_user_who_may_not_use_docker(look):
    checks = look(login={"user": "without-docker"})

    assert failed(checks) == {"docker"}
    assert skipped(checks) == AFTER_DOCKER
    assert "usermod -aG docker without-docker" in checks["docker"].remedy
    assert "--docker-command" in checks["docker"].remedy


def test_docker_by_sudo(look):
    checks = look(login={"user": "with-sudo"}, docker_command=("sudo", "-n", "docker"))

    assert failed(checks) == set()
    assert "sudo -n docker" in checks["docker"].detail


def test_docker_that_is_not_running(machine, look):
    machine.stop_dockerd()

    checks = look()

    assert failed(checks) == {"docker"}
    assert skipped(checks) == AFTER_DOCKER
    assert "systemctl enable --now docker" in checks["docker"].remedy


def test_an_image_that_is_missing(machine, look):
    checks = look(images={"preview": "no-such-image:1", "other": BASE})

    assert failed(checks) == {"image preview"}
    assert checks["image preview"].remedy == f"`cosmos host setup {machine.name} --family preview`"
    assert checks["image other"].verdict == "ok"


def test_no_family_at_all_is_worth_a_word(look):
    checks = look(images={})

    assert checks["images"].verdict == "warn"
    assert "toolkit is there" in checks["gpu containers"].detail


@pytest.mark.parametrize(("needs_gpu", "verdict"), [(True, "fail"), (False, "warn")])
def test_a_driver_that_does_not_work(machine, look, needs_gpu, verdict):
    machine.set_gpus("no_driver")

    checks = look(needs_gpu=needs_gpu)

    assert checks["gpus"].verdict == verdict
    assert skipped(checks) == {"gpu containers"}
    assert "nvidia-smi" in checks["gpus"].remedy


@pytest.mark.parametrize(("needs_gpu", "verdict"), [(True, "fail"), (False, "warn")])
def test_a_slot_of_a_gpu_that_is_not_there(look, needs_gpu, verdict):
    gpus = look(needs_gpu=needs_gpu, slots=((0,), (5, 6)))["gpus"]

    assert gpus.verdict == verdict
    assert "slots name GPU 5, 6" in gpus.detail
    assert "--slots 0,1" in gpus.remedy


def test_docker_that_cannot_give_gpus_away(machine, look):
    with without_toolkit(machine):
        trial = look(needs_gpu=True)["gpu containers"]
        guess = look(needs_gpu=True, images={})["gpu containers"]

    assert (trial.verdict, guess.verdict) == ("fail", "fail")
    assert "could not select device driver" in trial.detail
    assert "nvidia-ctk" in trial.remedy
    assert machine.containers() == []


@contextmanager
def without_toolkit(machine):
    hook = machine.folder / "bin" / "nvidia-container-runtime-hook"
    content = hook.read_bytes()
    hook.unlink()
    machine.restart_dockerd()
    try:
        yield
    finally:
        hook.write_bytes(content)
        hook.chmod(0o755)
        machine.restart_dockerd()


@pytest.mark.parametrize(
    ("limits", "verdict", "words"),
    [
        (Limits(cpus=10_000), "fail", "docker refuses"),
        (Limits(memory_gb=100_000), "warn", "of memory each"),
        (Limits(shm_gb=100_000), "warn", "shared memory"),
        (Limits(memory_gb=1, shm_gb=2), "warn", "counts as memory"),
    ],
)
def test_limits_that_the_machine_cannot_keep(look, limits, verdict, words):
    found = look(limits=limits)["limits"]

    assert found.verdict == verdict
    assert words in found.detail
