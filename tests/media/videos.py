"""Clips of every awkward kind, written with PyAV directly so that our own writer is not its own witness."""

import struct
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import numpy as np

NTSC_FILM = Fraction(24000, 1001)


def picture(index=0, width=64, height=48):
    """A red corner top left, a gradient elsewhere, and a bar that moves with the index."""
    rows, columns = np.mgrid[0:height, 0:width]
    rgb = np.stack([columns * 200 // width, rows * 200 // height, np.full_like(rows, 90)], axis=-1).astype(np.uint8)
    rgb[: height // 4, : width // 4] = (230, 20, 20)
    rgb[:, (index * 2) % width] = 255
    return rgb


def write_clip(path, *, frame_count=12, width=64, height=48, fps=Fraction(24), codec="libx264", pix_fmt="yuv420p", sound=False):
    """A constant-rate clip."""
    with av.open(str(path), "w", options={"movflags": "+faststart"}) as container:
        stream = container.add_stream(codec, rate=fps, options={"preset": "ultrafast", "bf": "0"})
        stream.width, stream.height, stream.pix_fmt = width, height, pix_fmt
        audio = container.add_stream("aac", rate=8000, layout="mono") if sound else None
        for index in range(frame_count):
            frame = av.VideoFrame.from_ndarray(picture(index, width, height), format="rgb24")
            container.mux(stream.encode(frame.reformat(format=pix_fmt)))
        container.mux(stream.encode(None))
        if audio is not None:
            write_silence(container, audio)
    return path


def write_silence(container, stream, seconds=1):
    for start in range(0, 8000 * seconds, 1000):
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1000), np.float32), format="fltp", layout="mono")
        frame.sample_rate, frame.pts = 8000, start
        container.mux(stream.encode(frame))
    container.mux(stream.encode(None))


def write_sound_only(path):
    with av.open(str(path), "w") as container:
        write_silence(container, container.add_stream("aac", rate=8000, layout="mono"))
    return path


def write_vfr_clip(path, stamps_ms):
    with av.open(str(path), "w", format="matroska") as container:
        stream = container.add_stream("libx264", rate=30, options={"preset": "ultrafast", "bf": "0"})
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.codec_context.time_base = Fraction(1, 1000)
        for index, stamp in enumerate(stamps_ms):
            frame = av.VideoFrame.from_ndarray(picture(index), format="rgb24")
            frame.pts, frame.time_base = stamp, Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def turned(path, target):
    """A copy whose display matrix turns it a quarter clockwise, as phones write it."""
    data = bytearray(path.read_bytes())
    box = data.index(b"tkhd")
    # After the type: version and flags 4, version 0 fields 20, reserved and layer 16, then the matrix.
    at = box + 4 + 4 + 20 + 16
    one = 1 << 16
    assert struct.unpack(">9i", data[at : at + 36])[0] == one
    data[at : at + 36] = struct.pack(">9i", 0, one, 0, -one, 0, 0, 0, 0, 1 << 30)
    Path(target).write_bytes(data)
    return target


def truncated(path, target, share=0.6):
    data = Path(path).read_bytes()
    Path(target).write_bytes(data[: int(len(data) * share)])
    return target


def stamps(path):
    """Time stamps in seconds, exact."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        return [packet.pts * stream.time_base for packet in container.demux(stream) if packet.size]


def pictures(path):
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


def assert_even(found, count):
    """So many time stamps, from 0 on, all equally far apart."""
    steps = [later - earlier for earlier, later in pairwise(found)]
    assert (len(found), found[0], len(steps)) == (count, 0, count - 1)
    assert max(steps) - min(steps) < max(steps) / 100
