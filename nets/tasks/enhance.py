"""Speech enhancement: a clean sound from a noisy one."""

import dataclasses
from collections.abc import Sequence
from typing import Any, ClassVar, Literal

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from nets.errors import check_choice, missing
from nets.layers.spectrogram import sqrt_hann, stft
from nets.report.figures import Figure
from nets.tasks import enhance_figures
from nets.tasks.metrics import Metrics, Rows, collect, compute, masked_sum, mean
from nets.tasks.task import Batch, Prediction, Predictive, Trained


@dataclasses.dataclass(frozen=True)
class Enhance(Predictive):
    """Enhancement by `nets.enhancement.Enhancer`.

    Metrics, in dB the larger the better:

        loss              the criterion
        si_sdr            scale-invariant signal-to-distortion ratio of the enhanced sound, dB
        improvement       that minus the ratio of the noisy sound
        si_sdr_Xdb        of the sounds that were mixed at X dB; si_sdr_noisy_Xdb before
        stoi_Xdb          their short-time objective intelligibility (Taal et al. 2011), 0 to 1, at
                          the end of a run and in `eval`; stoi_noisy_Xdb before

    Attributes:
        criterion: "phase_sensitive", the squared error of masked magnitudes against the part of the
            clean spectrum that is in phase (Erdogan et al. 2015), over the energy of the clean one;
            "si_sdr", the negative ratio of the sound itself.
        stoi: whether STOI is computed; needs pystoi.
    """

    criterion: Literal["phase_sensitive", "si_sdr"] = "si_sdr"
    stoi: bool = True

    maximise: ClassVar[tuple[str, ...]] = ("si_sdr", "improvement")

    def __post_init__(self) -> None:
        check_choice(self, "criterion", ("phase_sensitive", "si_sdr"))

    def init(self, model: nn.Module, key: jax.Array, batch: dict) -> tuple[Any, dict]:
        if self.stoi:
            _stoi()  # said before the run, not at its end
        return model.init(key, batch["inputs"], train=False)["params"], {}

    def loss(
        self,
        model: nn.Module,
        params: Any,
        model_state: dict,
        batch: Batch,
        key: jax.Array,
        train: bool,
    ) -> tuple[jax.Array, tuple[dict, Metrics]]:
        metrics, _ = self._metrics(model, params, batch, key, train)
        return mean(metrics["loss"]), (model_state, metrics)

    def _metrics(
        self, model: nn.Module, params: Any, batch: Batch, key: jax.Array, train: bool
    ) -> tuple[Metrics, jax.Array]:
        noisy, clean = batch["inputs"], batch["targets"]
        enhanced, stages = model.apply(
            {"params": params}, noisy, train=train, stages=True, rngs={"dropout": key}
        )
        ratio = si_sdr(enhanced, clean)
        if self.criterion == "si_sdr":
            each = -ratio
        else:
            target = stft(clean, sqrt_hann(model.window), model.hop)
            each = phase_sensitive(stages["mask"], stages["spectrum"], target)
        values = {"loss": each, "si_sdr": ratio, "improvement": ratio - si_sdr(noisy, clean)}
        return {name: masked_sum(x, batch) for name, x in values.items()}, enhanced

    def test(
        self,
        model: nn.Module,
        params: Any,
        model_state: dict,
        batch: Batch,
        key: jax.Array,
        final: bool,
    ) -> tuple[dict, Metrics]:
        metrics, enhanced = self._metrics(model, params, batch, key, train=False)
        if not final or "snr" not in batch:
            return model_state, metrics
        noisy, clean = batch["inputs"], batch["targets"]
        rows = {
            "snr": batch["snr"],
            "si_sdr": si_sdr(enhanced, clean),
            "si_sdr_noisy": si_sdr(noisy, clean),
        }
        if self.stoi:
            rows |= {"clean": clean, "stoi": enhanced, "stoi_noisy": noisy}
        return model_state, metrics | {"sounds": collect(rows, batch)}

    def finish(
        self, metrics: Metrics, metadata: dict[str, Any], tokenizer: Any
    ) -> dict[str, float]:
        values = compute(metrics)
        if "sounds" in metrics:
            values |= by_ratio(metrics["sounds"], metadata["rate"])
        return values

    def figures(
        self, trained: Trained, batches: Sequence[Batch], metrics: Metrics, final: bool
    ) -> dict[str, Figure]:
        if not final:
            return {}
        batch = batches[0]
        rows = [int(np.flatnonzero(batch["snr"] == snr)[0]) for snr in np.unique(batch["snr"])]
        noisy = np.asarray(batch["inputs"])[rows]
        enhanced = _apply(trained.model, trained.params, noisy)
        clean = np.asarray(batch["targets"])[rows]
        rate, ratios = trained.metadata["rate"], np.asarray(batch["snr"])[rows]
        return enhance_figures.examples(noisy, np.asarray(enhanced), clean, ratios, rate)

    def outputs(self, model: nn.Module, params: Any, model_state: dict, batch: Batch) -> Any:
        """The enhanced sound [1, N]."""
        return model.apply({"params": params}, batch["inputs"], train=False)

    def prediction(self, trained: Trained, source: Batch, outputs: Any) -> Prediction:
        return enhance_figures.prediction(source["audio"], outputs[0], int(source["rate"]))


def si_sdr(estimate: jax.Array, target: jax.Array) -> jax.Array:
    """The scale-invariant signal-to-distortion ratio [...] in dB of sounds [..., N].

    Le Roux et al. 2019, equation 3; the mean is not subtracted.

        a = <estimate, target> / |target|^2,  10 log10(|a target|^2 / |a target - estimate|^2)
    """
    power = jnp.square(target).sum(-1, keepdims=True)
    scaled = (estimate * target).sum(-1, keepdims=True) / jnp.maximum(power, 1e-12) * target
    signal, error = jnp.square(scaled).sum(-1), jnp.square(scaled - estimate).sum(-1)
    return 10 * jnp.log10((signal + 1e-12) / (error + 1e-12))


def phase_sensitive(mask: jax.Array, noisy: jax.Array, clean: jax.Array) -> jax.Array:
    """The error [B] of masks [B, T, F] of noisy spectra, over the energy of the clean ones.

    sum (M |Y| - |S| cos(angle S - angle Y))^2 / sum |S|^2 (Erdogan et al. 2015, equation 6).
    """
    magnitude = jnp.sqrt(jnp.square(noisy.real) + jnp.square(noisy.imag) + 1e-12)
    aligned = (noisy.real * clean.real + noisy.imag * clean.imag) / magnitude
    energy = (jnp.square(clean.real) + jnp.square(clean.imag)).sum((1, 2))
    return jnp.square(mask * magnitude - aligned).sum((1, 2)) / jnp.maximum(energy, 1e-12)


def by_ratio(rows: Rows, rate: int) -> dict[str, float]:
    """The mean of each score over the sounds that were mixed at each ratio.

    Args:
        rows: "snr" and, by the name of the score, numbers, or for STOI sounds; then "clean" too.
        rate: samples per second.
    """
    columns = dict(rows.values)
    snr, clean = np.array(columns.pop("snr")), columns.pop("clean", None)
    scores = {}
    for name, column in columns.items():
        if name.startswith("stoi"):
            stoi = _stoi()
            column = [stoi(c, s, rate) for c, s in zip(clean, column, strict=True)]
        column = np.array(column)
        scores |= {f"{name}_{x:g}db": float(column[snr == x].mean()) for x in np.unique(snr)}
    return scores


def _apply(model: nn.Module, params: Any, noisy: np.ndarray) -> jax.Array:
    apply = jax.jit(lambda params, x: model.apply(params, x, train=False))
    return apply({"params": params}, noisy)


def _stoi():
    try:
        from pystoi import stoi
    except ImportError as error:
        raise missing("STOI", "pystoi", "speech") from error
    return stoi
