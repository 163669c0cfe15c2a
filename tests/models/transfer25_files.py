"""What Transfer2.5 makes of the files of a sample: sizes, and what it fails on."""

from types import SimpleNamespace

from .program import VideoInfo, video_info
from .transfer25_arguments import hints_of

PICTURES = (".png", ".jpg", ".jpeg")
RATIOS = {"1,1": 1.0, "4,3": 4 / 3, "3,4": 3 / 4, "16,9": 16 / 9, "9,16": 9 / 16}
# Width and height for each of the ratios.
SIZES = {
    "1080": ((1024, 1024), (1440, 1056), (1056, 1440), (1920, 1056), (1056, 1920)),
    "1024": ((1024, 1024), (1280, 1024), (1024, 1280), (1280, 768), (768, 1280)),
    "720": ((960, 960), (960, 704), (704, 960), (1280, 704), (704, 1280)),
    "512": ((512, 512), (640, 512), (512, 640), (640, 384), (384, 640)),
    "480": ((480, 480), (640, 480), (480, 640), (768, 432), (432, 768)),
    "480p": ((640, 640), (640, 480), (480, 640), (832, 480), (480, 832)),
    "720p": ((960, 960), (960, 720), (720, 960), (1280, 720), (720, 1280)),
    "720robocasa": ((720, 720), (960, 720), (720, 960), (1280, 720), (720, 1280)),
    "256": ((256, 256), (320, 256), (256, 320), (320, 192), (192, 320)),
}


def read(path: str) -> VideoInfo:
    """What is read of a file: of a picture one frame, whatever else is in it."""
    info = video_info(path)
    return info._replace(frames=1) if path.endswith(PICTURES) else info


def files_beside(sample: SimpleNamespace) -> list[str]:
    """Controls and masks that are read from files; folders and arrays are not looked into."""
    paths = [getattr(sample, hint)[key] for hint in hints_of(sample) for key in ("control_path", "mask_path")]
    guided = sample.guided_generation_mask or ""
    return [path for path in (*paths, guided if guided.endswith(".mp4") else "") if path]


def check_guided(sample: SimpleNamespace) -> None:
    path = sample.guided_generation_mask
    if path and not path.endswith((".mp4", ".npz")):
        raise ValueError(f"Unknown video mask format: {path} not a mp4 or npz file")


def check_shapes(sample: SimpleNamespace, bucket: tuple[int, int]) -> None:
    """Files of another aspect ratio than the input get another size, and do not fit."""
    for path in files_beside(sample):
        info = read(path)
        own = SIZES[sample.resolution][nearest(info.width / info.height)]
        if own != bucket:
            raise RuntimeError(f"The size of tensor a ({own[0]}) must match the size of tensor b ({bucket[0]})")


def nearest(ratio: float) -> int:
    """The place of the nearest of the five ratios."""
    return min(range(len(RATIOS)), key=lambda place: abs(list(RATIOS.values())[place] - ratio))
