"""A server in this process, on a free port of 127.0.0.1, and a client for it."""

import asyncio
import inspect

import pytest
from aiohttp.test_utils import TestClient, TestServer

from llamacy.cli.load import load_model
from llamacy.cli.server_params import parse
from llamacy.server.app import create_app
from llamacy.server.log import ServerLog
from llamacy.server.state import LIVE


class NoLog:
    """The loader's messages are not what is tested."""

    @staticmethod
    def tee(text):
        pass


class Api(TestClient):
    """A client with the answers' JSON at hand; `app` is the application, `lines` its log."""

    async def ask(self, path, body=None, **kwargs):
        """(status, JSON) of a POST."""
        async with self.post(path, json=body, **kwargs) as response:
            return response.status, await response.json(content_type=None)

    async def told(self, path, **kwargs):
        """(status, JSON) of a GET."""
        async with self.get(path, **kwargs) as response:
            return response.status, await response.json(content_type=None)

    async def events(self, path, body, **kwargs):
        """The raw bytes of a stream."""
        async with self.post(path, json={**body, "stream": True}, **kwargs) as response:
            assert response.status == 200, await response.text()
            assert response.headers["Content-Type"] == "text/event-stream"
            return await response.read()


class Servers:
    """Starts servers, and closes them when the test is over."""

    def __init__(self):
        self.opened = []

    async def __call__(self, *flags):
        config = parse(["server", "--log-disable", "-t", "1", *map(str, flags)])
        model, context = load_model(config, NoLog)
        lines = []
        app = create_app(config, model, context, ServerLog(config.log_format, config.verbose, lines.append))
        api = Api(TestServer(app, host="127.0.0.1"))
        api.lines, api.state = lines, app[LIVE]
        self.opened.append((api, context))
        await api.server.start_server()
        await api.start_server()
        return api

    async def close(self):
        for api, context in self.opened:
            await api.close()
            context.close()


@pytest.fixture
def serve():
    """await serve(*flags) -> Api."""
    return Servers()


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem):
    """Coroutines are tests too: each has an event loop of its own, in which its servers start and end."""
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    wanted = {name: pyfuncitem.funcargs[name] for name in pyfuncitem._fixtureinfo.argnames}

    async def run():
        try:
            await asyncio.wait_for(pyfuncitem.obj(**wanted), 120)
        finally:
            if "serve" in wanted:
                await wanted["serve"].close()

    asyncio.run(run())
    return True


@pytest.fixture(scope="session")
def stories(shared):
    """The stories model of 260K parameters, F32."""
    return shared / "data" / "models" / "stories260K-f32.gguf"
