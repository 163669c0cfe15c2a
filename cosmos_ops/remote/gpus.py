"""The GPUs of a host, as its nvidia-smi tells them."""

import csv

from cosmos_ops.errors import HostUnhealthyError
from cosmos_ops.remote.connection import Connection
from cosmos_ops.remote.host import GPU

FIELDS = ("index", "name", "driver_version", "memory.total")
QUERY = ("nvidia-smi", f"--query-gpu={','.join(FIELDS)}", "--format=csv,noheader,nounits")
NOT_FOUND = 127


def read_gpus(connection: Connection) -> list[GPU]:
    """Ask the host; no GPU where there is no NVIDIA driver.

    Raises:
        HostUnhealthyError: The driver is there, but does not work; the message has its words.
    """
    asked = connection.run(QUERY)
    if asked.code == NOT_FOUND:
        return []
    if asked.code != 0:
        words = " ".join((asked.stdout + asked.stderr).split())
        raise HostUnhealthyError(f"host {connection.host}: nvidia-smi fails: {words}")
    return parse_gpus(asked.stdout)


def parse_gpus(text: str) -> list[GPU]:
    """The answer to `QUERY` as GPUs; a figure that a GPU does not tell (`[N/A]`) counts as 0."""
    rows = [[cell.strip() for cell in row] for row in csv.reader(text.splitlines()) if len(row) == len(FIELDS)]
    return [GPU(index=_number(row[0]), name=row[1], driver=row[2], memory_mib=_number(row[3])) for row in rows]


def _number(cell: str) -> int:
    return int(cell) if cell.isdigit() else 0
