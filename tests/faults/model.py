"""A simulated model with the contract of the preview family: real spec in, real lines, bars, files and markers out.

It runs in a container that has nothing but Python, takes the place of `cosmos_ops.preview` there, and heeds orders in the
text of a sample: `order=wait` (compute until there is a file `go` in the job's folder), `oom`, `empty`, `truncate`, `fill`,
`stubborn`, `secret`, `chatter`. Where `/count` is mounted, each start of a sample leaves a line there. `SIM_LOAD_S` and
`SIM_SAMPLE_S` in the environment are the seconds that the load and each sample take.
"""

import hashlib
import json
import os
import re
import shutil
import signal
import sys
import time
from pathlib import Path

JOB = Path("/cosmos/job")
COUNT = Path("/count")
STEPS = 5


def main():
    samples, out = (Path(sys.argv[sys.argv.index(name) + 1]) for name in ("--samples", "--out"))
    lines = [json.loads(line) for line in samples.read_text().splitlines()]
    say(f"INFO {len(lines)} samples, user {os.getuid()}, GPUs {os.environ.get('NVIDIA_VISIBLE_DEVICES', 'none')}")
    time.sleep(float(os.environ.get("SIM_LOAD_S", "0")))
    for number, sample in enumerate(lines, 1):
        carry_out(sample, out / sample["name"], f"[{number}/{len(lines)}] Sample {sample['name']}")
    return 0


def carry_out(sample, folder, title):
    orders = set(re.findall(r"order=(\w+)", sample.get("prompt", "")))
    if COUNT.is_dir():
        with (COUNT / "started").open("a") as file:
            file.write(f"{sample['name']}\n")
    say(f"INFO {title} started")
    if "stubborn" in orders:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    work(sample["name"], orders)
    if "empty" in orders:
        return
    folder.mkdir(parents=True, exist_ok=True)
    if "fill" in orders:
        fill(folder)
    video = folder / "video.mp4"
    shutil.copyfile(sample["video"], video)
    spec = folder / "spec.json"
    spec.write_text(json.dumps(sample))
    files = {path.stem: {"path": path.name, "sha256": sha256(path), "size_bytes": path.stat().st_size} for path in (video, spec)}
    if "truncate" in orders:
        os.truncate(video, video.stat().st_size // 2)
    marker = folder / ".done.partial"
    marker.write_text(json.dumps({"status": "completed", "files": files}))
    marker.rename(folder / "done.json")
    say(f"INFO {title} saved to {folder}")


def work(name, orders):
    for step in range(1, STEPS + 1):
        sys.stdout.write(f"\rSampling {name}: {100 * step // STEPS:3d}%|{'#' * step:<5}| {step}/{STEPS}")
        sys.stdout.flush()
        time.sleep(float(os.environ.get("SIM_SAMPLE_S", "0")) / STEPS)
        if step == 1:
            obey(orders)
    sys.stdout.write("\n")


def obey(orders):
    if "secret" in orders:
        say("\n" + os.environ["TOKEN"])
    for number in range(20_000 if "chatter" in orders else 0):
        say(f"INFO line {number}")
    if "oom" in orders:
        hoard = []
        while True:
            hoard.append(bytearray(b"x") * 10_000_000)
    while "wait" in orders and not (JOB / "go").exists():
        time.sleep(0.05)


def fill(folder):
    try:
        with (folder / "filler").open("wb") as file:
            while True:
                file.write(bytes(1 << 20))
                file.flush()
    except OSError as error:
        say(f"ERROR DiskFullError: No space left for {folder}: {error}")
        sys.exit(3)


def sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def say(text):
    print(text, flush=True)


if __name__ == "__main__":
    sys.exit(main())
