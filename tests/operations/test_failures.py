"""Why a model process failed: the sample of every kind, which of several texts counts, and what an exit alone tells."""

import re
from pathlib import Path

import pytest

from cosmos_ops import errors
from cosmos_ops.job import ContainerExit
from cosmos_ops.operations.failures import FAILURES, classify, diagnose, failure_reason, guardrail_reason
from cosmos_ops.operations.program_log import said

SAMPLES = sorted((Path(__file__).parents[1] / "recorded" / "failures").glob("*.txt"))
NAME = re.compile(r"(?P<kind>.+?)-(?P<family>transfer1|transfer25|cosmos3)(?:-\d+)?")
FAILED = ContainerExit(1)
ERRORS = {
    "guardrail": errors.SampleBlockedError,
    "guardrail-text": errors.SampleBlockedError,
    "guardrail-video": errors.SampleBlockedError,
    "guardrail-off": errors.CheckpointMissingError,
    "cuda-oom": errors.GPUMemoryError,
    "host-oom": errors.OutOfMemoryError,
    "spec": errors.SpecRefusedError,
    "media": errors.SpecRefusedError,
    "index-32-bit": errors.SpecRefusedError,
    "region-chunk": errors.SpecRefusedError,
    "frames-mismatch": errors.SpecRefusedError,
    "nothing-segmented": errors.SpecRefusedError,
    "patch-mismatch": errors.EnvironmentBrokenError,
    "checkpoint-missing": errors.CheckpointMissingError,
    "checkpoint-damaged": errors.CheckpointMissingError,
    "checkpoint-alias": errors.EnvironmentBrokenError,
    "hf-gated": errors.AccessRefusedError,
    "hf-offline": errors.CheckpointMissingError,
    "hf-not-found": errors.CheckpointMissingError,
    "hf-transfer": errors.DownloadFailedError,
    "hf-download": errors.DownloadFailedError,
    "no-uvx": errors.EnvironmentBrokenError,
    "shm": errors.EnvironmentBrokenError,
    "disk-full": errors.DiskFullError,
    "port": errors.GPUCommunicationError,
    "nccl": errors.GPUCommunicationError,
    "rank": errors.EnvironmentBrokenError,
    "driver": errors.EnvironmentBrokenError,
    "docker-runtime": errors.EnvironmentBrokenError,
    "env-not-synced": errors.EnvironmentBrokenError,
    "library": errors.EnvironmentBrokenError,
    "natten": errors.EnvironmentBrokenError,
    "read-video": errors.EnvironmentBrokenError,
    "uid": errors.EnvironmentBrokenError,
    "compile": errors.EnvironmentBrokenError,
    "cutlass": errors.EnvironmentBrokenError,
    "killed": errors.ProcessKilledError,
}
MENDED_BY_A_RETRY = {"hf-transfer", "hf-download", "nccl", "port", "killed"}

OOM = "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB."
UNKNOWN = "RuntimeError: a tensor of odd shape"
WATCHDOG = "[rank1]:[E321 04:35:06.4 ProcessGroupNCCL.cpp:607] [Rank 1] Watchdog caught collective operation timeout: WorkNCCL"
CHILD_FAILED = "torch.distributed.elastic.multiprocessing.errors.ChildFailedError: "
BLOCKED = "[03-21 04:05:06|CRITICAL|cosmos_transfer2/inference.py:216:_generate_sample] Guardrail blocked generation. Prompt: a"
NEXT_SAMPLE = "[03-21 04:05:07|INFO|cosmos_transfer2/inference.py:167:generate] [2/3] Processing sample rs_2"
UNGUARDED = "[03-21 04:05:06|WARNING|core.py:41:run_safety_check] No safety models found, returning safe"


def a_sample(path):
    """Kind and family, as the file's name says, and the lines."""
    name = NAME.fullmatch(path.stem)
    return name["kind"], name["family"], path.read_text().splitlines()


def raised(last, *, rank=None):
    """A traceback, as one GPU process of several prints it, or as a single one does."""
    prefix = "" if rank is None else f"[rank{rank}]: "
    lines = ["Traceback (most recent call last):", '  File "/workspace/main.py", line 7, in main', "    work()", last]
    return [prefix + line for line in lines]


def the_error(*lines, family="transfer25", code=1):
    return classify(lines, family=family, exit=ContainerExit(code))


# Samples


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.stem)
def test_a_sample_is_what_its_name_says(path):
    kind, family, lines = a_sample(path)

    error = classify(lines, family=family, exit=FAILED)

    assert diagnose(lines, family=family).kind == kind
    assert type(error) is ERRORS[kind]
    assert error.retry_helps == (kind in MENDED_BY_A_RETRY)


def test_every_known_text_has_a_sample():
    found = {diagnose(lines, family=family) for _, family, lines in map(a_sample, SAMPLES)}

    assert [known for known in FAILURES if known not in found] == []
    assert {known.kind for known in FAILURES} == set(ERRORS)


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.stem)
def test_a_message_is_one_line_with_what_was_said_and_what_to_do(path):
    kind, family, lines = a_sample(path)

    message = str(classify(lines, family=family, exit=FAILED))

    remedies = {known.remedy for known in FAILURES if known.kind == kind and message.endswith(f"; {known.remedy}")}
    assert len(remedies) == 1
    assert not message.startswith(("; ", *remedies))
    assert "\n" not in message


def test_a_text_of_another_family_is_unknown():
    _, _, lines = a_sample(next(path for path in SAMPLES if path.stem == "index-32-bit-transfer1"))

    assert diagnose(lines, family="transfer1").kind == "index-32-bit"
    assert diagnose(lines, family="cosmos3") is None


# Which text counts


def test_the_first_traceback_decides():
    error = the_error(*raised(OOM, rank=2), *raised("OSError: [Errno 28] No space left on device", rank=0))
    assert type(error) is errors.GPUMemoryError


def test_a_traceback_decides_before_an_earlier_line():
    error = the_error("huggingface_hub.errors.GatedRepoError: 401 Client Error.", *raised(OOM))
    assert type(error) is errors.GPUMemoryError


def test_the_tracebacks_of_several_processes_may_be_interleaved():
    first, second = raised(OOM, rank=0), raised("torch.distributed.DistBackendError: NCCL error in: NCCLUtils.hpp", rank=1)
    lines = [line for pair in zip(second, first, strict=True) for line in pair]
    assert type(the_error(*lines)) is errors.GPUMemoryError


def test_processes_that_end_because_of_another_do_not_count():
    follows = raised("RuntimeError: A different GPU rank failed.", rank=1)
    error = the_error(*follows, *raised(UNKNOWN, rank=0), *raised(CHILD_FAILED), family="cosmos3")
    assert type(error) is errors.ProcessFailedError
    assert str(error).startswith(f"{UNKNOWN}; ")


@pytest.mark.parametrize("symptom", [WATCHDOG, "  exitcode  : -9 (pid: 67)", "torch._dynamo.exc.Unsupported: call_function"])
def test_an_unknown_traceback_says_more_than_a_symptom(symptom):
    error = the_error(*raised(UNKNOWN), symptom)
    assert type(error) is errors.ProcessFailedError
    assert UNKNOWN in str(error)


def test_a_cause_above_a_symptom_decides():
    command = (
        "subprocess.CalledProcessError: Command '['uvx', 'hf>=1.3.5', 'download', 'nvidia/X']' returned non-zero exit status 1."
    )
    assert type(the_error(*raised(command))) is errors.DownloadFailedError
    assert type(the_error("403 Client Error. Cannot access gated repo", *raised(command))) is errors.AccessRefusedError


def test_a_block_explains_that_the_other_gpus_wait():
    assert type(the_error(BLOCKED, WATCHDOG)) is errors.SampleBlockedError


def test_a_block_that_the_process_survived_explains_nothing():
    assert type(the_error(BLOCKED, NEXT_SAMPLE, WATCHDOG)) is errors.GPUCommunicationError
    assert type(the_error(BLOCKED, NEXT_SAMPLE, *raised(UNKNOWN))) is errors.ProcessFailedError
    assert type(the_error(BLOCKED, NEXT_SAMPLE, code=0)) is errors.OutputMissingError


def test_a_guardrail_without_models_is_no_reason_where_there_is_another():
    assert type(the_error(UNGUARDED, WATCHDOG)) is errors.GPUCommunicationError
    assert type(the_error(UNGUARDED, *raised(UNKNOWN))) is errors.ProcessFailedError
    assert type(the_error(UNGUARDED, code=137)) is errors.ProcessKilledError


@pytest.mark.parametrize(
    "line",
    [
        "[03-21 04:05:06|INFO|inference.py:9:main] [transfer] final user prompt: CUDA out of memory on a billboard",
        '  "prompt": "No space left on device, says the sign",',
        "[W321 04:05:06.1 socket.cpp:697] [c10d] The IPv6 network addresses of (a, 29500) cannot be retrieved "
        "(gai error: -2 - Name or service not known).",
        "[W321 04:05:06.1 socket.cpp:464] [c10d] The server socket has failed to bind to [::]:29511 "
        "(errno: 98 - Address already in use).",
        "Exception ignored in: <function Pool.__del__>",
    ],
)
def test_what_is_only_reported_is_no_failure(line):
    assert diagnose([line], family="transfer25") is None
    assert str(the_error(line, *raised(UNKNOWN))).startswith(UNKNOWN)


def test_a_traceback_that_python_ignores_is_no_failure():
    ignored = ["Exception ignored in: <function Pool.__del__>", *raised("ValueError: closed")]
    assert str(the_error(*ignored, *raised(UNKNOWN))).startswith(UNKNOWN)


def test_a_log_that_begins_within_a_traceback_is_read_line_by_line():
    assert type(the_error("    work()", OOM)) is errors.GPUMemoryError


def test_colours_and_a_bar_on_the_same_line_do_not_matter():
    line = f" 25%|##5  | 1/4 [00:02<00:06]\x1b[31m{BLOCKED}\x1b[0m"
    assert str(the_error(line)).startswith("Guardrail blocked generation. Prompt: a; ")


# What the exit alone tells


@pytest.mark.parametrize(
    ("ended", "error", "text"),
    [
        (ContainerExit(137, is_cancelled=True, oom_killed=True), errors.RunCancelledError, "cancelled"),
        (ContainerExit(137, is_stalled=True, oom_killed=True), errors.ProcessStalledError, "nothing for too long"),
        (ContainerExit(137, is_overdue=True, oom_killed=True), errors.ProcessOverdueError, "longer than its host allows"),
        (ContainerExit(137, oom_killed=True), errors.OutOfMemoryError, "the kernel killed it"),
    ],
)
def test_why_we_or_the_kernel_stopped_it_comes_before_all_that_it_said(ended, error, text):
    found = classify(raised("OSError: [Errno 28] No space left on device"), family="transfer1", exit=ended)
    assert type(found) is error
    assert text in str(found)


@pytest.mark.parametrize(
    ("code", "error", "text"),
    [
        (0, errors.OutputMissingError, "without this run's outputs"),
        (125, errors.EnvironmentBrokenError, "image of the family"),
        (127, errors.EnvironmentBrokenError, "image of the family"),
        (135, errors.EnvironmentBrokenError, "--shm-size"),
        (137, errors.ProcessKilledError, "exit code 137"),
        (143, errors.ProcessKilledError, "exit code 143"),
        (1, errors.ProcessFailedError, "exit code 1,"),
        (139, errors.ProcessFailedError, "exit code 139"),
    ],
)
@pytest.mark.parametrize("lines", [[], ["Loading the model"]])
def test_a_code_decides_where_no_line_does(code, error, text, lines):
    found = classify(lines, family="cosmos3", exit=ContainerExit(code))
    assert type(found) is error
    assert text in str(found)


def test_a_known_line_comes_before_the_code():
    assert type(the_error(*raised(OOM), code=137)) is errors.GPUMemoryError
    assert type(the_error(BLOCKED, code=0)) is errors.SampleBlockedError


def test_an_unknown_failure_says_the_last_line_before_the_table_of_torchrun():
    table = [
        *raised(CHILD_FAILED),
        "============",
        "main.py FAILED",
        "  traceback : To enable traceback see: https://pytorch.org",
    ]
    torchrun = "E0321 04:05:31.4 1 torch/distributed/elastic/multiprocessing/api.py:869] failed (exitcode: 1) local_rank: 0"
    error = the_error("Loading the model", "fatal: the moon is full", "------", torchrun, *table)
    assert str(error) == "fatal: the moon is full; it ended with exit code 1, see its log"


# Messages


@pytest.mark.parametrize("token", ["hf_abcdefghijklmnopqrstuvwxyzABCDEF", "hf_oauth_eyJhbGciOiJFUzI1NiJ9.eyJzdWIi-x"])
def test_a_token_never_comes_into_a_message(token):
    for line in (f"GatedRepoError: 401 Client Error for {token}", f"RuntimeError: {token} is no token", f"{'x' * 280} {token}"):
        message = str(the_error(*raised(line)))
        assert token[:12] not in message
        assert token not in message
    assert "hf_***" in str(the_error(f"401 Client Error for {token}"))


def test_names_that_only_look_a_little_like_a_token_stay():
    assert "hf_hub_download" in str(the_error(*raised("RuntimeError: hf_hub_download gave up")))


def test_a_long_text_is_shortened():
    error = the_error(*raised("RuntimeError: " + "very " * 500))
    assert len(str(error)) < 400
    assert "…" in str(error)


# Single lines


def test_what_a_line_says_has_no_colour_rank_box_or_prefix():
    assert said(f"\x1b[1m{BLOCKED}\x1b[0m") == "Guardrail blocked generation. Prompt: a"
    assert said("[03-21 04:05:06|job=|INFO|inference/common/init.py:1:f] [RANK 1] Loaded 3 samples") == "Loaded 3 samples"
    assert said(f"[rank0]: {OOM}") == OOM
    assert said("│ Missing value │") == "Missing value"


def test_one_line_tells_of_a_block_or_of_a_failure():
    assert guardrail_reason(BLOCKED, family="transfer25") == "Guardrail blocked generation. Prompt: a"
    assert failure_reason(BLOCKED, family="transfer25") is None
    assert failure_reason(f"[rank0]: {OOM}", family="transfer25") == OOM
    assert guardrail_reason(f"[rank0]: {OOM}", family="transfer25") is None


@pytest.mark.parametrize(
    "line", ["", NEXT_SAMPLE, UNGUARDED, "Generating samples: 100%|##########| 35/35 [01:48<00:00,  3.11s/it]"]
)
def test_an_ordinary_line_tells_of_neither(line):
    assert guardrail_reason(line, family="transfer25") is None
    assert failure_reason(line, family="transfer25") is None
