"""Weights from torch and to it, recurrent modules' and image networks', from one import."""

from nets.interop.torch_images import images_from_torch, images_to_torch, read
from nets.interop.torch_recurrent import recurrent_from_torch, recurrent_to_torch

__all__ = [
    "images_from_torch",
    "images_to_torch",
    "read",
    "recurrent_from_torch",
    "recurrent_to_torch",
]
