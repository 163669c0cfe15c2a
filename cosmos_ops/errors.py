"""The tree of errors. Each class says in `retry_helps` whether doing the same again may pass.

CosmosError
├── InputError                  the request cannot be met as it was made
│   ├── ParamsError             a parameter is unknown, missing or out of its bounds
│   ├── VideoUnreadableError    a file is missing, empty, no video, or breaks off
│   ├── RecordNotFoundError     no prompt or run of that id
│   ├── HostUnknownError        no host of that name
│   └── OutputsFolderError      the outputs folder cannot be written
├── HostError                   the machine failed
│   ├── HostUnreachableError    it or its docker does not answer                    (retry helps)
│   │   ├── HostKeyError            its host key is unknown or has changed
│   │   ├── LoginRefusedError       it lets nobody in with this user and key
│   │   └── DockerUnavailableError  docker is not there, or not open to us
│   ├── HostGivenUpError        it was away for so long that its runs go to another host
│   ├── HostUnhealthyError      it answers, but jobs cannot run there
│   │   └── ImageMissingError       the image of the family is not there
│   ├── ContainerGoneError      somebody removed a container before it was judged   (retry helps)
│   ├── TransferError           a file arrived damaged or not at all                (retry helps)
│   └── DiskFullError           no space left on this machine or on the host
├── ModelError                  the model process failed
│   ├── ProcessFailedError      it ended with an error of its own
│   ├── ProcessKilledError      somebody outside killed it                          (retry helps)
│   ├── OutOfMemoryError        the memory of the machine was used up; mostly the kernel killed it
│   ├── GPUMemoryError          the memory of the GPU was used up
│   ├── CheckpointMissingError  a model file is not there, or damaged
│   ├── AccessRefusedError      Hugging Face refused a file: no token, or a licence not accepted
│   ├── DownloadFailedError     a download broke off                                (retry helps)
│   ├── GPUCommunicationError   its GPU processes lost or never found each other    (retry helps)
│   ├── EnvironmentBrokenError  the driver, docker, a library or the image does not fit
│   ├── SpecRefusedError        it refused what it was given
│   ├── ProcessOverdueError     it ran longer than the host's time limit
│   ├── ProcessStalledError     it printed nothing for longer than its family may   (retry helps)
│   ├── SampleFailedError       it gave up on this sample and said why
│   ├── SampleBlockedError      its guardrail refused this sample
│   └── OutputMissingError      it ended without the outputs that it promised
├── InterruptedRunError         the process that carried the run out is gone        (retry helps)
├── JobTakenOverError           another process carries the job out now
├── PrefectAwayError            Prefect does not answer                             (retry helps)
├── RunCancelledError           somebody cancelled the run
├── UnexpectedError             nobody foresaw it; the log has its traceback
├── StoreError                  the database failed
│   ├── StoreUnreachableError   it does not answer or is locked                     (retry helps)
│   └── RecordInvalidError      a stored record does not fit what we know of it
└── RunsFailedError             a flow ended and some of its runs did not complete
"""

from typing import ClassVar


class CosmosError(Exception):
    """Root of all our errors. The message says what, where and what to do next, and never holds a secret."""

    retry_helps: ClassVar[bool] = False


class InputError(CosmosError, ValueError):
    """The request cannot be met as it was made; nothing was started. Each argument is a problem of its own."""

    def __str__(self) -> str:
        return "; ".join(str(problem) for problem in self.args)


class ParamsError(InputError):
    """A parameter is unknown, missing or out of its bounds."""


class VideoUnreadableError(InputError):
    """A file is missing, empty, no video, or breaks off."""


class RecordNotFoundError(InputError, KeyError):
    """No prompt or run of that id."""

    def __str__(self) -> str:
        # KeyError would show the representation of its argument.
        return str(self.args[0]) if self.args else ""


class HostUnknownError(InputError):
    """No host of that name."""


class OutputsFolderError(InputError):
    """The outputs folder cannot be written."""


class HostError(CosmosError):
    """The machine failed."""


class HostUnreachableError(HostError):
    """The machine, or docker on it, does not answer."""

    retry_helps = True


class HostKeyError(HostUnreachableError):
    """The machine shows a host key that is unknown, or another one than before."""

    retry_helps = False


class LoginRefusedError(HostUnreachableError):
    """The machine lets nobody in with this user and key, or the key cannot be read."""

    retry_helps = False


class DockerUnavailableError(HostUnreachableError):
    """Docker is not there, or its socket is not open to us."""

    retry_helps = False


class HostGivenUpError(HostError):
    """The machine was away for so long that its runs go to another one."""


class HostUnhealthyError(HostError):
    """The machine answers, but jobs cannot run there."""


class ImageMissingError(HostUnhealthyError):
    """The image of a family is not on the machine."""


class ContainerGoneError(HostError):
    """Somebody removed a container before it was judged."""

    retry_helps = True


class TransferError(HostError):
    """A file arrived damaged or not at all."""

    retry_helps = True


class DiskFullError(HostError, OSError):
    """No space left on this machine or on the host."""


class ModelError(CosmosError):
    """The model process failed."""


class ProcessFailedError(ModelError):
    """The process ended with an error of its own."""


class ProcessKilledError(ModelError):
    """Somebody outside killed the process."""

    retry_helps = True


class OutOfMemoryError(ModelError):
    """The memory that the process may use was used up; mostly the kernel killed it."""


class GPUMemoryError(ModelError):
    """The memory of the GPU was used up."""


class CheckpointMissingError(ModelError):
    """A file of the model is not there, or damaged."""


class AccessRefusedError(ModelError):
    """Hugging Face refused a file, because there is no token or a licence is not accepted."""


class DownloadFailedError(ModelError):
    """A download by the process broke off."""

    retry_helps = True


class GPUCommunicationError(ModelError):
    """The processes of several GPUs lost or never found each other."""

    retry_helps = True


class EnvironmentBrokenError(ModelError):
    """The driver, docker, a library or the image does not fit the program."""


class SpecRefusedError(ModelError):
    """The program refused what it was given."""


class ProcessOverdueError(ModelError):
    """The process ran longer than the time limit of its host."""


class ProcessStalledError(ModelError):
    """The process printed nothing for longer than its family may."""

    retry_helps = True


class SampleFailedError(ModelError):
    """The process gave up on this sample and said why."""


class SampleBlockedError(ModelError):
    """The guardrail of the model refused this sample."""


class OutputMissingError(ModelError):
    """The process ended without the outputs that it promised."""


class InterruptedRunError(CosmosError):
    """The process that carried the run out is gone."""

    retry_helps = True


class JobTakenOverError(CosmosError):
    """Another process carries the job out now, or has ended it: ours stood still, or had lost the run store, for too long."""


class PrefectAwayError(CosmosError):
    """Prefect does not answer, or ended what it carried out; what was begun on a host goes on, and is taken up again."""

    retry_helps = True


class RunCancelledError(CosmosError):
    """Somebody cancelled the run."""


class UnexpectedError(CosmosError):
    """Nobody foresaw it; the log has its traceback."""


class StoreError(CosmosError):
    """The database failed."""


class StoreUnreachableError(StoreError):
    """The database does not answer or is locked."""

    retry_helps = True


class RecordInvalidError(StoreError):
    """A stored record does not fit what we know of it."""


class RunsFailedError(CosmosError):
    """A flow ended and some of its runs did not complete."""


def as_ours(error: Exception) -> CosmosError:
    """The error itself if it is ours, else one that a run can be recorded with; whoever calls logs the traceback."""
    if isinstance(error, CosmosError):
        return error
    return UnexpectedError(f"{type(error).__name__}: {error} (nobody foresaw this; the log has its traceback)")
