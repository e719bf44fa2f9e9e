"""Sentence + emotion + intensity -> the EIPS chain and the response that a model should learn.

The default annotator is an authored grammar, deterministic under a seed. Sentences with a reading get its facts; sentences without one get an
answer that stays with what was said, because a listener who knows nothing more must not invent. `annotate_with_llm` asks a language
model behind an OpenAI-compatible URL for the same schema instead.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence

from cogviz import endpoint
from cogviz.eips import STEPS, Answer, Chain
from cogviz.emotions import emotion as emotion_named
from cogviz.emotions import intensity as intensity_k
from cogviz.lime.prosody import PARAMETERS
from cogviz.lime.sentences import Sentence

# What a listener would say of a rendering: parameter, threshold, word. In this order; at most two are named.
CUES: tuple[tuple[str, float, str], ...] = (
    ("level", 9.0, "loud"),
    ("level", -3.0, "soft"),
    ("f0_level", 3.0, "high"),
    ("f0_level", -1.5, "low"),
    ("duration", 0.2, "slow"),
    ("duration", -0.1, "quick"),
    ("f0_final", 2.5, "rising at the end"),
    ("f0_final", -2.0, "falling at the end"),
    ("f0_range", -0.35, "flat"),
    ("f0_range", 0.35, "lively"),
)

DEGREES = {"low": "a little", "mid": "clearly", "high": "strongly"}
"""How strong an emotion is, in words."""

# Sentence frames by emotion. {what}, {why}: clauses of the reading. Where a frame has none, the response holds the facts.
_INTENT: dict[str, tuple[str, ...]] = {
    "neutral": ("They are just saying that {what}.", "They pass on that {what}."),
    "happy": ("They want to share that {what}.", "They cannot wait to tell that {what}."),
    "sad": ("They need someone to hear that {what}.", "They find it hard to say that {what}."),
    "angry": ("They want it put right that {what}.", "They complain that {what}."),
    "fear": ("They ask for help because {what}.", "They warn that {what}."),
    "disgust": ("They want to get away because {what}.", "They recoil because {what}."),
    "surprise": ("They can hardly believe that {what}.", "They did not see it coming that {what}."),
}
_PSYCHOLOGY: dict[str, tuple[str, ...]] = {
    "neutral": ("They are at ease: {why}.", "Nothing weighs on them: {why}."),
    "happy": ("They glow, since {why}.", "They are lifted up, since {why}."),
    "sad": ("It weighs on them, since {why}.", "They feel a loss, since {why}."),
    "angry": ("They feel wronged, since {why}.", "Their patience is gone, since {why}."),
    "fear": ("They feel in danger, since {why}.", "They are on edge, since {why}."),
    "disgust": ("It turns their stomach, since {why}.", "They want distance, since {why}."),
    "surprise": ("It upsets what they expected, since {why}.", "They are caught off guard, since {why}."),
}
_STRATEGY: dict[str, tuple[str, ...]] = {
    "neutral": ("Answer plainly and help with the next step.", "Keep to the facts and be useful."),
    "happy": ("Share the delight and ask for more.", "Celebrate with them."),
    "sad": ("Comfort first, no quick advice.", "Be gentle and stay with them."),
    "angry": ("Take the grievance seriously and look for a remedy.", "Side with their point, then act."),
    "fear": ("Reassure them and take one safe step.", "Calm them and offer protection."),
    "disgust": ("Agree that it is foul and help them out of it.", "Validate the recoil, then clear it away."),
    "surprise": ("Marvel with them and check what is known.", "Slow down and sort it out together."),
}
_OPENER: dict[str, dict[str, tuple[str, ...]]] = {
    "neutral": {"soft": ("All right.", "I see."), "strong": ("Understood.", "Good to know.")},
    "happy": {"soft": ("How nice!", "Lovely!"), "strong": ("That is wonderful!", "Hooray!")},
    "sad": {"soft": ("I am sorry.", "Oh dear."), "strong": ("I am so very sorry.", "My heart goes out to you.")},
    "angry": {"soft": ("That is not fair.", "You have a point."), "strong": ("That is an outrage.", "You have every right to protest.")},
    "fear": {"soft": ("Stay calm.", "I am with you."), "strong": ("You are not alone, breathe.", "Stay close, I will help right now.")},
    "disgust": {"soft": ("Yuck.", "How nasty."), "strong": ("Ugh, that is vile!", "How utterly foul!")},
    "surprise": {"soft": ("Oh, really?", "Well, well."), "strong": ("Wow, no way!", "Good heavens!")},
}
# Without a reading: what can be said of the topic and the tone alone.
_OPEN_WHAT: dict[str, tuple[str, ...]] = {
    "neutral": ("they mention {topic}", "they are speaking of {topic}"),
    "happy": ("they delight in {topic}", "they had good luck with {topic}"),
    "sad": ("they grieve over {topic}", "they are low because of {topic}"),
    "angry": ("they object to {topic}", "they were let down over {topic}"),
    "fear": ("they do not feel safe with {topic}", "they worry about {topic}"),
    "disgust": ("they cannot stand {topic}", "they shrink from {topic}"),
    "surprise": ("they did not reckon with {topic}", "they were caught out by {topic}"),
}
_OPEN_WHY: dict[str, tuple[str, ...]] = {
    "neutral": ("it is part of the day", "it asks for nothing more"),
    "happy": ("it is close to their heart", "they hoped for this"),
    "sad": ("it is close to their heart", "something is missing now"),
    "angry": ("someone should have known better", "it crosses a line"),
    "fear": ("they do not know what comes next", "they cannot stop it alone"),
    "disgust": ("it feels unclean", "it goes against the grain"),
    "surprise": ("they were sure of the opposite", "nothing pointed to it"),
}
_OPEN_REPLY: dict[str, tuple[str, ...]] = {
    "neutral": ("What do you need about {topic}?", "Shall we note something down about {topic}?"),
    "happy": ("Tell me everything about {topic}!", "What was the best thing about {topic}?"),
    "sad": ("Take your time with {topic}, I am listening.", "You need not carry {topic} alone."),
    "angry": ("Let us get to the bottom of {topic}.", "Who has to answer for {topic}?"),
    "fear": ("Let us get you safe from {topic} first.", "We will face {topic} together."),
    "disgust": ("Leave {topic} and wash your hands of it.", "Keep well away from {topic}."),
    "surprise": ("How did that happen with {topic}?", "Who would have thought that of {topic}?"),
}


def cues(values: Sequence[float] | None) -> tuple[str, ...]:
    """Name what can be heard in a rendering: at most two words such as "loud", "high"; () where nothing stands out.

    Args:
        values: (P,) the parameters of `prosody.delta`.
    """
    if values is None:
        return ()
    value = dict(zip(PARAMETERS, values, strict=True))
    found = [word for name, limit, word in CUES if (value[name] >= limit if limit > 0 else value[name] <= limit)]
    return tuple(found[:2])


def annotate(sentence: Sentence, emotion: str, intensity: str | float = "mid", *, heard: Sequence[str] = (), seed: object = 0) -> Answer:
    """Return the chain and response for a sentence said in an emotion.

    Args:
        sentence: with a reading for the emotion, or without (then nothing is said that the words do not hold).
        emotion, intensity: of the voice.
        heard: cue words from `cues`, so that the chain claims only what is in the signal.
        seed: chooses among the phrasings.
    """
    name, k = emotion_named(emotion), intensity_k(intensity)
    degree = "low" if k < 0.75 else "mid" if k < 1.25 else "high"

    def pick(options: Sequence[str], what: str) -> str:
        digest = hashlib.sha256(f"{sentence.id}/{emotion}/{what}/{seed}".encode()).digest()
        return options[digest[0] % len(options)]

    reading = sentence.readings.get(emotion)
    what = reading.what if reading else pick(_OPEN_WHAT[emotion], "what").format(topic=_seen_by_listener(sentence.topic, "their"))
    why = reading.why if reading else pick(_OPEN_WHY[emotion], "why")
    reply = reading.reply if reading else pick(_OPEN_REPLY[emotion], "reply").format(topic=_seen_by_listener(sentence.topic, "your"))
    voice = f"The voice sounds {name.adjective}" + (f", {DEGREES[degree]}" if emotion != "neutral" else "")
    voice += f": it is {' and '.join(heard)}." if heard else "."
    words = f' The words are "{sentence.text}"'
    if sentence.emotion is not None and sentence.emotion != emotion:
        words += f" They alone would be {emotion_named(sentence.emotion).adjective}."
    opener = pick(_OPENER[emotion]["strong" if degree == "high" else "soft"], "opener")
    return Answer(
        response=f"{opener} {reply}",
        chain=Chain(
            perception=voice + words,
            intent=pick(_INTENT[emotion], "intent").format(what=what),
            psychology=pick(_PSYCHOLOGY[emotion], "psychology").format(why=why),
            strategy=pick(_STRATEGY[emotion], "strategy"),
        ),
    )


def _seen_by_listener(topic: str, speakers: str) -> str:
    """Turn the speaker's "my dog" into "their dog" (of them) or "your dog" (to them), "your dog" into "my dog", "The dog" into "the dog"."""
    topic = re.sub(r"^(The|This|That|These|Those|My|Our|Your|His|Her|Their|An?)\b", lambda match: match[0].lower(), topic)
    return re.sub(r"\b(my|our|your)\b", lambda match: "my" if match[0] == "your" else speakers, topic)


class AnnotationError(RuntimeError):
    """Raised where a language model does not give a usable annotation; the message says what came back."""


_INSTRUCTION = (
    "A person says the sentence below in the given tone of voice. The words are the same in every tone; answer to the tone. Return one JSON object "
    'with the keys "perception", "intent", "psychology", "strategy", "response": what is heard in the voice and the words; what the speaker wants; '
    "what moves them; how to answer; the answer itself, to the speaker. Each value is one or two short sentences without angle or square brackets."
)


def annotate_with_llm(
    sentence: Sentence, emotion: str, intensity: str | float = "mid", *, url: str, model: str, timeout: float = 60.0, tries: int = 3
) -> Answer:
    """Ask a language model behind an OpenAI-compatible `url` (".../v1") for the same schema; the key is read from $OPENAI_API_KEY.

    Raises:
        AnnotationError: no answer, or none with the schema, within `tries`.
    """
    name, k = emotion_named(emotion), intensity_k(intensity)
    asked = {"sentence": sentence.text, "tone": name.adjective, "intensity": f"{k:g} of 1.5"}
    if emotion in sentence.readings:
        asked["situation"] = sentence.readings[emotion].what
    messages = [{"role": "system", "content": _INSTRUCTION}, {"role": "user", "content": json.dumps(asked)}]
    try:
        return endpoint.ask(messages, _read, url=url, model=model, timeout=timeout, tries=tries)
    except endpoint.EndpointError as error:
        raise AnnotationError(f"{model} at {url} gave no usable annotation for {sentence.id} in {tries} tries ({error})") from None


def _read(text: str) -> Answer:
    found = json.loads(text[text.index("{") : text.rindex("}") + 1])
    parts = {key: " ".join(found[key].split()) for key in (*STEPS, "response")}
    if not all(parts.values()) or any(c in value for value in parts.values() for c in "<>[]"):
        raise ValueError("a value is empty or has brackets")
    return Answer(parts.pop("response"), Chain(**parts))
