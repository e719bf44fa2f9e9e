"""The server of the demo: limits, health, and only its own temporary folder."""

from __future__ import annotations

import atexit
import gc
import os
import shutil
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cogviz.demo.limits import BYTES, MODELS, SECONDS

if TYPE_CHECKING:
    import gradio as gr

    from cogviz.demo.engine import Engine

HOST, PORT = "127.0.0.1", 7860


def serve(
    *,
    models: tuple[str, ...] = MODELS,
    device: str = "cpu",
    host: str = HOST,
    port: int | None = PORT,
    root_path: str = "",
    share: bool = False,
    seconds: float = SECONDS,
    wait: bool = True,
) -> gr.Blocks:
    """Start the demo; where it does not `wait`, return the running page (close it with `.close()`).

    Args:
        port: 0: any that is free. root_path: prefix under which a proxy shows the page. share: a public address by Gradio's tunnel.

    Raises:
        UnknownModel, BuildError: what is needed is not on this machine; one sentence. OSError: the port is taken.
    """
    _settings()
    with _uncollected():
        from cogviz.demo.engine import Engine

        engine = Engine(models, device=device, seconds=seconds)
        page = start(engine, host=host, port=port, root_path=root_path, share=share, wait=False)
    if wait:
        gc.freeze()  # what was loaded stays for good: to look through it again and again would only cost time
        page.block_thread()
    return page


def start(
    engine: Engine,
    *,
    host: str = HOST,
    port: int | None = PORT,
    root_path: str = "",
    share: bool = False,
    wait: bool = True,
    quiet: bool = False,
) -> gr.Blocks:
    """Serve an engine; see `serve`."""
    _settings()
    from cogviz.demo import app, look

    engine.warm()
    page = app.build(engine)
    page.launch(
        server_name=host,
        server_port=port or _free(host),
        root_path=root_path or None,
        share=share,
        max_file_size=BYTES,
        show_error=False,
        prevent_thread_lock=True,
        quiet=quiet,
        theme=look.theme(),
        css=look.css(),
        head=look.head(),
        footer_links=["api", "settings"],
        favicon_path=str(Path(__file__).with_name("favicon.svg")),
        enable_monitoring=False,
        mcp_server=False,
        ssr_mode=False,
        pwa=False,
        app_kwargs={"routes": [_health(engine)], "middleware": _headers()},
    )
    threading.Thread(target=engine.sounds.prepare, name="sentences", daemon=True).start()
    if wait:
        page.block_thread()
    return page


@contextmanager
def _uncollected() -> Iterator[None]:
    """Let Python not look for garbage meanwhile: to import some ten thousand functions makes none, and a third of the time goes into looking."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


def _settings() -> None:
    """Settings that Gradio reads when it is imported or asked: nothing is counted, and files go to a folder of ours, deleted at the end."""
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    os.environ.setdefault("MPLBACKEND", "Agg")
    if "GRADIO_TEMP_DIR" not in os.environ:
        os.environ["GRADIO_TEMP_DIR"] = made = tempfile.mkdtemp(prefix="cogviz-demo-")
        atexit.register(shutil.rmtree, made, ignore_errors=True)


def _health(engine: Engine) -> Any:
    """GET /health: answers when the models have answered once; before that nobody listens on the port."""
    from starlette.responses import JSONResponse
    from starlette.routing import Route

    import cogviz

    def health(_: Any) -> JSONResponse:
        return JSONResponse({"ready": True, "models": list(engine.pair), "version": cogviz.__version__})

    return Route("/health", health, methods=["GET"])


def _headers() -> list[Any]:
    """Middleware: nobody may guess types, and the page asks nothing of other hosts."""
    from starlette.middleware import Middleware

    more = [
        (b"x-content-type-options", b"nosniff"),
        (b"referrer-policy", b"no-referrer"),
        (b"permissions-policy", b"camera=(), geolocation=(), microphone=(self)"),
        (
            b"content-security-policy",
            b"default-src 'self' data: blob: 'unsafe-inline' 'unsafe-eval'; connect-src 'self' data: blob: ws: wss:; "
            b"object-src 'none'; base-uri 'self'",
        ),
    ]

    class Headers:
        def __init__(self, app: Any) -> None:
            self.app = app

        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            async def with_headers(message: Any) -> None:
                if message["type"] == "http.response.start":
                    message["headers"] = [*message.get("headers", []), *more]
                await send(message)

            await self.app(scope, receive, with_headers if scope["type"] == "http" else send)

    return [Middleware(Headers)]


def _free(host: str) -> int:
    import socket

    with socket.socket() as one:
        one.bind((host, 0))
        return int(one.getsockname()[1])
