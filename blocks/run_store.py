"""The block of the run store: which database remembers, and where results go."""

from pathlib import Path
from typing import ClassVar

from prefect.blocks.core import Block
from pydantic import Field, SecretStr

from cosmos_ops.operations import read_params
from cosmos_ops.results import ResultsFolder
from cosmos_ops.settings import Settings
from cosmos_ops.store import Store


class RunStore(Block):
    """The database of prompts and runs, and the folder of their results.

    Example:
        ```python
        from blocks import RunStore

        with RunStore.load("default").open() as store:
            runs = store.runs(limit=10)
        ```
    """

    _block_type_name: ClassVar[str] = "Cosmos run store"
    _block_type_slug: ClassVar[str] = "cosmos-run-store"
    _description: ClassVar[str] = "The database of prompts and runs, and the folder of their results."

    database_url: SecretStr = Field(
        default=SecretStr(""),
        description="SQLAlchemy URL of the database; empty: the setting COSMOS_DATABASE_URL, or SQLite in the Cosmos home.",
    )
    outputs: str = Field(
        default="",
        description="Folder of the results; empty for the setting COSMOS_OUTPUTS, or `outputs` in the Cosmos home folder.",
    )

    def open(self) -> Store:
        """Open the store; its tables are brought up to date."""
        return Store.open(self.database_url.get_secret_value() or Settings().store_url, read_params=read_params)

    def results(self) -> ResultsFolder:
        """The folder of the results."""
        return ResultsFolder(Path(self.outputs).expanduser().absolute() if self.outputs else Settings().outputs_folder)
