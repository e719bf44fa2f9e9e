"""The demo in a real browser: each tab is used as a visitor would, on a phone and on a laptop; nothing is asked of another machine."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import gradio_leaves
import pytest

pytest.importorskip("gradio", reason="the demo needs gradio")
pytest.importorskip("playwright.sync_api", reason="the browser tests need playwright")

from playwright import sync_api

from cogviz.demo import serve, texts
from cogviz.demo.engine import Engine

pytestmark = [
    pytest.mark.browser,
    pytest.mark.usefixtures("collected"),
    *gradio_leaves.WARNINGS,
]

SAD = "It's hopeless, said the doctor, and my husband wept."
PATIENCE = 90_000
"""Milliseconds; a machine that runs the other tests beside this one is slow."""

SIZES = {"phone": (390, 844), "laptop": (1280, 900)}


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRADIO_TEMP_DIR", str(tmp_path_factory.mktemp("served")))
        page = serve.start(Engine(seconds=120), port=0, wait=False, quiet=True)
        yield page.local_url.rstrip("/")
        page.close()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    flags = ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream", "--autoplay-policy=no-user-gesture-required"]
    with sync_api.sync_playwright() as tools:
        opened = tools.chromium.launch(executable_path=chromium, args=["--no-sandbox", *flags])
        yield opened
        opened.close()


@pytest.fixture
def screenshots(tmp_path: Path) -> Path:
    """Where pictures for the eye go: $COGVIZ_SCREENSHOTS, or a temporary folder."""
    folder = Path(os.environ.get("COGVIZ_SCREENSHOTS", tmp_path))
    folder.mkdir(parents=True, exist_ok=True)
    return folder


class Visit:
    """A page that remembers what went wrong on it."""

    def __init__(self, browser: Any, url: str, *, size: str = "laptop", look: str = "light", query: str = "") -> None:
        self.url = url
        width, height = SIZES[size]
        self.context = browser.new_context(
            viewport={"width": width, "height": height}, color_scheme=look, accept_downloads=True, permissions=["microphone"]
        )
        self.page = self.context.new_page()
        self.page.set_default_timeout(PATIENCE)
        self.problems: list[str] = []
        self.page.on("console", lambda m: self.problems.append(f"{m.text} {m.location['url']}") if m.type == "error" else None)
        self.page.on("pageerror", lambda e: self.problems.append(str(e)))
        self.page.on("request", lambda r: None if r.url.startswith((url, "data:", "blob:")) else self.problems.append(f"asked {r.url}"))
        self.page.on("response", lambda r: self.problems.append(f"{r.status} {r.url}") if r.status >= 400 else None)
        self.page.goto(f"{url}/{query}", wait_until="domcontentloaded")
        self.page.get_by_role("tab").first.wait_for()

    def tab(self, name: str) -> Any:
        self.page.get_by_role("tab", name=texts.TABS[name]).click()
        return self.page

    def close(self) -> None:
        wider = self.page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
        self.context.close()
        root = urlsplit(self.url)
        icon = f"{root.scheme}://{root.netloc}/favicon.ico" if root.path else None  # behind a prefix browsers ask the host for it
        assert [p for p in self.problems if icon is None or not p.endswith(icon)] == []
        assert wider <= 0, f"the page is {wider} pixels wider than the screen"


@pytest.mark.parametrize(("size", "look"), [("phone", "dark"), ("laptop", "light")])
def test_the_answers_of_both_models_appear(browser: Any, url: str, screenshots: Path, size: str, look: str) -> None:
    visit = Visit(browser, url, size=size, look=look)
    page = visit.page
    page.locator("#hear").click()
    page.locator("#answers dt").first.wait_for()
    page.locator("#needles .needle").first.wait_for()
    assert page.locator("#answers .verdict.words").count() == 1
    assert page.locator("#answers .verdict.voice").count() == 1
    page.locator("#seven").click()
    page.locator("#table .head", has_text="nano-aligned").wait_for()
    page.screenshot(path=screenshots / f"listen-{size}-{look}.png", full_page=True)
    visit.close()


def test_a_file_is_uploaded_and_moved(browser: Any, url: str, tmp_path: Path) -> None:
    engine_sound = next(Path("data_samples").glob("audio/*/*.flac"))
    visit = Visit(browser, url)
    page = visit.page
    page.get_by_role("button", name=texts.OWN).first.click()
    page.locator("input[type=file]").first.set_input_files(engine_sound)
    page.get_by_role("button", name="Play").first.wait_for()
    page.locator("#hear").click()
    page.locator("#told").get_by_text(texts.RECORDING).wait_for()
    page.locator("#answers .verdict").first.wait_for()
    assert texts.RECORDING in page.locator("#told").inner_text()
    visit.close()


def test_a_broken_file_gets_a_sentence(browser: Any, url: str, tmp_path: Path) -> None:
    broken = tmp_path / "broken.wav"
    broken.write_bytes(b"RIFF" + bytes(40))
    visit = Visit(browser, url)
    page = visit.page
    page.get_by_role("button", name=texts.OWN).first.click()
    page.locator("input[type=file]").first.set_input_files(broken)
    page.wait_for_timeout(1500)
    page.locator("#hear").click()
    said = page.get_by_text("Your own recording cannot be read as audio").first
    said.wait_for()
    assert str(tmp_path) not in said.inner_text()
    visit.problems = [p for p in visit.problems if "MediaError" not in p]  # the browser's own player cannot read it either
    visit.close()


def test_the_microphone_records(browser: Any, url: str) -> None:
    visit = Visit(browser, url)
    page = visit.page
    page.get_by_role("button", name=texts.OWN).first.click()
    page.get_by_role("button", name="Record audio").first.click()
    page.get_by_role("button", name="Record", exact=True).first.click()
    page.wait_for_timeout(2500)
    page.get_by_role("button", name="Stop", exact=True).first.click()
    page.get_by_role("button", name="Play").first.wait_for()
    page.get_by_text("as recorded").first.click()
    page.locator("#hear").click()
    answer = page.locator("#answers blockquote, #answers .told b").first
    answer.wait_for()
    assert answer.inner_text().strip()
    visit.close()


@pytest.mark.parametrize(("size", "look"), [("phone", "light"), ("laptop", "dark")])
def test_the_slider_moves_the_voice(browser: Any, url: str, screenshots: Path, size: str, look: str) -> None:
    visit = Visit(browser, url, size=size, look=look)
    page = visit.tab("conflict")
    page.locator("#ask-conflict").click()
    page.locator("#dial svg").first.wait_for()
    before = page.locator("#dial").inner_html()
    slider = page.locator("input[type=range]").first
    slider.focus()
    for _ in range(3):
        page.keyboard.press("ArrowLeft")
    page.locator("#ask-conflict").click()
    page.wait_for_function("before => document.querySelector('#dial').innerHTML !== before", arg=before)
    assert page.locator("#dial svg").first.is_visible()
    page.screenshot(path=screenshots / f"conflict-{size}-{look}.png", full_page=True)
    visit.close()


@pytest.mark.parametrize(("size", "look"), [("phone", "dark"), ("laptop", "light")])
def test_why_draws_in_the_page_s_look(browser: Any, url: str, screenshots: Path, size: str, look: str) -> None:
    visit = Visit(browser, url, size=size, look=look)
    page = visit.tab("why")
    page.locator("#ask-why").click()
    page.locator("#why-map .part").wait_for()
    for part in ("sound", "map"):
        assert page.locator(f"#why-{part} img.on-{look}").is_visible()
        assert page.locator(f"#why-{part} img:visible").count() == 1
    assert page.locator("#why-layers table").is_visible()
    page.screenshot(path=screenshots / f"why-{size}-{look}.png", full_page=True)
    visit.close()


@pytest.mark.parametrize(("size", "look"), [("phone", "light"), ("laptop", "dark")])
def test_two_recordings_are_compared(browser: Any, url: str, screenshots: Path, size: str, look: str) -> None:
    visit = Visit(browser, url, size=size, look=look)
    page = visit.tab("compare")
    page.locator("#ask-compare").click()
    page.locator("#compare-sound svg").wait_for()
    assert page.locator("#compare-answers .answer").count() == 2
    page.screenshot(path=screenshots / f"compare-{size}-{look}.png", full_page=True)
    visit.close()


@pytest.mark.parametrize(("size", "look"), [("phone", "dark"), ("laptop", "light")])
def test_about_is_there(browser: Any, url: str, screenshots: Path, size: str, look: str) -> None:
    visit = Visit(browser, url, size=size, look=look)
    page = visit.tab("about")
    page.get_by_role("heading", name="Limits").wait_for()
    assert page.get_by_role("heading", name="Limits").is_visible()
    page.screenshot(path=screenshots / f"about-{size}-{look}.png", full_page=True)
    visit.close()


def test_results_are_downloaded(browser: Any, url: str) -> None:
    visit = Visit(browser, url)
    page = visit.page
    page.locator("#save").click()
    page.locator("#files").get_by_text(".json").first.wait_for()
    with page.expect_download() as download:
        page.locator("#files a[download]").nth(1).click()
    assert json.loads(Path(download.value.path()).read_text(encoding="utf-8"))[0]["text"] == SAD
    visit.close()


def test_the_example_in_javascript_runs_on_the_page(browser: Any, url: str) -> None:
    visit = Visit(browser, url)
    visit.tab("about")
    shown = visit.page.locator(".about pre code").nth(1).inner_text()
    assert shown.strip() == texts.API.split("```javascript\n")[1].split("```")[0].strip()
    code = shown.replace("http://127.0.0.1:7860", url).replace("console.log(", "return (")
    answers = visit.page.evaluate(f"async () => {{ {code} }}")
    assert {a["model"]: a["followed"] for a in answers} == {"nano-baseline": "words", "nano-aligned": "voice"}
    visit.close()


def test_before_anything_is_asked_the_page_says_what_to_do(browser: Any, url: str) -> None:
    visit = Visit(browser, url, size="phone")
    steps = visit.page.locator("#answers li").all_inner_texts()
    assert texts.HEAR in steps[0]
    assert "followed" in steps[-1]
    visit.page.locator("#hear").click()
    visit.page.wait_for_function("document.querySelector('#told').getBoundingClientRect().top < innerHeight")  # brought into sight
    visit.page.locator("#answers .verdict").first.wait_for()
    visit.close()


def test_a_link_holds_the_state(browser: Any, url: str) -> None:
    visit = Visit(browser, url, query="?tab=conflict&voice=fear&k=0.5&sentence=nonsense")
    page = visit.page
    page.locator("#ask-conflict").wait_for()
    page.wait_for_function("document.querySelector('input[type=range]').value === '0.5'")
    assert page.get_by_role("radio", name="fear", checked=True).first.is_visible()
    page.get_by_role("button", name=texts.LINK).locator("visible=true").click()
    page.wait_for_function("location.search.includes('tab=conflict') && location.search.includes('k=0.5')")
    visit.close()


def test_the_keyboard_is_enough(browser: Any, url: str) -> None:
    visit = Visit(browser, url)
    page = visit.page
    page.locator("#hear").focus()
    page.keyboard.press("Enter")
    page.locator("#needles .needle").first.wait_for()
    unnamed = page.evaluate(
        "[...document.querySelectorAll('button, input, select')].filter(e => e.offsetParent && !(e.innerText || e.ariaLabel || e.title"
        " || e.labels?.length || e.getAttribute('aria-labelledby'))).map(e => e.outerHTML.slice(0, 120))"
    )
    assert unnamed == []
    visit.close()


@pytest.fixture
def proxied(url: str) -> Iterator[str]:
    """A page behind a proxy that shows it under /demo and passes on what is asked without the prefix."""
    import threading

    import httpx
    import uvicorn
    from starlette.applications import Starlette
    from starlette.responses import StreamingResponse
    from starlette.routing import Mount, Route

    page = serve.start(Engine(seconds=120), port=0, root_path="/demo", wait=False, quiet=True)
    behind = f"http://127.0.0.1:{page.server_port}"
    client = httpx.AsyncClient(timeout=120)

    async def passed_on(request: Any) -> Any:
        asked = client.build_request(
            request.method,
            behind + request.url.path.removeprefix("/demo"),
            params=request.query_params,
            headers=[(k, v) for k, v in request.headers.raw if k != b"accept-encoding"],
            content=await request.body(),
        )
        reply = await client.send(asked, stream=True)
        return StreamingResponse(reply.aiter_raw(), reply.status_code, headers=dict(reply.headers))

    app = Starlette(routes=[Mount("/demo", routes=[Route("/{path:path}", passed_on, methods=["GET", "POST", "HEAD"])])])
    server = uvicorn.Server(uvicorn.Config(app, port=(port := serve._free("127.0.0.1")), log_level="error"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        threading.Event().wait(0.05)
    yield f"http://127.0.0.1:{port}/demo"
    server.should_exit = True
    thread.join(10)
    page.close()


def test_it_works_behind_a_path_prefix(browser: Any, proxied: str) -> None:
    visit = Visit(browser, proxied)
    page = visit.page
    page.locator("#hear").click()
    page.locator("#answers .verdict.voice").wait_for()
    assert page.locator("#answers .verdict.voice").count() == 1
    visit.close()
