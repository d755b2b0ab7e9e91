"""Chromium without a window, for the tests of the page and for the pictures in docs/."""

import json
import os
import shutil
import tempfile
from functools import cache

SWITCHES = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
            "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage")


@cache
def missing():
    """Why there can be no browser; "" if there can."""
    if not (shutil.which("chromium") or shutil.which("google-chrome")):
        return "no browser: apt-get install chromium chromium-driver"
    if not shutil.which("chromedriver"):
        return "no driver for the browser: apt-get install chromium-driver"
    try:
        import selenium                    # noqa: F401
    except ImportError:
        return "no selenium: pip install selenium"
    return ""


class Browser:
    """One window. `driver` is Selenium's; the methods wait for what they look for."""

    def __init__(self):
        from selenium import webdriver
        from selenium.webdriver.chrome.service import Service
        options = webdriver.ChromeOptions()
        options.binary_location = shutil.which("chromium") or shutil.which("google-chrome")
        self.folder = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        for switch in (*SWITCHES, f"--user-data-dir={self.folder.name}"):
            options.add_argument(switch)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        plain = {name: value for name, value in os.environ.items() if name != "LD_PRELOAD"}      # of a sanitized build
        self.driver = webdriver.Chrome(options=options, service=Service(shutil.which("chromedriver"), env=plain))

    def close(self):
        self.driver.quit()
        self.folder.cleanup()

    def shape(self, width=1280, height=800, dark=False, phone=False):
        """The size of the window and the colours that the system prefers."""
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {
            "width": width, "height": height, "deviceScaleFactor": 2 if phone else 1, "mobile": phone})
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {
            "features": [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]})

    def open(self, url, settings=None, conversations=(), key=""):
        """The page with a storage that holds nothing but this."""
        self.driver.get(url + "/page/icon.svg")
        self.run("localStorage.clear()")
        self.run("localStorage.setItem('llamacy.settings', arguments[0])", json.dumps(settings or {}))
        for conversation in conversations:
            self.run("localStorage.setItem('llamacy.c.' + arguments[0], arguments[1])", conversation["id"], json.dumps(conversation))
        self.run("localStorage.setItem('llamacy.key', arguments[0])", json.dumps(key))
        self.driver.get(url + "/")
        self.wait(lambda: self.text("#model") or not self.one("#notice").get_attribute("hidden"))

    def run(self, script, *arguments):
        return self.driver.execute_script(script, *arguments)

    def all(self, selector):
        return self.driver.find_elements("css selector", selector)

    def one(self, selector):
        return self.driver.find_element("css selector", selector)

    def text(self, selector):
        """What an element holds, shown or not; "" if there is none."""
        return self.run("return document.querySelector(arguments[0])?.textContent ?? ''", selector)

    def click(self, selector):
        self.wait(lambda: any(one.is_displayed() for one in self.all(selector)), f"{selector} on the page")
        next(one for one in self.all(selector) if one.is_displayed()).click()

    def type(self, selector, *keys):
        self.one(selector).send_keys(*keys)

    def hover(self, element):
        from selenium.webdriver import ActionChains
        ActionChains(self.driver).move_to_element(element).perform()

    def wait(self, holds, what="", seconds=20):
        from selenium.webdriver.support.ui import WebDriverWait
        return WebDriverWait(self.driver, seconds, 0.02).until(lambda _: holds(), what)

    def complaints(self):
        """What the page's scripts have complained of."""
        return [entry["message"] for entry in self.driver.get_log("browser") if entry["level"] == "SEVERE"]
