"""Where everything of ours lives on this machine; from the environment, each setting with the prefix `COSMOS_`."""

from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """All state is under one folder, so that nothing of the user's own (Prefect profile, known hosts) is touched."""

    model_config = SettingsConfigDict(env_prefix="COSMOS_", frozen=True, use_attribute_docstrings=True)

    home: Path = Field(Path("~/.cosmos"))
    """Folder of all state: database, outputs, Prefect's embedded state, workspace of this machine."""
    database_url: str = Field("", repr=False)
    """Any SQLAlchemy URL; empty for SQLite in the home folder."""
    outputs: Path | None = Field(None)
    """Folder of the results; empty for `outputs` in the home folder."""

    fallback_families: dict[str, str] = Field({"enhance": "transfer1", "upscale": "transfer1"})
    """Operation to the family that does it for families that cannot, as JSON."""

    host_give_up_s: float = Field(600.0, gt=0)
    """Seconds for which a dispatch waits for a host that does not answer, before its runs go to another one."""

    ssh_folder: Path = Field(Path("~/.ssh"))
    """Folder of OpenSSH's configuration, known hosts and default keys; only read."""

    @property
    def home_folder(self) -> Path:
        """The home folder, absolute."""
        return self.home.expanduser().absolute()

    @property
    def store_url(self) -> str:
        """The URL of the run store."""
        return self.database_url or f"sqlite:///{(self.home_folder / 'cosmos.db').as_posix()}"

    @property
    def outputs_folder(self) -> Path:
        """The folder of the results, absolute."""
        return self.outputs.expanduser().absolute() if self.outputs else self.home_folder / "outputs"

    @property
    def workspace_folder(self) -> Path:
        """Where this machine keeps inputs and jobs when it is a host itself."""
        return self.home_folder / "workspace"

    @property
    def prefect_folder(self) -> Path:
        """Prefect's own state: profile, embedded database, results."""
        return self.home_folder / "prefect"

    @property
    def demo_folder(self) -> Path:
        """The city that the demo renders for itself."""
        return self.home_folder / "demo"
