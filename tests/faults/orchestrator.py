"""A process that calls the inference flow: `python -m tests.faults.orchestrator HOST CLIP ANSWER TEXT [TEXT ...]`."""

import json
import sys
from pathlib import Path

from tests.faults import gates


def main(host, clip, answer, *texts):
    gates.install()
    from flows import cancellation, tasks
    from flows.forms import InferenceSettings, PromptRequest
    from flows.inference import inference
    from tests.builders import only

    # As often as always, but not for most of a minute.
    tasks.stage_in.retry_delay_seconds = [0.1, 0.2, 0.4]
    cancellation.POLL_S = 0.5
    settings = [InferenceSettings(preview=only("vis"))]
    state = inference([PromptRequest(text=text, input=clip, inference=settings) for text in texts], host=host, return_state=True)
    Path(answer).write_text(json.dumps({"state": state.type.value, "message": state.message}))


if __name__ == "__main__":
    main(*sys.argv[1:])
