"""What the tour (`notebooks/00_tour.ipynb`) listens to, and the sentences and tables that it makes of the answers."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cogviz.utterance import Utterance, cells, enrol

if TYPE_CHECKING:
    import pandas as pd

    from cogviz.evaluation.dominance import Following
    from cogviz.models.listener import Heard
    from cogviz.statistics import Estimate

MIN_ITEMS = 50
"""Fewer held-out conflict items than this give no verdict: figures.json does not say how many sentences they were."""

DRAWN = 7
"""Recordings of a user on one figure; more would be too small to see."""

MEASURES = (
    ("ambiguous_test", "voice_balanced_accuracy", "voice's emotion named (ambiguous words)"),
    ("emotional_test", "follows_voice", "follows the voice (conflicts)"),
    ("emotional_test", "follows_words", "follows the words (conflicts)"),
    ("ambiguous_test", "response_tells_voice_reason", "emotion told from the response"),
    ("ambiguous_test", "words_heard", "words heard rightly"),
    ("ambiguous_test", "valid_chain", "answers in the agreed form"),
)
"""Held-out figures of the page: part, measure, label."""

_TRAINED = {
    "baseline": "trained as audio language models usually are",
    "explicit": "trained to think about voice and words in four steps",
    "implicit": "trained to reply with and without thinking aloud",
    "aligned": "trained in three stages to let its reply fit the voice",
}
LISTENERS = {f"{size}-{name}": how for size in ("nano", "smol") for name, how in _TRAINED.items()}
"""How each variant was trained, for a reader who knows nothing about it: what was intended, not what came of it."""


class ReportError(RuntimeError):
    """Raised where no report can be made; one sentence."""


# --- what is listened to ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Material:
    """The recordings of a report.

    Attributes:
        kind: "samples" (LIME speech), "corpus" (an actor) or "files" (a user's own recordings, emotion unknown).
        name: of the dataset, as rows of figures carry it.
        utterances: all that the models listen to.
        shown: the sentence that is drawn and played: {emotion: variant}, or {file name: recording}.
        about: where the recordings come from, one sentence. licence: of a corpus; "" otherwise.
        notices: of single recordings (clipped, very quiet).
    """

    kind: str
    name: str
    utterances: list[Utterance]
    shown: dict[str, Utterance]
    about: str
    licence: str = ""
    notices: tuple[str, ...] = ()

    @property
    def sentence(self) -> str:
        """The words of the sentence that is shown; "" where unknown."""
        return next(iter(self.shown.values())).text

    @property
    def labelled(self) -> bool:
        """Whether the emotion of the voices is known."""
        return any(u.emotion is not None for u in self.utterances)

    @property
    def conflicts(self) -> list[Utterance]:
        """The recordings whose words and voice carry different emotions."""
        return [u for u in self.utterances if u.congruence == "conflict"]


def samples() -> Path:
    """Return the folder of the shipped speech: `data_samples/` of the working folder, or of the repository."""
    here = Path("data_samples")
    return here if here.is_dir() else Path(__file__).parents[1] / "data_samples"


def material(
    *,
    data: str | Path = "",
    corpus: str = "",
    root: str | Path = "",
    actor: str | int = "",
    sentence: str | int = "",
    files: Sequence[str | Path] = (),
    neutral: str | Path = "",
    enrolled: bool = False,
) -> Material:
    """Return what a report listens to: `files`, else an actor of a `corpus`, else a LIME dataset (`data`; "": the shipped samples).

    Args:
        neutral: with `files`: a recording of the same speaker in a calm voice, which theirs are heard relative to.
        enrolled: without `files`: hear each voice relative to a neutral recording of its speaker in the same data.

    Raises:
        ValueError: (BuildError, CorpusError, AudioError, ReportError) with one sentence that says what is wrong and what there is.
    """
    if neutral and not files:
        raise ReportError("a neutral recording belongs to recordings of your own; for a corpus or a dataset say --enrol")
    if enrolled and files:
        raise ReportError("recordings of your own are enrolled with --neutral FILE, the same speaker in a calm voice")
    if files:
        return _files(files, neutral)
    if corpus:
        return _actor(corpus, root, str(actor), str(sentence), enrolled)
    return _dataset(Path(data) if data else samples(), str(sentence), enrolled)


ENROLLED = " Each voice is heard relative to a neutral recording of its speaker."


def _dataset(folder: Path, sentence: str, enrolled: bool) -> Material:
    from cogviz.lime import dataset

    if not (folder / "metadata.parquet").is_file():
        raise ReportError(f"{folder} holds no finished dataset; build it with: cogviz lime build {folder} --plan samples")
    utterances = enrol(dataset.read(folder)) if enrolled else dataset.read(folder)
    # Where the words say nothing only the voice can; the neural voice is the most natural one, so a newcomer hears it first.
    ambiguous = [u for u in utterances if u.lexical_emotion is None] or utterances
    found = sorted(cells(ambiguous), key=lambda cell: (-len(cell), _any(cell).extra.get("synthesizer") != "neural"))
    if not found:
        raise ReportError(f"no recording in {folder} has an emotion, so there is nothing to compare")
    names = list(dict.fromkeys(_any(cell).sentence for cell in found))
    wanted = _pick(sentence, names, "sentence", numbered=True)
    speakers = len({u.speaker for u in utterances})
    about = (
        f"The speech is synthetic: {len(utterances)} recordings by {speakers} speakers, made by `cogviz lime build`." + ENROLLED * enrolled
    )
    shown = next(cell for cell in found if _any(cell).sentence == wanted)
    return Material("samples", folder.name, utterances, shown, about)


def _actor(name: str, root: str | Path, actor: str, sentence: str, enrolled: bool) -> Material:
    from cogviz import corpora

    corpus = corpora.corpus(name)
    if not root:
        raise ReportError(f"say where {corpus.title} lies with --root FOLDER; download it from {corpus.page}")
    everyone = corpora.read(name, root)
    speaker = _pick(actor, list(dict.fromkeys(sorted(u.speaker for u in everyone))), "actor")
    utterances = [u for u in everyone if u.speaker == speaker]
    utterances = enrol(utterances) if enrolled else utterances
    found = cells(utterances)
    wanted = _pick(sentence, list(dict.fromkeys(sorted(_any(cell).sentence for cell in found))), "sentence")
    about = f"The speech is real: {len(utterances)} recordings by actor `{speaker}` of {corpus.title}." + ENROLLED * enrolled
    if corpus.language != "en":
        about += f" It is not English (language code {corpus.language}), which the models do not know."
    shown = next(cell for cell in found if _any(cell).sentence == wanted)
    return Material("corpus", name, utterances, shown, about, licence=corpus.licence)


def _files(files: Sequence[str | Path], neutral: str | Path) -> Material:
    from cogviz import audio

    utterances: list[Utterance] = []
    notices: list[str] = []
    paths = [Path(f) for f in dict.fromkeys(map(str, files))]
    for path in paths:
        recording = audio.read(path)
        notices += recording.notices
        unique = sum(p.name == path.name for p in paths) == 1
        utterances.append(Utterance(path.name if unique else str(path), "", None, "you", str(path), "files", waveform=recording.samples))
    about = ""
    if neutral:
        recording = audio.read(Path(neutral))
        notices += recording.notices
        calm = Utterance(f"neutral: {Path(neutral).name}", "", "neutral", "you", str(neutral), "files", waveform=recording.samples)
        utterances = [replace(u, enrolment=calm) for u in utterances]
        about = " Your voice is heard relative to the neutral recording that you gave."
    count = "one recording" if len(utterances) == 1 else f"{len(utterances)} recordings"
    about = f"The speech is yours: {count}, whose emotion nobody has written down." + about
    return Material("files", "files", utterances, {u.id: u for u in utterances}, about, notices=tuple(notices))


def _any(cell: dict[str, Utterance]) -> Utterance:
    return next(iter(cell.values()))


def _pick(wanted: str, names: list[str], what: str, *, numbered: bool = False) -> str:
    """Return the name that is `wanted`, or ends in it ("3" is "ravdess-03"); where `numbered`, also by its place; "": the first."""
    if not wanted:
        return names[0]
    for i, name in enumerate(names, 1):
        end = name.rsplit("-", 1)[-1]
        if wanted in (name, end, str(i) if numbered else name):
            return name
        if not numbered and wanted.isdigit() and end.isdigit() and int(wanted) == int(end):
            return name
    shown = ", ".join(names[:8]) + (", ..." if len(names) > 8 else "")
    numbers = f" (or a number from 1 to {len(names)})" if numbered else ""
    raise ReportError(f"there is no {what} {wanted!r}; there is {shown}{numbers}")


# --- what the page says ----------------------------------------------------------------------------------------------------------


def answer_rows(heard: dict[str, list[Heard]], shown: dict[str, Utterance]) -> list[dict[str, Any]]:
    """Return the answers to the variants that are shown as rows of `plotting.answers`."""
    ids = {u.id for u in shown.values()}
    return [
        {"emotion": h.utterance.emotion, "model": model, "claimed": h.claimed, "answer": h.answer, "text": h.text, "id": h.utterance.id}
        | {"sentence": h.utterance.text or h.utterance.id, "speaker": h.utterance.speaker if h.utterance.emotion else ""}
        for model, answers in heard.items()
        for h in answers
        if h.utterance.id in ids
    ]


def reason(found: Following) -> str:
    """Say why the verdict is what it is."""
    from cogviz.plotting.page import share
    from cogviz.statistics import MIN_SENTENCES

    if found.verdict != "undecided":
        more, less = ("voice", "words") if found.verdict.endswith("voice") else ("words", "voice")
        return f"the {more} win over the {less}".replace("voice win", "voice wins") + ", and the interval of the difference excludes chance"
    if found.sentences < MIN_SENTENCES:
        return f"fewer than {MIN_SENTENCES} sentences cannot show how far sentences differ"
    if not found.together.low > (found.together.chance or 0.0):
        return f"its answers name the voice's or the words' emotion no more often than chance would ({share(found.together)})"
    return "the interval of (voice − words) does not exclude what chance alone would give"


def claims(heard: dict[str, list[Heard]], item: Utterance) -> str:
    """Say which emotion each model hears in one recording."""
    found = {model: next(h.claimed for h in answers if h.utterance.id == item.id) for model, answers in heard.items()}
    return "; ".join(f"`{model}` hears **{claim or 'no emotion that can be read'}**" for model, claim in found.items())


def example(heard: dict[str, list[Heard]], conflicts: Sequence[Utterance]) -> Utterance:
    """Return a conflict item to show: where the models differ most, then the first."""
    claimed: dict[str, set[str | None]] = {}
    for answers in heard.values():
        for h in answers:
            claimed.setdefault(h.utterance.id, set()).add(h.claimed)
    return max(conflicts, key=lambda u: len(claimed[u.id]))


def progress(curve: pd.DataFrame) -> list[str]:
    """Say where each reward began and ended: means over the first and the last tenth of its steps."""
    lines = []
    for (stage, name), part in curve[curve["name"].str.startswith("reward")].groupby(["stage", "name"], sort=False):
        values = part.sort_values("step")["value"].to_numpy()
        tenth = max(len(values) // 10, 1)
        first, last = values[:tenth].mean(), values[-tenth:].mean()
        lines.append(f"{stage}, {str(name).replace('_', ' ')}: from {first:.2f} to {last:.2f} in {len(values)} steps")
    return lines


def checkpoint_folders(models: Sequence[str | Path]) -> list[Path]:
    """Return the folders with held-out figures: the variants of the same size beside the given models, then the models themselves."""
    from cogviz.models import zoo

    given = [zoo.folder(m) for m in models]
    sizes = {folder.name.split("-")[0] for folder in given if folder.name in zoo.VARIANTS} or {"nano"}
    beside = [folder.resolve().parent / name for folder in given for name in zoo.VARIANTS if name.split("-")[0] in sizes]
    found = {f.resolve(): f for f in (*beside, *given) if (f / "figures.json").is_file()}
    unique = {f.name: f for f in reversed(found.values())}  # the first of a name counts
    order = list(zoo.VARIANTS)
    return sorted(unique.values(), key=lambda f: order.index(f.name) if f.name in order else len(order))


def held_out(folders: Sequence[Path]) -> pd.DataFrame:
    """Return the figures that the training runs wrote: model, measure, value, low, high, n, chance, data; the first of a name counts."""
    import pandas as pd

    rows = []
    for folder in folders:
        try:
            written = json.loads((folder / "figures.json").read_text(encoding="utf-8"))
            rows += [{**row, "model": folder.name} for row in written]
        except (ValueError, TypeError) as error:
            raise ReportError(f"{folder / 'figures.json'} cannot be read ({error}); copy or train {folder.name} again") from None
    table = pd.DataFrame(rows, columns=["model", "measure", "value", "low", "high", "n", "chance", "data"])
    return table.astype({"value": float, "low": float, "high": float, "chance": float}).drop_duplicates(["model", "measure", "data"])


def estimate(table: pd.DataFrame, model: str, data: str, measure: str) -> Estimate | None:
    """Return one of the held-out figures; None where it was not measured."""
    from cogviz.statistics import Estimate

    found = table[(table.model == model) & (table.data == data) & (table.measure == measure)]
    if not len(found):
        return None
    row = found.iloc[0]
    return Estimate(float(row.value), float(row.low), float(row.high), int(row.n), None if math.isnan(row.chance) else float(row.chance))


def comparison_rows(table: pd.DataFrame) -> list[tuple[str, dict[str, Estimate | None]]]:
    """Return the rows of `plotting.page.comparison`; measures that no model has are left out."""
    models = list(dict.fromkeys(table.model))
    rows = [(label, {m: estimate(table, m, part, measure) for m in models}) for part, measure, label in MEASURES]
    return [(label, values) for label, values in rows if any(e is not None for e in values.values())]


def held_out_following(table: pd.DataFrame, model: str, data: str = "emotional_test") -> Following | None:
    """Return whom a model follows on the held-out conflict items, as the training run measured it; None where it did not."""
    from cogviz.evaluation.dominance import Following
    from cogviz.statistics import MIN_SENTENCES

    def figure(*names: str) -> Estimate | None:
        return next((e for name in names if (e := estimate(table, model, data, name)) is not None), None)

    voice, words, neither = figure("follows_voice"), figure("follows_words"), figure("follows_neither")
    index, difference, together = figure("semantic_dominance_index"), figure("voice_minus_words"), figure("voice_plus_words")
    unparsed = figure("unparsed_on_conflict", "unparsed")
    if not (voice and words and neither and unparsed and index and difference and together):
        return None
    sentences = MIN_SENTENCES if voice.n >= MIN_ITEMS else 1
    return Following(voice, words, neither, unparsed, index, difference, together, sentences)


def following_rows(found: dict[str, Following], *, data: str) -> pd.DataFrame:
    """Return what `plotting.dominance.following` draws."""
    import pandas as pd

    from cogviz.evaluation import results

    return pd.DataFrame(
        [
            {**row, "verdict": f.verdict, "scope": f.scope}
            for model, f in found.items()
            for row in results.rows(f, model=model, data=data)
            if row["measure"].startswith("follows_")
        ]
    )


def curves(folders: Sequence[Path]) -> pd.DataFrame:
    """Return losses and main rewards of the training runs, their stages named after the variant: stage, step, name, value."""
    import pandas as pd

    tables = []
    for folder in folders:
        if (folder / "curve.csv").is_file():
            table = pd.read_csv(folder / "curve.csv")
            table = table[table["name"].astype(str).str.match(r"loss\b|reward_(?:total|emotion)\b")]
            tables.append(table.assign(stage=folder.name.removeprefix("nano-") + ": " + table["stage"].astype(str)))
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=["stage", "step", "name", "value"])


def two_by_two(folders: Sequence[Path]) -> pd.DataFrame | None:
    """Return the experiment {last layer, layer mix} x {tone agrees, LIME} beside the checkpoints; None where it has not been run."""
    import pandas as pd

    path = next((f.parent / "two_by_two.csv" for f in folders if (f.parent / "two_by_two.csv").is_file()), None)
    return None if path is None else pd.read_csv(path)


def causes(table: pd.DataFrame) -> list[str]:
    """Say what came of each cell of the 2 x 2, a sentence a measure: mean over its seeds."""
    lines = []
    for measure in dict.fromkeys(table.measure):
        found = table[(table.measure == measure) & table.seed.notna()]
        found = found if len(found) else table[table.measure == measure]
        cell = found.groupby(["encoder", "training_speech"]).value.mean().map("{:.0%}".format)
        if len(cell) < 4:
            continue
        name = str(measure).replace("_", " ").capitalize()
        lines.append(
            f"{name}: after speech whose tone agrees with its words {cell['last layer', 'agrees']} (last layer) and "
            f"{cell['layer mix', 'agrees']} (layer mix), after LIME {cell['last layer', 'LIME']} and {cell['layer mix', 'LIME']}."
        )
    return lines
