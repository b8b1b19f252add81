"""A classifier in the convention of scikit-learn that stops early, and says which of its labels it suspects."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import check_random_state
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data
from torch import Tensor, nn

from earlystop.architectures import seeded
from earlystop.arguments import counts, numbers, refuse, short
from earlystop.remedies import Task
from earlystop.suspects import AT_ONCE, CrossFit, cross_fit

Network = Callable[[tuple[int, ...], int], nn.Module]  # of a sample's shape, and how many classes there are


class EarlyStoppingClassifier(ClassifierMixin, BaseEstimator):
    """A neural network for labels of which some are wrong, stopped by labels that it has not seen.

    Each label is judged by one of `folds` networks, which has trained on the other folds. All stop at the epoch at
    which they agree with most of the labels they have not seen; so does one more network, trained on all samples,
    which predicts.

    Features (n, d) or images (n, channels, height, width) are scaled to mean 0 and deviation 1, features one by one,
    images channel by channel. `network(shape, classes)` makes an `nn.Module` with an output for each class; by default
    it is one hidden layer of `hidden_units` ReLU units, of all numbers of a sample in a row. Adam moves it, for at
    most `epochs` epochs. `remedy` is a name of `earlystop.remedies.REMEDIES`.

    A fitted one has `classes_`; `suspicion_`, a number from 0 to 1 for each training sample, in their order;
    `share_wrong_` and `share_wrong_interval_`, which rest on what `earlystop.suspects.share_wrong` says;
    `best_epoch_`; and `cross_fit_`, all that the networks said. Raises `ValueError` for what cannot be learned from.

    >>> X = torch.eye(2).repeat(20, 1)
    >>> model = earlystop.estimator.EarlyStoppingClassifier(random_state=0).fit(X, ["cat", "dog"] * 19 + ["cat"] * 2)
    >>> model.predict(X[-2:]).tolist(), int(model.suspicion_.argmax())
    (['cat', 'dog'], 39)
    """

    cross_fit_: CrossFit
    classes_: np.ndarray

    def __init__(
        self, network: Network | None = None, *, hidden_units: int = 128, folds: int = 5, epochs: int = 40,
        batch_size: int = 64, step_size: float = 0.003, remedy: str = "cross_entropy", random_state: Any = None,
    ):  # fmt: skip
        self.network = network
        self.hidden_units = hidden_units
        self.folds = folds
        self.epochs = epochs
        self.batch_size = batch_size
        self.step_size = step_size
        self.remedy = remedy
        self.random_state = random_state

    def fit(self, X: Any, y: Any) -> "EarlyStoppingClassifier":
        """Learn from inputs and their labels as given, of any kind that can be sorted."""
        self._check()
        X, y = _plain(X), _plain(y)
        X, y = validate_data(self, X, y, ensure_2d=np.asarray(X).ndim < 3, allow_nd=True, ensure_min_samples=2)
        _check_shape(X)
        check_classification_targets(y)
        self.classes_, given = np.unique(y, return_inverse=True)
        refuse({f"y has the one class {self.classes_[0]!r} only, at least two are needed": len(self.classes_) < 2})
        inputs = torch.tensor(X, dtype=torch.float64)
        axes = (0,) if inputs.ndim == 2 else (0, 2, 3)
        self._mean, scale = inputs.mean(dim=axes, keepdim=True), inputs.std(dim=axes, keepdim=True)
        self._scale = torch.where(scale > 0, scale, 1.0)
        self.input_shape_ = tuple(inputs.shape[1:])
        seed = int(check_random_state(self.random_state).randint(2**31 - 1))
        task = Task(
            self._scaled(inputs).float(), torch.as_tensor(given), self._make, len(self.classes_),
            lambda weights: torch.optim.Adam(weights, lr=self.step_size), self.epochs, self.batch_size, seed,
        )  # fmt: skip
        with seeded(seed):  # also for what a network draws itself, as dropout does
            self.cross_fit_ = cross_fit(task, min(self.folds, len(given)), self.remedy)
        self._model = self.cross_fit_.model.double()
        self.suspicion_ = self.cross_fit_.suspicion.double().numpy()
        share = self.cross_fit_.share_wrong
        self.share_wrong_, self.share_wrong_interval_ = share.estimate, (share.low, share.high)
        self.best_epoch_ = self.cross_fit_.epoch
        return self

    def predict_proba(self, X: Any) -> np.ndarray:
        """The probability of each class of `classes_`, a row for each sample."""
        check_is_fitted(self)
        X = _plain(X)
        X = validate_data(self, X, ensure_2d=np.asarray(X).ndim < 3, allow_nd=True, reset=False)
        shape, asked = X.shape[1:], self.input_shape_
        refuse({f"X has samples of shape {shape}, but those of fit had {asked}": shape != asked})
        inputs = self._scaled(torch.tensor(X, dtype=torch.float64))
        with torch.no_grad():
            return torch.cat([self._model(few) for few in inputs.split(AT_ONCE)]).softmax(dim=1).numpy()

    def predict(self, X: Any) -> np.ndarray:
        """The most probable class of each sample."""
        found = self.predict_proba(X).argmax(axis=1)
        return self.classes_[found]

    def _check(self) -> None:
        """Raise `ValueError` naming the setting that cannot be."""
        counts(least=1, hidden_units=self.hidden_units, epochs=self.epochs, batch_size=self.batch_size)
        counts(least=2, folds=self.folds)
        numbers(step_size=self.step_size)
        told = f"network is {short(self.network)}, should be a function of a sample's shape and the number of classes"
        refuse({
            f"step_size is {self.step_size}, should be above 0": not 0 < self.step_size < float("inf"),
            told: self.network is not None and (isinstance(self.network, nn.Module) or not callable(self.network)),
        })  # fmt: skip

    def _scaled(self, inputs: Tensor) -> Tensor:
        return (inputs - self._mean) / self._scale

    def _make(self, seed: int) -> nn.Module:
        """A network with weights of a seed. `ValueError` if it has not an output for each class."""
        shape, classes = self.input_shape_, len(self.classes_)
        with seeded(seed):
            if self.network is not None:
                model = self.network(shape, classes)
            else:
                first, second = nn.Linear(math.prod(shape), self.hidden_units), nn.Linear(self.hidden_units, classes)
                model = nn.Sequential(nn.Flatten(), first, nn.ReLU(), second)
            refuse({f"network gives {short(model)}, should give an nn.Module": not isinstance(model, nn.Module)})
            with torch.no_grad():
                found = tuple(model.eval()(torch.zeros(2, *shape)).shape)
        refuse({f"network gives outputs of shape {found} for 2 samples, should give (2, {classes})":
                found != (2, classes)})  # fmt: skip
        return model.train()


def _plain(one: Any) -> Any:
    """A tensor as an array, and anything else as it is."""
    return one.detach().cpu().numpy() if isinstance(one, Tensor) else one


def _check_shape(X: np.ndarray) -> None:
    told = (
        f"X has shape {X.shape}, should be features (n, d) or images (n, channels, height, width): gray images of "
        "shape (n, h, w) become X[:, None], and anything else X.reshape(len(X), -1)"
    )
    refuse({told: X.ndim not in (2, 4)})
