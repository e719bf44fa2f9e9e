"""HumDial-EIBench, task 4: 200 recordings whose tone agrees or disagrees with the words, a question with four options (arXiv 2604.11594).

Its download has the folders en and zh; what their tables are called and hold could not be looked up, so it is read from a manifest that you
write: a table with the columns of `manifest` (audio, emotion: the voice's; lexical_emotion: the words'; text, question, options, answer,
language, speaker), beside the sounds. Without speakers and sentences each item is one of its own.
"""

from __future__ import annotations

from cogviz.corpora import manifest
from cogviz.corpora.base import Corpus

CORPUS = Corpus(
    name="humdial",
    title="HumDial-EIBench, task 4",
    kind="benchmark",
    language="en, zh",
    licence="not stated for the data (its code is Apache-2.0)",
    page="huggingface.co/datasets/ASLP-lab/HumDial-EIBench",
    command="hf download ASLP-lab/HumDial-EIBench --repo-type dataset --local-dir HumDial-EIBench",
    items=manifest.items("humdial"),
)
