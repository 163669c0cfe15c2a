"""`cosmos checkpoints` as a user types it, against a real sshd, a real dockerd and a registry of tiny files."""

import json

import pytest

from cosmos_ops.checkpoints import MODES, checkpoints_for
from tests.hosts.images import BASE
from tests.hosts.registry import running_registry

from .command import the_error

pytestmark = pytest.mark.gpu_machines

TOKEN = "hf_a_secret_token"


@pytest.fixture
def registry():
    with running_registry() as registry:
        registry.add_for(checkpoints_for("cosmos3", MODES["cosmos3"]))
        registry.orders.accepted[TOKEN] = set()
        yield registry


@pytest.fixture
def host(saved, registry):
    """A host with an image, a token, and the way to the registry."""
    return saved(
        "with-models",
        images={"cosmos3": BASE},
        environment={"HF_ENDPOINT": registry.endpoint},
        secrets={"HF_TOKEN": TOKEN},
    )


def records(done):
    assert (done.returncode, done.stderr) == (0, "")
    return {(one["mode"], one["repository"]): one for one in json.loads(done.stdout)}


def test_files_are_listed_downloaded_verified_and_mended(run, host, machine, registry):
    options = ("--host", host, "--family", "cosmos3")
    before = records(run("checkpoints", "list", *options, "--json"))
    first = run("checkpoints", "download", *options, "--mode", "guardrails")
    after, table = records(run("checkpoints", "list", *options, "--json")), run("checkpoints", "list", *options)
    well = run("checkpoints", "verify", "--host", host)
    (weights,) = machine.workspace.rglob("Wan2.2_VAE.pth")
    weights.resolve().write_bytes(b"x" * weights.stat().st_size)
    ill = run("checkpoints", "verify", *options)
    second = run("checkpoints", "download", *options, "--mode", "vae")

    vae, guard = ("vae", "Wan-AI/Wan2.2-TI2V-5B"), ("guardrails", "nvidia/Cosmos-Guardrail1")
    assert (before[vae]["state"], before[vae]["size_bytes"], before[guard]["is_gated"]) == ("missing", None, True)
    assert (first.returncode, first.stderr) == (0, "")
    assert "5 of 5 files are missing: 0 kB to download; " in first.stdout
    assert first.stdout.splitlines()[-1] == "All 5 files are there and verified."
    assert (after[vae]["state"], after[guard]["state"]) == ("verified", "verified")
    assert after["nano", "nvidia/Cosmos3-Nano"]["state"] == "missing"
    assert "Wan-AI/Wan2.2-TI2V-5B@921dbaf3" in table.stdout
    assert (well.returncode, well.stdout) == (0, "5 files verified, 0 damaged\n")
    assert ill.returncode == 1
    assert "Damaged: Wan-AI/Wan2.2-TI2V-5B/Wan2.2_VAE.pth" in ill.stdout
    assert (second.returncode, second.stderr) == (0, "")
    assert "1 of 1 files are missing" in second.stdout
    assert machine.containers() == []


def test_a_licence_that_was_not_accepted_ends_it_with_the_page_and_without_the_token(run, host, registry):
    registry.orders.gated.add("nvidia/Cosmos-Guardrail1")

    done = run("checkpoints", "download", "--host", host, "--family", "cosmos3", "--mode", "guardrails")

    assert "https://huggingface.co/nvidia/Cosmos-Guardrail1" in the_error(done, code=1)
    assert TOKEN not in done.stdout + done.stderr


def test_what_cannot_be_meant_is_refused_with_what_there_is(run, host, saved):
    bare = saved("without-image")
    download = ("checkpoints", "download", "--family", "cosmos3")

    assert "its modes: always, vae" in the_error(run(*download, "--host", host, "--mode", "vis"))
    assert "--image" in the_error(run(*download, "--host", bare))
    assert "there is no host 'nowhere'" in the_error(run(*download, "--host", "nowhere"))
    assert "no-such-image:1" in the_error(run(*download, "--host", bare, "--image", "no-such-image:1"), code=1)
