"""A passage once more from a changed input on: what the analysis needs of a model, and not a step more.

The sound is encoded once. From there the language model runs from its input embeddings on, and its vocabulary is asked only at the places that the
target reads. For attribution down to the log-mel the encoder runs too, with its gradient.
"""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import torch
from torch import Tensor

from cogviz.attribution.targets import Target
from cogviz.models.encoder import encode_layers
from cogviz.models.packing import packed, take
from cogviz.models.protocol import Passage, Transparent
from cogviz.probing.sites import decoder_of
from cogviz.probing.suffix import rows_of

TOLERANCE = 1e-2
"""By how much a replayed logit may differ from the listener's own, in half precision."""


class Replay:
    """Runs a passage from changed embeddings, or a changed log-mel, to the target.

    Which frames the language model reads (`spoken`) is a hard choice of the connector; it stays that of the unchanged input, so that the
    target is a smooth function of what is changed and integrated gradients add up.

    Attributes:
        embeds: (B, S, H) what the language model is given at each place.
        own: (B,) the target of the unchanged input.

    Raises:
        ValueError: the model does not compute its logits as the models of transformers do.
    """

    def __init__(self, listener: Transparent, passage: Passage, target: Target) -> None:
        self.listener, self.passage, self.target = listener, passage, target
        self.decoder = decoder_of(listener)
        given: dict[str, Any] = {}
        hook = self.decoder.register_forward_pre_hook(lambda _m, _a, kwargs: given.update(kwargs), with_kwargs=True)
        try:
            with torch.no_grad():
                logits = listener.logits(passage)
        finally:
            hook.remove()
        if given.get("inputs_embeds") is None:
            raise ValueError(f"{listener.name}: its decoder is not given embeddings, so that nothing can be put in their place")
        self.embeds: Tensor = given.pop("inputs_embeds").detach()
        self._given = {name: value for name, value in given.items() if value is not None and name != "input_ids"} | {"use_cache": False}
        self._given.pop("past_key_values", None)
        size = listener.model.config.get_text_config()
        self._scale = float(getattr(size, "logits_scaling", 1.0) or 1.0)
        rows = torch.arange(len(self.embeds), device=self.embeds.device)
        with torch.no_grad():
            expected = logits.gather(1, target.places[..., None].expand(-1, -1, logits.shape[-1]))
            found = self._logits(self.embeds, rows)
            self.own = target.read(expected, rows)
        if (apart := float((found.float() - expected.float()).abs().max())) > TOLERANCE * max(1.0, float(expected.float().abs().max())):
            raise ValueError(f"{listener.name}: its logits are not its output embeddings times its last state (up to {apart:.2g} apart)")
        self._order: Tensor | None = None

    def __len__(self) -> int:
        return len(self.embeds)

    def from_embeds(self, embeds: Tensor, rows: Tensor) -> Tensor:
        """(N, S, H) embeddings, of row `rows` (N,) of the passage each -> (N,) the target."""
        return self.target.read(self._logits(embeds, rows), rows)

    def from_mel(self, mel: Tensor, levels: Tensor, rows: Tensor) -> Tensor:
        """(N, bands, F) log-mel as the processor scales it and (N, T) levels -> (N,) the target, with a gradient through the frozen encoder."""
        model, inputs = self.listener.model, self.passage.inputs
        with self._autocast():
            weight = model.audio_encoder.conv1.weight
            states, mask = encode_layers(model.audio_encoder, mel.to(weight.dtype), inputs["feature_attention_mask"][rows])
            enrolled = inputs["enrolled"][rows] if "enrolled" in inputs else None
            ids, attended = inputs["input_ids"][rows], inputs["attention_mask"][rows]
            embeds, _, _ = model.embed(ids, attended, states, levels, mask, enrolled)
        return self.from_embeds(take(embeds, self.order[rows]), rows)

    @property
    def mel(self) -> tuple[Tensor, Tensor]:
        """((B, bands, F) log-mel, (B, T) levels) of the passage.

        Raises:
            ValueError: the listener is no CogAudio model, or the passage was not made with the log-mel.
        """
        inputs = self.passage.inputs
        if not hasattr(self.listener.model, "connector") or "audio_levels" not in inputs:
            raise ValueError(f"{self.listener.name}: only a CogAudio model can be followed down to the log-mel; take its audio tokens")
        if self.listener.model.acoustic_encoder is not None:
            raise ValueError(
                f"{self.listener.name}: its second encoder does not hear the log-mel, which would get the credit alone; take its audio tokens"
            )
        if "input_features" not in inputs:
            raise ValueError("the passage holds no log-mel; make it with `prepare.prepared`")
        return inputs["input_features"], inputs["audio_levels"]

    @property
    def order(self) -> Tensor:
        """(B, S) which places of the model's input the language model reads, of a CogAudio model."""
        if self._order is None:
            with torch.no_grad():
                self._order = packed(self.listener.model.hear(**self.passage.inputs)[1], left=True)
        return self._order

    def _logits(self, embeds: Tensor, rows: Tensor) -> Tensor:
        """(N, K, V) at the target's places."""
        given = {name: rows_of(value, rows, len(self)) for name, value in self._given.items()}
        places = self.target.places[rows]
        with self._autocast():
            hidden = self.decoder(inputs_embeds=embeds.to(self.embeds.dtype), **given).last_hidden_state
            wanted = hidden.gather(1, places[..., None].expand(-1, -1, hidden.shape[-1]))
            return self.listener.model.get_output_embeddings()(wanted) / self._scale

    def _autocast(self) -> Any:
        return getattr(self.listener, "_autocast", nullcontext)()
