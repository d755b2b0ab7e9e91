"""Control vectors: reading, scaling and summing the files, and what a run does with them."""

from array import array

import pytest

from llamacy.cli.control import load
from llamacy.errors import LlamacyError
from llamacy.gguf import GGUFWriter

SIZE = 256          # n_embd of the random model


@pytest.fixture
def vectors(tmp_path):
    """A function: name and {tensor name: (shape, type, bytes)} or {layer: value} -> path of a control vector file."""

    def write(name, tensors, size=SIZE):
        with GGUFWriter(tmp_path / name) as writer:
            writer.add("general.architecture", "str", b"controlvector")
            for key, value in tensors.items():
                if not isinstance(value, tuple):
                    value = (size,), 0, array("f", [value] * size).tobytes()
                writer.add_tensor(key if isinstance(key, str) else f"direction.{key}", *value)
        return str(tmp_path / name)

    return write


def test_scaled_and_summed(vectors):
    one, two = vectors("one", {1: 1.0, 3: 2.0}), vectors("two", {2: 5.0, 3: 0.5, "other": 9.0})
    total = load([(one, 0.5), (two, -1.0)])
    assert {layer: (len(vector), vector[0], vector[-1]) for layer, vector in total.items()} == {
        1: (SIZE, 0.5, 0.5), 2: (SIZE, -5.0, -5.0), 3: (SIZE, 0.5, 0.5)}


@pytest.mark.parametrize("tensors, message", [
    ({"other": 1.0}, "no direction tensors found in"),
    ({0: 1.0}, "direction tensor invalid in"),
    ({"direction.x": 1.0}, "direction tensor invalid in"),
    ({"direction.1": ((16, 16), 0, bytes(1024))}, "direction tensor invalid in"),
    ({"direction.1": ((SIZE,), 1, bytes(512))}, "direction tensor invalid in"),
    ({1: 1.0, "direction.2": ((8,), 0, bytes(32))}, "direction tensor sizes mismatched in"),
])
def test_bad_file(vectors, tensors, message):
    with pytest.raises(LlamacyError, match=f"^llama_control_vector_load_one: {message}"):
        load([(vectors("bad", tensors), 1.0)])


def test_files_must_agree(vectors):
    files = [(vectors("a", {1: 1.0, 2: 1.0}), 1.0), (vectors("b", {1: 1.0, 3: 1.0}), 1.0)]
    with pytest.raises(LlamacyError, match="^llama_control_vector_load: control vector in .*b does not match previous"):
        load(files)


def test_in_a_run(run_main, random_256, vectors):
    def text(*flags):
        done = run_main("-m", random_256, "-t", "1", "--temp", "0", "-p", "Hello", "-n", "12", *flags)
        assert done.returncode == 0, done.stderr
        return done.stdout

    plain, strong = text(), vectors("strong", {1: 3.0, 2: -3.0})
    assert text("--control-vector-scaled", strong, "0") == plain
    assert text("--control-vector", strong) != plain
    assert text("--control-vector", strong, "--control-vector-layer-range", "3", "3") == plain
    assert text("--control-vector", strong, "--control-vector-scaled", strong, "-1") == plain


def test_of_another_model(run_main, random_256, vectors):
    done = run_main("-m", random_256, "-n", "1", "--control-vector", vectors("short", {1: 1.0}, size=8))
    assert done.returncode == 1
    assert done.stderr.endswith(b"control vector n_embd does not match model\nmain: error: unable to load model\n")
