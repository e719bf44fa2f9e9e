"""CASE: 378 synthetic utterances whose tone and words disagree, seven emotions (Huang et al. 2026, arXiv 2601.04564).

How its download is laid out could not be looked up, so it is read from a manifest that you write: a table with the columns of `manifest`
(audio, emotion: the voice's; lexical_emotion: the words'; text, speaker, language), beside the sounds. Without speakers and sentences each item
is one of its own.
"""

from __future__ import annotations

from cogviz.corpora import manifest
from cogviz.corpora.base import Corpus

CORPUS = Corpus(
    name="case",
    title="CASE",
    kind="benchmark",
    language="en, zh",
    licence="not found",
    page="github.com/24DavidHuang/FAS",
    items=manifest.items("case"),
)
