"""Fields of a model that the data fills in, on a toy."""

import flax.linen as nn
import pytest

from nets.cli.resolve import resolve
from nets.errors import UserError
from tests.support import toys


class Sized(nn.Module):
    """A model whose sizes are metadata of the data, and one field that None turns off."""

    nodes: int | None = None
    sides: tuple[int, ...] | None = None
    dropout: float | None = None


def test_any_field_of_a_facts_name_is_filled_and_no_other():
    experiment = toys.classifier(model=Sized())
    metadata = {"nodes": 7, "sides": [2, 3], "classes": 4, "name": "cora"}
    model = resolve(experiment, metadata).model
    assert model == Sized(nodes=7, sides=(2, 3)) and model.name is None
    hash(model)  # what is compiled for it is found by it
    assert resolve(experiment, {}).model == Sized()


def test_a_field_that_differs_from_the_fact_is_refused():
    experiment = toys.classifier(model=Sized(nodes=7, sides=(2, 3), dropout=0.5))
    assert resolve(experiment, {"nodes": 7, "sides": [2, 3]}) == experiment
    with pytest.raises(
        UserError, match=r"model.sides must be the data.s, \(2, 4\), .* got \(2, 3\)"
    ):
        resolve(experiment, {"nodes": 7, "sides": [2, 4]})
