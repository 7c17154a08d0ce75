"""The page: components and wiring, no logic. What happens is in ``handlers``."""

from __future__ import annotations

import html
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import gradio as gr
from fastapi import FastAPI

from medvl.conversation.planners.small import BundledPlanner
from medvl.model import MedVLSAM2
from medvl.readers.isolated import DECODER

from . import api, theme
from .files import Uploads, files, own_folder
from .gate import Gate, on_spaces
from .handlers import Handlers
from .memory import give_back
from .panels import panel
from .panels.about import about_html, about_value, footer
from .panels.chat import chat_html
from .panels.report import report_html
from .routes import add_alive, add_chat, add_plotly, add_report, add_zip
from .scans import SampleShelf
from .sessions import SessionStore
from .surface import HEIGHT
from .updates import Updates, packed, words
from .viewer import add_routes, viewer_html

TITLE = "MedVL-SAM2"
OWN = "own"  # what the list of samples says of a scan that a visitor opened
FILE_TYPES = None  # DICOM files often have no ending
VISITORS_AT_ONCE = 16  # of each kind of request, running or waiting for a turn (``turns``); the rest queue unseen
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
# What the page kept of its session. A tab that was duplicated has it too: who holds the lock is there already.
RESUME = """async () => {
  const token = sessionStorage.getItem('medvl-session') || '';
  if (!token || !navigator.locks) return token;
  const { held } = await navigator.locks.query();
  return held.some((lock) => lock.name === 'medvl-' + token) ? '' : token;
}"""
LARGE = (Path(__file__).parent / "large.js").read_text(encoding="utf-8").replace("PLAIN", str(HEIGHT))
QUIET = {"show_progress": "hidden", "api_visibility": "private", "trigger_mode": "multiple"}


def build(handlers: Handlers, preset: str, tools: bool = False) -> gr.Blocks:
    """The page.

    Args:
        handlers: what it calls.
        preset: name of the model's preset, for the footer.
        tools: whether typed calls have an endpoint; see ``api``.
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
                            [*handlers.shelf.choices(), ("Own scan", OWN)],
                            value=handlers.shelf.default,
                            label="Sample",
                            elem_id="sample",
                            filterable=False,
                        )
                        upload = files(
                            label="Open a CT (NIfTI, NRRD, MetaImage, DICOM files, a zip) or a saved case",
                            file_types=FILE_TYPES,
                            height=112,
                            elem_id="upload",
                        )
                        folder = gr.UploadButton(
                            "Open a folder of DICOM files\N{HORIZONTAL ELLIPSIS}",
                            file_count="directory",
                            size="sm",
                            elem_id="upload-folder",
                        )
                        with gr.Accordion("Prior\N{HORIZONTAL ELLIPSIS}", open=False, elem_id="prior"):
                            prior = files(
                                label="An earlier scan of the same person, to compare with",
                                file_types=FILE_TYPES,
                                height=112,
                                elem_id="upload-prior",
                            )
                        facts = panel.facts_html()
                        with gr.Accordion("Many scans at once", open=False, elem_id="many-scans"):
                            many_files = files(
                                label="Scans: volumes, zips, or the DICOM files of several series",
                                file_types=FILE_TYPES,
                                height=112,
                                elem_id="upload-many",
                            )
                            many_text = gr.Textbox(
                                label="Structures to segment in each; empty writes a report of each",
                                placeholder="liver and spleen",
                                elem_id="many-text",
                            )
                            with gr.Row():
                                many_run = gr.Button("Run", variant="primary", size="sm", elem_id="many-run")
                                many_stop = gr.Button("Stop", size="sm", elem_id="many-stop")
                            many_table = gr.HTML(elem_id="many-table")
                    with gr.Tab("Chat", id="chat", elem_id="tab-chat"):
                        chat = chat_html()
                    with gr.Tab("Masks", id="masks", elem_id="tab-masks"):
                        masks = panel.masks_html()
                        with gr.Accordion("Masks from a file", open=False, elem_id="own-masks"):
                            own = files(
                                label="Label map, .seg.nrrd, DICOM-SEG or RTSTRUCT",
                                file_types=FILE_TYPES,
                                height=112,
                                elem_id="upload-masks",
                            )
                            resample = gr.Checkbox(label="Resample masks of another grid", elem_id="resample")
                    with gr.Tab("3-D", id="surface", elem_id="tab-surface"):
                        panel.panel_html("mip", {})
                        large = gr.Button("Large", size="sm", elem_id="surface-large")
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
            "folder": folder,
            "own": own,
            "prior": prior,
            "sample": sample,
        }
        outputs = list(parts.values())
        # What an answer or a prompt changes. Gradio builds every output anew with each of their many updates, the boxes
        # for files most slowly, and all visitors' updates go through one thread.
        shown = [parts[name] for name in ("viewer", "masks", "export", "surface", "chat", "report", "tab")]
        kept = gr.Textbox(visible=False)

        def updates(given: Updates) -> dict[Any, Any]:
            given = packed(given)
            if "toast" in given:
                gr.Warning(html.escape(given.pop("toast")), duration=8)
            if "sample" in given:
                given["sample"] = given["sample"] or OWN
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
        viewer.prompt(streamed(handlers.prompt), None, shown, **QUIET, **many)
        # Stop does not queue: it must not wait behind the job that it stops.
        for stopping in (viewer.action, chat.act, report.act):
            stopping(_stopper(handlers), None, None, queue=False, **QUIET)
        viewer.action(once(handlers.action), None, shown, **QUIET, **many)
        viewer.stroke(once(handlers.stroke), None, shown, **QUIET, **many)
        viewer.grow(once(handlers.grow), None, shown, **QUIET, **many)
        chat.ask(streamed(handlers.talk.ask), None, shown, **QUIET, **many)
        chat.act(streamed(handlers.talk.act), None, shown, **QUIET, **many)
        report.act(streamed(handlers.talk.report), None, shown, **QUIET, **many)
        masks.edit(once(handlers.edit), None, shown, **QUIET, **many)
        masks.follow(streamed(handlers.follow), None, shown, **QUIET, **many)
        facts.prior(streamed(handlers.priors.act), None, outputs, **QUIET, **many)
        facts.choose(streamed(handlers.open_series), None, outputs, **QUIET, **many)
        export.export(once(handlers.export), None, shown, **QUIET, **many)

        def on_tab(event: gr.SelectData, request: gr.Request) -> dict:
            name = TABS.get(str(event.value), "")
            return updates(_guarded(lambda: handlers.tab(request.session_hash, name)))

        def on_load(token: str | None, request: gr.Request) -> Iterator[dict]:
            yield from map(updates, _guarded_stream(handlers.open_default(request.session_hash, token)))

        def on_sample(sample_id: str | None, request: gr.Request) -> Iterator[dict]:
            if sample_id in (None, OWN):  # the visitor would rather keep the masks; or nothing else was chosen
                yield updates(handlers.keep_scan(request.session_hash))
                return
            yield from map(updates, _guarded_stream(handlers.open_sample(request.session_hash, sample_id)))

        def on_upload(paths: list[str] | None, request: gr.Request) -> Iterator[dict]:
            taken = {"upload": None, "folder": None}  # the same files can be chosen again
            if paths is None:
                yield updates(handlers.keep_scan(request.session_hash) | taken)
                return
            for given in _guarded_stream(handlers.open_upload(request.session_hash, paths)):
                yield updates(given | taken)

        def on_masks(paths: list[str] | None, again: bool, request: gr.Request) -> Iterator[dict]:
            for given in _guarded_stream(handlers.add_masks(request.session_hash, paths, again)):
                yield updates(given | {"own": None})

        def on_many(paths: list[str] | None, text: str, request: gr.Request) -> Iterator[Any]:
            for given in _guarded_stream({"html": one} for one in handlers.many.run(request.session_hash, paths, text)):
                if "toast" in given:
                    gr.Warning(html.escape(given["toast"]), duration=8)
                yield {many_table: given.get("html", gr.skip()), many_files: None}

        def on_many_stop(request: gr.Request) -> None:
            handlers.many.stop(request.session_hash)

        def on_prior(paths: list[str] | None, request: gr.Request) -> Iterator[dict]:
            for given in _guarded_stream(handlers.priors.open(request.session_hash, paths)):
                yield updates(given | {"prior": None})

        def on_leave(request: gr.Request) -> None:
            handlers.store.leave(request.session_hash)

        def on_look(request: gr.Request) -> dict:
            return about_value(handlers.model, preset, handlers.store, request.session_hash)

        demo.load(lambda: footer(handlers.model, preset), None, foot, queue=False, **QUIET)  # the memory of now
        about.look(on_look, None, about, queue=False, **QUIET)
        large.click(None, js=LARGE, show_progress="hidden", api_visibility="private")
        tabs.select(on_tab, None, shown, **QUIET, **many)
        # What the visitor does not want to lose is asked in the browser, which knows what is in no export.
        sample.input(on_sample, sample, outputs, js=KEPT_IF_REFUSED, **QUIET, **many)
        for chosen in (upload, folder):
            chosen.upload(on_upload, chosen, outputs, js=KEPT_IF_REFUSED, **QUIET, **many)
        prior.upload(on_prior, prior, outputs, **QUIET, **many)
        own.upload(on_masks, [own, resample], outputs, **QUIET, **many)
        many_run.click(on_many, [many_files, many_text], [many_table, many_files], **QUIET, **many)
        many_stop.click(on_many_stop, None, None, queue=False, **QUIET)
        demo.load(on_load, kept, outputs, js=RESUME, show_progress="hidden", api_visibility="private", **many)
        demo.unload(on_leave)
        api.add_endpoints(handlers.model, handlers.store, tools)
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
    allowed_hosts: Sequence[str] = (),
    mcp: bool = False,
) -> tuple[FastAPI, str, Handlers, gr.Blocks]:
    """Start the server and return; the caller waits with ``demo.block_thread()``.

    Args:
        model: the loaded model.
        preset: its name, for the footer.
        host: to listen on.
        port: None takes a free one.
        root_path: prefix, or whole address, that a reverse proxy shows it under.
        max_upload_mb: largest file of an upload.
        store: the visitors' sessions.
        shelf: the bundled samples.
        allowed_hosts: names that visitors may reach it by, besides ``host`` and this machine's own.
        mcp: whether its endpoints are tools of the Model Context Protocol too; needs the package ``mcp``.

    Returns:
        The FastAPI app, the local address, the handlers and the page.
    """
    store = SessionStore() if store is None else store  # an empty one is false
    handlers = Handlers(model, store, shelf or SampleShelf())
    uploads = Uploads(own_folder(), max_upload_mb * 1_000_000)
    demo = build(handlers, preset, tools=mcp)
    handlers.store.chores += [uploads.sweep, give_back]
    handlers.store.start_reaper()
    DECODER.start()  # so that the first upload does not wait for it
    BundledPlanner().start()

    @asynccontextmanager
    async def guarded(app: FastAPI) -> AsyncIterator[None]:
        # Before the first request, and round Gradio's own middleware, which lets other sites read.
        app.middleware_stack = Gate(app.middleware_stack, host, root_path, allowed_hosts, on_spaces())
        uploads.add_to(app)
        add_routes(app, handlers.store.find_board)
        add_zip(app, "export", handlers.download, "There is no such export. Export again.")
        add_zip(app, "case", handlers.saved_case, "There is no saved case. Save it again.")
        add_zip(app, "many", handlers.many.file, "There are no such results.")
        add_report(app, handlers.talk.report_file)
        add_chat(app, handlers.talk.chat_file)
        add_alive(app, handlers.store.alive)
        add_plotly(app)
        yield

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
        mcp_server=mcp,
        theme=theme.theme(),
        css=theme.page_css(),
        head=theme.HEAD,
        app_kwargs={"lifespan": guarded},
    )
    return app, url, handlers, demo


def _guarded(work: Callable[[], Updates]) -> Updates:
    """Errors become words on the page; nothing that was there is lost."""
    try:
        return work()
    except Exception as error:
        return {"toast": words(error)}


def _guarded_stream(stream: Iterator[Updates]) -> Iterator[Updates]:
    try:
        yield from stream
    except Exception as error:
        yield {"toast": words(error)}


def _stopper(handlers: Handlers) -> Callable:
    def stop(event: gr.EventData, request: gr.Request) -> None:
        if isinstance(event._data, dict) and event._data.get("name") == "stop":
            handlers.stop(request.session_hash)

    return stop
