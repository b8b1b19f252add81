"""Early-learning regularization: the network is held to what it said of each sample before."""

from typing import ClassVar

from torch.nn import functional as F

from earlystop.arguments import numbers, refuse
from earlystop.remedies import Remedy

LEAST = 1e-4  # probabilities are kept this far from 0 and 1, as in the authors' code


class EarlyLearning(Remedy):
    """Cross-entropy + λ log(1 - ⟨p, t⟩), where the target t is a moving average of the sample's probabilities p.

    At each visit t becomes βt + (1 - β)p, with β = `momentum`, before the loss is taken and without a gradient; at
    first it is 0. λ = `weight`. Where t is sure of a class, the new term pulls p there, whatever the label says.
    Source: Liu et al. (2020), Eqs. 7 and 9; p is clamped, and normalized again for t, as in their code.

    >>> task = earlystop.remedies.Task(torch.eye(4), [0, 1, 0, 1], lambda seed: torch.nn.Linear(4, 2), epochs=1)
    >>> one = earlystop.remedies.remedy("early_learning", task, momentum=0.5, weight=1.0)
    >>> one.losses(torch.zeros(1, 2), torch.tensor([0])), one.targets[0]
    (tensor([0.4055]), tensor([0.2500, 0.2500]))
    """

    grid: ClassVar = {"momentum": (0.7, 0.9), "weight": (1.0, 3.0)}

    def __init__(self, task, momentum: float = 0.7, weight: float = 3.0):
        super().__init__(task)
        numbers(momentum=momentum, weight=weight)
        refuse({
            f"momentum is {momentum}, should be from 0 and below 1": not 0 <= momentum < 1,
            f"weight is {weight}, should be 0 or more": not 0 <= weight < float("inf"),
        })  # fmt: skip
        self.momentum, self.weight = momentum, weight
        like = next(self.model.parameters())
        self.targets = like.new_zeros(len(task.labels), task.classes)

    def losses(self, outputs, rows):
        """The loss of each sample, by its target of now."""
        p = outputs.softmax(dim=1).clamp(LEAST, 1 - LEAST)
        now = p.detach() / p.detach().sum(dim=1, keepdim=True)
        self.targets[rows] = self.momentum * self.targets[rows] + (1 - self.momentum) * now
        kept = (1 - (p * self.targets[rows]).sum(dim=1)).log()
        return F.cross_entropy(outputs, self.task.labels[rows], reduction="none") + self.weight * kept
