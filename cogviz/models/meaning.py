"""How near two sentences are in meaning, by a small pretrained sentence encoder."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from transformers import AutoModel, AutoTokenizer

from cogviz.models import backbones
from cogviz.models.quiet import without_bars


class SentenceEncoder:
    """all-MiniLM-L6-v2 (Reimers and Gurevych 2019, arXiv 1908.10084; Wang et al. 2020, arXiv 2002.10957): mean of the tokens, length 1.

    Args:
        name: a sentence encoder of that kind by its hub name, or a folder.

    Raises:
        WeightsError: it is not on this machine.
    """

    def __init__(self, name: str = backbones.MINILM, *, batch: int = 64, device: str | torch.device = "cpu") -> None:
        folder = backbones.resolve(name)
        with without_bars():
            self.model = AutoModel.from_pretrained(folder, dtype=torch.float32).eval().to(device)
        self.tokenizer = AutoTokenizer.from_pretrained(folder)
        self.batch = batch
        self._kept: dict[str, np.ndarray] = {}

    def __call__(self, texts: Sequence[str]) -> np.ndarray:
        """Return (N, D) float32 embeddings of length 1; a text that came before is not computed again."""
        new = [text for text in dict.fromkeys(texts) if text not in self._kept]
        for start in range(0, len(new), self.batch):
            rows = new[start : start + self.batch]
            inputs = self.tokenizer(rows, padding=True, truncation=True, max_length=128, return_tensors="pt").to(self.model.device)
            with torch.inference_mode():
                hidden = self.model(**inputs).last_hidden_state
            mask = inputs["attention_mask"][..., None].float()
            mean = torch.nn.functional.normalize((hidden * mask).sum(dim=1) / mask.sum(dim=1).clamp(min=1), dim=-1)
            self._kept.update(zip(rows, mean.cpu().numpy(), strict=True))
        return np.stack([self._kept[text] for text in texts])

    def similarity(self, a: Sequence[str], b: Sequence[str]) -> np.ndarray:
        """(N,) cosine of each pair, 0 .. 1 (what points apart counts as 0); an empty text is near nothing."""
        if not a:
            return np.zeros(0)
        near = np.clip((self(a) * self(b)).sum(axis=1), 0, 1)
        return np.where([bool(x.strip() and y.strip()) for x, y in zip(a, b, strict=True)], near, 0.0)
