"""Starts the app: ``python app.py``. Parse options, load the model, launch the page."""

from __future__ import annotations

import argparse
import atexit
import logging
import os
import signal
import sys

# Before any import that reads them: nothing here reports to anybody.
os.environ |= {"GRADIO_ANALYTICS_ENABLED": "False", "HF_HUB_DISABLE_TELEMETRY": "1", "DO_NOT_TRACK": "1"}
os.environ["GRADIO_RUN_HISTORY"] = os.environ["GRADIO_SSR_MODE"] = "False"


def parse(argv: list[str] | None = None) -> argparse.Namespace:
    """Command-line options; on Hugging Face Spaces the page listens on all interfaces."""
    from medvl.model_options import add_model_options

    parser = argparse.ArgumentParser(description="MedVL-SAM2: talk to a CT, click or box a structure, get 3-D masks.")
    add_model_options(parser)
    parser.add_argument("--host", default="0.0.0.0" if os.environ.get("SPACE_ID") else "127.0.0.1")
    parser.add_argument("--port", type=int, default=7860)
    parser.add_argument("--root-path", default="", help="path prefix behind a reverse proxy, for instance /ct")
    parser.add_argument("--max-upload-mb", type=int, default=2048, help="largest file that may be uploaded")
    options = parser.parse_args(argv)
    if options.max_upload_mb < 1:
        parser.error("--max-upload-mb must be at least 1")
    return options


def main(argv: list[str] | None = None) -> None:
    """Load the model and serve the page until interrupted."""
    options = parse(argv)
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)  # it logs addresses with session hashes

    import medvl
    from app.ui import launch
    from medvl.model_options import load_options

    try:
        model = medvl.load(**load_options(options))
    except medvl.MedVLError as error:
        raise SystemExit(str(error)) from None
    where = (options.host, options.port, options.root_path, options.max_upload_mb)
    _, url, handlers, demo = launch(model, options.preset, *where)
    ready = f"MedVL-SAM2 is at {url} (research use only, not for diagnosis). Ctrl+C ends it."
    print(*model.notices(), ready, sep="\n", flush=True)
    atexit.register(handlers.store.shutdown)  # temporary files go, however it ends
    atexit.register(demo.close, verbose=False)  # and so do Gradio's copies of uploads and answers
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    demo.block_thread()


if __name__ == "__main__":
    main()
