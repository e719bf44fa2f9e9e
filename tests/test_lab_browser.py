"""The course in a real JupyterLab in a real Chromium: lessons run, a control of every widget moves its text, nothing leaves the machine."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import textwrap
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import nbformat
import numpy as np
import pytest
import soundfile

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.usefixtures("collected")]

ROOT = Path(__file__).parents[1]
TOKEN = "course"
LATEST = 300_000
"""Milliseconds that a notebook may take on a busy machine."""

BENCH = {
    "begin": """
        from cogviz import tour
        from cogviz.lime import dataset
        from cogviz.models.listener import CogAudioListener
        from cogviz.utterance import cells
        aligned = CogAudioListener("nano-aligned")
        speech = dataset.read(tour.samples())
        conflicts = [u for u in speech if u.congruence == "conflict"][:12]
        cell = cells(speech)[0]""",
    "where": """
        import os
        from pathlib import Path
        assert Path(os.environ["JPY_SESSION_NAME"]).name == "bench.ipynb"  # by which a cell that is run too early finds those above it""",
    "dial": """
        from cogviz.widgets.dominance_dial import DominanceDial
        DominanceDial(speech, [aligned], levels=(0, 0.75, 1.5))""",
    "lens": """
        from cogviz.widgets.attribution_lens import AttributionLens
        AttributionLens([aligned], conflicts[:2])""",
    "map": """
        from cogviz.probing.record import record
        from cogviz.widgets.layer_map import LayerMap
        LayerMap([record(aligned, conflicts, ["connector", "lm.3"], progress=False)])""",
    "editor": """
        from cogviz.training import rewards
        from cogviz.widgets.chain_editor import ChainEditor
        ChainEditor({name: cell[name] for name in ("sad", "angry")}, aligned, rewards.evaluation_judge())""",
    "board": """
        from cogviz.probing.pairs import tone_pairs
        from cogviz.widgets.patch_board import PatchBoard
        PatchBoard(aligned, tone_pairs(speech)[:1])""",
    "own": """
        from cogviz.widgets.own_voice import OwnVoice
        OwnVoice(cell["neutral"])""",
}
"""A cell for each widget that the two lessons do not hold."""


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """JupyterLab on a copy of the notebooks; yields its address."""
    folder = tmp_path_factory.mktemp("lab")
    shutil.copytree(ROOT / "notebooks", folder / "notebooks")
    python = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    bench = nbformat.v4.new_notebook(
        metadata=python, cells=[nbformat.v4.new_code_cell(textwrap.dedent(code).strip(), id=name) for name, code in BENCH.items()]
    )
    nbformat.write(bench, folder / "notebooks" / "bench.ipynb")
    settings = folder / "settings" / "@jupyterlab"
    for name, content in {
        "apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False},
        "notebook-extension/tracker": {"windowingMode": "none"},  # every cell is on the page
    }.items():
        (settings / name).parent.mkdir(parents=True, exist_ok=True)
        (settings / f"{name}.jupyterlab-settings").write_text(json.dumps(content))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    own = {name: str(folder / name.lower()) for name in ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR")}
    env = {**os.environ, **own, "JUPYTERLAB_SETTINGS_DIR": str(folder / "settings"), "PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1"}
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", f"--port={port}", "--ServerApp.port_retries=0"]
    command += [f"--IdentityProvider.token={TOKEN}", f"--ServerApp.root_dir={folder / 'notebooks'}", "--expose-app-in-browser"]
    with open(folder / "log", "w") as log, subprocess.Popen(command, env=env, stdout=log, stderr=log) as server:
        address = f"http://127.0.0.1:{port}"
        try:
            for _ in range(240):
                time.sleep(0.5)
                try:
                    urllib.request.urlopen(f"{address}/api/status?token={TOKEN}", timeout=2)
                    break
                except OSError:
                    assert server.poll() is None, (folder / "log").read_text()[-2000:]
            yield address
        finally:
            server.terminate()
            server.wait(timeout=20)


@pytest.fixture
def browser() -> Iterator[Any]:
    """Chromium."""
    playwright = pytest.importorskip("playwright.sync_api", reason="no playwright: pip install 'cogviz[dev]'")
    found = next(p for name in ("chromium", "chromium-browser", "google-chrome") if (p := shutil.which(name)))
    with playwright.sync_playwright() as started:
        opened = started.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield opened
        opened.close()


class Lesson:
    """A notebook that is open and has been run."""

    def __init__(self, browser: Any, address: str, name: str) -> None:
        self.page = browser.new_page(viewport={"width": 1280, "height": 900})
        self.elsewhere: list[str] = []
        self.errors: list[str] = []
        self.page.on("request", lambda r: None if r.url.startswith((address, "data:", "blob:")) else self.elsewhere.append(r.url))
        self.page.on("pageerror", lambda e: self.errors.append(str(e)))
        self.page.on("console", lambda m: self.errors.append(m.text) if m.type == "error" else None)
        self.page.goto(f"{address}/lab/tree/{name}?token={TOKEN}&reset")
        self.page.wait_for_selector(".jp-Notebook .jp-CodeCell", timeout=LATEST)
        self.until("window.jupyterapp.shell.currentWidget.sessionContext?.session?.kernel?.status === 'idle'")
        self.page.evaluate("window.jupyterapp.commands.execute('notebook:run-all-cells')")
        prompts = "[...document.querySelectorAll('.jp-CodeCell .jp-InputPrompt')].map(p => p.textContent)"
        failed = "document.querySelector('[data-mime-type=\"application/vnd.jupyter.error\"]') !== null"
        self.until(rf"{prompts}.every(p => /\[\d+\]/.test(p)) || {failed}")

    def until(self, true: str) -> None:
        """Wait for a condition of the page (the page's own policy forbids Playwright's way of waiting for one)."""
        for _ in range(LATEST // 500):
            if self.page.evaluate(true):
                return
            time.sleep(0.5)
        raise AssertionError(f"never true: {true}")

    def check(self) -> None:
        """No cell failed, the console says nothing wrong, and nothing was asked of another machine."""
        traces = self.page.locator("[data-mime-type='application/vnd.jupyter.error']").all_inner_texts()
        assert not traces, traces[0][-800:]
        assert self.elsewhere == []
        assert self.errors == []

    def upload(self, cell: Any, path: Path) -> None:
        """Press a cell's upload button by keyboard and choose a file."""
        with self.page.expect_file_chooser() as chooser:
            cell.locator(".jupyter-button:has(.fa-upload)").press("Enter")
        chooser.value.set_files(path)

    @contextmanager
    def changed(self, panel: Any) -> Iterator[None]:
        """What is done inside must change what a panel says."""
        before = panel.inner_text()
        yield
        for _ in range(120):
            if panel.inner_text() != before:
                return
            time.sleep(0.5)
        raise AssertionError(f"the panel still says: {before[:300]}")


def test_players_and_sliders_move_in_the_first_lesson(lab: str, browser: Any) -> None:
    lesson = Lesson(browser, lab, "01_hear_the_difference.ipynb")
    lesson.check()
    with lesson.changed(lesson.page.locator(".panel", has_text="Towards").first):
        handle = lesson.page.locator(".jp-OutputArea .widget-slider .noUi-handle").first
        handle.focus()
        handle.press("ArrowLeft")
        handle.press("ArrowRight")
        handle.press("Home")
    with lesson.changed(lesson.page.locator(".panel").last):
        lesson.page.get_by_role("button", name="angry").last.press("Space")
    lesson.check()


def test_a_dataset_that_is_built_on_the_page_is_played(lab: str, browser: Any) -> None:
    lesson = Lesson(browser, lab, "03_lime.ipynb")
    lesson.check()
    with lesson.changed(lesson.page.locator(".panel").last):
        lesson.page.get_by_role("button", name="surprise").last.press("Space")
    lesson.check()


def test_every_other_widget_moves(lab: str, browser: Any, tmp_path: Path) -> None:
    lesson = Lesson(browser, lab, "bench.ipynb")
    lesson.check()
    at = {name: lesson.page.locator(".jp-CodeCell").nth(i) for i, name in enumerate(BENCH)}
    says = {name: cell.locator(".jp-OutputArea .panel") for name, cell in at.items()}

    with lesson.changed(says["dial"]):
        at["dial"].locator(".noUi-handle").press("Home")
    with lesson.changed(says["lens"]):
        at["lens"].get_by_label("target").select_option("sad")
    with lesson.changed(says["map"]):
        dot = at["map"].locator(".layer-map button").nth(5)
        dot.focus()
        dot.press("Enter")
    with lesson.changed(says["editor"]):
        at["editor"].get_by_label("edit").select_option("swapped with angry")
    with lesson.changed(says["board"]):
        at["board"].locator(".noUi-handle").last.press("ArrowRight")  # from nowhere to the first of the places
    assert "put in at the input" in says["board"].inner_text()

    (tmp_path / "notes.txt").write_text("no sound")
    with lesson.changed(says["own"]):
        lesson.upload(at["own"], tmp_path / "notes.txt")
    assert "notes.txt" in says["own"].get_by_role("alert").inner_text()
    t = np.arange(16_000) / 16_000
    voice = sum(np.sin(2 * np.pi * 150 * k * t) / k for k in range(1, 20)) * (0.5 + 0.5 * np.sin(2 * np.pi * 4 * t))
    soundfile.write(tmp_path / "mine.wav", 0.2 * voice, 16_000)
    with lesson.changed(says["own"]):
        lesson.upload(at["own"], tmp_path / "mine.wav")
    assert "mine.wav" in says["own"].inner_text()
    assert "pitch 150 Hz" in says["own"].inner_text()
    lesson.check()
