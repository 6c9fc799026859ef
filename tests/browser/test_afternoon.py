"""An afternoon with the course: what a learner types, moves and sees in a real JupyterLab.

Pictures and a list of seconds and memory stay in build/browser/, to be looked at.
"""

import re
import time

from playwright.sync_api import expect

from conftest import PICTURES, Peak

BUDGET = 2e9  # bytes: what a Binder session has, JupyterLab and the kernel together


def verdicts(notebook):
    """What the checks of a notebook say, in its order."""
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    texts = [output.data["text/plain"] for output in outputs if "data" in output]
    return [text for text in texts if text[1:].startswith(" Exercise ")]


def test_a_check_answers_what_is_typed(open_notebook):
    notebook = open_notebook()  # where `make lab` leads
    assert notebook.name == "00_start_here"
    notebook.picture("00-opened")
    notebook.run_all()
    cell = notebook.cell("check.count_rate(")
    verdict = cell.get_by_role("status")
    expect(verdict).to_contain_text("○ Exercise 0.1: not attempted. Fill in the cell")
    notebook.picture("00-not-attempted")

    notebook.replace_line(cell, "rate = ...", "rate = exposure / counts")
    notebook.replace_line(cell, "rate_err = ...", "rate_err = 0.07")
    notebook.run_cell()
    expect(verdict).to_contain_text("✘ Exercise 0.1: not yet. That is seconds per count")
    notebook.picture("00-not-yet")

    notebook.replace_line(cell, "rate = exposure / counts", "rate = counts / exposure")
    notebook.replace_line(cell, "rate_err = 0.07", "rate_err = np.sqrt(counts) / exposure")
    notebook.run_cell()
    expect(verdict).to_contain_text("✔ Exercise 0.1: right. Solved so far: 0.1")
    notebook.picture("00-right")

    notebook.page.set_viewport_size({"width": 800, "height": 900})
    notebook.picture("00-narrow")
    notebook.theme("JupyterLab Dark")
    notebook.picture("00-narrow-dark")
    notebook.theme("JupyterLab Light")


def test_a_slider_changes_the_plot(open_notebook):
    notebook = open_notebook("14_dead_time")
    notebook.run_all()
    cell = notebook.cell("ipywidgets.interactive(")
    plot = cell.get_by_role("img")
    expect(plot).to_have_attribute("alt", re.compile(" at 1000 photons per second "))
    before = plot.get_attribute("src")
    notebook.picture("14-slider-before")
    rate = cell.get_by_role("slider").first
    rate.focus()
    rate.press("ArrowRight")
    expect(plot).to_have_attribute("alt", re.compile(" at 1050 photons per second "))
    assert plot.get_attribute("src") != before
    notebook.picture("14-slider-after")


def test_a_fresh_kernel_runs_all(open_notebook, lab, lesson):
    notebook = open_notebook(lesson)
    with Peak(lab) as peak:
        start = time.monotonic()
        notebook.restart_and_run_all()
        seconds = time.monotonic() - start
    with (PICTURES / "lessons.txt").open("a") as log:
        gigabytes = f"kernel {peak.kernel / 1e9:.2f} GB, JupyterLab {peak.server / 1e9:.2f} GB"
        print(f"{lesson}: {seconds:.0f} s, {gigabytes}", file=log)
    notebook.whole_picture(lesson)
    found = notebook.read()
    code = [cell for cell in found.cells if cell.cell_type == "code"]
    errors = [out.ename for cell in code for out in cell.outputs if out.output_type == "error"]
    assert not errors
    assert [cell.execution_count for cell in code] == [*range(1, len(code) + 1)]
    checks = verdicts(found)
    prose = "\n".join(cell.source for cell in found.cells if cell.cell_type == "markdown")
    assert len(checks) == len(re.findall(r"^## Exercise ", prose, re.M))
    assert all(": not attempted." in verdict for verdict in checks), checks
    assert peak.kernel + peak.server < BUDGET
