"""Puts a backbone's variables, such as converted weights, into the model that contains it."""

from collections.abc import Mapping
from typing import Any

from nets.interop import tables


def with_backbone(variables: Mapping[str, Any], backbone: Mapping[str, Any]) -> dict[str, Any]:
    """The variables of a model with those of its module `backbone` replaced.

    Args:
        variables: those of the model, as returned by its `init` (`nets.caption`).
        backbone: those of the backbone, as returned by `nets.interop.torch.vision_from_torch`.

    Raises:
        TypeError: an argument has the wrong type, for example because arguments are swapped.
        ValueError: names are missing or unexpected, or shapes are wrong; the message is a table of
            all of them.
    """
    call = "with_backbone(variables, backbone)"
    tables.check_variables(call, variables)
    if "backbone" not in variables["params"]:
        names = ", ".join(list(variables["params"])[:3])
        raise TypeError(f"{call}: variables must have a module 'backbone', got {names}")
    tables.check_variables(call, backbone, "backbone")
    replaced = {kind: tree["backbone"] for kind, tree in variables.items() if "backbone" in tree}
    expected = {name: leaf.shape for name, leaf in tables.flat(replaced).items()}
    tables.check("these are not the variables of the backbone:", expected, tables.flat(backbone))
    return dict(variables) | {
        kind: {**variables[kind], "backbone": tree} for kind, tree in backbone.items()
    }
