"""Pictures of the page for the README: python -m tests.server.screenshots MODEL.gguf [FOLDER (docs)] [--all]."""

import sys
from pathlib import Path

from tests.server.browser import Browser
from tests.server.process import Running

QUESTION = "Tell me a story about a little dog."
TITLES = (("text", "Lily and the big tree"), ("chat", "Names for a cat"), ("chat", "A poem about rain"))
SAMPLE = [{"id": f"sample{i}", "mode": mode, "title": title, "system": "", "created": 1, "updated": 1 + i, "prompt": "x",
           "output": None, "messages": []} for i, (mode, title) in enumerate(TITLES)]


def talk(page, text):
    page.type("#input", text, "\n")
    page.wait(lambda: page.all(".message.assistant .stats"), "an answer", 300)


def take(page, path):
    page.driver.save_screenshot(str(path))
    print(path, path.stat().st_size)


def chat(page, url, folder, dark):
    page.shape(1200, 780, dark)
    page.open(url, {"n_predict": 120, "seed": 5}, SAMPLE)
    page.click("#new-chat")
    talk(page, QUESTION)
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
        page.open(url, {"n_predict": 90, "seed": 5}, SAMPLE)
        page.click("#side-open")
        page.click("#new-chat")
        talk(page, QUESTION)
        take(page, folder / f"page-phone{'-dark' if dark else ''}.png")


def main(argv):
    model, folder = argv[1], Path(next((word for word in argv[2:] if word[0] != "-"), "docs"))
    server, page = Running("-m", model, "-c", "2048", "-np", "4", "-a", Path(model).stem), Browser()
    try:
        chat(page, server.url, folder, dark=False)
        probabilities(page, server.url, folder)
        if "--all" in argv:
            chat(page, server.url, folder, dark=True)
            others(page, server.url, folder)
    finally:
        page.close()
        server.end()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
