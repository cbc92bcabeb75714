"""Two layers approximate any continuous function: the largest error against the width.

    python launch.py --experiment=universal_approximation --seed=0,1,2

Networks with one hidden layer of 1 to 1,024 sigmoid, tanh, arctan or ReLU units learn three
functions on [-1, 1]: a sine, a triangle wave, and a narrow peak on a slope, all side by side
(Cybenko 1989; Hornik, Stinchcombe and White 1989; for ReLU Leshno et al. 1993). The picture
`error_over_width` has the largest error over the width, `approximations_tanh` and so on what
networks of 1, 16 and 256 units became, the text `largest_errors` every number. That wide networks
can approximate does not say that training finds how: a sum of ReLUs is made of straight lines, and
fits the triangle with 64 units to 0.004 but the peak with 1,024 only to 0.1.

Measured: largest error over points and functions of 1,024 units, seeds 0, 1, 2 (mean and standard
deviation): sigmoid 0.048 (0.002), tanh 0.071 (0.003), arctan 0.082 (0.003), ReLU 0.103 (0.006);
of one unit at least 0.64 for each function and seed; 95 s a seed.
One core of an AMD EPYC (AVX-512), jax 0.10.2.
"""

from nets.demos.approximation import Approximate, Curves, TwoLayerNetworks
from nets.optim.optimizer import Optimizer
from nets.optim.rules import Adam
from nets.optim.schedules import Cosine
from nets.train.experiment import Experiment


def experiment() -> Experiment:
    return Experiment(
        model=TwoLayerNetworks(),
        task=Approximate(),
        data=Curves(batch_size=128),
        optimizer=Optimizer(Adam(), 0.05, Cosine()),
        steps=2000,
        eval_every=500,
        save_every=2000,
    )
