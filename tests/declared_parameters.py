"""Prints the names of all declared parameters for vulture: they are read by their names, which no tool can see."""

from cosmos_ops.operations import OPERATIONS


def names() -> list[str]:
    return sorted({name for operation in OPERATIONS for name in operation.params.model_fields})


if __name__ == "__main__":
    print("\n".join(f"_.{name}" for name in names()))
