"""Execute the notebooks: `python docs/make_course.py` writes reports/notebooks/*.html, with sound, one page each.

With `--index` it also writes the course's index, notebooks/README.md, with what `benchmarks/lessons.py` measured, and a thumbnail a lesson (of the
cell that is tagged so; needs Chromium).
Names choose some: `python docs/make_course.py 02 08`.
"""

from __future__ import annotations

import argparse
import base64
import io
import json
import re
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

import nbformat
import papermill
from PIL import Image

from cogviz.report import to_html

NOTEBOOKS = Path(__file__).parents[1] / "notebooks"
NEEDS = Path(__file__).parents[1] / "benchmarks" / "results" / "lessons.json"
"""What `benchmarks/lessons.py` measured."""

WIDTH = 640
"""Of a thumbnail, in pixels."""

HEAD = """# The course

From hearing a difference to measuring a model of your own. Each notebook stands for itself, takes a few minutes, needs no network and no GPU, and
ends with exercises that check themselves (`notebooks/solutions/` has the answers). `make lab` opens JupyterLab here; start with the tour, then go on
in order. Run the cells from top to bottom. Where one says that a name does not exist, the kernel was restarted or a cell was skipped: *Run > Run All
Above Selected Cell* mends it.

| | lesson | you will learn | runs in | memory |
|---|---|---|---|---|
"""


def main() -> None:
    """Execute, and write the pages and the index."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("lesson", nargs="*", help="numbers of lessons (default: all)")
    options.add_argument("--output", type=Path, default=Path("reports/notebooks"))
    options.add_argument("--index", action="store_true", help="write notebooks/README.md and the thumbnails, too")
    given = options.parse_args()
    given.output.mkdir(parents=True, exist_ok=True)
    for path in sorted(NOTEBOOKS.glob("[0-9][0-9]_*.ipynb")):
        copy = given.output / path.name
        if not given.lesson or path.name[:2] in given.lesson:
            began = time.time()
            done = papermill.execute_notebook(str(path), str(copy), cwd=str(NOTEBOOKS), kernel_name="python3", progress_bar=False)
            done.metadata["seconds"] = round(time.time() - began)
            nbformat.write(done, copy)
            copy.with_suffix(".html").write_text(to_html(copy, code=not path.name.startswith("00")), encoding="utf-8")
            print(f"{copy.with_suffix('.html')}: {done.metadata['seconds']} s", flush=True)
    if given.index:
        lines = [_line(given.output / path.name) for path in sorted(NOTEBOOKS.glob("[0-9][0-9]_*.ipynb"))]
        (NOTEBOOKS / "README.md").write_text(HEAD + "\n".join(lines) + "\n", encoding="utf-8")


def _line(copy: Path) -> str:
    """A lesson's line of the index; its thumbnail is written beside."""
    notebook = nbformat.read(copy, as_version=4)
    first = notebook.cells[0].source
    title = first.partition("\n")[0].lstrip("# ").strip()
    learns = re.search(r"\*\*You will learn\**:?\**:?\s*(.+?)(?:\n\n|\n\*\*|$)", first, re.DOTALL)
    picture = _picture(notebook)
    small = ""
    if picture is not None:
        target = NOTEBOOKS / "thumbnails" / f"{copy.stem}.png"
        target.parent.mkdir(exist_ok=True)
        picture.thumbnail((WIDTH, WIDTH))
        picture.convert("RGB").quantize(128).save(target, optimize=True)
        small = f'<img src="thumbnails/{target.name}" width="240" alt="{title.replace("*", "")}">'
    text = " ".join(learns[1].split()) if learns else " ".join(first.split("\n\n")[1].split()) if "\n\n" in first else ""
    known = {row["lesson"]: row for row in json.loads(NEEDS.read_text(encoding="utf-8"))} if NEEDS.exists() else {}
    needs = known.get(copy.stem, {"processor_s": int(notebook.metadata.get("seconds", 0)), "peak_gb": None})
    memory = "" if needs["peak_gb"] is None else f"{needs['peak_gb']:.1f} GB"
    return f"| {small} | [{copy.stem[:2]}]({copy.name}) {title} | {text} | {max(1, round(needs['processor_s'] / 60))} min | {memory} |"


def _picture(notebook: Any) -> Image.Image | None:
    """The first picture of the tagged cell, or of the notebook."""
    tagged = [c for c in notebook.cells if "thumbnail" in c.metadata.get("tags", [])]
    for cell in tagged or [c for c in notebook.cells if c.cell_type == "code"]:
        for output in cell.outputs:
            data = output.get("data", {})
            if found := re.search(r'src="data:image/svg\+xml;base64,([^"]+)"', "".join(data.get("text/html", ""))):
                return _rendered(base64.b64decode(found[1]))
            if "image/png" in data:
                return Image.open(io.BytesIO(base64.b64decode(data["image/png"])))
    return None


def _rendered(svg: bytes) -> Image.Image:
    """An SVG as Chromium draws it."""
    browser = next((b for name in ("chromium", "chromium-browser", "google-chrome") if (b := shutil.which(name))), None)
    if browser is None:
        raise SystemExit("thumbnails need Chromium; install it (Debian: apt install chromium), or leave out --index")
    size = [float(x) for x in re.search(rb'viewBox="0 0 ([\d.]+) ([\d.]+)"', svg).groups()]  # type: ignore[union-attr]
    width, height = round(size[0] * 4 / 3), round(size[1] * 4 / 3)
    with tempfile.TemporaryDirectory() as folder:
        page, shot = Path(folder) / "page.html", Path(folder) / "page.png"
        page.write_bytes(b"<body style='margin:0'>" + svg[svg.index(b"<svg") :])
        command = [browser, "--headless", "--no-sandbox", "--hide-scrollbars", f"--window-size={width},{height}", f"--screenshot={shot}"]
        subprocess.run([*command, str(page)], check=True, capture_output=True)
        return Image.open(io.BytesIO(shot.read_bytes()))


if __name__ == "__main__":
    main()
