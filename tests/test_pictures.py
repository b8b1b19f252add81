"""The pictures that open the book, against loops and sums by hand."""

import math
from dataclasses import replace

import matplotlib.pyplot as plt
import numpy as np
import torch

from earlystop import plots
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


def test_wrong_labels_have_their_color_and_given_labels_their_marker():
    _, ax = plt.subplots()
    given, truth, place = (torch.tensor(row) for row in ([0, 1, 1, 0], [0, 1, 0, 1], [1.0, 2.0, 3.0, 4.0]))
    pictures.labeled_points(ax, place, 10 * place, given, truth, torch.tensor([0, 1]))
    found = {tuple(line.get_xdata()): (line.get_marker(), line.get_color()) for line in ax.lines}
    right, wrong = plots.RIGHT_COLOR, plots.WRONG_COLOR
    assert found == {(1,): ("o", right), (2,): ("s", right), (4,): ("o", wrong), (3,): ("s", wrong)}
    assert all((line.get_ydata() == 10 * line.get_xdata()).all() for line in ax.lines)


def test_a_map_has_longitude_across_and_latitude_up():
    dataset = replace(
        pictures.voters()[0],
        inputs=torch.tensor([[1.0, 0, 0], [0, 1, 0], [0, 0, 1]]),
        labels=torch.tensor([-1.0, -1, -1]), clean_labels=torch.tensor([-1.0, -1, -1]),
    )  # fmt: skip
    _, ax = plt.subplots(subplot_kw={"projection": "mollweide"})
    pictures.sphere_map(ax, dataset)
    (points,) = [line for line in ax.lines if len(line.get_xdata())]
    assert np.allclose(points.get_xydata(), [[0, 0], [np.pi / 2, 0], [0, np.pi / 2]])
    plt.close("all")


def test_a_logarithmic_axis_has_plain_numbers_at_powers_of_ten_or_where_it_is_told():
    _, axes = plt.subplots(1, 2)
    for ax, ticks in zip(axes, (None, (0.0003, 2, 5000))):
        ax.loglog([1e-4, 1e4], [1e-4, 1e4])
        plots.log_ticks(ax.yaxis, ticks)
    seen = [[label.get_text() for label in ax.get_yticklabels()] for ax in axes]
    assert {"0.0001", "0.01", "1", "100", "10,000"} <= set(seen[0]) and seen[1] == ["0.0003", "2", "5,000"]
    assert not any(len(ax.get_yticks(minor=True)) for ax in axes)
    plt.close()
