"""Ridge to the start: least squares, and a penalty on the squared distance of the weights from where they started."""

from typing import ClassVar

import torch

from earlystop.arguments import numbers, refuse
from earlystop.remedies import Remedy, Task
from earlystop.training import least_squares


class Ridge(Remedy):
    """Least squares with `strength`²/2 · ‖θ - θ₀‖² in the sum over all samples, the paper's W_ridge.

    Losses here are means, so each sample carries 1/n of the penalty. The strength is the λ of `Auxiliary`: in a network
    that is linear in its weights both have the same outputs after every step on all samples. Hu, Li and Yu (2020)
    call it RDI.

    >>> task = earlystop.remedies.Task(torch.eye(4), [0, 1, 0, 1], lambda seed: torch.nn.Linear(4, 2), epochs=2)
    >>> list(earlystop.remedies.train(earlystop.remedies.remedy("ridge", task, strength=1.0)))
    [0, 1, 2]
    """

    grid: ClassVar = {"strength": (1.0, 2.0, 4.0, 8.0)}

    def __init__(self, task: Task, strength: float = 4.0):
        super().__init__(task)
        numbers(strength=strength)
        refuse({f"strength is {strength}, should be 0 or more": not 0 <= strength < float("inf")})
        self.strength = strength
        self.start = [one.detach().clone() for one in self.model.parameters()]

    def losses(self, outputs, rows):
        """½‖f(x) - y‖² of each sample, and its share of the penalty."""
        moved = torch.stack([(one - first).square().sum() for one, first in zip(self.model.parameters(), self.start)])
        penalty = 0.5 * self.strength**2 * moved.sum() / len(self.task.labels)
        return least_squares(outputs, self.task.labels[rows]) + penalty
