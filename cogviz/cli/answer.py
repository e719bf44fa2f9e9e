"""`cogviz answer` and `cogviz report`: what models say to recordings."""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cogviz.cli.common import ENROL, command, say, write_json

if TYPE_CHECKING:
    from cogviz.eips import Answer


def add(commands: Any) -> None:
    """Add these commands to the parser."""
    answer = command(commands, "answer", _answer, "let a model answer recordings")
    answer.add_argument("files", nargs="+", type=Path)
    answer.add_argument("--model", default="nano-aligned", help="a variant or a checkpoint folder (default: nano-aligned)")
    answer.add_argument(
        "--neutral",
        type=Path,
        metavar="FILE",
        help="the same speaker saying something else in a calm voice: the tone is then heard relative to it",
    )
    answer.add_argument("--route", default="reason", help="reason (chain, then response) or direct")
    answer.add_argument(
        "--json",
        type=Path,
        metavar="FILE",
        help="also write JSON rows {file, model, route, emotion, perception, intent, psychology, strategy, explanation, response, voice, spoken, "
        "text} "
        "('-' for standard output; what is missing is null)",
    )
    answer.add_argument(
        "--speak",
        type=Path,
        metavar="OUT.wav",
        help="also speak the response, as the answer says it is to be spoken (nano-ieat); that of a model that does not say it, neutrally. Several "
        "files: OUT-1.wav, OUT-2.wav, ... in their order. A file that is there already is not overwritten",
    )
    answer.add_argument("--speaker", default="", metavar="NAME", help="who speaks (default: neural-f6); an unknown name lists them all")

    report = command(commands, "report", _report, "let models listen, and make one page of what they answer and whom they follow")
    report.add_argument("files", nargs="*", type=Path, metavar="FILE", help="recordings of your own (default: the shipped samples)")
    report.add_argument(
        "--model", nargs="+", default=["nano-baseline", "nano-aligned"], help="variants or checkpoint folders, one or several"
    )
    report.add_argument("--data", default="", help="dataset folder of `cogviz lime build` (default: data_samples)")
    report.add_argument("--corpus", default="", help="ravdess or emodb: an actor of real speech instead")
    report.add_argument("--root", default="", help="folder of the corpus")
    report.add_argument("--actor", default="", help="whose recordings (default: the first actor)")
    report.add_argument("--sentence", default="", help="which sentence is drawn and played (default: the first)")
    report.add_argument("--neutral", default="", metavar="FILE", help="for recordings of your own: the same speaker in a calm voice")
    report.add_argument("--enrol", action="store_true", help=ENROL)
    report.add_argument("--output", type=Path, default=Path("reports/tour"), help="folder of the page (default: reports/tour)")


def _answer(options: argparse.Namespace) -> int:
    from cogviz import audio
    from cogviz.eips import STEPS, check_route
    from cogviz.models.zoo import folder
    from cogviz.utterance import Utterance

    check_route(options.route)
    folder(options.model)  # before anything heavy: an unknown name should not cost a second
    targets = _targets(options)
    read = []
    for path in [*options.files, *([options.neutral] if options.neutral else [])]:
        recording = audio.read(path)
        for notice in recording.notices:
            print(f"note: {notice}", file=sys.stderr)
        read.append(Utterance(str(path), "", None, "you", str(path), "files", waveform=recording.samples))
    utterances = [replace(u, enrolment=read[-1]) for u in read[:-1]] if options.neutral else read
    from cogviz.models.listener import CogAudioListener

    tell = say(options.json)
    rows = []
    for heard in CogAudioListener(options.model).listen(utterances, route=options.route):
        chain = heard.answer.chain if heard.answer else None
        row: dict[str, Any] = {
            "file": heard.utterance.id,
            "model": Path(options.model).name,
            "route": heard.route,
            "emotion": heard.claimed,
            **{step: getattr(chain, step, None) for step in STEPS},
            "explanation": (heard.answer.explanation or None) if heard.answer else None,
            "response": heard.answer.response if heard.answer else None,
            "voice": (heard.answer.voice or None) if heard.answer else None,
            "spoken": None,
            "text": heard.text,
        }
        rows.append(row)
        tell(f"\n{heard.utterance.id}")
        if heard.answer is None:
            tell(f"  (not in the expected form) {heard.text}")
        for name in (*STEPS, "explanation", "response", "voice"):
            if row[name] is not None:
                tell(f"  {name.capitalize():<11} {row[name]}")
        if targets:
            row["spoken"] = _speak(heard.answer, targets[len(rows) - 1], options.speaker)
            tell(f"  {'Spoken':<11} {row['spoken'] or 'nothing'}")
    write_json(rows, options.json)
    return 0


def _targets(options: argparse.Namespace) -> list[Path]:
    """Where each response is spoken to; refused before any work where a file is there already, or nobody can speak."""
    if options.speak is None:
        if options.speaker:
            raise ValueError("--speaker says who speaks; give --speak OUT.wav with it")
        return []
    from cogviz.lime import style, voices

    out: Path = options.speak
    if out.suffix.lower() not in (".wav", ".flac"):
        raise ValueError(f"--speak {out}: give a file that ends in .wav or .flac")
    if options.speaker and options.speaker not in (known := [v.id for v in voices.voices()]):
        raise ValueError(f"no speaker {options.speaker!r}; choose one of {', '.join(known)}")
    many = len(options.files) > 1
    targets = [out.with_stem(f"{out.stem}-{i}") if many else out for i in range(1, len(options.files) + 1)]
    if there := [path for path in targets if path.exists()]:
        raise ValueError(f"{there[0]} exists and is not overwritten; delete it, or give --speak another name")
    voices.speak("Yes.", options.speaker or style.VOICE)  # a synthesizer that is missing is better known before anything is answered
    return targets


def _speak(answer: Answer | None, target: Path, speaker: str) -> str | None:
    """Speak a response to a file and return its name; None where there is no response."""
    from cogviz import audio
    from cogviz.lime import style
    from cogviz.lime.voices import VoiceError

    if answer is None:
        return None
    try:
        spoken, note = style.speak_answer(answer, voice=speaker or style.VOICE)
    except (style.StyleError, VoiceError) as error:  # the other files are still to be answered
        print(f"note: {error}", file=sys.stderr)
        return None
    if note:
        print(f"note: {note}", file=sys.stderr)
    audio.write(target, spoken.samples)
    return str(target)


def _report(options: argparse.Namespace) -> int:
    from cogviz import report

    report.build(
        options.output,
        models=options.model,
        files=options.files,
        data=options.data,
        corpus=options.corpus,
        root=options.root,
        actor=options.actor,
        sentence=options.sentence,
        neutral=options.neutral,
        enrolled=options.enrol,
    )
    return 0
