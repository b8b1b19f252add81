"""The picture of the majority vote shows what its network does."""

import matplotlib.pyplot as plt
import torch

from earlystop.figures import vote
from earlystop.theory import cluster_means


def test_early_outputs_are_near_the_mean_given_labels_and_late_ones_at_the_given_labels():
    noisy, outputs = vote.descend(3000)
    means = cluster_means(noisy.labels, noisy.clusters)
    assert noisy.flipped.sum() == 12 and (means.sign() == noisy.clean_labels).all()
    assert (outputs[10].sign() == noisy.clean_labels).all()
    assert (outputs[10] - means).square().mean() < (outputs[10] - noisy.labels).square().mean() / 4
    assert (outputs[3000].sign() == noisy.labels).all()


def test_every_output_is_drawn_once_beside_the_mean_of_its_cluster():
    figure = vote.draw(early=1, late=3)
    noisy, outputs = vote.descend(3)
    for ax, at in zip(figure.axes, (1, 3)):
        right, wrong, *means = ax.lines
        shown = torch.zeros(60)
        for line in (right, wrong):
            shown[torch.tensor(line.get_xdata())] = torch.tensor(line.get_ydata())
        assert torch.equal(shown, outputs[at]) and len(wrong.get_xdata()) == 12
        expected = [noisy.labels[noisy.clusters == one].mean() for one in range(4)]
        assert [line.get_ydata()[0].item() for line in means] == [one.item() for one in expected]
    plt.close(figure)
