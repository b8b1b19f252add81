"""Our ResNet in plain JAX, with the weights of a torch model: for `neural-tangents` only."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from torch import nn

from earlystop.architectures import ResidualBlock

EPSILON = 1e-5  # of torch's batch norm


def translated(model: nn.Sequential) -> tuple[Callable[[Any, jax.Array], jax.Array], Any]:
    """The function (parameters, inputs n c h w) → n outputs, and its parameters.

    Batch norm as in eval mode: its statistics are constants, its weight and bias parameters.
    """
    names = {name for name, _ in model.named_parameters()}
    state = {name: jnp.asarray(value.numpy()) for name, value in model.state_dict().items()}
    parameters = {name: value for name, value in state.items() if name in names}
    blocks = [
        (f"{i}.", layer.stride, layer.missing) for i, layer in enumerate(model) if isinstance(layer, ResidualBlock)
    ]
    head = f"{len(model) - 1}."

    def norm(parameters, name, x):
        scale = parameters[name + "weight"] / jnp.sqrt(state[name + "running_var"] + EPSILON)
        shift = parameters[name + "bias"] - state[name + "running_mean"] * scale
        return x * scale[:, None, None] + shift[:, None, None]

    def convolution(weight, x, stride=1):
        return lax.conv_general_dilated(x, weight, (stride, stride), ((1, 1), (1, 1)))

    def apply(parameters, x):
        x = jax.nn.relu(norm(parameters, "1.", convolution(parameters["0.weight"], x)))
        for name, stride, missing in blocks:
            half = missing // 2
            channels = ((0, 0), (half, missing - half), (0, 0), (0, 0))
            shortcut = jnp.pad(x[:, :, ::stride, ::stride], channels)
            x = convolution(parameters[name + "conv1.weight"], x, stride)
            x = jax.nn.relu(norm(parameters, name + "norm1.", x))
            x = convolution(parameters[name + "conv2.weight"], x)
            x = jax.nn.relu(norm(parameters, name + "norm2.", x) + shortcut)
        x = x.mean(axis=(2, 3))
        return x @ parameters[head + "weight"].T + parameters[head + "bias"]

    return apply, parameters
