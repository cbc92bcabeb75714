"""Where a pulse is in a noisy signal: a learnt kernel beside the best that there can be."""

import dataclasses
from collections.abc import Iterable
from typing import Any, ClassVar

import flax.linen as nn
import jax
import numpy as np

from nets.errors import UserError
from nets.layers.conv import convolve
from nets.layers.filters import apply_filter, matched_filter
from nets.report.figures import Lines, Panels, Text, View
from nets.tasks.classify import cross_entropy
from nets.tasks.metrics import means, quotient, weighed
from nets.tasks.sequence_figures import real


@dataclasses.dataclass(frozen=True)
class FindPulse:
    """Joins `nets.detector.Detector` to the cross-entropy of the place where a pulse begins.

    In white Gaussian noise of variance s^2 the softmax of the outputs is the probability of each
    place where the kernel is the pulse over s^2. So that is what is learnt: the matched filter,
    mirrored because a network correlates (North 1943; Turin 1960, "An introduction to matched
    filters"). Metrics: loss (nats), accuracy, the share of signals whose greatest output is at the
    pulse; of an evaluation also correlated and convolved, the same where the kernel is the pulse
    itself, in cross-correlation and in convolution.
    """

    maximise: ClassVar[tuple[str, ...]] = ("accuracy",)

    def init(self, model: nn.Module, key: jax.Array, batch: dict) -> tuple[Any, dict]:
        logits, variables = model.init_with_output(key, batch["inputs"], train=False)
        steps, width = batch["inputs"].shape[1], batch["pulse"].shape[1]
        if logits.shape[1] != steps - width + 1:
            raise UserError(
                f"--model.window={steps - logits.shape[1] + 1}, but the pulse is {width} steps "
                f"wide: --model.window={width} is valid."
            )
        return variables["params"], {}

    def loss(self, model, params, model_state, batch, key, train):
        x, places = batch["inputs"], batch["targets"]
        logits = model.apply({"params": params}, x, train=train)
        metrics = {
            "loss": weighed(cross_entropy(logits, places), batch),
            "accuracy": weighed(logits.argmax(-1) == places, batch),
        }
        if not train:
            pulse = batch["pulse"][0][:, None, None]
            for name, kernel in (("correlated", pulse), ("convolved", pulse[::-1])):
                found = convolve(x, kernel, padding="VALID")[..., 0].argmax(-1)
                metrics[name] = weighed(found == places, batch)
        return quotient(metrics["loss"]), (model_state, metrics)

    def finish(self, sums: dict) -> dict[str, float]:
        return means(sums)

    def views(self, model, params, model_state, batches: Iterable[dict], facts, key, final: bool):
        if not final:
            return {}
        rows = [real(batch) for batch in batches]
        x, places = (np.concatenate([r[k] for r in rows]) for k in ("inputs", "targets"))
        correlated = matched_filter(facts["pulse"])[::-1]  # mirrored: `apply_filter` correlates
        learnt = np.asarray(params["filter"]["kernel"], float)[:, 0, 0]
        kernels = {
            "learnt": learnt / np.linalg.norm(learnt),
            "correlated with the pulse": correlated,
            "convolved with the pulse": correlated[::-1],
        }
        outputs = {k: np.asarray(apply_filter(x, v, "VALID"))[..., 0] for k, v in kernels.items()}
        found: dict[str, View] = {
            "matched_filter": Panels(
                "Where is the pulse?", panels(x[0, :, 0], places[0], kernels, outputs)
            ),
            "gains": Text("The filters on the test signals", table(outputs, places, facts)),
        }
        return found


def panels(
    signal: np.ndarray, place: int, kernels: dict[str, np.ndarray], outputs: dict[str, np.ndarray]
) -> tuple[Lines, ...]:
    """A signal [T] with its pulse; the first outputs [N, P] of each filter; the kernels [n]."""
    learnt, correlated, convolved = kernels
    pulse = kernels[correlated]
    where = np.full(len(signal), np.nan)
    where[place : place + len(pulse)] = pulse
    mark = ("where the pulse begins", float(place))
    first = {k: outputs[k][0] for k in (correlated, convolved)}
    time, shifts = np.arange(len(signal)), np.arange(outputs[learnt].shape[1])
    shown = {"with noise": signal, "the pulse": where}
    both = {"learnt": kernels[learnt], "the pulse": pulse}
    return (
        Lines("The signal", time, shown, "step", "amplitude", mark=mark),
        Lines("The filters' outputs", shifts, first, "step", "output", mark=mark),
        Lines("The kernels, of energy 1", np.arange(len(pulse)), both, "step", "weight"),
    )


def gain(output: np.ndarray, places: np.ndarray, width: int) -> float:
    """Signal over noise of outputs [N, P]: the squared mean at the pulse over the variance of what
    sees none of it."""
    at = np.take_along_axis(output, places[:, None], 1)
    apart = np.abs(np.arange(output.shape[1]) - places[:, None]) >= width
    return float(at.mean() ** 2 / output[apart].var())


def table(outputs: dict[str, np.ndarray], places: np.ndarray, facts: dict) -> str:
    """A line for each filter: the share of pulses found, signal over noise; then the bound."""
    lines = [f"{'filter':>25}  {'found':>5}  {'signal/noise':>12}"]
    for name, output in outputs.items():
        found, ratio = (
            np.mean(output.argmax(1) == places),
            gain(output, places, len(facts["pulse"])),
        )
        lines.append(f"{name:>25}  {found:>5.3f}  {ratio:>12.2f}")
    lines.append(f"{'theory: energy/variance':>25}  {'':>5}  {facts['snr']:>12.2f}")
    return "\n".join(lines)
