"""``--mcp``: what a client of the Model Context Protocol is offered, over the protocol itself."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor

import pytest

from app.scans import SampleShelf
from app.sessions import SessionStore
from app.ui import launch

from .talking import TalkingModel

mcp = pytest.importorskip("mcp", reason="the Model Context Protocol's package is optional: pip install 'gradio[mcp]'")


@pytest.fixture(scope="module")
def tools(shelf_folder):
    from mcp.client.streamable_http import streamablehttp_client

    store = SessionStore(budget_bytes=10**9)
    _, url, _, demo = launch(TalkingModel({}), port=None, store=store, shelf=SampleShelf(shelf_folder), mcp=True)

    async def listed():
        async with (
            streamablehttp_client(f"{url}gradio_api/mcp/") as (read, write, *_),
            mcp.ClientSession(read, write) as session,
        ):
            await session.initialize()
            return (await session.list_tools()).tools

    with ThreadPoolExecutor() as other:  # in this thread Playwright keeps a loop of its own while a browser is open
        yield {tool.name: tool for tool in other.submit(asyncio.run, listed()).result()}
    demo.close()
    store.shutdown()


def test_the_jobs_and_the_typed_tools_are_offered_and_nothing_of_the_page(tools):
    assert set(tools) == {"info", "segment", "ask", "report", "tool"}


def test_each_says_what_it_does_and_what_it_takes(tools):
    for tool in tools.values():
        assert len(tool.description) > 40
        assert "ct" in tool.inputSchema["properties"]
    call = str(tools["tool"].inputSchema["properties"]["call"])
    assert "probe" in call
    assert "remove" not in call  # what changes masks is not offered
