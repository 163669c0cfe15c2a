"""The controls of Cosmos-Transfer1: their weights, where each comes from, and what a line of the batch says of it."""

from collections.abc import Collection, Iterable, Mapping
from pathlib import PurePosixPath
from typing import Annotated, Literal

from pydantic import Field, JsonValue

from cosmos_ops.job import ExpectedFile, InputFile, JobPaths
from cosmos_ops.operations.operation import Preparation
from cosmos_ops.operations.transfer1_params import TEXT_LENGTH_MAX, Strength, Text
from cosmos_ops.params import ControlParams, Params, PerRun, Prepared, active_controls, parameters, spec_values
from cosmos_ops.runs import VIDEO
from cosmos_ops.videos import VideoInfo

AV_CONTROLS = ("hdmap", "lidar")
"""Controls of the driving model, which has a base model of its own."""
MADE_HERE: Mapping[str, Literal["blur", "edge"]] = {"vis": "blur", "edge": "edge"}
"""Controls that are computed on this machine: the program's own draw their strength anew for each place in the batch."""
MADE_THERE = ("depth", "seg", "keypoint")
"""Controls that the program computes from the input video."""


class Transfer1Controls(ControlParams):
    """The controls of a run. Whoever names the weight of one leaves out all others that are not named."""

    vis_weight: Annotated[float, PerRun("vis.control_weight", control="vis")] = Field(0.0, ge=0, le=1)
    """Weight of the blurred input video, from 0 (left out) to 1; weights that sum up to more than 1 are scaled down to 1."""
    edge_weight: Annotated[float, PerRun("edge.control_weight", control="edge")] = Field(1.0, ge=0, le=1)
    """Weight of the edges of the input video, from 0 (left out) to 1."""
    depth_weight: Annotated[float, PerRun("depth.control_weight", control="depth")] = Field(0.0, ge=0, le=1)
    """Weight of the depth video, from 0 (left out) to 1; without a file the model computes it from the input video."""
    seg_weight: Annotated[float, PerRun("seg.control_weight", control="seg")] = Field(0.0, ge=0, le=1)
    """Weight of the segmentation video, from 0 (left out) to 1; without a file the model computes it from the input video, in
    colours that depend on how many it computed before in the same batch."""
    keypoint_weight: Annotated[float, PerRun("keypoint.control_weight", control="keypoint")] = Field(0.0, ge=0, le=1)
    """Weight of the body keypoints, from 0 (left out) to 1; without a file the model computes them from the input video."""
    hdmap_weight: Annotated[float, PerRun("hdmap.control_weight", control="hdmap")] = Field(0.0, ge=0, le=1)
    """Weight of the HD map video of the driving model, from 0 (left out) to 1; with lidar only, and needs a file; longer than
    121 frames, the result jumps every 120 frames, because this model makes each clip on its own."""
    lidar_weight: Annotated[float, PerRun("lidar.control_weight", control="lidar")] = Field(0.0, ge=0, le=1)
    """Weight of the lidar video of the driving model, from 0 (left out) to 1; with hdmap only, needs a file, jumps like it."""
    seg_prompt: Annotated[Text, PerRun("seg.input_control_prompt", of="seg", omit="")] = Field("", max_length=TEXT_LENGTH_MAX)
    """Objects to segment where no segmentation video is given; empty takes the first 128 words of the prompt."""
    seg_weight_prompt: Annotated[Text, PerRun("seg.control_weight_prompt", of="seg", omit="")] = Field(
        "", max_length=TEXT_LENGTH_MAX
    )
    """Objects of the input video that the seg control is limited to, exact for 121 frames; empty is the whole picture."""
    blur_strength: Annotated[Strength, Prepared()] = Field("medium")
    """How much the vis control is blurred where no vis video is given."""
    canny_threshold: Annotated[Strength, Prepared()] = Field("medium")
    """How strong an edge must be to enter the edge control where no edge video is given."""


CONTROLS: tuple[str, ...] = tuple(
    parameter.placement.control
    for parameter in parameters(Transfer1Controls)
    if isinstance(parameter.placement, PerRun) and parameter.placement.control
)
"""All controls in the order in which the program gets them."""


def union_of(controls: Iterable[tuple[str, ...]]) -> tuple[str, ...]:
    """The controls of several runs; those of each keep the order that they have when it runs alone."""
    wanted = {control for one in controls for control in one}
    return tuple(control for control in CONTROLS if control in wanted)


def control_preparations(
    controls: tuple[str, ...], videos: Mapping[str, VideoInfo], *, blur_strength: str, canny_threshold: str
) -> tuple[Preparation, ...]:
    """Edges and blurred copies where no file is given, and everything that is no mp4 as one."""
    strengths = {"blur": blur_strength, "edge": canny_threshold}
    made = [
        Preparation(role=control, source=VIDEO, kind=kind, strength=strengths[kind])
        for control, kind in MADE_HERE.items()
        if control in controls and control not in videos and VIDEO in videos
    ]
    return (*made, *mp4_preparations((VIDEO, *controls), videos))


def mp4_preparations(roles: tuple[str, ...], videos: Mapping[str, VideoInfo]) -> tuple[Preparation, ...]:
    """The files that are no plain mp4, as one: the program reads every file as mp4, at one rate."""
    return tuple(
        Preparation(role=role, source=role, kind="mp4")
        for role in roles
        if role in videos and not (videos[role].is_plain and videos[role].path.suffix.lower() == ".mp4")
    )


def overrides(
    params: Params, inputs: Mapping[str, InputFile], controls: tuple[str, ...], paths: JobPaths
) -> dict[str, dict[str, JsonValue]]:
    """All that the process shall know for one video of each of its controls; null has it computed.

    Args:
        params: Of the run.
        inputs: Its files by role.
        controls: Those of the process; one that the run lacks gets weight 0, and a file, so that nothing is computed for it.
        paths: What the process sees.
    """
    spec, said = spec_values(params), dict[str, dict[str, JsonValue]]()
    own = active_controls(params)
    stand_in = next((inputs[role] for role in (*own, VIDEO) if role in inputs), None)
    for control in controls:
        if control in own:
            values = spec[control]
            assert isinstance(values, dict)
            file = str(paths.input(inputs[control])) if control in inputs else None
            said[control] = {"input_control": file, **values}
        else:
            assert stand_in
            said[control] = {"input_control": str(paths.input(stand_in)), "control_weight": 0.0}
    return said


def computed_there(controls: tuple[str, ...], roles: Collection[str]) -> tuple[str, ...]:
    """The controls that the process computes itself, where there are files of these roles."""
    return tuple(control for control in controls if control not in roles)


def control_files(controls: tuple[str, ...], folder: PurePosixPath) -> tuple[ExpectedFile, ...]:
    """The computed controls that it leaves; each GPU leaves its own, all alike."""
    return tuple(
        ExpectedFile(
            role=f"control_{control}",
            path=folder / f"{control}_input_control_0.mp4",
            name=f"control_{control}.mp4",
            is_optional=True,
        )
        for control in controls
    )
