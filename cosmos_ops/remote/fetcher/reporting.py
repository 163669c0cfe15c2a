"""What the program tells: one JSON object a line, in a file that is read from outside while it grows."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

from .trouble import Trouble


class Events:
    """Writes events; safe to share among threads."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("a", encoding="utf-8")
        self._lock = threading.Lock()

    def tell(self, event: str, **values: Any) -> None:
        """Write one event."""
        with self._lock:
            self._file.write(json.dumps({"event": event, **values}) + "\n")
            self._file.flush()

    def tell_trouble(self, trouble: Trouble) -> None:
        """Write what is in the way."""
        self.tell("trouble", kind=trouble.kind, detail=trouble.detail, repository=trouble.repository, file=trouble.file)


class Counter:
    """Counts bytes; safe to share among threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.count = 0

    def add(self, count: int) -> None:
        """So many more; negative where they have to come again."""
        with self._lock:
            self.count += count
