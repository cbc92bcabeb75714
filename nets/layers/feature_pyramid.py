"""Feature pyramid networks: maps of all sizes with the meaning of the smallest.

Lin et al., Feature Pyramid Networks for Object Detection, CVPR 2017.
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax.typing import DTypeLike

from nets.layers.conv import Conv


class FeaturePyramid(nn.Module):
    """Maps p_l of one width from maps c_l of growing stride (section 3).

        m_l = W_l c_l + enlarged m_(l+1),    p_l = 3x3 convolution of m_l

    The smallest has m = W c. Enlarging repeats the nearest position.

        >>> maps = [jnp.zeros((1, 8, 8, 4)), jnp.zeros((1, 4, 4, 16))]
        >>> made = FeaturePyramid(32).init_with_output(jax.random.key(0), maps)[0]
        >>> [p.shape for p in made]
        [(1, 8, 8, 32), (1, 4, 4, 32)]

    Attributes:
        features: channels of all p_l.
        dtype: computation dtype.
        param_dtype: parameter dtype.
    """

    features: int
    dtype: DTypeLike = jnp.float32
    param_dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, maps: Sequence[jax.Array]) -> list[jax.Array]:
        """Maps c_l [B, H_l, W_l, C_l], largest first, to p_l [B, H_l, W_l, features]."""
        made, above = [], None
        for i in reversed(range(len(maps))):
            inner, layer = (
                Conv(
                    self.features,
                    window,
                    kernel_init=nn.initializers.variance_scaling(1.0, "fan_in", "uniform"),
                    dtype=self.dtype,
                    param_dtype=self.param_dtype,
                    name=f"{name}_{i}",
                )
                for name, window in (("inner", (1, 1)), ("layer", (3, 3)))
            )
            here = inner(maps[i])
            above = here if above is None else here + enlarged(above, here.shape[1:3])
            made.append(layer(above))
        return made[::-1]


def enlarged(x: jax.Array, size: tuple[int, int]) -> jax.Array:
    """x [B, h, w, C] at [B, H, W, C], each position the nearest (as torch's mode "nearest")."""
    rows, columns = (jnp.arange(n) * m // n for n, m in zip(size, x.shape[1:3], strict=True))
    return x[:, rows][:, :, columns]
