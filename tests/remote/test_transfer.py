"""Files to and from a real sshd: whole or not at all, sent once, gone on with after every kind of break.

- what lies on the host is not sent again, and nothing damaged gets its final name
- a broken upload or download goes on where it was, also in another process
- full disks, closed folders, changed sources and cut connections are told apart
- names may hold anything
"""

import hashlib
import os
import shutil
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

import pytest

from cosmos_ops.errors import DiskFullError, HostUnhealthyError, HostUnreachableError, OutputsFolderError, TransferError
from cosmos_ops.remote import judging, ssh_transport
from cosmos_ops.remote.connection import Connection
from cosmos_ops.remote.host_hashes import HashAlong
from cosmos_ops.remote.packets import Packetizer
from cosmos_ops.remote.partials import PartialName
from cosmos_ops.remote.target import SSHTarget
from cosmos_ops.remote.transfer import Download, Transfers, Upload
from tests.bench.transfers import DelayProxy

MB = 1_000_000
BIG = 40 * MB
NAMES = ["a'; touch x", "two  spaces", "größe 視頻", "-rf", "new\nline", '"$(touch x)`touch x`\\', "100%", "*"]
ELSEWHERE = "another-machine/1/1.00"
pytestmark = pytest.mark.gpu_machines
needs_mounts = pytest.mark.skipif(shutil.which("unshare") is None, reason="needs root for a small tmpfs")


@pytest.fixture
def connect(machine, tmp_path):
    """Makes connections to the machine, also of other users or by another port."""
    made = []

    def connect(user="root", port=None):
        host_key = machine.known_hosts.read_text().partition(" ")[2].strip()
        target = SSHTarget(
            machine.address, user, port or machine.port, key_path=str(machine.keys.plain), host_key=host_key, ssh_folder=tmp_path
        )
        made.append(Connection("gpu", target))
        return made[-1]

    yield connect
    for connection in made:
        connection.close()


@pytest.fixture
def workspace(machine):
    return PurePosixPath(machine.workspace)


@pytest.fixture
def transfers(connect, workspace):
    return Transfers(connect(), partials=workspace / "partials")


@pytest.fixture
def partials(machine):
    """The folder of partial files, as this process sees it."""
    return machine.workspace / "partials"


def a_file(path, size=3 * MB, content=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(os.urandom(size) if content is None else content)
    return path


def an_upload(path, workspace, *, name=None):
    content = path.read_bytes()
    sha256 = hashlib.sha256(content).hexdigest()
    return Upload(path, workspace / "inputs" / (name or sha256 + ".mp4"), sha256, len(content))


def a_download(path, target, *, sha256=None, size_bytes=None):
    return Download(PurePosixPath(path), target, sha256 or hashlib.sha256(path.read_bytes()).hexdigest(), size_bytes)


def is_there(upload):
    return Path(upload.target).read_bytes() == upload.source.read_bytes()


def names_in(folder):
    return sorted(path.name for path in folder.iterdir())


class Counter:
    """Counts bytes, and does something once after so many."""

    def __init__(self, after=None, do=None):
        self.count, self._after, self._do = 0, after, do

    def __call__(self, size):
        self.count += size
        if self._after is not None and self.count >= self._after:
            self._after = None
            self._do()


def raising(error):
    def function():
        raise error

    return function


# Uploads


def test_what_is_sent_lies_under_its_name_and_is_not_sent_again(transfers, workspace, partials, tmp_path):
    uploads = [an_upload(a_file(tmp_path / f"{size}", size), workspace) for size in (0, 1, 261_120, 5 * MB)]
    size = sum(upload.size_bytes for upload in uploads)
    counter, again = Counter(), Counter()

    assert transfers.upload(uploads, on_sent=counter) == size
    assert transfers.upload(uploads, on_sent=again) == 0
    assert (counter.count, again.count) == (size, 0)
    assert all(map(is_there, uploads))
    assert names_in(partials) == []


def test_one_call_sends_equal_content_once_for_each_name(transfers, workspace, tmp_path):
    path = a_file(tmp_path / "a")
    one, other = an_upload(path, workspace, name="one"), an_upload(path, workspace, name="other")

    assert transfers.upload([one, one, other]) == 2 * one.size_bytes
    assert is_there(one)
    assert is_there(other)


def test_nothing_to_send_is_nothing(transfers):
    assert (transfers.upload([]), transfers.download([])) == (0, 0)


def test_many_small_files_go_and_come(transfers, workspace, tmp_path):
    uploads = [an_upload(a_file(tmp_path / "here" / f"{n}", 300 + n), workspace) for n in range(300)]

    transfers.upload(uploads)
    downloads = [Download(upload.target, tmp_path / "home" / upload.source.name, upload.sha256) for upload in uploads]

    assert transfers.download(downloads) == sum(upload.size_bytes for upload in uploads)
    assert all((tmp_path / "home" / upload.source.name).read_bytes() == upload.source.read_bytes() for upload in uploads)


def test_half_a_file_under_the_final_name_is_sent_again(transfers, workspace, tmp_path):
    upload = an_upload(a_file(tmp_path / "a"), workspace)
    a_file(Path(upload.target), 100)

    assert transfers.upload([upload]) == upload.size_bytes
    assert is_there(upload)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda path: path.unlink(), "is not there"),
        (lambda path: path.write_bytes(b"x" * 3 * MB), "has changed or was damaged"),
        (lambda path: path.write_bytes(b"x"), "has changed or was damaged"),
    ],
)
def test_a_source_that_is_gone_or_has_changed_leaves_nothing(transfers, workspace, partials, tmp_path, change, words):
    upload = an_upload(a_file(tmp_path / "a"), workspace)
    change(upload.source)

    with pytest.raises(TransferError, match=words):
        transfers.upload([upload])

    assert not transfers.exists(upload.target)
    assert not partials.exists() or names_in(partials) == []


def test_a_source_that_shrinks_while_it_is_sent_is_refused(transfers, workspace, tmp_path):
    upload = an_upload(a_file(tmp_path / "a", BIG), workspace)
    shrink = Counter(after=MB, do=lambda: os.truncate(upload.source, 2 * MB))

    with pytest.raises(TransferError, match="has changed or was damaged"):
        transfers.upload([upload], on_sent=shrink)

    assert not transfers.exists(upload.target)


def damage(partials):
    (path,) = partials.iterdir()
    with path.open("r+b") as file:
        first = file.read(1)
        file.seek(0)
        file.write(bytes([first[0] ^ 1]))


def test_what_arrived_damaged_is_sent_once_more(transfers, workspace, partials, tmp_path):
    upload = an_upload(a_file(tmp_path / "a"), workspace)

    sent = transfers.upload([upload], on_sent=Counter(after=upload.size_bytes, do=lambda: damage(partials)))

    assert sent == 2 * upload.size_bytes
    assert is_there(upload)
    assert names_in(partials) == []


def test_what_arrived_damaged_twice_is_an_error_with_both_hashes(transfers, workspace, partials, tmp_path):
    upload = an_upload(a_file(tmp_path / "a"), workspace)
    seen = 0

    def damage_each(size):
        nonlocal seen
        seen += size
        if size and seen % upload.size_bytes == 0:
            damage(partials)

    with pytest.raises(TransferError, match="has changed or was damaged") as caught:
        transfers.upload([upload], on_sent=damage_each)

    content = upload.source.read_bytes()
    found = hashlib.sha256(bytes([content[0] ^ 1]) + content[1:]).hexdigest()
    assert all(word in str(caught.value) for word in (upload.sha256, found, str(upload.source), "gpu"))
    assert not transfers.exists(upload.target)
    assert names_in(partials) == []


@contextmanager
def commands_that_fail(machine, *names):
    for name in names:
        path = machine.folder / "bin" / name
        path.write_text("#!/bin/sh\nexit 127\n")
        path.chmod(0o755)
    try:
        yield
    finally:
        for name in names:
            (machine.folder / "bin" / name).unlink()


@pytest.mark.parametrize("missing", [["openssl"], ["openssl", "sha256sum"]])
def test_hosts_without_the_usual_programs_verify_too(machine, transfers, workspace, partials, tmp_path, missing):
    uploads = [an_upload(a_file(tmp_path / f"{n}"), workspace) for n in range(3)]

    with commands_that_fail(machine, *missing):
        transfers.upload(uploads[:2])
        counter = Counter(after=uploads[2].size_bytes, do=lambda: damage(partials))
        assert transfers.upload(uploads[2:], on_sent=counter) == 2 * uploads[2].size_bytes

    assert all(map(is_there, uploads))


def test_a_large_file_is_hashed_while_it_grows(connect, machine):
    path = a_file(machine.workspace / "big")
    with path.open("ab") as file:
        along = HashAlong(connect(), PurePosixPath(path), size_bytes=BIG)
        for _ in range(3):
            along.tell(file.tell())
            file.write(os.urandom((BIG - 3 * MB) // 3 + 1))
            file.flush()
        os.truncate(path, BIG)

    assert along.finish() == hashlib.sha256(path.read_bytes()).hexdigest()
    along.close()


def test_a_large_file_arrives_with_and_without_its_hash_along(machine, transfers, workspace, tmp_path, monkeypatch):
    monkeypatch.setattr(judging, "ALONG_BYTES_MIN", MB)
    one, other = (an_upload(a_file(tmp_path / name, BIG), workspace) for name in ("one", "other"))

    transfers.upload([one])
    with commands_that_fail(machine, "python3"):
        transfers.upload([other])

    assert is_there(one)
    assert is_there(other)


# Going on


def test_after_a_cut_the_upload_goes_on(machine, transfers, workspace, partials, tmp_path):
    upload = an_upload(a_file(tmp_path / "a", BIG), workspace)
    before, after = Counter(after=10 * MB, do=machine.kill_connections), Counter()

    with pytest.raises(HostUnreachableError):
        transfers.upload([upload], on_sent=before)
    assert not Path(upload.target).exists()
    sent = transfers.upload([upload], on_sent=after)

    assert 0 < sent <= BIG - before.count
    assert sent == after.count
    assert is_there(upload)
    assert names_in(partials) == []


@pytest.mark.parametrize("error", [KeyboardInterrupt("stop"), TimeoutError("ours"), FileNotFoundError("ours"), EOFError("ours")])
def test_whoever_watches_may_break_off_and_the_upload_goes_on_later(transfers, workspace, tmp_path, error):
    upload = an_upload(a_file(tmp_path / "a", BIG), workspace)
    before = Counter(after=10 * MB, do=raising(error))

    with pytest.raises(type(error)) as caught:
        transfers.upload([upload], on_sent=before)

    assert caught.value is error
    assert transfers.upload([upload]) <= BIG - before.count
    assert is_there(upload)


def test_breaking_off_often_uses_nothing_up(transfers, workspace, tmp_path):
    upload = an_upload(a_file(tmp_path / "a", 30 * MB), workspace)
    count = threading.active_count()

    for _ in range(12):
        with pytest.raises(KeyboardInterrupt):
            transfers.upload([upload], on_sent=Counter(after=1, do=raising(KeyboardInterrupt())))

    transfers.upload([upload])
    assert is_there(upload)
    assert threading.active_count() <= count + 2


UPLOAD = """
import os, signal, sys
from pathlib import Path, PurePosixPath
from cosmos_ops.remote.connection import Connection
from cosmos_ops.remote.target import SSHTarget
from cosmos_ops.remote.transfer import Transfers, Upload

address, port, key, host_key, folder, partials, source, target, sha256, size, end_after = sys.argv[1:]
connection = Connection("gpu", SSHTarget(address, "root", int(port), key_path=key, host_key=host_key, ssh_folder=Path(folder)))
count, is_told = 0, False

def on_sent(size):
    global count, is_told
    count += size
    if count and not is_told:
        is_told = True
        print("sending", flush=True)
        sys.stdin.readline()
    if int(end_after) and count >= int(end_after):
        print(count, flush=True)
        os.kill(os.getpid(), signal.SIGKILL)

upload = Upload(Path(source), PurePosixPath(target), sha256, int(size))
print(Transfers(connection, partials=PurePosixPath(partials)).upload([upload], on_sent=on_sent))
connection.close()
"""


def another_process(machine, upload, partials, tmp_path, *, end_after=0):
    host_key = machine.known_hosts.read_text().partition(" ")[2].strip()
    words = [machine.address, machine.port, machine.keys.plain, host_key, tmp_path, partials]
    words += [upload.source, upload.target, upload.sha256, upload.size_bytes, end_after]
    command = [sys.executable, "-c", UPLOAD, *map(str, words)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, encoding="utf-8")


def test_what_a_killed_process_sent_is_not_sent_again(machine, transfers, workspace, partials, tmp_path):
    upload = an_upload(a_file(tmp_path / "a", BIG), workspace)

    with another_process(machine, upload, partials, tmp_path, end_after=10 * MB) as killed:
        output, _ = killed.communicate("go\n", timeout=60)
    count = int(output.split()[-1])
    sent = transfers.upload([upload])

    assert killed.returncode == -signal.SIGKILL
    assert 0 < sent <= BIG - count
    assert is_there(upload)
    assert names_in(partials) == []


def test_two_processes_that_send_the_same_do_not_disturb_each_other(machine, workspace, partials, tmp_path):
    upload = an_upload(a_file(tmp_path / "a", BIG), workspace)

    with (
        another_process(machine, upload, partials, tmp_path) as one,
        another_process(machine, upload, partials, tmp_path) as other,
    ):
        # Both are in the middle before either may go on.
        assert [process.stdout.readline() for process in (one, other)] == ["sending\n"] * 2
        outputs = [process.communicate("go\n", timeout=60)[0] for process in (one, other)]

    assert (one.returncode, other.returncode) == (0, 0)
    assert [int(output) for output in outputs] == [BIG, BIG]
    assert is_there(upload)
    assert names_in(partials) == []


def test_a_second_thread_waits_and_sends_nothing(connect, workspace, tmp_path):
    upload = an_upload(a_file(tmp_path / "a"), workspace)
    is_sending, is_waiting = threading.Event(), threading.Event()

    def hold(size):
        is_sending.set()
        assert is_waiting.wait(30)

    def second():
        assert is_sending.wait(30)
        return Transfers(connect(), partials=workspace / "partials").upload([upload], on_sent=lambda _: is_waiting.set())

    with ThreadPoolExecutor() as threads:
        other = threads.submit(second)
        sent = Transfers(connect(), partials=workspace / "partials").upload([upload], on_sent=hold)

        assert (sent, other.result(30)) == (upload.size_bytes, 0)


def left_behind(partials, upload, owner, *, size=MB, rewind_bytes=0, age_s=0, content=None):
    name = PartialName(upload.sha256, owner, "place", rewind_bytes)
    path = a_file(partials / str(name), content=upload.source.read_bytes()[:size] if content is None else content)
    os.utime(path, (path.stat().st_mtime - age_s,) * 2)
    return path


def test_what_somebody_else_writes_at_this_moment_is_left_alone(transfers, workspace, partials, tmp_path):
    upload = an_upload(a_file(tmp_path / "a"), workspace)
    theirs = left_behind(partials, upload, ELSEWHERE)

    assert transfers.upload([upload]) == upload.size_bytes
    assert names_in(partials) == [theirs.name]


def test_what_nobody_has_touched_for_a_minute_is_gone_on_with(transfers, workspace, partials, tmp_path):
    upload = an_upload(a_file(tmp_path / "a"), workspace)
    left_behind(partials, upload, ELSEWHERE, age_s=61)

    assert transfers.upload([upload]) == upload.size_bytes - MB
    assert is_there(upload)
    assert names_in(partials) == []


def test_where_several_connections_wrote_the_end_is_sent_again(transfers, workspace, partials, tmp_path):
    upload = an_upload(a_file(tmp_path / "a"), workspace)
    content = upload.source.read_bytes()[:MB] + bytes(500_000)
    left_behind(partials, upload, ELSEWHERE, rewind_bytes=500_000, age_s=61, content=content)

    assert transfers.upload([upload]) == upload.size_bytes - MB
    assert is_there(upload)


@pytest.mark.parametrize("content", [bytes(MB), bytes(3 * MB), bytes(4 * MB)])
def test_rubbish_that_was_left_is_not_believed(transfers, workspace, partials, tmp_path, content):
    upload = an_upload(a_file(tmp_path / "a"), workspace)
    left_behind(partials, upload, ELSEWHERE, age_s=61, content=content)

    transfers.upload([upload])

    assert is_there(upload)


def test_all_that_was_left_needs_only_its_name(transfers, workspace, partials, tmp_path):
    upload = an_upload(a_file(tmp_path / "a"), workspace)
    left_behind(partials, upload, ELSEWHERE, age_s=61, size=upload.size_bytes)

    assert transfers.upload([upload]) == 0
    assert is_there(upload)


# Disks, rights, names


def test_what_does_not_fit_is_refused_before_anything_is_sent(machine, connect, tmp_path):
    counter = Counter()
    with machine.small_disk(size_mb=50) as disk:
        transfers = Transfers(connect(), partials=PurePosixPath(disk, "partials"))
        upload = an_upload(a_file(tmp_path / "a"), PurePosixPath(disk))

        with pytest.raises(DiskFullError, match=r"gpu.*partials has 52 MB left.*need 3 MB"):
            transfers.upload([upload], on_sent=counter)

        assert counter.count == 0
        assert [path for path in machine.seen(disk).rglob("*") if path.is_file()] == []


def fill(folder):
    with (folder / "filler").open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(100_000))
        except OSError:
            return


def test_a_disk_that_becomes_full_is_named_and_nothing_stays(machine, connect, tmp_path):
    with machine.small_disk(size_mb=110) as disk:
        transfers = Transfers(connect(), partials=PurePosixPath(disk, "partials"))
        upload = an_upload(a_file(tmp_path / "a", BIG), PurePosixPath(disk))

        with pytest.raises(DiskFullError, match=r"gpu.*no space left for .*partials"):
            transfers.upload([upload], on_sent=Counter(after=MB, do=lambda: fill(machine.seen(disk))))

        assert [path.name for path in machine.seen(disk).rglob("*") if path.is_file()] == ["filler"]


def test_a_small_file_on_a_full_disk_stays_what_it_was(machine, connect):
    with machine.small_disk(size_mb=1) as disk:
        path = PurePosixPath(disk, "spec.json")
        transfers = Transfers(connect(), partials=PurePosixPath(disk, "partials"))
        transfers.write_text(path, "old")
        fill(machine.seen(disk))

        with pytest.raises(DiskFullError, match="gpu"):
            transfers.write_text(path, "new" * 10_000)

        assert transfers.read_text(path) == "old"
        assert names_in(machine.seen(disk) / "partials") == []


def test_a_folder_that_is_closed_to_the_user_is_told(machine, connect, workspace, tmp_path):
    closed = machine.workspace / "closed"
    closed.mkdir(mode=0o700)
    transfers = Transfers(connect(user="without-docker"), partials=PurePosixPath(closed, "partials"))
    upload = an_upload(a_file(tmp_path / "a"), PurePosixPath(closed))

    for attempt in (
        lambda: transfers.upload([upload]),
        lambda: transfers.write_text(upload.target, "text"),
        lambda: transfers.read_text(upload.target),
        lambda: transfers.make_folders(PurePosixPath(closed, "inputs")),
        lambda: transfers.read_from(upload.target, 0, 10),
        lambda: transfers.download([Download(upload.target, tmp_path / "home" / "a", "0" * 64)]),
    ):
        with pytest.raises(HostUnhealthyError, match=r"gpu.*without-docker.*closed"):
            attempt()
    with pytest.raises(HostUnhealthyError, match=r"gpu.*closed"):
        transfers.remove_tree(PurePosixPath(closed))


@pytest.mark.parametrize("name", NAMES)
def test_names_may_hold_anything(connect, workspace, tmp_path, name):
    folder = workspace / name
    transfers = Transfers(connect(), partials=folder / "partials")
    upload = an_upload(a_file(tmp_path / "here" / name), folder)

    transfers.upload([upload])
    transfers.download([Download(upload.target, tmp_path / "home" / name, upload.sha256)])
    transfers.write_text(folder / name, "größe")

    assert is_there(upload)
    assert (tmp_path / "home" / name).read_bytes() == upload.source.read_bytes()
    assert (transfers.read_text(folder / name), transfers.read_from(folder / name, 2, 3)) == ("größe", "öß".encode()[:3])
    assert transfers.free_bytes(folder) > 0
    assert names_in(Path(workspace)) == [name]
    transfers.remove_tree(folder)
    assert names_in(Path(workspace)) == []


# Downloads


def test_files_come_home_whole(transfers, machine, tmp_path):
    paths = [a_file(machine.workspace / f"{size}", size) for size in (0, 1, 261_121, 5 * MB)]
    counter = Counter()

    received = transfers.download([a_download(path, tmp_path / "home" / path.name) for path in paths], on_received=counter)

    assert received == counter.count == sum(path.stat().st_size for path in paths)
    assert names_in(tmp_path / "home") == sorted(path.name for path in paths)
    assert all((tmp_path / "home" / path.name).read_bytes() == path.read_bytes() for path in paths)


def test_what_is_missing_on_the_host_or_not_what_it_should_be_leaves_nothing_at_home(transfers, machine, tmp_path):
    path, target = a_file(machine.workspace / "a"), tmp_path / "home" / "a"
    wrong = "0" * 64

    for download, words in (
        (Download(PurePosixPath(machine.workspace, "none"), target, wrong), "is not there"),
        (a_download(path, target, sha256=wrong), f"has changed or was damaged.*{wrong}"),
        (a_download(path, target, size_bytes=1), "has changed or was damaged"),
    ):
        with pytest.raises(TransferError, match=words):
            transfers.download([download])
        assert names_in(tmp_path / "home") == []


def test_a_file_that_shrinks_while_it_comes_is_refused(transfers, machine, tmp_path):
    path = a_file(machine.workspace / "a", BIG)

    with pytest.raises(TransferError, match="has changed or was damaged"):
        transfers.download(
            [a_download(path, tmp_path / "home" / "a")], on_received=Counter(after=1, do=lambda: os.truncate(path, MB))
        )

    assert not (tmp_path / "home" / "a").exists()


def test_after_a_cut_a_large_download_goes_on(machine, transfers, tmp_path):
    path = a_file(machine.workspace / "a", BIG)
    download = a_download(path, tmp_path / "home" / "a")
    before = Counter(after=15 * MB, do=machine.kill_connections)

    with pytest.raises(HostUnreachableError):
        transfers.download([download], on_received=before)
    assert not download.target.exists()
    received = transfers.download([download])

    assert received == BIG - before.count
    assert names_in(tmp_path / "home") == ["a"]
    assert download.target.read_bytes() == path.read_bytes()


def test_after_a_cut_little_is_not_kept(machine, transfers, tmp_path):
    download = a_download(a_file(machine.workspace / "a", BIG), tmp_path / "home" / "a")

    with pytest.raises(KeyboardInterrupt):
        transfers.download([download], on_received=Counter(after=1, do=raising(KeyboardInterrupt())))

    assert names_in(tmp_path / "home") == []


@pytest.mark.parametrize("size", [10 * MB, BIG])
def test_what_was_kept_is_not_believed(machine, transfers, tmp_path, size):
    path = a_file(machine.workspace / "a", BIG)
    download = a_download(path, tmp_path / "home" / "a")
    a_file(tmp_path / "home" / f".{PartialName(download.sha256[:16], 'nobody/1/1.0', 'place')}.partial", size)
    os.utime(next((tmp_path / "home").iterdir()), (0, 0))

    assert transfers.download([download]) == BIG - size + BIG
    assert names_in(tmp_path / "home") == ["a"]
    assert download.target.read_bytes() == path.read_bytes()


def test_a_folder_at_home_that_cannot_be_written_is_told(machine, transfers, tmp_path):
    a_file(tmp_path / "home")

    with pytest.raises(OutputsFolderError, match="home"):
        transfers.download([a_download(a_file(machine.workspace / "a"), tmp_path / "home" / "a")])


DOWNLOAD = """
import sys
from pathlib import Path, PurePosixPath
from cosmos_ops.errors import DiskFullError
from cosmos_ops.remote.connection import Connection
from cosmos_ops.remote.target import SSHTarget
from cosmos_ops.remote.transfer import Download, Transfers

address, port, key, host_key, folder, source, target, sha256 = sys.argv[1:]
connection = Connection("gpu", SSHTarget(address, "root", int(port), key_path=key, host_key=host_key, ssh_folder=Path(folder)))
try:
    download = Download(PurePosixPath(source), Path(target), sha256)
    Transfers(connection, partials=PurePosixPath("/none")).download([download])
except DiskFullError as error:
    print(error)
    print([path.name for path in Path(target).parent.iterdir()])
connection.close()
"""


@needs_mounts
def test_a_full_disk_at_home_is_named_and_nothing_stays(machine, tmp_path):
    path, disk = a_file(machine.workspace / "a", BIG), tmp_path / "disk"
    disk.mkdir()
    host_key = machine.known_hosts.read_text().partition(" ")[2].strip()
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    words = [machine.address, machine.port, machine.keys.plain, host_key, tmp_path, path, disk / "a.mp4", sha256]
    script = 'mount -t tmpfs -o size=20m none "$1" && shift && exec "$@"'
    command = ["unshare", "--mount", "bash", "-c", script, "bash", disk, sys.executable, "-c", DOWNLOAD, *map(str, words)]

    done = subprocess.run(command, capture_output=True, encoding="utf-8", timeout=60)

    assert done.returncode == 0, done.stderr
    message, left = done.stdout.splitlines()
    assert str(disk / "a.mp4") in message
    assert left == "[]"


# From far away


def test_from_far_away_several_connections_share_the_work(machine, connect, workspace, partials, tmp_path):
    upload = an_upload(a_file(tmp_path / "a", BIG), workspace)
    with DelayProxy(machine.address, machine.port, round_trip_s=0.03) as proxy:
        transfers = Transfers(connect(port=proxy.port), partials=workspace / "partials")

        sent = transfers.upload([upload])
        received = transfers.download([Download(upload.target, tmp_path / "home" / "a", upload.sha256)])

    assert (sent, received) == (BIG, BIG)
    assert is_there(upload)
    assert (tmp_path / "home" / "a").read_bytes() == upload.source.read_bytes()
    assert names_in(partials) == []
    assert proxy.connections_max in range(3, 8)


def test_from_far_away_a_broken_upload_goes_on(machine, connect, workspace, tmp_path):
    upload = an_upload(a_file(tmp_path / "a", 60 * MB), workspace)
    before = Counter(after=40 * MB, do=raising(KeyboardInterrupt()))
    with DelayProxy(machine.address, machine.port, round_trip_s=0.03) as proxy:
        transfers = Transfers(connect(port=proxy.port), partials=workspace / "partials")
        with pytest.raises(KeyboardInterrupt):
            transfers.upload([upload], on_sent=before)
        sent = transfers.upload([upload])

    assert sent < 60 * MB
    assert is_there(upload)


# The connection


def test_keys_are_renewed_in_the_middle(transfers, workspace, tmp_path, monkeypatch):
    monkeypatch.setattr(Packetizer, "REKEY_BYTES", 4 * MB)
    upload = an_upload(a_file(tmp_path / "a", BIG), workspace)

    transfers.upload([upload])
    transfers.download([Download(upload.target, tmp_path / "home" / "a", upload.sha256)])

    assert is_there(upload)


def test_other_ciphers_do_as_well(connect, workspace, tmp_path, monkeypatch):
    monkeypatch.setattr(ssh_transport, "CIPHERS", ("aes128-ctr",))
    upload = an_upload(a_file(tmp_path / "a"), workspace)

    Transfers(connect(), partials=workspace / "partials").upload([upload])

    assert is_there(upload)


def test_many_threads_share_one_connection(transfers, workspace, tmp_path):
    uploads = [an_upload(a_file(tmp_path / f"{n}", 100_000), workspace) for n in range(16)]

    with ThreadPoolExecutor(16) as threads:
        sent = list(threads.map(lambda upload: transfers.upload([upload]), uploads))

    assert sent == [100_000] * 16
    assert all(map(is_there, uploads))


def test_while_the_host_is_away_everything_says_so(machine, transfers, workspace, tmp_path):
    upload = an_upload(a_file(tmp_path / "a"), workspace)
    transfers.read_from(upload.target, 0, 10)
    machine.stop_sshd()
    machine.kill_connections()

    for attempt in (
        lambda: transfers.upload([upload]),
        lambda: transfers.download([Download(upload.target, tmp_path / "home" / "a", "0" * 64)]),
        lambda: transfers.write_text(upload.target, "text"),
        lambda: transfers.read_text(upload.target),
        lambda: transfers.exists(upload.target),
        lambda: transfers.make_folders(upload.target),
        lambda: transfers.remove_tree(upload.target),
        lambda: transfers.free_bytes(workspace),
        lambda: transfers.read_from(upload.target, 0, 10),
    ):
        with pytest.raises(HostUnreachableError, match="gpu"):
            attempt()


# Small files, folders, logs


def test_small_files_and_folders_come_and_go(transfers, workspace, partials):
    path = workspace / "jobs" / "jb_1" / "spec.json"
    transfers.write_text(path, "{}")
    transfers.write_text(path, "größe")

    assert (transfers.read_text(path), transfers.exists(path), transfers.read_text(workspace / "none")) == ("größe", True, None)
    transfers.make_folders(workspace / "a" / "b", workspace / "a")
    assert transfers.exists(workspace / "a" / "b")
    transfers.remove_tree(workspace / "jobs")
    transfers.remove_tree(workspace / "jobs")
    assert not transfers.exists(path)
    assert names_in(partials) == []


def test_free_space_is_known_also_of_folders_that_are_not_there(machine, transfers):
    with machine.small_disk(size_mb=5) as disk:
        assert transfers.free_bytes(PurePosixPath(disk)) == 5 << 20
        assert transfers.free_bytes(PurePosixPath(disk, "not", "there")) == 5 << 20


def test_a_log_is_read_as_it_grows(transfers, machine, workspace):
    path = workspace / "log"

    assert transfers.read_from(path, 0, 100) == b""
    Path(path).write_bytes(b"one\n")
    assert transfers.read_from(path, 0, 100) == b"one\n"
    assert transfers.read_from(path, 4, 100) == b""
    with Path(path).open("ab") as file:
        file.write(b"two\n")
    assert (transfers.read_from(path, 4, 100), transfers.read_from(path, 0, 2)) == (b"two\n", b"on")


def test_much_of_a_log_is_read_at_once(transfers, machine):
    path = a_file(machine.workspace / "log", 3 * MB)

    assert transfers.read_from(PurePosixPath(path), 1, 1 << 20) == path.read_bytes()[1 : 1 + (1 << 20)]
    assert transfers.read_from(PurePosixPath(path), 2 * MB, 2 * MB) == path.read_bytes()[2 * MB :]


def test_a_log_is_read_on_after_a_cut_and_anew_after_its_folder_was_removed(machine, transfers, workspace):
    path = workspace / "job" / "log"
    a_file(Path(path), content=b"old")
    assert transfers.read_from(path, 0, 100) == b"old"

    machine.kill_connections()
    with pytest.raises(HostUnreachableError):
        transfers.read_from(path, 0, 100)
    assert transfers.read_from(path, 0, 100) == b"old"

    transfers.remove_tree(workspace / "job")
    a_file(Path(path), content=b"new")
    assert transfers.read_from(path, 0, 100) == b"new"


def test_many_logs_are_read_in_turn(transfers, machine):
    paths = [a_file(machine.workspace / f"{n}", content=f"{n}".encode()) for n in range(40)]

    for _ in range(2):
        assert [transfers.read_from(PurePosixPath(path), 0, 10) for path in paths] == [f"{n}".encode() for n in range(40)]
