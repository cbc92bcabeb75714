"""Speech out of noise by a simple recurrent network, the LSTM's predecessor.

    python launch.py --experiment=enhance_rnn --data.path=FSDD --data.noise=NOISE

Measured: not trained to its end here, for want of time; 290,829 parameters.
"""

from nets.elman import Elman
from nets.enhancement import Enhancer, RecurrentMask
from nets.recipes.speech import enhancement
from nets.train.experiment import Experiment


def experiment() -> Experiment:
    return enhancement(Enhancer(RecurrentMask(Elman(425))))
