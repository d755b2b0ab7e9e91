"""The application: routes, and what is opened and closed with them."""

import asyncio

from aiohttp import web

from . import chat, embeddings, native, slot_actions, static, status, tokens
from .http import around, on_prepare
from .state import LIVE, Server

MIB = 1024 * 1024

GET = (
    ("/health", status.health), ("/slots", status.slots), ("/metrics", status.metrics), ("/props", status.props),
    ("/v1/models", status.models),
)
POST = (
    ("/completion", native.complete), ("/completions", native.complete), ("/v1/completions", native.complete_v1),
    ("/chat/completions", chat.chat), ("/v1/chat/completions", chat.chat), ("/infill", native.infill),
    ("/tokenize", tokens.tokenize), ("/detokenize", tokens.detokenize), ("/embedding", embeddings.embeddings),
    ("/embeddings", embeddings.embeddings), ("/v1/embeddings", embeddings.embeddings),
)


def create_app(config, model, context, log=None):
    """config: ServerParams; context: with `config.n_parallel` rows of logits. The engine runs while the app does."""
    app = web.Application(middlewares=[around, static.files_first], client_max_size=config.body_limit * MIB)
    app[LIVE] = Server(config, model, context, log)
    app.router.add_routes([web.get(path, handler) for path, handler in GET])
    app.router.add_routes([web.post(path, handler) for path, handler in POST])
    if config.slot_save_path:
        app.router.add_post("/slots/{id}", slot_actions.action)
    static.add_pages(app)
    app.on_response_prepare.append(on_prepare)
    app.cleanup_ctx.append(engine)
    return app


async def engine(app):
    app[LIVE].open(asyncio.get_running_loop())
    yield
    await asyncio.to_thread(app[LIVE].close)
