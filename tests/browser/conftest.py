"""The course as a learner meets it: JupyterLab from `make lab` on a copy, and Chromium without a screen before it."""

import os
import shutil
import signal
import socket
import subprocess
import threading
import time
from pathlib import Path
from typing import NamedTuple

import chromium
import nbformat
import psutil
import pytest
from playwright.sync_api import sync_playwright

ROOT = Path(__file__).resolve().parents[2]
PICTURES = ROOT / "build" / "browser"
FLAGS = [
    "--disable-gpu",
    "--disable-dev-shm-usage",  # containers have little of it
    "--disable-quic",
    "--no-first-run",
    "--disable-sync",
    "--disable-background-networking",
    "--disable-component-update",
]
NOTEBOOK = "jupyterapp.shell.currentWidget.content"  # of JupyterLab, which --expose-app-in-browser shows to us
TIMEOUT = 600  # seconds for a whole lesson, on a slow and busy machine too


def pytest_addoption(parser):
    parser.addoption("--lessons", default="", help='the lessons to run whole, as "00 14"; or all')


def pytest_generate_tests(metafunc):
    if "lesson" in metafunc.fixturenames:
        wanted = metafunc.config.getoption("--lessons").split()
        names = sorted(path.stem for path in (ROOT / "notebooks").glob("[0-9]*.ipynb"))
        if strange := set(wanted) - {name[:2] for name in names}:
            raise pytest.UsageError(f"--lessons: there is no lesson {', '.join(sorted(strange))}")
        metafunc.parametrize("lesson", [n for n in names if not wanted or n[:2] in wanted])


class Lab(NamedTuple):
    """A JupyterLab that runs."""

    process: subprocess.Popen
    url: str
    token: str

    def usage(self):
        """Resident bytes of JupyterLab, and those of the kernel with all that it started.

        Pages that several processes share count for each of them: an upper bound.
        """
        server = kernel = 0
        for child in psutil.Process(self.process.pid).children(recursive=True):
            try:
                line = [*map(psutil.Process.cmdline, [child, *child.parents()])]
                resident = child.memory_info().rss
            except psutil.NoSuchProcess:
                continue
            if any("ipykernel_launcher" in words for words in line):
                kernel += resident
            else:
                server += resident
        return server, kernel


class Peak(threading.Thread):
    """Keep the most that was used in `with Peak(lab) as peak:`, looking ten times a second."""

    def __init__(self, lab):
        super().__init__(daemon=True)
        self.lab, self.over = lab, threading.Event()
        self.server = self.kernel = 0

    def run(self):
        while not self.over.wait(0.1):
            used = self.lab.usage()
            self.server, self.kernel = map(max, used, (self.server, self.kernel))

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.join()


@pytest.fixture(scope="session")
def lab(tmp_path_factory):
    """`make lab` on a copy of the course, so that nothing that is typed reaches notebooks/."""
    folder = tmp_path_factory.mktemp("course") / "course"
    shutil.copytree(ROOT, folder, ignore=shutil.ignore_patterns(".*", "build", "__pycache__"))
    (folder / ".venv").symlink_to(ROOT / ".venv")
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    # Neither the settings of whoever runs this nor those of a make that runs this
    own = ("MAKEFLAGS", "MAKELEVEL", "MFLAGS")
    environment = {name: value for name, value in os.environ.items() if name not in own}
    for name in ("JUPYTER_CONFIG_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR"):
        environment[name] = str(folder.with_name(name))
    for name in ("JUPYTERLAB_SETTINGS_DIR", "JUPYTERLAB_WORKSPACES_DIR"):
        environment[name] = str(folder.with_name(name))
    token = "afternoon"
    options = f"--no-browser --port={port} --ServerApp.port_retries=0 --expose-app-in-browser"
    options += f" --IdentityProvider.token={token}"
    # .venv is the real one, ready, and must not be made again for the copy.
    command = ["make", "--old-file=.venv/.ready", "lab", f"LAB_OPTIONS={options}"]
    log = (folder.with_name("lab.log")).open("w+")
    process = subprocess.Popen(
        command, cwd=folder, env=environment, stdout=log, stderr=log, start_new_session=True
    )
    try:
        deadline = time.monotonic() + 120
        while True:
            try:
                socket.create_connection(("localhost", port), timeout=1).close()
                break
            except OSError:
                if process.poll() is not None or time.monotonic() > deadline:
                    log.seek(0)
                    pytest.fail(f"`make lab` did not start:\n{log.read()}")
                time.sleep(0.2)
        yield Lab(process, f"http://localhost:{port}", token)
    finally:
        started = psutil.Process(process.pid).children(recursive=True)
        os.killpg(process.pid, signal.SIGTERM)
        process.wait()
        for left in psutil.wait_procs(started, timeout=15)[1]:
            left.kill()
        log.close()


@pytest.fixture(scope="session")
def browser():
    PICTURES.mkdir(parents=True, exist_ok=True)
    flags = [*FLAGS, "--no-sandbox"] if os.geteuid() == 0 else FLAGS  # root has no sandbox
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium.find(), args=flags)
        yield browser
        browser.close()


class Notebook:
    """A notebook that is open in JupyterLab, handled as a learner would: with menus, mouse and keys."""

    def __init__(self, page):
        self.page = page
        self.wait()
        self.name = Path(page.url).stem

    def wait(self, running=False):
        """Until all that was to run has run; or until something runs."""
        self.page.wait_for_function(
            """running => {
                const panel = window.jupyterapp?.shell.currentWidget
                const cells = panel?.content?.widgets?.filter(cell => cell.model.type == 'code')
                if (panel?.sessionContext?.session?.kernel?.status != (running ? 'busy' : 'idle')) return false
                return cells.some(cell => cell.model.executionState == 'running') == running
            }""",
            arg=running,
            timeout=1000 * TIMEOUT,
            polling=50,
        )

    def choose(self, menu, *items):
        """Choose an entry of a menu."""
        self.page.locator(".lm-MenuBar-itemLabel").get_by_text(menu, exact=True).click()
        for item in items:
            self.page.locator(".lm-Menu-itemLabel").get_by_text(item, exact=True).click()

    def run_all(self):
        self.choose("Run", "Run All Cells")
        self.wait(running=True)
        self.wait()

    def restart_and_run_all(self):
        self.choose("Run", "Restart Kernel and Run All Cells…")
        self.page.locator(".jp-Dialog .jp-mod-accept").click()
        self.wait(running=True)
        self.wait()

    def read(self):
        """The notebook with its outputs, as it would be saved."""
        return nbformat.from_dict(self.page.evaluate(f"{NOTEBOOK}.model.toJSON()"))

    def cell(self, text):
        """The code cell that holds a text, scrolled into view."""
        cells = enumerate(self.read().cells)
        (number,) = (n for n, cell in cells if cell.cell_type == "code" and text in cell.source)
        self.page.evaluate(f"number => {NOTEBOOK}.scrollToItem(number, 'center')", number)
        return self.page.locator(f'.jp-Notebook [data-windowed-list-index="{number}"]')

    def replace_line(self, cell, old, new):
        cell.locator(".cm-line").get_by_text(old, exact=True).click()
        self.page.keyboard.press("Home")
        self.page.keyboard.press("Shift+End")
        self.page.keyboard.type(new)

    def run_cell(self):
        """Run the cell that the cursor is in."""
        before = self.page.evaluate(f"{NOTEBOOK}.activeCell.model.executionCount")
        self.page.keyboard.press("Control+Enter")
        self.page.wait_for_function(
            f"before => {NOTEBOOK}.activeCell.model.executionCount > before", arg=before
        )

    def theme(self, name):
        self.choose("Settings", "Theme", name)
        self.page.wait_for_selector(f'body[data-jp-theme-name="{name}"]', state="attached")
        self.page.wait_for_timeout(1000)  # until it is drawn

    def picture(self, name):
        """Keep what is in the window."""
        self.page.screenshot(path=PICTURES / f"{name}.png")

    def whole_picture(self, name):
        """Keep the whole notebook, in pieces no higher than Chromium can draw."""
        outer, piece = f"{NOTEBOOK}.outerNode", 8000
        self.page.set_viewport_size({"width": 1280, "height": piece})
        for number in range(1, 10):
            self.page.evaluate(
                f"top => {{ {outer}.scrollTop = top }}", (number - 1) * (piece - 200)
            )
            self.page.wait_for_timeout(1000)  # until its cells are drawn
            self.picture(f"{name}-{number}")
            if self.page.evaluate(
                f"{outer}.scrollTop + {outer}.clientHeight + 1 >= {outer}.scrollHeight"
            ):
                break


@pytest.fixture
def open_notebook(browser, lab):
    """open_notebook(name): it in a new window; without a name, what `make lab` opens."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    page.goto(f"{lab.url}/?token={lab.token}")

    def open_notebook(name=None):
        if name is not None:
            # A workspace of its own opens no other notebook, and so starts no other kernel.
            page.goto(f"{lab.url}/lab/workspaces/{name}/tree/notebooks/{name}.ipynb")
        return Notebook(page)

    yield open_notebook
    for session in page.request.get(f"{lab.url}/api/sessions?token={lab.token}").json():
        page.request.delete(f"{lab.url}/api/sessions/{session['id']}?token={lab.token}")
    context.close()
