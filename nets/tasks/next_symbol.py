"""The next symbol of whole sequences, and how the network remembers what it has read."""

import dataclasses
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

from nets.report.figures import Figure
from nets.tasks import next_symbol_figures
from nets.tasks.metrics import Metrics
from nets.tasks.sequence import TagSequence
from nets.tasks.sequence_figures import real
from nets.tasks.task import Batch, Trained
from nets.tasks.traces import traced


@dataclasses.dataclass(frozen=True)
class NextSymbol(TagSequence):
    """The symbol after each step, by `model(inputs, carry, train=...) -> logits [B, T, K], carry`.

    Loss and metrics are those of `TagSequence`: `exact_match` is the share of sequences whose
    symbols are right wherever the mask counts. Pictures show how likely mistakes are in sequences
    of each length, and its memory (`traces` of the model) along one of them.
    """

    def figures(
        self, trained: Trained, batches: Sequence[Batch], metrics: Metrics, final: bool
    ) -> dict[str, Figure]:
        if not final:
            return {}
        sequences = [real(batch) for batch in batches]
        outputs = [self._outputs(trained, rows["inputs"]) for rows in sequences]
        masks = [rows["mask"] > 0 for rows in sequences]
        ends = [mask.shape[1] - mask[:, ::-1].argmax(1) for mask in masks]
        wrong = [
            (1 - np.take_along_axis(p, rows["targets"][..., None], -1)[..., 0]) * mask
            for mask, rows, (p, _) in zip(masks, sequences, outputs, strict=True)
        ]
        row = next_symbol_figures.best_to_show(ends[0])
        part, (probabilities, traces) = (row, slice(ends[0][row])), outputs[0]
        return {
            "lengths": next_symbol_figures.by_length(
                np.concatenate(ends),
                np.concatenate([w.max(1) for w in wrong]),
                trained.metadata.get("train_steps"),
            ),
            "memory": next_symbol_figures.memory(
                sequences[0]["inputs"][part],
                probabilities[part],
                {name: a[part] for name, a in traces.items()},
                trained.tokenizer.vocabulary,
            ),
        }

    def _outputs(
        self, trained: Trained, inputs: np.ndarray
    ) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """Probabilities [B, T, K], and the memory after each step."""
        model = trained.model
        carry = model.initial_carry(inputs.shape[:1])
        logits, traces = traced(model, trained.params, carry, jnp.asarray(inputs))
        return jax.device_get((jax.nn.softmax(logits), traces))
