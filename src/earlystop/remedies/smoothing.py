"""Label smoothing: the network is asked for a little of every class."""

from typing import ClassVar

from earlystop.arguments import numbers, refuse
from earlystop.remedies import Remedy


class Smoothing(Remedy):
    """Cross-entropy on the target (1 - α) e_y + α/K, for a share α = `smoothing` below 1.

    α = 0 is plain cross-entropy. Wei et al. (2022) use negative α, too.
    Source: Lukasik et al. (2020), "Does label smoothing mitigate label noise?", section 2.

    >>> task = earlystop.remedies.Task(torch.eye(4), [0, 1, 0, 1], lambda seed: torch.nn.Linear(4, 2), epochs=1)
    >>> earlystop.remedies.remedy("smoothing", task, smoothing=0.5).losses(torch.zeros(1, 2), torch.tensor([0]))
    tensor([0.6931])
    """

    grid: ClassVar = {"smoothing": (0.1, 0.3, 0.5, 0.7)}

    def __init__(self, task, smoothing: float = 0.1):
        super().__init__(task)
        numbers(smoothing=smoothing)
        refuse({f"smoothing is {smoothing}, should be less than 1": not float("-inf") < smoothing < 1})
        self.smoothing = smoothing

    def losses(self, outputs, rows):
        """(1 - α) times the loss of the given class, and α times the mean loss of all classes."""
        of_classes = -outputs.log_softmax(dim=1)
        given = of_classes.gather(1, self.task.labels[rows, None])[:, 0]
        return (1 - self.smoothing) * given + self.smoothing * of_classes.mean(dim=1)
