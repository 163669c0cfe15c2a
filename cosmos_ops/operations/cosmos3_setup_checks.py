"""What is wrong with how a process of Cosmos 3 is to be set up, and with parameters that do nothing in such a process."""

from collections.abc import Iterator

from cosmos_ops.operations.cosmos3_params import InferenceCosmos3
from cosmos_ops.operations.cosmos3_shape import DISTILLED_STEPS, is_distilled
from cosmos_ops.params import Params

_UPSAMPLER = tuple(name for name in InferenceCosmos3.model_fields if name.startswith("prompt_upsampler_"))


def check_setup(params: InferenceCosmos3) -> Iterator[str]:
    """All that is wrong whatever the inputs are."""
    yield from check_gpus(params.num_gpus)
    yield from _layout(params)
    yield from _switched_off(params)
    yield from _sampling(params)
    yield from _intervals(params)


def check_gpus(count: int) -> Iterator[str]:
    """Half of several GPUs compute without the text and half with it, and the model splits evenly over either half."""
    if count not in (1, 2, 4, 8):
        yield f"num_gpus: {count} GPUs cannot share one video evenly; choose 1, 2, 4 or 8"


def _layout(params: InferenceCosmos3) -> Iterator[str]:
    if params.dp_shard_size and params.num_gpus % params.dp_shard_size:
        yield (
            f"dp_shard_size: {params.num_gpus} GPUs cannot be divided into groups of {params.dp_shard_size}; "
            "choose 0, or a divisor of num_gpus"
        )
    if params.quantization_method != "none" and params.num_gpus > 1 and params.dp_shard_size != 1:
        yield "quantization_method: spread weights cannot be quantized; set dp_shard_size or num_gpus to 1"
    if params.use_cuda_graphs and params.num_gpus > 1:
        yield "use_cuda_graphs: they work on one GPU only; set num_gpus to 1, or leave them off"


def _switched_off(params: InferenceCosmos3) -> Iterator[str]:
    if params.offload_guardrail_models and not params.guardrails:
        yield "offload_guardrail_models: the guardrails are off; switch them on, or leave this off"
    if not params.use_torch_compile:
        for name in changed(params, ("compile_dynamic", "compiled_region")):
            yield f"{name}: nothing is compiled; switch use_torch_compile on, or leave this at its default"
    if not params.diffusion_cache:
        for name in changed(params, ("diffusion_cache_thresh", "diffusion_cache_residual_order")):
            yield f"{name}: the diffusion cache is off; switch it on, or leave this empty"
    if not params.prompt_upsampling:
        for name in changed(params, _UPSAMPLER):
            yield f"{name}: no prompt is rewritten; switch prompt_upsampling on, or leave this empty"


def _sampling(params: InferenceCosmos3) -> Iterator[str]:
    if params.sampler == "unipc" and params.sigma_max is not None:
        yield "sigma_max: the sampler unipc ignores it; use shift, or the sampler edm"
    if params.sampler == "edm" and params.shift is not None:
        yield "shift: the sampler edm ignores it; use sigma_max, or the sampler unipc"
    if not is_distilled(params):
        return
    if params.num_steps not in (0, DISTILLED_STEPS):
        yield f"num_steps: {params.checkpoint} makes {DISTILLED_STEPS} steps; leave it at 0"
    if params.guidance not in (None, 1.0):
        yield f"guidance: {params.checkpoint} has its own built in; leave it empty"
    for name in changed(params, ("sampler", "shift", "sigma_max")):
        yield f"{name}: {params.checkpoint} has its own steps; leave it at its default"


def _intervals(params: InferenceCosmos3) -> Iterator[str]:
    for name in ("guidance_interval", "control_guidance_interval"):
        interval = getattr(params, name)
        if interval is not None and interval[0] >= interval[1]:
            yield f"{name}: {interval[0]:g} is not below {interval[1]:g}, so it would never work; give the lower one first"
        elif interval is not None and getattr(params, name.removesuffix("_interval")) == 1:
            yield f"{name}: {name.removesuffix('_interval')} is 1, which is off; give it another value, or leave this empty"


def changed(params: Params, names: tuple[str, ...]) -> Iterator[str]:
    """Those of the parameters that are not at their default."""
    fields = type(params).model_fields
    return (name for name in names if getattr(params, name) != fields[name].default)
