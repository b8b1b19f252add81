"""The paper's deep networks: the convolutional network of Figure 1, the ResNet of Figure 4."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from earlystop.arguments import counts, kinds, refuse, short


def conv_net(
    image_shape: tuple[int, int, int] = (1, 28, 28),
    widths: tuple[int, int, int] = (64, 128, 256),
    n_classes: int = 10,
    seed: int = 0,
) -> nn.Sequential:
    """The network of Figures 1 and 3: two convolutions, one pool, two linear layers.

    At the defaults it has 4,795,914 parameters, the paper's "4.8 million". `image_shape` is (channels, height, width).
    Raises `ValueError` below 6 × 6 pixels.

    >>> earlystop.architectures.conv_net()(torch.ones(2, 1, 28, 28)).shape
    torch.Size([2, 10])
    """
    image_shape, widths = (_three(name, one) for name, one in (("image_shape", image_shape), ("widths", widths)))
    counts(least=1, n_classes=n_classes)
    channels, height, width = image_shape
    refuse({f"image_shape is {image_shape}, need at least 6 × 6 pixels": min(height, width) < 6})
    first, second, hidden = widths
    with seeded(seed):
        return nn.Sequential(
            nn.Conv2d(channels, first, 3), nn.ReLU(),
            nn.Conv2d(first, second, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
            nn.Linear(second * ((height - 4) // 2) * ((width - 4) // 2), hidden), nn.ReLU(),
            nn.Linear(hidden, n_classes),
        )  # fmt: skip


def _three(name: str, sizes: tuple[int, int, int]) -> tuple[int, int, int]:
    """Three sizes, each at least 1. `ValueError` for others."""
    message = f"{name} is {short(sizes)}, should be three numbers such as (1, 28, 28)"
    refuse({message: not isinstance(sizes, list | tuple) or len(sizes) != 3})
    for one in sizes:
        counts(least=1, **{name: one})
    return sizes[0], sizes[1], sizes[2]


class ResidualBlock(nn.Module):
    """Two 3 × 3 convolutions around a shortcut without parameters (option A of He et al.).

    >>> earlystop.architectures.ResidualBlock(2, 4, stride=2)(torch.ones(1, 2, 8, 8)).shape
    torch.Size([1, 4, 4, 4])
    """

    def __init__(self, channels: int, width: int, stride: int):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, width, 3, stride, 1, bias=False)
        self.norm1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(width)
        self.stride, self.missing = stride, width - channels

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c2 h2 w2"]:
        shortcut = x[:, :, :: self.stride, :: self.stride]
        half = self.missing // 2
        shortcut = F.pad(shortcut, (0, 0, 0, 0, half, self.missing - half))
        x = F.relu(self.norm1(self.conv1(x)))
        return F.relu(self.norm2(self.conv2(x)) + shortcut)


def resnet(depth: int = 20, channels: int = 3, width: int = 16, n_classes: int = 10, seed: int = 0) -> nn.Sequential:
    """The ResNet for small images of He et al., 269,722 parameters by default. `ValueError` unless depth is 6m + 2.

    >>> earlystop.architectures.count_parameters(earlystop.architectures.resnet())
    269722
    """
    counts(depth=depth)
    counts(least=1, channels=channels, width=width, n_classes=n_classes)
    blocks, rest = divmod(depth - 2, 6)
    refuse({f"depth is {depth}, should be 6m + 2, as 8, 14 or 20": rest > 0 or blocks < 1})
    with seeded(seed):
        layers = [nn.Conv2d(channels, width, 3, 1, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU()]
        layers += [ResidualBlock(width, width, 1) for _ in range(blocks)]
        for wide in (2 * width, 4 * width):
            layers += [ResidualBlock(wide // 2, wide, 2), *(ResidualBlock(wide, wide, 1) for _ in range(blocks - 1))]
        model = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4 * width, n_classes))
        for module in model.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
    return model


def glorot(model: nn.Module, seed: int = 0) -> nn.Module:
    """The model with uniform weights by Glorot and Bengio and zero biases, the defaults of Keras.

    >>> earlystop.architectures.glorot(torch.nn.Linear(3, 2)).bias.tolist()
    [0.0, 0.0]
    """
    kinds(nn.Module, "a network, an nn.Module", model=model)
    with seeded(seed):
        for weights in model.parameters():
            nn.init.xavier_uniform_(weights) if weights.dim() > 1 else nn.init.zeros_(weights)
    return model


INITIALIZATIONS = {"torch": lambda model, seed: model, "glorot": glorot}  # of a model as PyTorch makes it, and a seed


def count_parameters(model: nn.Module) -> int:
    """Number of trainable parameters.

    >>> earlystop.architectures.count_parameters(earlystop.architectures.conv_net())
    4795914
    """
    kinds(nn.Module, "a network, an nn.Module", model=model)
    return sum(p.numel() for p in model.parameters() if p.requires_grad)


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Draw initial weights from a seed and leave the global generators as they were.

    >>> with earlystop.architectures.seeded(3):
    ...     torch.nn.Linear(3, 2).weight.shape
    torch.Size([2, 3])
    """
    counts(seed=seed)
    with torch.random.fork_rng(devices=[]):  # the weights are drawn on the CPU
        torch.default_generator.manual_seed(seed)
        yield
