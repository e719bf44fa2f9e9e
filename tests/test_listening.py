"""The listening test: what is on the page, what must not be, and what becomes of the answers."""

from __future__ import annotations

import base64
import html
import io
import json
import re
import shutil
import subprocess
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from cogviz import cli
from cogviz.emotions import EMOTIONS
from cogviz.evaluation import humans
from cogviz.lime import listening_test as lt
from cogviz.utterance import Utterance

SPEAKERS = ("anna", "ben", "cleo", "dan")


def utterances(sentences: int = 8, seconds: float = 0.2) -> list[Utterance]:
    """Every sentence by every speaker in every tone; odd sentences have angry words."""
    return [
        Utterance(
            f"{s}-{speaker}-{emotion}", f"Sentence {s}.", emotion, speaker, f"sentence-{s}", "lime",
            waveform=np.random.default_rng([s, i, j]).normal(0, 0.1, int(seconds * 16000)).astype(np.float32),
            lexical_emotion="angry" if s % 2 else None, extra={"part": "conflict" if s % 2 else "ambiguous"},
        )
        for s in range(sentences) for i, speaker in enumerate(SPEAKERS) for j, emotion in enumerate(EMOTIONS)
    ]  # fmt: skip


def content(page: Path) -> dict[str, Any]:
    """The data that the page carries."""
    found = re.search(r'<script type="application/json" id="test">(.*?)</script>', page.read_text(), re.DOTALL)
    return json.loads(found[1])


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return lt.make(utterances(), tmp_path_factory.mktemp("docs") / "new" / "test.html", items=28, seed=0, name="samples")


# --- the choice ------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("items", [7, 28, 30, 56])
def test_clips_are_balanced_over_emotions_speakers_and_parts(items: int) -> None:
    chosen = lt.choose(utterances(), items)
    assert len({u.id for u in chosen}) == items
    for kind in (lambda u: u.emotion, lambda u: u.speaker, lambda u: u.extra["part"]):
        counts = Counter(map(kind, chosen))
        assert max(counts.values()) - min(counts.values()) <= 1 + (items % 7 > 0), counts
    if items >= 28:
        assert all(len({u.speaker for u in chosen if u.emotion == e}) == 4 for e in EMOTIONS)
        assert max(Counter(u.sentence for u in chosen).values()) <= items / 8 + 2


def test_a_seed_gives_the_same_page_and_another_gives_another(page: Path, tmp_path: Path) -> None:
    again = lt.make(utterances(), tmp_path / "again.html", items=28, seed=0, name="samples")
    assert again.read_bytes() == page.read_bytes()
    other = lt.make(utterances(), tmp_path / "other.html", items=28, seed=1, name="samples")
    assert content(other)["test"] != content(page)["test"]


def test_what_cannot_be_made_is_one_sentence(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.raises(lt.ListeningTestError, match="at least two emotions"):
        lt.choose([u for u in utterances() if u.emotion == "sad"], 7)
    with pytest.raises(lt.ListeningTestError, match="3 clips are too few for 7 emotions; give --items 7 or more"):
        lt.choose(utterances(), 3)
    with pytest.raises(lt.ListeningTestError, match=r"too few \w+ recordings for 60 balanced clips; give --items 28 or fewer"):
        lt.choose(utterances(1), 60)
    monkeypatch.setattr(lt, "LARGEST", 50_000)
    with pytest.raises(lt.ListeningTestError, match=r"MB, more than 0\.05; give fewer --items"):
        lt.make(utterances(), tmp_path / "x.html", items=28)
    assert not (tmp_path / "x.html").exists()


# --- the page --------------------------------------------------------------------------------------------------------------------


def test_the_page_is_one_file_that_asks_no_network_for_anything(page: Path) -> None:
    text = page.read_text()
    assert page.stat().st_size < lt.LARGEST
    assert not re.search(r"(?:https?:)?//[a-z0-9-]+\.[a-z]", text.replace("data:audio", ""), re.IGNORECASE)
    assert set(re.findall(r'(?:src|href)="([^"]*)"', text)) == {"data:,"}
    assert "default-src 'none'" in text
    assert not re.search(r"\b(?:fetch|XMLHttpRequest|WebSocket|sendBeacon|import)\s*\(", text)
    assert "@import" not in text
    assert "url(" not in text


def test_every_clip_is_inside_and_is_the_recording(page: Path) -> None:
    by_id = {u.id: u for u in utterances()}
    test = content(page)
    assert len(test["items"]) == 28
    for item in test["items"]:
        kind, _, data = item["audio"].partition(",")
        assert kind == "data:audio/flac;base64"
        samples, rate = soundfile.read(io.BytesIO(base64.b64decode(data)), dtype="float32")
        truth = lt.unseal(item["sealed"], test["test"], item["id"])
        assert rate == 16000
        np.testing.assert_allclose(samples, np.clip(by_id[truth.utterance].samples, -1, 1), atol=1e-4)
    practice = soundfile.read(io.BytesIO(base64.b64decode(test["practice"].partition(",")[2])))[0]
    assert len(practice)


def test_a_listener_cannot_read_the_truth_off_the_page(page: Path) -> None:
    test = content(page)
    assert not set(test["items"][0]) - {"id", "sealed", "audio"}
    rows = json.dumps([{k: v for k, v in item.items() if k != "audio"} for item in test["items"]])
    for word in (*EMOTIONS, *SPEAKERS, "sentence"):
        assert word not in rows
    decoded = b"".join(base64.b64decode(item["sealed"]) for item in test["items"])
    assert not any(e.encode() in decoded for e in EMOTIONS)
    assert len({len(item["sealed"]) for item in test["items"]}) == 1, "not even by its length"
    assert len({item["sealed"][:8] for item in test["items"]}) == 28
    voices = [lt.unseal(item["sealed"], test["test"], item["id"]).voice for item in test["items"]]
    assert voices != sorted(voices, key=EMOTIONS.index)


def test_a_seal_opens_to_what_was_sealed_and_only_with_its_own_key() -> None:
    truth = lt.Truth("ü-1", "fear", None, "ein Satz", "jo")
    sealed = lt.seal(truth, "t", "i")
    assert lt.unseal(sealed, "t", "i") == truth
    for wrong in ((sealed, "t", "j"), (sealed, "u", "i"), ("A" + sealed[1:], "t", "i"), ("?", "t", "i"), ("", "t", "i")):
        with pytest.raises(ValueError, match=r"seal|base64|padding"):
            lt.unseal(*wrong)


def test_the_page_can_be_used_with_keyboard_and_screen_reader(page: Path) -> None:
    text = page.read_text()
    assert '<html lang="en">' in text
    assert text.count("<fieldset") == text.count("<legend") == 3
    assert 'role="status"' in text
    assert 'aria-live="polite"' in text
    assert "prefers-color-scheme: dark" in text
    assert "prefers-reduced-motion" in text
    assert 'name="viewport"' in text


def test_the_command_makes_the_page(tiny_dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = tmp_path / "docs" / "listening_test.html"
    arguments = ["lime", "listening-test", "--data", str(tiny_dataset), "--output", str(target), "--items", "14"]
    assert cli.main(arguments) == 0
    assert f"{target}: 14 recordings" in capsys.readouterr().out
    assert content(target)["data"] == "tiny"
    assert cli.main([*arguments[:-1], "400"]) == 2
    assert "balanced clips" in capsys.readouterr().err


# --- the answers -----------------------------------------------------------------------------------------------------------------


def result(answers: list[tuple[lt.Truth, str, int]], rater: str = "r1", finished: str = "2026-01-01", data: str = "d") -> dict[str, Any]:
    """A results file as the page saves it: (truth, answered emotion, naturalness) each."""
    items = [
        {
            "id": str(i), "sealed": lt.seal(truth, "t", str(i)), "position": i, "emotion": emotion, "certainty": 3, "naturalness": rating,
            "plays": 1, "seconds": 4.2,
        }
        for i, (truth, emotion, rating) in enumerate(answers)
    ]  # fmt: skip
    return {"format": lt.FORMAT, "test": "t", "data": data, "rater": rater, "started": "", "finished": finished, "items": items}


def write(folder: Path, **files: dict[str, Any]) -> Path:
    for name, value in files.items():
        (folder / f"{name}.json").write_text(json.dumps(value))
    return folder


SAD = lt.Truth("a", "sad", None, "s1", "anna")
ANGRY = lt.Truth("b", "angry", "happy", "s2", "anna")
HAPPY = lt.Truth("c", "happy", "happy", "s3", "ben")
FEAR = lt.Truth("d", "fear", "happy", "s4", "ben")


def test_figures_by_hand(tmp_path: Path) -> None:
    """Two people, four clips: sad 2/2, angry 1/2 (once heard as the words), happy 1/2, fear 0/2 (once as the words)."""
    write(
        tmp_path,
        one=result([(SAD, "sad", 5), (ANGRY, "angry", 4), (HAPPY, "happy", 3), (FEAR, "happy", 2)], "r1"),
        two=result([(SAD, "sad", 1), (ANGRY, "happy", 2), (HAPPY, "sad", 3), (FEAR, "sad", 4)], "r2"),
    )
    rows = {r["measure"]: r for r in humans.evaluate(tmp_path)}
    expected = {
        "raters": (2, 8),
        "voice_accuracy": (4 / 8, 8),
        "voice_balanced_accuracy": ((1 + 0.5 + 0.5 + 0) / 4, 8),
        "voice_recall_sad": (1.0, 2),
        "voice_recall_angry": (0.5, 2),
        "voice_recall_fear": (0.0, 2),
        "naturalness_mean": (3.0, 8),
        "certainty_mean": (3.0, 8),
        "follows_voice": (1 / 4, 4),
        "follows_words": (2 / 4, 4),
        "follows_neither": (1 / 4, 4),
    }
    for measure, (value, n) in expected.items():
        assert (rows[measure]["value"], rows[measure]["n"]) == (pytest.approx(value), n), measure
    assert rows["voice_balanced_accuracy"]["chance"] == 0.25
    assert "unparsed" not in rows
    assert all(set(r) == {"model", "measure", "value", "low", "high", "n", "chance", "data"} for r in rows.values())
    assert {(r["model"], r["data"]) for r in rows.values()} == {("humans", "d")}
    low, high = (rows["naturalness_mean"][end] for end in ("low", "high"))
    assert low < 3 < high or low == high == 3
    json.dumps(list(rows.values()), allow_nan=False)


def test_with_ten_people_the_interval_is_clustered_by_person_too(tmp_path: Path) -> None:
    """All hear every sentence alike but people differ: only clustering by person shows a spread."""
    four = (SAD, ANGRY, HAPPY, FEAR)
    for people in (9, 10):
        folder = tmp_path / str(people)
        folder.mkdir()
        write(folder, **{f"p{i}": result([(t, "sad", 1 + 4 * (i % 2)) for t in four], f"r{i}") for i in range(people)})
        row = next(r for r in humans.evaluate(folder) if r["measure"] == "naturalness_mean")
        assert (row["high"] - row["low"] > 0.5) == (people == 10)


def test_a_file_saved_twice_counts_once_and_datasets_are_kept_apart(tmp_path: Path) -> None:
    first = result([(SAD, "angry", 1), (ANGRY, "angry", 1)], finished="2026-01-01")
    second = result([(SAD, "sad", 5), (ANGRY, "angry", 5)], finished="2026-01-02")
    other = result([(SAD, "sad", 2), (HAPPY, "happy", 2)], "r9", data="other")
    rows = humans.evaluate(write(tmp_path, a=second, b=first, c=other))
    found = {(r["data"], r["measure"]): r["value"] for r in rows}
    assert found["d", "raters"] == 1
    assert found["d", "naturalness_mean"] == 5
    assert found["other", "naturalness_mean"] == 2
    assert humans.evaluate(tmp_path / "a.json")[0]["n"] == 2


def broken(change: Callable[[dict[str, Any]], object]) -> str:
    value = result([(SAD, "sad", 5), (ANGRY, "angry", 4)])
    change(value)
    return json.dumps(value)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("not json", "holds no JSON"),
        ("[1, 2]", "is not a results file of the listening test"),
        ('{"format": "else"}', "is not a results file of the listening test"),
        (broken(lambda v: v.update(items=[])), "holds no answers"),
        (broken(lambda v: v.pop("rater")), "does not say which test and listener"),
        (broken(lambda v: v["items"][1].update(emotion="bored")), r"answer 2: emotion is 'bored'; it must be one of neutral"),
        (broken(lambda v: v["items"][0].update(naturalness=6)), "answer 1: naturalness is 6; it must be a whole number from 1 to 5"),
        (broken(lambda v: v["items"][0].pop("certainty")), "certainty is None"),
        (broken(lambda v: v["items"][0].update(certainty=True)), "certainty is True"),
        (broken(lambda v: v["items"][0].update(sealed=v["items"][1]["sealed"])), "the seal does not fit its recording"),
        (broken(lambda v: v["items"].append(v["items"][0])), "answer 3: has no id of its own"),
    ],
)
def test_a_wrong_file_is_one_sentence(tmp_path: Path, text: str, reason: str) -> None:
    (tmp_path / "r.json").write_text(text)
    with pytest.raises(humans.ResultsError, match=reason) as caught:
        humans.evaluate(tmp_path / "r.json")
    assert "\n" not in str(caught.value)


def test_missing_results_are_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(humans.ResultsError, match="does not exist"):
        humans.evaluate(tmp_path / "no.json")
    with pytest.raises(humans.ResultsError, match=r"holds no \.json file"):
        humans.evaluate(tmp_path)


def test_the_command_prints_and_writes_the_figures(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path, one=result([(SAD, "sad", 5), (ANGRY, "angry", 4)]))
    assert cli.main(["evaluate", "humans", "--data", str(tmp_path), "--json", str(tmp_path / "out" / "rows.json")]) == 0
    assert re.search(r"humans\s+voice_accuracy\s+1\.000", capsys.readouterr().out)
    assert json.loads((tmp_path / "out" / "rows.json").read_text())[0]["measure"] == "raters"


# --- in a browser ----------------------------------------------------------------------------------------------------------------

LISTENER = """
<script>
  const all = (selector) => document.querySelectorAll(selector), heard = document.getElementById("audio");
  document.getElementById("start").click();
  const log = [String(document.getElementById("next").getAttribute("aria-disabled"))];
  document.getElementById("next").click();
  for (let n = 0; n < 28; n++) {
    log.push(document.getElementById("place").textContent);
    heard.dispatchEvent(new Event("ended"));
    document.querySelector('#choices input[value="' + (n % 2 ? "sad" : "fear") + '"]').click();
    all("[data-name=certainty] input")[n % 5].click();
    document.getElementById("next").click();  // naturalness is missing: stays where it is
    all("[data-name=naturalness] input")[3].click();
    document.getElementById("next").click();
  }
  document.body.append(Object.assign(document.createElement("pre"), { id: "log", textContent: JSON.stringify(log) }));
</script></body>"""


@pytest.mark.browser
def test_a_browser_walks_through_the_test_and_its_file_is_read_back(page: Path, tmp_path: Path) -> None:
    driven = tmp_path / "driven.html"
    driven.write_text(page.read_text().replace("</body>", LISTENER))
    command = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    flags = "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking --disable-sync"
    done = subprocess.run(
        [str(command), *flags.split(), "--disable-component-update", f"--user-data-dir={tmp_path / 'profile'}", "--dump-dom", driven.as_uri()],
        capture_output=True, text=True, check=True, timeout=120,
    )  # fmt: skip

    def shown(element: str) -> str:
        return html.unescape(re.search(rf'id="{element}"[^>]*>(.*?)</', done.stdout, re.DOTALL)[1])

    log = json.loads(shown("log"))
    assert log == ["true", *[f"{n} of 28" for n in range(1, 29)]]
    saved = json.loads(shown("text"))
    order = [item["id"] for item in saved["items"]]
    assert sorted(order) == sorted(item["id"] for item in content(page)["items"])
    assert order != [item["id"] for item in content(page)["items"]], "every listener hears another order"
    assert [item["emotion"] for item in saved["items"]] == ["fear", "sad"] * 14
    assert saved["finished"]
    (tmp_path / "r.json").write_text(json.dumps(saved))
    rows = {r["measure"]: r for r in humans.evaluate(tmp_path / "r.json")}
    right = round(rows["voice_accuracy"]["value"] * 28)
    assert f"{right} of 28 times" in shown("score"), "the page opens the seals as Python does"
    assert f"followed the voice {round(rows['follows_voice']['value'] * rows['follows_voice']['n'])} of" in shown("score")
    assert rows["naturalness_mean"]["value"] == 4
