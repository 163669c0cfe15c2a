"""What programs and libraries print when model files, their download or their licence was the reason.

The texts of Hugging Face and uv differ from version to version, so they are matched loosely.
"""

from cosmos_ops.errors import AccessRefusedError, CheckpointMissingError, DownloadFailedError, EnvironmentBrokenError
from cosmos_ops.operations.failure_texts import ALL, C3, T1, T25, Failure, texts

GET_MODELS = "get the files of the model with `cosmos checkpoints download`"
_AGAIN = f"run it again; if it fails again, {GET_MODELS}"
_LICENCE = "set HF_TOKEN (401) and accept the licence on the page of the model (403), then download it"

MODEL_FILE_FAILURES = (
    Failure(
        "checkpoint-missing",
        ALL,
        texts(
            r"(?:FileNotFoundError|No such file).*(?:checkpoints/|/cosmos/models/|\.(?:pt|pth|jit|ckpt|safetensors)\b)",
            r"does not appear to have a file named",
            r"Error no file named",
            r"is not a local folder and is not a valid model identifier",
        ),
        CheckpointMissingError,
        GET_MODELS,
    ),
    Failure(
        "checkpoint-missing", T1, texts(r"Failed to load T5 model using cache_dir"), CheckpointMissingError, GET_MODELS, "aside"
    ),
    Failure(
        "checkpoint-damaged",
        ALL,
        texts(r"PytorchStreamReader failed", r"Error while deserializing header", r"UnpicklingError: invalid load key"),
        CheckpointMissingError,
        "find the damaged files with `cosmos checkpoints verify` and download them again",
    ),
    Failure(
        "checkpoint-alias",
        C3,
        texts(r"Unknown Cosmos (?:target|type) alias"),
        EnvironmentBrokenError,
        "update the program in the image",
    ),
    Failure(
        "hf-gated",
        ALL,
        texts(
            r"GatedRepoError",
            r"\b40[13] (?:Client Error|Forbidden|Unauthorized)",
            r"Cannot access gated repo",
            r"Access to model \S+ is restricted",
            r"Invalid user token",
        ),
        AccessRefusedError,
        _LICENCE,
    ),
    Failure(
        "hf-offline",
        ALL,
        texts(
            r"LocalEntryNotFoundError",
            r"OfflineModeIsEnabled",
            r"couldn't connect to '?https?://huggingface\.co",
            r"^(?!.*\[W\d* ).*(?:name resolution|Name or service not known)",
        ),
        CheckpointMissingError,
        f"it wanted to download, and its container has no network: {GET_MODELS}",
    ),
    Failure(
        "hf-not-found",
        ALL,
        texts(r"\b404 (?:Client Error|Not Found)", r"(?:Repository|Revision|Entry)NotFoundError"),
        CheckpointMissingError,
        "see that the name, the revision and the file of the checkpoint still exist at Hugging Face",
    ),
    Failure(
        "hf-transfer",
        ALL,
        texts(r"Unable to parse string as hex hash value", r"CAS service error", r"Consistency check failed"),
        DownloadFailedError,
        f"{_AGAIN}, with HF_HUB_DISABLE_XET=1",
    ),
    Failure(
        "no-uvx",
        T25 + C3,
        texts(
            r"No such file or directory: '(?:\S+/)?uvx?'", r"\buvx?: (?:command )?not found", r"Failed to fetch: `https://pypi"
        ),
        EnvironmentBrokenError,
        "use an image that has uv and the packages of hf in its cache, since containers have no network",
    ),
    Failure(
        "hf-transfer",
        ALL,
        texts(
            r"Rank \d+ download failed",
            r"\b(?:429|5\d\d) (?:Client|Server) Error",
            r"(?:Read|Connect)Timeout",
            r"Read timed out",
            r"Connection reset by peer",
            r"IncompleteRead",
        ),
        DownloadFailedError,
        _AGAIN,
        "symptom",
    ),
    Failure(
        "hf-download",
        ALL,
        texts(r"CalledProcessError: Command '\['uvx?', .*\bhf\b", r"Error downloading \S+:"),
        DownloadFailedError,
        f"{_AGAIN}; the lines above it in the log say why, and a missing licence or HF_TOKEN is the usual reason",
        "symptom",
    ),
)
