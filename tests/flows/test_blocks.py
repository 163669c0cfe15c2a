"""The blocks: offered by the server, saved and loaded, and used by the flows in place of the defaults."""

import pytest
from prefect.client.orchestration import get_client

from blocks import GPUHost, RunStore
from deployments.up import register_blocks
from flows.enhance import enhance
from tests.builders import a_clip

from . import steps


@pytest.mark.parametrize("block", [GPUHost, RunStore])
def test_a_registered_block_is_offered_with_its_sentences(prefect_api, home, block):
    block.register_type_and_schema()

    with get_client(sync_client=True) as client:
        kind = client.read_block_type_by_slug(block.get_block_type_slug())
    assert kind.name == block.get_block_type_name()
    assert kind.description == block.get_description()
    assert block.get_code_example()
    assert all(field["description"] for field in block.model_json_schema()["properties"].values())


def test_registering_twice_keeps_what_people_saved(prefect_api, home, tmp_path):
    GPUHost(workspace=str(tmp_path / "mine")).save("local", overwrite=True)

    register_blocks()
    register_blocks()

    assert GPUHost.load("local").workspace == str(tmp_path / "mine")
    assert RunStore.load("default").outputs == ""
    GPUHost.delete("local")
    RunStore.delete("default")


def test_the_url_of_a_database_is_secret(prefect_api):
    block = RunStore(database_url="postgresql://user:hidden@host/cosmos")

    assert "hidden" not in repr(block) + str(block) + str(block.model_dump())


def test_a_flow_works_on_the_host_and_into_the_folder_that_blocks_name(prefect_api, home, tmp_path):
    GPUHost(workspace=str(tmp_path / "elsewhere")).save("elsewhere")
    RunStore(outputs=str(tmp_path / "results")).save("default")
    try:
        state, found = steps.call(enhance, [steps.a_request(a_clip(tmp_path / "a.mp4"))], host="elsewhere")
    finally:
        RunStore.delete("default")
        GPUHost.delete("elsewhere")

    assert state.is_completed(), state.message
    assert (tmp_path / "results" / found.runs[0].outputs.log).is_file()
    assert (tmp_path / "elsewhere" / "containers").is_dir()
    assert not (home / "workspace").exists()
