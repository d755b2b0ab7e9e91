"""Tensors of a checkpoint: their numbers as other types, rearrangements, merging of parts, order."""

import json

import pytest

np = pytest.importorskip("numpy", reason="llamacy.convert needs numpy")

from llamacy.convert import _values, checkpoint, llama, output, params, tensor
from llamacy.convert.errors import ConvertError
from llamacy.convert.log import WARNING, Log
from llamacy.convert.tensor import Tensor
from tests.unit import convert_files as files

QUIET = Log(WARNING)


@pytest.fixture
def rng():
    return np.random.default_rng(7)


def made(array, dtype="F32"):
    return Tensor(dtype, [np.asarray(array, files.DTYPES[dtype])])


# --- numbers

def special_floats(rng, n=1 << 16):
    x = rng.standard_normal(n).astype(np.float32) * rng.choice([1e-8, 1e-5, 1, 1000, 7e4], n).astype(np.float32)
    x[:96] = 0
    x[100:104] = [65504, 65519.9, 65520, 6.1e-5]
    return x


def q8_0(x):
    blocks = x.reshape(-1, 32)
    d = np.abs(blocks).max(axis=1) / np.float32(127)
    with np.errstate(all="ignore"):
        q = np.where(d[:, None] == 0, 0, np.rint(blocks / d[:, None]))
    found = np.empty(len(blocks), [("d", "<f2"), ("q", "i1", 32)])
    found["d"], found["q"] = d, q
    return found.tobytes()


def test_numbers_become_others_as_numpy_has_it(rng):
    x = special_floats(rng)
    with np.errstate(over="ignore"):
        half = x.astype(np.float16)
    bits = files.bf16(x)
    wide = (bits.astype(np.uint32) << 16).view(np.float32)
    def convert(array, source, target):
        return _values.convert(source, target, array.view(np.uint8))
    assert convert(x, 0, 1) == (half.tobytes(), np.isinf(half).sum()) and np.isinf(half).sum() > 100
    assert convert(x, 0, 8) == (q8_0(x), 0)
    assert convert(half, 1, 0) == (half.astype(np.float32).tobytes(), np.isinf(half).sum())
    assert convert(bits, 30, 0) == (wide.tobytes(), 0)
    assert convert(bits, 30, 8) == (q8_0(wide), 0)
    with np.errstate(over="ignore"):
        assert convert(bits, 30, 1)[0] == wide.astype(np.float16).tobytes()


def test_q8_0_divides_by_the_unrounded_scale_and_rounds_ties_to_even():
    block = np.zeros(32, np.float32)
    block[:5] = [127, 0.5, 1.5, 2.5, -0.5]
    raw, _ = _values.convert(0, 8, block.view(np.uint8))
    assert raw[:2] == np.float16(1).tobytes() and np.frombuffer(raw[2:7], np.int8).tolist() == [127, 0, 2, 2, 0]


def test_data_of_any_alignment(rng):
    x = rng.standard_normal(64).astype(np.float32)
    raw = bytearray(b"?" + x.tobytes())
    assert _values.convert(0, 8, memoryview(raw)[1:])[0] == q8_0(x)


@pytest.mark.parametrize("source, target, n", [(0, 8, 4 * 31), (0, 1, 3), (0, 1, 0), (24, 0, 8), (0, 2, 128)])
def test_numbers_that_do_not_fit(source, target, n):
    with pytest.raises(ValueError):
        _values.convert(source, target, bytearray(n))


def test_numbers_that_are_not_finite_are_counted():
    x = np.ones(64, np.float32)
    x[[3, 40]] = np.nan, 1e6
    assert _values.convert(0, 1, x.view(np.uint8))[1] == 2
    x[40] = np.inf
    assert _values.convert(0, 8, x.view(np.uint8))[1] == 2
    assert _values.convert(0, 0, x.view(np.uint8))[1] == 2


# --- rearrangements

@pytest.mark.parametrize("rows, heads, order", [(8, 2, [0, 2, 1, 3, 4, 6, 5, 7]), (8, 1, [0, 4, 1, 5, 2, 6, 3, 7])])
def test_permuted_rows(rows, heads, order):
    matrix = np.arange(rows * 3).reshape(rows, 3)
    found = tensor.permuted(made(matrix), heads)
    assert found.shape == (rows, 3) and (found.array() == matrix[order]).all()


@pytest.mark.parametrize("rows, heads", [(8, 3), (6, 6), (4, 0)])
def test_rows_that_are_no_heads(rows, heads):
    with pytest.raises(ConvertError, match="heads"):
        tensor.permuted(made(np.zeros((rows, 2))), heads)


@pytest.mark.parametrize("shape", [(3, 5), (2000, 700), (1, 3_000_000), (3, 2, 400_000), (1_500_000,)])
def test_pieces_are_the_tensor(rng, shape):
    values = rng.integers(0, 100, shape).astype(np.float32)
    pieces = [read() for _, read in made(values).pieces()]
    assert max(len(piece) for piece in pieces) <= tensor.PIECE
    assert (np.concatenate(pieces) == values.reshape(-1)).all()
    turned = made(values).transposed()
    assert (turned.array() == values.T).all()


def test_joins(rng):
    a, b = rng.standard_normal((2, 3000, 900)).astype(np.float32)
    parts = [made(a), made(b)]
    assert (tensor.join(parts, 0).array() == np.concatenate([a, b])).all()
    sides = tensor.join(parts, 1)
    assert sides.shape == (3000, 1800) and (sides.array() == np.concatenate([a, b], 1)).all()
    assert (tensor.stack(parts).array() == np.stack([a, b])).all()
    assert (tensor.permuted(sides, 4).array() == tensor.permuted(made(np.concatenate([a, b], 1)), 4).array()).all()
    assert len(list(sides.pieces())) > 3


def test_changes_reach_every_piece(rng):
    values = rng.standard_normal((3, 700_000)).astype(np.float32)
    item = output.Item("x", output.F32, made(values).changed(lambda x: x + 1))
    raw = b"".join(bytes(piece().data) for piece in item.pieces(False))
    assert raw == (values + 1).tobytes()


# --- files

def test_torch_tensors_that_are_not_contiguous(tmp_path, rng):
    values = rng.standard_normal(24).astype(np.float32)
    entries = {"t": files.tensor("F32", "0", [3, 4], [1, 3]), "row": files.tensor("F32", "0", [5], offset=7),
               "wrapped": files.name("torch._utils", "_rebuild_parameter") + b"(" + files.tensor("F32", "0", [24])
               + b"\x89" + files.name("collections", "OrderedDict") + b")RtR"}
    files.save_zip(
        tmp_path / "x.pth",
        b"\x80\x02}(" + files.text("model") + files.state_dict(entries)[2:-1] + b"u.",
        {"0": values.tobytes()},
    )
    found = checkpoint.open_all(str(tmp_path / "x.pth"), QUIET).tensors
    assert list(found) == ["t", "row", "wrapped"]
    assert (found["t"].array() == values[:12].reshape(4, 3).T).all()
    assert (found["row"].array() == values[7:12]).all() and (found["wrapped"].array() == values).all()


def save(tmp_path, *names):
    for i, name in enumerate(names):
        (files.save_safetensors if name.endswith("s") else files.save_torch)(tmp_path / name, {f"t{i}": np.full(3, i)})


@pytest.mark.parametrize(
    "given, there, opened",
    [
        ("", ["model.safetensors", "pytorch_model.bin"], ["model.safetensors"]),
        (
            "",
            ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors", "consolidated.safetensors"],
            ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"],
        ),
        ("", ["only.pt", "notes.txt"], ["only.pt"]),
        (
            "m-00001-of-00002.bin",
            ["m-00001-of-00002.bin", "m-00002-of-00002.bin"],
            ["m-00001-of-00002.bin", "m-00002-of-00002.bin"],
        ),
        (
            "m-00002-of-00002.bin",
            ["m-00001-of-00002.bin", "m-00002-of-00002.bin"],
            ["m-00002-of-00002.bin", "m-00001-of-00002.bin"],
        ),
        ("foo.bin", ["foo.bin", "foo.bin.1", "foo.bin.2"], ["foo.bin", "foo.bin.1", "foo.bin.2"]),
        ("foo.bin.1", ["foo.bin", "foo.bin.1"], ["foo.bin.1"]),
        ("c.01.pth", ["c.00.pth", "c.01.pth"], ["c.00.pth", "c.01.pth"]),
    ],
)
def test_which_files_are_opened(tmp_path, given, there, opened):
    save(tmp_path, *[name for name in there if not name.endswith("txt")])
    if given.startswith("c."):
        for i in range(2):
            files.save_torch(
                tmp_path / f"c.0{i}.pth", {"tok_embeddings.weight": np.zeros((2, 2)), "norm.weight": np.zeros(4)}
            )
    found = checkpoint.open_all(str(tmp_path / given), QUIET)
    assert found.paths == [str(tmp_path / name) for name in opened]


@pytest.mark.parametrize(
    "there, reason",
    [
        ([], "no model in this folder"),
        (["a.pt", "b.pt"], "several models"),
        (
            ["model-00001-of-00003.safetensors", "model-00003-of-00003.safetensors"],
            "model-00002-of-00003.safetensors: this part",
        ),
        (["consolidated.00.pth", "consolidated.02.pth"], "gap"),
    ],
)
def test_folders_that_cannot_be_opened(tmp_path, there, reason):
    save(tmp_path, *there)
    with pytest.raises(ConvertError, match=reason):
        checkpoint.open_all(str(tmp_path), QUIET)


def test_a_tensor_that_only_the_index_has(tmp_path):
    save(tmp_path, "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors")
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"t0": "?", "lost": "?"}}))
    with pytest.raises(ConvertError, match="lost"):
        checkpoint.open_all(str(tmp_path), QUIET)


@pytest.mark.parametrize("by_rows", [False, True], ids=["llama 2", "llama 3"])
@pytest.mark.parametrize("n", [2, 3])
def test_slices_of_a_model(tmp_path, rng, n, by_rows):
    """Embeddings are divided by columns, or as Llama 3's by rows; the norms are in every part."""
    shapes = {"tok_embeddings.weight": (12, 6), "norm.weight": (6,), "layers.0.attention.wo.weight": (6, 6),
              "layers.0.attention.wq.weight": (6, 6), "layers.0.feed_forward.w2.weight": (6, 12)}
    whole = {key: rng.standard_normal(shape) for key, shape in shapes.items()}
    columns = ["layers.0.attention.wo.weight", "layers.0.feed_forward.w2.weight"] + ["tok_embeddings.weight"] * (
        not by_rows
    )
    for i in range(n):
        part = {key: value if value.ndim == 1 else np.array_split(value, n, axis=int(key in columns))[i]
                for key, value in whole.items()}
        files.save_torch(tmp_path / f"consolidated.{i:02}.pth", part)
    found = checkpoint.open_all(str(tmp_path), QUIET).tensors
    assert list(found) == list(whole)
    for key, value in whole.items():
        assert (found[key].array() == value.astype(np.float32)).all(), key


def test_slices_that_do_not_fit(tmp_path):
    for i, shape in enumerate([(4, 6), (4, 5)]):
        files.save_torch(
            tmp_path / f"consolidated.0{i}.pth",
            {"tok_embeddings.weight": np.zeros((8, 3)), "output.weight": np.zeros(shape)},
        )
    with pytest.raises(ConvertError, match="output.weight: a slice"):
        checkpoint.open_all(str(tmp_path), QUIET)


# --- order and names

def opened(tensors, config):
    numbers = params.Params()
    numbers.n_embd, numbers.n_head, numbers.n_head_kv, numbers.n_layer, numbers.n_experts = config
    return (
        checkpoint.Checkpoint(["x"], "safetensors", {key: made(value) for key, value in tensors.items()}, "."),
        numbers,
    )


def test_experts_go_to_the_end(rng):
    experts = {
        f"model.layers.0.block_sparse_moe.experts.{e}.w{w}.weight": rng.standard_normal((4, 8))
        for e in range(3)
        for w in (3, 1, 2)
    }
    tensors = experts | {"model.layers.0.self_attn.q_proj.weight": rng.standard_normal((8, 8)),
                         "model.layers.0.self_attn.k_proj.weight": rng.standard_normal((4, 8))}
    items, outtype = llama.items(*opened(tensors, (8, 2, 1, 1, 3)), None, skip_unknown=False, log=QUIET)
    assert [item.name for item in items] == ["blk.0.attn_q.weight", "blk.0.attn_k.weight", "blk.0.ffn_gate_exps.weight",
                                             "blk.0.ffn_down_exps.weight", "blk.0.ffn_up_exps.weight"]
    assert items[2].ne == (8, 4, 3) and outtype == "f32"
    stacked = np.stack([experts[f"model.layers.0.block_sparse_moe.experts.{e}.w1.weight"] for e in range(3)])
    assert (items[2].tensor.array() == stacked.astype(np.float32)).all()
    tensors.pop("model.layers.0.block_sparse_moe.experts.2.w3.weight")
    with pytest.raises(ConvertError, match="Expert tensor not found: layers.0.feed_forward.experts.2.w3.weight"):
        llama.items(*opened(tensors, (8, 2, 1, 1, 3)), None, skip_unknown=False, log=QUIET)


def test_w_pack_is_cut_in_three(rng):
    pack = rng.standard_normal((24, 8)).astype(np.float32)
    tensors = {"model.layers.0.self_attn.W_pack.weight": pack, "model.norm.weight": np.ones(8)}
    items, _ = llama.items(*opened(tensors, (8, 2, 2, 1, None)), "f32", skip_unknown=False, log=QUIET)
    assert [item.name for item in items] == [
        "output_norm.weight",
        "blk.0.attn_q.weight",
        "blk.0.attn_k.weight",
        "blk.0.attn_v.weight",
    ]
    order = [0, 2, 1, 3, 4, 6, 5, 7]
    assert (items[1].tensor.array() == pack[:8][order]).all() and (items[2].tensor.array() == pack[8:16][order]).all()
    assert (items[3].tensor.array() == pack[16:]).all()


def test_unknown_names(rng, capsys):
    tensors = {
        "model.norm.weight": np.ones(8),
        "vision.weight": np.ones((2, 2)),
        "model.layers.0.self_attn.rotary_emb.inv_freq": np.ones(2),
    }
    with pytest.raises(ConvertError, match="Unexpected tensor name: vision.weight. Use --skip-unknown"):
        llama.items(*opened(tensors, (8, 2, 2, 1, None)), "f32", skip_unknown=False, log=QUIET)
    items, _ = llama.items(*opened(tensors, (8, 2, 2, 1, None)), "f32", skip_unknown=True, log=QUIET)
    assert [item.name for item in items] == ["output_norm.weight"]
    assert capsys.readouterr().err == "WARNING:convert:Unexpected tensor name: vision.weight - skipping\n"


def test_layers_beyond_the_last_are_unknown():
    tensors = {"model.layers.1.mlp.up_proj.weight": np.ones((2, 2))}
    with pytest.raises(ConvertError, match="Unexpected tensor name"):
        llama.items(*opened(tensors, (8, 2, 2, 1, None)), "f32", skip_unknown=False, log=QUIET)


@pytest.mark.parametrize("shape, type, reason", [((2, 48), output.Q8_0, "multiple of 32"), ((), output.F32, "shape"),
                                                 ((2, 0), output.F32, "shape"), ((1, 1, 1, 1, 2), output.F32, "shape")])
def test_tensors_that_no_file_can_hold(shape, type, reason):
    with pytest.raises(ConvertError, match=reason):
        output.Item("x", type, made(np.zeros(shape)))
