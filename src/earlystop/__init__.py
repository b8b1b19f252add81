"""Stopping Early: gradient descent with early stopping is robust to label noise.

The module behind the book. One file an idea of the paper, lowest floor first:

- `scale`: how large an experiment is (quick, colab, paper) and where it runs.
- `data`: the dataset model, Definitions 1.1 to 1.3, and the corruption of labels.
- `network`: the one-hidden-layer network, Eq. 2.
- `theory`: the covariance of the cluster centers and what the theorems promise.
- `jacobian`: the Jacobian, its spectrum, information and nuisance space, section 4.
- `descent`: the loss and gradient descent, Eqs. 3 and 4.
- `metrics`: errors, and how far two loss distributions are apart.
- `images`: handwritten digits, MNIST and CIFAR-10 as one tensor each.
- `architectures`: the convolutional network of Figure 1, the ResNet of Figure 4.
- `training`: minibatch training of those networks, many at once.
- `figure1` (and 3), `figure4ab`, `figure4c`, `figure5`: the sizes of the paper's figures, and their runs.
- `experiments`: all of them by name.
- `store`, `sweep`: files that survive anything; sweeps that go on where they were.
- `figures`: the stored results and their pictures. `python -m earlystop` is the command line.
- `start`: what the first cell of a notebook prints.
- `plots`, `page`, `provenance`: how the book draws, speaks, and says where a result comes from.
"""

import os

__version__ = "0.2.0+hb8249893"

# Torch on Linux asks for memory in pages of 2 MB instead of 4 kB: training on a CPU else spends
# a good part of its time on new pages. Torch looks at this once, at its first array.
os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")
