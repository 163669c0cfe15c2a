"""Leases: one owner at a time, and the lease of the queue is never given up while somebody relies on it."""

import threading
from collections.abc import Set
from concurrent.futures import ThreadPoolExecutor

from cosmos_ops.runs import RunStatus

from .builders import a_job, a_prompt, a_run, queued, queueing

QUEUE = "dispatch"


def hold(store, owner, **values):
    return store.hold(QUEUE, **{"owner": owner, "lease_s": 60, **values})


def test_a_lease_is_taken_kept_and_refused_to_others(store, clock):
    assert store.holder(QUEUE) is None
    assert hold(store, "me")
    assert not hold(store, "you")
    clock.advance(50)
    assert hold(store, "me")
    clock.advance(50)
    assert not hold(store, "you")
    assert store.holder(QUEUE) == "me"


def test_leases_of_other_names_do_not_matter(store):
    assert hold(store, "me")
    assert store.hold("other", owner="you", lease_s=60)
    assert (store.holder(QUEUE), store.holder("other")) == ("me", "you")


def test_a_lease_that_ran_out_is_free_and_its_owner_hears_of_it(store, clock):
    hold(store, "me")
    clock.advance(60)
    assert store.holder(QUEUE) == "me"
    clock.advance(0.000001)
    assert store.holder(QUEUE) is None
    assert hold(store, "you")
    assert not hold(store, "me")


def test_the_owner_may_take_up_its_own_lease_after_it_ran_out(store, clock):
    hold(store, "me")
    clock.advance(61)
    assert hold(store, "me")
    assert not hold(store, "you")


def test_an_owner_that_is_gone_loses_its_lease_at_once_but_only_once(store):
    hold(store, "gone")
    assert hold(store, "me", from_owner="gone")
    assert not hold(store, "you", from_owner="gone")
    assert store.holder(QUEUE) == "me"


def test_a_free_lease_can_be_taken_from_anybody(store):
    assert hold(store, "me", from_owner="gone")


def test_who_lets_go_leaves_it_to_the_next(store):
    hold(store, "me")
    assert store.let_go(QUEUE, owner="me", known=frozenset())
    assert store.holder(QUEUE) is None
    assert hold(store, "you")


def test_a_lease_of_somebody_else_cannot_be_let_go(store):
    assert store.let_go(QUEUE, owner="me", known=frozenset())
    hold(store, "you")
    queued(store, 1)
    # It has nothing to give up, whatever waits.
    assert store.let_go(QUEUE, owner="me", known=frozenset())
    assert store.holder(QUEUE) == "you"


def test_nobody_lets_go_while_a_run_waits_that_is_unknown(store):
    hold(store, "me")
    first, second = queued(store, 2)
    direct = store.add_run(a_run(first.prompt_id))
    assert not store.let_go(QUEUE, owner="me", known={first.id})
    assert store.holder(QUEUE) == "me"
    store.open_job(a_job(second.id), host="gpu1", owner="me", lease_s=60)
    assert store.let_go(QUEUE, owner="me", known={first.id})
    assert store.run(direct.id).status is RunStatus.QUEUED


class AskingSet(Set):
    """Knows every run, and lets something happen when it is asked whether it does."""

    def __init__(self, happens) -> None:
        self.happens = happens

    def __contains__(self, run_id: object) -> bool:
        self.happens()
        return True

    def __iter__(self):
        return iter(())

    def __len__(self) -> int:
        return 0


def test_a_run_that_is_queued_while_its_holder_lets_go_is_not_lost(store):
    hold(store, "me")
    (known,) = queued(store, 1)
    recorded = threading.Event()

    def submit():
        store.add_run(a_run(known.prompt_id, queueing=queueing()))
        recorded.set()
        return store.holder(QUEUE)

    with ThreadPoolExecutor(1) as pool:
        found = []

        def queue_a_run():
            if not found:
                found.append(pool.submit(submit))
                # On SQLite it cannot be recorded before the holder has let go.
                recorded.wait(0.5)
                # On PostgreSQL it is, and has a moment to look for the holder.
                threading.Event().wait(0.2)

        is_let_go = store.let_go(QUEUE, owner="me", known=AskingSet(queue_a_run))
        assert found[0].result() == (None if is_let_go else "me")


def test_rounds_of_runs_whose_dispatchers_come_and_go_lose_no_run(store):
    prompt = store.add_prompt(a_prompt())

    def dispatch(name):
        done, known = 0, set()
        if not hold(store, name):
            return done
        while True:
            for waiting in store.waiting():
                known.add(waiting.run_id)
                done += store.finish(waiting.run_id, RunStatus.COMPLETED)
            if store.let_go(QUEUE, owner=name, known=known):
                return done

    def submit(name):
        done = 0
        for count in range(5):
            store.add_run(a_run(prompt.id, queueing=queueing()))
            if store.holder(QUEUE) is None:
                done += dispatch(f"{name}-{count}")
        return done

    with ThreadPoolExecutor(6) as pool:
        for count in range(1, 6):
            done = list(pool.map(submit, range(6)))
            assert sum(done) == 30
            assert (store.waiting(), store.holder(QUEUE)) == ([], None)
            assert store.count_runs()[RunStatus.COMPLETED] == 30 * count


def test_of_many_who_take_a_lease_and_let_go_one_has_it_at_a_time(store):
    taken, overlaps = threading.Lock(), []

    def work(name):
        turns = 0
        while turns < 15:
            if hold(store, name):
                turns += 1
                if not taken.acquire(blocking=False):
                    overlaps.append(name)
                    continue
                assert hold(store, name)
                taken.release()
                assert store.let_go(QUEUE, owner=name, known=frozenset())
        return turns

    with ThreadPoolExecutor(6) as pool:
        assert list(pool.map(work, "abcdef")) == [15] * 6
    assert (overlaps, store.holder(QUEUE)) == ([], None)
