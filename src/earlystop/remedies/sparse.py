"""A sparse correction of the labels: few labels are wrong, so few may be corrected, at a price by the ℓ1 norm."""

from typing import ClassVar

from earlystop.arguments import numbers, refuse
from earlystop.remedies import Remedy, Task
from earlystop.training import least_squares


class Sparse(Remedy):
    """½‖f(x) + e - y‖² + `price` · ‖e‖₁ for outputs and corrections e: the penalization that the introduction names.

    For given outputs the best correction is known, the residual y - f(x) shrunk by the price, so no step is needed for
    it. What is left is Huber's loss: no output of a sample pulls at the weights with more than the price.

    >>> task = earlystop.remedies.Task(torch.eye(4), [0, 1, 0, 1], lambda seed: torch.nn.Linear(4, 2), epochs=2)
    >>> list(earlystop.remedies.train(earlystop.remedies.remedy("sparse", task, price=0.2)))
    [0, 1, 2]
    """

    grid: ClassVar = {"price": (0.05, 0.1, 0.2, 0.4)}

    def __init__(self, task: Task, price: float = 0.1):
        super().__init__(task)
        numbers(price=price)
        refuse({f"price is {price}, should be more than 0": not 0 < price < float("inf")})
        self.price = price

    def corrections(self, outputs, rows):
        """The best correction of each output: its residual, nearer to 0 by the price, and 0 within it."""
        residual = -outputs.detach()
        residual[range(len(rows)), self.task.labels[rows]] += 1
        return residual.sign() * (residual.abs() - self.price).clamp(min=0)

    def losses(self, outputs, rows):
        """The loss of each sample with its best correction."""
        best = self.corrections(outputs, rows)
        return least_squares(outputs + best, self.task.labels[rows]) + self.price * best.abs().sum(dim=1)
