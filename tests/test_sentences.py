"""The promises of the authored sentences, and a checker that refuses every broken rule."""

import copy
import json
from collections import Counter, defaultdict

import pytest

from cogviz.emotions import EMOTIONS
from cogviz.lime.sentences import DOMAINS, ScenarioError, main, parse_template, read_templates, sentences, templates


def test_ambiguous_templates_cover_the_domains_with_seven_readings():
    ambiguous = [t for t in templates() if t.kind == "ambiguous"]
    assert len(ambiguous) >= 160
    assert min(Counter(t.domain for t in ambiguous).values()) >= 10
    assert {t.domain for t in ambiguous} == set(DOMAINS)
    assert all(tuple(t.readings) == EMOTIONS for t in ambiguous)


def test_there_are_enough_distinct_sentences():
    assert len({s.text for s in sentences(kind="ambiguous")}) >= 5000
    assert len({s.text for s in sentences(kind="emotional")}) >= 2000
    assert len({s.text for s in sentences(kind="everyday")}) >= 5000


def test_every_lexical_emotion_is_in_every_split():
    for split in ("train", "validation", "test", "test_slots"):
        assert {s.emotion for s in sentences(kind="emotional", split=split)} == set(EMOTIONS)


def test_every_kind_has_templates_held_out_from_training():
    for kind in ("ambiguous", "emotional", "everyday"):
        by_split = defaultdict(set)
        for sentence in sentences(kind=kind):
            by_split[sentence.split].add(sentence.template)
        assert by_split["test"]
        assert not by_split["test"] & (by_split["train"] | by_split["validation"] | by_split["test_slots"])
        assert not by_split["validation"] & by_split["train"]
        assert by_split["test_slots"] <= by_split["train"]


def test_no_text_is_shared_across_splits():
    split_of = {}
    for sentence in sentences():
        key = " ".join(sentence.text.lower().split())
        assert split_of.setdefault(key, sentence.split) == sentence.split, sentence.text


def test_last_value_of_a_slot_is_never_trained_on():
    for template in templates():
        if template.split == "train":
            for sentence, values in zip(template.sentences(), combinations(template.slots), strict=True):
                heldout = any(value == template.slots[name][-1] for name, value in values.items())
                assert (sentence.split == "test_slots") == heldout


def combinations(slots: dict) -> list[dict]:
    found = [{}]
    for name, values in slots.items():
        found = [{**row, name: value} for row in found for value in values]
    return found


def test_sentence_ids_are_unique_and_independent_of_order():
    ids = [s.id for s in sentences()]
    assert len(set(ids)) == len(ids)
    assert ids == [s.id for s in sentences()]


def test_no_slot_is_left_unfilled():
    for sentence in sentences():
        written = [sentence.text, sentence.topic, *(part for r in sentence.readings.values() for part in (r.what, r.why, r.reply))]
        assert not any("{" in text or "}" in text for text in written), sentence.id


READINGS = {
    name: {"what": f"they heard of number {i}", "why": f"it counts for reason {i}", "reply": f"Tell me more about number {i}."}
    for i, name in enumerate(EMOTIONS)
}
GOOD = {
    "id": "x-01", "kind": "ambiguous", "domain": "family", "split": "train", "text": "They told me about the {thing} today.",
    "topic": "the {thing}", "slots": {"thing": ["house", "boat"]}, "readings": READINGS,
}  # fmt: skip


def changed(**changes) -> dict:
    row = copy.deepcopy(GOOD) | changes
    return {key: value for key, value in row.items() if value is not None}


def reading(name: str, **changes) -> dict:
    return {"readings": copy.deepcopy(READINGS) | {name: READINGS[name] | changes}}


def test_checker_accepts_a_good_template():
    template = parse_template(GOOD, "here")
    assert [s.text for s in template.sentences()] == ["They told me about the house today.", "They told me about the boat today."]
    assert [s.split for s in template.sentences()] == ["train", "test_slots"]


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        *[({key: None}, f"missing '{key}'") for key in ("id", "kind", "domain", "split", "text", "topic", "slots")],
        ({"kind": "odd"}, "kind must be one of"),
        ({"domain": "space"}, "domain must be one of"),
        ({"split": "dev"}, "split must be one of"),
        ({"slots": {}}, "at least one slot"),
        ({"slots": {"thing": ["house"]}}, "two values or more"),
        ({"slots": {"thing": ["house", "house"]}}, "repeats a value"),
        ({"slots": {"thing": ["house", "boat"], "who": ["a", "b"]}}, "text must use every slot"),
        ({"text": "They told me about the {thing} and {who} today."}, "text must use every slot"),
        ({"topic": "the {who}"}, "topic uses a slot that is not listed"),
        ({"topic": "the weather"}, "must occur in"),
        ({"text": "The {thing}."}, "3 to 16 words"),
        ({"text": "They told me " + "and me " * 10 + "about the {thing} today."}, "3 to 16 words"),
        ({"text": "They told me about the {thing} today"}, "must end in"),
        ({"text": "They told me 3 things about the {thing} today."}, "letters and"),
        ({"text": "They told me about the {thing} today; yes."}, "letters and"),
        ({"emotion": "sad"}, "only emotional templates"),
        ({"text": "They were scared about the {thing} today."}, "the text names an emotion"),
        ({"slots": {"thing": ["house", "happy boat"]}}, "the text names an emotion"),
        ({"readings": {k: v for k, v in READINGS.items() if k != "fear"}}, "a reading for each emotion"),
        ({"readings": dict(reversed(READINGS.items()))}, "in the order"),
        (reading("sad", what="they heard of the {who}"), "sad.what uses a slot"),
        (reading("sad", why="it makes them sad again"), "sad.why names an emotion: 'sad'"),
        (reading("fear", reply="You sound frightened, tell me."), "fear.reply names an emotion"),
        (reading("sad", what="gone"), "2 to 20 words"),
        (reading("sad", what="they heard of it."), "without a full stop"),
        (reading("sad", reply="tell me more."), "full sentence"),
        (reading("sad", reply="Tell me more"), "full sentence"),
        (reading("sad", why=READINGS["fear"]["why"]), "two readings share the same 'why'"),
        ({"readings": READINGS | {"sad": {"what": "a b", "why": "c d"}}}, "must have exactly what, why, reply"),
        (reading("sad", mood="low"), "must have exactly what, why, reply"),
        ({"kind": "everyday"}, "only ambiguous templates have readings"),
        ({"kind": "emotional", "emotion": "joy"}, "emotion must be one of"),
        ({"kind": "emotional", "emotion": None}, "emotion must be one of"),
    ],
)  # fmt: skip
def test_checker_names_the_broken_rule_and_the_place(changes, rule):
    with pytest.raises(ScenarioError) as caught:
        parse_template(changed(**changes), "file.jsonl:7")
    assert rule in str(caught.value)
    assert str(caught.value).startswith("file.jsonl:7: ")


def test_broken_file_is_refused_at_its_line(tmp_path, capsys):
    path = tmp_path / "a.jsonl"
    path.write_text(json.dumps(GOOD) + "\n\n")
    assert len(read_templates(path)) == 1
    main([str(path)])
    assert "1 templates, 2 distinct sentences" in capsys.readouterr().out
    path.write_text(json.dumps(GOOD) + "\n{half\n")
    with pytest.raises(ScenarioError, match=r"a\.jsonl:2: not JSON"):
        read_templates(path)


# --- sentences that a language model wrote ---------------------------------------------------------------------------------------


def test_sampled_sentences_are_many_fit_and_for_training_only():
    from cogviz.models.writer import fit

    found = sentences(kind="sampled")
    assert len(found) >= 800
    assert all(fit(s.text, s.topic) for s in found)
    assert {s.split for s in found} == {"train"}
    assert not {s.text for s in found} & {s.text for s in sentences()}
    assert sentences(kind="sampled", split="test") == []
    known = {w.strip(".,?!'").lower() for s in sentences(split="train") for w in s.text.split()}
    new = {w.strip(".,?!'").lower() for s in found for w in s.text.split()} - known
    assert len(new) > 500, "they are there for their words"


@pytest.mark.parametrize(
    ("text", "word", "good"),
    [
        ("The lantern swung above the quiet harbour.", "lantern", True),
        ("The lantern swung above the quiet harbour.", "boat", False),
        ("Too short.", "short", False),
        ("the lantern swung above the harbour.", "lantern", False),
        ("The lantern cost 40 dollars at the harbour.", "lantern", False),
        ("The lantern makes me so happy today.", "lantern", False),
        ("The lantern was a gun all along.", "lantern", False),
        ("The NASA lantern swung above the harbour.", "lantern", False),
    ],
)
def test_what_is_kept_of_what_a_language_model_writes(text, word, good):
    from cogviz.models.writer import fit

    assert fit(text, word) is good
