"""The operation `inference`: input videos in lockstep, controls computed where none is given, one rendered video out."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from cosmos_ops.errors import SampleFailedError
from cosmos_ops.media.frames import Frame, Picture, VideoWriter, open_reader, open_writer, with_picture
from cosmos_ops.media.probe import probe
from cosmos_ops.preview.controls import ControlMaker
from cosmos_ops.preview.look import found_effects, look_of
from cosmos_ops.preview.rendering import Renderer, Settings
from cosmos_ops.preview.samples import Sample
from cosmos_ops.videos import VideoInfo


@dataclass(frozen=True)
class Flags:
    """What the process is told once for all its samples."""

    smoothing_passes: int
    blur_strength: str
    edge_threshold: str
    crf: int


@dataclass(frozen=True)
class Plan:
    """The files of one sample, looked at before the first frame."""

    main: VideoInfo
    """Gives size, rate and time stamps: the video, or the first control where there is no video."""
    sources: dict[str, Path]
    """Files that are read, by `video` or the name of a control."""
    computed: list[str]
    """Controls that are computed from the video."""
    frame_count: int


def plan_inference(sample: Sample) -> Plan:
    """Look at all files of a sample.

    Raises:
        VideoUnreadableError: A file is no video.
        SampleFailedError: A control differs in size from the video or is shorter.
    """
    sources = {name: control.input for name, control in sample.controls.items() if control.input is not None}
    if sample.video is not None:
        sources = {"video": sample.video, **sources}
    infos = {name: probe(path) for name, path in sources.items()}
    main_name, main = next(iter(infos.items()))
    limit = sample.spec["max_frames"]
    frame_count = min(main.frame_count, limit) if limit else main.frame_count
    for name, info in infos.items():
        if (info.width_px, info.height_px) != (main.width_px, main.height_px):
            sizes = f"{info.width_px}x{info.height_px}, and {main_name} {main.width_px}x{main.height_px}"
            raise SampleFailedError(f"{name} is {sizes}; scale it to the same size")
        if info.frame_count < frame_count:
            raise SampleFailedError(f"{name} has {info.frame_count} of {frame_count} frames; export it in full or set max_frames")
    computed = [name for name, control in sample.controls.items() if control.input is None]
    return Plan(main, sources, computed, frame_count)


def infer(sample: Sample, plan: Plan, folder: Path, flags: Flags, on_frame: Callable[[int], None]) -> int:
    """Write video.mp4 and a file for each computed control; return the number of frames.

    Raises:
        VideoUnreadableError: A file breaks off.
        SampleFailedError: A control ends before the video.
        DiskFullError: No space is left; nothing of the unfinished files remains.
    """
    maker = ControlMaker(plan.computed, blur_strength=flags.blur_strength, edge_threshold=flags.edge_threshold)
    renderer = Renderer(_settings(sample, flags), plan.main.height_px, plan.main.width_px)
    with ExitStack() as stack:
        frames = _lockstep(stack, plan)
        first = next(frames)
        writers = _open_writers(stack, plan, folder, flags, next(iter(first.values())))
        start = next(iter(first.values()))
        for count, group in enumerate(_chained(first, frames), start=1):
            main = next(iter(group.values()))
            given = {name: frame.picture for name, frame in group.items() if name != "video"}
            made = maker.make(group["video"].picture) if plan.computed else {}
            seconds = float((main.pts - start.pts) * main.time_base)
            _write(writers, main, made, renderer.render({**given, **made}, seconds))
            on_frame(count)
    return count


def control_file(name: str) -> str:
    """Name of the file of a computed control."""
    return f"control_{name}.mp4"


def _settings(sample: Sample, flags: Flags) -> Settings:
    spec = sample.spec
    return Settings(
        look=look_of(found_effects(sample.prompt, spec["negative_prompt"])),
        weights={name: control.weight for name, control in sample.controls.items()},
        guidance=spec["guidance"],
        grain=spec["grain"],
        seed=spec["seed"],
        smoothing_passes=flags.smoothing_passes,
    )


def _lockstep(stack: ExitStack, plan: Plan) -> Iterator[dict[str, Frame]]:
    """The next frame of every source, as long as the main one goes on; opened with and closed by `stack`."""
    readers = {name: stack.enter_context(open_reader(path)) for name, path in plan.sources.items()}
    main_name = next(iter(readers))

    def groups() -> Iterator[dict[str, Frame]]:
        for index, frame in enumerate(islice(readers[main_name], plan.frame_count)):
            group = {main_name: frame}
            for name, reader in readers.items():
                if name != main_name:
                    other = next(reader, None)
                    if other is None:
                        raise SampleFailedError(f"{name} ends after {index} frames, before {main_name}; export it in full")
                    group[name] = other
            yield group

    return groups()


def _chained(first: dict[str, Frame], rest: Iterator[dict[str, Frame]]) -> Iterator[dict[str, Frame]]:
    yield first
    yield from rest


def _open_writers(stack: ExitStack, plan: Plan, folder: Path, flags: Flags, first: Frame) -> dict[str, VideoWriter]:
    names = {"video": "video.mp4", **{name: control_file(name) for name in plan.computed}}
    return {
        role: stack.enter_context(
            open_writer(
                folder / file_name,
                width_px=plan.main.width_px,
                height_px=plan.main.height_px,
                fps=plan.main.fps,
                time_base=first.time_base,
                crf=flags.crf,
                preset="superfast",
            )
        )
        for role, file_name in names.items()
    }


def _write(writers: dict[str, VideoWriter], main: Frame, made: dict[str, Picture], rendered: Picture) -> None:
    writers["video"].write(with_picture(main, rendered))
    for name, picture in made.items():
        writers[name].write(with_picture(main, picture))
