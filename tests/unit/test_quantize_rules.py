"""Which tensor gets which type: against the tables of types that the reference was seen to choose."""

import pytest

from llamacy.errors import ModelError
from llamacy.quantize.filetypes import BY_NAME, FILE_TYPES, TENSOR_TYPES, by_id
from llamacy.quantize.rules import FALLBACK, Mix, dimensions, in_more_bits, is_convertible, needs_imatrix

KINDS = ("attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down")
NEED = {"Q2_K_S", "IQ3_XXS", "IQ2_XXS", "IQ2_XS", "IQ2_S", "IQ2_M", "IQ1_S", "IQ1_M"}

# A llama of 4 layers whose value heads are shared by 2. a/b/c/d: layers 0 to 3.
# type: embeddings, output, q and k, v, attention output, gate and up, down
FOUR_LAYERS = """
Q4_0    Q4_0   Q6_K  Q4_0     Q4_0                 Q4_0     Q4_0                             Q4_0
Q4_1    Q4_1   Q6_K  Q4_1     Q4_1                 Q4_1     Q4_1                             Q4_1
Q5_0    Q5_0   Q6_K  Q5_0     Q5_0                 Q5_0     Q5_0                             Q5_0
Q5_1    Q5_1   Q6_K  Q5_1     Q5_1                 Q5_1     Q5_1                             Q5_1
Q8_0    Q8_0   Q8_0  Q8_0     Q8_0                 Q8_0     Q8_0                             Q8_0
Q2_K    Q2_K   Q6_K  Q2_K     Q3_K                 Q3_K     Q2_K                             Q3_K
Q2_K_S  Q2_K   Q6_K  Q2_K     Q2_K                 Q2_K     Q2_K                             Q2_K
Q3_K_S  Q3_K   Q6_K  Q3_K     Q3_K                 Q3_K     Q3_K                             Q3_K
Q3_K_M  Q3_K   Q6_K  Q3_K     Q5_K/Q5_K/Q4_K/Q4_K  Q4_K     Q3_K                             Q4_K
Q3_K_L  Q3_K   Q6_K  Q3_K     Q5_K                 Q5_K     Q3_K                             Q5_K
Q4_K_S  Q4_K   Q6_K  Q4_K     Q5_K                 Q4_K     Q4_K                             Q4_K
Q4_K_M  Q4_K   Q6_K  Q4_K     Q4_K/Q4_K/Q6_K/Q6_K  Q4_K     Q4_K                             Q4_K/Q4_K/Q6_K/Q6_K
Q5_K_S  Q5_K   Q6_K  Q5_K     Q5_K                 Q5_K     Q5_K                             Q5_K
Q5_K_M  Q5_K   Q6_K  Q5_K     Q5_K/Q5_K/Q6_K/Q6_K  Q5_K     Q5_K                             Q5_K/Q5_K/Q6_K/Q6_K
Q6_K    Q6_K   Q6_K  Q6_K     Q6_K                 Q6_K     Q6_K                             Q6_K
IQ4_NL  IQ4_NL Q6_K  IQ4_NL   IQ4_NL               IQ4_NL   IQ4_NL                           IQ4_NL
IQ4_XS  IQ4_XS Q6_K  IQ4_XS   IQ4_XS               IQ4_XS   IQ4_XS                           IQ4_XS
IQ3_S   IQ3_S  Q6_K  IQ3_S    IQ3_S                IQ3_S    IQ3_S                            IQ3_S
IQ3_M   IQ3_S  Q6_K  IQ3_S    Q4_K                 Q4_K     IQ3_S                            IQ3_S
IQ3_XS  IQ3_S  Q6_K  IQ3_XXS  IQ3_S                IQ3_S    IQ3_XXS/IQ3_XXS/IQ3_XXS/IQ3_S    IQ3_S
IQ3_XXS IQ3_S  Q5_K  IQ2_S    IQ3_XXS              IQ3_S    IQ3_XXS                          IQ3_XXS
IQ2_XXS Q2_K   Q5_K  IQ2_XXS  Q2_K                 IQ2_XXS  IQ2_XXS                          IQ2_XXS
IQ2_XS  Q2_K   Q5_K  IQ2_XS   Q2_K                 IQ2_XS   IQ2_XS                           IQ2_XS
IQ2_S   IQ3_S  Q5_K  IQ2_XS   IQ3_S                IQ3_S    IQ2_XS                           IQ2_XS
IQ2_M   IQ3_S  Q5_K  IQ2_S    IQ3_S                IQ3_S    IQ2_S                            IQ2_S
IQ1_S   Q2_K   Q5_K  IQ1_S    Q2_K                 IQ2_XXS  IQ1_S                            IQ1_S
IQ1_M   Q2_K   Q5_K  IQ1_M    Q2_K                 IQ2_XXS  IQ1_M                            IQ1_M
"""

# 32 layers, value heads shared by 4. Columns: q and k; v; attention output; gate and up; down.
# X:a-b,c  type X in these layers, and what comes before it in all others.
MORE = "0-3,6,9,12,15,18,21,24,27-31"
LLAMA_3 = f"""
Q4_0    Q4_0     Q4_0             Q4_0     Q4_0                         Q4_0
Q5_K_S  Q5_K     Q5_K             Q5_K     Q5_K                         Q5_K
Q3_K_S  Q3_K     Q3_K             Q3_K     Q3_K                         Q3_K
Q2_K    Q2_K     Q4_K             Q3_K     Q2_K                         Q3_K
Q2_K_S  Q2_K     Q4_K             Q2_K     Q2_K                         Q2_K;Q4_K:0-3
Q3_K_M  Q3_K     Q4_K;Q5_K:0-1    Q4_K     Q3_K                         Q4_K;Q5_K:0-1
Q3_K_L  Q3_K     Q5_K             Q5_K     Q3_K                         Q5_K
Q4_K_S  Q4_K     Q4_K;Q5_K:0-3    Q4_K     Q4_K                         Q4_K;Q5_K:0-3
Q4_K_M  Q4_K     Q4_K;Q6_K:{MORE} Q4_K     Q4_K                         Q4_K;Q6_K:{MORE}
Q5_K_M  Q5_K     Q5_K;Q6_K:{MORE} Q5_K     Q5_K                         Q5_K;Q6_K:{MORE}
IQ4_NL  IQ4_NL   Q5_K             IQ4_NL   IQ4_NL                       IQ4_NL;Q5_K:0-3
IQ4_XS  IQ4_XS   Q5_K             IQ4_XS   IQ4_XS                       IQ4_XS;Q5_K:0-3
IQ3_S   IQ3_S    Q4_K             IQ3_S    IQ3_S                        IQ3_S
IQ3_M   IQ3_S    Q4_K             Q4_K     IQ3_S                        IQ3_S;Q4_K:0-3
IQ3_XS  IQ3_XXS  Q4_K             IQ3_S    IQ3_XXS;IQ3_S:0-3,28-31      IQ3_S
IQ3_XXS IQ2_S    Q4_K             IQ3_S    IQ3_XXS                      IQ3_XXS
IQ2_XXS IQ2_XXS  Q4_K             IQ2_XXS  IQ2_XXS                      IQ2_XXS;Q2_K:0-3
IQ2_XS  IQ2_XS   Q4_K             IQ2_XS   IQ2_XS                       IQ2_XS;Q2_K:0-3
IQ2_S   IQ2_XS   Q4_K             IQ3_S    IQ2_XS                       IQ2_XS;IQ3_S:0-3
IQ2_M   IQ2_S    Q4_K             IQ3_S    IQ2_S                        IQ2_S;IQ3_S:0-3
IQ1_S   IQ1_S    Q4_K             IQ2_XXS  IQ1_S                        IQ1_S;Q2_K:0-3
IQ1_M   IQ1_M    Q4_K             IQ2_XXS  IQ1_M                        IQ1_M;Q2_K:0-3
"""


class Facts:
    """What Mix asks of a model, without a model."""

    def __init__(self, n_layer, shared=1, arch="llama", n_expert=0, tied=False, is_70b=False):
        self.n_layer = self.n_attn_v = n_layer
        self.shared, self.arch, self.n_expert, self.tied, self.is_70b = shared, arch, n_expert, tied, is_70b


def chosen(facts, type, imatrix=None, columns=256, kinds=KINDS, order=None):
    """{"output": type, "embedding": type, kind: [type of each layer]} for a model in the usual order of tensors."""
    mix = Mix(facts, BY_NAME[type], type in NEED if imatrix is None else imatrix)
    found = {"embedding": mix.type_of("token_embd.weight", columns)[0]}
    if not facts.tied:
        found["output"] = mix.type_of("output.weight", columns)[0]
    found.update((kind, []) for kind in kinds)
    for layer in order or range(facts.n_layer):
        for kind in kinds:
            found[kind].append(mix.type_of(f"blk.{layer}.{kind}.weight", columns)[0])
    return found


def columns_of(table):
    return [tuple(line.split()) for line in table.strip().splitlines()]


def layers(text, n):
    """`A` or `A/B/C/D` or `A;B:0-3,6` -> a type for each layer."""
    if "/" in text:
        return text.split("/")
    rest, _, part = text.partition(";")
    special, _, ranges = part.partition(":")
    found = [rest] * n
    for first, _, last in (piece.partition("-") for piece in ranges.split(",") if piece):
        for i in range(int(first), int(last or first) + 1):
            found[i] = special
    return found


@pytest.mark.parametrize("row", columns_of(FOUR_LAYERS), ids=lambda row: row[0])
def test_four_layers(row):
    type, embedding, output, qk, v, attention, gate, down = row
    expected = {"embedding": embedding, "output": output}
    for kind, text in zip(KINDS, (qk, qk, v, attention, gate, gate, down)):
        expected[kind] = layers(text, 4)
    assert chosen(Facts(4, shared=2), type) == expected
    if type not in NEED:
        assert chosen(Facts(4, shared=2), type, imatrix=True) == expected


def test_all_block_types_are_in_the_table():
    mixed = {row.rule for row in FILE_TYPES if row.is_block_type}
    assert {row[0] for row in columns_of(FOUR_LAYERS)} == mixed


@pytest.mark.parametrize("row", columns_of(LLAMA_3), ids=lambda row: row[0])
def test_32_layers_with_shared_value_heads(row):
    type, qk, v, attention, gate, down = row
    found = chosen(Facts(32, shared=4), type)
    for kind, text in zip(KINDS, (qk, qk, v, attention, gate, gate, down)):
        assert found[kind] == layers(text, 32), kind


@pytest.mark.parametrize("type, v", [("Q2_K", "Q3_K"), ("Q2_K_S", "Q2_K"), ("IQ3_S", "IQ3_S"), ("IQ3_XS", "IQ3_S"),
                                     ("IQ4_NL", "IQ4_NL"), ("IQ4_XS", "IQ4_XS"), ("IQ3_XXS", "IQ3_XXS"), ("IQ2_XXS", "Q2_K"),
                                     ("IQ1_M", "Q2_K"), ("IQ2_S", "IQ3_S"), ("IQ2_M", "IQ3_S")])
def test_value_heads_of_their_own(type, v):
    assert chosen(Facts(32, shared=1), type)["attn_v"] == [v] * 32


@pytest.mark.parametrize("type, imatrix, down", [("Q4_0", True, "Q4_0;Q4_1:0-3"), ("Q5_0", True, "Q5_0;Q5_1:0-3"),
                                                 ("Q4_0", False, "Q4_0"), ("IQ4_XS", True, "IQ4_XS"),
                                                 ("IQ4_NL", False, "IQ4_NL;Q5_K:0-3"), ("Q4_1", True, "Q4_1"),
                                                 ("IQ3_XXS", False, "Q3_K;Q4_K:0-3")])
def test_an_imatrix_changes_what_guards_the_first_layers(type, imatrix, down):
    assert chosen(Facts(32, shared=4), type, imatrix)["ffn_down"] == layers(down, 32)


@pytest.mark.parametrize("type, v", [("Q3_K_S", "Q5_K"), ("Q4_K_S", "Q5_K"), ("Q2_K", "Q5_K"), ("Q6_K", "Q6_K"),
                                     ("Q4_K_M", "Q5_K;Q6_K:0-9,12,15,18,21,24,27,30,33,36,39,42,45,48,51,54,57,60,63,66,69-79"),
                                     ("IQ2_XS", "Q4_K")])
def test_70b_spends_more_on_values(type, v):
    assert chosen(Facts(80, shared=8, is_70b=True), type)["attn_v"] == layers(v, 80)


def test_70b_other_ranges():
    facts = Facts(80, shared=8, is_70b=True)
    assert chosen(facts, "Q3_K_M")["ffn_down"] == layers("Q4_K;Q5_K:0-4", 80)
    assert chosen(facts, "IQ3_XS")["ffn_up"] == layers("IQ3_XXS;IQ3_S:0-9,70-79", 80)


@pytest.mark.parametrize("type", ["Q4_0", "Q4_K_M", "Q2_K", "Q3_K_L", "IQ3_XXS", "IQ2_XS", "IQ1_M", "IQ3_M"])
def test_eight_experts(type):
    kinds = ("attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate_exps", "ffn_down_exps", "ffn_up_exps")
    found = chosen(Facts(32, shared=4, n_expert=8), type, kinds=kinds)
    low = type.startswith(("IQ1", "IQ2"))
    assert set(found["attn_k"]) == set(found["attn_v"]) == {"Q4_K" if low else "Q8_0"}
    five = low or type in ("Q4_K_M", "Q2_K", "IQ3_XXS", "IQ3_M")
    assert set(found["attn_output"]) == {"Q5_K" if five else BY_NAME[type].base}
    if type == "IQ3_M":
        assert found["ffn_down_exps"] == layers(f"IQ3_S;Q4_K:{MORE}", 32)


def test_dense_models_count_tensors_experts_read_names():
    backwards = list(range(31, -1, -1))
    dense = chosen(Facts(32, shared=4), "Q4_K_S", order=backwards)
    assert dense["ffn_down"] == layers("Q4_K;Q5_K:0-3", 32)
    experts = chosen(Facts(32, shared=4, n_expert=4), "Q4_K_S", order=backwards)
    assert experts["ffn_down"] == layers("Q4_K;Q5_K:0-3", 32)[::-1]
    assert experts["attn_v"] == layers("Q4_K;Q5_K:0-3", 32)


@pytest.mark.parametrize("name, text", [("ffn_down_exps.weight", "Failed to determine layer for tensor ffn_down_exps.weight"),
                                        ("blk.x.ffn_down_exps.weight", "Failed to determine layer"),
                                        ("blk.7.ffn_up_exps.weight", "Bad layer 7 .* Must be in \\[0, 4\\)")])
def test_a_layer_that_is_not_there(name, text):
    with pytest.raises(ModelError, match=text):
        Mix(Facts(4, n_expert=8), BY_NAME["Q4_K_M"]).type_of(name, 256)


def test_falcon():
    kinds = ("attn_qkv", "attn_output", "ffn_up", "ffn_down")
    facts = Facts(32, arch="falcon")
    found = chosen(facts, "Q3_K_M", kinds=kinds)
    more = [i for i in range(2, 32) if in_more_bits(i, 32)]
    assert found["output"] == "Q8_0" and set(found["attn_qkv"]) == {"Q4_K"} and set(found["attn_output"]) == {"Q3_K"}
    assert found["ffn_down"] == ["Q5_K" if i < 2 else "Q4_K" if i in more else "Q3_K" for i in range(32)]
    found = chosen(facts, "Q4_K_M", kinds=kinds)
    assert set(found["attn_qkv"]) == {"Q5_K"}
    assert found["ffn_down"] == ["Q6_K" if i < 2 else "Q5_K" if i in more else "Q4_K" for i in range(32)]
    found = chosen(facts, "Q3_K_L", kinds=kinds)
    assert {*found["attn_qkv"], *found["attn_output"], *found["ffn_down"]} == {"Q4_K"}
    assert set(chosen(facts, "Q4_K_S", kinds=kinds)["ffn_down"]) == {"Q4_K"}


def test_tied_embeddings_are_an_output():
    assert chosen(Facts(4, tied=True), "Q4_0")["embedding"] == "Q6_K"
    mix = Mix(Facts(4, arch="gemma", tied=True), BY_NAME["Q4_K_M"])
    assert mix.type_of("output.weight", 256) == ("Q4_K", None)      # a name that means nothing there


def test_the_users_types_for_output_and_embeddings():
    mix = Mix(Facts(4), BY_NAME["Q4_K_M"], output="Q5_1", embedding="Q2_K")
    assert mix.type_of("output.weight", 256) == ("Q5_1", None)
    assert mix.type_of("token_embd.weight", 256) == ("Q2_K", None)
    assert mix.type_of("token_embd.weight", 64) == ("IQ4_NL", "Q2_K")


@pytest.mark.parametrize("wanted", FALLBACK)
def test_rows_that_are_no_multiple_of_256(wanted):
    mix = Mix(Facts(4), BY_NAME[next(row.name for row in FILE_TYPES if row.base is not None)], embedding=wanted)
    for columns, expected in ((256, (wanted, None)), (512, (wanted, None)), (320, (FALLBACK[wanted], wanted))):
        assert mix.type_of("token_embd.weight", columns) == expected


def test_output_with_short_rows_is_q8_0():
    for type in ("Q4_0", "Q6_K", "IQ1_S"):
        assert Mix(Facts(4), BY_NAME[type]).type_of("output.weight", 64) == ("Q8_0", None)


@pytest.mark.parametrize("name, ne, arch, expected", [
    ("blk.0.attn_q.weight", (64, 64), "llama", True), ("blk.0.attn_q.bias", (64, 64), "llama", False),
    ("blk.0.attn_norm.weight", (64,), "llama", False), ("blk.0.x_norm.weight", (64, 64), "llama", False),
    ("a.weight", (256, 1), "llama", False), ("a.weight", (256, 1, 2), "llama", True), ("aweight", (4, 4), "llama", True),
    ("five5", (4, 4), "llama", True), ("sixsix", (4, 4), "llama", False),
    ("blk.0.ffn_gate_inp.weight", (64, 8), "llama", False), ("blk.0.ffn_gate_inp_shexp.weight", (64, 8), "qwen2moe", True),
    ("position_embd.weight", (64, 64), "gpt2", False), ("position_embd.weight", (64, 64), "llama", True),
    ("token_types.weight", (64, 2), "bert", False), ("token_types.weight", (64, 2), "gpt2", True),
    ("blk.0.ssm_conv1d.weight", (4, 64), "mamba", False), ("blk.0.ssm_x.weight", (64, 64), "mamba", False),
    ("blk.0.ssm_dt.weight", (64, 64), "mamba", False), ("blk.0.ssm_in.weight", (64, 64), "mamba", True),
])
def test_what_is_converted_at_all(name, ne, arch, expected):
    assert is_convertible(name, ne, arch) is expected


def test_trailing_sizes_of_one_are_no_dimensions():
    assert [dimensions(ne) for ne in ((5, 1, 1), (5, 1, 2), (1,), (1, 1), (3, 4))] == [(5,), (5, 1, 2), (1,), (1,), (3, 4)]


@pytest.mark.parametrize("ftype, type, name, expected", [
    ("IQ2_XS", "IQ2_XS", "token_embd.weight", True), ("IQ3_XXS", "IQ2_S", "x", True), ("IQ1_M", "IQ1_M", "x", True),
    ("IQ1_M", "IQ1_M", "output.weight", False), ("IQ1_M", "IQ1_M", "token_embd.weight", False),
    ("Q2_K_S", "Q2_K", "x", True), ("Q2_K_S", "Q2_K", "token_embd.weight", False), ("Q2_K", "Q2_K", "x", False),
    ("IQ3_S", "IQ3_S", "x", False)])
def test_what_needs_an_imatrix(ftype, type, name, expected):
    assert needs_imatrix(BY_NAME[ftype], type, name) is expected


def test_numbers_and_names_of_types():
    ids = {row.name: row.id for row in FILE_TYPES}
    assert len(ids) == len(FILE_TYPES) == 33
    assert ids["Q4_0"] == 2 and ids["Q4_K_M"] == ids["Q4_K"] == 15 and ids["IQ1_M"] == 31 and ids["COPY"] == ids["F32"] == 0
    assert by_id(0).name == "F32" and by_id(12).name == "Q3_K" and by_id(15).rule == "Q4_K_M" and by_id(4) is None
    assert all(row.base in TENSOR_TYPES for row in FILE_TYPES if row.base)
