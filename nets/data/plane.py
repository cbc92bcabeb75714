"""Two classes of points in the plane, as in the neural network playground."""

import dataclasses
from typing import Any, Literal

import numpy as np

from nets.data.synthetic import Batch, Generated
from nets.errors import check_choice, check_range


@dataclasses.dataclass(frozen=True, kw_only=True)
class Plane(Generated):
    """Points of two classes, in the sets of playground.tensorflow.org (Smilkov et al. 2017).

    "inputs" [B, 2] float32 are coordinates from about -5 to 5, "targets" [B] int32 the class, each
    as often. "circles": a disc of radius 2.5 (class 1) in a ring from 3.5 to 5; "spirals": two arms
    of 7/4 turns; "xor": class 1 where x y > 0, 0.3 from the axes; "gaussians": one of standard
    deviation 1 around (2, 2), class 1, the other around (-2, -2).

    Attributes:
        kind: which set.
        noise: standard deviation of Gaussian noise that is added to each coordinate.
    """

    kind: Literal["circles", "spirals", "xor", "gaussians"] = "spirals"
    noise: float = 0.1

    def __post_init__(self) -> None:
        super().__post_init__()
        check_choice(self, "kind", ("circles", "spirals", "xor", "gaussians"))
        check_range(self, "noise", at_least=0)

    def draw(self, rng: np.random.Generator, rows: int, split: str) -> Batch:
        classes = rng.permutation(np.arange(rows) % 2)
        u, v = rng.random((2, rows))
        if self.kind == "circles":
            radius, angle = np.where(classes == 1, 2.5 * u, 3.5 + 1.5 * u), 2 * np.pi * v
            points = np.stack([radius * np.sin(angle), radius * np.cos(angle)], 1)
        elif self.kind == "spirals":
            radius, angle = 5 * u, 3.5 * np.pi * u + np.pi * classes
            points = np.stack([radius * np.sin(angle), radius * np.cos(angle)], 1)
        elif self.kind == "xor":
            x, y = 0.3 + 4.7 * u, 0.3 + 4.7 * v
            sign = rng.choice([-1, 1], rows)
            points = np.stack([sign * x, sign * np.where(classes == 1, y, -y)], 1)
        else:
            points = rng.normal(np.where(classes == 1, 2, -2)[:, None], 1, (rows, 2))
        points += rng.normal(0, self.noise, (rows, 2))
        return {"inputs": points.astype(np.float32), "targets": classes.astype(np.int32)}

    def extra_metadata(self) -> dict[str, Any]:
        """num_classes (1, of outputs: the class is binary) and class_names."""
        return {"num_classes": 1, "class_names": ["blue", "orange"]}
