"""An agent explores worlds that it has never seen, with a map as its memory: Zhang et al. 2017.

    python launch.py --experiment=neural_slam_grid
    python launch.py --experiment=neural_slam_grid --variant=lstm
    python launch.py --experiment=neural_slam_grid --seed=0,1,2

Worlds of 9 x 9 cells in a border, with walls at random; the agent sees 3 x 3 of them, ahead of
itself, for 48 steps. Beside Neural SLAM an LSTM of as many parameters (58,244), in as many steps.
`explored` is the share of the free cells that came into view. A picture shows the ways, and the
learned maps over the walls.

Measured: explored 0.847 (seeds 0.843, 0.844, 0.855), of the LSTM 0.834 (0.828, 0.841, 0.833); 2 min
49 s of processor time a run (4 min beside other trainings), of the LSTM 44 s. In the same time the
LSTM, which takes 7,700 steps then, is ahead: 0.870 (seed 0). One core of an AMD EPYC (AVX-512), jax
0.10.2.
"""

from nets.data.grid_worlds import GridWorlds
from nets.lstm import LSTM
from nets.neural_slam import SLAM, Explorer
from nets.optim.optimizer import Optimizer
from nets.optim.rules import Adam
from nets.optim.schedules import Cosine
from nets.tasks.explore import Explore
from nets.train.experiment import Experiment


def experiment() -> Experiment:
    return variants()["memory"]


def variants() -> dict[str, Experiment]:
    """The experiments that `compare` trains, by the name that each has in the table."""
    return {
        name: Experiment(
            model=Explorer(cell=cell),
            task=Explore(),
            data=GridWorlds(),
            optimizer=Optimizer(Adam(), 1e-3, Cosine(), warmup=100, clip_norm=1.0),
            steps=2000,
            eval_every=500,
            save_every=1000,
            monitor="explored",
        )
        for name, cell in {"memory": SLAM(64, size=19, reach=2), "lstm": LSTM(96)}.items()
    }
