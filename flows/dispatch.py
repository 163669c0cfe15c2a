"""Dispatch: the shared queue is drained, every GPU slot of every host gets its next batch as soon as it is free."""

from functools import partial
from typing import Any

from prefect import flow, get_run_logger
from prefect.client.schemas.objects import State
from prefect.states import Cancelled

from cosmos_ops.dispatching.crew import Offer
from cosmos_ops.dispatching.dispatcher import Dispatched, Dispatcher
from cosmos_ops.dispatching.work import Carrier, Work
from cosmos_ops.owners import this_process
from cosmos_ops.planning import Goal, Mixing, PlanOptions
from cosmos_ops.settings import Settings
from cosmos_ops.workplace import Records
from flows import tasks
from flows.artifacts import only_shown
from flows.cancellation import Cancellation, root_flow_run, stop_what_is_left, this_flow_run
from flows.dispatch_report import FlowReport
from flows.hosts import LOCAL, LOCAL_FAMILIES, connect, saved_hosts
from flows.naming import dispatch_name
from flows.stage import title_of
from flows.workplace import records


@flow(name="dispatch", flow_run_name=dispatch_name, on_cancellation=[stop_what_is_left])
def dispatch(
    goal: Goal = Goal.BALANCED,
    mixing: Mixing = Mixing.AUTOMATIC,
    batch_minutes_max: int = 120,
    batch_runs_max: int = 100,
) -> str | State[Any]:
    """Carry out the runs of the shared queue, on all hosts, until none is left that could be.

    Args:
        goal: What to weigh when an earlier end of the whole queue costs more GPU seconds.
        mixing: Whether runs with different controls may share a batch, where that leaves their results as they are.
        batch_minutes_max: Expected length of a batch; so much is at stake when one run breaks its process.
        batch_runs_max: Most runs of a batch.
    """
    options = PlanOptions(goal, mixing, batch_seconds_max=batch_minutes_max * 60.0, batch_runs_max=batch_runs_max)
    with records() as place, Cancellation(place, this_flow_run(), root_flow_run(), fails_runs=False) as cancellation:
        report = FlowReport(place, get_run_logger(), this_flow_run())
        dispatcher = Dispatcher(
            place,
            this_process(),
            offers=offers,
            carrier=partial(_carrier, place),
            is_stopping=cancellation.is_cancelled,
            report=report,
            options=options,
            flow_run_id=this_flow_run(),
            give_up_s=Settings().host_give_up_s,
        )
        try:
            done = dispatcher.run()
        except BaseException as error:
            cancellation.hear(error)
            if cancellation.is_cancelled():
                dispatcher.let_lanes_end()
            raise
        finally:
            dispatcher.close()
        with only_shown():
            report.finish(done)
        if cancellation.is_cancelled():
            return Cancelled(message=_summary(done))
        return _summary(done)


def offers() -> list[Offer]:
    """All GPU servers, and this machine for what it can do where no server has it."""
    blocks = saved_hosts()
    servers = [
        Offer(
            name,
            frozenset(block.images),
            partial(block.connect, name),
            is_paused=block.is_paused,
            mark=block.model_dump_json(exclude={"is_paused", "images"}),
        )
        for name, block in blocks.items()
        if block.kind == "ssh"
    ]
    served = frozenset[str]().union(*(offer.families for offer in servers))
    if rest := LOCAL_FAMILIES - served:
        is_paused = LOCAL in blocks and blocks[LOCAL].is_paused
        servers.append(Offer(LOCAL, rest, partial(connect, LOCAL), is_paused=is_paused))
    return servers


def _carrier(place: Records, work: Work) -> Carrier:
    runs = place.store.runs_of_ids(item.run_id for item in work.job.items)
    return tasks.TaskCarrier(title_of(place, runs))


def _summary(done: Dispatched) -> str:
    words = f"{len(done.job_ids)} batches carried out"
    if done.another:
        other = f"another dispatch is at work ({done.another})"
        return f"{words}; {other}" if done.job_ids else other
    return f"{words}; {len(done.waiting)} runs wait, because no host can take them; the log says why" if done.waiting else words
