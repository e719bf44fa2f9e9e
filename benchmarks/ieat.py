"""Do the two claims of `nano-ieat` hold: that self-distillation keeps the language model's own style, and that responses sound as they are written?

    python benchmarks/ieat.py --data data/nano --runs runs/ieat --json benchmarks/results/ieat.json

The control of the first is trained here: the first stage again, with the annotated responses in place of the teacher's (about ten minutes on two
cores; what is in the folder already is taken from there). Held-out sentences and speakers.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from cogviz.device import choose
from cogviz.eips import Answer
from cogviz.emotions import EMOTIONS
from cogviz.evaluation import results, speaking
from cogviz.lime import dataset, style
from cogviz.models import zoo
from cogviz.models.listener import CogAudioListener, Heard
from cogviz.scoring import step_similarity, word_error_rate
from cogviz.statistics import mean
from cogviz.training import data, distil, features, recipe, run
from cogviz.training.rewards import evaluation_judge
from cogviz.utterance import Utterance

PARTS = ("ambiguous_test", "emotional_test")
ROWS = 35


def draw(utterances: Sequence[Utterance], each: int, seed: int) -> list[Utterance]:
    """Draw utterances of the held-out parts, so many of each emotion."""
    pool = {e: [u for u in utterances if u.extra.get("part") in PARTS and u.emotion == e] for e in EMOTIONS}
    order = np.random.default_rng(seed)
    return [of[i] for of in pool.values() for i in order.permutation(len(of))[:each]]


def stages(options: argparse.Namespace) -> dict[str, Path]:
    """Return the checkpoints after the first stage, with the teacher and without, trained where they are missing."""
    plan = recipe.read("nano-ieat")
    first = plan.stages[0]
    plans = {
        "distilled": replace(plan, name="nano-ieat-1", stages=(first,)),
        "plain": replace(plan, name="nano-plain", stages=(replace(first, distil=False, name="plain"),)),
    }
    how = {"data": options.data, "output": options.runs, "device": choose("cpu"), "held_out": (), "stages": options.runs / "stages"}
    return {name: run.train(plan, **how) for name, plan in plans.items()}


def response(text: str) -> str:
    """Return the response of an answer, whatever its form."""
    return text.split("<response>")[-1].split("</response>")[0].strip()


def own_style(options: argparse.Namespace, utterances: list[Utterance], chosen: list[Utterance]) -> list[dict[str, Any]]:
    """Return, for each student and route, KL per token from the frozen start and the overlap of its responses with the start's.

    The start reads the words and is told emotion and cause; the students hear, and on the reasoning route go on from their own thought.
    """
    start, processor = zoo.load(recipe.read("nano-ieat").start or "")
    teacher, pad = distil.Teacher(start, processor), processor.tokenizer.pad_token_id
    stored = features.encode(utterances, start, processor, options.data / "features")
    index = {u.id: i for i, u in enumerate(utterances)}
    students = {"start": None, **stages(options), "joint": options.model}
    rows: list[dict[str, Any]] = []
    kept: dict[tuple[str, str, str], np.ndarray] = {}
    clusters = {"sentences": [u.sentence for u in chosen], "speakers": [u.speaker for u in chosen]}
    for name, folder in students.items():
        model = start if folder is None else zoo.load(folder)[0]
        listener = CogAudioListener.of(model, processor, name=name, batch=ROWS, states=stored.by_id())
        for route in ("direct", "reason"):
            if (name, route) == ("start", "direct"):
                continue  # which it never learned
            texts = listener.texts(chosen, route)
            examples = [data.Example(index[u.id], route) for u in chosen]
            taught = distil.TaughtExamples(examples, utterances, stored, processor, thinks="steps", augment=False, targets="cause")
            found: dict[str, list[float]] = {"kl": [], "words_shared_with_teacher": [], "words_shared_with_annotation": []}
            for first in range(0, len(chosen), ROWS):
                part = range(first, min(first + ROWS, len(chosen)))
                batch = [taught[i] for i in part]
                if route == "reason":
                    for i, row in zip(part, batch, strict=True):
                        own, prompt = texts[i].split(distil.BEGINS)[0] + distil.BEGINS, row["labels"].count(-100)
                        row["input_ids"] = row["labels"] = [*row["input_ids"][:prompt], *processor.tokens(own)]
                        row["labels"] = [-100] * prompt + row["labels"][prompt:]
                joined = distil.collate(batch, pad=pad)
                said, _ = teacher.respond(*(joined[n] for n in ("teacher_ids", "teacher_mask", "teacher_frames")))
                full, told, wanted = distil.taught_batch(joined, teacher, pad=pad)
                labels = full.pop("labels")
                with torch.no_grad():
                    logits = model.eval()(**full).logits[:, :-1][labels[:, 1:] != -100][told]
                places = np.split(np.arange(len(wanted)), np.cumsum([len(tokens) for tokens in said])[:-1])
                for i, tokens, where in zip(part, said, places, strict=True):
                    where = where[:-1]  # not the end, where a model that speaks goes on
                    found["kl"].append(distil.divergence(wanted[where], logits[where]).item() if len(where) else np.nan)
                    answer = response(processor.tokenizer.decode(tokens))
                    found["words_shared_with_teacher"].append(step_similarity(response(texts[i]), answer))
                    found["words_shared_with_annotation"].append(step_similarity(response(texts[i]), dataset.answer(chosen[i]).response))
            for measure, values in found.items():
                kept[name, route, measure] = np.array(values)
                rows.append(_row(np.array(values), clusters, name, f"{measure}_{route}"))
    for route in ("direct", "reason"):
        for measure in found:
            apart = kept["plain", route, measure] - kept["distilled", route, measure]
            rows.append(_row(apart, clusters, "plain - distilled", f"{measure}_{route}"))
    return rows


def _row(values: np.ndarray, clusters: dict[str, list[str]], name: str, measure: str) -> dict[str, Any]:
    there = np.isfinite(values)
    estimate = mean(values[there], **{k: [x for x, t in zip(v, there, strict=True) if t] for k, v in clusters.items()})
    return results.row(estimate, model=name, measure=measure, data="+".join(PARTS))


def spoken(options: argparse.Namespace, utterances: list[Utterance], chosen: list[Utterance]) -> list[dict[str, Any]]:
    """Return the agreement of what the model writes with how it is spoken, on both routes, and how well the ear hears at all."""
    ear = speaking.train_ear([u for u in utterances if u.split == "train"])
    reference = [dataset.answer(u).response for u in utterances if u.split == "validation"]
    listener = CogAudioListener(options.model)
    rows = [results.row(e, model="ear", measure=f"ear_hears_{name}", data="other voices") for name, e in ceiling(ear, utterances).items()]
    for route in ("reason", "direct"):
        heard: list[Heard] = listener.listen(chosen, route=route)
        table = speaking.listen_back([h.answer for h in heard], chosen, ear, judge=evaluation_judge(), reference=reference)
        found = speaking.agreement(table)
        print(found.confusion)
        if route == "reason":
            there = [h for h in heard if h.answer is not None][::3]
            rows += understood([h.answer for h in there if h.answer], [h.utterance for h in there])
        rows += [{**r, "measure": f"{r['measure']}_{route}"} for r in results.rows(found, model=listener.name, data="+".join(PARTS))]
    return rows


def understood(answers: list[Answer], utterances: list[Utterance]) -> list[dict[str, Any]]:
    """Return the word errors of Whisper tiny.en on spoken responses, in their style and without: can they be understood?"""
    from speech import transcripts

    rows = []
    for name, styles in (
        ("spoken", [style.parse(a.voice) or style.NEUTRAL for a in answers]),
        ("spoken_plainly", [style.NEUTRAL] * len(answers)),
    ):
        made = [style.speak(a.response, s)[0].samples for a, s in zip(answers, styles, strict=True)]
        heard = transcripts([replace(u, waveform=w, path=None) for u, w in zip(utterances, made, strict=True)])
        errors = [word_error_rate(a.response, h) for a, h in zip(answers, heard, strict=True)]
        estimate = mean(errors, sentences=[u.sentence for u in utterances], speakers=[u.speaker for u in utterances])
        rows.append(results.row(estimate, model=style.VOICE, measure=f"word_error_rate_{name}", data="+".join(PARTS)))
    return rows


def ceiling(ear: speaking.Ear, utterances: list[Utterance]) -> dict[str, Any]:
    """Return how often the ear names the emotion of clear LIME speech by held-out natural voices."""
    pool = [
        u
        for u in utterances
        if u.split == "test" and u.speaker.startswith("neural") and (u.emotion == "neutral" or u.intensity >= speaking.CLEAR)
    ]
    chosen = [pool[i] for i in np.random.default_rng(0).permutation(len(pool))[:420]]
    found = speaking.acoustic_features(chosen)
    speakers = np.array([u.speaker for u in chosen])
    neutral = np.array([u.emotion == "neutral" for u in chosen])
    right = np.zeros(len(chosen))
    for speaker in np.unique(speakers):
        of = speakers == speaker
        names = ear.hear(found[of], found[of & neutral])
        right[of] = [name == u.emotion for name, u in zip(names, np.array(chosen, dtype=object)[of], strict=True)]
    how = {"sentences": [u.sentence for u in chosen], "speakers": speakers.tolist()}
    return {"clear_speech": mean(right, **how, chance=1 / len(EMOTIONS))}


def main() -> None:
    """Measure and print; write JSON rows where asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--model", default="nano-ieat")
    parser.add_argument("--runs", type=Path, required=True, help="folder of the first stage and its control")
    parser.add_argument("--what", nargs="+", default=["own_style", "spoken"], choices=["own_style", "spoken"])
    parser.add_argument("--each", type=int, default=30, help="held-out utterances of an emotion")
    parser.add_argument("--seed", type=int, default=11)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    utterances = dataset.read(options.data)
    chosen = draw(utterances, options.each, options.seed)
    rows = []
    for what in options.what:
        rows += {"own_style": own_style, "spoken": spoken}[what](options, utterances, chosen)
        if options.json:  # after each part: the next one takes minutes
            options.json.parent.mkdir(parents=True, exist_ok=True)
            options.json.write_text(json.dumps(rows, indent=1) + "\n")
    for r in rows:
        chance = "" if r["chance"] is None else f"  chance {r['chance']:.3f}"
        print(f"{r['model']:<18} {r['measure']:<40} {r['value']:.3f} [{r['low']:.3f}, {r['high']:.3f}] n = {r['n']}{chance}")


if __name__ == "__main__":
    main()
