"""What every kind of host keeps; a new kind is added to `KINDS`.

- a container is started once, whoever starts it how often
- every line is handed over, also to those who come late
- files arrive whole or not at all
"""

import os
import signal
import sys
import time
from pathlib import PurePosixPath

import psutil
import pytest

from cosmos_ops.errors import ContainerGoneError, TransferError
from cosmos_ops.job import ContainerExit, ContainerSpec, InputFile, LogLine
from cosmos_ops.remote.files import sha256_of
from cosmos_ops.remote.host import Fetch
from cosmos_ops.remote.local import LocalHost
from cosmos_ops.remote.ssh_host import SSHHost
from tests.hosts.images import BASE

from .servers import a_spec

pytestmark = pytest.mark.gpu_machines

KINDS = ("local", "ssh")
NAME = "cosmos-jb_1"
FOLDER = PurePosixPath("jobs/jb_1")


@pytest.fixture(params=KINDS)
def kind(request):
    """What a test asks for before its machine is needed."""
    return request.param


@pytest.fixture
def workspace(kind, request, tmp_path):
    """The workspace of the host, as the test sees it."""
    return tmp_path / "workspace" if kind == "local" else request.getfixturevalue("machine").workspace


@pytest.fixture
def connect(kind, workspace, request, tmp_path):
    """Makes connections to one and the same machine."""
    hosts = []

    def connected():
        if kind == "local":
            hosts.append(LocalHost(workspace))
        else:
            hosts.append(SSHHost(a_spec(request.getfixturevalue("machine"), tmp_path)))
        return hosts[-1]

    yield connected
    for state in connected().find({}):
        hosts[-1].stop(state.name, grace_s=0)
    for host in hosts:
        host.close()


@pytest.fixture
def host(connect):
    return connect()


def a_container(code, **env):
    return ContainerSpec(image=BASE, argv=("python", "-u", "-c", code), env=env, gpu_count=0)


def start(host, code, name=NAME, labels=None, **env):
    return host.start(name, a_container(code, **env), folder=FOLDER, labels=labels or {"cosmos.job": "jb_1"})


def inside(host, name):
    """A file of the job as the process sees it; the test sees it in the workspace."""
    return str(host.paths(FOLDER).job / name)


def follow(host, name=NAME, *, on_line=None, is_cancelled=lambda: False, stall_limit_s=30.0, grace_s=5.0):
    lines: list[LogLine] = []

    def take(line):
        lines.append(line)
        if on_line:
            on_line(line)

    ended = host.follow(name, on_line=take, is_cancelled=is_cancelled, stall_limit_s=lambda: stall_limit_s, grace_s=grace_s)
    return ended, lines


def texts(lines):
    return [line.text for line in lines]


def an_input(path, content=b"content"):
    path.write_bytes(content)
    return InputFile(source=path, sha256=sha256_of(path), size_bytes=len(content))


def test_two_starts_do_the_work_once(host):
    host.write(FOLDER / "spec", "")
    code = f"open({inside(host, 'done')!r}, 'a').write('x'); print('working')"

    start(host, code)
    start(host, code)
    first = follow(host)
    start(host, code)
    second = follow(host)

    assert first == second
    assert texts(first[1]) == ["working"]
    assert host.read(FOLDER / "done") == "x"


def test_who_comes_late_gets_every_line_from_the_first_on(host, connect):
    start(host, "print('one'); print('two')")
    follow(host)

    ended, lines = follow(connect())

    assert ended.code == 0
    assert texts(lines) == ["one", "two"]


def test_a_line_comes_while_the_container_still_runs(host):
    seen = inside(host, "seen")
    code = f"import os, time\nprint('first')\nwhile not os.path.exists({seen!r}): time.sleep(0.01)\nprint('second')"

    start(host, code)
    ended, lines = follow(host, on_line=lambda _: host.write(FOLDER / "seen", ""))

    assert (ended.code, texts(lines)) == (0, ["first", "second"])


def test_carriage_returns_redraw_and_both_streams_are_one_log(host):
    code = "import sys; print('a'); sys.stdout.write('\\rbar 1\\rbar 2\\n')\n"
    code += "print('b', file=sys.stderr); print('no end', end='')"
    start(host, code)

    _, lines = follow(host)

    assert [(line.text, line.is_redraw) for line in lines] == [
        ("a", False),
        ("bar 1", True),
        ("bar 2", True),
        ("b", False),
        ("no end", False),
    ]


@pytest.mark.parametrize("code", [0, 1, 3, 42])
def test_the_exit_code_is_the_programs(host, code):
    start(host, f"raise SystemExit({code})")

    assert follow(host)[0] == ContainerExit(code)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_after_a_signal_the_exit_code_is_128_and_its_number(host, number):
    start(host, f"import os; print('now'); os.kill(os.getpid(), {int(number)})")

    ended, lines = follow(host)

    assert ended == ContainerExit(128 + number)
    assert texts(lines) == ["now"]


def test_a_program_that_does_not_exist_ends_with_127_and_says_so(host):
    host.start(NAME, ContainerSpec(BASE, ("no-such-program",), {}, gpu_count=0), folder=FOLDER, labels={"cosmos.job": "jb_1"})

    ended, lines = follow(host)

    assert ended.code == 127
    assert "no-such-program" in " ".join(texts(lines))


def test_the_container_gets_its_own_environment_and_no_secret_of_ours(host, monkeypatch):
    monkeypatch.setenv("PREFECT_API_KEY", "secret")
    start(host, "import os; print(os.environ['OWN'], 'secret' in str(os.environ))", OWN="given")

    assert texts(follow(host)[1]) == ["given False"]


def test_stopping_lets_the_program_clean_up(host):
    code = "import signal, sys, time\n"
    code += "signal.signal(signal.SIGTERM, lambda *_: (print('cleaned'), sys.exit(143)))\nprint('up')\n"
    code += "time.sleep(60)"
    is_up = []

    start(host, code)
    ended, lines = follow(host, on_line=is_up.append, is_cancelled=lambda: bool(is_up))

    assert ended == ContainerExit(143, is_cancelled=True)
    assert texts(lines) == ["up", "cleaned"]


def test_who_does_not_listen_is_killed_after_the_grace(host):
    code = "import signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\nprint('up')\ntime.sleep(60)"
    is_up = []

    start(host, code)
    ended, _ = follow(host, on_line=is_up.append, is_cancelled=lambda: bool(is_up), grace_s=0.2)

    assert ended == ContainerExit(137, is_cancelled=True)


def test_children_of_the_program_are_stopped_with_it(host, kind, request):
    code = "import subprocess, sys, time\n"
    code += "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\nprint(child.pid)\ntime.sleep(60)"
    children = []

    start(host, code)
    follow(host, on_line=lambda line: children.append(int(line.text)), is_cancelled=lambda: bool(children), grace_s=0.2)

    if kind == "local":
        wait_until(lambda: not lives(children[0]))
    else:
        assert request.getfixturevalue("machine").container_pids() == []


def lives(process_id):
    try:
        return psutil.Process(process_id).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_silence_beyond_the_limit_counts_as_stalled(host):
    start(host, "import time; print('up'); time.sleep(60)")

    ended, lines = follow(host, stall_limit_s=1.0)

    assert ended.is_stalled
    assert not ended.is_cancelled
    assert texts(lines) == ["up"]


def test_containers_are_found_by_their_labels(host):
    start(host, "pass", name="cosmos-a", labels={"cosmos.job": "a", "kind": "x"})
    start(host, "import time; time.sleep(60)", name="cosmos-b", labels={"cosmos.job": "b", "kind": "x"})
    follow(host, "cosmos-a")

    found = {state.name: state for state in host.find({"kind": "x"})}

    assert set(found) == {"cosmos-a", "cosmos-b"}
    assert (found["cosmos-a"].exit, found["cosmos-b"].exit) == (ContainerExit(0), None)
    assert [state.name for state in host.find({"cosmos.job": "b", "kind": "x"})] == ["cosmos-b"]
    assert host.find({"cosmos.job": "c"}) == []


def test_a_removed_container_is_gone_and_one_that_runs_stays(host):
    start(host, "pass", name="ended")
    start(host, "import time; time.sleep(60)", name="running")
    follow(host, "ended")

    for name in ("ended", "running", "never was"):
        host.remove(name)

    assert [state.name for state in host.find({})] == ["running"]
    with pytest.raises(ContainerGoneError, match="ended"):
        follow(host, "ended")


def test_stopping_what_has_ended_or_never_was_is_no_error(host):
    start(host, "pass")
    follow(host)

    host.stop(NAME, grace_s=0)
    host.stop("never was", grace_s=0)

    assert follow(host)[0] == ContainerExit(0)


def test_an_input_is_sent_once(host, tmp_path):
    file = an_input(tmp_path / "A.MP4")
    same = an_input(tmp_path / "other name.mp4")

    assert [host.put([file]), host.put([file]), host.put([same, file])] == [7, 0, 0]
    assert host.read(file.host_path) == "content"
    seen = str(host.paths(FOLDER).input(file))
    start(host, f"print(open({seen!r}).read())")
    assert texts(follow(host)[1]) == ["content"]


def test_an_input_that_changed_since_it_was_read_is_refused(host, tmp_path):
    file = an_input(tmp_path / "a.mp4")
    file.source.write_bytes(b"changed")

    with pytest.raises(TransferError, match="has changed or was damaged"):
        host.put([file])
    assert not host.exists(file.host_path)


def test_half_an_input_is_sent_again(host, tmp_path):
    file = an_input(tmp_path / "a.mp4")
    host.write(file.host_path, "con")

    assert host.put([file]) == 7
    assert host.read(file.host_path) == "content"


def test_a_file_comes_home_whole_and_checked(host, tmp_path):
    host.write(PurePosixPath("jobs/jb_1/out.txt"), "größe")
    target = tmp_path / "home" / "out.txt"
    sha256 = an_input(tmp_path / "same", "größe".encode()).sha256

    host.get([Fetch(FOLDER / "out.txt", target, sha256)])

    assert target.read_text(encoding="utf-8") == "größe"


@pytest.mark.parametrize(("content", "words"), [(None, "is not there"), ("damaged", "has changed or was damaged")])
def test_what_is_missing_or_damaged_leaves_nothing_at_home(host, tmp_path, content, words):
    path = PurePosixPath("jobs/jb_1/out.txt")
    if content:
        host.write(path, content)

    with pytest.raises(TransferError, match=words):
        host.get([Fetch(path, tmp_path / "home" / "out.txt", "0" * 64)])

    assert list((tmp_path / "home").iterdir()) == []


def test_small_files_and_folders_come_and_go(host):
    path = PurePosixPath("jobs/jb_1/spec.json")
    host.write(path, "{}\n")
    host.write(path, "[]\n")

    assert (host.read(path), host.exists(path), host.read(PurePosixPath("jobs/none"))) == ("[]\n", True, None)
    host.remove_folder(PurePosixPath("jobs/jb_1"))
    host.remove_folder(PurePosixPath("jobs/jb_1"))
    assert not host.exists(path)


@pytest.mark.parametrize(("age_s", "stays"), [(60, True), (7200, False)])
def test_what_an_interrupted_transfer_left_goes_after_a_while(host, kind, workspace, age_s, stays):
    name = "inputs/.a.mp4.1234.partial" if kind == "local" else "partials/half"
    host.write(PurePosixPath(name), "half")
    os.utime(workspace / name, (time.time() - age_s, time.time() - age_s))

    host.tidy()

    assert host.exists(PurePosixPath(name)) is stays


def test_a_healthy_host_has_no_problem(host):
    assert host.health().problems == ()


def wait_until(is_true, limit_s=20.0):
    until = time.monotonic() + limit_s
    while not is_true():
        assert time.monotonic() < until
        time.sleep(0.01)


def supervisor_of(folder):
    for process in psutil.process_iter(["cmdline"]):
        if (process.info["cmdline"] or [])[1:] == ["-m", "cosmos_ops.remote.supervisor", str(folder)]:
            return process
    return None


@pytest.mark.skipif(sys.platform == "win32", reason="plain processes are for Linux and macOS")
def test_without_its_supervisor_a_process_goes_on_and_its_end_is_judged(tmp_path):
    host = LocalHost(tmp_path / "workspace")
    go_on = tmp_path / "go on"
    code = f"import os, time\nprint('up')\nwhile not os.path.exists({str(go_on)!r}): time.sleep(0.01)\nprint('still here')"
    start(host, code)
    supervisor = supervisor_of(tmp_path / "workspace" / "containers" / NAME)

    os.kill(supervisor.pid, signal.SIGKILL)
    wait_until(lambda: not supervisor.is_running() or supervisor.status() == psutil.STATUS_ZOMBIE)
    (state,) = host.find({})
    start(host, code)
    ended, lines = follow(host, on_line=lambda _: go_on.touch())

    assert state.exit is None
    assert texts(lines) == ["up", "still here"]
    assert ended.code == 137
