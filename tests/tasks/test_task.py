"""A task or a data set that lacks a part, or whose batches are not what it says, fails at once."""

import dataclasses

import numpy as np
import pytest

from nets.cli import checks
from nets.data.dataset import Dataset, check_batch
from nets.demos.matched_filter import DetectPulse
from nets.errors import UserError
from nets.tasks.task import Generative, Task
from tests.support import toys


@pytest.mark.parametrize(
    ("base", "part"), [(Task, "loss"), (Generative, "sample"), (Dataset, "metadata")]
)
def test_a_class_without_a_part_is_refused_with_its_name(base, part):
    names = set(base.__abstractmethods__)
    whole = {name: lambda self: None for name in names}
    type("Whole", (base,), whole)()
    lacking = type("Lacking", (base,), {k: v for k, v in whole.items() if k != part})
    with pytest.raises(TypeError, match=f"Lacking .*{part}"):
        lacking()


@dataclasses.dataclass(frozen=True)
class Wrong(toys.Blobs):
    """Blobs whose batches differ from their spec in one array."""

    change: str = "none"

    def train(self, seed):
        batch = dict(super().train(seed)[0])
        label = batch["targets"]
        if self.change == "name":
            batch["labels"] = batch.pop("targets")
        elif self.change != "none":
            batch["targets"] = {
                "type": label.astype(np.int64), "rows": label[1:], "rank": label[:, None]
            }[self.change]  # fmt: skip
        return [batch]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("name", r"Wrong.spec\(\) names inputs, targets, and a batch has inputs, labels"),
        ("type", r"says that targets is int32\[16\], and a batch has int64\[16\]"),
        ("rows", r"says that targets is int32\[16\], and a batch has int32\[15\]"),
        ("rank", r"says that targets is int32\[16\], and a batch has int32\[16, 1\]"),
    ],
)
def test_a_batch_unlike_the_spec_is_refused(change, message):
    check_batch(Wrong(), Wrong().train(0)[0])
    with pytest.raises(UserError, match=message):
        check_batch(Wrong(change=change), Wrong(change=change).train(0)[0])


def test_a_batch_without_an_array_that_the_task_reads_is_refused():
    with pytest.raises(UserError, match="does not take these batches: KeyError: 'pulse'"):
        checks.checked(toys.classifier(task=DetectPulse()), {})
