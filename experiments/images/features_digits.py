"""Features made by hand beside learnt filters: a linear classifier on each, on digits.

    python launch.py compare --experiment=features_digits --seed=0,1,2
    python launch.py --experiment=features_digits --variant=LDA

Needs: the extra hog.

Of 16x16 digits the classifier reads the pixels; nine principal components (PCA); Fisher's nine
discriminants (LDA); histograms of oriented gradients (HOG); histograms of 32 textons; or the local
energies of 16 pairs of 7x7 filters, averaged over cells of four pixels: Gabor filters, random ones,
or ones that are learnt with it. The picture `projection` shows each kind of feature in the plane,
`directions` those of PCA and LDA, `filters` the three banks.

Measured: test accuracy, mean and standard deviation of seeds 0, 1 and 2: pixels 0.971 +- 0.002, PCA
0.913 +- 0.009, LDA 0.955 +- 0.002, HOG 0.977 +- 0.002, textons 0.981 +- 0.000, Gabor filters
0.989 +- 0.005, random filters 0.974 +- 0.003, learnt filters 0.991 +- 0.002; all 24 runs 6 min 8 s,
of which 2 min 6 s of processor time. One core of an AMD EPYC (AVX-512), jax 0.10.2.
"""

import dataclasses

from nets.data.hog import HOG
from nets.data.image_features import Projection
from nets.data.images import Images
from nets.demos.image_features import ClassifyFeatures, FilterBank
from nets.demos.textons import Textons
from nets.mlp import MLP
from nets.optim.optimizer import Optimizer
from nets.optim.rules import Adam
from nets.optim.schedules import Cosine
from nets.train.experiment import Experiment


def experiment() -> Experiment:
    return Experiment(
        model=MLP(widths=(), num_classes=None),
        task=ClassifyFeatures(),
        data=Projection(method="pca", components=9, name="digits", image_size=16),
        optimizer=Optimizer(Adam(), 1e-2, Cosine()),
        steps=1500,
        eval_every=500,
        save_every=1500,
        monitor="accuracy",
    )


def variants() -> dict[str, Experiment]:
    """A linear classifier of pixels, of features made by hand, and of filters, fixed or learnt."""
    base = experiment()
    digits = Images(name="digits", image_size=16, eval_batch_size=180, normalise="unit")
    frozen = dataclasses.replace(base.optimizer, freeze=("filters/*",))

    def linear(data) -> Experiment:
        return dataclasses.replace(base, data=data)

    def bank(filters: str, optimizer: Optimizer) -> Experiment:
        model = FilterBank(filters=filters)
        return dataclasses.replace(base, model=model, data=digits, optimizer=optimizer)

    return {
        "pixels": linear(digits),
        "PCA": base,
        "LDA": linear(dataclasses.replace(base.data, method="lda")),
        "HOG": linear(HOG(name="digits", image_size=16, eval_batch_size=180)),
        "textons": linear(Textons(name="digits", image_size=16)),
        "Gabor filters": bank("gabor", frozen),
        "random filters": bank("random", frozen),
        "learnt filters": bank("random", base.optimizer),
    }
