"""`cogviz probe`, `patch`, `attribute`, `project`: where in a model the tone is, what decides, which sound speaks, what the space is made of."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from cogviz.cli.common import command, print_rows, say, write_json

Figure = Callable[[], Any]


def add(commands: Any) -> None:
    """Add these commands to the parser."""
    probe = command(commands, "probe", _probe, "tell voice, words and speaker from a model's layers: what is there, and what of it is used")
    _common(probe, items=280)
    probe.add_argument(
        "--what",
        choices=("probes", "lens", "similarity"),
        default="probes",
        help="linear probes, logit lens (the figure is of the last model), or CKA of layers (of the first two)",
    )
    probe.add_argument("--targets", nargs="+", default=["voice_emotion", "word_emotion"], help="also: sentence, speaker")
    probe.add_argument("--sites", nargs="+", help="such as encoder.3, connector, lm.5, lm.5.attn (default: the residual stream)")
    probe.add_argument("--segments", nargs="+", default=["tone", "words", "perception"], help="which segments the figure shows")
    probe.add_argument("--no-baseline", action="store_true", help="probes: leave out the model with random weights")
    probe.add_argument("--tuned", action="store_true", help="lens: map each layer into the last one's basis first")

    patch = command(commands, "patch", _patch, "put states of one rendering into the run of another: which of them decide")
    _common(patch, items=40, of="pairs of utterances; utterances for the others")
    patch.add_argument("--what", choices=("patching", "knockout", "neurons", "erase"), default="patching")
    patch.add_argument("--differs", choices=("tone", "words"), default="tone", help="what the two of a pair differ in (default: tone)")
    patch.add_argument("--by", choices=("segment", "token", "place"), default="segment", help="what is exchanged at once")
    patch.add_argument("--at", choices=("layers", "sublayers", "heads"), default="layers")
    patch.add_argument("--sites", nargs="+", default=["connector"], help="erase: where (default: connector)")
    patch.add_argument("--fit", help="erase: FOLDER/PART whose sentences the erasers are fitted on (default: half of --data's)")

    attribute = command(
        commands, "attribute", _attribute, "divide an answer among the parts of the input, and say whether that can be believed"
    )
    _common(attribute, items=24)
    attribute.add_argument(
        "--what",
        choices=("sound", "methods", "shares"),
        default="sound",
        help="one recording (in the last model), all methods (the figure is of the last model), or whose answer",
    )
    attribute.add_argument("--over", choices=("mel", "audio", "text", "tokens"), default="mel")
    attribute.add_argument(
        "--method", default="integrated_gradients", help="sound: integrated_gradients, gradient_x_input, gradient_shap, occlusion"
    )
    attribute.add_argument("--of", default="voice", help="voice, words, answered or an emotion (default: voice)")
    attribute.add_argument("--against", default="words", help="the same, or none (default: words)")
    attribute.add_argument("--item", help="sound: id of the recording (default: the first conflict)")

    project = command(commands, "project", _project, "maps of a model's states, and whether emotion or words organise them")
    _common(project, items=280)
    project.add_argument("--sites", nargs="+", help="(default: the connector and the last layer)")
    project.add_argument("--segment", help="which segment's states (default: tone where the model has one, else words)")
    project.add_argument("--method", choices=("umap", "pca", "tsne"), default="umap")


def _common(to: argparse.ArgumentParser, *, items: int, of: str = "utterances") -> None:
    to.add_argument("--model", nargs="+", default=["nano-baseline", "nano-aligned"], help="variants, folders or hub names on this machine")
    to.add_argument("--data", default="data_samples", help="dataset folder, FOLDER/PART, or CORPUS=FOLDER (default: data_samples)")
    to.add_argument("--items", type=int, default=items, help=f"{of} (default: {items})")
    to.add_argument("--device", default="auto", help="auto, cuda or cpu")
    to.add_argument("--out", type=Path, metavar="FILE", help="the figure, as PNG, SVG or PDF")
    to.add_argument(
        "--json",
        type=Path,
        metavar="FILE",
        help="write JSON rows {model, measure, value, low, high, n, chance, data} ('-' for standard output)",
    )


def _data(name: str) -> tuple[str, list[Any]]:
    """The recordings of one `--data`, of all its parts together."""
    from cogviz import benchmark

    parts = benchmark.named(str(_samples() if name == "data_samples" and not Path(name).is_dir() else name))
    return "+".join(parts), [u for some in parts.values() for u in benchmark.audible(some)]


def _samples() -> Path:
    from cogviz import tour

    return tour.samples()


def _transparent(options: argparse.Namespace) -> list[Any]:
    """The listeners, each of a kind that can be looked into."""
    from cogviz.models.listeners import load_listener

    found = []
    for name in options.model:
        listener = load_listener(name, device=options.device)
        if not hasattr(listener, "naming"):
            raise ValueError(f"{name} cannot be looked into: it has no layers (choose a language model that hears)")
        found.append(listener)
    return found


def _done(options: argparse.Namespace, rows: list[dict[str, Any]], draw: Figure) -> int:
    """Print, write and draw what was found."""
    from cogviz.plotting import theme

    tell = say(options.json)
    print_rows(rows, tell)
    write_json(rows, options.json)
    if options.out is not None:
        with theme.use():
            tell(str(theme.save(draw(), options.out)))
    return 0


def _probe(options: argparse.Namespace) -> int:
    from cogviz.evaluation import battery
    from cogviz.plotting import probing as figures
    from cogviz.probing import baselines, lens, linear, similarity
    from cogviz.probing.record import At, record
    from cogviz.probing.sites import stream

    name, pool = _data(options.data)
    chosen = battery.choose([u for u in pool if u.emotion is not None], options.items)
    listeners = _transparent(options)
    at: At = "positions" if options.what == "lens" else "segments"
    recordings = [record(one, chosen, options.sites or stream(one), at=at) for one in listeners]
    if options.what == "similarity":
        segment = options.segments[0]
        pairs = [(r, None) for r in recordings] if len(recordings) == 1 else [(recordings[0], r) for r in recordings[1:]]
        alike = [similarity.similarity(first, second, segment=segment) for first, second in pairs]
        return _done(options, [row for s in alike for row in s.results(data=name)], lambda: figures.similarity(alike[0]))
    if options.what == "lens":
        looked = [lens.lens(one, r, tuned=options.tuned) for one, r in zip(listeners, recordings, strict=True)]
        return _done(options, [row for found in looked for row in found.rows(data=name)], lambda: figures.lens(looked[-1]))
    found = []
    for one, r in zip(listeners, recordings, strict=True):
        random = None if options.no_baseline else record(baselines.reinitialised(one, keep_encoder=True), chosen, r.sites, at=at)
        found.append(linear.probe(r, targets=options.targets, baseline=random, device=str(one.model.device)))
    rows = [row for probes in found for row in probes.rows(data=name)]
    return _done(options, rows, lambda: figures.probes(*found, targets=options.targets, segments=options.segments))


def _patch(options: argparse.Namespace) -> int:
    from cogviz.plotting import causes as figures
    from cogviz.plotting import concepts
    from cogviz.probing import effects, knockout, neurons, pairs, patch

    name, pool = _data(options.data)
    listeners = _transparent(options)
    if options.what == "patching":
        make = pairs.tone_pairs if options.differs == "tone" else pairs.word_pairs
        some = make(pool, count=options.items)
        at: dict[str, Callable[[Any], list[str] | None]] = {"layers": lambda _: None, "sublayers": patch.sublayers, "heads": patch.heads}
        found = [effects.effects(patch.patch(one, some, at=at[options.at](one), by=options.by)) for one in listeners]
        rows = [row for f in found for row in f.rows(data=name)]
        return _done(options, rows, lambda: (figures.patching if options.at == "layers" else figures.parts)(found))
    spoken = _some(pool, options.items)
    if options.what == "knockout":
        cut = [knockout.knockout(one, spoken) for one in listeners]
        return _done(options, [row for k in cut for row in k.rows(data=name)], lambda: figures.knockout(cut))
    if options.what == "neurons":
        selective = [neurons.neurons(one, spoken) for one in listeners]
        return _done(options, [row for n in selective for row in n.rows(data=name)], lambda: concepts.neurons(selective))
    return _erase(options, listeners, name, pool)


def _erase(options: argparse.Namespace, listeners: Sequence[Any], name: str, pool: Sequence[Any]) -> int:
    from cogviz.plotting import concepts
    from cogviz.probing import erase, pairs

    if options.fit:
        fit, held = _some(_data(options.fit)[1], options.items), _some(pool, options.items)
    else:
        first = pairs.halves([u.sentence for u in pool])
        fit = _some([u for u, f in zip(pool, first, strict=True) if f], options.items)
        held = _some([u for u, f in zip(pool, first, strict=True) if not f], options.items)
    found = [e for one in listeners for e in erase.erase(one, fit, held, options.sites)]
    return _done(options, [row for e in found for row in e.rows(data=name)], lambda: concepts.erasing(found))


def _some(pool: Sequence[Any], count: int) -> list[Any]:
    """So many whole cells of known emotions."""
    from cogviz.evaluation import battery

    return battery.choose([u for u in pool if u.emotion is not None and u.lexical_emotion is not None], count)


def _attribute(options: argparse.Namespace) -> int:
    from cogviz.attribution import examine
    from cogviz.attribution.targets import Emotion
    from cogviz.plotting import attribution as figures

    name, pool = _data(options.data)
    listeners = _transparent(options)
    question = Emotion(options.of, against=None if options.against == "none" else options.against)
    chosen, calm = examine.conflicts(pool, options.items)
    if options.what == "sound":
        return _sound(options, listeners[-1], name, chosen, calm, pool, question)
    if options.what == "shares":
        owned = {one.name: examine.share(one, chosen, references=calm, question=question) for one in listeners}
        rows = [row for model, one in owned.items() for row in one.rows(model=model, data=name)]
        by_tone = {model: one.tone_words for model, one in owned.items() if one.tone_words is not None}
        return _done(options, rows, lambda: figures.shares(by_tone, {model: one.audio_text for model, one in owned.items()}))
    seen = {one.name: examine.examine(one, chosen, over=options.over, references=calm, question=question) for one in listeners}
    rows = [row for model, one in seen.items() for row in one.rows(model=model, data=name)]
    return _done(options, rows, lambda: figures.curves(list(seen[listeners[-1].name].curves.values())))


def _sound(options: argparse.Namespace, listener: Any, name: str, chosen: Any, calm: Any, pool: Any, question: Any) -> int:
    """One recording: relevance over its sound, by word."""
    from cogviz.attribution import gradients, words
    from cogviz.evaluation.stimuli import neutrals
    from cogviz.plotting import attribution as figures

    item, reference = chosen[0], calm[0]
    if options.item:
        item = next((u for u in pool if u.id == options.item), None)
        if item is None:
            raise ValueError(f"{options.data} has no recording {options.item!r}; one of its conflicts is {chosen[0].id}")
        reference = neutrals(pool).get((item.corpus, item.speaker, item.sentence))
    given = None if reference is None else [reference]
    found = gradients.attribute(listener, [item], over=options.over, method=options.method, question=question, references=given)
    tell = say(options.json)
    tell(f"{item.id}: {item.text} ({item.lexical_emotion} words, {item.emotion} voice); {found.target} = {found.whole[0]:.2f}")
    spoken = words.by_word(found)[0] if options.over != "text" else []
    empty = {"low": None, "high": None, "n": 1, "chance": None}
    rows = [{"model": listener.name, "measure": f"relevance of {w.text}", "value": w.relevance, **empty, "data": name} for w in spoken]
    draw = figures.sound if options.over == "mel" else figures.tokens
    return _done(options, rows, lambda: draw(found))


def _project(options: argparse.Namespace) -> int:
    from cogviz.evaluation import battery
    from cogviz.plotting import projection as figures
    from cogviz.probing.record import record
    from cogviz.probing.segments import tones
    from cogviz.probing.sites import stream
    from cogviz.projection import embeddings, neighbours

    name, pool = _data(options.data)
    chosen = battery.choose([u for u in pool if u.emotion is not None], options.items)
    rows: list[dict[str, Any]] = []
    recordings: list[Any] = []
    places: list[str] = []
    for one in _transparent(options):
        sites = options.sites or ["connector", stream(one)[-1]]
        segment = options.segment or ("tone" if tones(one) else "words")
        recording = record(one, chosen, sites)
        rows += neighbours.neighbourhoods(recording, segment=segment).rows(data=name)
        recordings += [recording] * len(sites)
        places += sites
    return _done(
        options,
        rows,
        lambda: figures.maps(
            embeddings.stages(recordings, places, segment=segment, method=options.method),
            title=f"What organises the states of the {segment}?",
        ),
    )
