"""The laboratory: living figures whose numbers are those of the book's own functions."""

from earlystop.lab.model import dataset, run
from earlystop.lab.show import show, widget
from earlystop.lab.state import address, read, state

__all__ = ["address", "dataset", "read", "run", "show", "state", "widget"]
