"""The model card, rendered from what a run wrote beside its weights: run.json and figures.json."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from cogviz.lime.explanations import EXPLANATIONS
from cogviz.models.zoo import VARIANTS

ENCODER = """# Whisper tiny.en, encoder only

The frozen audio encoder of all `nano` models: the encoder of OpenAI's Whisper tiny.en (Radford et al. 2022), MIT licence, unchanged but for
half precision.

MIT License, Copyright (c) 2022 OpenAI. Permission is hereby granted, free of charge, to any person obtaining a copy of this software and
associated documentation files (the "Software"), to deal in the Software without restriction, including without limitation the rights to use,
copy, modify, merge, publish, distribute, sublicense, and/or sell copies of the Software, and to permit persons to whom the Software is
furnished to do so, subject to the following conditions: The above copyright notice and this permission notice shall be included in all copies
or substantial portions of the Software. THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT NOT
LIMITED TO THE WARRANTIES OF MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR COPYRIGHT
HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM, OUT OF OR IN
CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE.
"""

_NAMES = {
    "ambiguous_test": "ambiguous sentences, held-out templates and speakers",
    "ambiguous_slots": "ambiguous sentences, held-out slot values and speakers (templates trained on)",
    "emotional_test": "emotional sentences, held-out templates and speakers",
}


def memory(run: dict[str, Any]) -> str:
    """Say what a run needed: its own memory where it is known, and what was resident with the encoder layers that are mapped from disk."""
    resident = f"{run['peak_memory_gb']:g} GB resident with memory-mapped encoder layers"
    return f"{run['own_memory_gb']:g} GB of its own ({resident})" if run.get("own_memory_gb") else resident


def render(folder: Path) -> str:
    """Return the card (Markdown) of the checkpoint in `folder`."""
    run = json.loads((folder / "run.json").read_text())
    rows = json.loads((folder / "figures.json").read_text())
    recipe = run["recipe"]
    smol = recipe.get("size") == "smol"
    base = "Whisper tiny.en (MIT)" + (" and of SmolLM2-135M-Instruct (Apache-2.0), which is not in the checkpoint" if smol else "")
    lines = [
        "---", "license: apache-2.0", "language: en", "library_name: transformers", "pipeline_tag: audio-text-to-text", "---", "",
        f"# {run['name']}", "",
        *([f"{about[0].upper()}{about[1:]}.", ""] if (about := VARIANTS.get(run["name"])) else []),
        recipe["about"], "",
        f"- Parameters trained: {run['parameters'] / 1e6:.1f} million, on top of the frozen {'weights' if smol else 'encoder'} of {base}.",
        f"- Speech: synthetic (LIME, plan `{run['data']['plan']}`, metadata SHA-256 `{run['data']['metadata_sha256'][:12]}`"
        f"{', coded as ' + run['data']['coded'] if 'coded' in run['data'] else ''}). "
        "No real recording was used to train it.",
        f"- Trained in {(minutes := round(run['seconds'] / 60))} minute{'s' * (minutes != 1)}, {memory(run)} "
        f"({run['device']}); cogviz {run['cogviz']}, torch {run['torch']}, seed {recipe['seed']}, size dial {recipe['scale']:g}.",
    ]  # fmt: skip
    if recipe.get("acoustic"):
        lines.append(
            f"- Two encoders{f', from {start}' if (start := recipe.get('start')) else ''}: Whisper's for the words, as it was, and an "
            "acoustic encoder for the voice (log-mel, F0, periodicity, level) trained from scratch on synthetic speech, in place of Whisper's layers."
        )
    if recipe.get("targets", "steps") != "steps":
        lines.append(f"- It thinks in free words: {EXPLANATIONS[recipe['targets']]}.")
    for stage in recipe["stages"]:
        tasks = ", ".join(f"{k} {v:g}" for k, v in stage["tasks"].items())
        alone = "acoustic encoder only" if stage["name"] == "acoustic" else "connector only"
        new = " Words and voice taking turns: the other branch is frozen, but in the last fifth." if stage.get("alternate") else ""
        new += f" {stage['unfamiliar']:.0%} of the sentences put together anew." if stage.get("unfamiliar") else ""
        new += " It teaches itself the response: the teacher reads the words, and is told emotion and cause." if stage.get("distil") else ""
        new += " The response says how it is to be spoken." if stage.get("speaks") else ""
        lines.append(
            f"- Stage `{stage['name']}`: {round(stage['steps'] * recipe['scale'])} steps of {stage['batch']}, "
            + (
                f"parts {', '.join(stage['parts'])}, {f'tasks {tasks}' if tasks else alone}."
                if stage["parts"]
                else f"text only{f', tasks {tasks}' if tasks else ''}."
            )
            + new
        )
    if recipe["alignment"]:
        a = recipe["alignment"]
        lines.append(
            f"- Stage `dr-sapo`: {round(a['steps'] * recipe['scale'])} steps of {a['prompts']} prompts x {a['group']} outputs, "
            f"{a['updates']} passes each, routes {', '.join(a['routes'])}"
            + (f", KL to the policy that it starts from with weight {a['kl']:g}." if a.get("kl") else ".")
        )
        for route, before in run["headroom"].items():
            lines.append(
                f"  - headroom before, {route}: mean reward {before['mean']:.3f}, best of a group {before['best_of_group_gain']:+.3f}, "
                f"groups without variance {before['groups_without_variance']:.0%}."
            )
    if run.get("afterwards"):  # what was done to the weights by hand
        lines.append(f"- Afterwards {run['afterwards']}.")
    lines += [
        "",
        "## Held-out figures",
        "",
        "Speakers and sentences in no training part; 95% intervals from a bootstrap clustered by sentence, and by speaker from ten on.",
        "",
    ]
    for part in dict.fromkeys(r["data"] for r in rows):
        lines += [
            f"### {_NAMES.get(part, part)} (`{part}`)",
            "",
            "| measure | value | 95% interval | n | chance |",
            "|---|---|---|---|---|",
        ]
        for r in rows:
            if r["data"] == part:
                value, low, high = (f"{x:.3f}" if x is not None else "-" for x in (r["value"], r["low"], r["high"]))
                chance = f"{r['chance']:.3f}" if r["chance"] is not None else "-"
                lines.append(f"| {r['measure']} | {value} | {low} .. {high} | {r['n']} | {chance} |")
        lines.append("")
    lines += [
        "## Limits", "",
        "Synthetic voices are not people, and acted emotion is not felt emotion: the figures say how the model treats these stimuli. English only. "
        "Words that were not in the training speech are often misheard. Not for judging the emotions of real persons.",
    ]  # fmt: skip
    return "\n".join(lines) + "\n"
