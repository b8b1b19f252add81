"""The workflows: actions pinned by commit, scripts that parse, versions that the package promises."""

import re
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path

import environment
import pytest
import yaml

ROOT = Path(__file__).resolve().parents[1]
WORKFLOWS = {path.name: yaml.safe_load(path.read_text()) for path in (ROOT / ".github/workflows").glob("*.yml")}
STEPS = [
    (name, step) for name, flow in WORKFLOWS.items() for job in flow["jobs"].values() for step in job.get("steps", [])
]
COMMANDS = ["make book", "make test"]


def test_actions_are_pinned_by_commit():
    used = [step["uses"] for _, step in STEPS if "uses" in step]
    called = [job["uses"] for flow in WORKFLOWS.values() for job in flow["jobs"].values() if "uses" in job]
    assert called and all((ROOT / one).is_file() for one in called)
    assert used and all(re.fullmatch(r"[\w./-]+@[0-9a-f]{40}", one) for one in used)


def test_a_called_workflow_asks_for_no_more_than_its_caller_grants():
    """Else GitHub starts neither: a job that names its permissions has no others."""
    asks = lambda flow: [one.get("permissions", {}) for one in (flow, *flow["jobs"].values())]
    called = [(flow, job) for flow in WORKFLOWS.values() for job in flow["jobs"].values() if "uses" in job]
    assert len(called) > 3
    for flow, job in called:
        granted = job.get("permissions", flow["permissions"]).items()
        assert all(one.items() <= granted for one in asks(WORKFLOWS[Path(job["uses"]).name])), job


def test_what_setup_python_keeps_is_filled():
    """With an empty cache of pip the action fails a job when it ends: uv fills none, so it is not used there."""
    for name, flow in WORKFLOWS.items():
        for job in flow["jobs"].values():
            keeps = any(step.get("with", {}).get("cache") == "pip" for step in job.get("steps", []))
            assert not keeps or (flow.get("env", {}) | job.get("env", {})).get("UV") == "", name
    (step,) = (s for _, s in STEPS if s.get("uses", "").startswith("actions/cache@"))
    assert "book/results/**" in step["with"]["key"]  # what a page depends on; the same key is written once
    assert "cache" not in str(WORKFLOWS["release.yml"]["jobs"]["files"])


def test_a_run_by_hand_ends_no_publication():
    assert "github.workflow " in WORKFLOWS["test.yml"]["concurrency"]["group"]


def test_newer_actions_are_proposed():
    (update,) = yaml.safe_load((ROOT / ".github/dependabot.yml").read_text())["updates"]
    assert update["package-ecosystem"] == "github-actions" and update["directory"] == "/"


@pytest.mark.parametrize("name", ["fault", "content"])
def test_templates_of_issues_are_forms(name):
    form = yaml.safe_load((ROOT / f".github/ISSUE_TEMPLATE/{name}.yml").read_text())
    ids = [field["id"] for field in form["body"]]
    assert form["name"] and form["description"] and len(ids) == len(set(ids)) > 1
    assert all(field["type"] in ("input", "textarea") and field["attributes"]["label"] for field in form["body"])


@pytest.mark.parametrize(("name", "step"), [(n, s) for n, s in STEPS if "run" in s])
def test_scripts_parse(name, step):
    script = re.sub(r"\$\{\{.*?\}\}", "x", step["run"])
    assert subprocess.run(["bash", "-n"], input=script, text=True, capture_output=True).stderr == ""


def test_what_workflows_make_and_run_is_there():
    targets = re.search(r"(?m)^\.PHONY: (.*)", (ROOT / "Makefile").read_text())[1].split()
    lines = [step["run"] for _, step in STEPS if "run" in step]
    made = re.findall(r"(?m)^(?:\s*)make (?:-C \S+ )?([a-z-]+)", "\n".join(lines))
    called = re.findall(r"(?<![\w/])((?:\.ci|book|tests|notebooks)/[\w./-]+)", "\n".join(lines))
    assert len(made) > 10 and set(made) <= set(targets)
    assert len(called) > 10 and all((ROOT / one).exists() for one in called)


def test_every_job_ends_by_itself():
    assert all(
        job.get("timeout-minutes") or "uses" in job for flow in WORKFLOWS.values() for job in flow["jobs"].values()
    )


def runs(job):
    """The commands of a job, in their order."""
    return [step["run"] for step in job["steps"] if "run" in step]


def test_the_site_is_live_only_after_the_tests_and_the_version():
    jobs = WORKFLOWS["publish.yml"]["jobs"]
    before, new = set(), {"deploy"}
    while new:
        needs = [jobs[name].get("needs", []) for name in new]
        new = {earlier for one in needs for earlier in ([one] if isinstance(one, str) else one)} - before
        before |= new
    (tests,) = (name for name, job in jobs.items() if job.get("uses") == "./.github/workflows/test.yml")
    (tag,) = (name for name, job in jobs.items() if ".ci/version" in "".join(runs(job) if "steps" in job else []))
    assert {tests, tag, "build"} <= before
    assert "workflow_call" in WORKFLOWS["test.yml"][True]  # YAML reads the word on as a truth
    assert runs(WORKFLOWS["test.yml"]["jobs"]["version"]) == [".ci/version"]


def test_both_commands_run_on_every_system_and_every_python():
    test, systems = WORKFLOWS["test.yml"]["jobs"], WORKFLOWS["systems.yml"]["jobs"]
    pythons = [f"3.{minor}" for minor in range(environment.OLDEST[1], environment.NEWEST[1] + 1)]
    assert test["test"]["strategy"]["matrix"]["python"] == pythons and "make test" in runs(test["test"])
    assert test["book"]["strategy"]["matrix"]["python"] == [pythons[0], pythons[-1]] and "make book" in runs(
        test["book"]
    )
    assert {systems[name]["runs-on"] for name in ("macos", "wsl")} == {"macos-latest", "windows-latest"}
    for job in (systems["macos"], systems["wsl"], WORKFLOWS["newest.yml"]["jobs"]["newest"]):
        said = [re.sub(" -C ~/book| TORCH_INDEX=.*", "", one) for one in runs(job)]
        assert said[-2:] == COMMANDS


def test_the_newest_versions_are_tried_and_somebody_hears_of_it(tmp_path):
    """The workflow's own sed, on copies: all pins go but that of Jupyter Book."""
    for flow in ("newest.yml", "colab.yml"):
        assert "schedule" in WORKFLOWS[flow][True]
        report = WORKFLOWS[flow]["jobs"]["report"]
        assert report["if"] == "failure()" and report["permissions"] == {"issues": "write"} and report["with"]["title"]
    (tmp_path / "requirements").mkdir()
    for path in [
        Path("requirements.txt"),
        *(Path("requirements") / f"{part}.txt" for part in ("course", "slides", "tests")),
    ]:
        shutil.copy(ROOT / path, tmp_path / path)
    (script,) = (one for one in runs(WORKFLOWS["newest.yml"]["jobs"]["newest"]) if "make lock" in one)
    subprocess.run(["bash", "-ec", script.splitlines()[0]], cwd=tmp_path, check=True)
    text = "".join(path.read_text() for path in tmp_path.rglob("*.txt"))
    assert re.findall(r"(?m)^(?!#).*==.*$", text) == ["jupyter-book==1.0.4.post1"]
    assert "\ntorch\n" in text and "\ndask[distributed]\n" in text


def test_a_version_that_was_not_raised_is_noticed(tmp_path):
    source = tmp_path / "src/earlystop/__init__.py"
    for path in (source, tmp_path / "pyproject.toml", tmp_path / "book/results/one.json", tmp_path / "book/page.md"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x = 1\n")
    source.write_text('__version__ = "1.2.3"\n')
    (tmp_path / ".ci").mkdir()
    shutil.copy(ROOT / ".ci/version", tmp_path / ".ci")

    def git(*words):
        subprocess.run(
            ["git", "-c", "user.name=x", "-c", "user.email=x", *words], cwd=tmp_path, check=True, capture_output=True
        )

    def version():
        done = subprocess.run([".ci/version"], cwd=tmp_path, capture_output=True, text=True)
        return done.stdout.strip() if done.returncode == 0 else done.stderr

    for words in (["init"], ["add", "."], ["commit", "-m", "one"]):
        git(*words)
    assert version() == "v1.2.3"
    git("tag", "v1.2.3")
    (tmp_path / "book/page.md").write_text("other words")
    assert version() == "v1.2.3"
    for name in ("book/results/one.json", "src/earlystop/__init__.py"):
        text = (tmp_path / name).read_text()
        (tmp_path / name).write_text(text + "y = 2\n")
        assert "has changed since v1.2.3" in version(), name
        (tmp_path / name).write_text(text)
    source.write_text('__version__ = "1.2.4"\n')
    assert version() == "v1.2.4"


def test_the_oldest_and_newest_versions_that_the_package_promises_are_run():
    promised = (ROOT / "pyproject.toml").read_text()
    oldest_python = re.search(r'requires-python = ">=(.+)"', promised)[1]
    oldest_torch = re.search(r'"torch>=(.+)"', promised)[1]
    rows = WORKFLOWS["test.yml"]["jobs"]["versions"]["strategy"]["matrix"]["include"]
    assert {row["python"] for row in rows} == {"3.11", "3.12", "3.13", "3.14"}
    (oldest,) = (row for row in rows if row["python"] == oldest_python)
    assert oldest["torch"] == f"torch=={oldest_torch}.0" and "numpy==1.26" in oldest["others"]
    assert any(row["torch"] == "torch" and row["others"] == "numpy" for row in rows)


def colab_script():
    (step,) = (s for n, s in STEPS if n == "colab.yml" and "docker run" in s.get("run", ""))
    return re.search(r"<<'SCRIPT'\n(.*)\nSCRIPT", step["run"], flags=re.S)[1]


@pytest.mark.parametrize(("broken", "changed"), [((), ""), (("two",), ""), ((), "numpy")])
def test_the_script_in_colabs_image_names_what_breaks(tmp_path, broken, changed):
    """With stand-ins for pip and Jupyter: the code that it ends with, and what it says."""
    notebooks, tools = tmp_path / "notebooks", tmp_path / "bin"
    for folder in (notebooks, tools):
        folder.mkdir()
    for name in ("one", "two", "three"):
        (notebooks / f"{name}.ipynb").touch()
    (tools / "pip").write_text(
        f'#!/bin/bash\necho "torch 2.9"; echo "numpy $([ -n "{changed}" ] && cat {tmp_path}/n || echo 2.0)"\n'
        f"echo x >> {tmp_path}/n\n"
    )
    failing = " ".join(broken) or "none"
    (tools / "python3").write_text(
        f'#!/bin/bash\ncat > /dev/null\n[ -e "${{@: -1}}" ] || exit 9\n'
        f'for name in {failing}; do [ "${{@: -1}}" != "$name.ipynb" ] || {{ echo "cell 3: oh"; exit 1; }}; done\n'
    )
    for tool in tools.iterdir():
        tool.chmod(0o755)
    script = colab_script().replace("/notebooks/", f"{notebooks}/").replace("/tmp/before", f"{tmp_path}/before")
    done = subprocess.run(
        ["bash", "-s"], input=script, text=True, capture_output=True,
        env={"PATH": f"{tools}:/usr/bin:/bin", "TMPDIR": tempfile.mkdtemp(dir=tmp_path)},
    )  # fmt: skip
    assert done.returncode == bool(broken or changed), done
    assert done.stdout.count("passed") == 3 - len(broken)
    assert ("FAILED two.ipynb" in done.stdout and "cell 3: oh" in done.stdout) == bool(broken)
    assert ("torch or numpy was changed" in done.stdout) == bool(changed)


# ------------------------------------------------------------------------ releases


def test_a_release_waits_for_the_tests_and_attaches_everything():
    flow = WORKFLOWS["release.yml"]
    (files,) = (job for job in flow["jobs"].values() if "steps" in job)
    assert flow["jobs"][files["needs"]]["uses"] == "./.github/workflows/test.yml"
    commands = runs(files)
    places = [next(n for n, one in enumerate(commands) if part in one)
              for part in ("make book", "make course", "make pdf", ".ci/release", "gh release create")]  # fmt: skip
    assert places == sorted(places) and "_build/release/*" in commands[-1]
    assert files["permissions"] == {"contents": "write"} and flow["permissions"] == {"contents": "read"}


def test_only_a_tag_without_a_hash_is_a_release():
    (pattern,) = WORKFLOWS["release.yml"][True]["push"]["tags"]
    matches = re.compile(pattern.replace(".", r"\.")).fullmatch  # in GitHub's patterns a + repeats, too
    assert matches("v0.3.0") and matches("v10.2.13")
    assert not matches("v0.3.0+h1234abcd") and not matches("v0.3") and not matches("version")


@pytest.fixture
def packed(tmp_path):
    """A copy of what is packed, and a function that packs it for a tag."""
    for name, text in {"src/earlystop/__init__.py": '__version__ = "1.2.3+h0"\n', "CITATION.cff": "version: 1.2.3\n",
                       "_build/html/index.html": "site", "_build/pdf/stopping-early.pdf": "pdf",
                       "_build/course/a.ipynb": "kit", "book/results/a.json": "{}",
                       "book/results/parts/half": "no"}.items():  # fmt: skip
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    (tmp_path / ".ci").mkdir()
    shutil.copy(ROOT / ".ci/release", tmp_path / ".ci")
    return tmp_path, lambda tag: subprocess.run([".ci/release", tag], cwd=tmp_path, capture_output=True, text=True)


def test_a_release_is_packed_with_checksums_and_the_same_each_time(packed):
    root, pack = packed
    done = pack("v1.2.3")
    assert done.returncode == 0, done.stderr
    out = root / "_build/release"
    names = {f"stopping-early-1.2.3{end}" for end in ("-site.tar.gz", "-course.tar.gz", "-results.tar.gz", ".pdf")}
    assert {path.name for path in out.iterdir()} == {*names, "SHA256SUMS"}
    first = (out / "SHA256SUMS").read_text()
    assert first.count("\n") == 4 and subprocess.run(["sha256sum", "-c", "SHA256SUMS"], cwd=out).returncode == 0
    with tarfile.open(out / "stopping-early-1.2.3-results.tar.gz") as archive:
        assert archive.getnames() == ["results", "results/a.json"]
    assert pack("v1.2.3").returncode == 0 and (out / "SHA256SUMS").read_text() == first


def test_a_tag_that_is_not_the_version_and_a_missing_file_stop_a_release(packed):
    root, pack = packed
    done = pack("v1.2.4")
    assert done.returncode == 1 and "The tag is v1.2.4, but the package has version 1.2.3" in done.stderr
    (root / "CITATION.cff").write_text("version: 1.2.2\n")
    assert "CITATION.cff 1.2.2: raise both" in pack("v1.2.3").stderr
    (root / "CITATION.cff").write_text("version: 1.2.3\n")
    (root / "_build/pdf/stopping-early.pdf").unlink()
    done = pack("v1.2.3")
    assert done.returncode == 1 and "There is no _build/pdf/stopping-early.pdf" in done.stderr
    assert not (root / "_build/release").exists()
