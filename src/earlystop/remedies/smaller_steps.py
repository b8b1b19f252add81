"""Smaller steps: nothing but cross-entropy, moved more slowly, as the measure of what a remedy is worth."""

from typing import ClassVar

from earlystop.arguments import numbers, refuse
from earlystop.remedies import Remedy
from earlystop.training import cross_entropy


class SmallerSteps(Remedy):
    """Cross-entropy with the task's step size times a `factor` above 0: an epoch is then a finer unit to stop at.

    >>> task = earlystop.remedies.Task(torch.eye(4), [0, 1, 0, 1], lambda seed: torch.nn.Linear(4, 2), epochs=1)
    >>> earlystop.remedies.remedy("smaller_steps", task, factor=0.5).optimizer.param_groups[0]["lr"]
    0.05
    """

    grid: ClassVar = {"factor": (0.5, 0.2, 0.1, 0.05)}

    def __init__(self, task, factor: float = 0.1):
        super().__init__(task)
        numbers(factor=factor)
        refuse({f"factor is {factor}, should be more than 0": not 0 < factor < float("inf")})
        for group in self.optimizer.param_groups:
            group["lr"] *= factor

    def losses(self, outputs, rows):
        """Cross-entropy on the labels as given."""
        return cross_entropy(outputs, self.task.labels[rows])
