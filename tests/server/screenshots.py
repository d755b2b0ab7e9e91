"""Pictures of the page for README.md and docs/: python -m tests.server.screenshots [MODEL [FOLDER]] [--all]."""

import argparse
import sys
from pathlib import Path

from tests.server.browser import Browser
from tests.server.process import Running

TURNS = ("Hello!", "Tell me a story about a kite.", "What is the capital of France?")      # the bundled model does them well
SETTINGS = {"temperature": 0.6, "n_predict": 250, "seed": 10}
TITLES = (("text", "Lily and the big tree"), ("chat", "Names for a cat"), ("chat", "A poem about rain"))
SAMPLE = [{"id": f"sample{i}", "mode": mode, "title": title, "system": "", "created": 1, "updated": 1 + i, "prompt": "x",
           "output": None, "messages": []} for i, (mode, title) in enumerate(TITLES)]


def talk(page, turns):
    for count, text in enumerate(turns, 1):
        page.type("#input", text, "\n")
        page.wait(lambda: len(page.all(".message.assistant .stats")) == count, "an answer", 300)
    page.wait(lambda: not page.all("#slots .at-work"), "idle slots")


def take(page, path):
    page.driver.save_screenshot(str(path))
    print(path, path.stat().st_size)


def chat(page, url, folder, dark):
    page.shape(1200, 780, dark)
    page.open(url, SETTINGS, SAMPLE)
    page.click("#new-chat")
    talk(page, TURNS)
    take(page, folder / ("page-dark.png" if dark else "page.png"))


def probabilities(page, url, folder):
    page.shape(1200, 780)
    page.open(url, {"n_predict": 70, "seed": 7, "n_probs": 6}, SAMPLE)
    page.click("#mode-text")
    page.type("#prompt", "Once upon a time")
    page.click("#text-tools .strong")
    page.wait(lambda: page.text("#text-tools .strong") == "Go on", "a completion", 300)
    sure = page.run("return [...document.querySelectorAll('#output .token')].map(e => Number(e.style.getPropertyValue('--sure')))")
    at = min(range(8, 40), key=lambda i: abs(sure[i] - 0.5))
    page.hover(page.all("#output .token")[at])
    take(page, folder / "page-probabilities.png")


def others(page, url, folder):
    page.shape(1200, 780)
    page.open(url, {"structure": "json_schema", "structure_text": '{"enum": ["yes", "no"]}', "temperature": 0.3}, SAMPLE)
    page.click("#new-chat")
    page.click("#drawer-open")
    take(page, folder / "page-settings.png")
    for dark in (False, True):
        page.shape(390, 844, dark, phone=True)
        page.open(url, SETTINGS, SAMPLE)
        page.click("#side-open")
        page.click("#new-chat")
        talk(page, TURNS)
        take(page, folder / f"page-phone{'-dark' if dark else ''}.png")


def main(argv):
    parser = argparse.ArgumentParser("python -m tests.server.screenshots")
    parser.add_argument("model", nargs="?", default="bundled")
    parser.add_argument("folder", nargs="?", type=Path, default=Path("docs"))
    parser.add_argument("--all", action="store_true", help="also those that docs/ does not show")
    args = parser.parse_args(argv[1:])
    server, page = Running("-m", args.model, "-c", "2048", "-np", "4"), Browser()
    try:
        chat(page, server.url, args.folder, dark=False)
        probabilities(page, server.url, args.folder)
        if args.all:
            chat(page, server.url, args.folder, dark=True)
            others(page, server.url, args.folder)
    finally:
        page.close()
        server.end()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
