"""Names for what can be looked at inside a listener, and hooks that are always taken off again.

| name | what | shape |
| --- | --- | --- |
| `encoder.3` | output of the audio encoder's fourth layer | (B, frames, D) |
| `connector` | what the language model is given at the places of the sound (and the text's embeddings elsewhere) | (B, S, H) |
| `lm.7` | residual stream after the language model's eighth layer | (B, S, H) |
| `lm.7.attn`, `lm.7.conv` | what its attention (or, in a hybrid model, its convolution) adds | (B, S, H) |
| `lm.7.mlp` | what its feed-forward part adds | (B, S, H) |
| `lm.7.heads` | the attention heads before they are mixed | (B, S, heads x size) |
| `lm.7.pattern` | its attention weights, each row over the places that it reads; only inside `eager_attention` | (B, heads, S, S) |
| `lm.7.neurons` | the feed-forward part's neurons: what its down projection is given | (B, S, neurons) |

Layers are counted from 0, as in the models' own code.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from cogviz.models.protocol import Transparent

ATTENTION = ("self_attn", "attention", "attn")
CONVOLUTION = ("conv", "short_conv")
FEED_FORWARD = ("mlp", "feed_forward", "ffn")
MIXED = ("o_proj", "out_proj", "dense")
DOWN = ("down_proj", "w2", "fc2", "c_proj", "dense_4h_to_h")
"""Names that models of transformers give their parts."""

Edit = Callable[[Tensor], Tensor | None]
"""What to do with a state: return another one to put in its place, or None."""


class UnknownSite(ValueError):
    """Raised for a name that is not in the listener."""


class NoAttention(RuntimeError):
    """Raised where an attention gives no weights."""


@dataclass(frozen=True)
class Site:
    """A place in a model: what goes into a module, or what comes out of it (`part`: the second of what comes out is an attention's weights)."""

    name: str
    module: nn.Module
    takes_input: bool = False
    part: int = 0

    def hook(self, edit: Edit) -> Any:
        """Call `edit` with the state at every pass; returns the handle that takes the hook off."""
        if self.takes_input:

            def before(_: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]] | None:
                changed = edit(args[0] if args else kwargs["hidden_states"])
                if changed is None:
                    return None
                return ((changed, *args[1:]), kwargs) if args else (args, {**kwargs, "hidden_states": changed})

            return self.module.register_forward_pre_hook(before, with_kwargs=True)

        def after(_: nn.Module, args: tuple[Any, ...], out: Any) -> Any:
            changed = edit(self._given(out))
            if changed is None:
                return None
            return (*out[: self.part], changed, *out[self.part + 1 :]) if isinstance(out, tuple) else changed

        return self.module.register_forward_hook(after)

    def _given(self, out: Any) -> Tensor:
        if not self.part:
            return out[0] if isinstance(out, tuple) else out
        weights = out[self.part] if isinstance(out, tuple) and len(out) > self.part else None
        if weights is None:
            raise NoAttention(f"{self.name}: this attention gives no weights; look at it inside `eager_attention`, or choose another site")
        return weights


def sites(listener: Transparent) -> dict[str, Site]:
    """Return all sites of a listener by name, from the sound to the answer."""
    found = [Site(f"encoder.{i}", layer) for i, layer in enumerate(listener.encoder_layers())]
    decoder = listener.layers()
    found.append(Site("connector", decoder[0], takes_input=True))
    for i, layer in enumerate(decoder):
        if (attention := _part(layer, ATTENTION)) is not None:
            found.append(Site(f"lm.{i}.attn", attention))
            found.append(Site(f"lm.{i}.pattern", attention, part=1))
            if (mixed := _part(attention, MIXED)) is not None:
                found.append(Site(f"lm.{i}.heads", mixed, takes_input=True))
        elif (convolution := _part(layer, CONVOLUTION)) is not None:
            found.append(Site(f"lm.{i}.conv", convolution))
        if (feed_forward := _part(layer, FEED_FORWARD)) is not None:
            if (down := _part(feed_forward, DOWN)) is not None:
                found.append(Site(f"lm.{i}.neurons", down, takes_input=True))
            found.append(Site(f"lm.{i}.mlp", feed_forward))
        found.append(Site(f"lm.{i}", layer))
    return {site.name: site for site in found}


def find(listener: Transparent, names: Sequence[str]) -> list[Site]:
    """Return sites by name.

    Raises:
        UnknownSite: a name is none of the listener's; the message has those that are near.
    """
    known = sites(listener)
    for name in names:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=3, cutoff=0.5) or list(known)[:3]
            layers = len(listener.layers())
            raise UnknownSite(
                f"{listener.name} has no {name!r} (encoder.0 to encoder.{len(listener.encoder_layers()) - 1}, connector, "
                f"lm.0 to lm.{layers - 1}); did you mean {' or '.join(near)}?"
            )
    return [known[name] for name in names]


def decoder_of(listener: Transparent) -> nn.Module:
    """Return the module that runs the decoder's layers one after the other.

    Raises:
        ValueError: the layers lie in no list of modules.
    """
    first = listener.layers()[0]
    for module in listener.model.modules():
        if any(isinstance(child, nn.ModuleList) and len(child) and child[0] is first for child in module.children()):
            return module
    raise ValueError(f"{listener.name}: its decoder's layers lie in no nn.ModuleList of its model")


def stream(listener: Transparent) -> list[str]:
    """Return the names along the residual stream: `connector`, then each layer of the language model."""
    return ["connector", *(f"lm.{i}" for i in range(len(listener.layers())))]


@contextmanager
def hooked(listener: Transparent, edits: Mapping[str, Edit]) -> Iterator[None]:
    """Let each of `edits` (by site) see, and change, its state in every pass inside the block. The hooks are off afterwards, whatever happens."""
    with ExitStack() as stack:
        for site, edit in zip(find(listener, list(edits)), edits.values(), strict=True):
            stack.callback(site.hook(edit).remove)
        yield


@contextmanager
def eager_attention(listener: Transparent) -> Iterator[None]:
    """Make the language model's attention give its weights inside the block, which the fused ways do not; as before afterwards."""
    inside = [m for layer in listener.layers() for m in layer.modules()]
    configs: dict[int, Any] = {
        id(m.config): m.config for m in [*inside, decoder_of(listener)] if hasattr(m, "config")
    }  # the decoder builds the mask
    before = {key: config._attn_implementation for key, config in configs.items()}
    try:
        for config in configs.values():
            config._attn_implementation = "eager"
        yield
    finally:
        for key, config in configs.items():
            config._attn_implementation = before[key]


@contextmanager
def watched(listener: Transparent, names: Sequence[str], *, keep_grad: bool = False) -> Iterator[dict[str, Tensor]]:
    """Yield a dict that holds, after each pass inside the block, the states at the sites, as they are on the device."""
    seen: dict[str, Tensor] = {}

    def keep(name: str) -> Edit:
        def edit(state: Tensor) -> None:
            seen[name] = state if keep_grad else state.detach()

        return edit

    with hooked(listener, {name: keep(name) for name in names}):
        yield seen


def _part(module: nn.Module, names: Sequence[str]) -> nn.Module | None:
    return next((getattr(module, name) for name in names if isinstance(getattr(module, name, None), nn.Module)), None)
