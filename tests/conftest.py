"""Skips what this machine cannot do: the default run is everything that it can. And the small model and dataset that tests share."""

from __future__ import annotations

import gc
import json
import shutil
import threading
import warnings
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from cogviz.models.modeling import CogAudioForConditionalGeneration
    from cogviz.models.processing import CogAudioProcessor
    from cogviz.training.rewards import ResponseJudge

    Pair = tuple[CogAudioForConditionalGeneration, CogAudioProcessor]

REAL_SPEECH = Path(__file__).resolve().parents[2] / "shared" / "real_speech"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Each marker is looked into only where a test carries it, so that light runs stay light."""
    for marker, (available, reason) in {
        "requires_cuda": (_has_cuda, "no CUDA device"),
        "requires_shared": (REAL_SPEECH.is_dir, "no real recordings in ../shared/real_speech"),
        "browser": (_has_chromium, "no Chromium"),
    }.items():
        marked = [item for item in items if item.get_closest_marker(marker)]
        if marked and not available():
            for item in marked:
                item.add_marker(pytest.mark.skip(reason=reason))


def _has_cuda() -> bool:
    import torch

    return torch.cuda.is_available()


def _has_chromium() -> bool:
    return bool(shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome"))


@pytest.fixture(scope="module")
def as_before(tiny_model: Pair) -> Callable[[], bool]:
    """Whether hooks and forwards of the model that tests share are those from before this file's tests."""

    def marks() -> list[tuple[int, int, bool]]:
        return [(len(m._forward_hooks), len(m._forward_pre_hooks), "forward" in m.__dict__) for m in tiny_model[0].modules()]

    before = marks()
    return lambda: marks() == before


@pytest.fixture(scope="module")
def collected() -> Iterator[None]:
    """What other people's clients leave unclosed is collected where it was left, and not in a test that has nothing to do with it."""
    yield
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


@pytest.fixture(scope="session")
def make_tiny() -> Callable[..., Pair]:
    """Makes an untrained CogAudio of two small encoder and two small language layers; keywords go to its config."""
    from transformers import Lfm2Config, WhisperConfig, WhisperFeatureExtractor

    from cogviz.eips import render
    from cogviz.emotions import EMOTIONS
    from cogviz.lime.annotate import annotate
    from cogviz.lime.sentences import sentences
    from cogviz.models.configuration import CogAudioConfig
    from cogviz.models.modeling import CogAudioForConditionalGeneration
    from cogviz.models.processing import AUDIO_TOKEN, CogAudioProcessor
    from cogviz.training import tokenizer

    few = sentences(kind="ambiguous", split="train")[:3]
    texts = [s.text for s in few] + [render(annotate(s, e, "mid", seed="tiny")) for s in few for e in EMOTIONS]

    def make(*, seed: int = 0, **config: Any) -> Pair:
        import torch

        words = tokenizer.train(texts, vocabulary=500)
        torch.manual_seed(seed)
        # Wider weights than usual, so that an untrained model's logits differ from input to input.
        audio = WhisperConfig(
            d_model=32, encoder_layers=2, encoder_attention_heads=2, encoder_ffn_dim=64, decoder_layers=1, decoder_attention_heads=2,
            decoder_ffn_dim=64, vocab_size=64, num_mel_bins=80, pad_token_id=0, bos_token_id=1, eos_token_id=1, decoder_start_token_id=1,
            init_std=0.2,
        )  # fmt: skip
        text = Lfm2Config(
            vocab_size=len(words), hidden_size=32, intermediate_size=64, block_auto_adjust_ff_dim=False, num_hidden_layers=2,
            layer_types=["conv", "full_attention"], num_attention_heads=2, num_key_value_heads=1,
            max_position_embeddings=1024, tie_word_embeddings=True, initializer_range=0.2, bos_token_id=None,
            eos_token_id=words.eos_token_id, pad_token_id=words.pad_token_id,
        )  # fmt: skip
        whole = CogAudioConfig(
            audio_config=audio,
            text_config=text,
            audio_token_id=int(words.convert_tokens_to_ids(AUDIO_TOKEN)),
            **{"connector_hidden": 32, "tone_tokens": 2, **config},
        )
        model = CogAudioForConditionalGeneration(whole).eval()
        for layer in (model.audio_encoder.conv1, model.audio_encoder.conv2):
            torch.nn.init.normal_(layer.bias)  # zeros would hide what padding does
        model.audio_encoder.requires_grad_(False)
        model.generation_config.update(eos_token_id=words.eos_token_id, pad_token_id=words.pad_token_id)
        return model, CogAudioProcessor(WhisperFeatureExtractor(feature_size=80), words, tone_tokens=whole.tone_tokens)

    return make


@pytest.fixture(scope="session")
def tiny_model(make_tiny: Callable[..., Pair]) -> Pair:
    """One such model and its processor, for tests that only read it."""
    return make_tiny()


@pytest.fixture(scope="session")
def tiny_dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The packaged plan `tiny`, built in this process; do not write into it."""
    from cogviz.lime.build import build

    folder = tmp_path_factory.mktemp("dataset") / "tiny"
    build("tiny", folder, backend="sequential", progress=False)
    return folder


@pytest.fixture(scope="session")
def judge() -> ResponseJudge:
    """A judge like the real ones, fitted on forty sentences."""
    from cogviz.training import rewards

    pool = rewards._spread(("ambiguous",), ("train",), 1)[:40]
    return rewards._fit(pool, analyzer="word", ngrams=(1, 2), per_sentence=2, seed=1)


@pytest.fixture
def small(make_tiny: Callable[..., Pair], judge: ResponseJudge, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every new nano is a tiny model, answers are short, the judges are quick, and the tiny plan's test parts are held out."""
    from cogviz.models import zoo
    from cogviz.training import align, rewards, rollout, run

    def new_nano(_: object, *, layers: str = "mix", seed: int = 0) -> Pair:
        return make_tiny(layers=layers, seed=seed, encoder_folder=f"../{zoo.ENCODER}")

    monkeypatch.setattr(zoo, "new_nano", new_nano)
    monkeypatch.setattr(rollout, "MAX_NEW_TOKENS", {"reason": 12, "direct": 8})
    monkeypatch.setattr(rewards, "evaluation_judge", lambda: judge)
    monkeypatch.setattr(align, "reward_judge", lambda: judge)
    monkeypatch.setattr(align, "evaluation_judge", lambda: judge)
    monkeypatch.setattr(run, "HELD_OUT", ("equal_length", "agreeing"))


class Endpoint(HTTPServer):
    """Answers requests with `replies` in turn, the last one for ever: (status, bytes, length to announce)."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.replies: list[tuple[int, bytes, int]] = []
        self.requests: list[dict] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/v1/"

    def will_say(self, *contents: object) -> None:
        for content in contents:
            body = json.dumps({"choices": [{"message": {"content": content}}]}).encode()
            self.replies.append((200, body, len(body)))


class Handler(BaseHTTPRequestHandler):
    server: Endpoint

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.requests.append({"path": self.path, "key": self.headers["Authorization"], **body})
        status, content, length = self.server.replies.pop(0) if len(self.server.replies) > 1 else self.server.replies[0]
        self.send_response(status)
        self.send_header("Content-Length", str(length))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def endpoint(monkeypatch: pytest.MonkeyPatch) -> Iterator[Endpoint]:
    """A language model's endpoint on this machine, which says what a test tells it to; nobody waits between two tries."""
    monkeypatch.setattr("cogviz.endpoint.sleep", lambda _: None)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setenv("OPENAI_API_KEY", "a-test-key")
    with Endpoint() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()
