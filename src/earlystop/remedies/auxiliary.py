"""Auxiliary variables: one more trainable number for each sample and class, dropped at test time."""

from typing import ClassVar

import torch
from torch import nn

from earlystop.arguments import numbers, refuse
from earlystop.remedies import Remedy, Task
from earlystop.training import least_squares


class Auxiliary(Remedy):
    """Least squares on f(x_i) + `strength` · b_i, where b_i starts at 0 (AUX of Hu, Li and Yu, 2020).

    What one label asks for and no other, b_i learns first, and the network need not. A batch pulls at its own b_i
    alone, by the mean loss that moves the weights, and momentum goes on in between; so the strength is the λ of
    `Ridge`. Who steps b_i by the loss of its own sample, not divided by the batch size B, has a strength that is √B
    times as large.

    >>> task = earlystop.remedies.Task(torch.eye(4), [0, 1, 0, 1], lambda seed: torch.nn.Linear(4, 2), epochs=2)
    >>> list(earlystop.remedies.train(earlystop.remedies.remedy("auxiliary", task, strength=1.0)))
    [0, 1, 2]
    """

    grid: ClassVar = {"strength": (1.0, 2.0, 4.0, 8.0)}

    def __init__(self, task: Task, strength: float = 4.0):
        super().__init__(task)
        numbers(strength=strength)
        refuse({f"strength is {strength}, should be 0 or more": not 0 <= strength < float("inf")})
        self.strength = strength
        like = next(self.model.parameters())
        offsets = torch.zeros(len(task.labels), task.classes, dtype=like.dtype, device=like.device)
        self.offsets = nn.Parameter(offsets)
        self.offset_optimizer = self.moved([self.offsets])

    def losses(self, outputs, rows):
        """½‖f(x) + λ b - y‖² of each sample."""
        return least_squares(outputs + self.strength * self.offsets[rows], self.task.labels[rows])

    def step(self, rows):
        """One step of the weights and of the offsets of the batch."""
        self.offset_optimizer.zero_grad()
        super().step(rows)
        self.offset_optimizer.step()
