"""CogAudio: a Whisper encoder, a connector that keeps words and tone, and a causal language model.

The shape is that of the audio language models in transformers: placeholders in the text are replaced by audio embeddings.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AutoModelForCausalLM, GenerationMixin, PreTrainedModel
from transformers.modeling_outputs import CausalLMOutputWithPast
from transformers.models.whisper.modeling_whisper import WhisperEncoder

from cogviz.emotions import EMOTIONS
from cogviz.models.acoustic import AcousticEncoder
from cogviz.models.configuration import CogAudioConfig
from cogviz.models.connector import CogAudioConnector
from cogviz.models.encoder import encode_layers
from cogviz.models.packing import packed, take
from cogviz.models.tone import DEGREES

SMOOTHING = 0.1
"""Label smoothing of the tone: much of the speech is at low intensity, which nobody can be sure of."""

ATTRIBUTES = 0.5
"""Weight of the tone's loss beside that of an answer."""

MISHEARD = 0.05
"""Share of the frames that say another token, drawn at random, in training: unknown sentences are heard with more errors than known ones."""


NO_ENROLMENT = (
    "a model with an acoustic encoder hears a voice as it is; it cannot be enrolled with a neutral recording (leave --neutral out)"
)
"""Why such a model refuses one."""


class CogAudioPreTrainedModel(PreTrainedModel):
    """What transformers needs to know of every CogAudio model."""

    config_class = CogAudioConfig
    base_model_prefix = "model"
    input_modalities = ("audio", "text")
    _keys_to_ignore_on_load_missing = [r"audio_encoder\."]
    _supports_sdpa = True
    _supports_attention_backend = True
    accepts_loss_kwargs = False  # the loss is a mean over the batch at hand; the Trainer must not scale it as if it were a sum


class CogAudioForConditionalGeneration(CogAudioPreTrainedModel, GenerationMixin):
    """Audio and text in, text out.

    Audio comes as log-mels (`input_features` with `feature_attention_mask`) or as encoder layers computed before (`audio_states` with
    `audio_mask`); `audio_levels` belongs to both, and so does `audio_acoustic` where the config has an acoustic encoder.
    """

    def __init__(self, config: CogAudioConfig) -> None:
        super().__init__(config)
        self.audio_encoder = WhisperEncoder(config.audio_config)
        self.acoustic_encoder = None if config.acoustic is None else AcousticEncoder(config.acoustic, tokens=config.tone_tokens)
        self.connector = CogAudioConnector(config)
        self.language_model = AutoModelForCausalLM.from_config(config.text_config)
        if config.text_backbone is not None:
            self._keys_to_ignore_on_load_missing = [*(self._keys_to_ignore_on_load_missing or []), r"language_model\."]
        self.tone_head = nn.Linear(config.text_config.hidden_size, len(EMOTIONS))
        self.degree_head = nn.Linear(config.text_config.hidden_size, len(DEGREES)) if config.tone_degrees else None
        self.post_init()
        if config.lora_rank:  # after the weights' initialisation, which would overwrite that of the adapters
            self._adapt(config.lora_rank)

    def tell_degrees(self) -> None:
        """Give the tone a readout of how strong it is, where it has none and no words for it."""
        if self.degree_head is None and self.config.tone_words is None:
            self.config.tone_degrees = True
            self.degree_head = nn.Linear(self.tone_head.in_features, len(DEGREES)).to(self.tone_head.weight)
            nn.init.zeros_(self.degree_head.weight)  # no draw: the same run gives the same weights

    def _adapt(self, rank: int) -> None:
        """Put low-rank adapters (LoRA: Hu et al. 2021, arXiv 2106.09685) beside every linear layer of the language model."""
        from peft import LoraConfig, inject_adapter_in_model

        inject_adapter_in_model(LoraConfig(r=rank, lora_alpha=2 * rank, target_modules="all-linear"), self.language_model)
        for layer in self._adapted():
            layer.cast_input_dtype_enabled = False  # autocast does it; there and back again takes a quarter of a step

    def is_frozen(self, name: str) -> bool:
        """Whether a weight stays as it was pretrained: the encoder's, and those of a frozen language model beside its adapters."""
        frozen_text = self.config.text_backbone is not None and name.startswith("language_model.") and ".lora_" not in name
        return name.startswith("audio_encoder.") or frozen_text

    def store_frozen(self, dtype: torch.dtype) -> None:
        """Keep a frozen language model in `dtype`, if there is one; what learns stays as it is, so that autocast is needed from then on."""
        for name, weight in self.language_model.named_parameters():
            if self.is_frozen(f"language_model.{name}"):
                weight.data = weight.data.to(dtype)

    def fold_adapters(self) -> None:
        """Add the adapters to the weights that they stand beside, for good: the same answers in half of the operations, and no more learning."""
        for layer in self._adapted():
            if not layer.merged:
                layer.merge()

    @contextmanager
    def folded(self) -> Iterator[None]:
        """Answer with folded adapters for a while; the weights are afterwards what they were, to the last bit."""
        layers = self._adapted()
        kept = [layer.get_base_layer().weight.detach().clone() for layer in layers]
        self.fold_adapters()
        try:
            yield
        finally:
            for layer, weight in zip(layers, kept, strict=True):
                layer.get_base_layer().weight.data.copy_(weight)
                layer.merged_adapters.clear()

    def _adapted(self) -> list[Any]:
        if not self.config.lora_rank:
            return []
        from peft.tuners.lora import LoraLayer

        return [module for module in self.language_model.modules() if isinstance(module, LoraLayer)]

    @property
    def needs_autocast(self) -> bool:
        """Whether the weights are of two precisions (see `store_frozen`)."""
        return self._table().dtype != self.tone_head.weight.dtype

    def train_language_model(self, learns: bool) -> None:
        """Let the language model learn, or its adapters where it is frozen; or neither."""
        for name, weight in self.named_parameters():
            if name.startswith("language_model."):
                weight.requires_grad_(learns and not self.is_frozen(name))

    def save_pretrained(self, save_directory: str | Path, **kwargs: Any) -> None:
        """Save as transformers does; without what the config says is pretrained and lies elsewhere."""
        state = kwargs.pop("state_dict", None) or self.state_dict()
        with_encoder = self.config.encoder_folder is None
        kept = {n: v for n, v in state.items() if not self.is_frozen(n) or (with_encoder and n.startswith("audio_encoder."))}
        super().save_pretrained(save_directory, state_dict=kept, **kwargs)

    def load_language_model(self, name: str) -> None:
        """Put the weights of a pretrained language model beside the adapters.

        Raises:
            WeightsError: it is not on this machine, or another model than the adapters were made for.
        """
        from cogviz.models import backbones
        from cogviz.models.convert import WeightsError

        state = backbones.language_model_state(name)
        mine = self.language_model.state_dict()
        renamed = {
            n if n in mine else n.replace(".weight", ".base_layer.weight").replace(".bias", ".base_layer.bias"): v for n, v in state.items()
        }
        wrong = [n for n, v in renamed.items() if n not in mine or mine[n].shape != v.shape]
        missing = [n for n in mine if ".lora_" not in n and n not in renamed and n != "lm_head.weight"]
        if wrong or missing:
            raise WeightsError(f"{name} is not the language model that this checkpoint was made for (at {(wrong + missing)[0]})")
        self.language_model.load_state_dict(renamed, strict=False)
        self.language_model.tie_weights()

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path: str | Path, *args: Any, **kwargs: Any) -> CogAudioForConditionalGeneration:
        """Load as transformers does, and the frozen encoder from the folder that the config names."""
        model, loading = super().from_pretrained(pretrained_model_name_or_path, *args, output_loading_info=True, **kwargs)
        for branch in ("acoustic_encoder", "connector"):
            if missing := sorted(name for name in loading["missing_keys"] if name.startswith(f"{branch}.")):
                raise OSError(f"the weights of its {branch} are missing ({len(missing)} of them, as {missing[0]})")
        if model.config.encoder_folder is not None:
            from safetensors.torch import load_file

            path = Path(pretrained_model_name_or_path) / model.config.encoder_folder / "model.safetensors"
            if not path.is_file():
                raise OSError(f"the frozen encoder {path} is missing; it belongs beside the checkpoint")
            model.audio_encoder.load_state_dict(load_file(path))
        if model.config.text_backbone is not None:
            model.load_language_model(model.config.text_backbone)
        model.train_language_model(True)
        model.audio_encoder.requires_grad_(False)
        return model

    def get_input_embeddings(self) -> nn.Module:
        return self.language_model.get_input_embeddings()

    def set_input_embeddings(self, value: nn.Module) -> None:
        self.language_model.set_input_embeddings(value)

    def get_output_embeddings(self) -> nn.Module:
        return self.language_model.get_output_embeddings()

    def encode(self, input_features: Tensor, feature_attention_mask: Tensor) -> tuple[Tensor, Tensor]:
        """Return ((B, L + 1, T, D) encoder layers, (B, T) mask); no gradient, the encoder is frozen."""
        with torch.no_grad():
            weight = self.audio_encoder.conv1.weight
            return encode_layers(self.audio_encoder, input_features.to(weight.dtype), feature_attention_mask)

    def embed(
        self,
        input_ids: Tensor,
        attention_mask: Tensor,
        audio_states: Tensor,
        audio_levels: Tensor,
        audio_mask: Tensor,
        enrolled: Tensor | None = None,
        audio_acoustic: Tensor | None = None,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Put the audio in place of the placeholders. `enrolled`: what `enrol` returns, for each row. `audio_acoustic`: (B, T, 4 x 44) what an
        acoustic encoder hears, where the model has one.

        Returns:
            (B, S, H) embeddings; (B, S) attention mask, 0 where a frame holds no new word (see `spoken`); (B, T, V) log-probabilities of the
            token that a frame says.

        Raises:
            ValueError: the number of placeholders is not the number of audio embeddings.
        """
        mask = audio_mask.bool()
        table = self._table()
        words, tone = self.connector(audio_states, audio_levels, mask, enrolled, self.voice(audio_acoustic, mask))
        blank = self.config.audio_token_id
        chances = words.index_fill(-1, torch.tensor([blank], device=words.device), float("-inf")).softmax(-1).to(table.dtype)
        said = (chances.flatten(0, 1) @ table).unflatten(0, mask.shape)  # one product: in batches the table would be copied for every row
        if self.training:
            wrong = torch.rand_like(said[..., :1]) < MISHEARD
            said = torch.where(wrong, table[torch.randint(len(table), said.shape[:2], device=said.device)], said)
        spoken = torch.cat([mask.new_ones(tone.shape[:2]), self.spoken(words, mask)], dim=1)
        there = torch.cat([mask.new_ones(tone.shape[:2]), mask], dim=1)
        embeds = self._placed(
            self.get_input_embeddings()(input_ids), input_ids, torch.cat([self.told(tone).to(said.dtype), said], dim=1), there
        )
        kept = attention_mask.masked_scatter(input_ids == blank, spoken[there].to(attention_mask.dtype))
        return embeds, kept, words

    def voice(self, audio_acoustic: Tensor | None, audio_mask: Tensor) -> Tensor | None:
        """(B, K, W) tokens of the acoustic encoder; None where the model has none.

        Raises:
            ValueError: it has one and is given nothing to hear.
        """
        if self.acoustic_encoder is None:
            return None
        if audio_acoustic is None:
            raise ValueError("this model has an acoustic encoder, which needs audio_acoustic; build it with the processor")
        found: Tensor = self.acoustic_encoder(audio_acoustic, audio_mask)
        return found

    def enrol(self, audio_states: Tensor, audio_levels: Tensor, audio_mask: Tensor) -> Tensor:
        """Return (B, K) what a neutral recording says of its speaker's voice, to be given as `enrolled` with other recordings of theirs.

        Raises:
            ValueError: the model has an acoustic encoder, which knows no enrolment.
        """
        if not self.connector.enrols:
            raise ValueError(NO_ENROLMENT)
        return self.connector.pooled(audio_states, audio_levels, audio_mask.bool())

    def tone_scores(self, tone: Tensor) -> Tensor:
        """(B, 7) float32 logits of the emotions, read out of what the connector says of the tone."""
        return tone[:, 0, : len(EMOTIONS)].float() if self.config.tone_words is not None else self.tone_head(tone.mean(dim=1)).float()

    def told(self, tone: Tensor) -> Tensor:
        """(B, K, H) embeddings of the tone: those of its words, weighted, where the language model has words for it; the last class is silence."""
        if self.config.tone_words is None:
            return tone
        table = torch.as_tensor(self.get_input_embeddings().weight)[self.config.tone_words]
        return tone.float().softmax(-1)[..., :-1].to(table.dtype) @ table

    def spoken(self, words: Tensor, mask: Tensor) -> Tensor:
        """(B, T) True where a frame says a token: neither the CTC's blank nor what the frame before says.

        The language model attends to these frames only, so that it reads about as many embeddings as there are tokens in the sentence (CTC
        compression: Gaido et al. 2021, arXiv 2102.01578; Wu et al. 2023, arXiv 2307.03917). Positions are counted without the others.
        """
        best = words.argmax(dim=-1)
        repeats = torch.zeros_like(mask)
        repeats[:, 1:] = best[:, 1:] == best[:, :-1]
        return mask & (best != self.config.audio_token_id) & ~repeats

    def _table(self) -> Tensor:
        """(V, H) the embeddings of the tokens that a frame can say."""
        return torch.as_tensor(self.get_input_embeddings().weight)[: self.config.spoken]

    def simulate(self, input_ids: Tensor, frame_tokens: Tensor, tone_classes: Tensor | None = None) -> Tensor:
        """Return text embeddings with simulated speech in place of the placeholders (see `training.reading`).

        Args:
            frame_tokens: (B, T) the token that each frame says; -100 is padding. In training up to half of another token is mixed in.
            tone_classes: (B, K) what each tone token says (see `models.tone`); None: nothing.

        Raises:
            ValueError: the number of placeholders is not the number of frames and tone tokens.
        """
        table, mask = self._table(), frame_tokens != -100
        words = table[frame_tokens.clamp(min=0)]
        if self.training:
            doubt = 0.5 * torch.rand(frame_tokens.shape, device=table.device)[..., None].to(table.dtype) ** 2
            words = (1 - doubt) * words + doubt * table[torch.randint_like(frame_tokens, len(table))]
        tone = words.new_zeros(len(words), self.connector.tone_tokens, words.shape[-1])
        if tone_classes is not None:
            silent = nn.functional.pad(torch.as_tensor(self.get_input_embeddings().weight)[self.config.tone_words], (0, 0, 0, 1))
            tone = silent[tone_classes].to(words.dtype)
        embeds = self.get_input_embeddings()(input_ids)
        return self._placed(embeds, input_ids, torch.cat([tone, words], dim=1), torch.cat([mask.new_ones(tone.shape[:2]), mask], dim=1))

    def _placed(self, embeds: Tensor, input_ids: Tensor, audio: Tensor, mask: Tensor) -> Tensor:
        places = input_ids == self.config.audio_token_id
        have, want = places.sum(dim=1), mask.sum(dim=1)  # row by row, or one text's audio could land in another
        if len(wrong := (have != want).nonzero()):
            row = int(wrong[0])
            raise ValueError(
                f"text {row} has {int(have[row])} audio placeholders for {int(want[row])} audio embeddings; build it with the processor"
            )
        return embeds.masked_scatter(places[..., None], audio[mask].to(embeds.dtype))

    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        input_features: Tensor | None = None,
        feature_attention_mask: Tensor | None = None,
        audio_states: Tensor | None = None,
        audio_mask: Tensor | None = None,
        audio_levels: Tensor | None = None,
        audio_acoustic: Tensor | None = None,
        enrolled: Tensor | None = None,
        position_ids: Tensor | None = None,
        past_key_values: Any = None,
        inputs_embeds: Tensor | None = None,
        labels: Tensor | None = None,
        ctc_labels: Tensor | None = None,
        tone_labels: Tensor | None = None,
        frame_tokens: Tensor | None = None,
        tone_classes: Tensor | None = None,
        temperature: float | None = None,
        use_cache: bool | None = None,
        logits_to_keep: int | Tensor = 0,
        **kwargs: Any,
    ) -> CausalLMOutputWithPast:
        """Next-token logits, and the loss where `labels` (B, S; -100 is ignored) are given; zero logits at places that are not attended to.

        In training, `logits` are (labels that count, V), row after row, and `ctc_labels` (B, U; -100 is padding), the tokens of the spoken words,
        add a CTC loss. Without `input_ids` it is the whole loss, and so is that of `tone_labels`: (B,) indices into `EMOTIONS` for a linear
        readout of the tone, (B, 2) with indices into `tone.DEGREES` beside them (-100: none), or (B, K) what each tone token says. Beside
        `input_ids` the tone's loss is added with weight `ATTRIBUTES`. `frame_tokens` (B, T) and `tone_classes` (B, K) put simulated speech in
        place of the audio (see `simulate`).

        With a `temperature`, `logits` are instead (labels that count,) the log probability of each label at that temperature, row after row:
        reinforcement needs no more, and of a large vocabulary it is little.
        """
        if input_ids is None and ctc_labels is not None:
            heard = torch.as_tensor(audio_mask).bool()
            words, _ = self.connector(audio_states, audio_levels, heard, voice=self.voice(audio_acoustic, heard))
            return CausalLMOutputWithPast(loss=self._ctc(words, torch.as_tensor(audio_mask), ctc_labels))
        if input_ids is None and tone_labels is not None:
            return CausalLMOutputWithPast(loss=self._attributes(audio_states, audio_levels, audio_mask, audio_acoustic, tone_labels))
        aside: Tensor | float = 0.0
        if frame_tokens is not None and input_ids is not None:
            inputs_embeds, input_ids = self.simulate(input_ids, frame_tokens, tone_classes), None
        audio_given = input_features is not None or audio_states is not None
        if inputs_embeds is None and input_ids is not None and audio_given:
            inputs_embeds, attention_mask, words, audio_mask = self.hear(
                input_ids,
                attention_mask,
                input_features=input_features,
                feature_attention_mask=feature_attention_mask,
                audio_states=audio_states,
                audio_mask=audio_mask,
                audio_levels=audio_levels,
                audio_acoustic=audio_acoustic,
                enrolled=enrolled,
            )
            input_ids = None
            if ctc_labels is not None:
                aside = self._ctc(words, audio_mask, ctc_labels)
            if tone_labels is not None:
                aside = aside + ATTRIBUTES * self._attributes(audio_states, audio_levels, audio_mask, audio_acoustic, tone_labels)
        if labels is not None and (self.training or temperature is not None):
            if audio_given and inputs_embeds is not None and attention_mask is not None:
                order = packed(attention_mask)
                inputs_embeds, attention_mask, labels = (
                    take(inputs_embeds, order),
                    attention_mask.gather(1, order),
                    labels.gather(1, order),
                )
            logits, wanted = self._labelled(
                labels, input_ids=input_ids, attention_mask=attention_mask, position_ids=position_ids, inputs_embeds=inputs_embeds
            )
            if temperature is not None:
                return CausalLMOutputWithPast(logits=-nn.functional.cross_entropy(logits / temperature, wanted, reduction="none"))
            return CausalLMOutputWithPast(loss=nn.functional.cross_entropy(logits, wanted) + aside, logits=logits)
        if not audio_given or inputs_embeds is None or attention_mask is None:
            return self.language_model(
                input_ids=input_ids,
                attention_mask=attention_mask,
                position_ids=position_ids,
                past_key_values=past_key_values,
                inputs_embeds=inputs_embeds,
                labels=labels,
                use_cache=use_cache,
                logits_to_keep=logits_to_keep,
                **kwargs,
            )
        order = packed(attention_mask, left=True)
        kept = attention_mask.gather(1, order)
        out = self.language_model(
            attention_mask=kept,
            position_ids=(kept.cumsum(dim=1) - 1).clamp(min=0),
            inputs_embeds=take(inputs_embeds, order),
            use_cache=use_cache,
            logits_to_keep=logits_to_keep,
            **kwargs,
        )
        if isinstance(logits_to_keep, int) and logits_to_keep == 0:
            shape = (*attention_mask.shape, out.logits.shape[-1])
            real = out.logits.masked_fill(kept[..., None] == 0, 0.0)  # a shorter row is filled up with places that are not attended to
            out.logits = real.new_zeros(shape).scatter(1, order[..., None].expand_as(real), real)
            if labels is not None:
                out.loss = self.language_model.loss_function(logits=out.logits, labels=labels, vocab_size=out.logits.shape[-1])
        return out

    def hear(self, input_ids: Tensor, attention_mask: Tensor | None, **audio: Tensor | None) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """`embed` for either kind of audio: (embeddings, attention mask, what the frames say, their mask)."""
        states, mask, levels = (audio.get(name) for name in ("audio_states", "audio_mask", "audio_levels"))
        if states is None:
            mel, real = audio.get("input_features"), audio.get("feature_attention_mask")
            if mel is None or real is None:
                raise ValueError("input_features need feature_attention_mask; build both with the processor")
            states, mask = self.encode(mel, real)
        if levels is None or mask is None:
            raise ValueError("audio needs audio_levels (and audio_states need audio_mask); build them with the processor")
        attention_mask = torch.ones_like(input_ids) if attention_mask is None else attention_mask
        heard = self.embed(input_ids, attention_mask, states, levels, mask, audio.get("enrolled"), audio.get("audio_acoustic"))
        return *heard, mask

    def _ctc(self, words: Tensor, mask: Tensor, labels: Tensor) -> Tensor:
        """CTC (Graves et al. 2006), mean per token; the placeholder of the audio is the blank."""
        lengths = (labels != -100).sum(dim=1)
        return nn.functional.ctc_loss(
            words.transpose(0, 1), labels.clamp(min=0), mask.sum(dim=1), lengths, blank=self.config.audio_token_id, zero_infinity=True
        )

    def _attributes(
        self, states: Tensor | None, levels: Tensor | None, mask: Tensor | None, acoustic: Tensor | None, labels: Tensor
    ) -> Tensor:
        """Cross-entropy of what the tone says with `tone_labels` (see `forward`)."""
        heard = torch.as_tensor(mask).bool()
        _, tone = self.connector(states, levels, heard, voice=self.voice(acoustic, heard))
        if self.config.tone_words is not None:
            return nn.functional.cross_entropy(tone.flatten(0, 1).float(), labels.flatten(), label_smoothing=SMOOTHING)
        if labels.ndim == 1:
            return nn.functional.cross_entropy(self.tone_scores(tone), labels, label_smoothing=SMOOTHING)
        loss = nn.functional.cross_entropy(self.tone_scores(tone), labels[:, 0], label_smoothing=SMOOTHING)
        strong = labels[:, 1] != -100
        if self.degree_head is None or not strong.any():
            return loss
        degrees = self.degree_head(tone.mean(dim=1)).float()[strong]
        return loss + nn.functional.cross_entropy(degrees, labels[strong, 1], label_smoothing=SMOOTHING)

    def _labelled(self, labels: Tensor, **inputs: Any) -> tuple[Tensor, Tensor]:
        """(N, V) float32 logits only where there is a label, and (N,) the label: audio and prompt, half of a training row, need none."""
        hidden = self.language_model.base_model(**inputs, use_cache=False).last_hidden_state[:, :-1]
        wanted = labels[:, 1:]
        kept = wanted != -100
        return self.get_output_embeddings()(hidden[kept]).float(), wanted[kept]

    def generate(self, inputs: Tensor | None = None, **kwargs: Any) -> Any:
        """Generate as transformers does; the audio is heard once, before the first token."""
        names = ("input_features", "feature_attention_mask", "audio_states", "audio_mask", "audio_levels", "audio_acoustic", "enrolled")
        audio = {name: value for name in names if (value := kwargs.pop(name, None)) is not None}
        if not audio:
            return super().generate(inputs, **kwargs)
        inputs = kwargs.pop("input_ids", inputs)
        with torch.no_grad():
            embeds, mask, *_ = self.hear(inputs, kwargs.pop("attention_mask", None), **audio)
        order = packed(mask, left=True)
        out = super().generate(inputs_embeds=take(embeds, order), attention_mask=mask.gather(1, order), **kwargs)
        if isinstance(out, Tensor):
            return torch.cat([inputs, out], dim=1)
        out.sequences = torch.cat([inputs, out.sequences], dim=1)
        return out
