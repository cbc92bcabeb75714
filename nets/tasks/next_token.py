"""Language modelling: the next symbol, by truncated back-propagation through time."""

import dataclasses
import math
from collections.abc import Sequence
from typing import Any, ClassVar

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax

from nets.errors import UserError
from nets.layers.decoding import generate
from nets.layers.recurrent_bptt import StreamState, truncated_segment
from nets.report.figures import Figure, Text
from nets.tasks import next_token_figures
from nets.tasks.metrics import Metrics, compute
from nets.tasks.task import Batch, Generative, Trained


@dataclasses.dataclass(frozen=True)
class NextToken(Generative):
    """Language modelling by `model(inputs, carry, reset, train=...) -> logits, carry`.

    Of `nets.recurrent_lm.RecurrentLM` and `nets.transformer.TransformerLM`, whose carry is empty.

    The loss is the cross-entropy of the next symbol. The recurrent carry is part of the model
    state, and no gradient passes through it from one update to the previous one: truncated
    BPTT(k2; k1) (Williams and Peng 1990), where k1 is the length of a segment and `k2` the number
    of steps that a gradient passes back. If k2 > k1, the k2 - k1 steps before a segment run again;
    with dropout, their masks then differ.

    A symbol is a character or a word. Metrics: loss (nats per symbol), bits_per_symbol (for
    characters: bits per character, bpc), perplexity (per symbol), accuracy.

    Attributes:
        k2: steps that gradients pass back through time, at least a segment's; None means a
            segment's.
        sample_length: length in symbols of the sample drawn at each evaluation.
        temperature: temperature of that sample; 0 takes the likeliest symbol.
    """

    k2: int | None = None
    sample_length: int = 400
    temperature: float = 0.8

    maximise: ClassVar[tuple[str, ...]] = ("accuracy",)

    def init(self, model: nn.Module, key: jax.Array, batch: dict) -> tuple[Any, dict]:
        rows, k1 = batch["inputs"].shape
        if self.k2 is not None and self.k2 < k1:
            raise UserError(f"must be at least a segment, {k1} steps, got {self.k2}.", "k2")
        carry = model.initial_carry((rows,))
        variables = model.init(key, batch["inputs"], carry, batch["reset"], train=False)
        back = (self.k2 or k1) - k1
        past = (jnp.zeros((rows, back), jnp.int32), jnp.zeros((rows, back), bool)) if back else ()
        return variables["params"], {"carry": StreamState(carry, past)}

    def loss(
        self,
        model: nn.Module,
        params: Any,
        model_state: dict,
        batch: Batch,
        key: jax.Array,
        train: bool,
    ) -> tuple[jax.Array, tuple[dict, Metrics]]:
        keys = iter(jax.random.split(key))  # run once or twice
        window = model_state["carry"]

        def run(carry, steps):  # time first
            inputs, reset = (a.swapaxes(0, 1) for a in steps)
            reset = reset if window.xs else batch["reset"]  # then no step has to check for one
            noise = {"dropout": next(keys)}
            variables = {"params": params}
            logits, carry = model.apply(variables, inputs, carry, reset, train=train, rngs=noise)
            return carry, logits.swapaxes(0, 1)

        reset = jnp.zeros(batch["inputs"].shape, bool).at[:, 0].set(batch["reset"])
        steps = batch["inputs"].T, reset.T
        window = window._replace(xs=jax.tree.map(jnp.transpose, window.xs))
        window, logits = truncated_segment(run, window, steps)
        window = window._replace(xs=jax.tree.map(jnp.transpose, window.xs))
        logits = logits.swapaxes(0, 1)
        each = optax.softmax_cross_entropy_with_integer_labels(logits, batch["targets"])  # [B, T]
        mask = batch["mask"] if "mask" in batch else jnp.ones_like(each)
        right = logits.argmax(-1) == batch["targets"]
        metrics = {
            "loss": (jnp.sum(each * mask), mask.sum()),
            "accuracy": (jnp.sum(right * mask), mask.sum()),
        }
        return metrics["loss"][0] / mask.sum(), ({"carry": window}, metrics)

    def finish(
        self, metrics: Metrics, metadata: dict[str, Any], tokenizer: Any
    ) -> dict[str, float]:
        values = compute(metrics)
        if "loss" in values:
            values["bits_per_symbol"] = values["loss"] / math.log(2)
            values["perplexity"] = math.exp(min(values["loss"], 700.0))
        return values

    def sample(
        self,
        trained: Trained,
        prompt: list[int],
        length: int,
        temperature: float,
        top_k: int | None = None,
    ) -> str:
        """Samples `length` symbols after the prompt, from the `top_k` likeliest; None means all.

        Raises:
            UserError: top_k is above the size of the vocabulary.
        """
        size = len(trained.tokenizer.vocabulary)
        if top_k is not None and not 1 <= top_k <= size:
            raise UserError(f"must be from 1 to {size}, the vocabulary, got {top_k}.", "top_k")
        ids = jnp.array([prompt])
        variables, decode = {"params": trained.params}, trained.tokenizer.decode
        symbols = _generate(trained.model, variables, trained.key, ids, length, temperature, top_k)
        return decode([*prompt, *np.asarray(symbols)[0]]).removeprefix(decode(prompt))

    def figures(
        self, trained: Trained, batches: Sequence[Batch], metrics: Metrics, final: bool
    ) -> dict[str, Figure]:
        tokenizer = trained.tokenizer
        newlines = [i for i, s in enumerate(tokenizer.vocabulary) if tokenizer.join([s]) == "\n"]
        prompt = newlines[:1] or [0]
        text = self.sample(trained, prompt, self.sample_length, self.temperature)
        figures: dict[str, Figure] = {
            "sample": Text(f"A sample at temperature {self.temperature}", text)
        }
        if final and all(len(symbol) == 1 for symbol in tokenizer.vocabulary):
            figures["cells"] = next_token_figures.cells_view(
                trained.model, trained.params, tokenizer.vocabulary, batches
            )
        elif final:
            figures |= next_token_figures.attended_words(
                trained.model, trained.params, tokenizer.vocabulary, batches
            )
        return figures


_generate = jax.jit(generate, static_argnames=("model", "length", "top_k"))
