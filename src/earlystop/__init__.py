"""Stopping Early: gradient descent with early stopping is robust to label noise.

The module behind the book. What a chapter imports and a reader opens is here, an idea of the paper a file. After
`import earlystop` all of it is there, as in `earlystop.data.class_labels(3)`; `help` shows examples, which take
`import earlystop, torch` for granted:

- `data`: the dataset model, Definitions 1.1 to 1.3, and the corruption of labels.
- `network`: the one-hidden-layer network, Eq. 2.
- `descent`: the loss and gradient descent, Eqs. 3 and 4.
- `theory`: the covariance of the cluster centers and what the theorems promise.
- `adversary`: a search for the worst input around a center, of which Theorem 2.2 speaks.
- `jacobian`: the Jacobian, its spectrum, information and nuisance space, section 4.
- `spaces`: what lies along its first directions, and how diffused they are, Theorem 4.1.
- `window`: the iterations at which a trained network is proved to make no error.
- `metrics`: errors, and how far two loss distributions are apart.
- `images`: handwritten digits, MNIST and CIFAR-10 as one tensor each.
- `architectures`: the convolutional network of Figure 1, the ResNet of Figure 4.
- `training`: minibatch training of those networks, many at once.
- `label_noise`: ways in which labels are wrong, and `cifar10n`: labels that people gave.
- `filters`: stopping, ridge to the start and auxiliary variables as filters of singular values.
- `remedies`: other ways to learn from wrong labels, one a file.
- `early_learning`: two clocks without a network, in a linear model.
- `rules`: when to stop, and what a rule loses.
- `suspects`: how suspicious each label is, and how many are wrong.
- `estimator`: all of this as a classifier in scikit-learn's convention, and `report`: what it found, for a notebook.
- `own`: the same for data and a network of your own.

`figures` has a room for each figure of the paper and for each experiment of our own. `evidence` is what is computed at
once for claims of mathematics, and `ledger` judges all claims. `runs` is
the machinery: machines, sizes, files that survive, sweeps, results, fingerprints.
`page`, `plots` and `start` are how the book speaks, draws and begins; `python -m earlystop` is the command line.
"""

import os
from importlib import import_module
from pathlib import Path
from types import ModuleType

__version__ = "0.2.0+h234a1693"

# Torch on Linux asks for memory in pages of 2 MB instead of 4 kB: training on a CPU else spends
# a good part of its time on new pages. Torch looks at this once, at its first array.
os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")


def __dir__() -> list[str]:
    """All that is here, modules included."""
    found = [
        path for path in Path(__file__).parent.iterdir() if path.suffix == ".py" or (path / "__init__.py").is_file()
    ]
    return sorted({*globals(), *(path.stem for path in found)})


def __getattr__(name: str) -> ModuleType:
    """A module of the package, imported when it is asked for: after `import earlystop`, all are there."""
    if name.startswith("__") or name not in __dir__():
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return import_module(f"{__name__}.{name}")
