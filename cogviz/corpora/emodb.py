"""EmoDB: ten German actors, ten sentences, seven emotions, six of them ours (Burkhardt et al. 2005, Interspeech)."""

from __future__ import annotations

from pathlib import Path

from cogviz.corpora.base import Corpus, by_name, emotion_of, spoken
from cogviz.utterance import Utterance

_EMOTION = {"W": "anger", "L": "boredom", "E": "disgust", "A": "fear", "F": "happiness", "T": "sadness", "N": "neutral"}
_SENTENCE = {
    "a01": "Der Lappen liegt auf dem Eisschrank.",
    "a02": "Das will sie am Mittwoch abgeben.",
    "a04": "Heute abend könnte ich es ihm sagen.",
    "a05": "Das schwarze Stück Papier befindet sich da oben neben dem Holzstück.",
    "a07": "In sieben Stunden wird es soweit sein.",
    "b01": "Was sind denn das für Tüten, die da unter dem Tisch stehen.",
    "b02": "Sie haben es gerade hochgetragen und jetzt gehen sie wieder runter.",
    "b03": "An den Wochenenden bin ich jetzt immer nach Hause gefahren und habe Agnes besucht.",
    "b09": "Ich will das eben wegbringen und dann mit Karl was trinken gehen.",
    "b10": "Die wird auf dem Platz sein, wo wir sie immer hinlegen.",
}
_OTHERS = {"boredom": "flat"}


def _parse(path: Path) -> Utterance | None:
    """Name: two digits speaker, three characters sentence, a letter emotion, a letter version."""
    stem = path.stem
    if len(stem) != 7:
        raise ValueError(stem)
    speaker, sentence, version = int(stem[:2]), stem[2:5], stem[6]
    return spoken(
        "emodb",
        stem,
        path,
        emotion_of(_EMOTION[stem[5]], _OTHERS),
        speaker=f"{speaker:02d}",
        sentence=sentence,
        text=_SENTENCE[sentence],
        version=version,
    )


CORPUS = Corpus(
    name="emodb",
    title="the Berlin Database of Emotional Speech (EmoDB)",
    kind="acted",
    language="de",
    licence="CC0 1.0 (audEERING's publication)",
    page="zenodo.org/records/7447302",
    items=by_name(_parse),
    others=_OTHERS,
)
