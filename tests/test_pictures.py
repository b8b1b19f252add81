"""The pictures that open the book, against loops and sums by hand."""

import math

import matplotlib.pyplot as plt
import numpy as np
import torch

from earlystop.figures import pictures
from earlystop.network import initial_weights


def test_vote_descends_as_a_loop_does_and_marks_the_mean_given_label_of_each_cluster():
    dataset, outputs = pictures.voters(seed=1)
    X, y, W = dataset.inputs.double(), dataset.labels.double(), initial_weights(500, 100, seed=1).double()
    v = torch.where(torch.arange(500) < 250, 1.0, -1.0).double() / 500**0.5
    slopes = (2 / math.pi**0.5 * torch.exp(-((X @ W.T) ** 2)) * v)[:, :, None] * X[:, None, :]
    step = 1 / torch.linalg.matrix_norm(slopes.flatten(1), 2) ** 2
    for _ in range(pictures.VOTES[0]):
        hidden = X @ W.T
        W -= step * ((torch.erf(hidden) @ v - y)[:, None] * (2 / math.pi**0.5 * torch.exp(-(hidden**2)) * v)).T @ X
    assert (outputs[0] - torch.erf(X @ W.T) @ v).abs().max() < 1e-4
    _, axes = plt.subplots(1, 3)
    pictures.vote(axes, dataset, outputs)
    means = [sum(y[i : i + 16].tolist()) / 16 for i in range(0, 64, 16)]
    for ax, values in zip(axes, (dataset.labels, *outputs)):
        right, wrong = (points.get_offsets()[:, 1] for points in ax.collections)
        assert np.allclose(right, values[~dataset.flipped]) and np.allclose(wrong, values[dataset.flipped])
        bars = [line.get_ydata() for line in ax.lines[:4]]
        assert np.allclose(bars, [[mean, mean] for mean in means])
        assert ax.lines[4].get_ydata()[0] == 0  # the border between the labels -1 and 1
    plt.close("all")
