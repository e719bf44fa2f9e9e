"""`cogviz report`: the real notebook, executed on little, is one page that loads nothing, shows no code and survives any answer."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
import numpy as np
import pandas as pd
import pytest

from cogviz import audio, cli, report, tour
from cogviz.eips import Answer, Chain, parse, render
from cogviz.evaluation import dominance
from cogviz.lime import dataset
from cogviz.models.listener import Heard
from cogviz.models.zoo import VARIANTS
from cogviz.plotting import page
from cogviz.statistics import Estimate
from cogviz.utterance import Utterance

SAYS = render(Answer("Oh, how lovely for you!", Chain("The voice sounds happy.", "To share.", "They are glad.", "Share it.")))


@pytest.fixture(scope="module")
def checkpoints(make_tiny: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`babble`, whose answers cannot be read, and `nano-aligned`, which gives one valid answer to everything; with figures and a curve."""
    import torch

    folder = tmp_path_factory.mktemp("checkpoints")
    model, processor = make_tiny()
    model.save_pretrained(folder / "babble")
    processor.save_pretrained(folder / "babble")
    # The sound becomes zeros, so that the language model can learn one answer by heart, whatever it hears.
    for part in (
        model.connector.words[-1].weight,
        model.connector.words[-1].bias,
        model.connector.tone[-1].weight,
        model.connector.tone[-1].bias,
    ):
        torch.nn.init.zeros_(part)
    text = processor.tokenizer(processor.prompt("reason", 0) + SAYS, add_special_tokens=False, return_tensors="pt")["input_ids"]
    text = torch.cat([text, torch.tensor([[processor.tokenizer.eos_token_id]])], dim=1)
    optimizer = torch.optim.Adam(model.language_model.parameters(), lr=1e-2)
    for step in range(150):
        words = model.get_input_embeddings()(text)
        sound = torch.zeros(1, 20 + step % 40, words.shape[2])
        labels = torch.cat([torch.full((1, 1 + sound.shape[1]), -100), text[:, 1:]], dim=1)
        loss = model.language_model(inputs_embeds=torch.cat([words[:, :1], sound, words[:, 1:]], dim=1), labels=labels).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    model.save_pretrained(folder / "nano-aligned")
    processor.save_pretrained(folder / "nano-aligned")
    (folder / "nano-aligned" / "figures.json").write_text(json.dumps(held_out_rows(voice=0.7, words=0.1)))
    curve = [("dr-sapo", step, "reward_total (reason)", 0.5 + step / 50) for step in range(20)]
    pd.DataFrame(curve, columns=["stage", "step", "name", "value"]).to_csv(folder / "nano-aligned" / "curve.csv", index=False)
    return folder


@pytest.fixture(scope="module")
def data(tiny_dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cell of three variants and three items whose words say something else than the voice (their labels are made up)."""
    folder = tmp_path_factory.mktemp("data")
    rows = [row for row in dataset.read_rows(tiny_dataset) if row["part"] == "equal_length"][:3]
    spoken = [row for row in dataset.read_rows(tiny_dataset) if row["part"] == "agreeing"][:3]
    rows += [{**row, "lexical_emotion": "happy", "emotion": "sad"} for row in spoken]
    for row in rows:
        (folder / row["file_name"]).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(tiny_dataset / row["file_name"], folder / row["file_name"])
    dataset.write_rows(folder, rows)
    return folder


@pytest.fixture(scope="module")
def actors(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sound files with the names of RAVDESS: actor 3, one sentence, three emotions."""
    folder = tmp_path_factory.mktemp("ravdess")
    sounds = sorted(data.rglob("*.flac"))
    for emotion, sound in zip(("01-01", "04-02", "05-02"), sounds, strict=False):
        shutil.copy(sound, folder / f"03-01-{emotion}-01-01-03.flac")
    return folder


def held_out_rows(*, voice: float, words: float, n: int = 312) -> list[dict[str, Any]]:
    values = {"follows_voice": voice, "follows_words": words, "follows_neither": 1 - voice - words, "unparsed_on_conflict": 0.0}
    values |= {"semantic_dominance_index": words / (voice + words), "voice_minus_words": voice - words, "voice_plus_words": voice + words}
    return [
        {
            "model": "any",
            "measure": name,
            "value": value,
            "low": value - 0.05,
            "high": value + 0.05,
            "n": n,
            "chance": 0.14,
            "data": "emotional_test",
        }
        for name, value in values.items()
    ]


def made(output: Path, *arguments: object) -> str:
    """Run the command and return the page, after what every page promises was looked at."""
    assert cli.main(["report", *map(str, arguments), "--output", str(output)]) == 0
    html = (output / "index.html").read_text(encoding="utf-8")
    assert html.startswith("<!DOCTYPE html>")
    assert re.search(r"<h1[^>]*>Does the model hear", html)
    outside = re.sub(r"data:[a-z]+/[a-z+]+;base64,[A-Za-z0-9+/=]+", "", html)
    assert "<script" not in outside
    assert not re.findall(r"https?:|src=[\"']?//|@import|url\(", outside)
    for code in ("import ", "display(", "papermill", "assert ", "models = [", "Traceback"):
        assert code not in outside
    assert len(html) < 12e6
    cells = nbformat.read(output / "tour.ipynb", as_version=4).cells
    assert all(cell.execution_count for cell in cells if cell.cell_type == "code"), "the whole notebook was executed"
    return outside


def test_tour_shows_voices_answers_following_and_held_out_figures(tmp_path: Path, checkpoints: Path, data: Path) -> None:
    html = made(tmp_path, "--data", data, "--model", checkpoints / "babble", checkpoints / "nano-aligned")
    assert html.count("<audio") == 3 + 1, "the sentence in its emotions, and one conflict item"
    assert html.count("Not in the agreed form") == 3, "babble, shown with each of the variants"
    assert html.count("Oh, how lovely for you!") == 3
    assert "undecided" in html
    assert re.search(r"names the emotion of the voice in 0% .*n = 3", html), "unparsed answers stay in n"
    assert "chance 14%" in html
    assert "On 312 conflict items: <code>nano-aligned</code> follows the voice" in html
    assert "from 0.51 to 0.87 in 20 steps" in html
    assert "not been run" in html, "there is no two_by_two.csv"


@pytest.mark.filterwarnings("ignore:ravdess. one speaker only:UserWarning")
def test_report_of_an_actor_counts_the_voice_with_chance_and_names_the_licence(tmp_path: Path, checkpoints: Path, actors: Path) -> None:
    where = ("--corpus", "ravdess", "--root", actors, "--actor", "3", "--sentence", "1")
    html = made(tmp_path, *where, "--model", checkpoints / "nano-aligned")
    assert "ravdess-03" in html
    assert "CC BY-NC-SA" in html
    assert html.count("<audio") == 3
    assert "nothing for the voice to conflict with" in html
    assert re.search(r"names the emotion of the voice in 0%.*n = 3, chance 33%", html), "it hears happy; they are neutral, sad and angry"


def test_report_of_ones_own_recordings_claims_no_truth_and_escapes_names(tmp_path: Path, checkpoints: Path, data: Path) -> None:
    sound = sorted(data.rglob("*.flac"))[0]
    shutil.copy(sound, tmp_path / "me & <b>you<b>.flac")
    audio.write(tmp_path / "noise.wav", np.random.default_rng(0).normal(0, 0.1, 8000).astype(np.float32))
    files = (tmp_path / "me & <b>you<b>.flac", tmp_path / "noise.wav")
    html = made(tmp_path / "out", *files, "--model", checkpoints / "nano-aligned", checkpoints / "babble")
    assert "me &amp; &lt;b&gt;you&lt;b&gt;.flac" in html
    assert "<b>you" not in html
    assert "(right)" not in html
    assert "(wrong)" not in html
    assert "judge for yourself" in html


def test_cell_that_fails_is_one_sentence_and_leaves_the_earlier_page(
    tmp_path: Path, checkpoints: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    audio.write(tmp_path / "noise.wav", np.random.default_rng(0).normal(0, 0.1, 4000).astype(np.float32))
    shutil.copytree(checkpoints / "babble", tmp_path / "half")
    weights = tmp_path / "half" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:5000])
    output = tmp_path / "out"
    output.mkdir()
    (output / "index.html").write_text("the earlier page")
    assert cli.main(["report", str(tmp_path / "noise.wav"), "--model", str(tmp_path / "half"), "--output", str(output)]) == 2
    says = capsys.readouterr().err.strip().splitlines()[-1]
    assert re.match(r"cogviz: the report stopped in cell \d+ \(UnknownModel: the checkpoint in .*half cannot be read", says)
    assert (output / "index.html").read_text() == "the earlier page"
    assert (output / "tour.ipynb").is_file()


@pytest.mark.filterwarnings("ignore:ravdess. one speaker only:UserWarning")
@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--model", "nano-unheard"], "unknown model 'nano-unheard'"),
        (["--model", "{model}", "{model}"], "same name"),
        (["--model", "{model}", "--data", "{empty}"], "lime build"),
        (["--model", "{model}", "--data", "{data}", "--sentence", "9"], "no sentence '9'"),
        (["--model", "{model}", "--corpus", "ravdess"], "--root"),
        (["--model", "{model}", "--corpus", "ravdes", "--root", "{actors}"], "unknown corpus"),
        (["--model", "{model}", "--corpus", "ravdess", "--root", "{empty}"], "no recording"),
        (["--model", "{model}", "--corpus", "ravdess", "--root", "{actors}", "--actor", "4"], "no actor '4'; there is ravdess-03"),
        (["--model", "{model}", "--corpus", "ravdess", "--root", "{actors}", "--enrol"], "no speaker has a neutral recording of another"),
        (["--model", "{model}", "--neutral", "{text}"], "belongs to recordings of your own"),
        (["{text}", "--model", "{model}"], "cannot be read as audio"),
        (["missing.wav", "--model", "{model}"], "does not exist"),
        (["--model", "{model}", "--data", "{data}", "--output", "{text}"], "is a file"),
    ],
)
def test_mistakes_are_one_sentence_before_anything_runs(
    arguments: list[str], says: str, tmp_path: Path, checkpoints: Path, data: Path, actors: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "text.wav").write_text("no sound")
    (tmp_path / "empty").mkdir()
    places = {"model": checkpoints / "babble", "data": data, "actors": actors, "empty": tmp_path / "empty", "text": tmp_path / "text.wav"}
    given = [a.format(**places) for a in arguments]
    if "--output" not in given:
        given += ["--output", str(tmp_path / "out")]
    assert cli.main(["report", *given]) == 2
    (error,) = capsys.readouterr().err.strip().splitlines()
    assert error.startswith("cogviz: ")
    assert says in error
    assert not (tmp_path / "out").exists()


# --- what the page says ----------------------------------------------------------------------------------------------------------


def test_numbers_in_sentences_show_interval_n_and_chance_where_there_are_some() -> None:
    assert page.share(Estimate(0.384, 0.296, 0.461, 1078, 1 / 7)) == "38% [30, 46] (n = 1,078, chance 14%)"
    assert page.share(Estimate(0.384, float("nan"), float("nan"), 5)) == "38% (n = 5)"
    assert page.share(Estimate(float("nan"), float("nan"), float("nan"), 5)) == "? (n = 5)"


def item(name: str, *, voice: str, words: str, sentence: str = "s", speaker: str = "p") -> Utterance:
    return Utterance(name, "Hello.", voice, speaker, sentence, "lime", lexical_emotion=words)


def heard(utterance: Utterance, claimed: str | None) -> Heard:
    return Heard(utterance, "reason", SAYS, parse(SAYS), claimed)


def test_example_has_words_with_an_emotion_on_which_the_models_differ() -> None:
    neutral, agreed, split = (
        item("a", voice="sad", words="neutral"),
        item("b", voice="sad", words="happy"),
        item("c", voice="sad", words="angry"),
    )
    items = [neutral, agreed, split]
    answers = {"one": [heard(u, "sad") for u in items], "two": [heard(neutral, "happy"), heard(agreed, "sad"), heard(split, None)]}
    conflicts = [u for u in items if u.congruence == "conflict"]
    assert conflicts == [agreed, split], "neutral words are no conflict, however the models differ on them"
    assert tour.example(answers, conflicts) is split
    assert tour.claims(answers, split) == "`one` hears **sad**; `two` hears **no emotion that can be read**"


@pytest.mark.parametrize(
    ("follows", "sentences", "verdict", "why"),
    [
        ("voice", 12, "follows the voice", "voice wins over the words"),
        ("words", 12, "follows the words", "words win over the voice"),
        ("nothing", 12, "undecided", "no more often than chance"),
        ("voice", 3, "undecided", "fewer than 5 sentences"),
    ],
)
def test_reason_fits_the_verdict(follows: str, sentences: int, verdict: str, why: str) -> None:
    pairs = [("happy", "sad"), ("sad", "angry"), ("angry", "happy"), ("fear", "sad")] * 6
    table = {
        "voice": [v for v, _ in pairs],
        "words": [w for _, w in pairs],
        "answer": [{"voice": v, "words": w, "nothing": None}[follows] for v, w in pairs],
        "sentence": [f"s{i % sentences}" for i in range(len(pairs))],
        "speaker": ["p"] * len(pairs),
    }
    found = dominance.following(table)
    assert found.verdict == verdict
    assert why in tour.reason(found)


def test_held_out_verdict_needs_many_items_and_the_interval(tmp_path: Path) -> None:
    folders = []
    for name, rows in {
        "nano-aligned": held_out_rows(voice=0.7, words=0.1),
        "nano-explicit": held_out_rows(voice=0.7, words=0.1, n=20),
        "nano-implicit": [{**row, "low": None, "high": None} for row in held_out_rows(voice=0.7, words=0.1)],
        "nano-baseline": held_out_rows(voice=0.1, words=0.7),
        "mine": [],
    }.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "figures.json").write_text(json.dumps(rows))
        (tmp_path / name / "config.json").write_text("{}")
        folders.append(tmp_path / name)
    found = tour.checkpoint_folders([tmp_path / "mine"])
    assert [f.name for f in found] == [*(v for v in VARIANTS if (tmp_path / v).is_dir()), "mine"], (
        "the variants in their order, then others"
    )
    table = tour.held_out(found)
    verdicts = {f.name: r.verdict if (r := tour.held_out_following(table, f.name)) else None for f in found}
    assert verdicts == {
        "nano-baseline": "follows the words",
        "nano-explicit": "undecided",
        "nano-implicit": "undecided",
        "nano-aligned": "follows the voice",
        "mine": None,
    }
    (tmp_path / "mine" / "figures.json").write_text('[{"model":')
    with pytest.raises(tour.ReportError, match=r"mine.figures.json cannot be read"):
        tour.held_out(found)


def test_causes_are_said_cell_by_cell() -> None:
    value = {("last layer", "agrees"): 0.2, ("last layer", "LIME"): 0.5, ("layer mix", "agrees"): 0.3, ("layer mix", "LIME"): 0.8}
    rows = [
        {"encoder": e, "training_speech": s, "measure": "follows_voice", "value": v + d, "seed": i}
        for (e, s), v in value.items()
        for i, d in enumerate((-0.05, 0.05))
    ]
    (line,) = tour.causes(pd.DataFrame(rows))
    assert line == (
        "Follows voice: after speech whose tone agrees with its words 20% (last layer) and 30% (layer mix), after LIME 50% and 80%."
    )


def test_players_share_one_gain_and_stand_in_the_house_order() -> None:
    import base64
    import io

    import soundfile

    wave = np.sin(np.arange(4000) / 10).astype(np.float32)
    quiet = {name: Utterance(name, "", name, "p", "s", "x", waveform=level * wave) for name, level in (("sad", 0.01), ("happy", 0.02))}
    html = page.players(quiet)
    peaks = [np.abs(soundfile.read(io.BytesIO(base64.b64decode(c)))[0]).max() for c in re.findall(r"base64,([^\"]+)", html)]
    assert html.index("happy") < html.index("sad")
    assert peaks == pytest.approx([0.9, 0.45], abs=0.01)


def test_recordings_of_unknown_tone_carry_their_name_and_no_intensity() -> None:
    from cogviz.plotting import speech

    wave = np.sin(np.arange(16000) * 2 * np.pi * 150 / 16000).astype(np.float32) * 0.3
    figure = speech.recordings([Utterance("a-take.wav", "", None, "you", "a", "files", waveform=wave)])
    words = " ".join(text.get_text() for text in figure.texts)
    assert words.count("a-take.wav") == 2, "in the title and over its panel"
    assert "k =" not in words
    with pytest.raises(ValueError, match="nothing to draw"):
        speech.recordings([])


def test_formulas_are_drawn_without_a_script() -> None:
    text = report.with_formulas("By $\\frac{a}{b}$ of it, `$HOME` and 5$.\n\n$$\\mathrm{SDI} = \\frac{w}{w + v}$$")
    assert text.count("<svg") == 2
    assert "currentColor" in text
    assert "`$HOME` and 5$" in text
    assert 'aria-label="\\frac{a}{b}"' in text
    assert report.with_formulas("$\\nonsense{x}$") == "$\\nonsense{x}$"
