"""A living figure as a widget in a real JupyterLab: the reader's hand reaches Python, and Python the page."""

import os
import re
import secrets
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import suppress
from pathlib import Path

import nbformat
import pytest
from labpage import until

pytest_plugins = ["labpage"]
pytestmark = pytest.mark.leg

ROOT = Path(__file__).resolve().parents[1]
CELL = "from earlystop import lab\nw = lab.widget('stop', samples=20, hidden_units=20, iterations=60, seed=3)\nw"
SAYS = "(text) => document.querySelector('.lab-says').textContent.includes(text)"
PATIENCE = 180  # seconds, for a server and a kernel on a busy machine
DONE = "() => document.querySelector('.lab-says')?.textContent && !document.querySelector('.lab[aria-busy]')"


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with one notebook, and a JupyterLab of its own: (folder, address)."""
    pytest.importorskip("anywidget")
    folder, token = tmp_path_factory.mktemp("jupyter"), secrets.token_hex(16)
    cells, kernel = [nbformat.v4.new_code_cell(CELL)], {"name": "python3", "display_name": "Python 3"}
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": kernel}), folder / "one.ipynb")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    own = {f"JUPYTER_{name}_DIR": str(folder / name.lower()) for name in ("CONFIG", "DATA", "RUNTIME")}
    own["PYTHONPATH"] = os.pathsep.join([str(ROOT / "src"), *filter(None, [os.environ.get("PYTHONPATH")])])
    options = {"ServerApp.port": port, "ServerApp.port_retries": 0, "ServerApp.allow_root": True,
               "ServerApp.root_dir": folder, "IdentityProvider.token": token,
               "LabApp.check_for_updates_class": "jupyterlab.NeverCheckForUpdate"}  # fmt: skip
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", *(f"--{k}={v}" for k, v in options.items())]
    with (folder / "log").open("w") as log:
        server = subprocess.Popen(command, env=os.environ | own, stdout=log, stderr=log)
    address = f"http://127.0.0.1:{port}"
    try:
        _wait_for(f"{address}/api?token={token}", server, folder / "log")
        yield folder, f"{address}/doc/tree/one.ipynb?token={token}"
    finally:
        server.terminate()
        server.wait(30)


def _wait_for(address, server, log):
    for _ in range(10 * PATIENCE):
        assert server.poll() is None, log.read_text()[-2000:]
        try:
            return urllib.request.urlopen(address)
        except OSError:
            time.sleep(0.1)
    pytest.fail(f"no JupyterLab within {PATIENCE} s: {log.read_text()[-2000:]}")


def _run_first_cell(page):
    """Until it runs: JupyterLab forgets what it is asked before its kernel is quite there."""
    prompt = page.locator(".jp-InputArea-prompt").first
    for _ in range(PATIENCE // 5):
        page.locator(".jp-Cell .cm-content").first.click()
        page.keyboard.press("Shift+Enter")
        for _ in range(50):
            if prompt.inner_text().strip() != "[ ]:":
                return
            page.wait_for_timeout(100)


def _show_widget(page):
    """Run the cell until its figure has computed: on a busy machine a widget can come before its manager."""
    for patience in (30, 60, PATIENCE):
        _run_first_cell(page)
        with suppress(AssertionError):
            return until(page, DONE, seconds=patience)
    pytest.fail(page.locator(".jp-OutputArea").first.inner_text())


@pytest.fixture(scope="module")
def notebook(chromium, place):
    """The page of the notebook, whose cell has run, and what its kernel says: (page, python)."""
    from jupyter_client import BlockingKernelClient

    folder, address = place
    page = chromium.new_page(viewport={"width": 1000, "height": 1300})
    page.goto(address)
    page.get_by_text("| Idle").wait_for(timeout=1000 * PATIENCE)
    _show_widget(page)
    client = BlockingKernelClient(connection_file=str(next((folder / "runtime").glob("kernel-*.json"))))
    client.load_connection_file()
    client.start_channels()

    def python(code):
        """What a cell with this code prints, and the name of its error."""
        said = []
        hook = lambda message: said.append(message["content"].get("text", ""))
        reply = client.execute_interactive(code, output_hook=hook, timeout=60)["content"]
        return "".join(said).strip(), f"{reply.get('ename', '')}: {reply.get('evalue', '')}".strip(": ")

    yield page, python
    client.stop_channels()
    page.close()


def test_a_slider_reaches_python(notebook):
    page, python = notebook
    assert python("print(w.state['seed'], w.state['corruption_rate'])") == ("3 0.2", "")
    page.locator("input[name=corruption_rate]").focus()
    for _ in range(20):
        page.keyboard.press("ArrowRight")
    until_python(python, "print(round(w.state['corruption_rate'], 6))", "0.4")
    until(page, SAYS, " of 8 wrong labels")  # ⌊0.4 · 5⌋ in each of four clusters


def until_python(python, code, wanted, seconds=30):
    """Wait until a cell prints it."""
    end = time.monotonic() + seconds
    while (said := python(code)) != (wanted, ""):
        assert time.monotonic() < end, said


def test_python_reaches_the_page(notebook):
    page, python = notebook
    assert python("w.state = w.state | {'seed': 8, 'corruption_rate': 0.4, 'changed': [0]}") == ("", "")
    until(page, "() => document.querySelector('input[name=seed]').value === '8'")
    assert page.input_value("input[name=corruption_rate]") == "0.4"
    said, wrong = python("data = lab.dataset(w.state); print(int(data.flipped.sum()))")
    assert not wrong and said != "8"
    until(page, SAYS, f" of {said} wrong labels")


@pytest.mark.parametrize("code", ["w.state = w.state | {'samples': 10**9}", "w.state = {'k': 3}", "w.state = 3"])
def test_a_wrong_state_is_refused(notebook, code):
    """With a sentence; the widget keeps what it had, and works on."""
    page, python = notebook
    assert python("w.state = {'samples': 20, 'hidden_units': 20, 'iterations': 60}") == ("", "")
    until(page, "() => document.querySelector('input[name=seed]').value === '1'")
    _, wrong = python(code)
    assert re.match(r"(ValueError|TraitError): .*\w+ \w+ \w+", wrong), wrong
    assert python("print(w.state['samples'], w.state['seed'])") == ("20 1", "")
    page.get_by_text("other data").click()
    until_python(python, "print(w.state['seed'])", "2")


def test_a_figure_on_a_dark_page(notebook):
    """JupyterLab's own theme decides the colors."""
    page, _ = notebook
    ink = "() => getComputedStyle(document.querySelector('.lab text')).fill"
    light = page.evaluate(ink)
    page.evaluate("document.body.dataset.jpThemeLight = 'false'")
    assert light == "rgb(34, 34, 34)" and page.evaluate(ink) == "rgb(230, 230, 230)"
    page.evaluate("document.body.dataset.jpThemeLight = 'true'")


def test_two_views_of_one_widget_agree(notebook):
    """Each follows the other, and no change goes back and forth for ever."""
    page, python = notebook
    page.keyboard.press("Escape")
    page.locator(".jp-Cell .cm-content").last.click()
    page.keyboard.type("w")
    page.keyboard.press("Shift+Enter")
    until(page, "() => document.querySelectorAll('.lab .lab-says').length === 2")
    page.get_by_text("other data").last.click()
    seed = "() => [...document.querySelectorAll('input[name=seed]')].map((one) => one.value)"
    until(page, f"() => new Set(({seed})()).size === 1 && ({seed})()[0] !== '2'")
    moved = page.evaluate(seed)[0]
    page.wait_for_timeout(1000)
    assert page.evaluate(seed) == [moved, moved]
    until_python(python, "print(w.state['seed'])", moved)
