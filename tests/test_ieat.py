"""IEAT: a model that teaches itself to answer what it hears, says how its response is to be spoken, speaks it, and is listened back to."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file

from cogviz import audio, cli
from cogviz.device import Device
from cogviz.eips import Answer, parse, render
from cogviz.emotions import EMOTIONS
from cogviz.evaluation import speaking
from cogviz.lime import dataset, style
from cogviz.lime.annotate import annotate
from cogviz.lime.sentences import sentences
from cogviz.models import tone, zoo
from cogviz.models.listener import CogAudioListener
from cogviz.models.modeling import ATTRIBUTES, SMOOTHING, CogAudioForConditionalGeneration
from cogviz.models.processing import CogAudioProcessor
from cogviz.training import data, distil, features, recipe, run, sft
from cogviz.training.kept import KeptStages
from cogviz.training.recipe import Recipe, Stage
from cogviz.utterance import Utterance

Pair = tuple[CogAudioForConditionalGeneration, CogAudioProcessor]
CPU = Device("cpu", torch.float32, "test")


@pytest.fixture(scope="module")
def speech(tiny_dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the tiny dataset that training may write features into."""
    return shutil.copytree(tiny_dataset, tmp_path_factory.mktemp("speech") / "tiny")


def ready(make: Callable[..., Pair], folder: Path) -> tuple[CogAudioForConditionalGeneration, CogAudioProcessor, list, features.Features]:
    model, processor = make()
    utterances = dataset.read(folder)
    return model, processor, utterances, features.encode(utterances, model, processor, folder / "features", progress=False)


def taught_rows(processor: CogAudioProcessor, utterances: list, stored: features.Features, tasks: list[str]) -> list[dict]:
    examples = [data.Example(i, task) for i, task in enumerate(tasks)]
    rows = distil.TaughtExamples(examples, utterances, stored, processor, thinks="steps", augment=False, targets="cause", attributes=True)
    return [rows[i] for i in range(len(rows))]


def answers_at_length(teacher: distil.Teacher, length: int = 5) -> None:
    """Let an untrained teacher end its responses: after some tokens it closes the response and stops."""
    logits = teacher.model.language_model.lm_head.forward
    count = [0]

    def ends(hidden: torch.Tensor) -> torch.Tensor:
        found = logits(hidden)
        forced = {length: teacher.closes[0], length + 1: teacher.end}.get(count[0])
        count[0] += 1
        if forced is not None:
            found = found.clone()
            found[..., forced] = 50.0
        return found

    teacher.model.language_model.lm_head.forward = ends


# --- the loss --------------------------------------------------------------------------------------------------------------------


def test_the_divergence_is_the_one_computed_by_hand() -> None:
    teacher = torch.log(torch.tensor([[0.5, 0.25, 0.25], [0.8, 0.1, 0.1]]))
    student = torch.log(torch.tensor([[0.25, 0.5, 0.25], [0.8, 0.1, 0.1]]))
    first = 0.5 * math.log(2) + 0.25 * math.log(0.5)
    assert distil.divergence(teacher, student).item() == pytest.approx(first / 2, abs=1e-6)
    assert distil.divergence(teacher, student + 3.0).item() == pytest.approx(first / 2, abs=1e-6)  # logits, not probabilities
    assert distil.divergence(teacher, teacher).item() == pytest.approx(0.0, abs=1e-7)
    assert distil.divergence(student, teacher).item() == pytest.approx((0.25 * math.log(0.5) + 0.5 * math.log(2)) / 2, abs=1e-6)


def test_the_student_is_asked_to_say_what_the_teacher_said_where_it_said_it(make_tiny: Callable[..., Pair], speech: Path) -> None:
    model, processor, utterances, stored = ready(make_tiny, speech)
    teacher = distil.Teacher(model, processor)
    answers_at_length(teacher)
    tasks = ["reason", "direct", "transcribe", "direct"]
    batch = distil.collate(taught_rows(processor, utterances, stored, tasks), pad=processor.tokenizer.pad_token_id)
    said, logits = teacher.respond(batch["teacher_ids"], batch["teacher_mask"], batch["teacher_frames"])
    assert [tokens[-2:] for tokens in said] == [[teacher.closes[0], teacher.end]] * 3
    assert all(row.argmax(-1).tolist() == tokens for row, tokens in zip(logits, said, strict=True))  # greedy

    answers_at_length(fresh := distil.Teacher(model, processor))
    full, told, wanted = distil.taught_batch(batch, fresh, pad=processor.tokenizer.pad_token_id)
    assert not {"taught", "teacher_ids", "teacher_mask", "teacher_frames", "annotated"} & set(full)
    labels = full["labels"][full["labels"] != -100]
    assert labels[told].tolist() == [token for tokens in said for token in tokens]
    assert torch.equal(wanted.argmax(-1), labels[told])
    decode = processor.tokenizer.decode
    for row, task in enumerate(tasks):
        there = full["attention_mask"][row].bool()
        text = decode(full["labels"][row][full["labels"][row] != -100])
        assert full["labels"][row][there][-1] == processor.tokenizer.eos_token_id
        assert decode(full["input_ids"][row][there]).endswith(text)
        if task == "reason":
            assert text.startswith("<thought>The voice sounds ")
        if task == "direct":
            assert text.startswith("<response>")
        if task == "transcribe":
            assert text == utterances[row].text + "<|end|>"


def test_the_teacher_reads_the_words_and_is_told_emotion_and_cause_in_the_form_in_which_it_thinks() -> None:
    sentence = sentences(kind="ambiguous", split="train")[0]
    given = annotate(sentence, "sad", "high")
    assert given.chain is not None
    for thinks, mark in (("steps", "[Perception] The voice sounds sad, strongly."), ("freely", "<thought>The voice sounds sad, strongly.")):
        text = distil.injected(given, sentence.text, thinks)
        assert mark in text
        assert given.chain.psychology in text
        assert text.endswith("</thought><response>")


def test_a_teacher_that_finds_no_end_leaves_the_annotated_response(make_tiny: Callable[..., Pair], speech: Path) -> None:
    model, processor, utterances, stored = ready(make_tiny, speech)
    rows = taught_rows(processor, utterances, stored, ["direct", "reason"])
    batch = distil.collate(rows, pad=processor.tokenizer.pad_token_id)
    full, told, wanted = distil.taught_batch(batch, distil.Teacher(model, processor), pad=processor.tokenizer.pad_token_id)
    assert not told.any()
    assert not len(wanted)
    for row, utterance in enumerate(utterances[:2]):
        text = processor.tokenizer.decode(full["labels"][row][full["labels"][row] != -100], skip_special_tokens=True)
        assert text.split("<response>")[-1].split("</response>")[0] == dataset.answer(utterance).response


def test_the_whole_loss_is_its_parts_and_no_gradient_reaches_the_teacher(
    make_tiny: Callable[..., Pair], speech: Path, tmp_path: Path
) -> None:
    model, processor, utterances, stored = ready(make_tiny, speech)
    model.tell_degrees()
    trainer = object.__new__(distil.Distilling)
    trainer.teacher, trainer.pad = distil.Teacher(model, processor), processor.tokenizer.pad_token_id
    before = {n: p.detach().clone() for n, p in trainer.teacher.model.named_parameters()}
    answers_at_length(trainer.teacher)
    batch = distil.collate(taught_rows(processor, utterances, stored, ["reason", "direct", "name"]), pad=trainer.pad)
    batch.pop("ctc_labels")
    model.train()
    torch.manual_seed(1)
    loss, out = trainer.compute_loss(model, batch, return_outputs=True)
    loss.backward()

    answers_at_length(again := distil.Teacher(model, processor))
    full, told, wanted = distil.taught_batch(batch, again, pad=trainer.pad)
    labels = full["labels"][full["labels"] != -100]
    log_p = out.logits.float().log_softmax(-1)
    divergence = (wanted.exp() / wanted.exp().sum(-1, keepdim=True) * (wanted.log_softmax(-1) - log_p[told])).sum(-1).mean()
    thought = -log_p[~told].gather(1, labels[~told][:, None]).mean()
    torch.manual_seed(1)
    attributes = model(**full).loss - torch.nn.functional.cross_entropy(out.logits, labels)  # the same draws of dropout: the same logits
    assert loss.item() == pytest.approx((divergence + thought + attributes).item(), rel=1e-4)

    learned = {n for n, p in model.named_parameters() if p.grad is not None and p.grad.abs().sum() > 0}
    assert any(n.startswith("language_model.") for n in learned)
    assert {"tone_head.weight", "degree_head.weight"} <= learned
    for name, weight in trainer.teacher.model.named_parameters():
        assert weight.grad is None
        assert not weight.requires_grad
        assert torch.equal(weight, before[name])


def test_what_stays_frozen_anyway_is_shared_and_not_copied(make_tiny: Callable[..., Pair]) -> None:
    model, processor = make_tiny()
    teacher = distil.Teacher(model, processor)
    assert teacher.model.audio_encoder.conv1.weight is model.audio_encoder.conv1.weight
    mine, theirs = (m.get_input_embeddings().weight for m in (model, teacher.model))
    assert mine.data_ptr() != theirs.data_ptr()
    assert mine.requires_grad
    assert not theirs.requires_grad


# --- attributes ------------------------------------------------------------------------------------------------------------------


def test_emotion_and_degree_are_learned_beside_an_answer_with_the_documented_weight(make_tiny: Callable[..., Pair], speech: Path) -> None:
    model, processor, utterances, stored = ready(make_tiny, speech)
    plain = data.Examples([data.Example(i, "direct") for i in (0, 3, 5)], utterances, stored, processor, augment=False, attributes=True)
    rows = [plain[i] for i in range(3)]
    assert [row["tone"] for row in rows] == [
        [EMOTIONS.index(str(u.emotion)), -100 if u.emotion == "neutral" else 0 if u.intensity < 0.75 else 1 if u.intensity < 1.25 else 2]
        for u in (utterances[0], utterances[3], utterances[5])
    ]
    batch = data.collate(rows, pad=processor.tokenizer.pad_token_id)
    model.tell_degrees()
    torch.nn.init.normal_(model.degree_head.weight)
    model.train()
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0

    def loss(**changed: torch.Tensor) -> float:
        torch.manual_seed(0)
        return model(**{k: v for k, v in (batch | changed).items() if k != "ctc_labels" and v is not None}).loss.item()

    _, heard = model.connector(*(batch[n] for n in ("audio_states", "audio_levels", "audio_mask")))
    cross = torch.nn.functional.cross_entropy
    labels, strong = batch["tone_labels"], batch["tone_labels"][:, 1] != -100
    emotion = cross(model.tone_scores(heard), labels[:, 0], label_smoothing=SMOOTHING)
    degree = cross(model.degree_head(heard.mean(dim=1))[strong], labels[strong, 1], label_smoothing=SMOOTHING)
    assert loss() - loss(tone_labels=None) == pytest.approx(ATTRIBUTES * (emotion + degree).item(), rel=1e-3)


def test_a_model_that_tells_degrees_is_saved_and_loaded_with_them(make_tiny: Callable[..., Pair], tmp_path: Path) -> None:
    model, processor = make_tiny(encoder_folder=f"../{zoo.ENCODER}")
    assert model.degree_head is None
    model.tell_degrees()
    torch.nn.init.normal_(model.degree_head.weight)
    run.save(model, processor, tmp_path / "told")
    loaded, _ = zoo.load(tmp_path / "told")
    assert torch.allclose(loaded.degree_head.weight, model.degree_head.weight, atol=1e-3)
    assert "degree_head.weight" in load_file(tmp_path / "told" / "model.safetensors")


@pytest.mark.parametrize("switch", ["attributes", "distil", "speaks"])
def test_an_attribute_that_nobody_annotated_stops_a_stage_before_it_begins(
    make_tiny: Callable[..., Pair], speech: Path, tmp_path: Path, switch: str
) -> None:
    model, processor, utterances, stored = ready(make_tiny, speech)
    part = str(utterances[0].extra["part"])
    stage = Stage("mute", (part,), {"direct": 1.0}, steps=2, batch=2, **{switch: True})
    for unknown in (replace(utterances[0], emotion=None), replace(utterances[0], intensity=float("nan"))):
        with pytest.raises(data.TrainingError, match=rf"nobody annotated in 1 of \d+ utterances \({utterances[0].id}\)"):
            sft.run_stage(stage, Recipe("r", ""), model, processor, [unknown, *utterances[1:]], stored, folder=tmp_path, device=CPU)
    assert not list(tmp_path.iterdir())


# --- the recipe ------------------------------------------------------------------------------------------------------------------


def test_an_answer_that_speaks_ends_with_the_style_for_its_speaker_on_both_routes(tiny_dataset: Path) -> None:
    for utterance in dataset.read(tiny_dataset)[:30]:
        wanted = style.style_for(str(utterance.emotion), utterance.intensity)
        for task, targets in (("reason", "cause"), ("reason", "steps"), ("direct", "cause")):
            answer = parse(data.target(utterance, task, targets, speaks=True))
            assert answer is not None
            assert style.parse(answer.voice) == wanted
            assert answer.thinks == (task == "reason")
        assert "<voice>" not in data.target(utterance, "reason", "cause")
        assert data.target(utterance, "transcribe", speaks=True) == utterance.text


def test_both_sizes_distil_first_and_then_learn_to_speak() -> None:
    for name, start in (("nano-ieat", "nano-explicit"), ("smol-ieat", "smol-implicit")):
        plan = recipe.read(name)
        assert (plan.start, plan.targets) == (start, "cause")
        assert [(s.distil, s.speaks, s.attributes) for s in plan.stages] == [(True, False, True), (False, True, True)]
        assert name in zoo.VARIANTS


def test_switches_that_are_off_leave_the_names_of_kept_stages_as_they_were(tmp_path: Path) -> None:
    stage = Stage("alignment", ("p",), {"transcribe": 1.0}, steps=4)
    keys = {
        KeptStages(tmp_path, Recipe("r", "", stages=(s,)), {}).key(0)
        for s in (stage, replace(stage, attributes=True), replace(stage, distil=True))
    }
    assert len(keys) == 3
    from cogviz.training.kept import _asked

    assert not {"attributes", "distil", "speaks"} & set(_asked(stage))


RECIPE = """
name: small-ieat
about: Both stages, four steps each.
start: small
targets: cause
stages:
  - {name: distilled, parts: [ambiguous], tasks: {direct: 0.8, name: 0.2}, unfamiliar: 0.3, attributes: true, distil: true, steps: 4, batch: 4}
  - {name: joint, parts: [ambiguous], tasks: {reason: 0.5, direct: 0.5}, attributes: true, speaks: true, steps: 4, batch: 4}
"""


def test_a_run_goes_through_both_stages_and_an_interrupted_one_takes_the_first_from_where_it_is_kept(
    small: None, make_tiny: Callable[..., Pair], speech: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run.save(*make_tiny(encoder_folder=f"../{zoo.ENCODER}"), tmp_path / "runs" / "small")
    (tmp_path / "ieat.yaml").write_text(RECIPE)
    how = {"data": speech, "output": tmp_path / "runs", "device": CPU, "progress": False}
    run_stage, thinks = sft.run_stage, []

    def stops(stage: Stage, plan: Recipe, model: CogAudioForConditionalGeneration, *args: object, **kwargs: object) -> list:
        thinks.append((stage.name, model.config.thinks))
        if stage.name == "joint" and len(thinks) == 2:
            raise KeyboardInterrupt
        return run_stage(stage, plan, model, *args, **kwargs)

    monkeypatch.setattr(sft, "run_stage", stops)
    with pytest.raises(KeyboardInterrupt):
        run.train(tmp_path / "ieat.yaml", **how)
    folder = run.train(tmp_path / "ieat.yaml", **how)
    assert thinks == [("distilled", "steps"), ("joint", "freely"), ("joint", "freely")]  # the teacher thinks as its own start did
    curve = pd.read_csv(folder / "curve.csv")
    assert list(curve.stage.unique()) == ["distilled", "joint"]
    assert np.isfinite(curve.value).all()
    model, _ = zoo.load(folder)
    assert model.config.thinks == "freely"
    assert model.degree_head.weight.abs().sum() > 0
    assert "It teaches itself the response" in (folder / "README.md").read_text()
    assert json.loads((folder / "run.json").read_text())["recipe"]["stages"][0]["distil"]


def test_both_stages_train_adapters_in_a_frozen_language_model_that_has_words_for_the_tone(
    make_tiny: Callable[..., Pair], speech: Path, tmp_path: Path
) -> None:
    base, _ = make_tiny(seed=1)
    base.language_model.save_pretrained(tmp_path / "base")
    words = list(range(40, 40 + len(tone.WORDS)))

    def make() -> Pair:
        model, processor = make_tiny(
            text_backbone=str(tmp_path / "base"), lora_rank=2, tone_words=words, encoder_folder=f"../{zoo.ENCODER}"
        )
        model.load_language_model(str(tmp_path / "base"))
        model.train_language_model(True)
        return model, processor

    model, processor, utterances, stored = ready(make, speech)
    model.tell_degrees()
    assert model.degree_head is None, "the tone's words tell them"
    teacher = distil.Teacher(model, processor)
    mine, theirs = (dict(m.named_parameters()) for m in (model, teacher.model))
    assert all((mine[name] is theirs[name]) == model.is_frozen(name) for name in mine)
    before = {name: weight.detach().clone() for name, weight in mine.items()}
    plan = recipe.read("smol-ieat", scale=0.02)
    part = str(utterances[0].extra["part"])
    for stage in plan.stages:
        sft.run_stage(
            replace(stage, parts=(part,), batch=4), plan, model, processor, utterances, stored, folder=tmp_path / "run", device=CPU
        )
    moved = {name for name, weight in model.named_parameters() if not torch.equal(weight, before[name])}
    assert any(".lora_" in name for name in moved)
    assert any(name.startswith("connector.") for name in moved)
    assert not any(model.is_frozen(name) for name in moved)


# --- speaking and listening back ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def model(make_tiny: Callable, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint folder of an untrained tiny model."""
    folder = tmp_path_factory.mktemp("checkpoints") / "nano-test"
    run.save(*make_tiny(encoder_folder=f"../{zoo.ENCODER}"), folder)
    return folder


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A good recording."""
    path = tmp_path_factory.mktemp("sound") / "hello.wav"
    audio.write(path, np.random.default_rng(0).normal(0, 0.05, 16000).astype(np.float32))
    return path


SAYS = [
    "<thought>The voice sounds sad, clearly. They need you.</thought><response>I am sorry.</response><voice>sad, clearly: slow and soft</voice>",
    "<response>I am sorry.</response>",
    "gibberish",
]


def test_answer_speaks_each_response_as_it_says_and_says_where_it_cannot(
    capsys: pytest.CaptureFixture[str], model: Path, sound: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    says = iter(SAYS)
    monkeypatch.setattr(CogAudioListener, "texts", lambda self, utterances, task, **_: [next(says) for _ in utterances])
    rows, out = tmp_path / "rows.json", tmp_path / "deep" / "out.wav"
    assert cli.main(["answer", *[str(sound)] * 3, "--model", str(model), "--speak", str(out), "--json", str(rows)]) == 0
    found = json.loads(rows.read_text())
    names = [str(out.with_stem("out-1")), str(out.with_stem("out-2")), None]
    assert [row["spoken"] for row in found] == names
    assert [row["voice"] for row in found] == ["sad, clearly: slow and soft", None, None]
    sad, plain = (audio.read(name).samples for name in names[:2])
    assert len(sad) > len(plain)
    assert audio.level_db(sad) < audio.level_db(plain) - 2
    told = capsys.readouterr()
    assert "Voice       sad, clearly: slow and soft" in told.out
    assert f"Spoken      {names[0]}" in told.out
    assert "Spoken      nothing" in told.out
    assert "does not say how it is to be spoken: it is spoken neutrally" in told.err


def test_one_file_is_spoken_to_the_name_that_was_given_by_who_was_named(
    model: Path, sound: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(CogAudioListener, "texts", lambda self, utterances, task, **_: [SAYS[0] for _ in utterances])
    spoken = {}
    for name in ("neural-f6", "neural-m2"):
        out = tmp_path / f"{name}.wav"
        assert cli.main(["answer", str(sound), "--model", str(model), "--speak", str(out), "--speaker", name]) == 0
        spoken[name] = audio.read(out).samples
    assert len(spoken["neural-f6"]) != len(spoken["neural-m2"])


def test_speaking_is_refused_before_any_work_where_it_could_lose_or_find_nothing(
    capsys: pytest.CaptureFixture[str], model: Path, sound: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(CogAudioListener, "texts", lambda *_, **__: pytest.fail("nothing should be answered"))
    there = tmp_path / "out-2.wav"
    there.write_bytes(b"mine")
    for arguments, sentence in (
        ([str(sound), str(sound), "--speak", str(tmp_path / "out.wav")], "out-2.wav exists and is not overwritten"),
        ([str(sound), "--speak", str(tmp_path / "out.mp3")], "ends in .wav or .flac"),
        ([str(sound), "--speak", str(tmp_path / "new.wav"), "--speaker", "nobody"], "no speaker 'nobody'; choose one of espeak"),
        ([str(sound), "--speaker", "neural-m2"], "give --speak"),
    ):
        assert cli.main(["answer", "--model", str(model), *arguments]) == 2
        assert sentence in capsys.readouterr().err
    assert there.read_bytes() == b"mine"


def test_agreement_counts_what_was_planted() -> None:
    rows = (
        [("happy", "happy", "happy", "neutral", "sad")] * 6
        + [("sad", "sad", "neutral", "neutral", "happy")] * 2
        + [("sad", "", "", "", "")] * 2
    )
    table = pd.DataFrame(rows, columns=["calls", "writes", "sounds", "plain", "other"])
    table["sentence"] = [f"s{i}" for i in range(len(rows))]
    table["speaker"] = "one"
    found = speaking.agreement(table)
    assert found.with_text.value == pytest.approx(0.6)
    assert found.with_text.n == 10
    assert found.with_text.chance == pytest.approx(0.6 * 0.6)
    assert found.with_style.value == pytest.approx(0.6)  # what was never written or spoken agrees with nothing
    assert found.style_with_text.value == pytest.approx(0.8)
    assert found.plain.value == found.other.value == 0.0
    assert found.by_emotion["sad"].value == 0.0
    assert found.confusion.loc["happy", "happy"] == 6


def test_an_ear_that_learned_from_others_hears_styles_and_not_their_absence() -> None:
    texts = {f"{word}, tell me all about the {thing}.": word for word, thing in (("Well", "garden"), ("Oh", "letter"), ("So", "journey"))}
    said = [(text, name) for text in texts for name in ("happy", "sad")]
    learned = [
        Utterance(f"{who}-{e}-{i}", text, e, who, str(i), "made", waveform=style.speak(text, style.Style(e, "mid"), voice=who)[0].samples)
        for who in ("neural-m2", "neural-f2")
        for i, text in enumerate(texts)
        for e in ("neutral", "happy", "sad")
    ]
    ear = speaking.train_ear(learned, progress=False)
    assert style.VOICE not in ear.voices
    answers = [Answer(text, voice=style.render(style.Style(name, "mid"))) for text, name in said]
    heard = [Utterance(str(i), text, name, "you", text, "made") for i, (text, name) in enumerate(said)]

    class Judge:
        def tell(self, responses: list[str]) -> list[str]:
            return [*(name for _, name in said), "neutral"]

    table = speaking.listen_back([*answers, None], [*heard, heard[0]], ear, judge=Judge(), reference=list(texts), progress=False)
    found = speaking.agreement(table.iloc[:-1])
    assert found.with_text.value == 1.0
    assert found.plain.value == 0.0
    assert table.iloc[-1].sounds == table.iloc[-1].response == ""
    assert set(table.plain[:-1]) == {"neutral"}
    with pytest.raises(ValueError, match="learned from neural-m2, which it is to hear"):
        speaking.listen_back(answers, heard, ear, judge=Judge(), reference=list(texts), voice="neural-m2", progress=False)
    with pytest.raises(ValueError, match="needs neutral speech"):
        speaking.train_ear([u for u in learned if u.emotion == "happy"], progress=False)


def test_an_answer_with_a_voice_reads_back() -> None:
    answer = Answer("Oh.", voice=style.render(style.style_for("surprise", "high")))
    assert parse(render(answer)) == answer
