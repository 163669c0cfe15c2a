"""Sweeps: parameters that take several values in turn, every combination of them or side by side."""

from collections.abc import Mapping, Sequence
from itertools import product

from cosmos_ops.errors import InputError
from cosmos_ops.params import Params, Scalar

VARIANTS_MAX = 10_000
Variant = Mapping[str, Scalar]
"""Name of a parameter to its value in one run."""
ONE_VARIANT: Sequence[Variant] = ({},)


def variants(sweep: Mapping[str, Sequence[Scalar]], zipped: Mapping[str, Sequence[Scalar]]) -> list[Variant]:
    """All combinations of a sweep, each with each place of the zipped lists.

    Raises:
        InputError: A list is empty, the zipped lists differ in length, a name is in both, or there are too many.
    """
    problems = [f"sweep.{name}: the list is empty" for name, values in {**sweep, **zipped}.items() if not values]
    problems += [f"{name}: it is in `sweep` and in `zipped`; leave it in one" for name in sweep.keys() & zipped.keys()]
    lengths = {name: len(values) for name, values in zipped.items()}
    if len(set(lengths.values())) > 1:
        problems.append(f"zipped: the lists must be equally long, but there are {_listed(lengths)}")
    if problems:
        raise InputError("; ".join(problems))
    products = [dict(zip(sweep, values, strict=True)) for values in product(*sweep.values())]
    places = [dict(zip(zipped, values, strict=True)) for values in zip(*zipped.values(), strict=True)] or [{}]
    if len(products) * len(places) > VARIANTS_MAX:
        raise InputError(f"sweep: it gives {len(products) * len(places):,} runs a prompt; at most {VARIANTS_MAX:,} are allowed")
    return [{**one, **other} for one in products for other in places]


def varied(params: Params, variant: Variant) -> Params:
    """The parameters with the values of one variant.

    Raises:
        ParamsError: There is no such parameter, or it cannot take the value.
    """
    if not variant:
        return params
    return type(params).read({**params.model_dump(mode="json", exclude_unset=True), **variant})


def _listed(lengths: Mapping[str, int]) -> str:
    return ", ".join(f"{name} with {length}" for name, length in lengths.items())
