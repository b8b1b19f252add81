"""Every test runs small, silent and offline."""

import functools
import os
from importlib import import_module
from pathlib import Path
from unittest.mock import patch

os.environ["TQDM_DISABLE"] = "1"
os.environ["HF_HUB_OFFLINE"] = "1"  # read when huggingface_hub is imported
for name in ("EARLYSTOP_SCALE", "EARLYSTOP_DEVICE", "EARLYSTOP_PRECISION", "EARLYSTOP_RESULTS"):
    os.environ.pop(name, None)

import pytest  # noqa: E402
import torch  # noqa: E402

MAKERS = (  # of networks and weights; each is changed before a later one imports it
    ("architectures", "conv_net"),
    ("architectures", "resnet"),
    ("network", "initial_weights"),
    ("lab.model", "initial_weights"),
)

torch.set_num_threads(1)  # the tensors are small: more threads only wait for each other


def pytest_addoption(parser):
    parser.addoption(
        "--perturb", type=int, metavar="SEED",
        help="change all initial weights by one unit in the last place, as another processor might",
    )  # fmt: skip


def pytest_configure(config):
    """Perturb networks before the tests import what makes them."""
    seed = config.getoption("--perturb")
    if seed is not None:
        for place, name in MAKERS:
            module = import_module(f"earlystop.{place}")
            setattr(module, name, perturbed(getattr(module, name), seed))


def perturbed(make, seed):
    """A function whose network, or tensor of weights, is `make`'s times 1 + ε · normal."""

    @functools.wraps(make)
    def rounded(*arguments, **options):
        made = make(*arguments, **options)
        for weights in made.parameters() if isinstance(made, torch.nn.Module) else [made]:
            generator, eps = torch.Generator().manual_seed(seed), torch.finfo(weights.dtype).eps
            noise = torch.randn(weights.shape, generator=generator, dtype=torch.float64)
            if options.get("paired"):  # equal pairs stay equal
                noise = noise[: len(noise) // 2].repeat(2, 1)
            weights.data.copy_(weights.data.double() * (1 + eps * noise))
        return made

    return rounded


@pytest.fixture
def double(monkeypatch):
    """Everything in double precision: two trainings of one kind stay together for longer."""
    monkeypatch.setattr(torch.Tensor, "float", torch.Tensor.double)
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


@pytest.fixture
def tf32():
    """TF32 is allowed, as a user may have set it; `monkeypatch` cannot put this attribute back."""
    before = torch.backends.cuda.matmul.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = True
    yield
    torch.backends.cuda.matmul.allow_tf32 = before


@pytest.fixture
def toy():
    """The experiment of `toy.py`, outside the package; what it makes known is forgotten again."""
    from earlystop.runs import experiment
    from earlystop.training import LOSSES

    with patch.dict(experiment.EXPERIMENTS), patch.dict(experiment.FILES), patch.dict(LOSSES):
        yield experiment.find(str(Path(__file__).with_name("toy.py")))


@pytest.fixture(scope="session")
def kit(tmp_path_factory):
    """A folder with the kit of a small course; nothing in it is changed."""
    import smallcourse

    folder = tmp_path_factory.mktemp("course")
    smallcourse.write(folder)
    return folder
