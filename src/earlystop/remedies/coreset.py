"""CRUST: a part of each class whose gradients stand for those of the whole class."""

from typing import ClassVar

import torch
from torch.nn import functional as F

from earlystop.arguments import counts, numbers, refuse
from earlystop.remedies import Remedy
from earlystop.remedies.facility import facility_location


class Coreset(Remedy):
    """From epoch `first` on only medoids are trained on, a share `kept` of each given class, chosen anew each epoch.

    A sample's place is its gradient in the outputs, p - e_y. Each medoid counts as often as it serves samples.
    Source: Mirzasoleiman, Cao and Leskovec (2020), Algorithm 1, without mixup; classes as given, as in their code.
    """

    grid: ClassVar = {"kept": (0.3, 0.5, 0.7, 0.9)}

    def __init__(self, task, kept: float = 0.5, first: int = 5):
        super().__init__(task)
        numbers(kept=kept)
        counts(least=1, first=first)
        refuse({f"kept is {kept}, should be above 0 and at most 1": not 0 < kept <= 1})
        self.kept, self.first = kept, first
        self.weights = torch.ones(len(task.labels), device=task.inputs.device)

    def begin(self, epoch):
        """Choose the medoids of each class."""
        if epoch < self.first:
            return
        labels = self.task.labels
        gradients = self.outputs(self.task.inputs).softmax(dim=1) - F.one_hot(labels, self.task.classes)
        self.weights.zero_()
        for one in labels.unique():
            rows = (labels == one).nonzero()[:, 0]
            chosen, served = facility_location(gradients[rows], max(1, round(self.kept * len(rows))))
            self.weights[rows[chosen]] = served.to(self.weights.dtype)

    def step(self, rows):
        """A step on the medoids of a batch, if there are any."""
        rows = rows[self.weights[rows] > 0]
        if len(rows):
            super().step(rows)

    def losses(self, outputs, rows):
        """Cross-entropy times how many samples a medoid serves, scaled to the mean weight 1."""
        weights = self.weights[rows] / self.weights[rows].mean()
        return weights * F.cross_entropy(outputs, self.task.labels[rows], reduction="none")
