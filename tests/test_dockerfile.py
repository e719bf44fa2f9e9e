"""The image of the demo is built by users and not here; so what can be read from its recipe is checked by reading."""

from __future__ import annotations

import fnmatch
import json
import re
import tomllib
from pathlib import Path

import pytest

from cogviz.cli import _parser
from cogviz.demo.serve import PORT

ROOT = Path(__file__).parents[1]


def steps(text: str) -> list[tuple[str, str]]:
    """(instruction, its arguments) of a Dockerfile, lines that go on joined, comments left out."""
    lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    joined = re.sub(r"\\\n\s*", " ", "\n".join(lines))
    return [(line.split(None, 1)[0].upper(), line.split(None, 1)[1]) for line in joined.splitlines()]


@pytest.fixture(scope="module")
def recipe() -> list[tuple[str, str]]:
    return steps((ROOT / "Dockerfile").read_text(encoding="utf-8"))


def of(recipe: list[tuple[str, str]], name: str) -> list[str]:
    return [arguments for instruction, arguments in recipe if instruction == name]


def test_the_reader_joins_lines_and_skips_comments() -> None:
    assert steps("# a\nFROM x:1\nRUN a \\\n    && b\n") == [("FROM", "x:1"), ("RUN", "a  && b")]


def test_the_base_image_has_a_version(recipe: list[tuple[str, str]]) -> None:
    (base,) = of(recipe, "FROM")
    assert re.fullmatch(r"python:3\.\d+-slim-[a-z]+", base)
    supported = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["requires-python"]
    assert supported.split(">=")[1][:4] == base.removeprefix("python:")[:4]


def test_it_does_not_run_as_root(recipe: list[tuple[str, str]]) -> None:
    names = [instruction for instruction, _ in recipe]
    (user,) = of(recipe, "USER")
    assert user.isdigit()
    assert int(user) > 0
    assert f"--uid {user} " in next(step for step in of(recipe, "RUN") if step.startswith("useradd"))
    assert names.index("USER") > max(i for i, name in enumerate(names) if name in ("RUN", "COPY"))


def test_only_what_the_demo_needs_is_copied(recipe: list[tuple[str, str]]) -> None:
    assert not of(recipe, "ADD")
    for copied in of(recipe, "COPY"):
        *sources, _ = copied.split()
        for source in sources:
            assert source not in (".", "./", "*")
            assert (ROOT / source).exists(), source


def test_large_and_private_folders_stay_outside() -> None:
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").split("\n")
    for path in (".git", ".venv", "data", "checkpoints/smol-aligned", "runs"):
        assert any(fnmatch.fnmatch(path, pattern) for pattern in ignored), path
    for path in ("data_samples", "checkpoints", "checkpoints/nano-aligned", "checkpoints/whisper-tiny.en-encoder", "cogviz"):
        assert not any(fnmatch.fnmatch(path, pattern) for pattern in ignored if pattern), path


def test_packages_have_the_versions_that_were_tested(recipe: list[tuple[str, str]]) -> None:
    constraints = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    installs = [part for step in of(recipe, "RUN") for part in step.split("&&") if "pip install" in part]
    assert len(installs) == 2
    for install in installs:
        pinned = re.findall(r"\"([a-z]+==[^\"]+)\"", install)
        assert "--constraint constraints.txt" in install or pinned
        assert set(pinned) <= set(constraints)


def test_package_lists_and_the_compiler_do_not_stay(recipe: list[tuple[str, str]]) -> None:
    (step,) = (step for step in of(recipe, "RUN") if "apt-get" in step)
    assert "--no-install-recommends" in step
    assert re.search(r"apt-get update .*install .*purge .*g\+\+ .*rm -rf /var/lib/apt/lists", step)


def test_the_port_is_the_demo_s_and_its_health_is_asked(recipe: list[tuple[str, str]]) -> None:
    assert of(recipe, "EXPOSE") == [str(PORT)]
    (check,) = of(recipe, "HEALTHCHECK")
    command = json.loads(check.split("CMD ")[1])
    assert f"http://127.0.0.1:{PORT}/health" in command[-1]
    compile(command[-1], "health", "exec")


def test_what_it_starts_is_a_command_of_ours(recipe: list[tuple[str, str]]) -> None:
    (command,) = of(recipe, "CMD")
    name, *arguments = json.loads(command)
    assert name == "cogviz"
    options = _parser().parse_args(arguments)
    assert (options.host, options.port, options.share) == ("0.0.0.0", PORT, False)
