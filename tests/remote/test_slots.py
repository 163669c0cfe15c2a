"""GPU slots: who is on one, who gives way, and that of two who create at once never both start."""

from hypothesis import given
from hypothesis import strategies as st

from cosmos_ops.remote.slots import Occupant, abandoned, free_slot, gives_way, gpus_text, read_gpus, rivals

PAIR = ((0,), (1,))


def on(name, *gpus, state="running", created_at_s=0.0):
    return Occupant(name, frozenset(gpus), state, created_at_s)


def test_the_label_of_a_slot_is_read_back():
    assert read_gpus(gpus_text((0, 3))) == {0, 3}
    assert read_gpus("") == read_gpus("all") == frozenset()


def test_the_first_free_slot_is_taken():
    assert free_slot(PAIR, []) == (0,)
    assert free_slot(PAIR, [on("a", 0)]) == (1,)
    assert free_slot(PAIR, [on("a", 0), on("b", 1, state="created")]) is None


def test_an_ended_container_frees_its_gpus():
    assert free_slot(((0,),), [on("a", 0, state="exited"), on("b", 0, state="dead")]) == (0,)


def test_a_group_of_gpus_is_taken_by_any_of_them():
    assert free_slot(((0, 1), (2, 3)), [on("a", 1)]) == (2, 3)
    assert [other.name for other in rivals("me", frozenset({0, 1}), [on("me", 0, 1), on("a", 1), on("b", 2)])] == ["a"]


def test_whoever_meets_a_running_container_gives_way():
    assert gives_way("a", [on("b", 0)])
    assert gives_way("b", [on("a", 0, state="created")])
    assert not gives_way("a", [on("b", 0, state="created")])


def test_a_container_that_was_never_started_is_abandoned_after_a_while():
    containers = [on("old", 0, state="created"), on("new", 0, state="created", created_at_s=100.0), on("runs", 1)]
    assert [one.name for one in abandoned(containers, now_s=130.0)] == ["old"]


STEPS = ("create", "look", "start")


@given(order=st.permutations([name for name in "abc" for _ in STEPS]))
def test_however_the_steps_of_three_interleave_at_most_one_starts(order):
    """Each creates its container, then looks, then starts it or removes it; the host carries the calls out one by one."""
    containers, step, decided = {}, dict.fromkeys("abc", 0), {}
    for name in order:
        match STEPS[step[name]]:
            case "create":
                if free_slot(((0,),), list(containers.values())) is None and any(
                    one.state == "running" for one in containers.values()
                ):
                    decided[name] = "waits"
                else:
                    containers[name] = on(name, 0, state="created")
            case "look" if name not in decided:
                others = rivals(name, frozenset({0}), list(containers.values()))
                decided[name] = "waits" if others else "starts"
                if others and gives_way(name, others):
                    del containers[name]
            case "start" if decided[name] == "starts":
                containers[name] = on(name, 0)
        step[name] += 1

    assert sum(one.state == "running" for one in containers.values()) <= 1
