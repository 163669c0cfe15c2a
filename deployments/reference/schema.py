"""The JSON schema of a request, as the API takes it: `python -m deployments.reference schema > docs/request.schema.json`."""

import json

from flows.request_files import PipelineRequest

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def request_schema() -> str:
    """The schema as JSON."""
    schema = {"$schema": DIALECT, **PipelineRequest.model_json_schema()}
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"
