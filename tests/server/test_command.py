"""The command as a process: log, exit codes, signals, TLS."""

import json
import os
import signal
import socket
import ssl
import subprocess
import threading
import time
import urllib.error
import urllib.request
import zlib

import pytest

from tests.conftest import command


def lines_of(process, last):
    """Log lines as JSON until the message `last` has come."""
    found = []
    for line in process.stdout:
        found.append(json.loads(line))
        if found[-1]["msg"] == last:
            return found
    raise AssertionError(f"ended with {process.wait()} before '{last}': {found}")


@pytest.fixture
def start(tmp_path):
    """start(*flags) -> (Popen, port, log lines of the start)."""
    running = []

    def run(*flags, wait="all slots are idle"):
        process = subprocess.Popen([*command("server"), "-t", "1", *map(str, flags)], cwd=tmp_path, stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE, text=True)
        running.append(process)
        lines = lines_of(process, wait)
        port = next(line["port"] for line in lines if line["msg"] == "HTTP server listening")
        return process, int(port), lines

    yield run
    for process in running:
        if process.poll() is None:
            process.kill()
        process.communicate()


def post(port, path, body, scheme="http", context=None, timeout=60):
    request = urllib.request.Request(f"{scheme}://127.0.0.1:{port}{path}", json.dumps(body).encode())
    with urllib.request.urlopen(request, context=context, timeout=timeout) as response:
        return json.loads(response.read())


def test_start_and_end(start, random_256, tmp_path):
    process, port, lines = start("-m", random_256, "--port", 0, "-np", 2, "-c", 512)
    assert [line["msg"] for line in lines] == [
        "build info", "system info", "initializing slots", "new slot", "new slot", "model loaded", "chat template",
        "HTTP server listening", "all slots are idle"]
    assert all(list(line)[:6] == ["tid", "timestamp", "level", "function", "line", "msg"] for line in lines)
    assert lines[6]["chat_example"].startswith("<|im_start|>system\n") and lines[6]["built_in"] is True
    assert post(port, "/completion", {"prompt": "a", "n_predict": 2})["tokens_predicted"] == 2
    told = [line["msg"] for line in lines_of(process, "request")]
    assert told[:2] == ["slot is processing task", "kv cache rm [p0, end)"]
    assert told[-3:] == ["slot released", "all slots are idle", "request"]
    assert (tmp_path / "llama.log").read_bytes().endswith(b"warming up the model with an empty run\n")
    process.send_signal(signal.SIGTERM)
    assert process.wait(10) == 0


def test_a_signal_lets_answers_finish(start, random_256):
    process, port, _ = start("-m", random_256, "--port", 0, "-c", 2048)
    answers = []
    body = {"prompt": "a", "n_predict": 600, "ignore_eos": True}
    asking = threading.Thread(target=lambda: answers.append(post(port, "/completion", body)))
    asking.start()
    lines_of(process, "slot is processing task")
    process.send_signal(signal.SIGINT)
    asking.join(60)
    assert answers and answers[0]["tokens_predicted"] == 600
    assert process.wait(10) == 0


def test_a_second_signal_ends_at_once(start, random_256):
    process, port, _ = start("-m", random_256, "--port", 0, "-c", 2048)
    with socket.create_connection(("127.0.0.1", port)) as client:
        body = b'{"prompt":"a","n_predict":1000000,"ignore_eos":true}'
        client.sendall(b"POST /completion HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))
        lines_of(process, "slot is processing task")
        process.send_signal(signal.SIGTERM)
        time.sleep(0.2)
        assert process.poll() is None
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 1
    assert process.stderr.read().endswith("Received second interrupt, terminating immediately.\n")


def test_model_that_is_not_there(tmp_path):
    done = subprocess.run([*command("server"), "-m", "nothing.gguf", "--port", "0"], cwd=tmp_path, capture_output=True, timeout=60)
    last = json.loads(done.stdout.splitlines()[-1])
    assert done.returncode == 1 and (last["level"], last["msg"], last["model"]) == ("ERR", "unable to load model", "nothing.gguf")
    assert done.stderr.endswith(b"llama_init_from_gpt_params: error: failed to load model 'nothing.gguf'\n")


def test_no_model_named(start):
    process, port, _ = start("--port", 0)
    answer = post(port, "/completion", {"prompt": "Once upon a time", "n_predict": 8, "temperature": 0})
    assert answer["content"].startswith(", ") and answer["tokens_predicted"] == 8 and answer["model"] == "bundled"
    process.send_signal(signal.SIGTERM)
    _, stderr = process.communicate(timeout=10)
    assert stderr.count("no model was named and models/7B/ggml-model-f16.gguf does not exist: using the bundled one") == 1


def test_address_that_cannot_be_had(random_256, tmp_path):
    done = subprocess.run([*command("server"), "-m", random_256, "--host", "203.0.113.1", "--port", "1"], cwd=tmp_path,
                          capture_output=True, timeout=60)
    assert done.returncode == 1
    assert done.stderr == b"\ncouldn't bind to server socket: hostname=203.0.113.1 port=1\n\n"


def test_text_log_and_keys(start, random_256):
    process = subprocess.Popen([*command("server"), "-m", str(random_256), "--port", "0", "--log-format", "text", "--log-disable",
                                "--api-key", "secret-abcd"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    seen = []
    try:
        for line in process.stdout:
            seen.append(line)
            if "all slots are idle" in line:
                break
    finally:
        process.terminate()
        process.communicate()
    assert "warming up the model with an empty run\n" in seen
    assert any(line.startswith("INFO [                    main] model loaded | tid=\"") for line in seen)
    assert any('api_key="api_key: ****abcd"' in line for line in seen) and not any("secret" in line for line in seen)


def test_tls(start, random_256, tmp_path):
    made = subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "key.pem", "-out", "cert.pem", "-days",
                           "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"], cwd=tmp_path, capture_output=True)
    if made.returncode:
        pytest.skip("openssl cannot make a certificate here")
    process, port, _ = start("-m", random_256, "--port", 0, "--ssl-key-file", tmp_path / "key.pem",
                             "--ssl-cert-file", tmp_path / "cert.pem")
    trust = ssl.create_default_context(cafile=tmp_path / "cert.pem")
    assert post(port, "/completion", {"prompt": "a", "n_predict": 1}, "https", trust)["tokens_predicted"] == 1
    with pytest.raises((urllib.error.URLError, ConnectionError, OSError)):
        post(port, "/completion", {"prompt": "a"})
    bad = subprocess.run([*command("server"), "-m", str(random_256), "--port", "0", "--ssl-key-file", os.devnull, "--ssl-cert-file",
                          os.devnull], capture_output=True, timeout=60)
    assert bad.returncode == 1 and b"error: --ssl-cert-file, --ssl-key-file: " in bad.stderr


def test_curl_lines_of_the_tutorial(start, random_256):
    process, port, _ = start("-m", random_256, "--port", 0, "-c", 512)
    body = {"prompt": "以下是一个问题：\n\n### Instruction:\n列举5条文明乘车的建议\n\n### Response:\n", "seed": 1234, "n_predict": 16,
            "top_k": 40, "top_p": 0.9, "temperature": 0.2, "repeat_penalty": 1.1}
    done = subprocess.run(["curl", "-s", "--request", "POST", "--url", f"http://localhost:{port}/completion", "--header",
                           "Content-Type: application/json", "--data", json.dumps(body, ensure_ascii=False)],
                          capture_output=True, timeout=60)
    answer = json.loads(done.stdout)
    assert answer["prompt"] == body["prompt"] and answer["tokens_predicted"] == 16
    assert answer["generation_settings"]["temp"] == answer["generation_settings"]["temperature"] == 0.20000000298023224


def test_packed_bodies_stay_packed(start, random_256):
    """A few MB can hold GB of zeros: a server that unpacks them answers nobody meanwhile."""
    process, port, _ = start("-m", random_256, "--port", 0, "-c", 512)
    packer = zlib.compressobj(1, zlib.DEFLATED, 31)
    body = packer.compress(b'{"prompt":"a","n_predict":1}' + b" " * (1 << 24)) + packer.flush()
    request = urllib.request.Request(f"http://127.0.0.1:{port}/completion", body,
                                     {"Content-Encoding": "gzip", "Content-Type": "application/json"})
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(request, timeout=60)
    assert refused.value.code == 500 and b"invalid UTF-8 byte" in refused.value.read()


def test_clients_that_never_finish_their_request(start, random_256):
    process, port, _ = start("-m", random_256, "--port", 0, "-c", 512, "-to", 1)
    with socket.create_connection(("127.0.0.1", port)) as headers, socket.create_connection(("127.0.0.1", port)) as body:
        headers.sendall(b"POST /completion HTTP/1.1\r\nHost: a\r\nX-Slow: ")
        body.sendall(b"POST /completion HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n{")
        headers.settimeout(20)
        body.settimeout(20)
        assert body.recv(100).startswith(b"HTTP/1.1 408 ")
        try:
            assert headers.recv(100) == b""
        except ConnectionResetError:
            pass
    assert post(port, "/completion", {"prompt": "a", "n_predict": 1})["tokens_predicted"] == 1
    process.terminate()
    assert process.wait(10) == 0 and process.stderr.read().count("Traceback") == 0
