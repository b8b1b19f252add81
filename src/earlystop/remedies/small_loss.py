"""Small losses are trusted: of each batch, the samples with the largest losses are left out."""

from typing import ClassVar

from earlystop.arguments import counts, numbers, refuse
from earlystop.remedies import Remedy, Task
from earlystop.training import cross_entropy


class SmallLoss(Remedy):
    """Cross-entropy on the share of each batch that has the smallest losses: one network's sample reweighting.

    `dropped_share` is left out in the end, as many as are thought to be wrong; from the first epoch to the
    one numbered `ramp` the share grows by equal steps, as in Co-teaching (Han et al., 2018), which has two networks.

    >>> task = earlystop.remedies.Task(torch.eye(4), [0, 1, 0, 1], lambda seed: torch.nn.Linear(4, 2), epochs=2)
    >>> list(earlystop.remedies.train(earlystop.remedies.remedy("small_loss", task, dropped_share=0.25)))
    [0, 1, 2]
    """

    grid: ClassVar = {"dropped_share": (0.1, 0.2, 0.3, 0.4)}

    def __init__(self, task: Task, dropped_share: float = 0.3, ramp: int = 10):
        super().__init__(task)
        numbers(dropped_share=dropped_share)
        counts(least=1, ramp=ramp)
        refuse({f"dropped_share is {dropped_share}, should be from 0 to below 1": not 0 <= dropped_share < 1})
        self.dropped_share, self.ramp, self.now = dropped_share, ramp, 0.0

    def begin(self, epoch):
        """How many are left out in this epoch."""
        self.now = self.dropped_share * min(1, epoch / self.ramp)

    def losses(self, outputs, rows):
        """The losses of those that are kept, scaled so that their mean is that of the batch; 0 of the others."""
        found = cross_entropy(outputs, self.task.labels[rows])
        count = max(1, round((1 - self.now) * len(rows)))
        kept = found.detach().argsort().argsort() < count
        return found * kept * len(rows) / count
