"""Prints a page; `docs/` keeps what it prints."""

import click

from deployments.reference import models_page, parameters_page, request_schema

PAGES = {"parameters": parameters_page, "models": models_page, "schema": request_schema}


@click.command()
@click.argument("name", type=click.Choice(list(PAGES)), default="parameters")
def main(name: str) -> None:
    """Print a page: docs/parameters.md, docs/models.md or docs/request.schema.json."""
    click.echo(PAGES[name](), nl=False)


if __name__ == "__main__":
    main()
