"""/health, /slots, /metrics, /props and /v1/models."""

import time

from aiohttp import web

from .completion import default_settings
from .errors import ApiError
from .http import dumps, json_response
from .state import server_of

PLAIN_JSON = "application/json"
VOCAB_TYPES = {"no vocab": 0, "SPM": 1, "BPE": 2, "WPM": 3}


async def health(request):
    server = server_of(request)
    slots = server.engine.slots
    busy = sum(1 for slot in slots if slot.task)
    told(server, busy)
    body = {"status": "ok" if busy < len(slots) else "no slot available", "slots_idle": len(slots) - busy,
            "slots_processing": busy}
    if "include_slots" in request.query and server.config.slots_endpoint:
        body["slots"] = [slot_body(server, slot) for slot in slots]
    full = busy == len(slots) and "fail_on_no_slot" in request.query
    return web.Response(status=503 if full else 200, body=dumps(body), headers={"Content-Type": PLAIN_JSON})


async def slots(request):
    server = server_of(request)
    if not server.config.slots_endpoint:
        raise ApiError("This server does not support slots endpoint.", "not_supported_error")
    told(server, sum(1 for slot in server.engine.slots if slot.task))
    return json_response([slot_body(server, slot) for slot in server.engine.slots], PLAIN_JSON)


def slot_body(server, slot):
    task = slot.task
    left = slot.remaining(task, server.config.n_predict) if task and not task.embedding else -1
    return {
        **(slot.settings or default_settings(server)), "n_keep": slot.n_keep, "id": slot.id, "id_task": slot.id_task,
        "state": int(task is not None), "prompt": slot.prompt,
        "next_token": {"has_next_token": slot.has_next, "n_remain": left, "n_decoded": slot.n_decoded,
                       "stopped_eos": slot.stopped_eos, "stopped_word": slot.out.stopped,
                       "stopped_limit": slot.stopped_limit, "stopping_word": slot.out.word.decode("utf-8", "replace")},
    }


def told(server, busy):
    n = len(server.engine.slots)
    server.log.info("process_single_task", "slot data", {"id_task": -1, "n_idle_slots": n - busy, "n_processing_slots": busy})
    if not busy:
        server.log.info("update_slots", "all slots are idle")


async def metrics(request):
    server = server_of(request)
    if not server.config.metrics:
        raise ApiError("This server does not support metrics endpoint.", "not_supported_error")
    return web.Response(body=server.metrics.text(server.engine), headers={
        "Content-Type": "text/plain; version=0.0.4", "Process-Start-Time-Unix": str(int(server.started * 1e6))})


async def props(request):
    server = server_of(request)
    settings = {**default_settings(server), "seed": -1, "stream": True}
    return json_response({"user_name": server.system["anti_prompt"], "assistant_name": server.system["assistant_name"],
                          "default_generation_settings": settings, "total_slots": len(server.engine.slots)})


async def models(request):
    server = server_of(request)
    hp, model = server.model.hparams, server.model
    meta = {"vocab_type": VOCAB_TYPES[server.vocab.kind], "n_vocab": hp.n_vocab, "n_ctx_train": hp.n_ctx_train,
            "n_embd": hp.n_embd, "n_params": model.n_params, "size": model.size}
    return json_response({"object": "list", "data": [{"id": server.config.alias, "object": "model", "created": int(time.time()),
                                                      "owned_by": "llamacpp", "meta": meta}]})
