"""How fast the demo is, and what it bears: start, first token, seven voices, morph, memory; visitors at once; hostile uploads.

    python benchmarks/demo.py --model nano-aligned --minutes 5 --visitors 8 --hostile 200

Writes `benchmarks/results/demo-SIZE.json`. Times are of the wall, with the load of the machine beside them; `cpu` is processor time.
`first_sound` is the first morph of a sentence in this process, `own_sound` a new recording of 3 s, sent, taken apart and morphed in one request;
`own_morph` another voice of it. On the page a recording is taken apart while its visitor still chooses, so that they wait as long as for `own_morph`.
The slopes of memory are those of resident memory over time while visitors ask, without the first fifth and in the second half; their intervals are
from a bootstrap that draws the residuals in blocks of `BLOCK` seconds, since neighbouring ones are alike.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

LIMITS = {"first_token": {"nano": 1.0, "smol": 2.5}, "seven": 12.0, "morph": 0.5, "start": 15.0, "memory_gb": 2.5}

EVERY, BLOCK = 5.0, 30.0
"""Seconds between two looks at memory, and of a block of the bootstrap."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", nargs="+", default=["nano-aligned"], help="one, beside the baseline of its size; or two")
    parser.add_argument("--minutes", type=float, default=1.0, help="of visitors at once")
    parser.add_argument("--visitors", type=int, default=8)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--hostile", type=int, default=40)
    parser.add_argument("--seconds", default="300", help="time limit of a question")
    parser.add_argument("--parts", nargs="+", default=["alone", "together", "hostile"], choices=["alone", "together", "hostile"])
    parser.add_argument("--note", default="", help="what else the machine did meanwhile")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    models = options.model if len(options.model) > 1 else [f"{options.model[0].split('-')[0]}-baseline", *options.model]
    port = _free()
    command = [sys.executable, "-m", "cogviz.cli", "demo", "--port", str(port), "--model", *models, "--seconds", options.seconds]
    began = time.monotonic()
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.STDOUT)
    try:
        url = f"http://127.0.0.1:{port}"
        _ready(url, server)
        found: dict[str, Any] = {"models": models, "note": options.note, "load_average": os.getloadavg()[0], "cores": os.cpu_count()}
        found |= {"start": time.monotonic() - began, "start_cpu": _cpu(server.pid), "memory_gb": _memory(server.pid)}
        assert b"<html" in urllib.request.urlopen(url, timeout=30).read()
        found["first_page"] = time.monotonic() - began
        from gradio_client import Client

        client = Client(url, verbose=False, download_files=tempfile.mkdtemp())
        sentences = [row["sentence"] for row in client.predict(api_name="/sentences")]
        if "alone" in options.parts:
            found |= _alone(client, sentences, options.repeats)
            found["memory_after_gb"] = _memory(server.pid)
        if "together" in options.parts:
            found["visitors"] = _together(url, sentences, options.visitors, options.minutes, server.pid)
        if "hostile" in options.parts:
            found["hostile"] = _hostile(client, options.hostile)
        found["memory_end_gb"] = _memory(server.pid)
        found["alive"] = urllib.request.urlopen(f"{url}/health", timeout=10).status == 200
        found |= {"load_average_end": os.getloadavg()[0], "limits": LIMITS}
    finally:
        server.terminate()
        server.wait(20)
    size = models[-1].split("-")[0]
    out = options.out or Path(__file__).parent / "results" / f"demo-{size}.json"
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(found, indent=1))


def _alone(client: Any, sentences: list[str], repeats: int) -> dict[str, Any]:
    """One visitor: medians, and the slowest."""
    voices = ("angry", "happy", "fear", "surprise", "disgust")
    times: dict[str, list[float]] = {
        "first_sound": [],
        "own_sound": [],
        "own_morph": [],
        "morph": [],
        "first_token": [],
        "answer": [],
        "seven": [],
        "why": [],
        "conflict": [],
    }
    for i in range(repeats):
        sentence, voice = sentences[i % len(sentences)], voices[i % len(voices)]
        times["first_sound"].append(_all(client, sentence, voice, "high", None, name="/variant"))  # the recording is taken apart
        own = _own(i)
        times["own_sound"].append(_all(client, "", voice, "high", own, name="/variant"))
        times["own_morph"].append(_all(client, "", voice, "low", own, name="/variant"))
        times["morph"].append(_all(client, sentence, voice, "low", None, name="/variant"))
        first, whole = _streamed(client, sentence, voice, "high", None, name="/listen")
        times["first_token"].append(first)
        times["answer"].append(whole)
        times["seven"].append(_all(client, sentence, "high", None, name="/seven"))
        times["why"].append(_all(client, sentence, voice, "high", None, client.predict(api_name="/models")["side_by_side"][1], name="/why"))
    telling = [s["sentence"] for s in client.predict(api_name="/sentences") if s["words"]]
    for sentence in telling[:repeats]:
        times["conflict"].append(_all(client, sentence, "surprise", name="/conflict"))
    return {name: {"median": statistics.median(t), "slowest": max(t), "n": len(t)} for name, t in times.items()}


def _own(i: int) -> Any:
    """A recording of 3 s that this server has not heard: a shipped one, cut or continued, a little louder each time."""
    import numpy as np
    import soundfile
    from gradio_client import handle_file

    from cogviz import audio, tour
    from cogviz.lime import dataset

    pool = [u for u in dataset.read(tour.samples()) if u.emotion == "neutral"]
    samples = np.resize(pool[i % len(pool)].samples, 3 * audio.RATE) * (0.7 + 0.01 * i)
    path = Path(tempfile.mkdtemp()) / "own.wav"
    soundfile.write(path, samples, audio.RATE)
    return handle_file(path)


def _all(client: Any, *given: Any, name: str) -> float:
    start = time.monotonic()
    client.predict(*given, api_name=name)
    return time.monotonic() - start


def _streamed(client: Any, *given: Any, name: str) -> tuple[float, float]:
    start = time.monotonic()
    job = client.submit(*given, api_name=name)
    next(iter(job))
    first = time.monotonic() - start
    job.result()
    return first, time.monotonic() - start


def _together(url: str, sentences: list[str], visitors: int, minutes: float, pid: int) -> dict[str, Any]:
    """Visitors at once, each with one sentence: its answer must be the same every time, and that of the visitor who was alone."""
    from gradio_client import Client

    folder = tempfile.mkdtemp()
    alone = Client(url, verbose=False, download_files=folder)
    chosen = [sentences[i % len(sentences)] for i in range(visitors)]
    right = {s: _answer(alone, s) for s in set(chosen)}
    memory = [(0.0, _memory(pid))]
    start = time.monotonic()
    end = start + 60 * minutes

    def visit(sentence: str) -> tuple[list[float], int, list[str]]:
        mine = Client(url, verbose=False, download_files=folder)
        times, mixed, errors = [], 0, []
        while time.monotonic() < end:
            asked = time.monotonic()
            try:
                mixed += _answer(mine, sentence) != right[sentence]
            except Exception as error:
                errors.append(str(error)[:200])
            times.append(time.monotonic() - asked)
        return times, mixed, errors

    with concurrent.futures.ThreadPoolExecutor(visitors) as pool:
        running = [pool.submit(visit, s) for s in chosen]
        while not all(r.done() for r in running):
            time.sleep(EVERY)
            memory.append((time.monotonic() - start, _memory(pid)))
    results = [r.result() for r in running]
    times = [t for r in results for t in r[0]]
    return {
        "visitors": visitors,
        "minutes": minutes,
        "answers": len(times),
        "mixed_up": sum(r[1] for r in results),
        "errors": [e for r in results for e in r[2]],
        "median": statistics.median(times),
        "slowest": max(times),
        "memory_gb": [[round(t, 1), gb] for t, gb in memory],
        "memory_slope": _slope(memory[len(memory) // 5 :]),
        "memory_slope_second_half": _slope(memory[len(memory) // 2 :]),
    }


def _slope(memory: list[tuple[float, float]]) -> dict[str, Any]:
    """MB a minute, with a 95% interval."""
    import numpy as np

    t, mb = np.array(memory).T * np.array([[1 / 60], [1000]])
    if len(t) < 5:
        return {"mb_a_minute": None, "n": len(t)}
    line = np.polyfit(t, mb, 1)
    rest = mb - np.polyval(line, t)
    draw, size = np.random.default_rng(0), min(round(BLOCK / EVERY), len(t))
    starts = draw.integers(0, len(t) - size + 1, (2000, -(-len(t) // size)))
    drawn = rest[(starts[:, :, None] + np.arange(size)).reshape(2000, -1)[:, : len(t)]]
    slopes = np.polyfit(t, (np.polyval(line, t) + drawn).T, 1)[0]
    return {"mb_a_minute": float(line[0]), "low": float(np.quantile(slopes, 0.025)), "high": float(np.quantile(slopes, 0.975)), "n": len(t)}


def _answer(client: Any, sentence: str) -> list[str]:
    return [row["answer"] for row in client.predict(sentence, "angry", "high", None, api_name="/listen")["answers"]]


def _hostile(client: Any, count: int) -> dict[str, Any]:
    from gradio_client import handle_file
    from hostile import hostile

    folder = Path(tempfile.mkdtemp())
    clear, accepted, unclear = 0, 0, []
    for i, (name, content) in enumerate(hostile(count)):
        path = folder / f"{i}-{name}".replace("/", "_")
        path.write_bytes(content)
        try:
            client.predict("", "as recorded", "mid", handle_file(path), api_name="/variant")
            accepted += 1
        except Exception as error:
            said = str(error)
            good = said.startswith("Your own recording ") and said.endswith(".") and str(folder) not in said
            clear += good
            unclear += [] if good else [f"{name}: {said[:150]}"]
    return {"uploads": count, "refused_with_a_sentence": clear, "accepted_as_sound": accepted, "unclear": unclear}


def _ready(url: str, server: subprocess.Popen[bytes]) -> None:
    while server.poll() is None:
        try:
            urllib.request.urlopen(f"{url}/health", timeout=5)
            return
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    raise SystemExit("the demo did not start; run cogviz demo to see why")


def _memory(pid: int) -> float:
    """Resident memory in GB (Linux)."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return round(next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) / 1e6, 3)


def _cpu(pid: int) -> float:
    """Seconds of processor time so far (Linux)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _free() -> int:
    import socket

    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


if __name__ == "__main__":
    main()
