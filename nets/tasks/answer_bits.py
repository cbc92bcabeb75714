"""Answers in bits: what a memory has to give back at some steps of a sequence."""

import dataclasses
from collections.abc import Sequence
from typing import Any, ClassVar

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax

from nets.errors import UserError
from nets.report.figures import Figure
from nets.tasks import answer_bits_figures
from nets.tasks.metrics import Metrics, compute, mean
from nets.tasks.task import Batch, Task, Trained
from nets.tasks.traces import traced

_GROUPS = 8  # sizes at most, that of training and longer ones


@dataclasses.dataclass(frozen=True)
class AnswerBits(Task):
    """Probabilities of bits, by `model(inputs, carry, train=...) -> logits [B, T, K], carry`.

    `model.start(rows)` is the carry before the first step, and `model.traces(carry)` has what is
    drawn of a carry (`nets.ntm.MemoryRNN`).

    The loss is the cross-entropy of all bits at the steps that count, summed over a sequence, in
    bits per sequence, as Graves, Wayne and Danihelka 2014 give it. Metrics, each the mean of the
    sequences of the sizes of training:

        loss         bits per sequence
        wrong_bits   bits of a sequence that are wrong, with a threshold of 1/2
        exact_match  share of sequences without a wrong bit
        optimal      bits per sequence of the best estimator, where batches have "optimal"

    and in the test loss_NAME and wrong_bits_NAME of each longer size ("groups" of the metadata).
    """

    maximise: ClassVar[tuple[str, ...]] = ("exact_match",)

    def init(self, model: nn.Module, key: jax.Array, batch: dict) -> tuple[Any, dict]:
        (logits, _), variables = model.init_with_output(key, batch["inputs"], train=False)
        if logits.shape[-1] != batch["targets"].shape[-1]:
            raise UserError(
                f"the model has {logits.shape[-1]} outputs, and the targets "
                f"{batch['targets'].shape[-1]}."
            )
        return variables["params"], {}

    def loss(
        self,
        model: nn.Module,
        params: Any,
        model_state: dict,
        batch: Batch,
        key: jax.Array,
        train: bool,
    ) -> tuple[jax.Array, tuple[dict, Metrics]]:
        logits, _ = model.apply({"params": params}, batch["inputs"], train=train)
        targets, mask = batch["targets"], batch["mask"]
        nats = optax.sigmoid_binary_cross_entropy(logits, targets).sum(-1)  # [B, T]
        bits = (nats * mask).sum(1) / np.log(2)
        wrong = (((logits > 0) != (targets > 0)).sum(-1) * mask).sum(1)
        rows = mask.max(1)
        usual = rows * (batch["group"] == 0)
        each = {"loss": bits, "wrong_bits": wrong, "exact_match": wrong == 0}
        if "optimal" in batch:
            each["optimal"] = batch["optimal"]
        metrics = {name: (jnp.sum(x * usual), usual.sum()) for name, x in each.items()}
        if not train:
            groups = jax.nn.one_hot(batch["group"], _GROUPS) * rows[:, None]
            for name in ("loss", "wrong_bits"):
                metrics[f"{name}_groups"] = each[name] @ groups, groups.sum(0)
        return mean(metrics["loss"]), (model_state, metrics)

    def finish(
        self, metrics: Metrics, metadata: dict[str, Any], tokenizer: Any
    ) -> dict[str, float]:
        values = compute(metrics)
        for name in ("loss", "wrong_bits"):
            if f"{name}_groups" in metrics:
                sums, counts = metrics[f"{name}_groups"]
                for k, group in enumerate(metadata.get("groups", ()), 1):
                    if counts[k] > 0:
                        values[f"{name}_{group}"] = float(sums[k] / counts[k])
        return values

    def figures(
        self, trained: Trained, batches: Sequence[Batch], metrics: Metrics, final: bool
    ) -> dict[str, Figure]:
        if not final:
            return {}
        names = ["as in training", *trained.metadata.get("groups", ())]
        chosen: dict[str, Batch] = {}
        for batch in batches:
            steps = (np.asarray(batch["mask"]) > 0).sum(1)
            row = int(steps.argmax())
            if steps[row]:
                name = names[int(batch["group"][row])]
                chosen.setdefault(name, {k: np.asarray(a)[row] for k, a in batch.items()})
        length = max(len(row["inputs"]) for row in chosen.values())
        inputs = [np.pad(r["inputs"], ((0, length - len(r["inputs"])), (0, 0))) for r in
                  chosen.values()]  # fmt: skip
        traced = jax.device_get(trace(trained.model, trained.params, np.stack(inputs)))
        return answer_bits_figures.sequences(chosen, *traced)


def trace(
    model: nn.Module, params: Any, inputs: jax.Array
) -> tuple[jax.Array, dict[str, jax.Array]]:
    """Probabilities [B, T, K] of inputs [B, T, D], and weightings [B, T, N] of heads by name."""
    start = model.apply({"params": params}, len(inputs), method="start")
    logits, weightings = traced(model, params, start, jnp.asarray(inputs))
    return jax.nn.sigmoid(logits), weightings
