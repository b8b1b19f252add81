"""Facility location: a few points near which all others are."""

import heapq

import torch

from earlystop.arguments import counts, refuse, tensors


def facility_location(points, count: int):
    """Indices of `count` medoids by the greedy algorithm, for points of shape (n, d), and how many points each serves.

    Greedy: the next medoid is the point that lowers the sum of all distances to the nearest medoid most. Source:
    Mirzasoleiman, Cao and Leskovec (2020), Eq. 12. Raises `ValueError` if `count` is not from 1 to n.

    >>> chosen, served = earlystop.remedies.facility.facility_location([[0.0], [0.1], [5.0]], 2)
    >>> sorted(chosen.tolist()), served.sum().item()
    ([0, 2], 3)
    """
    (points,) = tensors(points=(points, "n d"))
    counts(least=1, count=count)
    refuse({f"count is {count}, but there are {len(points)} points": count > len(points)})
    apart = torch.cdist(points.detach(), points.detach()).cpu()
    nearest, chosen = apart.max().expand(len(points)).clone(), []
    queue = [(-gain, i) for i, gain in enumerate((nearest - apart).sum(dim=1).tolist())]
    heapq.heapify(queue)
    while len(chosen) < count:  # gains only shrink, so an old one that is still the largest need not be compared
        _, i = heapq.heappop(queue)
        gain = (nearest - apart[i]).clamp(min=0).sum().item()
        if not queue or gain >= -queue[0][0]:
            nearest = torch.minimum(nearest, apart[i])
            chosen.append(i)
        else:
            heapq.heappush(queue, (-gain, i))
    served = torch.bincount(apart[chosen].argmin(dim=0), minlength=count)
    return torch.tensor(chosen, device=points.device), served.to(points.device)
