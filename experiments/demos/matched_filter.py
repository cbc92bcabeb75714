"""A pulse in noise, found by a learnt kernel and by the matched filter.

    python launch.py --experiment=matched_filter

A net of one linear kernel learns to say where a chirp begins in white noise, on synthetic signals.
What it learns is the chirp: the matched filter, which no linear filter betters (North 1943). The
picture shows a signal, the outputs of cross-correlation and of convolution with the chirp, and the
learnt kernel beside it; a table the signal over noise of each against theory's 25.

Measured: the learnt kernel finds 0.933 of the test pulses, the chirp itself 0.940, the chirp
convolved instead of correlated none; signal over noise 25.1, 25.4 and 0.8 on 1,000 signals. 35 s,
of which 7 s of processor time.
Seed 0, one core of an AMD EPYC (AVX-512), jax 0.10.2.
"""

from nets.demos.matched_filter import DetectPulse, LinearFilter, NoisyPulses
from nets.optim.optimizer import Optimizer
from nets.optim.rules import Adam
from nets.optim.schedules import Cosine
from nets.train.experiment import Experiment


def experiment() -> Experiment:
    return Experiment(
        model=LinearFilter(window=32),
        task=DetectPulse(),
        data=NoisyPulses(length=256, width=32, snr=25.0, batch_size=128),
        optimizer=Optimizer(Adam(), 0.05, Cosine()),
        steps=1000,
        eval_every=250,
        save_every=1000,
    )
