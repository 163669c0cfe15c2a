"""Sets hosts up for a family, step by step; each step looks first, so that doing it again goes on where it stopped.

What happens is said through a callback: the command line prints it, a flow logs it. Where the image is noted is the caller's.
"""

from cosmos_ops.setting_up.gpu_family import SetUp
from cosmos_ops.setting_up.host import FAMILIES, set_up_host
from cosmos_ops.setting_up.steps import Note, Say

__all__ = ["FAMILIES", "Note", "Say", "SetUp", "set_up_host"]
