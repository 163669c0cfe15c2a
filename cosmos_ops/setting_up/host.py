"""Sets a host up for any family: which steps it takes, and which options are for which family."""

from pathlib import Path

from cosmos_ops.errors import InputError
from cosmos_ops.operations.inference_preview import INFERENCE_PREVIEW
from cosmos_ops.remote.family_images import FAMILY_IMAGES
from cosmos_ops.remote.ssh_host import SSHHost
from cosmos_ops.setting_up.gpu_family import SetUp, set_up_family
from cosmos_ops.setting_up.preview import set_up_preview
from cosmos_ops.setting_up.steps import Note, Say

PREVIEW = INFERENCE_PREVIEW.family
FAMILIES = (PREVIEW, *FAMILY_IMAGES)


def set_up_host(host: SSHHost, wanted: SetUp, *, wheels: Path | None = None, note: Note, say: Say) -> None:
    """Make a host ready for a family; what is done already is not done again.

    Args:
        host: Where.
        wanted: For what.
        wheels: Folder with the wheels of the preview family, for a host without internet.
        note: Notes the image of the family, once all has worked.
        say: Told what happens, line by line.

    Raises:
        InputError: An option is not for this family, or there is no such family or mode.
        HostError: The host lacks something, or could not do it.
        ModelError: Model files cannot be had, or the smoke job failed.
    """
    if wanted.family not in FAMILIES:
        raise InputError(f"no host can be set up for the family '{wanted.family}'; families: {', '.join(FAMILIES)}")
    if wanted.family != PREVIEW:
        if wheels is not None:
            raise InputError(f"wheels are for the family {PREVIEW}; docs/hosts.md tells how others come without internet")
        set_up_family(host, wanted, note=note, say=say)
        return
    if wanted != SetUp(PREVIEW, base_image=wanted.base_image):
        raise InputError(f"image, source and model files are not for the family {PREVIEW}; it takes a base image and wheels")
    set_up_preview(host, base_image=wanted.base_image, wheels=wheels, note=note, say=say)
