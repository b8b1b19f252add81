"""Co-teaching: two networks, each trained on the samples that the other finds easy."""

from typing import ClassVar

import torch
from torch.nn import functional as F

from earlystop.arguments import counts, numbers, refuse
from earlystop.remedies import Remedy


class CoTeaching(Remedy):
    """Each of two networks picks the samples of a batch with the smallest losses, and the other one learns these.

    In epoch T a share 1 - ρ min(T/`ramp`, 1) is picked. The share ρ = `corruption_rate` of wrong labels is
    *assumed to be known*; nothing here estimates it but the grid. The first network answers.
    Source: Han et al. (2018), Algorithm 1; the loss is a mean, which their code divides by the number once more.

    >>> task = earlystop.remedies.Task(torch.eye(4), [0, 1, 0, 1], lambda seed: torch.nn.Linear(4, 2), epochs=1)
    >>> one = earlystop.remedies.remedy("co_teaching", task, corruption_rate=0.5, ramp=1)
    >>> one.begin(1)
    >>> one.picked(torch.tensor([0.3, 0.1, 0.2, 0.4])).tolist()
    [1, 2]
    """

    grid: ClassVar = {"corruption_rate": (0.1, 0.2, 0.4, 0.5)}

    def __init__(self, task, corruption_rate: float = 0.4, ramp: int = 10):
        super().__init__(task)
        numbers(corruption_rate=corruption_rate)
        counts(least=1, ramp=ramp)
        refuse({f"corruption_rate is {corruption_rate}, should be from 0 and below 1": not 0 <= corruption_rate < 1})
        self.corruption_rate, self.ramp, self.share = corruption_rate, ramp, 1.0
        self.second = self.network(task.seed + 1_000_003)
        self.second_optimizer = self.moved(self.second.parameters())

    def begin(self, epoch):
        """Less is picked as the epochs go on."""
        self.share = 1 - self.corruption_rate * min(epoch / self.ramp, 1)

    def picked(self, losses):
        """The samples with the smallest losses, at least one."""
        return losses.argsort(stable=True)[: max(1, round(self.share * len(losses)))]

    def step(self, rows):
        """A step of both networks."""
        inputs, labels = self.task.inputs[rows], self.task.labels[rows]
        losses = [F.cross_entropy(one(inputs), labels, reduction="none") for one in (self.model, self.second)]
        with torch.no_grad():
            easy = [self.picked(one) for one in losses]
        for one, other, move in zip(losses, reversed(easy), (self.optimizer, self.second_optimizer)):
            move.zero_grad()
            one[other].mean().backward()
            move.step()
