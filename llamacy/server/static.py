"""Files: those of --path first, then the API, then the page that comes with the server."""

import os
from pathlib import Path

from aiohttp import web

from .state import server_of

WEB = Path(__file__).parent / "web"
TYPES = {
    "html": "text/html", "htm": "text/html", "js": "text/javascript", "mjs": "text/javascript", "css": "text/css",
    "json": "application/json", "txt": "text/plain", "xml": "text/xml", "csv": "text/csv", "svg": "image/svg+xml",
    "png": "image/png", "jpg": "image/jpeg", "jpeg": "image/jpeg", "gif": "image/gif", "webp": "image/webp",
    "ico": "image/x-icon", "woff": "font/woff", "woff2": "font/woff2", "ttf": "font/ttf", "otf": "font/otf",
    "wasm": "application/wasm", "pdf": "application/pdf", "mp3": "audio/mp3", "mp4": "video/mp4", "webm": "video/webm",
}
OURS = {"/": "index.html"}


@web.middleware
async def files_first(request, handler):
    """A file of --path hides a route of the same name."""
    folder = server_of(request).config.public_path
    if folder and request.method in ("GET", "HEAD"):
        path = public_file(folder, request.path)
        if path:
            return file_response(path)
    return await handler(request)


def public_file(folder, path):
    """The file that a path names below the folder; None."""
    if "\0" in path or "\\" in path or not os.path.isdir(folder):
        return None
    root = os.path.realpath(folder)
    found = os.path.realpath(os.path.join(root, path.lstrip("/") + ("index.html" if path.endswith("/") else "")))
    inside = found.startswith(root.rstrip("/") + "/")
    return found if inside and os.path.isfile(found) else None


def file_response(path):
    extension = os.path.splitext(path)[1][1:].lower()
    return web.FileResponse(path, headers={"Content-Type": TYPES.get(extension, "application/octet-stream")})


def page(name):
    """A handler for a file of web/."""
    async def serve(request):
        extension = name.rpartition(".")[2]
        return web.Response(body=(WEB / name).read_bytes(), headers={"Content-Type": TYPES[extension] + "; charset=utf-8"})
    return serve


def add_pages(app):
    """The pages that are there: / and every other file of web/ by its name."""
    for path, name in {**OURS, **{"/" + file.name: file.name for file in WEB.iterdir() if file.suffix[1:] in TYPES}}.items():
        if (WEB / name).exists():
            app.router.add_get(path, page(name))
