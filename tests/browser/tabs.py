"""Tabs that one test after the other uses, each time with a page loaded anew.

A new tab is a new process, in which Chromium compiles Gradio's scripts again: more than half of what a visit costs.
A page that was left keeps nothing but ``sessionStorage``, which is emptied.
"""

from __future__ import annotations

import contextlib

from playwright.sync_api import BrowserContext, Error, Page

EMPTY = "robots.txt"  # of the same origin as the page, so that it stays in its process and its storage can be emptied


class Tabs:
    """Tabs of one window.

    Args:
        window: where they are opened.
    """

    def __init__(self, window: BrowserContext) -> None:
        self.window = window
        self._free: list[Page] = []
        self._heard: dict[Page, list[tuple]] = {}

    def take(self, width: int = 1280, height: int = 800) -> Page:
        """A tab of this size that shows nothing, nobody listens to, and no script is added to."""
        page = self._free.pop() if self._free else self._new()
        page.set_viewport_size({"width": width, "height": height})
        return page

    def give_back(self, page: Page) -> None:
        """Leave what it shows. One that cannot be left is closed."""
        if page.is_closed():
            return
        for event, listener in self._heard[page]:
            with contextlib.suppress(KeyError):  # the test took it off
                page.remove_listener(event, listener)
        self._heard[page].clear()
        try:
            if page.url.startswith("http"):
                page.goto(page.evaluate("location.origin") + f"/{EMPTY}", timeout=10_000)
                page.evaluate("sessionStorage.clear()")
            else:
                page.goto("about:blank")
            page.mouse.move(0, 0)
            self._free.append(page)
        except Error:
            page.close()

    def _new(self) -> Page:
        page = self.window.new_page()
        heard = self._heard[page] = []
        listen = page.on

        def listen_until_given_back(event, listener):
            heard.append((event, listener))
            listen(event, listener)

        page.on = listen_until_given_back
        return page
