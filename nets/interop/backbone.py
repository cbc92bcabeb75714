"""A backbone's variables, such as converted weights, put into a model that is built on it."""

from collections.abc import Mapping
from typing import Any

from nets.interop import tables


def with_backbone(variables: Mapping[str, Any], backbone: Mapping[str, Any]) -> dict[str, Any]:
    """The variables of a model whose module `backbone` has these others.

    Args:
        variables: of the model, as from its `init` (`nets.caption`).
        backbone: of its backbone alone, as from `nets.interop.torch.vision_from_torch`.

    Raises:
        TypeError: an argument is of another kind, such as one in another's place.
        ValueError: names are missing or unexpected, or shapes wrong: a table of all of them.
    """
    call = "with_backbone(variables, backbone)"
    tables.check_variables(call, variables)
    if "backbone" not in variables["params"]:
        names = ", ".join(list(variables["params"])[:3])
        raise TypeError(f"{call}: variables must have a module 'backbone', got {names}")
    tables.check_variables(call, backbone, "backbone")
    held = {kind: tree["backbone"] for kind, tree in variables.items() if "backbone" in tree}
    expected = {name: leaf.shape for name, leaf in tables.flat(held).items()}
    tables.check("these are not the variables of the backbone:", expected, tables.flat(backbone))
    given = {kind: {**variables[kind], "backbone": tree} for kind, tree in backbone.items()}
    return dict(variables) | given
