"""The recipe that the experiments of speech enhancement share."""

from nets.data.audio_noise import NoisySpeech
from nets.enhancement import Enhancer, RecurrentMask, SplicedMLP
from nets.optim.optimizer import Optimizer
from nets.optim.rules import AdamW
from nets.optim.schedules import Cosine
from nets.tasks.enhance import Enhance
from nets.train.experiment import Experiment


def speech_in_noise(network: SplicedMLP | RecurrentMask, steps: int = 800) -> Experiment:
    """Frames of 32 ms every 16 ms at 8 kHz; sounds of 2 s, 16 at a time."""
    return Experiment(
        model=Enhancer(network, window=256, hop=128),
        task=Enhance(),
        data=NoisySpeech(),
        optimizer=Optimizer(AdamW(weight_decay=1e-2), 2e-3, Cosine(), warmup=50, clip_norm=5.0),
        steps=steps,
        eval_every=200,
        save_every=steps,
        monitor="si_sdr",
    )
