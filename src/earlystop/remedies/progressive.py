"""Progressive early stopping: later layers take up noise first, so they are begun anew and stopped sooner."""

from typing import ClassVar

import torch
from torch import nn
from torch.nn import functional as F

from earlystop.arguments import counts, kinds
from earlystop.remedies import Remedy


class Progressive(Remedy):
    """The whole network for `first` epochs, then its last parts, one after the other, from anew, for `later` epochs.

    A network is an nn.Sequential; its parts are the children that have weights. The last `parts` of them (never the
    first child) are begun anew in turn: that part and all after it get new weights, what is before it rests. After
    that all of it learns the samples whose given label it answers itself. Source: Bai et al. (2021), Algorithm 1;
    one view of each sample instead of two, one `later` for all parts, classes not weighted, no other optimizer.
    """

    grid: ClassVar = {"first": (2, 5, 10, 20)}

    def __init__(self, task, first: int = 5, later: int = 3, parts: int = 2):
        super().__init__(task)
        counts(least=1, first=first, later=later, parts=parts)
        kinds(nn.Sequential, "what makes an nn.Sequential", network=self.model)
        begun = [i for i, child in enumerate(self.children()) if [*child.parameters()]][1:][-parts:]
        self.anew = {first + 1 + turn * later: start for turn, start in enumerate(begun)}  # first child, by epoch
        self.open, self.resting = first + 1 + len(begun) * later, 0  # the epoch that trains all again; how many rest
        self.confident = torch.ones_like(task.labels, dtype=torch.bool)

    def children(self):
        """The network's parts, those without weights included."""
        return [*self.model.children()]

    def begin(self, epoch):
        """Begin a part anew, or choose the samples that are trusted."""
        if epoch in self.anew:
            start = self.resting = self.anew[epoch]
            nn.Sequential(*self.children()[:start]).requires_grad_(False)
            self.optimizer.state.clear()
            anew = [*self.network(self.task.seed + epoch).children()]
            for child, other in zip(self.children()[start:], anew[start:]):
                child.load_state_dict(other.state_dict())
        if epoch == self.open:
            self.model.requires_grad_(True)
            self.optimizer.state.clear()
            self.resting, self.confident = 0, self.outputs(self.task.inputs).argmax(dim=1) == self.task.labels

    def step(self, rows):
        """A step on the samples of a batch that are trusted, at first all."""
        rows = rows[self.confident[rows]]
        nn.Sequential(*self.children()[: self.resting]).eval()  # so that running means rest, too
        if len(rows) > 1:  # batch normalization needs two
            super().step(rows)

    def losses(self, outputs, rows):
        """Cross-entropy on the labels as given."""
        return F.cross_entropy(outputs, self.task.labels[rows], reduction="none")
