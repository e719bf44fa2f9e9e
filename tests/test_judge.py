"""The judge behind an endpoint: its scale, what it cannot read, what a stopped run keeps."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any

import pytest

from cogviz.endpoint import Unreachable, ask
from cogviz.evaluation.judge import RUBRIC, Judged, Response, judge

RESPONSES = [Response(f"u{i}", "So it is.", "sad" if i % 2 else "happy", f"Answer {i}.", f"s{i % 3}", "anna") for i in range(6)]


def level(n: object) -> str:
    return json.dumps({"level": n, "why": "because"})


def judged(endpoint: Any, folder: Path, responses: list[Response] = RESPONSES, **options: Any) -> Judged:
    return judge(
        responses,
        **{"url": endpoint.url, "model": "judge-7b", "kept": folder / "a" / "levels.jsonl", "timeout": 5, "progress": False} | options,
    )


def test_levels_are_counted_with_an_interval(endpoint: Any, tmp_path: Path) -> None:
    endpoint.will_say(level(1), "Well: " + level(2), level(3), level(4), level(4), level(1))
    found = judged(endpoint, tmp_path)
    assert found.levels == {"u0": 1, "u1": 2, "u2": 3, "u3": 4, "u4": 4, "u5": 1}
    assert found.level.value == pytest.approx(15 / 6)
    assert found.specific.value == pytest.approx(3 / 6)
    assert found.level.low <= found.level.value <= found.level.high
    assert (found.level.n, found.nonsense, found.judge) == (6, 0, "judge-7b")
    asked = endpoint.requests[1]
    assert asked["temperature"] == 0
    assert asked["messages"][0]["content"] == RUBRIC
    assert json.loads(asked["messages"][1]["content"]) == {"words": "So it is.", "tone of voice": "sad", "response": "Answer 1."}


@pytest.mark.parametrize("said", ["I like it.", "{}", level(5), level("3"), level(True), level(None), "}{", None])
def test_nonsense_is_tried_again_then_counted_and_not_scored(endpoint: Any, tmp_path: Path, said: object) -> None:
    endpoint.will_say(said, said, level(3))
    found = judged(endpoint, tmp_path, RESPONSES[:2], tries=2)
    assert (found.levels, found.nonsense, found.level.n) == ({"u1": 3}, 1, 1)
    assert len(endpoint.requests) == 3


def test_a_stopped_run_goes_on_where_it_was(endpoint: Any, tmp_path: Path) -> None:
    endpoint.will_say(level(2), level(4))
    endpoint.replies.append((503, b"busy", 4))
    with pytest.raises(Unreachable, match=r"answers 503 .*, 2 tries; 2 of 6 levels are kept in .*run again to go on"):
        judged(endpoint, tmp_path, tries=2)
    kept = tmp_path / "a" / "levels.jsonl"
    kept.write_text(kept.read_text() + '{"key": "half')  # a run that was killed while it wrote
    endpoint.replies.clear()
    endpoint.will_say(level(1))
    assert list(judged(endpoint, tmp_path).levels.values()) == [2, 4, 1, 1, 1, 1]
    asked = len(endpoint.requests)
    assert list(judged(endpoint, tmp_path).levels.values()) == [2, 4, 1, 1, 1, 1]
    assert len(endpoint.requests) == asked, "everything is kept"
    judged(endpoint, tmp_path, model="another-judge")
    assert len(endpoint.requests) == asked + 6, "another judge judges anew"


def test_a_judge_that_never_understands_is_refused(endpoint: Any, tmp_path: Path) -> None:
    endpoint.will_say("nice")
    with pytest.raises(ValueError, match=r"judge-7b at .* made nothing of 6 response\(s\)"):
        judged(endpoint, tmp_path, tries=1)


# --- the endpoint itself ---------------------------------------------------------------------------------------------------------


def test_waits_grow_between_tries(endpoint: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[float] = []
    monkeypatch.setattr("cogviz.endpoint.sleep", waited.append)
    endpoint.replies.append((500, b"", 0))
    with pytest.raises(Unreachable, match=r"answers 500 .*, 4 tries"):
        ask([], str, url=endpoint.url, model="m", timeout=5, tries=4, wait=0.25)
    assert waited == [0.25, 0.5, 1.0]


@pytest.mark.parametrize("status", [401, 404])
def test_a_refusal_is_final(endpoint: Any, status: int) -> None:
    endpoint.replies.append((status, b"", 0))
    with pytest.raises(Unreachable, match=f"answers {status}"):
        ask([], str, url=endpoint.url, model="m", timeout=5)
    assert len(endpoint.requests) == 1


def test_an_endpoint_that_never_answers_is_left() -> None:
    with socket.create_server(("127.0.0.1", 0)) as deaf, pytest.raises(Unreachable, match=r"does not answer .*timed out.*, 2 tries"):
        ask([], str, url=f"http://127.0.0.1:{deaf.getsockname()[1]}/v1", model="m", timeout=0.1, tries=2, wait=0.01)
