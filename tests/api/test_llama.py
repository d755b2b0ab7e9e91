"""`Llama`: the same answers as llama-cpp-python (golden/llama_api.json), several threads, streams that are left, no leaks."""

import gc
import json
import math
import os
import pickle
import re
import subprocess
import sys
import threading
import warnings
from pathlib import Path

import pytest

from llamacy import Llama, LlamaGrammar, LogitsProcessorList, StoppingCriteriaList
from llamacy.errors import GrammarError

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "llama_api.json").read_text())
PROMPT = "Once upon a time"


@pytest.fixture(scope="module")
def stories(shared):
    return shared / "data" / "models" / GOLDEN["model"]


def make(path, **settings):
    return Llama(path, **{"n_ctx": 256, "n_threads": 1, "verbose": False, **settings})


@pytest.fixture
def llama(random_256):
    with make(random_256) as made:
        yield made


@pytest.fixture
def story(stories):
    with make(stories) as made:
        yield made


def plain(found):
    """Without what differs from run to run."""
    if isinstance(found, dict):
        return {key: plain(value) for key, value in found.items() if key not in ("id", "created", "model")}
    return [plain(value) for value in found] if isinstance(found, list) else found


def near(found, expected):
    """Equal; floats to five digits."""
    if isinstance(expected, dict):
        return found.keys() == expected.keys() and all(near(found[key], expected[key]) for key in expected)
    if isinstance(expected, list):
        return len(found) == len(expected) and all(map(near, found, expected))
    if isinstance(expected, float):
        return math.isclose(found, expected, rel_tol=1e-4, abs_tol=1e-5)
    return found == expected and type(found) is type(expected)


def joined(chunks):
    """A stream's text and the reason that its last chunk gives."""
    def text(choice):
        return choice["text"] if "text" in choice else choice["delta"].get("content", "")
    return "".join(text(chunk["choices"][0]) for chunk in chunks), chunks[-1]["choices"][0]["finish_reason"]


@pytest.mark.parametrize("case", GOLDEN["cases"], ids=lambda case: f"{case['method']} {case['init']} {case['kwargs']}"[:90])
def test_answers_are_those_of_the_reference(case, stories):
    settings = dict(case["kwargs"])
    if case["grammar"]:
        settings["grammar"] = LlamaGrammar.from_string(case["grammar"])
    with make(stories, **case["init"]) as made:
        found = getattr(made, case["method"])(*case["args"], **settings)
        if settings.get("stream"):
            assert joined([plain(chunk) for chunk in found]) == joined(case["result"])
        else:
            assert near(plain(found), case["result"]), json.dumps(plain(found))


def test_tokens_and_texts_are_those_of_the_reference(story):
    for row in GOLDEN["tokens"]:
        ids = story.tokenize(row["text"].encode(), **row["kwargs"])
        assert (ids, story.detokenize(ids).decode("utf-8", "replace")) == (row["ids"], row["back"])


def test_embeddings_are_those_of_the_reference(stories):
    with make(stories, embedding=True) as made:
        found = plain(made.create_embedding("Hello world"))
        for row in found["data"]:
            row["embedding"] = [[round(x, 4) for x in vector[:6]] for vector in row["embedding"]]
        for rows, others in zip(found["data"], GOLDEN["embedding"]["data"]):
            assert [pytest.approx(row, abs=2e-3) for row in rows.pop("embedding")] == others.pop("embedding")
        assert found == GOLDEN["embedding"]


# ---------------------------------------------------------------------------------------------- texts, on any model


def test_same_text_streamed_cached_and_in_a_new_object(llama, random_256):
    whole = llama(PROMPT, max_tokens=24, seed=5)
    streamed = list(llama(PROMPT, max_tokens=24, seed=5, stream=True))
    with make(random_256, n_threads=2) as other:
        fresh = other(PROMPT, max_tokens=24, seed=5)
    text = whole["choices"][0]["text"]
    assert text and joined(streamed) == (text, "length") and fresh["choices"][0]["text"] == text
    assert whole["usage"]["completion_tokens"] == 24 and "usage" not in streamed[-1]
    assert re.fullmatch(r"cmpl-[0-9a-f-]{36}", whole["id"]) and {chunk["id"] for chunk in streamed} == {streamed[0]["id"]}


def test_seed_of_the_object_fixes_the_sequence_of_answers(random_256):
    def answers():
        with make(random_256, seed=3) as made:
            return [made(PROMPT, max_tokens=6)["choices"][0]["text"] for _ in range(3)]
    first = answers()
    assert first == answers() and len(set(first)) > 1


def test_bad_requests_are_refused_and_harm_nothing(llama):
    before = llama(PROMPT, max_tokens=4, temperature=0)["choices"]
    with pytest.raises(ValueError, match=r"Requested tokens \(\d+\) exceed context window of 256"):
        llama("a " * 600)
    with pytest.raises(ValueError, match="a prompt must have tokens"):
        llama.create_completion([10 ** 6])
    with pytest.raises(TypeError, match="'temprature' is no setting of an answer: did you mean 'temperature'"):
        llama(PROMPT, temprature=0)
    with pytest.raises(ValueError, match="logit_bias"):
        llama(PROMPT, logit_bias={"x": 1})
    with pytest.raises(ValueError, match="logits_all"):
        llama(PROMPT, logprobs=1, echo=True)
    with pytest.raises(TypeError, match="bytes"):
        llama.tokenize("text")
    with pytest.raises(ValueError, match="chat_format 'nonsense' is unknown"):
        make(llama.model_path, chat_format="nonsense")
    with pytest.raises(TypeError, match="unexpected keyword argument 'n_ctxx'"):
        make(llama.model_path, n_ctxx=3)
    with pytest.raises(OSError):
        make("no such file.gguf")
    assert llama(PROMPT, max_tokens=4, temperature=0)["choices"] == before


def test_logit_bias_grammar_processors_and_criteria(llama):
    id = llama.tokenize(b" b", add_bos=False)[-1]
    text = llama(PROMPT, max_tokens=3, logit_bias={str(id): 1000.0})["choices"][0]["text"].encode()
    assert text == llama.detokenize([id] * 3)
    answer = llama(PROMPT, grammar=LlamaGrammar.from_string('root ::= "yes" | "no"'), max_tokens=9, temperature=0)
    assert answer["choices"][0]["text"] in ("yes", "no") and answer["choices"][0]["finish_reason"] == "stop"
    assert llama(PROMPT, grammar='root ::= "yes" | "no"', max_tokens=9, temperature=0)["choices"] == answer["choices"]
    with pytest.raises(GrammarError):
        llama(PROMPT, grammar="root ::= (")

    def only(ids, scores):
        assert ids[0] == llama.token_bos() and scores.shape == (llama.n_vocab(),)
        scores[:] = -1e9
        scores[id] = 0
        return scores
    found = llama(PROMPT, max_tokens=3, logits_processor=LogitsProcessorList([only]))
    assert found["choices"][0]["text"].encode() == llama.detokenize([id] * 3)
    n = len(llama.tokenize(PROMPT.encode()))
    found = llama(PROMPT, max_tokens=30, stopping_criteria=StoppingCriteriaList([lambda ids, scores: len(ids) >= n + 4]))
    assert found["usage"]["completion_tokens"] == 4 and found["choices"][0]["finish_reason"] == "stop"


def test_callback_cannot_use_its_own_llama(llama):
    with pytest.raises(RuntimeError, match="callbacks"):
        llama(PROMPT, stopping_criteria=lambda ids, scores: llama(PROMPT))
    assert llama(PROMPT, max_tokens=1)["choices"]


def test_gpu_layers_are_accepted_with_a_warning(random_256):
    with pytest.warns(UserWarning, match="n_gpu_layers=-1: this build computes on the CPU"):
        make(random_256, n_gpu_layers=-1).close()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        make(random_256, n_gpu_layers=0, main_gpu=0).close()


def test_metadata_and_sizes(llama):
    assert llama.metadata["general.architecture"] == "llama" and llama.n_ctx() == 256
    assert llama.n_embd() == int(llama.metadata["llama.embedding_length"])
    assert 0 <= llama.token_bos() < llama.n_vocab() and 0 <= llama.token_eos() < llama.n_vocab()


# ------------------------------------------------------------------------------------------------------------- chats

HELLO = [{"role": "user", "content": "Hello"}]


def test_chat_in_json(llama):
    schema = {"type": "object", "properties": {"a": {"type": "boolean"}}, "required": ["a"]}
    for wanted in ({"type": "json_object", "schema": schema},
                   {"type": "json_schema", "json_schema": {"schema": schema}}):
        answer = llama.create_chat_completion(HELLO, response_format=wanted, max_tokens=40, temperature=0)
        message = answer["choices"][0]["message"]
        assert message["role"] == "assistant" and isinstance(json.loads(message["content"])["a"], bool)
    with pytest.raises(ValueError, match="response_format"):
        llama.create_chat_completion(HELLO, response_format={"type": "xml"})


TOOL = {"name": "light", "parameters": {"type": "object", "properties": {"on": {"type": "boolean"}}, "required": ["on"]}}


@pytest.fixture
def talker(random_256):
    with make(random_256, n_ctx=1024) as made:
        yield made


def test_tool_calls(talker):
    llama = talker
    settings = {"tools": [{"type": "function", "function": TOOL}], "tool_choice": "required", "max_tokens": 80,
                "temperature": 0}
    whole = llama.create_chat_completion(HELLO, **settings)["choices"][0]
    call = whole["message"]["tool_calls"][0]
    assert whole["finish_reason"] == "tool_calls" and call["function"]["name"] == "light"
    assert json.loads(call["function"]["arguments"]).keys() == {"on"}
    chunks = [chunk["choices"][0] for chunk in llama.create_chat_completion(HELLO, stream=True, **settings)]
    assert chunks[0]["delta"] == {"role": "assistant"} and chunks[-1]["finish_reason"] == "tool_calls"
    assert chunks[1]["delta"]["tool_calls"][0]["function"] == call["function"] and len(chunks) == 3
    old = llama.create_chat_completion(HELLO, functions=[TOOL], function_call={"name": "light"}, max_tokens=80)["choices"][0]
    assert old["finish_reason"] == "function_call" and old["message"]["function_call"]["name"] == "light"


def test_text_beside_tools_is_streamed(talker):
    """An answer that does not begin with a brace is no call, and is passed on as it comes."""
    llama = talker
    settings = {"tools": [{"type": "function", "function": TOOL}], "max_tokens": 20, "seed": 4,
                "logit_bias": {str(id): -1000.0 for id in llama.tokenize(b"{", add_bos=False)}}
    chunks = list(llama.create_chat_completion(HELLO, stream=True, **settings))
    whole = llama.create_chat_completion(HELLO, **settings)["choices"][0]
    assert joined(chunks) == (whole["message"]["content"], whole["finish_reason"]) and len(chunks) > 3


def test_bad_chats(llama):
    for messages in (["no dict"], "text", [3]):
        with pytest.raises(ValueError):
            llama.create_chat_completion(messages)
    with pytest.raises(ValueError, match="tools"):
        llama.create_chat_completion(HELLO, tools=[{"type": "function", "function": {"name": "a b"}}])


@pytest.mark.parametrize("name", ["chatml", "llama-2", "llama-3", "{{ bos_token }}{% for m in messages %}{{ m.content }}{% endfor %}"])
def test_formats_put_one_bos_before_a_prompt(random_256, name):
    with make(random_256, chat_format=name) as made:
        list(made.create_chat_completion(HELLO, max_tokens=1, stream=True))
        assert made.eval_tokens[0] == made.token_bos() and made.eval_tokens[1] != made.token_bos()


# ------------------------------------------------------------------------------------------------------ step by step


def test_eval_sample_generate_and_states(random_256):
    with make(random_256, logits_all=True) as made, make(random_256) as other:
        ids = made.tokenize(PROMPT.encode())
        made.eval(ids[:2])
        made.eval(ids[2:])
        assert made.eval_tokens == ids and made.n_tokens == len(ids) and len(made.eval_logits) == len(ids)
        best = int(made.scores[len(ids) - 1].argmax())
        assert made.sample(temp=0, repeat_penalty=1.0) == best
        state = pickle.loads(pickle.dumps(made.save_state()))
        steps = made.generate(ids, temp=0, repeat_penalty=1.0)
        follow = [next(steps) for _ in range(6)]
        steps.close()
        assert follow[0] == best
        made.reset()
        assert made.n_tokens == 0
        made.load_state(state)
        assert made.eval_tokens == ids and made.sample(temp=0, repeat_penalty=1.0) == best
        other.eval(ids)
        assert other.eval_logits == made.eval_logits[-1:]
        with pytest.raises(ValueError, match="logits_all"):
            other.scores


def test_embeddings_pooled_and_cut(random_256):
    with make(random_256, embedding=True, pooling_type=1, n_batch=32) as made:
        vector = made.embed("Hello world", normalize=True)
        assert len(vector) == made.n_embd() and math.isclose(sum(x * x for x in vector), 1, rel_tol=1e-5)
        assert len(made.create_embedding(["a", "b"])["data"]) == 2
        assert len(made.embed("long " * 60)) == made.n_embd()
        with pytest.raises(ValueError, match="at most n_batch = 32"):
            made.embed("long " * 60, truncate=False)
    with make(random_256) as made, pytest.raises(RuntimeError, match="embedding=True"):
        made.embed("a")


# ------------------------------------------------------------------------------------------- threads, endings, memory


def test_threads_wait_for_each_other(llama):
    alone = {seed: llama(PROMPT, max_tokens=12, seed=seed)["choices"][0]["text"] for seed in range(4)}
    found = {}

    def work(seed):
        if seed % 2:
            found[seed] = joined(list(llama(PROMPT, max_tokens=12, seed=seed, stream=True)))[0]
        else:
            found[seed] = llama(PROMPT, max_tokens=12, seed=seed)["choices"][0]["text"]
    workers = [threading.Thread(target=work, args=(seed,)) for seed in alone]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    assert found == alone


def test_streams_side_by_side_in_one_thread(llama):
    texts = [joined(list(llama(prompt, max_tokens=8, seed=1, stream=True)))[0] for prompt in ("One", "Another day")]
    streams = [llama(prompt, max_tokens=8, seed=1, stream=True) for prompt in ("One", "Another day")]
    found = [[], []]
    for _ in range(20):
        for stream, chunks in zip(streams, found):
            chunks += [chunk for chunk in [next(stream, None)] if chunk]
    assert [joined(chunks)[0] for chunks in found] == texts


def test_stream_that_nobody_reads_gives_way_to_other_threads(llama):
    stream = llama(PROMPT, max_tokens=100, stream=True)
    next(stream)
    done = threading.Event()
    threading.Thread(target=lambda: (llama(PROMPT, max_tokens=2), done.set())).start()
    assert done.wait(30)
    assert next(stream)["choices"]
    stream.close()
    assert list(stream) == []


def test_close_from_another_thread_stops_a_step(random_256):
    with make(random_256, n_ctx=4096, n_batch=4096, n_ubatch=4096) as made:
        stream = made.create_completion([1] + [5] * 4000, max_tokens=50, stream=True)
        ended = []
        reader = threading.Thread(target=lambda: ended.append(list(stream)))
        reader.start()
        while not made._turns.working(stream) and reader.is_alive():
            pass
        stream.close()
        reader.join(20)
        assert not reader.is_alive() and ended == [[]]
        assert made(PROMPT, max_tokens=2)["usage"]["completion_tokens"] == 2


def test_interrupt_reaches_the_caller(repo, random_256):
    code = f"""
import os, signal, sys, threading
sys.path.insert(0, {str(repo)!r})
from llamacy import Llama
llama = Llama({str(random_256)!r}, n_ctx=4096, n_batch=4096, n_ubatch=4096, n_threads=1, verbose=False)
threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT)).start()
try:
    while True:
        llama.create_completion([1] + [5] * 4000, max_tokens=20)
        llama.reset()
except KeyboardInterrupt:
    print(len(llama("Once", max_tokens=3)["choices"]))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert (done.stdout, done.stderr, done.returncode) == ("1\n", "", 0)


def test_closing_gives_everything_back(random_256):
    def held():
        gc.collect()
        maps = Path("/proc/self/maps").read_text()
        return maps.count(random_256.name), len(os.listdir("/proc/self/task")), len(os.listdir("/proc/self/fd"))

    make(random_256).close()
    before = held()
    made = make(random_256, n_threads=3, embedding=True)
    stream = made(PROMPT, max_tokens=30, stream=True)
    next(stream)
    made.embed("a")
    assert held()[0] > before[0] and held()[1] > before[1]
    made.close()
    made.close()
    assert held() == before
    assert list(stream) == []
    for call in (made.n_ctx, made.reset, lambda: made(PROMPT), lambda: made.tokenize(b"a"), lambda: made.token_eos()):
        with pytest.raises(ValueError, match="this Llama is closed"):
            call()


def test_quiet_and_verbose(repo, random_256):
    code = "import sys; sys.path.insert(0, {!r}); from llamacy import Llama\n" \
           "print(len(Llama({!r}, n_threads=1, verbose={})('a', max_tokens=2)['choices']))"
    for verbose in (False, True):
        done = subprocess.run([sys.executable, "-c", code.format(str(repo), str(random_256), verbose)], capture_output=True,
                              text=True, timeout=60)
        assert done.stdout == "1\n" and ("llama_model_loader: " in done.stderr) == verbose == bool(done.stderr)


def test_importing_the_package_loads_nothing(repo):
    code = f"import sys; sys.path.insert(0, {str(repo)!r}); bare = set(sys.modules); import llamacy\n" \
           "print(*(name for name in sys.modules if name not in bare)); from llamacy import Llama; print(Llama.__name__)"
    done = subprocess.run([sys.executable, "-S", "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout == "llamacy\nLlama\n", done.stderr


def test_types(repo, tmp_path):
    """mypy, strict, over the package's interface and a program that uses it."""
    mypy = pytest.importorskip("mypy.api", reason="mypy is not installed")
    program = tmp_path / "program.py"
    program.write_text(
        "from llamacy import Llama, LlamaGrammar\n"
        "with Llama('m.gguf', n_ctx=512) as llama:\n"
        "    text: str = llama('a', max_tokens=3, temperature=0.0)['choices'][0]['text']\n"
        "    for chunk in llama.create_completion('a', stream=True, grammar=LlamaGrammar.from_string('root ::= \"a\"')):\n"
        "        part: str = chunk['choices'][0]['text']\n"
        "    answer = llama.create_chat_completion([{'role': 'user', 'content': 'a'}])\n"
        "    content: str | None = answer['choices'][0]['message']['content']\n"
        "    llama('a', temprature=1)  # type: ignore[call-overload]\n")
    out, err, status = mypy.run(["--strict", "--allow-untyped-calls", "--no-warn-return-any", "--python-version", "3.11",
                                 "--follow-imports=silent", "--cache-dir", str(tmp_path / "cache"),
                                 str(repo / "llamacy" / "api"), str(program)])
    assert status == 0, out + err
