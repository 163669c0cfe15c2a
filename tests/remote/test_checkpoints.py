"""Model files on a host: looked for, downloaded from a registry that fails in every way, verified, and never spoiled."""

import os
import stat
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from hashlib import md5, sha256
from itertools import pairwise

import pytest

from cosmos_ops.checkpoints import Checkpoint, checkpoints_for
from cosmos_ops.errors import (
    AccessRefusedError,
    CheckpointMissingError,
    DiskFullError,
    DownloadFailedError,
    HostUnhealthyError,
    ImageMissingError,
)
from cosmos_ops.remote import checkpoint_download
from cosmos_ops.remote.checkpoint_download import DOWNLOAD_LABEL, Access, download
from cosmos_ops.remote.checkpoint_store import look, refusal, require, verify
from cosmos_ops.remote.fetcher.places import DOWNLOADS, PARTIALS
from cosmos_ops.remote.ssh_host import SSHHost
from tests.hosts.images import BASE, TINY
from tests.hosts.registry import running_registry

from .servers import a_spec, a_target

pytestmark = pytest.mark.gpu_machines

TOKEN = "hf_a_secret_token"
REPOSITORY = "nvidia/Model-7B"
WEIGHTS = os.urandom(3_000_000)
FILES = {"config.json": b'{"layers": 2}', "empty.txt": b"", "general/weights.pt": WEIGHTS}
COMMIT = "b67b64abda3801a9aceddbff2bdb86126c06db74"


@pytest.fixture
def registry():
    with running_registry() as registry:
        registry.add(REPOSITORY, FILES)
        registry.orders.accepted[TOKEN] = set()
        yield registry


@pytest.fixture
def host(machine, tmp_path):
    with closing(SSHHost(a_spec(machine, tmp_path))) as host:
        yield host


@pytest.fixture
def models(machine):
    return machine.workspace / "models"


@pytest.fixture
def downloaded(host, registry):
    """Downloads to the host, and gives what was found and what was said."""

    def downloaded(*checkpoints, image=BASE, token="", **values):
        said = []
        access = Access(token, registry.endpoint)
        found = download(host, checkpoints, image=image, access=access, on_news=said.append, **values)
        return found, said

    return downloaded


@pytest.fixture
def impatient(monkeypatch):
    """The first trouble with the network is the last."""
    monkeypatch.setattr(checkpoint_download, "TRIES", 1)


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch):
    monkeypatch.setattr(checkpoint_download, "PAUSE_S", 0.01)


def in_hub(file="*", **values):
    return Checkpoint(REPOSITORY, file, "hub", "some licence", **values)


def in_folder(file="general/weights.pt", **values):
    return Checkpoint(REPOSITORY, file, "folder", "some licence", **values)


def states(found):
    return [(one.file, one.state) for one in found]


def left_over(models):
    """What downloads leave below the folder of models that is no model."""
    return [path for name in (PARTIALS, DOWNLOADS) for path in (models / name).rglob("*")]


# Download


def test_both_layouts_come_whole_and_verified_and_a_second_download_asks_nobody(machine, registry, downloaded, models):
    checkpoints = (in_hub(), in_folder(md5=md5(WEIGHTS).hexdigest()))

    found, said = downloaded(*checkpoints, token=TOKEN)
    asked = len(registry.asked)
    again, said_again = downloaded(*checkpoints, token=TOKEN)

    assert states(found) == [(name, "present") for name in (*sorted(FILES), "general/weights.pt")]
    assert all(one.is_verified for one in found)
    assert said[0].startswith("4 of 4 files are missing: 6.0 MB to download; ")
    assert (models / "transfer1" / REPOSITORY / "general" / "weights.pt").read_bytes() == WEIGHTS
    assert again == found
    assert (len(registry.asked), said_again) == (asked, ["All 4 files are there and verified; nothing is downloaded"])
    assert left_over(models) == []
    assert machine.containers() == []


def test_the_cache_is_as_the_libraries_of_hugging_face_lay_it_out(registry, downloaded, models):
    downloaded(in_hub(), in_hub("general/weights.pt", revision=COMMIT))

    folder, commit = models / "hf" / "hub" / "models--nvidia--Model-7B", registry.commit(REPOSITORY)
    link = folder / "snapshots" / commit / "general" / "weights.pt"
    assert str(link.readlink()) == f"../../../blobs/{sha256(WEIGHTS).hexdigest()}"
    assert [path.relative_to(folder / "refs").name for path in (folder / "refs").iterdir()] == ["main"]
    assert (folder / "refs" / "main").read_text() == commit
    for name, content in FILES.items():
        assert (folder / "snapshots" / commit / name).read_bytes() == content
    assert (folder / "snapshots" / COMMIT / "general" / "weights.pt").read_bytes() == WEIGHTS


def test_a_branch_stays_at_the_commit_that_it_had_at_the_first_download(registry, downloaded, host, models):
    downloaded(in_hub("config.json"))
    before = registry.commit(REPOSITORY)
    registry.add(REPOSITORY, {"other.json": b"{}"})

    found, _ = downloaded(in_hub("config.json"), in_hub("general/weights.pt"))

    assert registry.commit(REPOSITORY) != before
    assert {one.path.parts[4] for one in found} == {before}


def test_the_token_goes_to_the_registry_alone_and_stays_in_no_file(machine, registry, downloaded, models):
    seen = []

    def look_at_the_container(_progress):
        seen.extend(container.attrs for container in machine.containers())

    registry.orders.gated.add(REPOSITORY)
    registry.orders.accepted[TOKEN].add(REPOSITORY)
    downloaded(in_hub(), token=TOKEN, on_progress=look_at_the_container)

    assert {asked.token for asked in registry.asked if not asked.is_content_server} == {TOKEN}
    assert {asked.token for asked in registry.asked if asked.is_content_server} == {""}
    assert not any(TOKEN.encode() in path.read_bytes() for path in models.rglob("*") if path.is_file())
    assert all(TOKEN in str(attrs["Config"]["Env"]) for attrs in seen)
    assert seen
    assert all(TOKEN not in str((attrs["Args"], attrs["Name"], attrs["Config"]["Labels"])) for attrs in seen)


def test_a_cut_connection_is_taken_up_where_it_broke(registry, downloaded):
    registry.orders.cuts["general/weights.pt"] = [1_000_000, 500_000, 0]

    found, _ = downloaded(in_folder())

    assert states(found) == [("general/weights.pt", "present")]
    assert registry.sent_bytes == len(WEIGHTS)


@pytest.mark.usefixtures("impatient")
def test_the_next_download_goes_on_where_the_last_one_failed(registry, downloaded, host):
    registry.orders.cuts["general/weights.pt"] = [1_000_000]

    with pytest.raises(DownloadFailedError, match="goes on where it was") as caught:
        downloaded(in_folder())
    (between,) = look(host, [in_folder()])
    _, said = downloaded(in_folder())

    assert REPOSITORY in str(caught.value)
    assert caught.value.retry_helps
    assert (between.state, between.stat.size_bytes) == ("partial", 1_000_000)
    assert said[0].startswith("1 of 1 files are missing: 2.0 MB to download")
    assert registry.asked[-1].range == "bytes=1000000-"
    assert registry.sent_bytes == len(WEIGHTS)


def test_a_registry_that_ignores_ranges_sends_all_of_it_again(registry, downloaded):
    registry.orders.cuts["general/weights.pt"] = [1_000_000]
    registry.orders.ignores_ranges = True

    (found,), _ = downloaded(in_folder())

    assert found.is_verified
    assert registry.sent_bytes == 1_000_000 + len(WEIGHTS)


def test_a_registry_that_is_down_may_be_tried_again(registry, downloaded):
    registry.orders.is_down = True

    with pytest.raises(DownloadFailedError, match="down for maintenance"):
        downloaded(in_folder())

    assert len(registry.asked) == checkpoint_download.TRIES


def test_a_mirror_that_lists_names_alone_is_asked_for_sizes_and_checksums(registry, downloaded):
    registry.orders.lists_no_checksums = True

    found, said = downloaded(in_hub())

    assert [(one.file, one.size_bytes, one.is_verified) for one in found] == [
        (name, len(content), True) for name, content in sorted(FILES.items())
    ]
    assert "3.0 MB to download" in said[0]


def test_a_name_that_leads_out_of_its_folder_is_not_followed(registry, downloaded, models):
    registry.add(REPOSITORY, {"../../../evil.pt": b"evil", "/etc/evil.pt": b"evil"})

    found, _ = downloaded(in_folder("*"))

    assert [one.file for one in found] == sorted(FILES)
    assert list(models.rglob("evil*")) == []


# Refused


@pytest.mark.parametrize(
    ("token", "words"),
    [
        ("", ["without a token", "https://huggingface.co/nvidia/Model-7B", "HF_TOKEN"]),
        (TOKEN, ["licence was not accepted", "https://huggingface.co/nvidia/Model-7B"]),
        ("hf_of_nobody", ["token is refused", "Invalid credentials"]),
    ],
    ids=["no token", "licence not accepted", "wrong token"],
)
def test_without_access_nothing_is_downloaded_and_it_says_how_to_get_it(registry, downloaded, token, words):
    registry.add("open/Model", {"open.pt": b"open"})
    registry.orders.gated.add(REPOSITORY)

    with pytest.raises(AccessRefusedError) as caught:
        downloaded(Checkpoint("open/Model", "open.pt", "hub", ""), in_hub(), token=token)

    assert all(part in str(caught.value) for part in words)
    assert token == "" or token not in str(caught.value)
    assert not caught.value.retry_helps
    assert registry.sent_bytes == 0


@pytest.mark.parametrize(
    "checkpoint",
    [in_hub("no-such.pt"), in_hub("*.onnx"), Checkpoint("nobody/Nothing", "*", "hub", "")],
    ids=["file", "pattern", "repository"],
)
def test_what_the_registry_has_not_is_named(downloaded, checkpoint):
    with pytest.raises(CheckpointMissingError, match=r"the registry has no ") as caught:
        downloaded(checkpoint)

    assert checkpoint.repository in str(caught.value)


def test_what_does_not_fit_is_refused_before_it_begins(machine, registry, tmp_path):
    with machine.small_disk(2) as disk, closing(SSHHost(a_spec(machine, tmp_path, workspace=str(disk)))) as host:
        access, said = Access(endpoint=registry.endpoint), []
        with pytest.raises(DiskFullError, match="make room"):
            download(host, [in_folder()], image=BASE, access=access, on_news=said.append)

    assert said[0].startswith("1 of 1 files are missing: 3.0 MB to download; ")
    assert registry.sent_bytes == 0


def test_a_disk_that_becomes_full_on_the_way_is_named_and_what_came_stays(machine, registry, tmp_path):
    registry.orders.bytes_per_s = 1_000_000
    with machine.small_disk(8) as disk, closing(SSHHost(a_spec(machine, tmp_path, workspace=str(disk)))) as host:
        filler = machine.seen(disk) / "filler"

        def fill(_progress):
            if not filler.exists():
                subprocess.run(["dd", "if=/dev/zero", f"of={filler}", "bs=64k"], capture_output=True)

        access = Access(endpoint=registry.endpoint)
        with pytest.raises(DiskFullError, match="no space is left"):
            download(host, [in_folder()], image=BASE, access=access, on_news=print, on_progress=fill)
        (between,) = look(host, [in_folder()])
        filler.unlink()
        registry.orders.bytes_per_s = 0
        (found,) = download(host, [in_folder()], image=BASE, access=access, on_news=print)

    assert between.state == "partial"
    assert found.is_verified
    assert registry.asked[-1].range == f"bytes={between.stat.size_bytes}-"


def test_an_image_without_python_is_named(machine, downloaded, models):
    with pytest.raises(HostUnhealthyError, match="python3"):
        downloaded(in_folder(), image=TINY)
    with pytest.raises(ImageMissingError, match="no-such-image:1"):
        downloaded(in_folder(), image="no-such-image:1")

    assert machine.containers() == []
    assert left_over(models) == []


# Damaged


def test_what_comes_damaged_once_is_asked_for_again(registry, downloaded):
    registry.orders.damages = {"general/weights.pt": 1, "config.json": 1}

    found, _ = downloaded(in_hub())

    assert all(one.is_verified for one in found)


def test_what_comes_damaged_twice_is_never_seen_by_a_model(registry, downloaded, host, models):
    registry.orders.damages["general/weights.pt"] = 2

    with pytest.raises(DownloadFailedError, match=r"nvidia/Model-7B/general/weights.pt: twice"):
        downloaded(in_hub())

    assert dict(states(look(host, [in_hub()]))) == {
        "config.json": "present",
        "empty.txt": "present",
        "general/weights.pt": "missing",
    }
    assert left_over(models) == []


def test_another_file_than_the_manifest_knows_is_refused(downloaded, host):
    checkpoint = in_folder(md5="0" * 32)

    with pytest.raises(CheckpointMissingError, match="another file than we know"):
        downloaded(checkpoint)

    assert states(look(host, [checkpoint])) == [("general/weights.pt", "missing")]


def test_verification_finds_a_damaged_file_and_a_download_replaces_it(registry, downloaded, host, models):
    checkpoints = [in_hub(), in_folder()]
    downloaded(*checkpoints)
    for path in models.rglob("weights.pt"):
        path.resolve().write_bytes(WEIGHTS[:-1] + bytes([WEIGHTS[-1] ^ 1]))

    said = []
    before, verified, after = look(host, checkpoints), verify(host, checkpoints, on_news=said.append), look(host, checkpoints)
    words = refusal(after, host_name=host.name, family="transfer1", modes=("edge", "seg"))
    mended, _ = downloaded(*checkpoints)

    assert {one.state for one in before} == {"present"}
    assert [state for _, state in states(verified)] == ["present", "present", "damaged", "damaged"]
    assert states(after) == states(verified)
    assert any(news.startswith("Damaged: nvidia/Model-7B/general/weights.pt") for news in said)
    assert "2 damaged" in words
    assert f"`cosmos checkpoints download --host {host.name} --family transfer1 --mode edge --mode seg`" in words
    assert all(one.is_verified for one in mended)
    assert refusal(mended, host_name=host.name, family="transfer1", modes=()) == ""


def test_a_second_verification_reads_nothing(downloaded, host, models):
    downloaded(in_folder())
    path = models / "transfer1" / REPOSITORY / "general" / "weights.pt"
    os.utime(path)
    said = []
    first = verify(host, [in_folder()], on_news=said.append)
    times = path.stat().st_atime_ns, path.stat().st_mtime_ns
    path.write_bytes(bytes(len(WEIGHTS)))
    os.utime(path, ns=times)

    second = verify(host, [in_folder()], on_news=said.append)
    os.utime(path)
    third = verify(host, [in_folder()])

    assert first[0].is_verified
    assert said == ["Files to read: 1, 3.0 MB ...", "[1/1] nvidia/Model-7B/general/weights.pt"]
    assert second[0].is_verified, "the same size and the same time, so nobody looked"
    assert third[0].state == "damaged"


def test_files_that_somebody_brought_are_verified_by_what_the_manifest_knows(host, models):
    path = models / "transfer1" / REPOSITORY / "general" / "weights.pt"
    path.parent.mkdir(parents=True)
    path.write_bytes(WEIGHTS)

    known, unknown = in_folder(md5=md5(WEIGHTS).hexdigest()), in_folder()
    right, nobody_knows = verify(host, [known, unknown])
    (wrong,) = verify(host, [in_folder(md5="0" * 32)])
    (short,) = look(host, [in_folder(size_bytes=5)])

    assert (right.state, right.is_verified) == ("present", True)
    assert (nobody_knows.state, nobody_knows.is_verified) == ("present", False)
    assert (wrong.state, short.state) == ("damaged", "wrong size")


def test_files_that_somebody_brought_are_not_downloaded(registry, downloaded, models):
    path = models / "transfer1" / REPOSITORY / "general" / "weights.pt"
    path.parent.mkdir(parents=True)
    path.write_bytes(WEIGHTS)

    found, said = downloaded(in_folder())

    assert found[0].is_verified
    assert "Reading files that are there already, to verify them" in said
    assert registry.sent_bytes == 0


def test_a_look_at_a_host_without_models_finds_all_missing(host):
    found = look(host, [in_hub(), in_folder()])

    assert states(found) == [("*", "missing"), ("general/weights.pt", "missing")]
    assert "2 missing (nvidia/Model-7B/*, " in refusal(found, host_name="a", family="cosmos3", modes=["nano"])


def test_a_job_whose_files_are_missing_is_refused_with_the_command_that_brings_them(host):
    with pytest.raises(CheckpointMissingError, match=r"--family cosmos3 --mode nano`") as caught:
        require(host, "cosmos3", ["nano"])

    assert "2 missing (Wan-AI/Wan2.2-TI2V-5B/Wan2.2_VAE.pth, nvidia/Cosmos3-Nano/*)" in str(caught.value)


def test_a_job_whose_files_are_there_is_not_refused(registry, downloaded, host):
    needed = checkpoints_for("cosmos3", ["nano"])
    registry.add_for(needed)
    downloaded(*needed)

    assert require(host, "cosmos3", ["nano"]) is None


# Side by side


def test_two_downloads_at_once_take_turns_and_no_byte_comes_twice(machine, registry, tmp_path, models):
    registry.orders.bytes_per_s = 2_000_000
    together = threading.Barrier(2)

    def one(number):
        said = []
        with closing(SSHHost(a_spec(machine, tmp_path / str(number)))) as host:
            together.wait()
            access = Access(endpoint=registry.endpoint)
            return download(host, [in_hub(), in_folder()], image=BASE, access=access, on_news=said.append), said

    with ThreadPoolExecutor(2) as threads:
        results = list(threads.map(one, range(2)))

    assert all(one.is_verified for found, _ in results for one in found)
    assert registry.sent_bytes == 2 * len(WEIGHTS) + len(FILES["config.json"])
    assert any("Another download is at work on this host; waiting for it" in said for _, said in results)
    assert left_over(models) == []
    assert machine.containers() == []


def test_a_caller_who_breaks_off_leaves_no_container_and_what_came_stays(machine, registry, downloaded, host):
    registry.orders.bytes_per_s = 500_000
    seen = []

    def break_off(progress):
        seen.append(progress.done_bytes)
        if progress.done_bytes:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        downloaded(in_folder(), on_progress=break_off)
    containers, (between,) = machine.containers(), look(host, [in_folder()])
    registry.orders.bytes_per_s = 0
    found, _ = downloaded(in_folder())

    assert all(earlier <= later for earlier, later in pairwise(seen))
    assert containers == []
    assert between.state == "partial"
    assert found[0].is_verified


def test_what_a_killed_caller_left_is_removed_by_the_next_download(machine, downloaded, models, monkeypatch):
    folder = models / DOWNLOADS / "cosmos-download-left"
    folder.mkdir(parents=True)
    left = machine.docker.containers.create(BASE, "true", name=folder.name, labels={DOWNLOAD_LABEL: folder.name})
    downloaded(in_hub("config.json"))
    kept = [container.name for container in machine.containers()]
    monkeypatch.setattr(checkpoint_download, "LEFT_AFTER_S", -60.0)

    downloaded(in_hub("empty.txt"))

    assert kept == [left.name], "it was made a moment ago, so its caller may live"
    assert machine.containers() == []
    assert left_over(models) == []


def test_the_files_belong_to_the_user_who_logs_in(machine, registry, tmp_path, models):
    target = a_target(machine, tmp_path, user="with-docker")
    with closing(SSHHost(a_spec(machine, tmp_path, target=target))) as host:
        download(host, [in_hub()], image=BASE, access=Access(endpoint=registry.endpoint), on_news=print)
        user_id = int(host.connection.run(["id", "-u"]).stdout)

    paths = [path for path in models.rglob("*") if not path.is_symlink()]
    assert {path.stat().st_uid for path in paths} == {user_id}
    assert all(path.stat().st_mode & stat.S_IROTH for path in paths if path.name == "weights.pt" or "blobs" in path.parts)
