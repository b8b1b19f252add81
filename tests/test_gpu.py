"""What only a GPU does: recorded, compiled and concurrent steps equal the plain ones."""

import copy
from dataclasses import replace
from importlib.util import find_spec

import pytest
import torch

from earlystop import training
from earlystop.architectures import conv_net, resnet
from earlystop.images import Images
from earlystop.jacobian import model_gram
from earlystop.runs.machine import Machine
from earlystop.training import ImageStack, Stack, evaluate_stack, train

needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
KINDS = {
    "conv net": (lambda seed: conv_net((1, 12, 12), (8, 8, 16), seed=seed), training.adadelta),
    "ResNet": (lambda seed: resnet(8, channels=1, width=8, seed=seed), lambda stack: training.momentum(stack, 0.005)),
    "ResNet with Adam": (
        lambda seed: resnet(8, channels=1, width=8, seed=seed),
        lambda stack: training.adam(stack, 0.001),
    ),
}
GPU = Machine("cuda")
ROUNDING = 1e-8  # of six steps in double precision: each multiplies it


def trained(kind: str, machine: Machine, epochs: int = 1) -> tuple[Stack, ImageStack]:
    """Three networks after some epochs of six batches, the last of them shorter."""
    (make, optimizer), where = KINDS[kind], machine.device
    draw = torch.Generator().manual_seed(3)
    pixels = torch.randint(256, (350, 1, 12, 12), generator=draw, dtype=torch.uint8)
    images = Images(pixels.to(where), torch.zeros(350, dtype=torch.long, device=where), "noise")
    labels = torch.randint(10, (3, 350), generator=draw).to(where)
    stack = Stack([make(seed).to(where) for seed in range(3)], machine)
    images = ImageStack.of([images] * 3, [images] * 3)
    run = dict(epochs=epochs, batch_size=64, seeds=[0, 1, 2])
    train(stack, images, labels, optimizer=optimizer(stack), **run)
    return stack, images


@pytest.fixture
def exact(monkeypatch):
    """Single precision throughout, no TF32, on the device of the tensors."""
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)
    monkeypatch.setattr(torch.backends.cudnn, "deterministic", True)


def difference(kind: str, one: Stack, other: Stack) -> float:
    """How far two trainings ended apart, relative to how far they went."""
    start = Stack([KINDS[kind][0](seed) for seed in range(3)])
    first, second, begin = (
        torch.cat([w.detach().cpu().flatten() for w in stack.parameters.values()]) for stack in (one, other, start)
    )
    return ((first - second).norm() / (second - begin).norm()).item()


@needs_gpu
@pytest.mark.parametrize("kind", KINDS)
def test_a_recorded_step_is_the_plain_step(kind, exact, monkeypatch):
    recorded, _ = trained(kind, GPU, epochs=2)
    monkeypatch.setattr(training, "UNRECORDED", 10**6)
    plain, _ = trained(kind, GPU, epochs=2)
    assert difference(kind, recorded, plain) == 0.0


@needs_gpu
@pytest.mark.parametrize("kind", KINDS)
def test_a_gpu_trains_as_a_cpu(kind, exact, double):
    assert difference(kind, trained(kind, GPU)[0], trained(kind, Machine())[0]) < ROUNDING


@needs_gpu
@pytest.mark.skipif(not find_spec("triton"), reason="needs a compiler for the GPU")
@pytest.mark.parametrize("kind", KINDS)
def test_compiled_networks_are_the_plain_ones(kind, exact, double, monkeypatch):
    plain, images = trained(kind, GPU)
    monkeypatch.setattr(training, "FUSED_FROM", 0)
    fused, _ = trained(kind, replace(GPU, evaluated=50))
    assert fused.fused.keys() == {64, 50}
    assert difference(kind, fused, plain) < ROUNDING
    outputs = evaluate_stack(fused, images), evaluate_stack(plain, images)
    torch.testing.assert_close(*outputs, rtol=ROUNDING, atol=ROUNDING)


@needs_gpu
def test_the_jacobian_is_multiplied_in_full_float32_and_not_in_tf32(tf32, monkeypatch):
    """TF32 keeps ten bits: its products are off by some 1e-4, which drowns the small singular values."""
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", True)
    model, x = resnet(8, channels=1, width=8, n_classes=1).eval(), torch.rand(40, 1, 12, 12)
    exact = model_gram(copy.deepcopy(model).double(), x.double(), lambda out: out[0])
    found = model_gram(model.cuda(), x.cuda(), lambda out: out[0], GPU).cpu()
    assert ((found - exact).norm() / exact.norm()).item() < 1e-5
    assert torch.backends.cuda.matmul.allow_tf32


@pytest.mark.parametrize("kind", KINDS)
def test_networks_side_by_side_are_trained_as_by_batched_operators(kind, double):
    stacked, side_by_side = (trained(kind, Machine(path=path))[0] for path in ("stacked", "side by side"))
    assert difference(kind, side_by_side, stacked) < ROUNDING
