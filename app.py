"""Starts the app: ``python app.py``. Parse options, load the model, launch the page."""

from __future__ import annotations

import argparse
import atexit
import logging
import os
import signal
import sys
import tempfile
import threading
from importlib.util import find_spec
from pathlib import Path

# Before any import that reads them: nothing here reports to anybody.
os.environ |= {"GRADIO_ANALYTICS_ENABLED": "False", "HF_HUB_DISABLE_TELEMETRY": "1", "DO_NOT_TRACK": "1"}
os.environ["GRADIO_RUN_HISTORY"] = os.environ["GRADIO_SSR_MODE"] = "False"
if os.environ.get("SPACES_ZERO_GPU"):
    os.environ["HF_DEACTIVATE_ASYNC_LOAD"] = "1"  # threads that read weights do not see its stand-in for a GPU
    import spaces  # noqa: F401 - before torch, which it changes


def parse(argv: list[str] | None = None) -> argparse.Namespace:
    """Command-line options; on Hugging Face Spaces the page listens on all interfaces."""
    from medvl.jobs.model_options import add_model_options

    parser = argparse.ArgumentParser(description="MedVL-SAM2: talk to a CT, click or box a structure, get 3-D masks.")
    add_model_options(parser)
    parser.add_argument("--host", default="0.0.0.0" if os.environ.get("SPACE_ID") else "127.0.0.1")
    parser.add_argument("--port", type=int, default=7860)
    parser.add_argument("--root-path", default="", help="path prefix behind a reverse proxy, for instance /ct")
    parser.add_argument("--max-upload-mb", type=int, default=2048, help="largest file that may be uploaded")
    parser.add_argument(
        "--mcp",
        action="store_true",
        default=os.environ.get("MEDVL_MCP", "").lower() in ("1", "true", "yes"),
        help="offer the tools to language-model clients too (Model Context Protocol); needs: pip install 'gradio[mcp]'",
    )
    parser.add_argument(
        "--allow-host",
        nargs="+",
        default=[],
        metavar="NAME",
        help="names by which visitors reach it, besides --host and this machine's own, for instance behind a proxy",
    )
    for action in parser._actions:
        given = os.environ.get(f"MEDVL_{action.dest.upper()}")
        if given is not None and action.option_strings and action.nargs != 0:
            parser.set_defaults(**{action.dest: given.split() if action.nargs == "+" else given})
    options = parser.parse_args(argv)
    if options.max_upload_mb < 1:
        parser.error("--max-upload-mb must be at least 1")
    return options


def main(argv: list[str] | None = None) -> None:
    """Load the model and serve the page until interrupted."""
    options = parse(argv)
    if options.mcp and find_spec("mcp") is None:
        raise SystemExit("--mcp needs the package of the Model Context Protocol: pip install 'gradio[mcp]'.")
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)  # it logs addresses with session hashes

    import medvl
    from app.memory import few_arenas
    from app.run_folder import RunFolder
    from medvl.jobs.model_options import load_options
    from medvl.readers.isolated import DECODER

    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    few_arenas()
    try:
        folders = [RunFolder()]
        atexit.register(folders[0].close)
        uploads = Path(os.environ.get("GRADIO_TEMP_DIR") or folders[0].path)
        if uploads != folders[0].path:
            folders.append(RunFolder(uploads))
            atexit.register(folders[1].close)
        # Everything temporary, of libraries too, lies there: it goes with this run, or with the next start.
        tempfile.tempdir = str(folders[0].path)
        os.environ["GRADIO_TEMP_DIR"] = str(folders[-1].path / "uploads")
        from app.ui import launch  # not before: Gradio makes its folder as it is imported

        model = medvl.load(**load_options(options))
    except medvl.MedVLError as error:
        raise SystemExit(str(error)) from None
    where = (options.host, options.port, options.root_path, options.max_upload_mb)
    _, url, handlers, _ = launch(model, options.preset, *where, allowed_hosts=options.allow_host, mcp=options.mcp)
    tools = [f"Its tools for language models (MCP) are at {url}gradio_api/mcp/"] if options.mcp else []
    ready = f"MedVL-SAM2 is at {url} (research use only, not for diagnosis). Ctrl+C ends it."
    print(*model.notices(), *tools, ready, sep="\n", flush=True)
    try:
        threading.Event().wait()
    except KeyboardInterrupt:
        pass
    finally:
        # A job in the middle of a slice, or a visitor who downloads, does not hold the end up.
        handlers.store.shutdown()
        DECODER.stop()
        for folder in folders:
            folder.close()
        logging.shutdown()
        os._exit(0)


if __name__ == "__main__":
    main()
