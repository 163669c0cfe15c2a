"""Pages and the schema that follow from the code: `python -m deployments.reference parameters|models|schema` prints one."""

from deployments.reference.models import models_page
from deployments.reference.parameters import parameters_page
from deployments.reference.schema import request_schema

__all__ = ["models_page", "parameters_page", "request_schema"]
