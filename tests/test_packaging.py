"""What the repository promises about itself: one version, matching environments, a light import, clean files."""

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

import cogviz

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = PROJECT["optional-dependencies"]
MAX_BYTES = 30_000_000
HOME_PATH = re.compile(r"(?<![\w.])/(?:home|Users|root|work)/\w|\b[A-Z]:\\Users\\")


def direct_requirements() -> list[Requirement]:
    written = PROJECT["dependencies"] + [line for extra, lines in EXTRAS.items() if extra != "all" for line in lines]
    return [Requirement(line) for line in written]


@pytest.fixture(scope="module")
def repository_files() -> list[Path]:
    """Every file that is committed or about to be."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if listed.returncode:
        pytest.skip("not a git checkout")
    return [path for name in set(listed.stdout.split("\0")) - {""} if (path := ROOT / name).is_file()]


def test_extra_all_holds_every_other_extra():
    (everything,) = map(Requirement, EXTRAS["all"])
    assert everything.name == PROJECT["name"]
    assert everything.extras == set(EXTRAS) - {"all"}


def test_conda_environment_installs_the_extra_all_with_the_tested_versions():
    *conda, pip = yaml.safe_load((ROOT / "environment.yml").read_text())["dependencies"]
    assert pip["pip"] == ["--constraint constraints.txt", "--editable .[all]"]
    (python,) = [line.partition("=")[2] for line in conda if line.startswith("python=")]
    assert SpecifierSet(PROJECT["requires-python"]).contains(python)


def test_constraints_pin_every_direct_requirement_inside_its_range():
    lines = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if line and not line.startswith("#")]
    pinned = dict(line.split("==") for line in lines)
    wrong = [str(r) for r in direct_requirements() if not r.specifier.contains(pinned.get(canonicalize_name(r.name), "0.dev0"))]
    assert not wrong
    assert not [line for line in lines if re.search(r"[+/@]", line)], "a local build, a path or an address is no tested version"


@pytest.mark.filterwarnings("ignore::setuptools.warnings.SetuptoolsWarning")
def test_version_is_written_once():
    from setuptools.config.pyprojecttoml import read_configuration

    assert "version" not in PROJECT
    assert read_configuration(ROOT / "pyproject.toml")["project"]["version"] == cogviz.__version__
    assert "version" not in yaml.safe_load((ROOT / "CITATION.cff").read_text())


def test_import_loads_no_heavy_library():
    heavy = ("torch", "matplotlib", "pandas")
    code = f"import sys, cogviz; print([name for name in {heavy} if name in sys.modules])"
    loaded = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()
    assert loaded == "[]"


def test_the_demo_needs_nothing_of_the_notebooks_widgets():
    code = """
import importlib, pkgutil, sys
sys.modules["ipywidgets"] = None  # as where it is not installed
import cogviz.demo
for module in pkgutil.walk_packages(cogviz.demo.__path__, "cogviz.demo."):
    importlib.import_module(module.name)
print([name for name in sys.modules if name.startswith("cogviz.widgets")])
"""
    found = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert found.returncode == 0, found.stderr[-800:]
    assert found.stdout.strip() == "[]"
    assert not [line for line in EXTRAS["demo"] if line.startswith("ipywidgets")]


def test_no_file_is_too_large(repository_files):
    assert not {str(path): size for path in repository_files if (size := path.stat().st_size) > MAX_BYTES}


def test_notebooks_are_committed_without_outputs(repository_files):
    def has_outputs(path: Path) -> bool:
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        return any(cell.get("outputs") or cell.get("execution_count") for cell in cells)

    assert not [str(path) for path in repository_files if path.suffix == ".ipynb" and has_outputs(path)]


def test_no_text_names_a_path_of_somebodys_machine(repository_files):
    found = {}
    for path in repository_files:
        content = path.read_bytes()
        if b"\0" in content[:8192]:
            continue
        if match := HOME_PATH.search(content.decode("utf-8", errors="replace")):
            found[str(path.relative_to(ROOT))] = match.group()
    assert not found
