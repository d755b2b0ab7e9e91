"""The recorded runs of main, and how a run is repeated. Shared by the tests beside it."""

import json
import os
import subprocess
import time
from pathlib import Path

REPO = Path(__file__).resolve().parent.parent.parent
SHARED = Path(os.environ.get("LLAMACY_SHARED") or REPO.parent / "shared")
PATIENCE = 60.0          # seconds until a run that should have said something is a failure
STILL = 0.3              # seconds of silence after the expected text: nothing more comes


class Case:
    """One recorded run: args, stdin, files, and the stdout and rc that it must have."""

    def __init__(self, row, models):
        self.args = [str(models / word) if word.endswith(".gguf") else word for word in row["args"]]   # absolute stays
        self.stdin = row["stdin"]
        self.files = row["files"]
        self.stdout = row["stdout"].encode("utf-8", "surrogateescape")
        self.rc = row["rc"]
        self.words = row["args"]

    @property
    def waiting(self):
        return self.rc == "waiting"

    @property
    def sampled(self):
        """True if a random number decides anything."""
        temperature = float(self.words[self.words.index("--temp") + 1]) if "--temp" in self.words else 0.8
        return temperature > 0 and self.rc != 1

    @property
    def seeded(self):
        return "-s" in self.words

    def __str__(self):
        return " ".join(word if len(word) < 30 else word[:27] + "..." for word in self.words[1:])


def reference_cases():
    """The runs of the reference, [] where the folder of recorded facts is not there."""
    path = SHARED / "golden" / "main.json"
    return load(path, SHARED / "data" / "models") if path.exists() else []


def own_cases():
    """Our own recorded runs on the model in this repository."""
    return load(REPO / "tests" / "golden" / "main_random256.json", REPO / "tests" / "data")


def load(path, models):
    rows = json.loads(path.read_text())
    return [Case(row, models) for row in (rows["runs"] if isinstance(rows, dict) else rows)]


def repeat(case, command, folder):
    """Run `case` in `folder`; return (stdout, rc) as they can be compared with the record.

    A run that waits is closed once it stands still at the expected text (or at any other), and must then end well.
    """
    for name, text in case.files.items():
        (folder / name).write_text(text)
    argv = [*command, *case.args, "-t", "1", "--log-disable"]
    if case.waiting:
        return repeat_waiting(case, argv, folder)
    done = subprocess.run(argv, input=(case.stdin or "").encode(), capture_output=True, cwd=folder, timeout=PATIENCE,
                          start_new_session=True)
    assert not done.stderr or done.returncode, done.stderr
    return done.stdout, done.returncode


def repeat_waiting(case, argv, folder):
    """stdin stays open until the output stands still; no terminal is in reach, so that the echo goes to stdout."""
    process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=folder,
                               start_new_session=True)
    try:
        process.stdin.write(case.stdin.encode())
        process.stdin.flush()
        os.set_blocking(process.stdout.fileno(), False)
        text = read_until_still(process, case.stdout)
        process.stdin.close()
        rest, rc = process.stdout, process.wait(PATIENCE)
        text += rest.read() or b""
        assert not process.stderr.read()
        return text, "waiting" if rc == 0 else rc
    finally:
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout, process.stderr):
            pipe.close()


def read_until_still(process, expected):
    text, deadline, silent_since = b"", time.monotonic() + PATIENCE, None
    while time.monotonic() < deadline and process.poll() is None:
        new = process.stdout.read() or b""
        text += new
        if new or len(text) < len(expected):
            silent_since = time.monotonic()
        elif time.monotonic() - silent_since > STILL:
            break
        time.sleep(0.01)
    return text
