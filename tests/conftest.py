"""Every test runs small, silent and offline, with a cache of its own."""

import os

os.environ["TQDM_DISABLE"] = "1"
os.environ["HF_HUB_OFFLINE"] = "1"  # read when huggingface_hub is imported
for name in ("EARLYSTOP_SCALE", "EARLYSTOP_DEVICE", "EARLYSTOP_PRECISION"):
    os.environ.pop(name, None)

import pytest
import torch

torch.set_num_threads(1)  # the tensors are small: more threads only wait for each other


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EARLYSTOP_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield
