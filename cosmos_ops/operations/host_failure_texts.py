"""What programs and libraries print when docker, the driver, the image or the work of several GPUs was the reason.

The texts of CUDA, NCCL, docker and the kernel differ from version to version, so they are matched loosely.
"""

from cosmos_ops.errors import (
    CheckpointMissingError,
    DiskFullError,
    EnvironmentBrokenError,
    GPUCommunicationError,
    ProcessKilledError,
)
from cosmos_ops.operations.failure_texts import ALL, C3, T1, T25, Failure, texts
from cosmos_ops.operations.model_file_failure_texts import GET_MODELS

SHARED_MEMORY_REMEDY = "give the container the shared memory of the host (--ipc=host) or more of its own (--shm-size)"
_NCCL = "run it again; if it fails again, set NCCL_NET_PLUGIN=none or use one GPU"
_UPDATE = "update the program in the image, or build the image anew"
_TOOLKIT = "install the NVIDIA container toolkit, run `nvidia-ctk runtime configure` and restart docker"
_DRIVER = "compare `nvidia-smi` on the host with what the image needs (driver 570.124.06 or newer, its GPU generation)"

_MACHINE = (
    Failure(
        "shm",
        ALL,
        texts(
            r"insufficient shared memory",
            r"unable to write to file </torch_",
            r"creating shared memory segment",
            r"No space left on device.*dev/shm",
            r"Signal 7 \(SIGBUS\)",
            r"exitcode\s*: -7\b",
            r"\bBus error\b",
            r"Unexpected bus error",
        ),
        EnvironmentBrokenError,
        SHARED_MEMORY_REMEDY,
    ),
    Failure(
        "disk-full",
        ALL,
        texts(r"No space left on device", r"\[Errno 28\]", r"Disk quota exceeded"),
        DiskFullError,
        "make room for outputs, model files and caches on the host, then run it again",
    ),
    Failure(
        "port",
        ALL,
        texts(r"^(?!.*\[W\d* ).*(?:EADDRINUSE|(?i:address already in use))"),
        GPUCommunicationError,
        "run it again; each job on a host needs a --master_port of its own",
    ),
    Failure(
        "rank",
        ALL,
        texts(r"KeyError: '(?:LOCAL_)?(?:RANK|WORLD_SIZE)'", r"environment variable (?:RANK|WORLD_SIZE|MASTER_\w+) expected"),
        EnvironmentBrokenError,
        "start the program with torchrun",
    ),
    Failure(
        "driver",
        ALL,
        texts(
            r"no kernel image is available for execution on the device",
            r"NVIDIA driver on your system is too old",
            r"Found no NVIDIA driver on your system",
            r"CUDA driver version is insufficient",
            r"No CUDA GPUs are available",
            r"CUDA unknown error",
            r"(?i:uncorrectable ECC error|GPU is lost|fallen off the bus)",
        ),
        EnvironmentBrokenError,
        _DRIVER,
    ),
    Failure(
        "docker-runtime",
        ALL,
        texts(
            r"unknown or invalid runtime name",
            r"could not select device driver",
            r"nvidia-container-cli: ",
            r"OCI runtime create failed",
        ),
        EnvironmentBrokenError,
        _TOOLKIT,
    ),
)

_IMAGE = (
    Failure(
        "env-not-synced",
        ALL,
        texts(r"CUDA extra (?:not installed|version mismatch)", r"No module named '(?:cosmos_\w+|megatron)\b"),
        EnvironmentBrokenError,
        "build the image anew, so that its environment is complete (`uv sync --extra=<cuda name>`)",
    ),
    Failure(
        "library",
        ALL,
        texts(
            r"cannot import name '_functionalization' from 'torch\._C'", r"libnvrtc\S* *:? *(?:cannot|error|not)", r"libnvrtc\.so"
        ),
        EnvironmentBrokenError,
        "start the container with an empty LD_LIBRARY_PATH",
    ),
    Failure(
        "library",
        ALL,
        texts(r"libxcb\.so", r"libGL\.so", r"libgthread"),
        EnvironmentBrokenError,
        "add libxcb1, libgl1 and libglib2.0-0 to the image",
    ),
    Failure(
        "natten",
        C3,
        texts(r"(?i:\blibnatten\b|\bnatten\b.*(?:mismatch|not (?:available|built|compatible)|undefined symbol))"),
        EnvironmentBrokenError,
        "build the image for the CUDA version of its torch, and set PYTHONNOUSERSITE=1",
        "symptom",
    ),
    Failure("read-video", C3, texts(r"AttributeError: .*'read_video'"), EnvironmentBrokenError, _UPDATE),
    Failure(
        "uid",
        ALL,
        texts(r"getpwuid\(\): uid not found"),
        EnvironmentBrokenError,
        "set USER and LOGNAME for the container, since its user has no name",
    ),
    Failure(
        "library",
        ALL,
        texts(r"cannot open shared object file", r"undefined symbol: ", r"^(?:ImportError|ModuleNotFoundError): "),
        EnvironmentBrokenError,
        _UPDATE,
        "symptom",
    ),
    Failure(
        "compile",
        T25 + C3,
        texts(r"torch\._(?:dynamo|inductor)\.exc\.", r"\bBackendCompilerFailed\b", r"\bInductorError\b"),
        EnvironmentBrokenError,
        "switch torch.compile off (cosmos3: --no-use-torch-compile) and delete /tmp/torchinductor_*",
        "symptom",
    ),
    Failure(
        "cutlass",
        C3,
        texts(r"Failed to initialize the CUTLASS kernel"),
        EnvironmentBrokenError,
        "use another generation of GPU: on this one the video comes out grey",
        "aside",
    ),
)

_PROCESSES = (
    Failure(
        "killed",
        ALL,
        texts(r"SignalException: .* got signal: (?:2|15)\b"),
        ProcessKilledError,
        "somebody outside stopped it; run it again",
        "symptom",
    ),
    Failure(
        "nccl",
        ALL,
        texts(r"an illegal memory access was encountered"),
        GPUCommunicationError,
        "run it again; on a Blackwell GPU use the image for it",
    ),
    Failure(
        "nccl",
        ALL,
        texts(
            r"Watchdog caught collective operation timeout",
            r"watchdog thread terminated with exception",
            r"\bDistBackendError\b",
            r"NCCL error",
            r"nccl\w+Error\b",
            r"DistStoreError",
            r"DistNetworkError",
            r"Failed to initialize NET plugin",
            r"Signal 11 \(SIGSEGV\)",
        ),
        GPUCommunicationError,
        _NCCL,
        "symptom",
    ),
    Failure("nccl", ALL, texts(r"Guessing device ID based on global rank"), GPUCommunicationError, _NCCL, "aside"),
    Failure(
        "guardrail-off",
        T1 + T25,
        texts(r"No safety models found, returning safe"),
        CheckpointMissingError,
        f"the guardrail checks nothing without its models: {GET_MODELS}",
        "aside",
    ),
)

HOST_FAILURES = (*_MACHINE, *_IMAGE, *_PROCESSES)
