"""`cogviz report`: executes `notebooks/00_tour.ipynb` and makes it one page."""

from __future__ import annotations

import io
import re
import time
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

from cogviz.tour import ReportError, material

NOTEBOOK = Path(__file__).parents[1] / "notebooks" / "00_tour.ipynb"
TEMPLATE = Path(__file__).with_name("report.html.j2")

SECONDS = 1800
"""A cell may take as long as this; on two cores the slowest takes under a minute and a half."""

SHOWN_FIRST = ["text/html", "text/markdown", "image/svg+xml", "text/latex", "image/png", "image/jpeg", "text/plain"]
"""Of several forms of a result; widgets come as HTML, too, and a page has no kernel to run them."""


def build(output: str | Path, *, models: Sequence[str], **chosen: Any) -> Path:
    """Execute the tour on a `material` and write `output`/index.html (and the executed notebook, tour.ipynb); return the page.

    What a user can get wrong is looked at before the notebook starts. An earlier page stays where the run fails.

    Args:
        models: variants or checkpoint folders.
        chosen: the arguments of `material`.

    Raises:
        ValueError, OSError: unknown model, unreadable recording, missing data, a folder that cannot be written.
        ReportError: a cell failed; one sentence with the cause, the notebook is kept.
    """
    from cogviz.models import zoo

    started = time.time()
    folders = [zoo.folder(m) for m in models]
    if len({f.name for f in folders}) < len(folders):
        raise ReportError(f"two models have the same name ({', '.join(f.name for f in folders)}); give folders with different names")
    if not NOTEBOOK.is_file():
        raise ReportError(f"the notebook {NOTEBOOK} is missing; the report needs a clone of the repository")
    found = material(**chosen)
    for notice in found.notices:
        print(f"note: {notice}")
    output = Path(output)
    if output.exists() and not output.is_dir():
        raise ReportError(f"{output} is a file; give a folder for the report")
    output.mkdir(parents=True, exist_ok=True)
    print(f"{len(found.utterances)} recordings, {len(folders)} model(s): {', '.join(f.name for f in folders)}", flush=True)
    absolute = {name: str(Path(value).resolve()) for name, value in chosen.items() if name in ("data", "root", "neutral") and value}
    plain: dict[str, Any] = {
        name: str(value) for name, value in chosen.items() if name in ("corpus", "actor", "sentence") and value not in (None, "")
    }
    plain |= {"enrolled": True} if chosen.get("enrolled") else {}
    files = [str(Path(f).resolve()) for f in chosen.get("files", ())]
    notebook = _execute(output / "tour.ipynb", {**absolute, **plain, "files": files, "models": [str(f.resolve()) for f in folders]})
    page = output / "index.html"
    temporary = page.with_name(f".{page.name}.part")
    try:
        temporary.write_text(to_html(notebook), encoding="utf-8")
        temporary.replace(page)
    finally:
        temporary.unlink(missing_ok=True)
    print(f"{page} ({page.stat().st_size / 1e6:.1f} MB, {time.time() - started:.0f} s)")
    return page


def _execute(target: Path, parameters: dict[str, Any]) -> Path:
    import papermill
    from nbclient.exceptions import CellTimeoutError, DeadKernelError
    from papermill.exceptions import PapermillExecutionError

    kept = f"the notebook so far is {target}"
    try:
        papermill.execute_notebook(
            NOTEBOOK,
            target,
            parameters,
            kernel_name="python3",
            start_timeout=300,
            execution_timeout=SECONDS,
            extra_arguments=["--IPKernelApp.log_level=40"],
        )
    except PapermillExecutionError as error:
        why = str(error.evalue).strip().partition("\n")[0] or _failed_line(error.traceback)
        raise ReportError(f"the report stopped in cell {error.exec_count} ({error.ename}: {why}); {kept}") from None
    except DeadKernelError:
        raise ReportError(f"the notebook's Python died, perhaps for want of memory; {kept}") from None
    except CellTimeoutError:
        raise ReportError(f"a cell took longer than {SECONDS // 60} minutes; {kept}") from None
    return target


def _failed_line(traceback: Sequence[str]) -> str:
    """The line of the cell that failed: what an assertion without words was about."""
    lines = re.sub(r"\x1b\[[0-9;]*m", "", "\n".join(traceback)).splitlines()
    marked = [line for line in lines if re.match(r"-+> *\d+ ", line)]
    return re.sub(r"^-+> *\d+ +", "", marked[0]) if marked else "no reason given"


def to_html(notebook: str | Path, *, code: bool = False) -> str:
    """Return an executed notebook as one page that loads nothing from a network: text and results, with the `code` where that is wanted.

    Of a widget the page shows how it stood at the end, as HTML.
    """
    import nbformat
    from nbconvert import HTMLExporter
    from traitlets.config import Config

    import cogviz

    config = Config(NbConvertBase={"display_data_priority": SHOWN_FIRST})
    exporter = HTMLExporter(config=config, template_file=str(TEMPLATE), exclude_input=not code, exclude_anchor_links=True)
    node = nbformat.read(notebook, as_version=4)
    for cell in node.cells:
        if cell.cell_type == "markdown":
            cell.source = with_formulas(cell.source)
    first = next((cell.source for cell in node.cells if cell.cell_type == "markdown"), "")
    title = re.sub(r"[*`#]", "", first.partition("\n")[0]).strip() or "cogviz"
    about = {"version": cogviz.__version__, "code": code, "title": title, "notebook": Path(notebook).name}
    body, _ = exporter.from_notebook_node(node, resources={"cogviz": about})
    return str(body)


def with_formulas(text: str) -> str:
    """Return Markdown with its TeX formulas drawn (SVG in the colour of the text), because a page has no script that would draw them."""
    pieces = re.split(r"(`[^`]*`)", text)  # code may have dollars of its own
    return "".join(piece if i % 2 else _FORMULA.sub(_drawn, piece) for i, piece in enumerate(pieces))


_FORMULA = re.compile(r"\$\$(?P<display>.+?)\$\$|(?<![\\$\w])\$(?P<inline>[^$\n]+?)\$(?![\w$])", re.DOTALL)


def _drawn(found: re.Match[str]) -> str:
    from matplotlib.font_manager import FontProperties
    from matplotlib.mathtext import math_to_image

    tex = " ".join((found["display"] or found["inline"]).split())
    target = io.StringIO()
    try:
        math_to_image(f"${tex}$", target, prop=FontProperties(size=12 if found["inline"] else 15), format="svg", color="#123456")
    except ValueError:  # more TeX than matplotlib knows
        return found[0]
    svg = target.getvalue()[target.getvalue().index("<svg") :].replace("#123456", "currentColor")
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL).replace("\n", " ")
    svg = svg.replace("<svg", f'<svg role="img" aria-label="{escape(tex)}" style="vertical-align:-.25em"', 1)
    return svg if found["inline"] else f'\n\n<div class="formula">{svg}</div>\n\n'
