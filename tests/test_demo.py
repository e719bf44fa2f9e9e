"""The demo's promises, through Gradio's own client: every endpoint answers, and whatever is uploaded gets one clear sentence."""

from __future__ import annotations

import concurrent.futures
import itertools
import json
import shutil
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gradio_leaves
import hostile
import numpy as np
import pytest
import soundfile

pytest.importorskip("gradio", reason="the demo needs gradio")

from cogviz.demo import engine as engines
from cogviz.demo import serve, texts
from cogviz.demo.limits import FORGET, KEPT
from cogviz.emotions import EMOTIONS

pytestmark = [
    pytest.mark.usefixtures("collected"),
    *gradio_leaves.WARNINGS,
]

SAD = "It's hopeless, said the doctor, and my husband wept."


@pytest.fixture(scope="module")
def engine() -> engines.Engine:
    return engines.Engine(seconds=120)


@pytest.fixture(scope="module")
def url(engine: engines.Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRADIO_TEMP_DIR", str(tmp_path_factory.mktemp("served")))
        page = serve.start(engine, port=0, wait=False, quiet=True)
        yield page.local_url.rstrip("/")
        page.close()


@pytest.fixture(scope="module")
def client(url: str, tmp_path_factory: pytest.TempPathFactory) -> Any:
    from gradio_client import Client

    return Client(url, verbose=False, download_files=str(tmp_path_factory.mktemp("got")))


@pytest.fixture
def own(engine: engines.Engine, tmp_path: Path) -> Path:
    """A visitor's recording: one of the shipped sentences, at another rate and in stereo."""
    path = tmp_path / "me.wav"
    samples = engine.sounds.sentence(SAD).samples
    soundfile.write(path, np.stack([samples, samples], axis=1), 16_000)
    return path


def get(url: str) -> tuple[int, bytes]:
    try:
        with urllib.request.urlopen(url, timeout=30) as reply:
            return reply.status, reply.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def test_health_says_when_the_models_are_there(url: str) -> None:
    status, body = get(f"{url}/health")
    assert status == 200
    assert json.loads(body)["models"] == list(engines.MODELS)


def test_every_endpoint_is_named_and_described(client: Any) -> None:
    info = client.view_api(return_format="dict")["named_endpoints"]
    assert set(info) == {f"/{name}" for name in texts.ENDPOINTS}
    assert not client.view_api(return_format="dict")["unnamed_endpoints"]


def test_sentences_and_models(client: Any) -> None:
    assert SAD in [row["sentence"] for row in client.predict(api_name="/sentences")]
    assert client.predict(api_name="/models")["side_by_side"] == list(engines.MODELS)


def test_answers_come_step_by_step_and_show_the_dominance_of_the_words(client: Any) -> None:
    job = client.submit(SAD, "angry", "high", None, api_name="/listen")
    messages = list(job)
    last = job.outputs()[-1]
    assert len(messages) > 20
    assert last["done"]
    assert {row["model"]: row["followed"] for row in last["answers"]} == {"nano-baseline": "words", "nano-aligned": "voice"}
    for row in last["answers"]:
        grown = [next(a["answer"] for a in m["answers"] if a["model"] == row["model"]) for m in messages]
        assert all(after.startswith(before) for before, after in itertools.pairwise(grown))
        assert abs(sum(row["probabilities"].values()) - 1) < 0.01


def test_a_variant_is_a_sound_file(client: Any) -> None:
    samples, rate = soundfile.read(client.predict(SAD, "happy", "low", None, api_name="/variant"))
    assert rate == 16_000
    assert 0.1 < np.abs(samples).max() <= 1


def test_all_seven_voices_are_answered_by_both(client: Any) -> None:
    rows = client.predict(SAD, "high", None, api_name="/seven")
    assert {(r["model"], r["voice"]) for r in rows} == {(m, e) for m in engines.MODELS for e in EMOTIONS}


def test_the_conflict_has_a_threshold_for_the_listener_alone(client: Any) -> None:
    rows = client.predict(SAD, "angry", api_name="/conflict")
    threshold = {r["model"]: r["threshold"] for r in rows}
    assert threshold["nano-baseline"] is None
    assert 0 < threshold["nano-aligned"] < 1


def test_why_says_what_spoke(client: Any) -> None:
    rows = client.predict(SAD, "angry", "high", None, "nano-aligned", api_name="/why")
    kinds = {r["what"] for r in rows}
    assert kinds == {"probabilities", "relevance", "attention", "patching"}
    assert abs(sum(r["value"] for r in rows if r["what"] == "attention") - 1) < 0.01
    decided = {(r["site"], r["segment"]): r["value"] for r in rows if r["what"] == "patching"}
    assert decided["connector", "tone"] > 0.5 > abs(decided["connector", "words"])


def example(language: str, url: str) -> str:
    """The code that the page shows to programmers, asked of this server."""
    code = texts.API.split(f"```{language}\n")[1].split("```")[0]
    assert "http://127.0.0.1:7860" in code
    return code.replace("http://127.0.0.1:7860", url)


def test_the_example_in_python_runs(url: str, own: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(own.parent)
    exec(example("python", url), {})
    printed = capsys.readouterr().out
    assert SAD in printed
    assert printed.count("'claimed'") == 4


@pytest.mark.skipif(shutil.which("node") is None, reason="the example in JavaScript needs node")
def test_the_example_in_javascript_runs(client: Any, url: str, tmp_path: Path) -> None:
    path = tmp_path / "example.mjs"
    path.write_text(
        example("javascript", url).replace("console.log(", "console.log(JSON.stringify(", 1).replace(".answers);", ".answers));")
    )
    ran = subprocess.run(["node", str(path)], capture_output=True, text=True, timeout=120, check=False)
    assert ran.returncode == 0, ran.stderr
    assert json.loads(ran.stdout) == client.predict(SAD, "angry", "high", None, api_name="/listen")["answers"]


def test_two_recordings_are_compared(client: Any, own: Path) -> None:
    from gradio_client import handle_file

    given = ("", "as recorded", "mid", handle_file(own), "nano-baseline", SAD, "happy", "mid", None, "nano-aligned")
    rows = client.predict(*given, api_name="/compare")
    assert [(r["model"], r["voice"]) for r in rows] == [("nano-baseline", None), ("nano-aligned", "happy")]


def test_results_are_taken_home(client: Any) -> None:
    found = [Path(p) for p in client.predict(SAD, "angry", "high", None, api_name="/files")]
    assert sorted(p.suffix for p in found) == [".json", ".png", ".wav"]
    picture = next(p for p in found if p.suffix == ".png")
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_a_visitor_s_own_voice_is_moved_and_not_kept(client: Any, engine: engines.Engine, own: Path) -> None:
    from gradio_client import handle_file

    answer = client.predict("", "angry", "mid", handle_file(own), api_name="/listen")
    assert answer["answers"][0]["voice"] == "angry"
    assert 0 < len(engine.sounds.recordings) <= KEPT
    assert engine.sounds.recordings.seconds == FORGET < 600


def test_a_long_recording_is_cut_and_says_so(client: Any, tmp_path: Path) -> None:
    from gradio_client import handle_file

    path = tmp_path / "long.flac"
    seconds = np.arange(16_000 * 34) / 16_000
    soundfile.write(path, 0.2 * np.sin(2 * np.pi * 140 * seconds), 16_000)
    answer = client.predict("", "as recorded", "mid", handle_file(path), api_name="/listen")
    assert answer["notices"] == ["your own recording is 34 s long: only its first 30 s are heard"]


@pytest.mark.parametrize(
    ("chosen", "says"),
    [
        (("no such sentence", "angry", "high"), "There is no sentence"),
        ((SAD, "bored", "high"), "'bored' .* is not in the list of choices"),
        ((SAD, "angry", "7"), "'7' .* is not in the list of choices"),
    ],
)
def test_a_wrong_choice_gets_a_sentence(client: Any, chosen: tuple[str, str, str], says: str) -> None:
    with pytest.raises(Exception, match=says) as error:
        client.predict(*chosen, None, api_name="/listen")
    assert "Traceback" not in str(error.value)


def test_words_that_say_nothing_have_no_conflict(client: Any, engine: engines.Engine) -> None:
    silent = next(label for label, u in engine.sounds.sentences.items() if u.lexical_emotion is None)
    with pytest.raises(Exception, match="say nothing that a voice could contradict"):
        client.predict(silent, "angry", api_name="/conflict")


def test_whatever_is_read_gets_one_sentence_without_a_path(engine: engines.Engine, tmp_path: Path) -> None:
    refused = 0
    for i, (_, content) in enumerate(hostile.hostile(200)):
        path = tmp_path / f"{i}.wav"
        path.write_bytes(content)
        try:
            spoken, _ = engine.sounds.own(str(path))
            assert len(spoken.samples) <= 30 * 16_000
            assert np.isfinite(spoken.samples).all()
        except engines.ERRORS as error:
            refused += 1
            said = str(error)
            assert said.startswith("your own recording ")
            assert "\n" not in said
            assert str(tmp_path) not in said
    assert refused > 120


def test_hostile_uploads_get_one_clear_sentence_each(client: Any, url: str, tmp_path: Path) -> None:
    from gradio_client import handle_file

    for i, (name, content) in enumerate(hostile.hostile(25)):
        path = tmp_path / f"{i}-{name}".replace("/", "_")
        path.write_bytes(content)
        try:
            client.predict("", "as recorded", "mid", handle_file(path), api_name="/variant")
        except Exception as error:
            said = str(error)
            assert said.startswith("Your own recording "), (name, said)
            assert said.endswith("."), (name, said)
            assert "/" not in said.replace("WAV, FLAC, MP3, OGG or AIFF", ""), (name, said)
        else:
            assert name == "slow.wav"  # 30 s of it are sound
    assert get(f"{url}/health")[0] == 200


def test_a_file_of_more_than_ten_megabytes_is_refused(client: Any, tmp_path: Path) -> None:
    from gradio_client import handle_file

    path = tmp_path / "big.wav"
    path.write_bytes(bytes(11 * 2**20))
    with pytest.raises(Exception, match=r"(?i)size|large|limit|413"):
        client.predict("", "angry", "mid", handle_file(path), api_name="/variant")


@pytest.mark.parametrize(
    "path", ["/etc/passwd", "../../../etc/passwd", "/proc/self/environ", "pyproject.toml", "checkpoints/two_by_two.csv"]
)
def test_only_its_own_folder_is_served(url: str, path: str) -> None:
    status, body = get(f"{url}/gradio_api/file={path}")
    assert status in (403, 404)
    assert b"root:" not in body


@pytest.mark.parametrize("path", ["/etc/passwd", "/etc/../etc/hostname", "data_samples/metadata.parquet"])
def test_a_path_of_this_machine_is_no_upload(url: str, path: str) -> None:
    data = {"data": ["", "as recorded", "mid", {"path": path, "meta": {"_type": "gradio.FileData"}}]}
    request = urllib.request.Request(f"{url}/gradio_api/call/variant", json.dumps(data).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=30) as reply:
        event = json.load(reply)["event_id"]
    status, body = get(f"{url}/gradio_api/call/variant/{event}")
    assert status == 200
    assert b"event: error" in body
    assert b"root" not in body


def test_nothing_is_counted_or_loaded_from_a_network(url: str) -> None:
    page = get(url)[1].decode()
    config = json.loads(get(f"{url}/config")[1])
    assert config["analytics_enabled"] is False
    assert "googleapis" not in page
    assert not [sheet for sheet in config.get("stylesheets") or [] if sheet.startswith("http")]


def test_visitors_at_once_get_their_own_answers(url: str, engine: engines.Engine, tmp_path: Path) -> None:
    from gradio_client import Client

    sentences = list(engine.sounds.emotional)[:4]
    alone = {
        s: [r["answer"] for r in Client(url, verbose=False).predict(s, "angry", "high", None, api_name="/listen")["answers"]]
        for s in sentences
    }

    def visit(sentence: str) -> list[str]:
        mine = Client(url, verbose=False, download_files=str(tmp_path))
        return [row["answer"] for row in mine.predict(sentence, "angry", "high", None, api_name="/listen")["answers"]]

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        assert list(pool.map(visit, sentences)) == list(alone.values())


def test_who_leaves_makes_room_for_the_next(client: Any) -> None:
    job = client.submit(SAD, "angry", "high", None, api_name="/listen")
    next(iter(job))
    job.cancel()
    start = time.monotonic()
    assert client.predict(SAD, "sad", "high", None, api_name="/listen")["done"]
    assert time.monotonic() - start < 30


def test_a_question_that_takes_too_long_is_stopped(engine: engines.Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "seconds", 0.05)
    with pytest.raises(engines.Busy, match="took longer than"):
        list(engine.listen(engine.spoken(SAD, "angry", "high")))
    monkeypatch.setattr(engine, "seconds", 60.0)
    assert list(engine.listen(engine.spoken(SAD, "angry", "high")))[-1].done


def test_an_unexpected_error_tells_nothing(engine: engines.Engine) -> None:
    from cogviz.demo.tabs.common import shown

    def fails() -> None:
        raise RuntimeError("the key is 1234 in /secret/file")

    with pytest.raises(Exception, match=texts.OOPS) as error:
        shown(fails)()
    assert "1234" not in str(error.value)
