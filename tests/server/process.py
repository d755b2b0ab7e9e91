"""A server with a process of its own."""

import json
import subprocess
from collections import deque
from pathlib import Path
from threading import Thread

from tests.conftest import command


class Running:
    """Started with these flags on a free port of 127.0.0.1; `url`. Its log is read and forgotten."""

    def __init__(self, *flags):
        self.process = subprocess.Popen([*command("server"), "--port", "0", "--log-disable", *map(str, flags)],
                                        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        line = next((line for line in self.process.stdout if '"HTTP server listening"' in line), None)
        if line is None:
            raise RuntimeError(f"the server ended with {self.process.wait()}")
        self.url = f"http://127.0.0.1:{json.loads(line)['port']}"
        Thread(target=lambda: deque(self.process.stdout, maxlen=0), daemon=True).start()

    def anonymous(self):
        """KiB of memory that is no file's."""
        text = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(next(line for line in text.splitlines() if line.startswith("RssAnon")).split()[1])

    def end(self):
        """Returns the exit code."""
        self.process.terminate()
        return self.process.wait()

    def kill(self):
        self.process.kill()
        self.process.wait()
