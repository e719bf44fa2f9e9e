"""Scores of answers: what a text claims to hear must be read as it is meant, and never be made up."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cogviz import eips, scoring
from cogviz.emotions import EMOTIONS, LABELS, emotion
from cogviz.lime.annotate import annotate
from cogviz.lime.sentences import templates

HAPPY_WORDS = 'The words are "I am so happy today." They alone would be happy.'


def first_sentences(kind: str, count: int) -> list:
    every = [t for t in templates() if t.kind == kind]
    return [next(t.sentences()) for t in every[:: max(1, len(every) // count)]]


@pytest.fixture(scope="module")
def annotated() -> list:
    """(sentence, emotion, answer) over every kind of sentence, all emotions and intensities."""
    return [
        (sentence, name, annotate(sentence, name, k, heard=("loud", "high")[: i % 3], seed=i))
        for kind in ("ambiguous", "emotional", "everyday")
        for i, sentence in enumerate(first_sentences(kind, 20))
        for name in EMOTIONS
        for k in ("low", "high")
    ]


def test_annotators_chain_claims_the_emotion_it_was_written_for(annotated):
    assert len(annotated) > 500
    for _, name, answer in annotated:
        assert scoring.claimed_emotion(answer) == name
        assert scoring.claimed_emotion(eips.render(answer)) == name


def test_annotators_chain_quotes_the_words_that_are_said(annotated):
    for sentence, _, answer in annotated:
        assert scoring.heard_words(answer) == sentence.text
        assert scoring.word_error_rate(sentence.text, scoring.heard_words(eips.render(answer))) == 0


def test_form_is_right_only_on_its_own_route(annotated):
    for _, _, answer in annotated[:50]:
        reason, direct = eips.render(answer), eips.render(eips.Answer(answer.response))
        assert (scoring.format_score(reason, "reason"), scoring.format_score(reason, "direct")) == (1.0, 0.0)
        assert (scoring.format_score(direct, "reason"), scoring.format_score(direct, "direct")) == (0.0, 1.0)
        assert scoring.format_score(reason[:-3], "reason") == scoring.format_score(reason + " more", "reason") == 0.0
    with pytest.raises(eips.UnknownRoute):
        scoring.format_score("", "fast")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "The answer is B",
        "B",
        "(H)",
        "Answer: A. Option F",
        "I'm afraid I cannot hear the audio.",
        "I would be happy to help! Please send the recording.",
        "Options: neutral, happy, sad",
        "The voice sounds happy and sad.",
        "The voice does not sound angry.",
        "He sounds fearless.",
        "The voice sounds bored.",
        HAPPY_WORDS,
        "The words are happy.",
        "The speaker reads the happy sentence.",
        'The speaker says "I am sad and angry."',
        "There is no anger and no fear in the voice.",
        "It happened near the saddle, at an angle.",
    ],
)
def test_text_without_one_claim_claims_nothing(text):
    assert scoring.claimed_emotion(text) is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"The voice sounds calm. {HAPPY_WORDS}", "neutral"),
        (f"The voice sounds angry, clearly: it is loud and high. {HAPPY_WORDS}", "angry"),
        ('The words are "I fear I am sad." The voice sounds disgusted.', "disgust"),
        ('The voice sounds surprised, a little. The words are "I am sa', "surprise"),
        ("Despite the happy words, she is angry.", "angry"),
        ("The words are cheerful, but the voice sounds frightened.", "fear"),
        ("The voice is sad and the words are happy.", "sad"),
        ("While the text is joyful, the speaker sounds scared.", "fear"),
        ("Not angry but sad.", "sad"),
        ("The voice sounds sad. An angry person would shout.", "sad"),
        ("The voice sounds surprisingly calm.", "neutral"),
        ('The emotion is "Sad".', "sad"),
        ("**Anger**", "angry"),
        ("The tone of voice expresses happiness.", "happy"),
        ("[Perception] The voice sounds sad. [Intent] They are happy to", "sad"),
        ("<thought>[Perception] It sounds happy.", "happy"),
    ],
)
def test_claim_is_read_from_the_voice(text, expected):
    assert scoring.claimed_emotion(text) == expected


def test_every_label_of_the_corpora_is_understood_as_a_claim():
    for word, name in LABELS.items():
        if word != "calm":  # RAVDESS's class apart; as an adjective it is ours for neutral
            assert scoring.claimed_emotion(f"The voice sounds {word.upper()}.") == name


def test_direct_route_claims_nothing_even_where_the_response_names_an_emotion():
    assert scoring.claimed_emotion("<response>You sound sad.</response>") is None
    assert scoring.claimed_emotion(eips.Answer("You sound sad.")) is None
    assert scoring.heard_words(eips.Answer('You said "no".')) == ""


@settings(deadline=None)
@given(st.text(alphabet=st.sampled_from("ABCDEFGH abcdefgh.:,()\n0123456789"), max_size=60))
def test_letters_of_a_choice_never_become_an_emotion(text):
    assert scoring.claimed_emotion(f"The answer is {text}") is None


@settings(deadline=None)
@given(
    st.lists(st.sampled_from([*LABELS, *(emotion(e).adjective for e in EMOTIONS), "the", "voice", "Not", '"', ",", ".", "an", "but"])).map(
        " ".join
    )
)
def test_masked_text_claims_nothing_and_masking_twice_changes_nothing(text):
    masked = scoring.mask_emotion_words(text)
    assert scoring.claimed_emotion(masked) is None
    assert scoring.mask_emotion_words(masked) == masked


@settings(deadline=None)
@given(st.text(), st.text())
def test_scores_stay_in_their_range_for_any_text(a, b):
    assert scoring.claimed_emotion(a) in (None, *EMOTIONS)
    assert scoring.format_score(a, "reason") in (0.0, 1.0)
    assert 0 <= scoring.word_recall(a, b) <= 1
    assert scoring.word_error_rate(a, b) >= 0
    assert scoring.word_error_rate(a, a) == 0
    assert scoring.step_similarity(a, b) == scoring.step_similarity(b, a)
    assert 0 <= scoring.step_similarity(a, b) <= 1
    assert scoring.step_similarity(a, a) == 1
    assert isinstance(scoring.heard_words(a), str)


def test_masking_leaves_no_form_of_an_emotion_word_and_no_telling_article():
    assert scoring.mask_emotion_words("An angry man") == "A ____ man"
    assert scoring.mask_emotion_words("a HAPPY, an afraid") == "a ____, a ____"
    told = "sadness frightening surprisingly joyful angrily disgusting unhappy calmer fearful terrified furious neutral"
    assert set(scoring.mask_emotion_words(told).split()) == {scoring.MASK}


def test_masking_keeps_words_that_only_look_like_emotions():
    kept = "It happened to Joyce: scars, a saddle, an angle, a perfect maze."
    assert scoring.mask_emotion_words(kept) == kept


def test_word_error_rate_by_hand():
    assert scoring.word_error_rate("the dog sat down", "The dog, sat: DOWN!") == 0
    assert scoring.word_error_rate("the dog sat down", "the cat sat") == 2 / 4
    assert scoring.word_error_rate("dog", "a b c") == 3
    assert scoring.word_error_rate("a b c", "b c d") == 2 / 3
    assert scoring.word_error_rate("don't", "don’t") == 0
    assert scoring.word_error_rate("", "") == 0
    assert scoring.word_error_rate("a b", "") == 1


def test_word_recall_counts_repeated_words():
    assert scoring.word_recall("the dog and the cat", "The cat.") == 2 / 5
    assert scoring.word_recall("the the", "the") == 0.5


def test_step_similarity_is_the_f1_of_content_words():
    assert scoring.step_similarity("The dog is at the door", "A dog was near a door") == pytest.approx(2 * 2 / (2 + 3))
    assert scoring.step_similarity("Comfort them.", "Find a remedy.") == 0
    assert scoring.step_similarity("they are", "it is") == 0
