"""Run a listener's language model from a layer on: what lies before is computed once, and shared by many changed copies.

A plain loop over interventions hears the sound and runs the whole model each time. Here a passage goes through the listener once; afterwards the
layers below the one that is changed are skipped, and many copies, of one utterance or of several, go as rows of one batch.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from cogviz.models.batching import in_batches
from cogviz.models.protocol import Passage, Transparent
from cogviz.probing.sites import decoder_of, stream, watched

ROWS = 256
"""Changed copies that go through the model at once."""

Change = Callable[[Tensor, Tensor], Tensor]
"""The copies' numbers (r,) and their states (r, S, H) -> the states that go on instead."""

Inside = Callable[[Tensor], AbstractContextManager[Any]]
"""The copies' numbers (r,) -> hooks that are on while they go through the layers."""


@dataclass(eq=False)
class Suffix:
    """A passage that went through a listener once, to be run again from any layer on.

    Attributes:
        states: (B, S, H) by site, of the one whole pass. labels: (B, 7) logits of the seven labels at the last place.
        rows: copies that go through at once; halved where they do not fit in memory.
    """

    listener: Transparent
    passage: Passage
    states: dict[str, Tensor]
    labels: Tensor
    rows: int
    _decoder: nn.Module
    _call: _Call
    _tuple: bool
    _scale: float = 1.0

    def run(
        self,
        site: str,
        of: Sequence[int],
        change: Change | None = None,
        *,
        inside: Inside | None = None,
        name: str = "",
        progress: bool = False,
    ) -> np.ndarray:
        """(R, 7) logits of the labels at the last place, of R copies that go on from a site of the residual stream.

        Args:
            site: `connector` or a layer (`sites.stream`) whose states were kept.
            of: the passage's row that each copy is of.
            change: what is done to the copies' states before they go on.

        Raises:
            MemoryError: a single copy does not fit.
        """
        start = stream(self.listener).index(site)
        which = torch.as_tensor(of, device=self.labels.device)
        tried: list[int] = []
        done: list[int] = []

        def work(part: list[int]) -> list[np.ndarray]:
            tried.append(len(part))
            copies = torch.tensor(part, device=which.device)
            rows = which[copies]
            with torch.inference_mode():
                states = self.states[site][rows]
                states = states if change is None else change(copies, states)
                with inside(copies) if inside else nullcontext(), replaced(self.listener, start, states, self._tuple):
                    found = self._end(self._call.again(self._decoder, rows, len(self.labels)))
            done.append(len(part))
            return list(found.float().cpu().numpy())

        out = in_batches(
            work, [1.0] * len(of), device=self.labels.device, batch=min(self.rows, max(len(of), 1)), name=name, progress=progress
        )
        if done and max(tried) > max(done):
            warnings.warn(f"{max(tried)} rows do not fit in memory; going on with {max(done)} at once", stacklevel=2)
            self.rows = max(done)
        return np.array(out).reshape(-1, self.labels.shape[1])

    def _end(self, hidden: Tensor) -> Tensor:
        """(r, 7) logits of the labels at the last place."""
        with self._call.precision():
            return self.listener.model.get_output_embeddings()(hidden[:, -1])[:, self.listener.label_tokens] * self._scale


def begin(listener: Transparent, passage: Passage, sites: Sequence[str] = (), *, rows: int = ROWS) -> Suffix:
    """Send a passage through a listener once and keep what is needed to go on from its layers.

    Args:
        sites: whose states are kept (`probing.sites`), those of the residual stream among them from which copies will go on.
        rows: copies that will go through at once.

    Raises:
        ValueError: the listener's logits are not what its output embeddings make of its last layer.
    """
    decoder = decoder_of(listener)
    calls: list[_Call] = []
    ends: list[Tensor] = []
    tuples: list[bool] = []

    def before(_: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        calls.append(_Call(args, kwargs, *_autocast(listener)))

    def after(_: nn.Module, args: tuple[Any, ...], out: Any) -> None:
        ends.append(_hidden(out)[:, -1:])

    def looked(_: nn.Module, args: tuple[Any, ...], out: Any) -> None:
        tuples.append(isinstance(out, tuple))

    with torch.inference_mode(), ExitStack() as stack:
        stack.callback(decoder.register_forward_pre_hook(before, with_kwargs=True).remove)
        stack.callback(decoder.register_forward_hook(after).remove)
        stack.callback(listener.layers()[0].register_forward_hook(looked).remove)
        seen = stack.enter_context(watched(listener, list(sites)))
        labels = listener.logits(passage)[:, -1, listener.label_tokens]
        made = Suffix(listener, passage, dict(seen), labels, rows, decoder, calls[-1], tuples[-1])
        again = made._end(ends[-1])
        made._scale = float(labels.flatten() @ again.flatten() / (again.flatten() @ again.flatten()))  # some models divide their logits
        if not torch.allclose(again * made._scale, labels, atol=1e-2, rtol=1e-2):
            raise ValueError(
                f"{listener.name}: its logits are not its output embeddings times its last layer, so its suffix cannot be run alone"
            )
    return made


def at_once(listener: Transparent, most: int, items: int) -> int:
    """Return how many utterances are heard at once: at most `most`, and what the listener itself is set to."""
    return max(1, min(most, items, getattr(listener, "batch", None) or most))


@contextmanager
def replaced(listener: Transparent, start: int, states: Tensor, as_tuple: bool = False) -> Iterator[None]:
    """Let the first `start` layers do nothing but give `states`, and the others go on from them; all layers are as before afterwards."""

    def give(*_: Any, **__: Any) -> Any:
        return (states,) if as_tuple else states

    layers = listener.layers()
    with ExitStack() as stack:
        for layer in layers[:start]:
            stack.callback(_restore, layer, layer.__dict__.get("forward"))
            layer.forward = give
        if start == 0:

            def put(_: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
                return ((states, *args[1:]), kwargs) if args else (args, {**kwargs, "hidden_states": states})

            stack.callback(layers[0].register_forward_pre_hook(put, with_kwargs=True).remove)
        yield


def _restore(layer: nn.Module, kept: Any) -> None:
    if kept is None:
        layer.__dict__.pop("forward", None)
    else:
        layer.forward = kept


@dataclass(frozen=True, eq=False)
class _Call:
    """How the decoder was called: its arguments and its precision."""

    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    device: str
    mixed: bool
    dtype: torch.dtype

    def precision(self) -> AbstractContextManager[Any]:
        return torch.autocast(self.device, self.dtype, enabled=self.mixed)

    def again(self, decoder: nn.Module, rows: Tensor, size: int) -> Tensor:
        """Call the decoder with these rows of a batch of `size`; returns its last hidden states."""
        kwargs = {name: rows_of(value, rows, size) for name, value in self.kwargs.items()}
        kwargs.update(use_cache=False, past_key_values=None)
        with self.precision():
            return _hidden(decoder(*(rows_of(a, rows, size) for a in self.args), **kwargs))


def rows_of(value: Any, rows: Tensor, size: int) -> Any:
    """Rows of what belongs to a batch; of positions in several dimensions, (3, B, S), too. Anything else as it is."""
    if isinstance(value, Mapping):
        return {name: rows_of(part, rows, size) for name, part in value.items()}
    if not isinstance(value, Tensor) or value.ndim < 2:
        return value
    if value.ndim == 3 and value.shape[1] == size and not value.is_floating_point():
        return value[:, rows]
    return value[rows] if value.shape[0] == size else value


def _hidden(out: Any) -> Tensor:
    return out.last_hidden_state if hasattr(out, "last_hidden_state") else out[0]


def _autocast(listener: Transparent) -> tuple[str, bool, torch.dtype]:
    device = torch.device(listener.model.device).type
    return device, torch.is_autocast_enabled(device), torch.get_autocast_dtype(device)
