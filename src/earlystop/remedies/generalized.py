"""Generalized cross-entropy: between cross-entropy, which learns fast, and the mean absolute error, which resists."""

from typing import ClassVar

from earlystop.arguments import numbers, refuse
from earlystop.remedies import Remedy


class Generalized(Remedy):
    """The loss (1 - p_y^q)/q of the probability p_y of the given class, for 0 < q ≤ 1 (`power`).

    Towards q = 0 it is cross-entropy; at q = 1 it is 1 - p_y, half of the absolute error. A sample's gradient is
    that of cross-entropy times p_y^q, so labels that the network does not believe count little.
    Source: Zhang and Sabuncu (2018), Eq. 6, not truncated.

    >>> task = earlystop.remedies.Task(torch.eye(4), [0, 1, 0, 1], lambda seed: torch.nn.Linear(4, 2), epochs=1)
    >>> earlystop.remedies.remedy("generalized", task, power=1.0).losses(torch.zeros(1, 2), torch.tensor([0]))
    tensor([0.5000])
    """

    grid: ClassVar = {"power": (0.3, 0.5, 0.7, 0.9)}

    def __init__(self, task, power: float = 0.7):
        super().__init__(task)
        numbers(power=power)
        refuse({f"power is {power}, should be above 0 and at most 1": not 0 < power <= 1})
        self.power = power

    def losses(self, outputs, rows):
        """(1 - p_y^q)/q of each sample."""
        logs = outputs.log_softmax(dim=1).gather(1, self.task.labels[rows, None])[:, 0]
        return -(self.power * logs).expm1() / self.power
