"""The battery: every measure of one listener on one set of recordings, as rows of one table. What cannot be measured on them is said."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from cogviz.audio import NoVoice
from cogviz.emotions import EMOTIONS
from cogviz.evaluation import (
    agreement,
    dependence,
    dominance,
    factors,
    faithfulness,
    gate,
    grid,
    groundedness,
    heldout,
    information,
    intensities,
    recognisers,
    relevance,
    removal,
    responses,
    results,
    stimuli,
    threshold,
    weighing,
)
from cogviz.evaluation.remembered import Remembered
from cogviz.lime.world import VocoderError
from cogviz.models.listeners import prompts
from cogviz.models.protocol import Heard
from cogviz.scoring import claimed_emotion
from cogviz.utterance import Utterance


@dataclass(frozen=True)
class Budget:
    """How much is measured; the time of the battery grows in proportion to each.

    Attributes:
        items: utterances that are answered. edited: of these, those whose sound is changed and whose chain is edited.
        targets: utterances that are rendered anew, in 64 coalitions of factors and at seven intensities.
    """

    items: int = 500
    edited: int = 140
    targets: int = 20


@dataclass(frozen=True, eq=False)
class Measured:
    """What the battery found.

    Attributes:
        rows: {model, measure, value, low, high, n, chance, data}. left_out: part of the battery -> why these recordings or this model do not
            allow it.
        results: part -> the dataclass behind its rows. answers: one row an utterance (see `heldout.answers`), with `scored`.
    """

    rows: list[dict[str, Any]]
    left_out: dict[str, str]
    results: dict[str, Any]
    answers: pd.DataFrame


STIMULI = "stimuli"
"""Under this name stands, among the models, what the gate finds in the stimuli themselves."""

GATE_SHOWN: Mapping[str, str] = {
    "gate_voice_balanced_accuracy": "an acoustic recogniser that knows no model names the voice in",
    "gate_words_balanced_accuracy": "a reader the words in",
    "gate_kept": "share in valid conditions",
}
"""Of the gate's rows, those that pages show."""


def choose(utterances: Sequence[Utterance], count: int) -> list[Utterance]:
    """Return about `count` utterances in whole cells (one speaker, one sentence, all tones), spread evenly over what the words say."""
    cells: dict[tuple[str, str], list[Utterance]] = {}
    for u in utterances:
        if u.emotion in EMOTIONS:
            cells.setdefault((u.speaker, u.sentence), []).append(u)
    if not cells:
        raise ValueError("no utterance with one of the seven emotions; there is nothing to measure")
    order = sorted(cells.values(), key=lambda c: (str(c[0].lexical_emotion), c[0].sentence, c[0].speaker))
    wanted = min(len(order), max(1, round(count / (sum(map(len, order)) / len(order)))))
    places = np.unique(np.linspace(0, len(order) - 1, wanted).round().astype(int))
    return [u for i in places for u in order[i]]


class Material:
    """What a set of recordings gives to measure with; every listener gets the same. What must be made is made once, when it is first needed.

    Args:
        utterances: from which `budget.items` are chosen and answered; where other recordings of the same speakers are found, too.
        valid: from `validity`; the headline figures are then also given for the conditions alone that carry what they should.
        folder: where the renderings of the factors are kept.
    """

    def __init__(
        self,
        utterances: Sequence[Utterance],
        *,
        budget: Budget | None = None,
        valid: gate.Gate | None = None,
        folder: Path | None = None,
        progress: bool = True,
    ) -> None:
        budget = budget or Budget()
        self.pool, self.valid, self.folder, self.progress = utterances, valid, folder, progress
        self.items = choose(utterances, budget.items)
        self.edited = choose(self.items, budget.edited)
        self.targets = choose_targets(self.items, budget.targets)

    @cached_property
    def removed(self) -> dict[str, list[Utterance]]:
        """Removal -> the edited items without what it removes."""
        kinds = list(stimuli.REMOVALS)
        neutral = stimuli.neutrals(self.pool)
        if any((u.corpus, u.speaker, u.sentence) not in neutral for u in self.edited):
            kinds.remove("neutral_timing")
        return stimuli.remove(self.edited, kinds, pool=self.pool, progress=self.progress)

    @cached_property
    def levels(self) -> list[Utterance]:
        """The targets at every intensity."""
        return intensities.render(_need(self.targets), self.pool, progress=self.progress)

    @cached_property
    def coalitions(self) -> list[Utterance]:
        """The targets in every coalition of factors."""
        return factors.coalitions(_need(self.targets), self.pool, folder=self.folder, progress=self.progress)

    @cached_property
    def measured(self) -> pd.DataFrame:
        """How each edited item differs from its speaker's neutral reading."""
        return groundedness.relative(self.edited, self.pool, progress=self.progress)


class Subject:
    """One listener and what it is measured on; each answer is asked for once, when a part of the battery first needs it."""

    def __init__(self, listener: Remembered, material: Material, *, judge: Any) -> None:
        self.listener, self.material, self.judge = listener, material, judge
        self.items, self.edited, self.targets, self.progress = material.items, material.edited, material.targets, material.progress

    @cached_property
    def reasoned(self) -> list[Heard]:
        """Answers on the reasoning route."""
        return self.listener.listen(self.items, route="reason", progress=self.progress)

    @cached_property
    def answers(self) -> pd.DataFrame:
        """They as a table, with the likeliest of the seven labels beside what the text claims."""
        table = heldout.answers(self.reasoned)
        return table.assign(scored=self.named(self.items))

    @cached_property
    def direct(self) -> pd.DataFrame:
        """Answers on the direct route, as a table."""
        return heldout.answers(self.listener.listen(self.items, route="direct", progress=self.progress))

    def gated(self, measurement: Callable[[pd.DataFrame], Any]) -> Any:
        """A measure of all answers, and of those to valid stimuli where the gate is known."""
        valid = self.material.valid
        return measurement(self.answers) if valid is None else gate.gated(measurement, self.answers, valid)

    def scores(self, utterances: Sequence[Utterance]) -> np.ndarray:
        """(N, 7) log p of the labels."""
        return self.listener.scores(utterances, progress=self.progress)

    def named(self, utterances: Sequence[Utterance]) -> list[str]:
        """The likeliest label of each."""
        return agreement.likeliest(self.scores(utterances))

    def read(self, utterances: Sequence[Utterance]) -> list[str]:
        """The likeliest label of each where its words are only read."""
        if lacking := sum(not u.text for u in utterances):
            raise ValueError(f"{lacking} utterances have no transcript, so there are no words to read")
        said = self.listener.read([u.text for u in utterances], progress=self.progress)
        return agreement.likeliest(np.array([[(h.scores or {})[e] for e in EMOTIONS] for h in said]))

    def table(self, utterances: Sequence[Utterance], answer: Sequence[str | None], **more: Any) -> pd.DataFrame:
        """Answers as a table of items; of an edited sound with its original's id."""
        return pd.DataFrame(
            {
                "id": [str(u.extra.get("of", u.id)) for u in utterances],
                "voice": [u.emotion for u in utterances],
                "words": [u.lexical_emotion for u in utterances],
                "answer": list(answer),
                "sentence": [u.sentence for u in utterances],
                "speaker": [u.speaker for u in utterances],
                "intensity": [u.intensity for u in utterances],
                **more,
            }
        )


def choose_targets(utterances: Sequence[Utterance], count: int) -> list[Utterance]:
    """Return `count` utterances on which words and voice disagree, both emotional, at most one a sentence and speaker as long as there are others."""
    conflicts = [u for u in utterances if u.congruence == "conflict" and u.emotion != "neutral"]
    seen: dict[tuple[str, str], int] = {}
    rounds: list[tuple[int, int, Utterance]] = []
    for u in conflicts:
        turn = seen.get((u.speaker, u.sentence), 0)
        seen[u.speaker, u.sentence] = turn + 1
        rounds.append((turn, stimuli.draw(u.id), u))
    return [u for _, _, u in sorted(rounds, key=lambda r: r[:2])[:count]]


# --- the parts -------------------------------------------------------------------------------------------------------------------------------


def _dependence(s: Subject) -> Any:
    """On the edited items that have a partner in every condition; without silence where the listener needs a voice to hear."""
    pool = s.material.pool
    silent = {str(u.extra["of"]): u for u in s.material.removed["silence"]}
    heard = [u for u in s.edited if u.id in silent and stimuli.has_partners(u, pool)]
    if not heard:
        raise ValueError("no recording has both another tone of the same words and another sentence in another tone by its speaker")
    made = {
        "silence": [silent[u.id] for u in heard],
        "other_words": stimuli.unrelated(heard, pool),
        "other_tone": stimuli.other_tone(heard, pool),
    }
    tables = {}
    for name, sounds in (("full", heard), *made.items()):
        with suppress(*([NoVoice] if name == "silence" else [])):
            tables[name] = s.table(sounds, s.named(sounds))
    if all(u.text for u in heard):
        tables["no_audio"] = s.table(heard, s.read(heard))
    return dependence.audio_dependence(tables)


def _removal(s: Subject) -> Any:
    """Against the untouched sound; what goes through the vocoder also against what that alone does."""
    tables = [s.table(s.edited, s.named(s.edited), edit=removal.UNTOUCHED)]
    tables += [s.table(sounds, s.named(sounds), edit=kind) for kind, sounds in s.material.removed.items() if kind != "silence"]
    table = pd.concat(tables, ignore_index=True).rename(columns={"id": "item"})
    beyond = removal.removal(table, reference="resynthesis")
    return removal.removal(table) | {f"{k}_beyond_vocoder": beyond[k] for k in ("flat_pitch", "neutral_timing") if k in beyond}


def _grid(s: Subject) -> Any:
    known = [u for u in s.items if u.lexical_emotion is not None]
    if not known:
        raise ValueError("it is not known what the words say")
    heard = s.table(known, s.named(known), modality="audio")
    wordy = [u for u in known if u.lexical_emotion != "neutral"]
    tables = [heard, s.table(wordy, s.read(wordy), modality="text")] if wordy else [heard]
    if s.listener.reads_along:  # its own words are parsed: labels are scored after the fixed tasks only
        said = s.listener.answer(known, [prompts.read_along(u.text) for u in known], progress=s.progress)
        tables.append(s.table(known, [claimed_emotion(text) for text in said], modality="both"))
    table = pd.concat(tables, ignore_index=True)
    return grid.listen_grid(table.assign(condition=[grid.condition(w, v) for w, v in zip(table.words, table.voice, strict=True)]))


def _threshold(s: Subject) -> Any:
    made = s.material.levels
    return threshold.override_threshold(s.table(made, s.named(made)))


def _factors(s: Subject) -> Any:
    values = factors.margin(s.scores(s.material.coalitions), s.targets)
    return factors.shapley(values, sentences=[u.sentence for u in s.targets], speakers=[u.speaker for u in s.targets])


def _need(targets: Sequence[Utterance]) -> Sequence[Utterance]:
    if not targets:
        raise ValueError("no conflict items: nothing in these recordings sets the voice against the words")
    return targets


def _specificity(table: Callable[[Subject], pd.DataFrame]) -> Callable[[Subject], Any]:
    def measure(s: Subject) -> Any:
        one = table(s).sort_values("intensity", ascending=False).drop_duplicates(["sentence", "speaker", "voice"])
        if not (one.response.str.strip() != "").any():
            raise ValueError("the model gives no response beside the emotion")
        p = np.exp(s.judge.log_probabilities(one.response.tolist()))
        p[(one.response.str.strip() == "").to_numpy()] = 1 / len(EMOTIONS)  # an empty response tells nothing
        return responses.emotion_specificity(one, p)

    return measure


def _divergence(s: Subject) -> Any:
    """The second answer to a recording is that to its resynthesis, which sounds the same: decoding is greedy, so the same sound gets the same."""
    both = s.edited, s.material.removed["resynthesis"]
    tables = [heldout.answers(s.listener.listen(sounds, progress=s.progress)) for sounds in both]
    return responses.response_divergence(pd.concat(tables, ignore_index=True))


def _faithfulness(s: Subject) -> Any:
    if not s.listener.responds:
        raise ValueError("the model cannot be given thoughts")
    heard = s.listener.listen(s.edited, route="reason", progress=s.progress)
    return faithfulness.faithfulness(faithfulness.ask(s.listener, heard, s.judge, progress=s.progress))


def _groundedness(s: Subject) -> Any:
    heard = s.listener.listen(s.edited, route="reason", progress=s.progress)
    table = pd.DataFrame(
        {
            "perception": [groundedness.perception(h) for h in heard],
            "text": [h.utterance.text for h in heard],
            "sentence": [h.utterance.sentence for h in heard],
            "speaker": [h.utterance.speaker for h in heard],
        }
    )
    return groundedness.groundedness(pd.concat([table, s.material.measured], axis=1))


def _relevance(s: Subject) -> Any:
    heard = s.listener.listen(s.edited, route="reason", progress=s.progress)
    thoughts = [relevance.of_answer(h.answer) for h in heard]
    named = [h.claimed for h in heard]
    table = s.table(s.edited, named, perception=[t.perceived for t in thoughts], reasons=[t.reasons for t in thoughts])
    found = relevance.relevance(table)
    if found.claims is None and found.reasons is None:
        raise ValueError("no thought claims anything of the sound or gives a reason")
    return found


def _scored(s: Subject) -> pd.DataFrame:
    return s.answers.assign(answer=s.answers.scored)


PARTS: Mapping[str, tuple[str, Callable[[Subject], Any]]] = {
    "naming the voice": ("", lambda s: s.gated(dominance.accuracy)),
    "following": ("", lambda s: s.gated(dominance.following)),
    "information split": ("", lambda s: information.information_split(s.answers)),
    "cue weighting": ("", lambda s: s.gated(weighing.cue_weighting)),
    "two readings": ("readings", lambda s: agreement.agreement(s.answers)),
    "following, scored": ("scored", lambda s: dominance.following(_scored(s))),
    "LISTEN grid": ("", _grid),
    "audio dependence": ("", _dependence),
    "removing the tone": ("without", _removal),
    "override threshold": ("", _threshold),
    "factor Shapley": ("shapley", _factors),
    "specificity, reasoned": ("reasoned", _specificity(lambda s: s.answers)),
    "specificity, direct": ("direct", _specificity(lambda s: s.direct)),
    "response divergence": ("", _divergence),
    "chain faithfulness": ("chain", _faithfulness),
    "groundedness": ("grounded", _groundedness),
    "relevance": ("relevant", _relevance),
}
"""Part -> what its rows are called before the measure, and how it is measured."""


def validity(utterances: Sequence[Utterance], *, progress: bool = True) -> gate.Gate:
    """Train the two recognisers on a set of stimuli, in folds, and say which conditions (words x voice) carry what they should.

    Raises:
        ValueError: too few speakers, sentences or emotions to train on some and test on others.
    """
    spoken = [u for u in utterances if u.emotion in EMOTIONS]
    sentences, speakers = [u.sentence for u in spoken], [u.speaker for u in spoken]
    voices = [str(u.emotion) for u in spoken]
    table = {"words": [u.lexical_emotion for u in spoken], "voice": voices, "sentence": sentences, "speaker": speakers}
    features = recognisers.acoustic_features(spoken, jobs=-1, progress=progress)
    table["heard"] = recognisers.hear_voices(features, voices, speakers=speakers, sentences=sentences).tolist()
    if all(u.lexical_emotion for u in spoken):
        groups = [str(u.extra.get("template") or u.sentence) for u in spoken]
        table["read"] = recognisers.read_words(
            [u.text for u in spoken], [str(u.lexical_emotion) for u in spoken], sentences=groups
        ).tolist()
    return gate.validity_gate(table)


def rows_of_gate(valid: gate.Gate, *, data: str) -> list[dict[str, Any]]:
    """Return what the gate finds in the stimuli, as rows."""
    return results.rows(valid, model=STIMULI, data=data)


def measure(listener: Remembered, material: Material, *, data: str, judge: Any, parts: Sequence[str] | None = None) -> Measured:
    """Run the battery, or some `parts` of it. Interrupted, it goes on where it was: what the listener said is kept.

    Args:
        data: what rows call the recordings. judge: of responses, such as `rewards.evaluation_judge()`; never the one that gave the reward.

    Raises:
        ValueError: an unknown part.
    """
    if unknown := set(parts or ()) - set(PARTS):
        raise ValueError(f"unknown part {sorted(unknown)[0]!r} of the battery; choose from {', '.join(PARTS)}")
    subject = Subject(listener, material, judge=judge)
    rows: list[dict[str, Any]] = []
    left_out: dict[str, str] = {}
    found: dict[str, Any] = {}
    for name in parts or PARTS:
        prefix, part = PARTS[name]
        try:
            found[name] = part(subject)
        except (ValueError, VocoderError) as reason:
            left_out[name] = str(reason)
            continue
        part_rows = [
            row
            for key, value in (found[name].items() if isinstance(found[name], dict) else [("", found[name])])
            for row in _named(results.rows(value, model=listener.name, data=data), prefix, key)
        ]
        rows += part_rows
    return Measured(rows, left_out, found, subject.answers)


def _named(rows: Sequence[dict[str, Any]], *prefixes: str) -> list[dict[str, Any]]:
    return [{**row, "measure": "_".join([*filter(None, prefixes), row["measure"]])} for row in rows]
