"""The workflows: actions pinned by commit, scripts that parse, versions that the package promises."""

import re
import subprocess
import tempfile
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[1]
WORKFLOWS = {path.name: yaml.safe_load(path.read_text()) for path in (ROOT / ".github/workflows").glob("*.yml")}
STEPS = [(name, step) for name, flow in WORKFLOWS.items() for job in flow["jobs"].values() for step in job["steps"]]


def test_actions_are_pinned_by_commit():
    used = [step["uses"] for _, step in STEPS if "uses" in step]
    assert used and all(re.fullmatch(r"[\w./-]+@[0-9a-f]{40}", one) for one in used)


@pytest.mark.parametrize(("name", "step"), [(n, s) for n, s in STEPS if "run" in s])
def test_scripts_parse(name, step):
    script = re.sub(r"\$\{\{.*?\}\}", "x", step["run"])
    assert subprocess.run(["bash", "-n"], input=script, text=True, capture_output=True).stderr == ""


def test_every_job_ends_by_itself():
    assert all(job.get("timeout-minutes") for flow in WORKFLOWS.values() for job in flow["jobs"].values())


def test_the_oldest_and_newest_versions_that_the_package_promises_are_run():
    promised = (ROOT / "pyproject.toml").read_text()
    oldest_python = re.search(r'requires-python = ">=(.+)"', promised)[1]
    oldest_torch = re.search(r'"torch>=(.+)"', promised)[1]
    rows = WORKFLOWS["test.yml"]["jobs"]["versions"]["strategy"]["matrix"]["include"]
    assert {row["python"] for row in rows} == {oldest_python, "3.11", "3.12", "3.13"}
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
