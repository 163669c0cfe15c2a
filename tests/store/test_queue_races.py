"""All that changes the queue at once, in any order: nobody waits for somebody who waits for him, and no count is wrong."""

import random
from concurrent.futures import ThreadPoolExecutor

import pytest

from cosmos_ops.runs import Phase, RunStatus
from cosmos_ops.store import Broke, RunFilter

from .builders import a_job, a_prompt, a_run, open_store, queued, queueing

OWNERS = ("a", "b", "c")
TURNS = 40


class Worker:
    """Does one thing after the other to the same few runs and jobs as all the other workers; any error is a failure."""

    def __init__(self, store, runs, seed) -> None:
        self.store = store
        self.random = random.Random(seed)
        self.run_ids = [run.id for run in runs]
        self.prompt_id = runs[0].prompt_id
        self.owner = self.random.choice(OWNERS)
        self.requeued = 0

    def some(self):
        return self.random.sample(self.run_ids, self.random.randint(1, len(self.run_ids)))

    def work(self):
        steps = [
            self.open_job,
            self.look_after_a_job,
            self.requeue,
            self.hold_and_let_go,
            self.add_a_child,
            self.change_many,
            self.save_costs,
        ]
        for _ in range(TURNS):
            self.random.choice(steps)()
        return self.requeued

    def open_job(self):
        self.store.open_job(a_job(*self.some()[:4]), host="gpu1", owner=self.owner, lease_s=60, flow_run_id="f")

    def look_after_a_job(self):
        jobs = self.store.open_jobs()
        if not jobs:
            return
        found = self.random.choice(jobs)
        job_id = found.job.id
        self.store.take_over(job_id, from_owner=found.owner, owner=self.owner, lease_s=60, seen_lease=found.lease_until)
        self.store.wait_for_slot(job_id)
        self.store.renew_lease(job_id, owner=self.owner, lease_s=60)
        self.store.got_slot(job_id)
        self.requeued += self.store.requeue([item.run_id for item in found.job.items], job_id=job_id, broke=Broke.WITH_OTHERS)
        self.store.end_job(job_id)

    def requeue(self):
        self.requeued += self.store.requeue(self.some(), broke=Broke.WITH_OTHERS)

    def hold_and_let_go(self):
        self.store.hold("dispatch", owner=self.owner, lease_s=60, from_owner=self.random.choice([None, *OWNERS]))
        self.store.holder("dispatch")
        self.store.let_go("dispatch", owner=self.owner, known={waiting.run_id for waiting in self.store.waiting()})

    def add_a_child(self):
        parent = self.random.choice(self.run_ids)
        child = self.store.add_run(a_run(self.prompt_id, parent_id=parent, queueing=queueing()))
        self.store.finish(child.id, RunStatus.CANCELLED)

    def change_many(self):
        self.store.set_priority(self.some(), self.random.randint(-9, 9))
        self.store.set_phase(self.some(), self.random.choice([*Phase]))

    def save_costs(self):
        models = self.random.sample(["m1", "m2", "m3"], 3)
        self.store.save_costs({(model, "H100"): {"load_s": 1.0} for model in models})


@pytest.mark.parametrize("is_shared", [False, True], ids=["a store each", "one store"])
def test_whatever_is_done_to_the_queue_at_once_nobody_blocks_another_for_good(url, is_shared):
    seed = random.SystemRandom().randrange(10**6)
    print(f"seed {seed}")
    stores = [open_store(url) for _ in range(1 if is_shared else 6)]
    try:
        runs = queued(stores[0], 8)
        workers = [Worker(stores[n % len(stores)], runs, seed + n) for n in range(6)]
        with ThreadPoolExecutor(len(workers)) as pool:
            requeued = sum(pool.map(Worker.work, workers))
        after = stores[0].runs_of_ids(run.id for run in runs)
        assert {run.status for run in after} <= {RunStatus.QUEUED, RunStatus.RUNNING}
        # Each of them went back as often as somebody was told so.
        assert sum(run.breaks for run in after) == requeued > 0
        running = {run.id for run in after if run.status is RunStatus.RUNNING}
        jobs = {run.job_id for run in after if run.id in running}
        assert running == {run.id for job in jobs for run in stores[0].runs(RunFilter(job_id=job), limit=100)}
        assert {model for model, _ in stores[0].costs()} <= {"m1", "m2", "m3"}
    finally:
        for store in stores:
            store.close()


def test_costs_of_the_same_models_saved_at_once_all_arrive(store):
    models = [f"m{n}" for n in range(20)]

    def save(number):
        shuffled = random.Random(number).sample(models, len(models))
        store.save_costs({(model, "H100"): {"from": number} for model in shuffled})

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(save, range(12)))
    assert {model for model, _ in store.costs()} == set(models)
    assert len({coefficients["from"] for coefficients in store.costs().values()}) == 1


def test_of_two_who_see_a_lease_run_out_one_takes_the_job(store, clock):
    prompt = store.add_prompt(a_prompt())
    with ThreadPoolExecutor(4) as pool:
        for _ in range(10):
            job = a_job(store.add_run(a_run(prompt.id, queueing=queueing())).id)
            store.open_job(job, host="gpu1", owner="gone", lease_s=60)
            clock.advance(61)
            seen = store.job(job.id).lease_until

            def take_over(owner, job=job, seen=seen):
                return store.take_over(job.id, from_owner="gone", owner=owner, lease_s=60, seen_lease=seen)

            took = list(pool.map(take_over, "abcd"))
            assert took.count(True) == 1
            assert store.job(job.id).owner == "abcd"[took.index(True)]
