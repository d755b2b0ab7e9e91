"""Files: those of --path first, then the API, then the page that comes with the server."""

import hashlib
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
# The page runs its own scripts, talks to its own server, and nothing else.
POLICY = ("default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; "
          "form-action 'none'; frame-ancestors 'self'")


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
    """aiohttp knows about HEAD, Range, If-Range, ETag and Last-Modified; browsers shall ask whether the file has changed."""
    extension = os.path.splitext(path)[1][1:].lower()
    return web.FileResponse(path, headers={"Content-Type": TYPES.get(extension, "application/octet-stream"),
                                           "Cache-Control": "no-cache"})


def page(file):
    """A handler for a file of web/, read once."""
    body = file.read_bytes()
    tag = hashlib.sha256(body).hexdigest()[:32]
    headers = {"Content-Type": TYPES[file.suffix[1:]] + "; charset=utf-8", "Cache-Control": "no-cache", "ETag": f'"{tag}"',
               "Content-Security-Policy": POLICY, "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer"}

    async def serve(request):
        known = request.if_none_match or ()
        if any(other.value in (tag, "*") for other in known):
            return web.Response(status=304, headers=headers)
        return web.Response(body=body, headers=headers)
    return serve


def add_pages(app):
    """/ and every other file of web/ by its name."""
    for file in sorted(WEB.rglob("*")):
        if file.suffix[1:] in TYPES:
            name = file.relative_to(WEB).as_posix()
            app.router.add_get("/" + ("" if name == "index.html" else name), page(file))
