"""A dispatcher in a process of its own, which a test may kill: `python -m tests.dispatching.process FOLDER`."""

import json
import pickle
import sys
from dataclasses import asdict
from pathlib import Path

from cosmos_ops.dispatching.dispatcher import Dispatcher
from cosmos_ops.dispatching.work import PlainCarrier
from cosmos_ops.owners import this_process
from cosmos_ops.results import ResultsFolder
from cosmos_ops.settings import Settings
from cosmos_ops.workplace import Records
from tests.builders import opened_store


def main(folder: Path) -> None:
    offers = pickle.loads((folder / "offers").read_bytes())
    with opened_store() as store:
        dispatcher = Dispatcher(
            Records(store, ResultsFolder(Settings().outputs_folder)),
            this_process(),
            offers=lambda: offers,
            carrier=lambda _: PlainCarrier(),
            is_stopping=lambda: False,
        )
        answer = dispatcher.run()
        dispatcher.close()
    (folder / "answer").write_text(json.dumps(asdict(answer)))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
