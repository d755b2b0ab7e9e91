"""The page at /, in a real browser: what a user sees and does."""

import asyncio
import json

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from llamacy.server.fields import FIELDS
from tests.server import browser as chromium
from tests.server.process import Running

ENDLESS = {"n_predict": 100000, "ignore_eos": True, "n_keep": 4}
SHORT = {"n_predict": 12, "temperature": 0, "ignore_eos": True}


@pytest.fixture(scope="module")
def window():
    if chromium.missing():
        pytest.skip(chromium.missing())
    window = chromium.Browser()
    yield window
    window.close()


@pytest.fixture(scope="module")
def server(random_256):
    server = Running("-m", random_256, "-t", 1, "-c", 4096, "-np", 2, "-a", "random")
    yield server
    server.kill()


@pytest.fixture
def start():
    """start(*flags) -> a server of the test's own."""
    running = []

    def run(*flags):
        running.append(Running("-t", 1, *flags))
        return running[-1]

    yield run
    for server in running:
        server.kill()


@pytest.fixture
def page(window, server):
    """page(settings) -> the window with a fresh page in it. Its scripts must not complain."""
    def fresh(settings=None, url=server.url, conversations=(), **shape):
        key = shape.pop("key", "")
        window.shape(**shape)
        window.open(url, settings, conversations, key)
        window.complaints()
        return window

    yield fresh
    assert window.complaints() == []


ANSWER = ".message.assistant .body"


def send(page, text):
    page.type("#input", text, "\n")


def answered(page, n=1):
    """Wait until n answers are complete; their texts."""
    page.wait(lambda: len(page.all(".message.assistant:not(.coming) .stats")) >= n, f"{n} answers")
    return [one.text for one in page.all(ANSWER)]


def stored(page):
    return page.run("return Object.keys(localStorage).filter(k => k.startsWith('llamacy.c.')).map(k => JSON.parse(localStorage[k]))")


def test_a_message_gets_an_answer(page):
    page = page(SHORT)
    assert page.text("#model") == "random" and page.one("#hello").is_displayed()
    page.type("#input", "Hello\ue008\n\ue008there")             # Shift+Enter is a new line
    assert not page.all(".message")
    page.type("#input", "\n")
    assert answered(page)[0]
    assert page.text(".message.user .plain") == "Hello\nthere" and page.text(".stats").startswith("12 tokens")
    assert "tokens/s" in page.text("#rate") and "of 2048 tokens of context" in page.text("#room")
    assert page.text("#list .current .open span") == "Hello there" and page.one("#input").get_attribute("value") == ""
    [conversation] = stored(page)
    assert [message["role"] for message in conversation["messages"]] == ["user", "assistant"]


def test_an_answer_comes_bit_by_bit_and_can_be_stopped(page):
    page = page(ENDLESS)
    send(page, "Hello")
    page.wait(lambda: len(page.text(ANSWER)) > 20)
    first = page.text(ANSWER)
    page.wait(lambda: len(page.text(ANSWER)) > len(first))
    assert page.text(ANSWER).startswith(first[:10]) and page.one("#send").get_attribute("aria-label") == "Stop"
    page.wait(lambda: page.all(".slot.at-work"))
    page.type("#input", "\ue00c")                                # Escape
    page.wait(lambda: page.text(".note") == "Stopped.")
    assert page.one("#send").get_attribute("aria-label") == "Send"
    page.wait(lambda: not page.all(".slot.at-work"))
    send(page, "Again")
    page.wait(lambda: page.all(".coming .prose"))
    page.click("#send")
    page.wait(lambda: len(page.all(".note")) == 2)
    assert len(stored(page)[0]["messages"][1]["versions"][0]["text"]) >= len(first)


def test_regenerate_keeps_the_versions(page):
    page = page({**SHORT, "temperature": 1.5})
    send(page, "Hello")
    first = answered(page)[0]
    page.click('.message.assistant [aria-label="Answer again"]')
    page.wait(lambda: page.text(".versions span") == "2/2")
    second = answered(page)[0]
    assert second != first and len(page.all(".message")) == 2
    page.click('[aria-label="Earlier version"]')
    assert page.one(ANSWER).text == first and page.text(".versions span") == "1/2"


def test_edit_drops_what_came_after(page):
    page = page(SHORT)
    send(page, "one")
    answered(page, 1)
    send(page, "two")
    answered(page, 2)
    page.hover(page.all(".message.user")[0])
    page.all('.message.user [aria-label="Edit"]')[0].click()
    page.type(".message.user textarea", " more\n")
    page.wait(lambda: len(page.all(".message")) == 2)
    answered(page, 1)
    assert page.text(".message.user .plain") == "one more" and len(stored(page)[0]["messages"]) == 2
    page.hover(page.one(".message.user"))
    page.click('.message.user [aria-label="Edit"]')
    page.type(".message.user textarea", " nothing\ue00c")        # Escape: as it was
    assert page.text(".message.user .plain") == "one more"


def test_delete_and_undo(page):
    page = page(SHORT)
    send(page, "one")
    answered(page)
    page.hover(page.one(".message.user"))
    page.click('.message.user [aria-label="Delete"]')
    page.wait(lambda: not page.all(".message"))
    page.click("#notice .link-button")
    page.wait(lambda: len(page.all(".message")) == 2)
    page.click('#list .current [aria-label="Delete"]')
    page.wait(lambda: not page.all(".message") and not stored(page))
    page.click("#notice .link-button")
    page.wait(lambda: len(page.all(".message")) == 2 and stored(page))


def test_a_reload_keeps_the_chats(page):
    page = page(SHORT)
    send(page, "first chat")
    before = answered(page)
    page.click("#new-chat")
    page.wait(lambda: page.one("#hello").is_displayed())
    send(page, "second chat")
    answered(page)
    page.driver.refresh()
    page.wait(lambda: [one.text for one in page.all("#list .open span")] == ["second chat", "first chat"])
    assert page.text(".message.user .plain") == "second chat"
    page.all("#list .open")[1].click()
    page.wait(lambda: page.text(".message.user .plain") == "first chat")
    assert [one.text for one in page.all(ANSWER)] == before


def test_a_chat_goes_on_while_another_is_shown(page):
    page = page(ENDLESS)
    send(page, "long")
    page.wait(lambda: page.all(".coming .prose"))
    page.click("#new-chat")
    assert page.all("#list .busy") and page.one("#send").get_attribute("aria-label") == "Send"
    page.all("#list .open")[1].click()
    page.wait(lambda: page.all(".coming .prose"))
    page.click("#send")
    page.wait(lambda: page.text(".note") == "Stopped.")


def test_names_and_files_of_conversations(page):
    page = page(SHORT)
    send(page, "a name")
    answered(page)
    page.click('#list .current [aria-label="Rename"]')
    page.type("#list input", "\ue009a\ue009Mine\n")              # Control+A
    page.wait(lambda: page.text("#list .current .open span") == "Mine")
    exported = json.dumps({"conversations": stored(page)})
    kept = page.driver.execute_async_script("""const [row, done] = arguments;
        import('/page/store.js').then((store) => done(store.markdownOf(row)))""", stored(page)[0])
    assert kept.startswith("# Mine\n\n**You**\n\na name\n\n**Assistant**\n\n")
    page.run("""const data = new DataTransfer(); data.items.add(new File([arguments[0]], 'a.json'));
             const input = document.getElementById('import-file'); input.files = data.files;
             input.dispatchEvent(new Event('change'))""", exported)
    page.wait(lambda: [one.text for one in page.all("#list .open span")] == ["Mine", "Mine"])
    page.run("""const data = new DataTransfer(); data.items.add(new File(['{"conversations": 5}'], 'b.json'));
             const input = document.getElementById('import-file'); input.files = data.files;
             input.dispatchEvent(new Event('change'))""")
    page.wait(lambda: "b.json cannot be imported" in page.text("#notice"))


def test_errors_are_sentences_with_a_way_on(page):
    page = page({**SHORT, "structure": "grammar", "structure_text": "root :"})
    send(page, "Hello")
    page.wait(lambda: page.text(".error span") == "The server refused this: Failed to parse grammar")
    page.run("localStorage.setItem('llamacy.settings', '{\"n_predict\": 4}')")
    page.driver.refresh()
    page.wait(lambda: page.text("#model"))
    page.click(".error .button")
    answered(page)
    assert not page.all(".error") and not page.all(".versions")
    assert not [line for line in page.complaints() if "400" not in line]


def test_settings_that_are_wrong_are_told_before_asking(page):
    page = page({**SHORT, "structure": "json_schema", "structure_text": "{"})
    send(page, "Hello")
    page.wait(lambda: "The JSON schema is no JSON" in page.text("#notice"))
    assert not page.all(".message") and page.one("#input").get_attribute("value") == "Hello"
    page.click("#notice .link-button")
    page.wait(lambda: page.one("#s-structure_text").get_attribute("aria-invalid") == "true")


def test_an_edit_that_cannot_be_sent_changes_nothing(page):
    page = page(SHORT)
    send(page, "one")
    answered(page, 1)
    send(page, "two")
    answered(page, 2)
    before = stored(page)[0]["messages"]
    page.click("#drawer-open")
    page.run("const s = document.getElementById('s-structure'); s.selectedIndex = 2; s.dispatchEvent(new Event('change'))")
    page.type("#s-structure_text", "{")
    page.click("#drawer-close")
    page.hover(page.all(".message.user")[0])
    page.all('.message.user [aria-label="Edit"]')[0].click()
    page.type(".message.user textarea", "!\n")
    page.wait(lambda: "is no JSON" in page.text("#notice"))
    assert stored(page)[0]["messages"] == before and page.one(".message.user textarea").get_attribute("value") == "one!"


def test_a_server_that_is_gone(page, start, random_256):
    mine = start("-m", random_256, "-c", 256, "-a", "random")
    page = page(SHORT, mine.url)
    mine.kill()
    send(page, "Hello")
    page.wait(lambda: "The server cannot be reached" in page.text(".error span"))
    assert page.text(".message.user .plain") == "Hello"
    assert all("ERR_CONNECTION_REFUSED" in line for line in page.complaints())


def test_a_server_that_dies_in_the_middle(page, start, random_256):
    mine = start("-m", random_256, "-c", 256, "-a", "random")
    page = page(ENDLESS, mine.url)
    send(page, "Hello")
    page.wait(lambda: len(page.text(ANSWER)) > 20)
    mine.kill()
    page.wait(lambda: "The connection broke off" in page.text(".error span"))
    assert len(page.text(ANSWER)) > 20
    page.complaints()


def test_a_key(page, start, random_256):
    mine = start("-m", random_256, "-c", 256, "-a", "random", "--api-key", "secret")
    page = page(SHORT, mine.url)
    page.wait(lambda: "wants an API key" in page.text("#notice"))
    page.click("#notice .link-button")
    page.wait(lambda: page.run("return document.activeElement.id") == "key")
    page.type("#key", "wrong\n")
    page.wait(lambda: "another API key" in page.text("#notice"))
    page.one("#key").clear()
    page.type("#key", "secret\n")
    page.wait(lambda: page.text("#model") == "random" and not page.one("#notice").is_displayed())
    page.click("#drawer-close")
    send(page, "Hello")
    answered(page)
    assert all("401" in line for line in page.complaints())


def test_storage_that_is_full(page):
    page = page(SHORT)
    page.run("""const fill = (n) => { try { for (let i = 0; ; i++) localStorage.setItem('x' + n + i, 'x'.repeat(n)); } catch {} };
             for (const n of [1000000, 10000, 100, 1]) fill(n)""")
    send(page, "Hello")
    answered(page)
    assert "storage is full" in page.text("#notice")
    page.run("localStorage.clear()")


def test_completion_with_probabilities(page):
    page = page({**SHORT, "n_probs": 3})
    page.click("#mode-text")
    page.type("#prompt", "Once upon")
    page.click("#text-tools .strong")
    page.wait(lambda: page.text("#text-tools .strong") == "Go on")
    assert len(page.all("#output .token")) > 6                   # not all of 12: a piece of a character is no entry
    page.hover(page.all("#output .token")[5])
    page.wait(lambda: page.one("#chances").is_displayed())
    rows = [[cell.text for cell in row.find_elements("css selector", "th, td")] for row in page.all("#chances tr")]
    assert len(rows) == 3 and all(row[2].endswith("%") for row in rows)
    shares = [float(row[2][:-1]) for row in rows]
    assert shares == sorted(shares, reverse=True) and 0 < shares[0] <= 100
    assert len(page.all("#chances .chosen")) == 1 and page.all("#output .token")[5].get_attribute("class") == "token at"
    page.type("#output .tokens", "\ue014\ue014")                 # arrow keys
    page.wait(lambda: page.text("#spoken").count("%") == 3)
    page.type("#output .tokens", "\ue00c")
    assert not page.one("#chances").is_displayed()
    written = stored(page)[0]["output"]["text"]
    page.click("#text-tools .strong")
    page.wait(lambda: page.one("#prompt").get_attribute("value") == "Once upon" + written)


def test_probabilities_in_a_chat(page):
    page = page({**SHORT, "n_probs": 2})
    send(page, "Hello")
    answered(page)
    assert len(page.all(".token")) == 12
    page.hover(page.all(".token")[3])
    page.wait(lambda: len(page.all("#chances tr")) == 2)
    page.click('[aria-label="Show as text"]')
    page.wait(lambda: page.all(".prose") and not page.all(".token"))


def test_settings_start_from_the_server_s_defaults(page):
    page = page()
    page.click("#drawer-open")
    values = page.run("return Object.fromEntries([...document.querySelectorAll('#settings input')].map(i => [i.id, i.value]))")
    assert values["s-temperature"] == "0.8" and values["s-top_k"] == "40" and values["s-min_p"] == "0.05"
    page.one("#s-temperature").clear()
    page.type("#s-temperature", "0.25")
    assert json.loads(page.run("return localStorage['llamacy.settings']")) == {"temperature": 0.25}
    assert page.one('.row.changed [title="Back to 0.8"]').is_displayed()
    page.click('.row.changed [title="Back to 0.8"]')
    assert page.one("#s-temperature").get_attribute("value") == "0.8" and not page.all(".row.changed")
    every = set(page.run("return [...document.querySelectorAll('[id^=s-]')].map(i => i.id.slice(2))"))
    assert {row[0] for row in FIELDS} - {"stream"} <= every


def test_a_json_schema_shapes_the_answer(page):
    schema = '{"enum": ["yes", "no"]}'
    page = page({"temperature": 0, "structure": "json_schema", "structure_text": schema})
    send(page, "Well?")
    assert answered(page)[0] in ('"yes"', '"no"')


def test_system_message(page):
    page = page(SHORT)
    page.click("#drawer-open")
    page.type("#system", "Be brief.")
    page.click("#drawer-close")
    page.run("const old = fetch; window.fetch = (...a) => { if (a[1]?.body) window.asked = JSON.parse(a[1].body); return old(...a); }")
    send(page, "Hello")
    answered(page)
    assert page.run("return window.asked.messages") == [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hello"}]


TEXT = """## Title

Some *soft*, **strong** `code`, [web](https://example.org), [bad](javascript:alert(1)) <img src=x onerror="document.title='owned'">
2*3*4 snake_case_name

- one
- two
  - inner

1. first

```python
print("<b>")
```

| a | b |
|---|---|
| 1 | <i>2</i> |
"""


def test_markdown_is_shown_and_html_is_not(page):
    version = {"probs": [], "stats": None, "error": None, "note": ""}
    page = page(conversations=[{
        "id": "x", "mode": "chat", "title": "<b>title</b>", "system": "", "created": 1, "updated": 1, "prompt": "", "output": None,
        "messages": [{"role": "user", "at": 0, "versions": [{"text": "<u>me</u>", **version}]},
                     {"role": "assistant", "at": 0, "versions": [{"text": " " + TEXT, **version}]}]}])      # as LLaMA begins
    for selector, text in (("h4", "Title"), ("em", "soft"), ("strong", "strong"), ("p > code", "code"), ("a", "web"),
                           ("ul ul li", "inner"), ("ol li", "first"), (".code pre", 'print("<b>")'), ("td + td", "<i>2</i>")):
        assert page.text(f".prose {selector}").strip() == text, selector
    assert [one.get_attribute("href") for one in page.all(".prose a")] == ["https://example.org/"]
    assert not page.all(".prose img, .prose b, .prose i, .message u, #list b")
    assert "<img src=x" in page.text(".prose") and "2*3*4 snake_case_name" in page.text(".prose")
    assert page.driver.title == "<b>title</b> · llamacy"


@pytest.mark.parametrize("dark", [False, True])
def test_colours_follow_the_system_and_the_button(page, dark):
    page = page(SHORT, dark=dark)
    def light():
        red, *_ = map(int, page.one("body").value_of_css_property("background-color").strip("rgba()").split(",")[:3])
        return red > 128
    assert light() is not dark
    page.click("#theme")
    assert light() is dark
    page.driver.refresh()
    page.wait(lambda: page.text("#model"))
    assert light() is dark


def test_a_phone(page):
    long = "a" * 300 + " " + "word " * 50
    wide = f"{long}\n\n```\n{long}\n```\n\n|{'a|' * 40}\n|{'-|' * 40}\n|"
    version = {"probs": [], "stats": None, "error": {"text": "x" * 200, "kind": "server"}, "note": ""}
    page = page(SHORT, width=360, height=640, phone=True, conversations=[{
        "id": "x", "mode": "chat", "title": "t" * 100, "system": "", "created": 1, "updated": 1, "prompt": "", "output": None,
        "messages": [{"role": "user", "at": 0, "versions": [{"text": long, **version}]},
                     {"role": "assistant", "at": 0, "versions": [{"text": wide, **version}]}]}])

    def fits():
        return page.run("return [document.documentElement, document.getElementById('main')].every(e => e.scrollWidth <= e.clientWidth)")
    assert fits() and not page.one("#side").is_displayed()
    page.click("#side-open")
    assert page.one("#side").is_displayed()
    page.click("#new-text")
    page.wait(lambda: page.one("#prompt").is_displayed() and not page.one("#side").is_displayed())
    page.type("#prompt", long)
    assert fits()
    page.click("#drawer-open")
    assert fits() and page.one("#drawer").rect["width"] <= 360
    page.click("#drawer-close")
    for selector in ("#side-open", "#theme", "#drawer-open"):
        assert page.one(selector).rect["width"] >= 32 and page.one(selector).rect["x"] + page.one(selector).rect["width"] <= 360


def test_nothing_comes_from_elsewhere(page):
    page = page(SHORT)
    send(page, "Hello")
    answered(page)
    loaded = page.run("return performance.getEntriesByType('resource').map(e => e.name)")
    assert len(loaded) > 10 and all(name.startswith(page.driver.current_url) for name in loaded)


def test_a_question_in_the_address(page, server):
    page = page(SHORT)
    page.driver.get(server.url + "/?q=Hello%20there")
    answered(page)
    assert page.text(".message.user .plain") == "Hello there" and page.driver.current_url == server.url + "/"


def test_every_control_has_a_name(page):
    page = page(SHORT)
    page.click("#drawer-open")
    send(page, "Hello")
    answered(page)
    nameless = page.run("""return [...document.querySelectorAll('button, input:not([type=file]), textarea, select')].filter(e =>
        !(e.getAttribute('aria-label') || e.textContent.trim() && e.tagName == 'BUTTON' || e.labels?.length)).map(e => e.outerHTML)""")
    assert nameless == []


def test_functions_for_pages_of_others(page, server):
    page = page(SHORT)
    found = page.driver.execute_async_script("""const done = arguments[0];
        import('/completion.js').then(async (m) => {
            const options = { n_predict: 5, temperature: 0 };
            let text = '';
            for await (const chunk of m.llama('Once', options)) text += chunk.data.content;
            const events = [];
            const target = m.llamaEventTarget('Once', options);
            for (const name of ['message', 'generation_settings', 'timings']) target.addEventListener(name, () => events.push(name));
            const last = await new Promise((resolve) => target.addEventListener('done', (event) => resolve(event.detail.content)));
            done([text, last, await m.llamaPromise('Once', options), [...new Set(events)], (await m.llamaModelInfo()).n_predict]);
        })""")
    text, last, whole, events, n_predict = found
    assert text == last == whole and text and set(events) == {"message", "generation_settings", "timings"} and n_predict == 5


def test_a_server_that_does_as_openai_does(page, start, random_256):
    mine = start("-m", random_256, "-c", 512, "-a", "random", "--openai-strict", "--slots-endpoint-disable")
    page = page({**SHORT, "n_probs": 2}, mine.url)
    send(page, "Hello")
    answered(page)
    assert len(page.all(".token")) > 6 and page.text(".stats").startswith("12 tokens") and not page.all(".error")
    page.hover(page.all(".token")[3])
    page.wait(lambda: len(page.all("#chances tr")) == 2)
    assert not page.one("#slots").is_displayed()
    assert all("/slots" in line and "501" in line for line in page.complaints())


def test_another_window(page, server):
    page = page(SHORT)
    first = page.driver.current_window_handle
    page.driver.switch_to.new_window("tab")
    page.driver.get(server.url)
    page.wait(lambda: page.text("#model"))
    send(page, "from the other")
    answered(page)
    page.driver.close()
    page.driver.switch_to.window(first)
    page.wait(lambda: "from the other" in [one.text for one in page.all("#list .open span")])


async def test_behind_a_prefix(serve, random_256, window):
    """A proxy serves all of it below /llm/."""
    api = await serve("-m", random_256, "-c", 512, "-a", "random")

    async def proxy(request):
        url = api.make_url("/" + request.match_info["path"])
        body, kind = await request.read(), {"Content-Type": "application/json"}
        async with api.session.request(request.method, url, data=body, headers=kind) as answer:
            return web.Response(status=answer.status, body=await answer.read(), content_type=answer.content_type)

    app = web.Application()
    app.router.add_route("*", "/llm/{path:.*}", proxy)
    front = TestServer(app, host="127.0.0.1")
    await front.start_server()

    def look():
        window.open(str(front.make_url("/llm")), SHORT)
        window.wait(lambda: window.text("#model") == "random")
        send(window, "Hello")
        return answered(window)

    try:
        assert (await asyncio.to_thread(look))[0]
    finally:
        await front.close()
