"""ResNet and its kin: pre-activation, ResNeXt, wide, squeeze-and-excite.

He, Zhang, Ren and Sun, Deep Residual Learning for Image Recognition, CVPR 2016, and Identity
Mappings in Deep Residual Networks, ECCV 2016. Xie et al., Aggregated Residual Transformations for
Deep Neural Networks, CVPR 2017. Hu et al., Squeeze-and-Excitation Networks, CVPR 2018.
"""

import functools
from typing import Literal

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax.typing import DTypeLike

from nets.layers.checks import check_probability
from nets.layers.classification_head import classification_head, conv_and_norm
from nets.layers.conv_norm_act import conv_norm_act
from nets.layers.drop_path import linear_rates
from nets.layers.image_checks import check_images
from nets.layers.pooling import max_pool
from nets.layers.residual import ConvSpec, ResidualBlock, residual_stage
from nets.layers.squeeze_excite import SqueezeExcite


class ResNet(nn.Module):
    """ResNet, as it stands for images of about 224 x 224.

    7x7 convolution of stride 2, 3x3 max pooling of stride 2, stages of residual blocks, the first
    block of every stage but the first of stride 2, average over all places, linear classifier. For
    small images the stem can be another, `stem_window=3, stem_strides=1`.
    Names are torchvision's. Stages: stem [B, H/4, W/4, width], layer1 of as many places, layer2
    with half as many along each axis, and so on, features [B, C], C being width 2^(stages - 1),
    times 4 with bottlenecks.

    Convolutions start as He et al. 2015 (normal, by fan-out, truncated), the classifier LeCun
    normal.

    `scan_blocks` is for nets of very many blocks: compiled faster, they run somewhat slower on a
    CPU (`tests/benchmarks/depth.py`). `nets.layers.scan_blocks` converts the variables.

    Attributes:
        layers: number of blocks in each stage.
        block: two 3x3 convolutions, or 1x1, 3x3 and 1x1.
        version: "v1": the stride of a bottleneck is in its first convolution (He et al. 2015);
            "v1.5": in the 3x3 one (torchvision); "v2": pre-activation (He et al. 2016), as v1.5,
            with a last normalisation "norm". Of "v1" and "v1.5" basic blocks are the same.
        stem_window: side of the stem's window.
        stem_strides: stride of the stem's convolution.
        width: channels of the stem and, before the expansion by 4, of the first stage.
        groups: groups of the bottlenecks' 3x3 convolution (ResNeXt).
        width_per_group: width of one group of it in the first stage, of 64 in a plain ResNet; it
            grows with the stage (ResNeXt, Wide ResNet).
        squeeze_excite: how many times fewer units than channels a squeeze-and-excite layer at the
            end of each branch has; None is without.
        drop_path: probability of dropping the last branch while training, for each row of the
            batch; that of the others grows linearly from 0 (stochastic depth, Huang et al. 2016).
        zero_init: whether every branch starts as zero.
        scan_blocks: whether the blocks of a stage, all but the first, run as one scan.
        num_classes: number of outputs. None: to be filled in from the data. 0: no classifier, the
            result is `features`.
        dtype: what it computes in.
        param_dtype: what it stores.
    """

    layers: tuple[int, ...] = (3, 4, 6, 3)
    block: Literal["basic", "bottleneck"] = "bottleneck"
    version: Literal["v1", "v1.5", "v2"] = "v1.5"
    stem_window: int = 7
    stem_strides: int = 2
    width: int = 64
    groups: int = 1
    width_per_group: int = 64
    squeeze_excite: int | None = None
    drop_path: float = 0.0
    zero_init: bool = False
    scan_blocks: bool = False
    num_classes: int | None = None
    dtype: DTypeLike = jnp.float32
    param_dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(
        self, x: jax.Array, *, train: bool, stages: bool = False
    ) -> jax.Array | tuple[jax.Array, dict[str, jax.Array]]:
        """Maps x [B, H, W, C] to logits [B, num_classes], float32 at least.

        Needs the key `dropout` while training, if there is `drop_path`.

        Raises:
            ValueError: x has other axes; block or version is unknown; basic blocks have groups or
                a width of them; `drop_path` is not in [0, 1); or `num_classes` is None.
        """
        check_images(self, x, 1)
        self._check()
        conv, norm = conv_and_norm(self.dtype, self.param_dtype, train)
        outputs, before = {}, self.version == "v2"
        window, padding = (self.stem_window,) * 2, self.stem_window // 2
        made = {"conv": conv, "norm": norm, "names": ("conv1", "bn1")}
        x = conv_norm_act(x, self.width, window, self.stem_strides, padding, **made)
        outputs["stem"] = x = max_pool(x, 3, 2, 1)
        gates = self._gates(len(x)) if train and self.drop_path else None
        done = 0
        for stage, blocks in enumerate(self.layers):
            block = functools.partial(
                ResidualBlock,
                **self._branch(stage),
                conv=conv,
                norm=norm,
                preactivated=before,
                zero_init=self.zero_init,
            )
            first = functools.partial(
                block, strides=1 if stage == 0 else 2, activated=before and stage == 0
            )
            given = None if gates is None else gates[done : done + blocks]
            name = f"layer{stage + 1}"
            x = residual_stage(x, name, blocks, first, block, given, scan=self.scan_blocks)
            outputs[name], done = x, done + blocks
        if before:
            x = nn.relu(norm(name="norm")(x))
        return classification_head(self, x, outputs, stages)

    def _branch(self, stage: int) -> dict:
        """What the branches of a stage are made of."""
        width = self.width * 2**stage
        if self.block == "basic":
            layers, strided = (ConvSpec(width, 3), ConvSpec(width, 3)), 0
        else:
            inner = width * self.width_per_group // 64 * self.groups
            layers = ConvSpec(inner, 1), ConvSpec(inner, 3, self.groups), ConvSpec(4 * width, 1)
            strided = 0 if self.version == "v1" else 1
        excite = self.squeeze_excite and functools.partial(
            SqueezeExcite,
            layers[-1].features // self.squeeze_excite,
            dtype=self.dtype,
            param_dtype=self.param_dtype,
        )
        return {"layers": layers, "strided": strided, "excite": excite}

    def _gates(self, rows: int) -> jax.Array:
        """What the branches are multiplied by, [blocks, B, 1, 1, 1]: 0 or 1 / (1 - rate)."""
        rates = jnp.array(linear_rates(self.drop_path, sum(self.layers)))
        kept = 1 - jnp.broadcast_to(rates[:, None, None, None, None], (len(rates), rows, 1, 1, 1))
        return jax.random.bernoulli(self.make_rng("dropout"), kept) / kept

    def _check(self) -> None:
        valid = {"block": ("basic", "bottleneck"), "version": ("v1", "v1.5", "v2")}
        for field, values in valid.items():
            if getattr(self, field) not in values:
                raise ValueError(
                    f"ResNet.{field}={getattr(self, field)!r}: valid are {', '.join(values)}"
                )
        if self.block == "basic" and (self.groups, self.width_per_group) != (1, 64):
            raise ValueError(
                f"groups={self.groups}, width_per_group={self.width_per_group}: basic blocks have "
                "groups=1, width_per_group=64"
            )
        check_probability("ResNet.drop_path", self.drop_path)


ResNet18 = functools.partial(ResNet, layers=(2, 2, 2, 2), block="basic")
"""11,689,512 parameters for three channels and 1,000 classes; 1.814 G multiply-adds at 224 px."""

ResNet34 = functools.partial(ResNet, layers=(3, 4, 6, 3), block="basic")
"""21,797,672 parameters; 3.664 G multiply-adds."""

ResNet50 = functools.partial(ResNet, layers=(3, 4, 6, 3))
"""25,557,032 parameters; 4.089 G multiply-adds."""

ResNet101 = functools.partial(ResNet, layers=(3, 4, 23, 3))
"""44,549,160 parameters; 7.801 G multiply-adds."""

ResNet152 = functools.partial(ResNet, layers=(3, 8, 36, 3))
"""60,192,808 parameters; 11.514 G multiply-adds."""

ResNeXt50_32x4d = functools.partial(ResNet50, groups=32, width_per_group=4)
"""25,028,904 parameters; 4.23 G multiply-adds (Xie et al. 2017)."""

WideResNet50_2 = functools.partial(ResNet50, width_per_group=128)
"""ResNet50 whose 3x3 convolutions are twice as wide, as torchvision's of that name."""

SEResNet50 = functools.partial(ResNet50, squeeze_excite=16)
"""28,088,024 parameters, the biases of squeeze-and-excite included (Hu et al. 2018)."""
