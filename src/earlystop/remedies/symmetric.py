"""Symmetric cross-entropy: also that of the label under the network, where log 0 is a number to be chosen."""

import math
from typing import ClassVar

from torch.nn import functional as F

from earlystop.arguments import numbers, refuse
from earlystop.remedies import Remedy

AS_NAMED, IN_CODE = -4.0, math.log(1e-4)  # log 0 as the authors name it, and where their code clamps labels at 1e-4


class Symmetric(Remedy):
    """a · cross-entropy + b · reverse cross-entropy -Σ p_k log y_k, where log 0 := A < 0 (`log_of_zero`).

    Since log 1 = 0 the reverse part is -A (1 - p_y), a multiple of the mean absolute error; A only scales it.
    The authors name A = -4 (issue 5 of their code's page), and their code clamps one-hot labels at 1e-4, which is
    A = -9.2: a factor of 2.3, so both are in the grid. Source: Wang et al. (2019).

    >>> task = earlystop.remedies.Task(torch.eye(4), [0, 1, 0, 1], lambda seed: torch.nn.Linear(4, 2), epochs=1)
    >>> one = earlystop.remedies.remedy("symmetric", task, forward=0.0, log_of_zero=-4.0)
    >>> one.losses(torch.zeros(1, 2), torch.tensor([0]))
    tensor([2.])
    """

    grid: ClassVar = {"forward": (0.1, 1.0), "log_of_zero": (AS_NAMED, IN_CODE)}

    def __init__(self, task, forward: float = 0.1, reverse: float = 1.0, log_of_zero: float = AS_NAMED):
        super().__init__(task)
        numbers(forward=forward, reverse=reverse, log_of_zero=log_of_zero)
        refuse({
            f"forward is {forward}, should be 0 or more": not 0 <= forward < float("inf"),
            f"reverse is {reverse}, should be 0 or more": not 0 <= reverse < float("inf"),
            f"log_of_zero is {log_of_zero}, should be below 0": not float("-inf") < log_of_zero < 0,
        })  # fmt: skip
        self.forward, self.reverse, self.log_of_zero = forward, reverse, log_of_zero

    def losses(self, outputs, rows):
        """Both cross-entropies of each sample, weighted."""
        labels = self.task.labels[rows]
        given = outputs.softmax(dim=1).gather(1, labels[:, None])[:, 0]
        forward = F.cross_entropy(outputs, labels, reduction="none")
        return self.forward * forward - self.reverse * self.log_of_zero * (1 - given)
