"""What a model learns to say: decided by the tone, true to the words, the same under the same seed."""

import json
import re

import pytest

from cogviz import eips
from cogviz.emotions import EMOTIONS, UnknownEmotion, emotion
from cogviz.lime import annotate as module
from cogviz.lime.annotate import AnnotationError, annotate, annotate_with_llm, cues
from cogviz.lime.prosody import PARAMETERS
from cogviz.lime.sentences import Sentence, templates


def first(kind: str) -> list[Sentence]:
    return [next(t.sentences()) for t in templates() if t.kind == kind]


AMBIGUOUS = first("ambiguous")
OPEN = first("emotional") + first("everyday")


def words(text: str) -> set[str]:
    return set(re.findall(r"[a-z']+", text.lower()))


def test_same_seed_same_answer_and_other_seeds_vary():
    sentence = AMBIGUOUS[0]
    assert annotate(sentence, "sad", seed=3) == annotate(sentence, "sad", seed=3)
    assert len({annotate(sentence, "sad", seed=seed) for seed in range(20)}) > 5


def test_no_two_responses_of_a_sentence_are_equal():
    for sentence in AMBIGUOUS:
        for k in ("low", "high"):
            assert len({annotate(sentence, name, k).response for name in EMOTIONS}) == 7
            assert len({annotate(sentence, name, k).chain.intent for name in EMOTIONS}) == 7


def test_open_responses_differ_by_tone_too():
    for sentence in OPEN:
        assert len({annotate(sentence, name).response for name in EMOTIONS}) == 7


def test_every_answer_is_well_formed():
    for sentence in AMBIGUOUS + OPEN:
        for name in EMOTIONS:
            answer = annotate(sentence, name, heard=("loud",))
            assert eips.parse(eips.render(answer)) == answer
            assert "{" not in eips.render(answer)


def test_reading_reaches_the_answer():
    for sentence in AMBIGUOUS:
        for name in EMOTIONS:
            answer, reading = annotate(sentence, name), sentence.readings[name]
            assert reading.what in answer.chain.intent
            assert reading.why in answer.chain.psychology
            assert reading.reply in answer.response


def frame_words(name: str) -> set[str]:
    """Every word that the grammar itself may say in an emotion."""
    tables = (module._INTENT, module._PSYCHOLOGY, module._STRATEGY, module._OPEN_WHAT, module._OPEN_WHY, module._OPEN_REPLY)
    texts = [text for table in tables for text in table[name]] + [text for both in module._OPENER[name].values() for text in both]
    return set().union(*map(words, texts)) | {"my", "your", "their"}


@pytest.mark.parametrize("name", EMOTIONS)
def test_open_style_holds_no_fact_beyond_the_topic(name):
    frames = frame_words(name)
    for sentence in OPEN:
        for seed in range(3):
            answer = annotate(sentence, name, ("low", "mid", "high")[seed], seed=seed)
            said = words(f"{answer.response} {answer.chain.intent} {answer.chain.psychology} {answer.chain.strategy}")
            assert said <= frames | words(sentence.topic), said - frames - words(sentence.topic)


def test_topic_is_seen_from_the_listeners_side():
    base = {"id": "x", "kind": "everyday", "domain": "family", "split": "train", "template": "x"}
    mine = annotate(Sentence(text="They sold my old boat.", topic="my old boat", **base), "happy")
    assert "your old boat" in mine.response
    assert "their old boat" in mine.chain.intent
    yours = annotate(Sentence(text="Your dog is here.", topic="Your dog", **base), "happy")
    assert "my dog" in yours.response
    assert "the dog" in annotate(Sentence(text="The dog is here.", topic="The dog", **base), "sad").response


@pytest.mark.parametrize("name", EMOTIONS)
def test_perception_names_the_tone_and_what_was_heard(name):
    perception = annotate(OPEN[0], name, "high", heard=("loud", "quick")).chain.perception
    assert f"sounds {emotion(name).adjective}" in perception
    assert "it is loud and quick." in perception
    assert f'"{OPEN[0].text}"' in perception
    assert "it is" not in annotate(OPEN[0], name).chain.perception.partition('"')[0]


def test_lexical_emotion_is_told_only_where_it_disagrees():
    sentence = next(s for s in OPEN if s.emotion == "happy")
    assert "They alone would be happy." in annotate(sentence, "sad").chain.perception
    assert "alone" not in annotate(sentence, "happy").chain.perception.rpartition('"')[2]


def test_intensity_changes_the_opener():
    openers = {k: {annotate(OPEN[0], "angry", k, seed=seed).response.partition(".")[0] for seed in range(10)} for k in ("low", "high")}
    assert not openers["low"] & openers["high"]
    assert annotate(OPEN[0], "angry", 1.5) == annotate(OPEN[0], "angry", "high")


def test_unknown_emotion_and_intensity_are_refused():
    with pytest.raises(UnknownEmotion):
        annotate(OPEN[0], "joy")
    with pytest.raises(UnknownEmotion):
        annotate(OPEN[0], "sad", "huge")


def test_cues_name_at_most_two_things_that_stand_out():
    def parameters(**values: float) -> list[float]:
        return [values.get(name, 0.0) for name in PARAMETERS]

    assert cues(None) == cues(parameters()) == ()
    assert cues(parameters(level=20, f0_level=12, duration=-0.5)) == ("loud", "high")
    assert cues(parameters(f0_level=-12)) == ("low",)
    assert cues(parameters(duration=1.0)) == ("slow",)


GOOD = {
    "perception": "It sounds sad.",
    "intent": "They want comfort.",
    "psychology": "A loss.",
    "strategy": "Be\n gentle.",
    "response": "I am here.",
}
EXPECTED = eips.Answer("I am here.", eips.Chain("It sounds sad.", "They want comfort.", "A loss.", "Be gentle."))


def ask(endpoint, **options) -> eips.Answer:
    return annotate_with_llm(AMBIGUOUS[0], "sad", "high", url=endpoint.url, model="tiny", timeout=5, **options)


def test_llm_gives_an_answer_of_the_same_schema(endpoint):
    endpoint.will_say("Sure! ```json\n" + json.dumps(GOOD) + "\n```")
    assert ask(endpoint) == EXPECTED
    (request,) = endpoint.requests
    assert (request["path"], request["model"], request["key"]) == ("/v1/chat/completions", "tiny", "Bearer a-test-key")
    asked = json.loads(request["messages"][1]["content"])
    assert asked["sentence"] == AMBIGUOUS[0].text
    assert asked["tone"] == "sad"
    assert asked["situation"] == AMBIGUOUS[0].readings["sad"].what


@pytest.mark.parametrize(
    "content",
    [
        None,
        "",
        "I cannot do that.",
        "}{",
        "{}",
        json.dumps([GOOD])[:-40],
        json.dumps({k: v for k, v in GOOD.items() if k != "intent"}),
        json.dumps(GOOD | {"intent": ""}),
        json.dumps(GOOD | {"intent": None}),
        json.dumps(GOOD | {"intent": ["a"]}),
        json.dumps(GOOD | {"response": "</response>"}),
        json.dumps(GOOD | {"strategy": "[Perception] b"}),
        {"a": 1},
    ],
)
def test_malformed_content_is_tried_again_and_then_refused(endpoint, content):
    endpoint.will_say(content, content, json.dumps(GOOD))
    assert ask(endpoint) == EXPECTED
    endpoint.replies.clear()
    endpoint.will_say(content)
    with pytest.raises(AnnotationError, match=r"tiny at .* gave no usable annotation .* in 2 tries"):
        ask(endpoint, tries=2)
    assert len(endpoint.requests) == 5


@pytest.mark.parametrize(
    ("status", "body", "length"),
    [(200, b"<html>", 6), (200, b"[]", 2), (200, b'{"choices": []}', 15), (200, b"\xff\xfe", 2), (200, b'{"choi', 500), (200, b"", 0)],
)
def test_malformed_reply_is_refused(endpoint, status, body, length):
    endpoint.replies.append((status, body, length))
    with pytest.raises(AnnotationError, match="no usable annotation"):
        ask(endpoint, tries=1)


@pytest.mark.parametrize("status", [401, 404, 500])
def test_error_status_is_named(endpoint, status):
    endpoint.replies.append((status, b"no", 2))
    with pytest.raises(AnnotationError, match=str(status)):
        ask(endpoint, tries=1)


def test_endpoint_that_is_not_there_is_named():
    with pytest.raises(AnnotationError, match=r"127\.0\.0\.1:9"):
        annotate_with_llm(AMBIGUOUS[0], "sad", url="http://127.0.0.1:9/v1", model="tiny", timeout=1, tries=1)
