"""A living figure on a page: hostile addresses, requests that cannot be, rest while unseen, memory, size, access."""

import json
import random
import re
import time
from pathlib import Path

import pytest
from labpage import POLICY, engine_page, file_of, page_of, until

from earlystop import laboratory
from earlystop.lab import address, model, read, state
from earlystop.laboratory import FIGURES, SCRIPTS, SETTINGS

pytest_plugins = ["labpage"]

TOP = re.compile(r"^(?:export )?(?:async )?(?:function\*?|class|const|let) (\w+)", re.M)
QUICK = {"samples": 20, "hidden_units": 20, "iterations": 60}  # a run of milliseconds
DONE = "document.querySelector('.lab-says').textContent && !document.querySelector('.lab[aria-busy]')"
MANY = "&".join(f"p{i}=1" for i in range(1000))
HOSTILE = {  # what a reader could ask for, and the settings that are refused
    "k=1e9": "k", "hidden_units=1e9": "hidden_units", "hidden_units=3": "hidden_units", "samples=NaN": "samples",
    "samples=Infinity": "samples", "seed=-1": "seed", "seed=1e309": "seed", "seed=1.5": "seed", "seed=": "seed",
    "seed": "seed", "seed=3=4": "seed", "seed=0x10": "seed", "seed=1_0": "seed", "seed=%": "seed",
    f"seed={'9' * 5000}": "seed", "activation=%E0%A4%A": "activation", "activation=Gaussian+softplus": "activation",
    "activation=<script>alert(1)</script>": "activation", "<script>=1": "<script>", "shell=yes": "shell",
    "shell=__proto__": "shell", "__proto__=1": "__proto__", "constructor=1": "constructor", "changed=1.x": "changed",
    "changed=1e2": "changed", "changed=-1": "changed", "changed=400": "changed", "toString=1&seed=x": "toString, seed",
    MANY: ", ".join(f"p{i}" for i in range(1000)),
}  # fmt: skip
SHOWN = ["k=1e9", "<script>=1", "seed=%", "activation=<script>alert(1)</script>", "toString=1&seed=x", MANY]
GOOD = {
    "": {}, "&&": {}, "seed=4": {"seed": 4}, "seed=3&seed=4": {"seed": 4}, "seed=4e0": {"seed": 4}, "changed=": {},
    "input_noise=.25": {"input_noise": 0.25}, "input_noise=1e-3": {"input_noise": 0.001},
    "changed=3.1.3": {"changed": [1, 3]}, "activation=Gaussian%20softplus": {"activation": "Gaussian softplus"},
    "shell=true&axes=false": {"shell": True},
}  # fmt: skip


@pytest.fixture(scope="module")
def quick():
    return page_of("stop", QUICK)


def go(page, mark):
    """As a reader who changes the end of the address."""
    page.evaluate("(mark) => { location.hash = mark }", mark)


@pytest.fixture(scope="module")
def code(chromium):
    """`code(text, argument)` in a page where `lab` has what the figures share."""
    page = chromium.new_page()
    page.goto(engine_page("stop"))
    page.wait_for_function("globalThis.lab")
    yield page.evaluate
    page.close()


@pytest.mark.parametrize("end", HOSTILE, ids=lambda end: end[:20])
def test_a_hostile_address_is_refused_in_both_languages(code, end):
    mark = f"#lab-stop&dim=7&{end}"
    with pytest.raises(ValueError, match=r"\w+ \w+"):
        read(mark)
    assert code("(mark) => lab.read('stop', mark)", mark) == {
        "state": state("stop", dim=7),
        "refused": HOSTILE[end].split(", "),
    }


@pytest.mark.parametrize("end", SHOWN, ids=lambda end: end[:20])
def test_a_hostile_address_is_refused_in_a_sentence(lab_page, quick, end):
    """By a figure that works with its usual settings."""
    lab_page.goto(f"{quick}#lab-stop&iterations=60&samples=20&{end}")
    said, names = lab_page.inner_text(".lab-refused"), ", ".join(HOSTILE[end].split(", ")[:5])
    assert f"({names.replace('<', '%3C').replace('>', '%3E')})" in said
    until(lab_page, DONE)
    assert re.match(r"Stopped after iteration 20: .* of 20 answers", lab_page.inner_text(".lab-says"))


def test_hostile_addresses_one_after_another(lab_page, quick):
    """Each is told while the page stands, and forgotten with the next that fits."""
    lab_page.goto(quick)
    for end in ["k=1e9", "seed=-1", "changed=-1"]:
        go(lab_page, f"#lab-stop&{end}")
        until(lab_page, "(name) => document.querySelector('.lab-refused')?.textContent.includes(name)", HOSTILE[end])
    go(lab_page, "#lab-stop&seed=7&iterations=60")
    until(lab_page, "!document.querySelector('.lab-refused')")
    assert lab_page.input_value("input[name=seed]") == "7"
    until(lab_page, DONE)


@pytest.mark.parametrize("mark", ["#lab-constructor", "#lab-nothing&seed=3", "#lab-", "#lab-stop2"])
def test_an_unknown_figure_is_refused(lab_page, quick, mark):
    with pytest.raises(ValueError, match="no figure"):
        read(mark)
    lab_page.goto(f"{quick}{mark}")
    assert f"({mark[1:].split('&')[0]})" in lab_page.inner_text(".lab-refused")
    until(lab_page, DONE)


@pytest.mark.parametrize("end", GOOD)
def test_addresses_mean_the_same_in_both_languages(code, end):
    wanted = state("stop", **GOOD[end])
    assert code("(text) => lab.read('stop', text)", f"#lab-stop&{end}") == {"state": wanted, "refused": []}
    assert read(f"#lab-stop&{end}") == ("stop", wanted)


@pytest.mark.parametrize("figure", SETTINGS["figures"])
def test_presets_and_standards_fit(code, figure):
    """Every named state goes through an address and back, in both languages."""
    for changes in [{}, *SETTINGS["figures"][figure]["presets"].values()]:
        settings = state(figure, **changes)
        text = code("([figure, state]) => lab.address(figure, state)", [figure, settings])
        assert code("([figure, text]) => lab.read(figure, text)", [figure, text]) == {"state": settings, "refused": []}
        assert read(text) == (figure, settings)


IMPOSSIBLE = [
    {"classes": 3, "clusters": 2},
    {"samples": 4, "clusters": 8},
    {"samples": 20, "changed": [3, 20]},
    {"axes": True, "dim": 2, "clusters": 5},
    {"dim": 2, "clusters": 8, "input_noise": 1.0},
]


@pytest.mark.parametrize("changes", IMPOSSIBLE, ids=lambda changes: "-".join(changes))
def test_what_cannot_be_is_refused_in_the_same_words(lab_page, quick, changes):
    settings = state("stop", **QUICK | changes)
    with pytest.raises(ValueError) as refused:
        model.run(settings)
    lab_page.goto(quick)
    go(lab_page, address("stop", settings))
    until(lab_page, "(text) => document.querySelector('.lab-says').textContent.includes(text)", str(refused.value))
    assert lab_page.locator("[aria-busy]").count() == 0
    go(lab_page, address("stop", QUICK))
    until(lab_page, "document.querySelector('.lab-says').textContent.startsWith('Stopped')")


def test_an_odd_number_of_hidden_units_is_refused(code):
    with pytest.raises(ValueError, match="should be even") as refused:
        model.initial_weights(state("stop") | {"hidden_units": 3})
    said = code("(config) => { try { lab.initialWeights(config) } catch (error) { return error.message } }",
                state("stop") | {"hidden_units": 3})  # fmt: skip
    assert said == str(refused.value)


def test_pages_here_have_the_policy_of_the_book():
    assert POLICY in (Path(__file__).parents[1] / "book/_ext/pages.py").read_text("utf8")


def test_modules_share_no_name():
    """They become one script, where the later of two functions of one name would silently be both."""
    names = [
        name
        for one in laboratory.order(*FIGURES, "start")
        for name in TOP.findall((SCRIPTS / f"{one}.js").read_text("utf8"))
    ]
    assert len(names) > 50 and not {name for name in names if names.count(name) > 1}


@pytest.mark.parametrize("figures", [["stop"], ["clocks"], ["far"], ["guess"], ["vote"], ["stop", "vote"]])
def test_the_script_is_light(figures):
    """Bytes of a page's script before compression, of what computes and of what is seen."""
    engine, everything = (len(text.encode()) for text in (laboratory.body("engine"), laboratory.classic(figures)))
    assert engine <= 60_000 and everything - engine <= 60_000


def test_no_word_is_lost_on_the_way_into_one_script():
    lines = [line.strip() for path in SCRIPTS.glob("*.js") for line in path.read_text("utf8").splitlines()]
    one = laboratory.classic().splitlines()
    kept = [line for line in lines if line and not line.startswith(("//", "/**", "import", "*"))]
    assert len(kept) > 1000 and not {line.removeprefix("export ") for line in kept} - set(one)


SLOW = {"samples": 300, "hidden_units": 600, "dim": 20, "iterations": 20000}
COUNT = """() => {
  document.body.style.paddingBottom = "4000px";
  globalThis.drawn = 0;
  new MutationObserver(() => { drawn += 1 })
    .observe(document.querySelector(".lab-chart"), { attributeFilter: ["d"], subtree: true });
}"""
HIDE = """(hidden) => {
  Object.defineProperty(document, "hidden", { value: hidden, configurable: true });
  document.dispatchEvent(new Event("visibilitychange"));
}"""
SCROLL = "(away) => scrollTo({ top: away ? document.body.scrollHeight : 0, behavior: 'instant' })"


@pytest.mark.parametrize("away", [HIDE, SCROLL], ids=["hidden", "scrolled"])
@pytest.mark.parametrize("where", ["worker", "page"])
def test_nothing_is_computed_unseen(lab_page, where, away):
    """In a hidden tab or out of sight a run waits, and goes on when it is seen again."""
    lab_page.goto(page_of("stop", SLOW) if where == "worker" else file_of("stop", SLOW).as_uri())
    lab_page.evaluate(COUNT)
    until(lab_page, "drawn > 2")
    assert len(lab_page.workers) == (where == "worker")
    lab_page.evaluate(away, True)
    lab_page.wait_for_timeout(400)  # what was under way arrives
    before = lab_page.evaluate("drawn")
    lab_page.wait_for_timeout(800)
    assert lab_page.evaluate("drawn") == before
    lab_page.evaluate(away, False)
    until(lab_page, "(before) => drawn > before + 2", before)


PAUSES = """(config) => {
  const asked = [], engine = new lab.Engine(() => {}, 0, (next) => asked.push(next));
  engine.take({ id: 1, config });
  for (const pause of [true, false, true, false, true, false]) engine.take({ pause });
  for (const next of asked.splice(0)) next();
  return asked.length;
}"""


def test_a_run_that_waited_goes_on_once(code):
    """What was asked for before a pause is void after it: no second run beside the first."""
    assert code(PAUSES, state("stop", **QUICK)) == 1


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_nobody_is_kept_out_of_a_figure(lab_page, quick, theme):
    """Every rule of axe-core, all settings open."""
    axe = pytest.importorskip("axe_playwright_python")
    lab_page.goto(quick)
    lab_page.evaluate("(theme) => { document.documentElement.dataset.theme = theme }", theme)
    lab_page.click("summary")
    until(lab_page, DONE)
    lab_page.evaluate((Path(axe.__file__).parent / "axe.min.js").read_text(encoding="utf8"))
    found = lab_page.evaluate("axe.run(document, {resultTypes: ['violations']})")["violations"]
    assert not [(one["id"], [node["target"] for node in one["nodes"]]) for one in found]


class Memory:
    """What a page and its worker hold after garbage collection, by Chromium's own counters."""

    def __init__(self, page):
        self.page, self.worker, self.answers = page, None, {}
        self.session = page.context.new_cdp_session(page)
        self.session.on("Target.attachedToTarget", self._attached)
        self.session.on("Target.receivedMessageFromTarget", self._answered)
        self.session.send(
            "Target.setAutoAttach", {"autoAttach": True, "waitForDebuggerOnStart": False, "flatten": False}
        )
        while self.worker is None:
            page.wait_for_timeout(20)

    def _attached(self, event):
        self.worker = event["sessionId"]

    def _answered(self, event):
        message = json.loads(event["message"])
        self.answers[message.get("id")] = message.get("result")

    def _ask_worker(self, method):
        self.answers.clear()
        text = json.dumps({"id": 1, "method": method})
        self.session.send("Target.sendMessageToTarget", {"sessionId": self.worker, "message": text})
        while 1 not in self.answers:
            self.page.wait_for_timeout(20)
        return self.answers[1]

    def held(self):
        """Bytes of the page and of the worker, nodes, and listeners."""
        for _ in range(3):
            self.session.send("HeapProfiler.collectGarbage")
            self._ask_worker("HeapProfiler.collectGarbage")
            self.page.wait_for_timeout(100)
        heaps = self.session.send("Runtime.getHeapUsage"), self._ask_worker("Runtime.getHeapUsage")
        page, worker = (one["usedSize"] + one["backingStorageSize"] for one in heaps)
        counted = self.session.send("Memory.getDOMCounters")
        return {"page": page, "worker": worker, "nodes": counted["nodes"], "listeners": counted["jsEventListeners"]}


def play_with(page, seconds, seed):
    """Change settings all the time, as many readers would; then the usual state again."""
    dice, end = random.Random(seed), time.monotonic() + seconds
    while time.monotonic() < end:
        clusters = dice.randint(2, 8)
        changes = {"seed": dice.randint(0, 999), "clusters": clusters, "classes": dice.randint(2, min(4, clusters)),
                   "samples": dice.randint(8, 80), "corruption_rate": dice.randint(0, 60) / 100,
                   "activation": dice.choice(SETTINGS["fields"]["activation"]["choices"]),
                   "hidden_units": 2 * dice.randint(5, 60), "stop": dice.randint(0, 60), "iterations": 60}  # fmt: skip
        page.evaluate("(mark) => location.replace(mark)", address("stop", changes))
        page.wait_for_timeout(dice.choice([20, 200, 400]))
    page.evaluate("(mark) => location.replace(mark)", address("stop", QUICK | {"seed": 5}))
    page.wait_for_timeout(500)
    until(page, DONE)


@pytest.mark.leg
def test_memory_does_not_grow(lab_page, quick):
    lab_page.goto(quick)
    until(lab_page, DONE)
    memory = Memory(lab_page)
    play_with(lab_page, 15, seed=1)  # until everything has been compiled
    before = memory.held()
    play_with(lab_page, 60, seed=2)
    after = memory.held()
    print(before, after)
    assert after["page"] - before["page"] < 300_000 and after["worker"] - before["worker"] < 300_000
    assert after["nodes"] <= before["nodes"] + 50 and after["listeners"] <= before["listeners"]
