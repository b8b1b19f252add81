"""Random crops and mirror images, the usual augmentation of small photographs."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F

from earlystop.arguments import kinds
from earlystop.streams import random_stream
from earlystop.training import ImageStack

EDGE = 4  # pixels by which an image is moved at most, as by He et al.


@dataclass(frozen=True)
class CropAndFlip(ImageStack):
    """Images that are moved, and half of them mirrored, anew in every epoch; what is missing is the mean color.

    >>> digits = earlystop.images.load_images("digits").subset(slice(64))
    >>> moved = earlystop.augment.crop_and_flip(earlystop.training.ImageStack.of([digits], [digits]))
    >>> moved.redraw(epoch=1, seeds=[0])
    >>> moved.inputs(slice(5)).shape
    torch.Size([1, 5, 1, 8, 8])
    """

    moves: Int[Tensor, "M n 3"]  # rows and columns from 0 to twice EDGE, and whether to mirror

    def redraw(self, epoch: int, seeds: Sequence[int]) -> None:
        """Draw the moves of an epoch, which depend on seed and epoch alone, in place: a GPU may have recorded it."""
        for moves, seed in zip(self.moves, seeds):
            generator = random_stream(seed, f"augmentation of epoch {epoch}")
            shifts = torch.randint(2 * EDGE + 1, (len(moves), 2), generator=generator)
            mirror = torch.randint(2, (len(moves), 1), generator=generator)
            moves.copy_(torch.cat([shifts, mirror], dim=1))

    def inputs(self, columns: Int[Tensor, "M b"] | slice) -> Float[Tensor, "M b c h w"]:
        """Normalized inputs at `columns`, moved and mirrored."""
        images = super().inputs(columns)
        runs = torch.arange(len(images), device=images.device)
        moves = self.moves[:, columns] if isinstance(columns, slice) else self.moves[runs[:, None], columns]
        down, right, mirror = (moves[..., i, None] for i in range(3))
        height, width = (torch.arange(size, device=images.device) for size in images.shape[-2:])
        across = torch.where(mirror > 0, width.flip(0), width) + right  # M b w
        runs, samples = runs[:, None, None, None], torch.arange(images.shape[1], device=images.device)[:, None, None]
        moved = F.pad(images, [EDGE] * 4)[runs, samples, :, (height + down)[..., None], across[..., None, :]]
        return moved.movedim(-1, 2).contiguous()


def crop_and_flip(images: ImageStack) -> CropAndFlip:
    """The same images, to be moved and mirrored.

    >>> digits = earlystop.images.load_images("digits").subset(slice(64))
    >>> moved = earlystop.augment.crop_and_flip(earlystop.training.ImageStack.of([digits], [digits]))
    >>> moved.moves.shape
    torch.Size([1, 64, 3])
    """
    kinds(ImageStack, "an ImageStack, as ImageStack.of makes", images=images)
    moves = torch.tensor([EDGE, EDGE, 0], device=images.pixels.device).repeat(*images.pixels.shape[:2], 1)
    return CropAndFlip(images.pixels, images.mean, images.std, moves)


AUGMENTATIONS = {"none": lambda images: images, "crop_flip": crop_and_flip}
