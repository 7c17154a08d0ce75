"""The page: components and wiring, no logic. What happens is in ``handlers``."""

from __future__ import annotations

import html
import logging
import os
from collections.abc import Callable, Iterator
from typing import Any

import gradio as gr
from fastapi import FastAPI

from medvl.errors import MedVLError
from medvl.model import MedVLSAM2

from . import api, panel, theme
from .about import about_html, about_value, footer
from .chat_panel import chat_html
from .files import files, own_folder, sweep
from .handlers import Handlers
from .report_panel import report_html
from .routes import add_download, add_report
from .scans import SampleShelf
from .sessions import SessionStore
from .updates import UNEXPECTED, Updates, packed
from .viewer import add_routes, viewer_html

log = logging.getLogger(__name__)

TITLE = "MedVL-SAM2"
FILE_TYPES = None  # DICOM files often have no ending
VISITORS_AT_ONCE = 8  # segmentations that run or wait for the model; the rest queue
QUEUE = 64
TABS = {  # in the order of work
    "Scan": "scan",
    "Chat": "chat",
    "Masks": "masks",
    "3-D": "surface",
    "Report": "report",
    "Export": "export",
}
# A list as the only input has to be in a list of its own, or Gradio takes it for the inputs.
KEPT_IF_REFUSED = "(chosen) => [(window.medvlViewer?.mayGo(chosen) ?? true) ? chosen : null]"
QUIET = {"show_progress": "hidden", "api_visibility": "private", "trigger_mode": "multiple"}


def build(handlers: Handlers, preset: str) -> gr.Blocks:
    """The page.

    Args:
        handlers: what it calls.
        preset: name of the model's preset, for the footer.
    """
    # Gradio's copies of uploads are deleted as they are read; this is for those that were never read.
    with gr.Blocks(title=TITLE, fill_width=True, fill_height=True, delete_cache=(600, 1800)) as demo:
        with gr.Row(elem_id="page", equal_height=True):
            with gr.Column(elem_id="stage", scale=2, min_width=320):
                viewer = viewer_html()
            with gr.Column(elem_id="side", scale=1, min_width=320):
                gr.HTML(
                    f"<h1>{TITLE}</h1><p>Ask, click or box in a CT: 3-D masks, measured answers, report.</p>",
                    elem_id="brand",
                )
                with gr.Tabs(elem_id="tabs", selected="chat") as tabs:
                    with gr.Tab("Scan", id="scan", elem_id="tab-scan"):
                        sample = gr.Dropdown(
                            handlers.shelf.choices(),
                            value=handlers.shelf.default,
                            label="Sample",
                            elem_id="sample",
                            filterable=False,
                        )
                        upload = files(
                            label="Open a CT: NIfTI, NRRD, MetaImage, DICOM files or a zip",
                            file_types=FILE_TYPES,
                            height=112,
                            elem_id="upload",
                        )
                        facts = panel.facts_html()
                    with gr.Tab("Chat", id="chat", elem_id="tab-chat"):
                        chat = chat_html()
                    with gr.Tab("Masks", id="masks", elem_id="tab-masks"):
                        masks = panel.masks_html()
                    with gr.Tab("3-D", id="surface", elem_id="tab-surface"):
                        surface = gr.Plot(show_label=False, container=False, elem_id="surface")
                    with gr.Tab("Report", id="report", elem_id="tab-report"):
                        report = report_html()
                    with gr.Tab("Export", id="export", elem_id="tab-export"):
                        export = panel.export_html()
        foot = gr.HTML(footer(handlers.model, preset), elem_id="foot")
        about = about_html(about_value(handlers.model, preset))

        parts = {
            "viewer": viewer,
            "facts": facts,
            "masks": masks,
            "export": export,
            "surface": surface,
            "chat": chat,
            "report": report,
            "tab": tabs,
            "upload": upload,
            "sample": sample,
        }
        outputs = list(parts.values())

        def updates(given: Updates) -> dict[Any, Any]:
            given = packed(given)
            if "toast" in given:
                gr.Warning(html.escape(given.pop("toast")), duration=8)
            if "tab" in given:
                given["tab"] = gr.Tabs(selected=given["tab"])
            # A dict with no component in it would be taken for a value.
            return {parts[name]: value for name, value in given.items()} or {viewer: gr.skip()}

        def once(work: Callable[[str, Any], Updates]) -> Callable:
            def handler(event: gr.EventData, request: gr.Request) -> dict:
                return updates(_guarded(lambda: work(request.session_hash, event._data)))

            return handler

        def streamed(work: Callable[[str, Any], Iterator[Updates]]) -> Callable:
            def handler(event: gr.EventData, request: gr.Request) -> Iterator[dict]:
                yield from map(updates, _guarded_stream(work(request.session_hash, event._data)))

            return handler

        many = {"concurrency_limit": VISITORS_AT_ONCE}
        viewer.prompt(streamed(handlers.prompt), None, outputs, **QUIET, **many)
        # Stop does not queue: it must not wait behind the job that it stops.
        for stopping in (viewer.action, chat.act, report.act):
            stopping(_stopper(handlers), None, None, queue=False, **QUIET)
        viewer.action(once(handlers.action), None, outputs, **QUIET, **many)
        chat.ask(streamed(handlers.talk.ask), None, outputs, **QUIET, **many)
        chat.act(streamed(handlers.talk.act), None, outputs, **QUIET, **many)
        report.act(streamed(handlers.talk.report), None, outputs, **QUIET, **many)
        masks.edit(once(handlers.edit), None, outputs, **QUIET, **many)
        export.export(once(handlers.export), None, outputs, **QUIET, **many)

        def on_tab(event: gr.SelectData, request: gr.Request) -> dict:
            name = TABS.get(event.value, "")
            return updates(_guarded(lambda: handlers.tab(request.session_hash, name)))

        def on_load(request: gr.Request) -> Iterator[dict]:
            yield from map(updates, _guarded_stream(handlers.open_default(request.session_hash)))

        def on_sample(sample_id: str | None, request: gr.Request) -> Iterator[dict]:
            if sample_id is None:  # the visitor would rather keep the masks
                yield updates(handlers.keep_scan(request.session_hash))
                return
            yield from map(updates, _guarded_stream(handlers.open_sample(request.session_hash, sample_id)))

        def on_upload(paths: list[str] | None, request: gr.Request) -> Iterator[dict]:
            if paths is None:
                yield updates(handlers.keep_scan(request.session_hash) | {"upload": None})
                return
            for given in _guarded_stream(handlers.open_upload(request.session_hash, paths)):
                opened = {"sample": None} if "facts" in given else {}
                yield updates(given | {"upload": None} | opened)

        def on_leave(request: gr.Request) -> None:
            handlers.store.leave(request.session_hash)

        def on_look(request: gr.Request) -> dict:
            return about_value(handlers.model, preset, handlers.store, request.session_hash)

        demo.load(lambda: footer(handlers.model, preset), None, foot, queue=False, **QUIET)  # the memory of now
        about.look(on_look, None, about, queue=False, **QUIET)
        tabs.select(on_tab, None, outputs, **QUIET, **many)
        # What the visitor does not want to lose is asked in the browser, which knows what is in no export.
        sample.input(on_sample, sample, outputs, js=KEPT_IF_REFUSED, **QUIET, **many)
        upload.upload(on_upload, upload, outputs, js=KEPT_IF_REFUSED, **QUIET, **many)
        demo.load(on_load, None, outputs, show_progress="hidden", api_visibility="private", **many)
        demo.unload(on_leave)
        api.add_endpoints(handlers.model, handlers.store)
    demo.queue(max_size=QUEUE, default_concurrency_limit=VISITORS_AT_ONCE)
    return demo


def launch(
    model: MedVLSAM2,
    preset: str = "nano",
    host: str = "127.0.0.1",
    port: int | None = 7860,
    root_path: str = "",
    max_upload_mb: int = 2048,
    store: SessionStore | None = None,
    shelf: SampleShelf | None = None,
) -> tuple[FastAPI, str, Handlers, gr.Blocks]:
    """Start the server and return; the caller waits with ``demo.block_thread()``.

    Returns:
        The FastAPI app, the local address, the handlers and the page.
    """
    store = SessionStore() if store is None else store  # an empty one is false
    handlers = Handlers(model, store, shelf or SampleShelf())
    uploads = own_folder()
    demo = build(handlers, preset)
    handlers.store.chores.append(lambda: sweep(uploads))
    handlers.store.start_reaper()
    app, url, _ = demo.launch(
        server_name=host,
        server_port=port,
        root_path=root_path or None,
        max_file_size=f"{max_upload_mb}mb",
        prevent_thread_lock=True,
        quiet=True,
        share=False,
        ssr_mode=False,
        run_history=False,
        enable_monitoring=False,
        state_session_capacity=64,
        footer_links=[],
        theme=theme.theme(),
        css=theme.page_css(),
    )
    add_routes(app, handlers.store.find_board)
    add_download(app, handlers.download)
    add_report(app, handlers.talk.report_file)
    return app, url, handlers, demo


def on_spaces() -> bool:
    """True inside a Hugging Face Space."""
    return bool(os.environ.get("SPACE_ID"))


def _guarded(work: Callable[[], Updates]) -> Updates:
    """Errors become words on the page; nothing that was there is lost."""
    try:
        return work()
    except MedVLError as error:
        return {"toast": str(error)}
    except Exception as error:
        log.error("A handler failed: %s", type(error).__name__)
        return {"toast": UNEXPECTED}


def _guarded_stream(stream: Iterator[Updates]) -> Iterator[Updates]:
    try:
        yield from stream
    except MedVLError as error:
        yield {"toast": str(error)}
    except Exception as error:
        log.error("A handler failed: %s", type(error).__name__)
        yield {"toast": UNEXPECTED}


def _stopper(handlers: Handlers) -> Callable:
    def stop(event: gr.EventData, request: gr.Request) -> None:
        if isinstance(event._data, dict) and event._data.get("name") == "stop":
            handlers.stop(request.session_hash)

    return stop
