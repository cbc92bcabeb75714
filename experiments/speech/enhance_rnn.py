"""Speech out of noise by a simple recurrent network, the LSTM's predecessor.

    python launch.py --experiment=enhance_rnn --data.path=FSDD --data.noise=NOISE

Measured: SI-SDR of the test sounds is 8.15 dB better: 4.36, 8.27 and 11.80 dB from -5, 0 and 5;
STOI 0.726, 0.802 and 0.856 from 0.645, 0.741 and 0.827; 5 min 21 s. Seed 0, one core of an AMD EPYC
(AVX-512) beside other trainings, jax 0.10.2.
"""

from nets.elman import Elman
from nets.enhancement import Enhancer, RecurrentMask
from nets.recipes.speech import enhancement
from nets.train.experiment import Experiment


def experiment() -> Experiment:
    return enhancement(Enhancer(RecurrentMask(Elman(425))))
