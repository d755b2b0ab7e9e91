"""/slots/{id}?action=save, restore or erase."""

import os
from time import perf_counter

from ..cli.strto import NotANumber, OutOfRange, stoi
from ..errors import LlamacyError
from . import slotfile
from .errors import ApiError
from .http import json_response, read_json
from .jsontext import type_error
from .state import server_of

NO_RESTORE = "Unable to restore slot, no available space in KV cache or invalid slot save file"
FORBIDDEN = set('/\\:*?"<>|') | {"\uff0e", "\u2215", "\u2216", "\ufffd", "\ufeff"}
PLAIN_JSON = "application/json"


async def action(request):
    server = server_of(request)
    try:
        id = stoi(os.fsencode(request.match_info["id"]))
    except (NotANumber, OutOfRange):
        raise ApiError("Invalid slot ID") from None
    act = ACTIONS.get(request.query.get("action"))
    if act is None:
        raise ApiError("Invalid action")
    if not 0 <= id < len(server.engine.slots):
        raise ApiError("Invalid slot ID")
    path = None if act is erase else await path_of(server, request)
    return json_response(await server.engine.call(lambda: act(server, idle_slot(server, id), path)), PLAIN_JSON)


async def path_of(server, request):
    body, _ = await read_json(request)
    if not isinstance(body, dict) or not isinstance(body.get("filename"), str):
        raise type_error("string", body.get("filename") if isinstance(body, dict) else body)
    if not valid(body["filename"]):
        raise ApiError("Invalid filename")
    return server.config.slot_save_path + body["filename"]


def valid(name):
    """May a client name a file like this?"""
    if not 1 <= len(name.encode("utf-8", "replace")) <= 255 or name != name.strip(" ") or name.endswith(".") or ".." in name:
        return False
    return not any(c in FORBIDDEN or ord(c) < 32 or 0x7F <= ord(c) < 0xA0 or 0xD800 <= ord(c) < 0xE000 for c in name)


def idle_slot(server, id):
    slot = server.engine.slots[id]
    if slot.task:
        raise ApiError("Invalid slot ID")
    return slot


def save(server, slot, path):
    start = perf_counter()
    tokens = slot.tokens if slot.reusable else []
    data = slotfile.dump(server.context, slot.id, tokens)
    new = os.path.join(os.path.dirname(path), f".slot-{os.getpid()}.new")          # a name of 255 bytes has no room for more
    try:
        with open(new, "wb") as stream:
            stream.write(data)
        os.replace(new, path)
        n = len(data)
    except OSError:
        n = 0                              # as the reference: no error, nothing written
    return {"id_slot": slot.id, "filename": os.path.basename(path), "n_saved": len(tokens), "n_written": n,
            "timings": {"save_ms": round(1000 * (perf_counter() - start), 3)}}


def restore(server, slot, path):
    start = perf_counter()
    slot.forget(server.context)
    most = 64 * 1024 * 1024 + server.context._run.kv_bytes(slot.n_ctx)
    try:
        with open(path, "rb") as stream:
            data = stream.read(most)
        saved = slotfile.Saved(data, server.context, slot.n_ctx)
        slotfile.load(server.context, slot.id, saved)
    except (OSError, LlamacyError, ValueError, MemoryError) as error:
        server.log.error("process_single_task", "unable to restore a slot", {"id_slot": slot.id, "reason": str(error)})
        raise ApiError(NO_RESTORE) from None
    slot.tokens, slot.exact, slot.pos, slot.reusable = saved.tokens, len(saved.tokens), len(saved.tokens), True
    return {"id_slot": slot.id, "filename": os.path.basename(path), "n_restored": len(saved.tokens), "n_read": len(data),
            "timings": {"restore_ms": round(1000 * (perf_counter() - start), 3)}}


def erase(server, slot, path):
    n = len(slot.tokens) if slot.reusable else 0
    slot.forget(server.context)
    return {"id_slot": slot.id, "n_erased": n}


ACTIONS = {"save": save, "restore": restore, "erase": erase}
