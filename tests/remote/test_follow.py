"""Following a container whose host comes and goes: no line is lost or repeated, and silence is not taken for a stall."""

import pytest

from cosmos_ops.errors import ContainerGoneError, HostUnreachableError
from cosmos_ops.job import ContainerExit, LogLine
from cosmos_ops.remote import follow


class Script:
    """A container on a host that does what it is told to, look by look: bytes it says, `away`, or an exit."""

    def __init__(self, *looks):
        self.looks, self.log, self.stopped = list(looks), b"", 0
        self.now = None

    def exit(self):
        self.now = self.looks.pop(0) if len(self.looks) > 1 else self.looks[0]
        if self.now == "away":
            raise HostUnreachableError("away")
        if self.now == "gone":
            raise ContainerGoneError("gone")
        if isinstance(self.now, bytes):
            self.log += self.now
        return self.now if isinstance(self.now, ContainerExit) else None

    def read(self, offset):
        return self.log[offset : offset + 7]

    def stop(self):
        self.stopped += 1
        self.looks = [ContainerExit(143)]


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch):
    monkeypatch.setattr(follow.time, "sleep", lambda _: None)


def followed(script, *, is_cancelled=lambda: False, stall_limit_s=1e9):
    lines, contact = [], []
    ended = follow.follow(
        follow.Watched(script.read, script.exit, script.stop),
        on_line=lambda line: lines.append(line.text),
        is_cancelled=is_cancelled,
        on_contact=contact.append,
        stall_limit_s=lambda: stall_limit_s,
    )
    return ended, lines, contact


def test_lines_are_whole_however_they_are_cut():
    script = Script(b"first li", b"ne\nsecond", b" line\nlast", ContainerExit(0))

    ended, lines, contact = followed(script)

    assert (ended, lines, contact) == (ContainerExit(0), ["first line", "second line", "last"], [])


def test_a_lost_host_is_waited_for_and_no_line_is_lost_or_repeated():
    script = Script(b"one\ntw", "away", "away", b"o\n", "away", b"three\n", ContainerExit(3))

    ended, lines, contact = followed(script)

    assert (ended, lines) == (ContainerExit(3), ["one", "two", "three"])
    assert contact == [False, True, False, True]


def test_what_was_cancelled_while_the_host_was_away_is_stopped_when_it_is_back():
    script = Script(b"one\n", "away", b"two\n", b"")

    ended, lines, _ = followed(script, is_cancelled=lambda: script.now == "away" or b"two" in script.log)

    assert ended == ContainerExit(143, is_cancelled=True)
    assert (lines, script.stopped) == (["one", "two"], 1)


def test_one_who_cancels_does_not_wait_for_ever_for_a_host_that_is_away(monkeypatch):
    monkeypatch.setattr(follow, "PATIENCE_S", 0.0)

    with pytest.raises(HostUnreachableError, match="stopped once it does"):
        followed(Script("away"), is_cancelled=lambda: True)


def test_silence_is_a_stall_but_not_that_of_a_host_that_was_away():
    moments = iter(range(0, 10_000, 10))
    clock = lambda: float(next(moments))  # noqa: E731
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(follow.time, "monotonic", clock)
        ended, _, _ = followed(Script(b"one\n", *["away"] * 9, b"two\n", ContainerExit(0)), stall_limit_s=100)
        stalled, _, _ = followed(Script(b"one\n", b""), stall_limit_s=100)

    assert not ended.is_stalled
    assert stalled.is_stalled


def test_a_container_that_is_gone_is_said_so():
    with pytest.raises(ContainerGoneError):
        followed(Script(b"one\n", "gone"))


def test_secrets_do_not_pass():
    line = LogLine("token=hunter2, again hunter2", is_redraw=False)

    assert follow.masked(line, ["hunter2"]).text == "token=***, again ***"
    assert follow.masked(line, ["other"]) is line
