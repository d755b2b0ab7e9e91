"""What must not harm: bodies of all kinds, limits, keys, origins, files that are no slots."""

import asyncio
import json
import os
import random
import re

import pytest
from yarl import URL

from llamacy.server.static import WEB
from tests.server.mutations import POSTS, request

# What Python says of itself: no answer may carry it.
EXCEPTION = re.compile(rb"\b[A-Z]\w*[a-z]Error: |Exception: |Traceback|object has no attribute|NoneType")


async def raw(api, path, data, **headers):
    async with api.post(path, data=data, headers={"Content-Type": "application/json", **headers}) as response:
        return response.status, await response.read()


@pytest.mark.parametrize("data, message", [
    (b"", "attempting to parse an empty input"), (b"{", "parse error at line 1, column 2"), (b"[1,\n2,,]", "line 2, column 3"),
    (b'{"prompt": NaN}', "parse error"), (b'{"prompt": "\xff"}', "invalid UTF-8"), (b'{"prompt": "\\ud800"}', "lone surrogate"),
    (b"[" * 5000, "levels"), (b'{"a":' * 3000 + b"1" + b"}" * 3000, "levels"), (b"1" * 6000, "parse error"), (b"// {}", "parse error")])
async def test_bodies_that_are_no_json(serve, random_256, data, message):
    api = await serve("-m", random_256, "-c", 256)
    for path in ("/completion", "/v1/chat/completions", "/tokenize"):
        status, answer = await raw(api, path, data)
        error = json.loads(answer)["error"]
        assert status == 500 and error["type"] == "server_error" and message in error["message"], error


async def test_brackets_in_strings_are_no_levels(serve, random_256):
    api = await serve("-m", random_256, "-c", 256)
    status, answer = await api.ask("/tokenize", {"content": '[{"\\' * 300})
    assert status == 200 and answer["tokens"]


async def test_limits_of_bodies(serve, random_256):
    api = await serve("-m", random_256, "-c", 256, "--body-limit", 2)
    body = json.dumps({"content": "a" * (1 << 20)}).encode()
    assert (await raw(api, "/tokenize", body))[0] == 200
    assert await raw(api, "/tokenize", body, **{"Content-Type": "application/x-www-form-urlencoded"}) == (413, b"")
    assert (await raw(api, "/tokenize", b" " * (3 << 20)))[0] == 413
    assert (await raw(api, "/tokenize", b'{"content":"a"}', **{"Content-Type": "application/x-www-form-urlencoded"}))[0] == 200


async def test_mutated_requests(serve, random_256, tmp_path):
    """10 000 requests, each wrong in some way: all are answered, none with an exception of ours, and nothing is left over.

    A sanitized build, which is much slower, gets a tenth of them.
    """
    n = 16 * (62 if "LD_PRELOAD" in os.environ else 625)
    api = await serve("-m", random_256, "-c", 512, "-np", 8, "-n", 2, "--embeddings", "--metrics", "--slot-save-path", tmp_path)
    rng, found = random.Random(11), {}

    async def client(n):
        for _ in range(n):
            method, path, headers, body = request(rng)
            async with api.request(method, URL(path, encoded=True), data=body, headers=headers) as response:
                text = await response.read()
            found[response.status] = found.get(response.status, 0) + 1
            assert not EXCEPTION.search(text), (method, path, headers, body, text)
            if response.status >= 400 and text and "fail_on_no_slot" not in path:
                error = json.loads(text)["error"] if text.startswith(b"{") else None
                assert error is None or error["code"] == response.status and error["message"], text

    await asyncio.gather(*(client(n // 16) for _ in range(16)))
    assert set(found) <= {200, 304, 400, 404, 413, 416, 500, 501, 503} and {200, 400, 404, 500} <= set(found)
    assert sum(found.values()) == n and found[200] > n // 3
    assert (await api.told("/health"))[1]["slots_processing"] == 0
    assert (await api.ask("/completion", {"prompt": "a", "n_predict": 2, "system_prompt": {}}))[0] == 200


async def test_keys_guard_all_but_health_and_files(serve, random_256, tmp_path):
    api = await serve("-m", random_256, "-c", 256, "--api-key", "one", "--api-key", "two", "--metrics", "--slot-save-path", tmp_path)
    for path in ("/props", "/slots", "/metrics", "/v1/models"):
        assert (await api.get(path)).status == 401
        assert (await api.get(path, headers={"Authorization": "Bearer two"})).status == 200
    for path in (*POSTS, "/%63ompletion", "/slots%2F0?action=save", "/sl%6fts/0?action=erase"):
        assert (await api.ask(path, {}))[0] == 401
    for wrong in ("Bearer", "Bearer ", "bearer one", "Bearer  one", "Basic one", "Bearer ontwo"):
        assert (await api.get("/props", headers={"Authorization": wrong})).status == 401, wrong
    for path, status in (("/health", 200), ("/", 200), ("/nothing", 404)):
        assert (await api.get(path)).status == status
    assert not any(b"Bearer" in line or b'"one"' in line for line in api.lines)


@pytest.mark.parametrize("flags, origin, answer", [
    ((), "http://localhost:3000", True), ((), "http://127.0.0.1", True), ((), "https://[::1]:8", True),
    ((), "https://evil.example", False), ((), "http://localhost.evil.example", False), ((), "null", False), ((), "http://[", False),
    (("--cors", "https://a.example"), "https://a.example", True), (("--cors", "https://a.example"), "http://localhost", False),
    (("--cors", "*"), "https://evil.example", True)])
async def test_origins(serve, random_256, flags, origin, answer):
    api = await serve("-m", random_256, "-c", 256, *flags)
    async with api.get("/props", headers={"Origin": origin}) as response:
        assert response.headers["Access-Control-Allow-Origin"] == (origin if answer else "")
    async with api.get("/health", headers={"Origin": origin}) as response:
        assert "Access-Control-Allow-Origin" not in response.headers


async def test_routes_that_do_not_exist(serve, random_256):
    api = await serve("-m", random_256, "-c", 256)
    for method, path in (("GET", "/completion"), ("POST", "/completion/"), ("PUT", "/completion"), ("GET", "/models"),
                         ("POST", "/slots/0?action=save"), ("DELETE", "/health"), ("GET", "/../etc/passwd")):
        async with api.request(method, path) as response:
            assert response.status == 404, path
            assert await response.json() == {"error": {"code": 404, "message": "File Not Found", "type": "not_found_error"}}
            assert response.headers["Server"] == "llama.cpp"
    async with api.head("/health") as response:
        assert response.status == 200 and int(response.headers["Content-Length"]) > 0


async def test_endpoints_that_are_off(serve, random_256):
    api = await serve("-m", random_256, "-c", 256, "--slots-endpoint-disable")
    for path, thing in (("/slots", "slots"), ("/metrics", "metrics")):
        status, answer = await api.told(path)
        assert status == 501 and answer["error"]["message"] == f"This server does not support {thing} endpoint."
    async with api.post("/embedding", json={"content": "a"}) as response:
        assert response.status == 501
        assert await response.text() == "This server does not support embeddings. Start it with `--embeddings`"
    assert "slots" not in (await api.told("/health?include_slots"))[1]


@pytest.mark.parametrize("name, good", [
    ("a.bin", True), ("é.bin", True), ("a b", True), ("", False), ("..", False), ("a..b", False), ("/etc/x", False), ("a\\b", False),
    (" a", False), ("a ", False), ("a.", False), ("a\n", False), ("x" * 256, False), ("a:b", False), ("\u2215x", False), (".", False)])
async def test_names_of_slot_files(serve, random_256, tmp_path, name, good):
    api = await serve("-m", random_256, "-c", 256, "--slot-save-path", tmp_path)
    status, answer = await api.ask("/slots/0?action=save", {"filename": name})
    assert status == (200 if good else 400)
    assert good or answer["error"]["message"] == "Invalid filename"


async def test_slot_actions_that_cannot_be(serve, random_256, tmp_path):
    api = await serve("-m", random_256, "-c", 256, "--slot-save-path", tmp_path)
    for path, message in (("/slots/x?action=save", "Invalid slot ID"), ("/slots/9?action=erase", "Invalid slot ID"),
                          ("/slots/-1?action=erase", "Invalid slot ID"), ("/slots/0?action=eat", "Invalid action"),
                          ("/slots/0", "Invalid action")):
        assert (await api.ask(path, {"filename": "a"}))[1]["error"]["message"] == message
    assert (await api.ask("/slots/0?action=save", {"filename": 5}))[0] == 500


async def test_slot_files_are_read_as_hostile(serve, random_256, tmp_path):
    api = await serve("-m", random_256, "-c", 256, "--slot-save-path", tmp_path)
    body = {"prompt": "abc", "n_predict": 4, "cache_prompt": True}
    await api.ask("/completion", body)
    _, saved = await api.ask("/slots/0?action=save", {"filename": "good"})
    good = (tmp_path / "good").read_bytes()
    assert saved["n_written"] == len(good) and saved["n_saved"] > 4
    rng = random.Random(3)
    head = 12 + 4 * saved["n_saved"] + 16 + 4 * saved["n_saved"] + 12
    cases = [good[:n] for n in (0, 3, 11, 12, 40, len(good) // 2, len(good) - 1)]
    for _ in range(60):
        at = rng.randrange(head)
        cases.append(good[:at] + bytes([good[at] ^ 1 << rng.randrange(8)]) + good[at + 1:])
    refused = 0
    for data in cases:
        (tmp_path / "bad").write_bytes(data)
        status, answer = await api.ask("/slots/0?action=restore", {"filename": "bad"})
        assert status in (200, 400)
        refused += status == 400
        assert (await api.ask("/completion", body))[0] == 200
    assert refused > len(cases) // 2
    assert (await api.ask("/slots/0?action=restore", {"filename": "good"}))[0] == 200
    assert (await api.ask("/slots/0?action=restore", {"filename": "none"}))[0] == 400


async def test_size_of_the_reference_slot_file(serve, shared, tmp_path):
    api = await serve("-m", shared / "data/models/stories260K-f32.gguf", "-c", 256, "--slot-save-path", tmp_path)
    tokens = [1] + list(range(300, 340))
    await api.ask("/completion", {"prompt": tokens, "n_predict": 4, "cache_prompt": True, "ignore_eos": True})
    assert (await api.ask("/slots/0?action=save", {"filename": "s"}))[1]["n_saved"] == 44
    assert (tmp_path / "s").stat().st_size == 28660


async def test_files_of_the_page(serve, random_256):
    api = await serve("-m", random_256, "-c", 256, "--api-key", "k")
    for path, kind in (("/", "text/html"), ("/page/main.js", "text/javascript"), ("/page/style.css", "text/css"),
                       ("/page/icon.svg", "image/svg+xml"), ("/completion.js", "text/javascript")):
        async with api.get(path) as response:
            body = await response.read()
            assert response.headers["Content-Type"] == kind + "; charset=utf-8" and "no-cache" in response.headers["Cache-Control"]
            assert "default-src 'none'" in response.headers["Content-Security-Policy"]
            tag = response.headers["ETag"]
        async with api.get(path, headers={"If-None-Match": f'"x", {tag}'}) as response:
            assert response.status == 304 and await response.read() == b"" and response.headers["ETag"] == tag
        async with api.head(path) as response:
            assert response.status == 200 and int(response.headers["Content-Length"]) == len(body)
    for path in ("/page/", "/page", "/page/%2e%2e/index.html", "/index.html/", "/style.css"):
        assert (await api.get(path)).status == 404, path


def test_a_package_has_all_files_of_the_page(repo):
    globs = json.loads(re.search(r'"llamacy.server": (\[.*?\])', (repo / "setup.py").read_text())[1])
    packed = {path for glob in globs for path in (repo / "llamacy" / "server").glob(glob) if path.is_file()}
    assert packed == {path for path in WEB.rglob("*") if path.is_file()} and len(packed) > 15


async def test_files_of_path_come_first(serve, random_256, tmp_path):
    (tmp_path / "health").write_text("mine")
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "index.html").write_text("<p>sub")
    (tmp_path.parent / "secret.txt").write_text("no")
    api = await serve("-m", random_256, "-c", 256, "--path", tmp_path)
    async with api.get("/health") as response:
        assert await response.text() == "mine" and response.headers["Content-Type"] == "application/octet-stream"
    async with api.get("/sub/") as response:
        assert await response.text() == "<p>sub" and response.headers["Content-Type"] == "text/html"
    (tmp_path / "film.webm").write_bytes(bytes(range(200)))
    async with api.get("/film.webm", headers={"Range": "bytes=10-19"}) as response:
        assert (response.status, response.headers["Content-Range"]) == (206, "bytes 10-19/200")
        assert await response.read() == bytes(range(10, 20)) and response.headers["Content-Type"] == "video/webm"
        tag = response.headers["ETag"]
    async with api.get("/film.webm", headers={"Range": "bytes=-5", "If-Range": '"old"'}) as response:
        assert response.status in (200, 206) and (await response.read())[-5:] == bytes(range(195, 200))
    assert (await api.get("/film.webm", headers={"Range": "bytes=300-"})).status == 416
    assert (await api.get("/film.webm", headers={"If-None-Match": tag})).status == 304
    async with api.head("/film.webm") as response:
        assert response.status == 200 and response.headers["Content-Length"] == "200" and await response.read() == b""
    for path in ("/sub", "/%2e%2e/secret.txt", "/sub/%2e%2e/%2e%2e/secret.txt"):
        assert (await api.get(path)).status == 404
    assert (await api.get("/slots")).status == 200
