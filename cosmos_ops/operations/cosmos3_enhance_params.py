"""The parameters of prompt enhancement with Cosmos 3."""

from typing import Annotated, Literal

from pydantic import Field

from cosmos_ops.operations.cosmos3_params import AspectRatio, BaseCheckpoint
from cosmos_ops.params import Params, PerProcess, PerRun

OF_REASONER = (
    *("seed", "instruction", "repetition_penalty", "presence_penalty", "video_fps"),
    *("checkpoint", "num_gpus", "guardrails"),
)
OF_SERVER = (
    *("endpoint_url", "model", "task", "resolution", "aspect_ratio"),
    *("fps", "duration_s", "min_p", "timeout_s", "max_retries"),
)
"""Parameters that one method alone takes."""


class EnhanceCosmos3(Params):
    """Parameters of prompt enhancement by the reasoner of Cosmos 3 on a GPU, or by a language model on a server."""

    method: Annotated[Literal["reasoner", "server"], PerProcess()] = Field("reasoner")
    """Who rewrites: the language half of the model itself, or a server with an OpenAI-compatible interface (no GPU)."""
    shows_input: Annotated[bool, PerRun("")] = Field(True)
    """Whether the input counts too: the reasoner sees the video or image, a server an image, and the video's size and rate."""
    seed: Annotated[int, PerRun("")] = Field(1, ge=0, le=2**31 - 1)
    """Seed of a reasoner with a temperature."""
    max_tokens: Annotated[int, PerRun("")] = Field(0, ge=0, le=32_768)
    """Longest answer, in tokens; 0 is 1024 for the reasoner and 8192 for a server."""
    temperature: Annotated[float | None, PerRun("")] = Field(None, ge=0, le=2)
    """How freely words are chosen, from 0 to 2; empty is 0 for the reasoner, and for a server what that holds right."""
    top_p: Annotated[float | None, PerRun("")] = Field(None, gt=0, le=1)
    """Share of the likeliest words to choose from; empty leaves the default."""
    top_k: Annotated[int | None, PerRun("")] = Field(None, ge=1, le=1000)
    """Number of the likeliest words to choose from; empty leaves the default."""
    instruction: Annotated[str, PerRun("")] = Field("")
    """What the reasoner is told to do with the text; empty takes ours."""
    repetition_penalty: Annotated[float | None, PerRun("")] = Field(None, gt=0, le=10)
    """Factor against repeated words of the reasoner; 1 is off, empty leaves the default."""
    presence_penalty: Annotated[float | None, PerRun("")] = Field(None, ge=-10, le=10)
    """What the reasoner subtracts from words that were used; 0 is off, empty leaves the default."""
    video_fps: Annotated[float | None, PerRun("")] = Field(None, gt=0, le=60)
    """Frames per second at which the reasoner looks at a video; empty leaves the default."""
    checkpoint: Annotated[BaseCheckpoint, PerProcess("--checkpoint-path")] = Field("Cosmos3-Nano")
    """Model whose reasoner rewrites."""
    num_gpus: Annotated[int, PerProcess()] = Field(1, ge=1, le=8)
    """Number of GPUs of the reasoner: 1, 2, 4 or 8."""
    guardrails: Annotated[bool, PerProcess("--guardrails", off="--no-guardrails")] = Field(False)
    """Whether the reasoner's texts are screened by NVIDIA's guardrail models (gated)."""

    endpoint_url: Annotated[str, PerProcess()] = Field("")
    """Address of the server, `https://host/v1`; empty takes PROMPT_UPSAMPLER_ENDPOINT_URL of the host. Its token stays there."""
    model: Annotated[str, PerProcess()] = Field("")
    """Name of the model on the server; empty takes PROMPT_UPSAMPLER_MODEL of the host, or the first that the server has."""
    task: Annotated[Literal["auto", "text2video", "text2image", "image2video"], PerRun("")] = Field("auto")
    """What the server writes for; auto is image2video where there is an image, and text2video otherwise."""
    resolution: Annotated[Literal["256", "480", "720", "768"], PerRun("")] = Field("720")
    """Class of the output's size that the server's text names, about its height in pixels."""
    aspect_ratio: Annotated[AspectRatio, PerRun("")] = Field("auto")
    """Width to height that the server's text names; auto follows the input, or is 16,9."""
    fps: Annotated[int, PerRun("")] = Field(0, ge=0, le=120)
    """Frames per second that the server's text names; 0 follows the input, or is 24."""
    duration_s: Annotated[int, PerRun("")] = Field(0, ge=0, le=600)
    """Seconds that the server's text names; 0 follows the input, or is 5."""
    min_p: Annotated[float | None, PerRun("")] = Field(None, ge=0, le=1)
    """Least likelihood of a word that a server chooses, as a share of the likeliest; empty leaves the default."""
    timeout_s: Annotated[int, PerProcess()] = Field(300, ge=1, le=3600)
    """Seconds that a server has for one answer."""
    max_retries: Annotated[int, PerProcess()] = Field(5, ge=1, le=20)
    """How often a server is asked before a prompt fails."""
