"""Files that somebody might upload to break a server: random bytes, half a file, the wrong type, bombs, huge headers."""

from __future__ import annotations

import io
import struct
import zipfile
from collections.abc import Iterator

import numpy as np
import soundfile

RATE = 16_000


def encoded(samples: np.ndarray, rate: int = RATE, *, kind: str = "WAV", subtype: str = "PCM_16") -> bytes:
    """Samples as a file of a kind."""
    content = io.BytesIO()
    soundfile.write(content, samples, rate, format=kind, subtype=subtype)
    return content.getvalue()


def header(*, rate: int = RATE, channels: int = 1, bits: int = 16, claimed: int = 0xFFFFFFF0, body: bytes = b"\0" * 64) -> bytes:
    """A WAV file whose header claims more than there is."""
    block = channels * bits // 8
    form = struct.pack("<HHIIHH", 1, channels & 0xFFFF, rate, (rate * block) & 0xFFFFFFFF, block & 0xFFFF, bits)
    return b"RIFF" + struct.pack("<I", claimed) + b"WAVEfmt " + struct.pack("<I", 16) + form + b"data" + struct.pack("<I", claimed) + body


def hostile(count: int, *, seed: int = 0) -> Iterator[tuple[str, bytes]]:
    """Yield `count` files, {name, content}: the crafted ones first, then random bytes, and sound with random damage."""
    draw = np.random.default_rng(seed)
    noise = (0.1 * draw.standard_normal(RATE)).astype(np.float32)
    good = {kind: encoded(noise, kind=kind, subtype=sub) for kind, sub in (("WAV", "PCM_16"), ("FLAC", "PCM_16"), ("OGG", "VORBIS"))}
    zipped = io.BytesIO()
    with zipfile.ZipFile(zipped, "w", zipfile.ZIP_DEFLATED) as bomb:
        bomb.writestr("a.wav", b"\0" * 5_000_000)
    crafted = [
        ("empty.wav", b""),
        ("one.wav", b"R"),
        ("text.mp3", b"#!/bin/sh\nrm -rf /\n"),
        ("page.wav", b"<html><script>alert(1)</script></html>"),
        ("picture.flac", b"\x89PNG\r\n\x1a\n" + bytes(64)),
        ("zip.ogg", zipped.getvalue()),
        ("elf.wav", b"\x7fELF" + bytes(200)),
        ("huge-header.wav", header()),
        ("huge-rate.wav", header(rate=0xFFFFFFFF)),
        ("no-rate.wav", header(rate=0)),
        ("many-channels.wav", header(channels=65535)),
        ("no-channels.wav", header(channels=0)),
        ("many-bits.wav", header(bits=65528)),
        ("bomb.flac", encoded(np.zeros((RATE * 60, 8), np.float32), kind="FLAC")),
        ("long-header.aiff", b"FORM\xff\xff\xff\xffAIFFCOMM\xff\xff\xff\xff" + bytes(100)),
        ("caf.wav", b"caff\0\1\0\0desc" + b"\xff" * 200),
        ("nan.wav", encoded(np.full(RATE, np.nan, np.float32), subtype="FLOAT")),
        ("infinite.wav", encoded(np.full(RATE, np.inf, np.float32), subtype="FLOAT")),
        ("loud.wav", encoded(np.full(RATE, 1e30, np.float32), subtype="FLOAT")),
        ("silent.wav", encoded(np.zeros(RATE, np.float32))),
        ("short.wav", encoded(noise[:10])),
        ("slow.wav", encoded(noise[:100], 1)),
        ("..%2f..%2fetc%2fpasswd.wav", b"root:x:0:0"),
        ("name with \u202e and 'quotes'.wav", b"RIFF" + bytes(40)),
        ("raw.raw", bytes(5000)),
    ]
    yield from crafted[:count]
    for i in range(count - len(crafted)):
        kind = ("random", "cut", "flipped")[i % 3]
        name, content = list(good.items())[i // 3 % 3]
        if kind == "random":
            yield f"random-{i}.wav", draw.bytes(int(draw.integers(1, 20_000)))
        elif kind == "cut":
            yield f"cut-{i}.{name.lower()}", content[: int(draw.integers(4, 200))]
        else:
            broken = bytearray(content)
            for at in draw.integers(0, min(len(broken), 120), 12):
                broken[at] = int(draw.integers(256))
            yield f"flipped-{i}.{name.lower()}", bytes(broken)
