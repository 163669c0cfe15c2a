"""Where runs are carried out: store, results and one host together."""

from dataclasses import dataclass
from pathlib import Path

from cosmos_ops.remote.host import Host
from cosmos_ops.results import ResultsFolder
from cosmos_ops.runs import VIDEO, Prompt, Run
from cosmos_ops.store import Store


@dataclass(frozen=True)
class Records:
    """The run store and the results folder."""

    store: Store
    results: ResultsFolder

    def root_prompt(self, prompt_id: str) -> Prompt:
        """The first prompt of a lineage."""
        prompt = self.store.prompt(prompt_id)
        while prompt.parent_id is not None:
            prompt = self.store.prompt(prompt.parent_id)
        return prompt

    def videos_of(self, run: Run) -> dict[str, Path]:
        """The videos that a run works on: its prompt's, or the output of the run that it follows."""
        if run.parent_id is None:
            return dict(self.store.prompt(run.prompt_id).inputs)
        video = self.store.run(run.parent_id).outputs.video
        return {} if video is None else {VIDEO: self.results.absolute(video)}


@dataclass(frozen=True)
class Workplace(Records):
    """The records and one host; `owner` is the process that works here."""

    host: Host
    owner: str
