"""The flow `host-setup`, as the UI starts it: its steps are in the log, a page shows them, and the block has the image."""

import pytest

from blocks import GPUHost
from cosmos_ops.errors import InputError
from flows.host_setup import host_setup
from tests.flows.steps import artifacts, log_messages
from tests.models.image import MODEL_IMAGES, give_models

pytestmark = pytest.mark.gpu_machines

FAMILY = "transfer25"


@pytest.fixture
def name(save_host, machine):
    save_host("setup-host", machine)
    return "setup-host"


def the_page(state):
    """What the flow shows; Prefect adds a page of its own where it fails."""
    (page,) = [found for found in artifacts(state.state_details.flow_run_id) if (found.key or "").startswith("host-setup-")]
    return page


def test_the_steps_are_logged_and_shown_and_the_block_gets_the_image(name, machine):
    give_models(machine, FAMILY)
    image = MODEL_IMAGES[FAMILY]

    state = host_setup(name, FAMILY, image=image, checkpoints=False, return_state=True)

    assert state.result() == f"host {name} is ready for {FAMILY}"
    assert GPUHost.load(name).images == {FAMILY: image}
    logged = log_messages(state.state_details.flow_run_id)
    assert [line[:5] for line in logged if line.startswith("[")] == [f"[{number}/6]" for number in range(1, 7)]
    page = the_page(state)
    assert page.key == f"host-setup-{name}"
    assert f"[3/6] Image {image} is there already" in page.data
    assert page.data.rstrip().endswith("It is ready.")


def test_where_it_stopped_is_shown_and_the_block_stays_as_it_was(name):
    state = host_setup(name, FAMILY, image="127.0.0.1:9/no-such:1", checkpoints=False, return_state=True)

    assert state.is_failed()
    assert "no-such:1" in state.message
    assert GPUHost.load(name).images == {}
    assert "[3/6] Fetching the image" in the_page(state).data
    assert "It stopped: host setup-host" in the_page(state).data


@pytest.mark.parametrize(
    ("family", "values", "words"),
    [
        ("preview", {"image": "ours:1"}, "not for the family preview"),
        ("preview", {"modes": ["edge"]}, "not for the family preview"),
        ("transfer25", {"modes": ["no-such"]}, "has no mode 'no-such'"),
        ("transfer25", {"base_image": "two words"}, "leave blanks"),
    ],
)
def test_what_does_not_fit_the_family_is_refused(name, family, values, words):
    with pytest.raises(InputError, match=words):
        host_setup(name, family, **values)


def test_this_machine_is_not_set_up(prefect_api):
    with pytest.raises(InputError, match="this machine"):
        host_setup("local", FAMILY)
