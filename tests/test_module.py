"""The module from a blank notebook: `import earlystop`, and every public name is there, with an example that runs."""

import doctest
import subprocess
import sys

import matplotlib.pyplot as plt
import pytest
import torch
from public import MODULES, public

import earlystop

PUBLIC = public()
EXCUSED = {  # without an example, and why
    "lab.show": "it shows something in a browser, and has no value",
    "lab.widget": "it lives in a browser",
}


def examples(name):
    """The examples of a public name, as somebody runs them who has imported earlystop and torch."""
    found = doctest.DocTestParser().get_examples(PUBLIC[name].__doc__ or "", name)
    return doctest.DocTest(found, {"earlystop": earlystop, "torch": torch}, name, None, 0, None)


@pytest.mark.parametrize("name", sorted(PUBLIC.keys() - EXCUSED.keys()))
def test_a_public_name_has_a_short_example_that_runs_as_it_stands(name):
    test, told = examples(name), []
    assert 1 <= len(test.examples) <= 5
    with plt.style.context("default"):
        outcome = doctest.DocTestRunner(verbose=False).run(test, out=told.append)
    plt.close("all")
    assert not outcome.failed, "".join(told)


def test_only_names_without_an_example_are_excused():
    assert EXCUSED.keys() <= PUBLIC.keys()
    assert not any(examples(name).examples for name in EXCUSED)


BLANK = """
import earlystop
for name in {modules}:
    assert name in dir(earlystop), name
    getattr(earlystop, name)
print(earlystop.data.class_labels(2).tolist())
try:
    earlystop.dta
except AttributeError as error:
    print(error)
"""


def test_a_blank_notebook_needs_one_import():
    code = BLANK.format(modules=MODULES)
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.splitlines() == ["[-1.0, 1.0]", "module 'earlystop' has no attribute 'dta'"]
