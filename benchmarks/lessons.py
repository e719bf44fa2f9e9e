"""How long does each lesson run, and how much memory does it need? Writes benchmarks/results/lessons.json, which the course's index shows.

    python benchmarks/lessons.py        # all that are not measured yet, or have changed since
    python benchmarks/lessons.py 05 08  # these, again

Each lesson is run in a kernel of its own, one at a time. `processor_s` is the time that its processes computed, which a busy machine lengthens much
less than `seconds`, what a clock on the wall showed. `peak_gb` is the largest resident memory of the kernel (VmHWM) and, added to it, the largest
that the processes which it started had together (looked at twice a second). Needs Linux, and psutil, which ipykernel brings.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import threading
import time
from pathlib import Path
from typing import Any

import nbformat
import psutil
from nbclient import NotebookClient

HERE = Path(__file__).parent
NOTEBOOKS = HERE.parent / "notebooks"
RESULTS = HERE / "results" / "lessons.json"
EVERY = 0.5


class Watch(threading.Thread):
    """Looks at a process and all that it starts, until it is stopped."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self.kernel, self.stopped = psutil.Process(pid), threading.Event()
        self.started, self.highest = 0, 0
        self.computed: dict[int, float] = {}

    def run(self) -> None:
        while not self.stopped.wait(EVERY):
            self.look()

    def look(self) -> None:
        try:
            started = self.kernel.children(recursive=True)
            self.started = max(self.started, sum(process.memory_info().rss for process in started))
            self.computed |= {process.pid: sum(process.cpu_times()[:2]) for process in [self.kernel, *started]}
            status = Path(f"/proc/{self.kernel.pid}/status").read_text()
        except (psutil.Error, OSError):  # one of them has just ended
            return
        found = re.search(r"VmHWM:\s+(\d+)", status)
        self.highest = max(self.highest, int(found[1]) * 1024 if found else 0)


def code(path: Path) -> str:
    """Changes when the code of a lesson does."""
    cells = nbformat.read(path, as_version=4).cells
    return hashlib.sha256("\0".join(cell.source for cell in cells if cell.cell_type == "code").encode()).hexdigest()[:12]


def measured(path: Path, keep: Path | None) -> dict[str, Any]:
    notebook = nbformat.read(path, as_version=4)
    client = NotebookClient(notebook, timeout=None, kernel_name="python3", resources={"metadata": {"path": str(NOTEBOOKS)}})
    began = time.time()
    with client.setup_kernel():
        watch = Watch(client.km.provisioner.pid)
        watch.start()
        for index, cell in enumerate(notebook.cells):
            client.execute_cell(cell, index)
        watch.look()
        watch.stopped.set()
        watch.join()
    if keep is not None:
        keep.mkdir(parents=True, exist_ok=True)
        nbformat.write(notebook, keep / path.name)
    return {
        "lesson": path.stem,
        "peak_gb": round((watch.highest + watch.started) / 1e9, 2),
        "processor_s": round(sum(watch.computed.values())),
        "seconds": round(time.time() - began),
        "load": round(os.getloadavg()[1], 1),
        "code": code(path),
    }


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("lesson", nargs="*", help="numbers of lessons (default: those that are new or have changed)")
    options.add_argument("--keep", type=Path, help="folder for the executed notebooks")
    given = options.parse_args()
    known = {row["lesson"]: row for row in json.loads(RESULTS.read_text())} if RESULTS.exists() else {}
    for path in sorted(NOTEBOOKS.glob("[0-9][0-9]_*.ipynb")):
        if path.name[:2] not in given.lesson if given.lesson else known.get(path.stem, {}).get("code") == code(path):
            continue
        known[path.stem] = measured(path, given.keep)
        RESULTS.write_text("[\n" + ",\n".join(json.dumps(known[name]) for name in sorted(known)) + "\n]\n", encoding="utf-8")
        print(json.dumps(known[path.stem]), flush=True)


if __name__ == "__main__":
    main()
