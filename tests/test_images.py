"""Image data: the digits, and the road from the Hub to a verified cache, without a network."""

import hashlib
import importlib
import io
import os
import re
import threading
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from unittest.mock import Mock

import huggingface_hub
import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
import torch
from huggingface_hub import constants
from PIL import Image
from sklearn.datasets import load_digits

from earlystop import images
from earlystop.images import DataError, Images, content_hash, load_images, sample_split

PIXELS = {
    "mnist": np.random.default_rng(0).integers(0, 256, size=(6, 28, 28), dtype=np.uint8),
    "cifar10": np.random.default_rng(1).integers(0, 256, size=(6, 32, 32, 3), dtype=np.uint8),
}
LABELS = [3, 0, 9, 9, 1, 7]


def test_the_digits_are_all_of_scikit_learn_in_two_disjoint_parts():
    parts = [load_images("digits", split) for split in ("train", "test")]
    assert [part.pixels.shape for part in parts] == [(1400, 1, 8, 8), (397, 1, 8, 8)]
    values, labels = load_digits(return_X_y=True)
    rows = torch.cat([torch.cat([part.labels[:, None], part.pixels.flatten(1)], dim=1) for part in parts])
    expected = np.column_stack([labels, np.round(values * 255 / 16)]).astype(int)
    assert sorted(rows.tolist()) == sorted(expected.tolist())
    for part in parts:
        assert part.pixels.dtype == torch.uint8 and part.labels.dtype == torch.int64
        assert part.pixels.max() == 255 and part.pixels.min() == 0
        assert part.labels.bincount(minlength=10).min() > 0.07 * len(part)


def test_inputs_are_normalized_over_the_data_set_or_as_told():
    digits = load_images("digits")
    inputs = digits.inputs()
    assert inputs.dtype == torch.float32 and inputs.shape == digits.pixels.shape
    assert inputs.double().mean().abs() < 1e-5 and abs(inputs.double().std() - 1) < 1e-5
    told = digits.inputs(mean=0.5, std=0.25)
    torch.testing.assert_close(told, (digits.pixels / 255 - 0.5) / 0.25)


def numbered(count):
    pixels = torch.arange(count, dtype=torch.uint8)[:, None, None, None]
    return Images(pixels, torch.arange(count), "numbers")


def test_samples_are_disjoint_random_and_keep_their_labels():
    parts = sample_split(numbered(100), 50, 30, 0, 20, seed=1)
    assert [len(part) for part in parts] == [50, 30, 0, 20]
    together = torch.cat([part.labels for part in parts])
    assert sorted(together.tolist()) == list(range(100)) != together.tolist()
    assert all(torch.equal(part.pixels.flatten(), part.labels.to(torch.uint8)) for part in parts)
    again, other = (sample_split(numbered(100), 50, seed=seed)[0].labels for seed in (1, 2))
    assert torch.equal(again, parts[0].labels) and not torch.equal(other, again)
    assert not torch.equal(sample_split(numbered(100), 50, seed=1, stream="another")[0].labels, again)
    with pytest.raises(ValueError, match="101 images asked for, but numbers has 100"):
        sample_split(numbered(100), 60, 41)


@pytest.mark.parametrize(("name", "split"), [("imagenet", "train"), ("digits", "validation")])
def test_an_unknown_name_or_split_is_refused(name, split):
    with pytest.raises(ValueError, match="imagenet|validation"):
        load_images(name, split)


# ------------------------------------------------------------------------ a data set of one's own

OWN = """
import torch
from earlystop.images import Images

def load(split):
    labels = torch.arange(40 if split == "train" else 20) % 10
    pixels = (20 * labels).to(torch.uint8)[:, None, None, None].expand(-1, 3, 8, 8)
    return Images(pixels, labels.to(torch.uint8), "squares", given=(labels + 1) % 10 if split == "train" else None)

"""


@pytest.fixture
def own(tmp_path, monkeypatch):
    name = f"own_{tmp_path.name}"  # a module is imported only once
    (tmp_path / f"{name}.py").write_text(OWN)
    monkeypatch.syspath_prepend(tmp_path)
    return name


def test_a_data_set_of_ones_own_is_a_function_that_its_name_tells(own):
    training, test = (load_images(f"{own}:load", split) for split in ("train", "test"))
    assert (len(training), len(test), test.given, training.title) == (40, 20, None, "squares")
    assert training.labels.dtype == training.given.dtype == torch.int64
    for part in (*sample_split(training, 25, 15), training.to("cpu")):  # labels as given stay with their images
        assert torch.equal(part.given, (part.labels + 1) % 10)
        assert torch.equal(part.pixels[:, 0, 0, 0], 20 * part.labels)
    assert load_images("digits").given is None


WRONG = {  # what is said of images that differ from good ones
    "it returned NoneType, should return Images": lambda good: None,
    "pixels are torch.float32, should be torch.uint8": lambda good: replace(good, pixels=good.pixels / 255),
    "labels has 10, should be whole numbers from 0 to 9": lambda good: replace(good, labels=good.labels + 1),
    r"given has shape \(39,\), .*where n is 40 as of pixels": lambda good: replace(good, given=good.labels[1:]),
}


@pytest.mark.parametrize("message", WRONG)
def test_a_data_set_unlike_the_books_is_refused_by_name(own, message):
    module = importlib.import_module(own)
    module.wrong = lambda split: WRONG[message](module.load(split))
    with pytest.raises(ValueError, match=f"{own}:wrong:? {message}"):
        load_images(f"{own}:wrong")


def test_a_data_set_that_is_not_there_is_unknown(own):
    reasons = {f"{own}:absent": "no attribute 'absent'", "nowhere:load": "No module named 'nowhere'"}
    for name, why in (reasons | {"math:pi": "it is 3.14.*, should be a function"}).items():
        with pytest.raises(ValueError, match=f"'{name}' is unknown .*{why}.*, use one of digits"):
            load_images(name)


# ------------------------------------------------------------------------ a Hub of our own


def parquet(path, name, pixels=None, labels=LABELS):
    column = {"mnist": "image", "cifar10": "img"}[name]
    rows = []
    for picture in PIXELS[name] if pixels is None else pixels:
        file = io.BytesIO()
        Image.fromarray(picture).save(file, format="PNG")
        rows.append({"bytes": file.getvalue(), "path": None})
    pyarrow.parquet.write_table(pyarrow.table({column: rows, "label": labels}), path)


class Hub:
    """A server on this machine that speaks as the Hub does; it counts downloads."""

    def __init__(self, folder):
        self.folder, self.downloads, self.status, self.pinned = folder, 0, 200, images.REVISIONS

    def serve(self, name):
        parquet(self.folder / f"{name}.parquet", name)

    def answer(self, request):
        """One answer: the file of the data set that the address names, at any revision that is pinned."""
        asked = re.match(r"/datasets/([^/]+/[^/]+)/resolve/([^/]+)/", request.path)
        if not asked:  # something else that the client wants to know
            return request.send_error(404)
        repository, revision = asked.groups()
        name = next(key for key, value in images.HUB.items() if value[0] == repository)
        status = self.status if revision == self.pinned[name] else 404
        content = (self.folder / f"{name}.parquet").read_bytes() if status == 200 else b""
        request.send_response(status)
        request.send_header("X-HF-Warning", "token; You are sending unauthenticated requests to the HF Hub.")
        request.send_header("X-Repo-Commit", revision)
        request.send_header("ETag", f'"{hashlib.sha256(content).hexdigest()}"')
        request.send_header("Content-Length", str(len(content)))
        if status == 404:
            request.send_header("X-Error-Code", "RevisionNotFound" if self.status == 200 else "EntryNotFound")
        request.end_headers()
        if request.command == "GET":
            self.downloads += 1
            request.wfile.write(content)


def turn_to(monkeypatch, address):
    """Let the client speak to a Hub at `address`."""
    template = constants.HUGGINGFACE_CO_URL_TEMPLATE.replace(constants.ENDPOINT, address)
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
    monkeypatch.setattr(constants, "ENDPOINT", address)


@pytest.fixture
def hub(tmp_path, monkeypatch):
    (tmp_path / "hub").mkdir()
    hub = Hub(tmp_path / "hub")
    answer = lambda request: hub.answer(request)
    methods = {"do_GET": answer, "do_HEAD": answer, "log_message": lambda *_: None}
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (BaseHTTPRequestHandler,), methods))
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    hub.address = f"http://127.0.0.1:{server.server_port}"
    turn_to(monkeypatch, hub.address)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hf"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr("huggingface_hub.utils._http.time.sleep", lambda seconds: None)  # before it tries again
    for name, pixels in PIXELS.items():
        hub.serve(name)
        planes = pixels if pixels.ndim == 4 else pixels[..., None]
        content = planes.transpose(0, 3, 1, 2).tobytes() + bytes(LABELS)
        repository, files, column, _ = images.HUB[name]
        hashes = dict.fromkeys(files, hashlib.sha256(content).hexdigest())
        monkeypatch.setitem(images.HUB, name, (repository, files, column, hashes))
    images._from_hub.cache_clear()
    yield hub
    images._from_hub.cache_clear()
    server.shutdown()
    server.server_close()


def copies(tmp_path, name="mnist"):
    """The files in the Hugging Face cache."""
    return sorted((tmp_path / "hf").glob(f"datasets--*{name}/snapshots/*/*/*.parquet"))


def in_cache(tmp_path, revision, **content):
    """A copy of the MNIST file in the Hugging Face cache."""
    path = tmp_path / "hf" / "datasets--ylecun--mnist" / "snapshots" / revision / images.HUB["mnist"][1]["train"]
    path.parent.mkdir(parents=True)
    parquet(path, "mnist", **content)
    return path


def assert_whole(loaded, name):
    expected = PIXELS[name] if name == "cifar10" else PIXELS[name][..., None]
    np.testing.assert_array_equal(loaded.pixels.permute(0, 2, 3, 1).numpy(), expected)
    assert loaded.labels.tolist() == LABELS and loaded.labels.dtype == torch.int64
    assert loaded.pixels.dtype == torch.uint8 and loaded.pixels.is_contiguous()


@pytest.mark.parametrize("name", ["mnist", "cifar10"])
def test_a_download_is_decoded_verified_and_not_repeated(hub, tmp_path, name):
    for _ in range(2):
        assert_whole(load_images(name), name)
        assert load_images(name) is load_images(name)  # one copy a process
        images._from_hub.cache_clear()
    assert hub.downloads == 1
    load_images(name, "test")
    assert len(copies(tmp_path, name)) == 2


def test_a_download_that_cannot_be_read_is_refused_and_deleted(hub, tmp_path):
    (hub.folder / "mnist.parquet").write_bytes(b"not a parquet file")
    with pytest.raises(DataError, match="MNIST.*deleted.*download it again"):
        load_images("mnist")
    assert not copies(tmp_path) and not list((tmp_path / "hf").glob("*/blobs/*"))
    hub.serve("mnist")
    assert_whole(load_images("mnist"), "mnist")


CHANGED = {
    "another order": dict(pixels=PIXELS["mnist"][::-1], labels=LABELS[::-1]),
    "a changed pixel": dict(pixels=PIXELS["mnist"] ^ np.eye(28, dtype=np.uint8)),
    "a changed label": dict(labels=[4, *LABELS[1:]]),
    "a missing image": dict(pixels=PIXELS["mnist"][1:], labels=LABELS[1:]),
}


@pytest.mark.parametrize("change", CHANGED)
def test_other_data_are_named_and_asked_for_once(hub, tmp_path, change):
    parquet(hub.folder / "mnist.parquet", "mnist", **CHANGED[change])
    for _ in range(3):
        with pytest.raises(DataError, match="MNIST.*not hold the expected train images.*unless you delete it") as error:
            load_images("mnist")
    (copy,) = copies(tmp_path)
    assert hub.downloads == 1 and str(copy) in str(error.value)
    copy.unlink()
    for blob in (tmp_path / "hf").glob("*/blobs/*"):
        blob.unlink()
    hub.serve("mnist")
    assert_whole(load_images("mnist"), "mnist")


def test_a_copy_of_any_revision_will_do(hub, tmp_path):
    in_cache(tmp_path, "0" * 40, labels=LABELS[::-1])
    in_cache(tmp_path, "1" * 40)
    hub.status = 503
    assert_whole(load_images("mnist"), "mnist")
    assert hub.downloads == 0


def test_a_copy_that_is_no_use_is_named_where_no_other_can_be_had(hub, tmp_path):
    other = in_cache(tmp_path, "0" * 40, labels=LABELS[::-1])
    in_cache(tmp_path, "1" * 40).write_bytes(b"garbage")
    hub.status = 404
    with pytest.raises(DataError, match=f"the copy {other} holds other images.*does not have"):
        load_images("mnist")
    hub.status = 200
    assert_whole(load_images("mnist"), "mnist")
    assert other.exists() and hub.downloads == 1


@pytest.mark.parametrize("revision", [images.REVISIONS["mnist"], "0" * 40])
def test_a_damaged_copy_is_deleted_and_downloaded_again_at_once(hub, tmp_path, revision):
    damaged = in_cache(tmp_path, revision)
    damaged.write_bytes(damaged.read_bytes()[:-100])
    assert_whole(load_images("mnist"), "mnist")
    (whole,) = copies(tmp_path)
    assert hub.downloads == 1 and images.REVISIONS["mnist"] in whole.parts


def test_a_damaged_copy_that_cannot_be_deleted_is_left_out(hub, tmp_path, monkeypatch):
    in_cache(tmp_path, "0" * 40).write_bytes(b"garbage")

    def unlink(path, missing_ok=False, original=Path.unlink):
        if path.suffix == ".parquet":
            raise PermissionError(13, "Permission denied")
        original(path, missing_ok)

    monkeypatch.setattr(Path, "unlink", unlink)
    assert_whole(load_images("mnist"), "mnist")
    (hub.folder / "cifar10.parquet").write_bytes(b"garbage")
    with pytest.raises(DataError, match="was left out .it could not be deleted: .*parquet"):
        load_images("cifar10")


def test_the_pinned_copy_is_read_first(hub, tmp_path, monkeypatch):
    for revision in ("0" * 40, images.REVISIONS["mnist"], "f" * 40):
        in_cache(tmp_path, revision)
    monkeypatch.setattr(images, "_decoded", Mock(side_effect=images._decoded))
    load_images("mnist")
    ((path, _),) = (call.args for call in images._decoded.call_args_list)
    assert images.REVISIONS["mnist"] in path.parts


FAILURES = {
    401: "refused it (401): look for a token that is no longer valid",
    403: "refused it (403)",
    404: "does not have mnist/train-00000-of-00001.parquet of ylecun/mnist at revision 77f3279092a1",
    503: "answered with error 503: try again later",
}


@pytest.mark.parametrize("status", FAILURES)
def test_what_the_hub_refuses_or_does_not_have_is_told_apart(hub, status):
    hub.status = status
    with pytest.raises(DataError) as error:
        load_images("mnist")
    assert FAILURES[status] in str(error.value) and hub.address in str(error.value)
    assert "HF_HUB_CACHE" in str(error.value) and "run once" not in str(error.value)


def test_a_revision_that_is_gone_is_no_missing_network(hub, monkeypatch):
    monkeypatch.setattr(hub, "pinned", dict(images.REVISIONS))
    monkeypatch.setitem(images.REVISIONS, "mnist", "f" * 40)
    with pytest.raises(DataError, match="at revision f{40} .404."):
        load_images("mnist")


def test_a_hub_that_cannot_be_reached_is_named(hub, monkeypatch):
    turn_to(monkeypatch, "http://127.0.0.1:9")
    with pytest.raises(DataError, match=r"http://127.0.0.1:9 could not be reached .*\. With a network, run once"):
        load_images("mnist")


@pytest.mark.parametrize("fails", [1, 2])
def test_a_hub_that_does_not_answer_is_asked_once_more_and_not_for_long(hub, monkeypatch, fails):
    """A page with a stand-in for the images would wait for half a minute where there is no network."""
    answers = [ConnectionError("no route")] * fails + [huggingface_hub.get_hf_file_metadata] * 2

    def asked(*arguments, **options):
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer(*arguments, **options)

    monkeypatch.setattr(huggingface_hub, "get_hf_file_metadata", asked)
    if fails == 1:
        assert_whole(load_images("mnist"), "mnist")
    else:
        with pytest.raises(DataError, match="could not be reached .ConnectionError"):
            load_images("mnist")
    assert len(answers) == (2 if fails == 2 else 1) and hub.downloads == (fails == 1)


def test_a_cache_without_room_is_no_missing_network(hub, monkeypatch):
    full = OSError(28, "No space left on device")
    monkeypatch.setattr(huggingface_hub, "hf_hub_download", Mock(side_effect=full))
    with pytest.raises(DataError, match="cannot be written there: .*No space left"):
        load_images("mnist")


def test_a_download_is_silent(hub, capfd, caplog, monkeypatch, recwarn):
    """The book takes anything on stderr for a fault; the Hub warns of a missing token there."""
    monkeypatch.setattr("huggingface_hub.utils._http._WARNED_TOPICS", set())
    load_images("mnist")
    assert hub.downloads == 1 and capfd.readouterr().err == "" and not recwarn.list and not caplog.records


def test_without_network_and_cache_the_error_says_how_to_get_the_data(tmp_path, monkeypatch):
    assert constants.HF_HUB_OFFLINE
    images._from_hub.cache_clear()
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    for name, repository in (("mnist", "ylecun/mnist"), ("cifar10", "uoft-cs/cifar10")):
        with pytest.raises(DataError) as error:
            load_images(name)
        for hint in (f"load_images('{name}')", "HF_HUB_CACHE", repository, "EARLYSTOP_SCALE=quick"):
            assert hint in str(error.value)


def test_the_content_hash_is_that_of_pixels_and_labels_in_order():
    pixels = torch.arange(12, dtype=torch.uint8).reshape(3, 1, 2, 2)
    labels = torch.tensor([1, 2, 3])
    expected = hashlib.sha256(bytes([*range(12), 1, 2, 3])).hexdigest()
    assert content_hash(pixels, labels) == expected
    with_given = hashlib.sha256(bytes([*range(12), 1, 2, 3, 3, 2, 1])).hexdigest()
    assert content_hash(pixels, labels, labels.flip(0)) == with_given
    turned = pixels.transpose(2, 3).contiguous().transpose(2, 3)
    assert content_hash(turned, labels) == expected  # whatever the memory layout


SIZES = {
    ("mnist", "train"): (60_000, 1, 28, 28),
    ("mnist", "test"): (10_000, 1, 28, 28),
    ("cifar10", "train"): (50_000, 3, 32, 32),
    ("cifar10", "test"): (10_000, 3, 32, 32),
}


@pytest.mark.parametrize(("name", "split"), SIZES)
def test_the_real_data_verify(name, split):
    folder = images.HUB[name][0].replace("/", "--")
    cache = os.environ.get("HF_HUB_CACHE")
    if not cache or not (Path(cache) / f"datasets--{folder}").exists():
        pytest.skip(f"set HF_HUB_CACHE to a cache that holds {images.HUB[name][0]} to run this")
    loaded = load_images(name, split)
    assert loaded.pixels.shape == SIZES[name, split]
    counts = loaded.labels.bincount()
    assert len(counts) == 10 and (name == "mnist" or (counts == len(loaded) // 10).all())
