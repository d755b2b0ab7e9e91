"""Which tensor gets which type. Pure: names and numbers in, the name of a type ("Q4_K") out.

Source  llama_tensor_get_type and llama_model_quantize_internal of llama.cpp b2794.
"""

from llamacy.errors import ModelError

EMBEDDING, OUTPUT = "token_embd.weight", "output.weight"
WITHOUT_OUTPUT = frozenset(("gptj", "bert", "nomic-bert", "gemma", "command-r"))     # they know no tensor of that name

# Tables that are looked up, not multiplied with.
KEPT_NAMES = {
    "position_embd.weight": ("gpt2", "mpt", "starcoder", "bert"),
    "token_types.weight": ("bert", "nomic-bert"),
}
KEPT_PARTS = ("_norm.weight", "ffn_gate_inp.weight", "ssm_conv1d.weight", "ssm_x.weight", "ssm_dt.weight")

# Rows that are not a multiple of 256: what takes the place of a type with blocks of 256.
FALLBACK = {
    **dict.fromkeys(("IQ2_XXS", "IQ2_XS", "IQ2_S", "IQ3_XXS", "IQ3_S", "IQ1_S", "IQ1_M", "Q2_K", "Q3_K", "IQ4_XS"),
                    "IQ4_NL"),
    "Q4_K": "Q5_0", "Q5_K": "Q5_1", "Q6_K": "Q8_0",
}

# File types of at most 2.7 bits: a table of their own instead of the rules by name.
VERY_LOW = frozenset(("IQ2_XXS", "IQ2_XS", "IQ1_S", "IQ2_S", "IQ2_M", "IQ1_M"))
OUTPUT_Q5_K = VERY_LOW | {"IQ3_XXS"}
EMBEDDINGS = {**dict.fromkeys(("IQ2_XXS", "IQ2_XS", "IQ1_S", "IQ1_M"), "Q2_K"),
              **dict.fromkeys(("IQ2_S", "IQ2_M", "IQ3_XXS"), "IQ3_S")}
ATTENTION_OUT_VERY_LOW = {"IQ1_S": "IQ2_XXS", "IQ1_M": "IQ2_XXS", "IQ2_S": "IQ3_S", "IQ2_M": "IQ3_S"}

ATTENTION_V_SHARED = {  # four or more query heads share a value head: it may cost more
    **dict.fromkeys(("Q2_K", "Q2_K_S", "IQ3_XXS", "IQ3_XS", "IQ3_S"), "Q4_K"), "IQ4_NL": "Q5_K", "IQ4_XS": "Q5_K"}
ATTENTION_V = {"Q2_K": "Q3_K", "IQ3_M": "Q4_K", "Q3_K_L": "Q5_K"}
ATTENTION_QK = {"IQ3_XS": "IQ3_XXS", "IQ3_XXS": "IQ2_S"}
ATTENTION_OUT = {"Q2_K": "Q3_K", "IQ3_XXS": "IQ3_S", "Q3_K_M": "Q4_K", "Q3_K_L": "Q5_K", "IQ3_M": "Q4_K"}
ATTENTION_OUT_8_EXPERTS_Q5_K = frozenset(("Q2_K", "IQ3_XS", "IQ3_XXS", "Q3_K_S", "Q3_K_M", "IQ4_NL", "Q4_K_S", "Q4_K_M",
                                          "IQ3_S", "IQ3_M", "IQ4_XS"))
ATTENTION_QKV = {"Q3_K_M": "Q4_K", "Q3_K_L": "Q4_K", "IQ3_M": "Q4_K", "Q4_K_M": "Q5_K", "Q5_K_M": "Q6_K"}


def is_convertible(name, ne, arch):
    """True for matrices that are multiplied with; everything else keeps its type.

    ne: sizes, innermost first. The reference compares the end of a name in a way that lets all of 5 bytes pass.
    """
    return ((name.endswith("weight") or len(name.encode()) == 5)
            and len(dimensions(ne)) >= 2
            and not any(part in name for part in KEPT_PARTS)
            and arch not in KEPT_NAMES.get(name, ()))


def dimensions(ne):
    """ne without the sizes of 1 at its end, but at least one."""
    n = len(ne)
    while n > 1 and ne[n - 1] == 1:
        n -= 1
    return tuple(ne[:n])


def in_more_bits(i, n):
    """The layers that get more bits: the first and the last eighth, and every third in between."""
    return i < n // 8 or i >= 7 * n // 8 or (i - n // 8) % 3 == 2


class Mix:
    """The mixing rules for one model and one file type.

    Ask `type_of` for each convertible tensor once, in file order: several rules count tensors of a kind.

    facts       model.Facts
    ftype       filetypes.FileType, a block type
    imatrix     True if there is an importance matrix, for whichever tensors
    output, embedding   types that the user wants for these tensors, or None
    """

    def __init__(self, facts, ftype, imatrix=False, output=None, embedding=None):
        self.facts = facts
        self.ft = ftype.rule
        self.base = ftype.base
        self.imatrix = imatrix
        self.wanted_output = output
        self.wanted_embedding = embedding
        self.output_name = None if facts.arch in WITHOUT_OUTPUT else OUTPUT
        self.count = dict.fromkeys(("attn_v", "ffn_down", "ffn_gate", "ffn_up"), 0)

    def type_of(self, name, columns):
        """(type, None), or (type that fits rows of `columns`, the type that the rules would have liked)."""
        wanted = self._wanted(name, columns)
        if wanted in FALLBACK and columns % 256:
            return FALLBACK[wanted], wanted
        return wanted, None

    def _wanted(self, name, columns):
        if name == self.output_name or (name == EMBEDDING and self.facts.tied):
            return self.wanted_output or self._output(columns)
        if name == EMBEDDING:
            return self.wanted_embedding or EMBEDDINGS.get(self.ft, self.base)
        if self.ft in VERY_LOW:
            return self._very_low(name)
        for part, rule in RULES:
            if part in name:
                return rule(self, name) or self.base
        return self.base

    def _output(self, columns):
        if self.facts.arch == "falcon" or columns % 256:
            return "Q8_0"
        if self.ft in OUTPUT_Q5_K:
            return "Q5_K"
        return self.base if self.base == "Q8_0" else "Q6_K"

    def _very_low(self, name):
        experts = self.facts.n_expert
        better = "IQ3_S" if self.ft in ("IQ2_S", "IQ2_M") else "Q2_K"
        if "attn_v.weight" in name:
            self._next("attn_v")
            return "Q4_K" if self.facts.shared >= 4 or experts >= 4 else better
        if "attn_k.weight" in name and experts == 8:
            return "Q4_K"
        if "ffn_down" in name:
            return better if self._next("ffn_down") < self.facts.n_layer // 8 else self.base
        if "attn_output.weight" in name:
            return "Q5_K" if experts == 8 else ATTENTION_OUT_VERY_LOW.get(self.ft, self.base)
        return self.base

    def _attention_v(self, name):
        facts, i = self.facts, self._next("attn_v")
        found = self._attention_v_alone(i) or self.base
        if facts.is_70b and found in ("Q3_K", "Q4_K"):
            found = "Q5_K"          # 8 query heads share a value head: the values are a small share of the file
        return "Q8_0" if facts.n_expert == 8 else found

    def _attention_v_alone(self, i):
        ft = self.ft
        if self.facts.shared >= 4 and ft in ATTENTION_V_SHARED:
            return ATTENTION_V_SHARED[ft]
        if ft == "IQ3_XXS":
            return "IQ3_XXS" if self.imatrix else "IQ3_S"
        if ft == "Q3_K_M":
            return "Q5_K" if i < 2 else "Q4_K"
        if ft in ("Q4_K_M", "Q5_K_M") and in_more_bits(i, self.facts.n_attn_v):
            return "Q6_K"
        if ft == "Q4_K_S" and i < 4:
            return "Q5_K"
        return ATTENTION_V.get(ft)

    def _attention_k(self, name):
        return "Q8_0" if self.facts.n_expert == 8 else ATTENTION_QK.get(self.ft)

    def _attention_q(self, name):
        return ATTENTION_QK.get(self.ft)

    def _attention_output(self, name):
        if self.facts.arch == "falcon":
            return "Q4_K" if self.ft == "Q3_K_L" else None
        if self.facts.n_expert == 8:
            return "Q5_K" if self.ft in ATTENTION_OUT_8_EXPERTS_Q5_K else None
        return ATTENTION_OUT.get(self.ft)

    def _attention_qkv(self, name):
        return ATTENTION_QKV.get(self.ft)

    def _down(self, name):
        n, i, ft = self.facts.n_layer, self._layer(name, "ffn_down"), self.ft
        falcon = self.facts.arch == "falcon"
        first = i < n // 8
        if ft == "Q2_K":
            return "Q3_K"
        if ft == "Q2_K_S":
            return "Q4_K" if first else None
        if ft == "IQ3_XXS" and not self.imatrix:
            return "Q4_K" if first else "Q3_K"
        if ft == "Q3_K_M":
            return "Q5_K" if i < n // 16 else "Q4_K" if not falcon or in_more_bits(i, n) else "Q3_K"
        if ft == "IQ3_M":
            return "Q4_K" if first or (self.facts.n_expert == 8 and in_more_bits(i, n)) else None
        if ft == "Q3_K_L":
            return "Q4_K" if falcon else "Q5_K"
        if ft == "Q4_K_M" and falcon:
            return "Q6_K" if i < n // 16 else "Q5_K" if in_more_bits(i, n) else "Q4_K"
        if ft in ("Q4_K_M", "Q5_K_M"):
            return "Q6_K" if in_more_bits(i, n) else None
        if first and (ft in ("IQ4_NL", "IQ4_XS") and not self.imatrix or ft == "Q4_K_S" and not falcon):
            return "Q5_K"
        if first and self.imatrix and ft in ("Q4_0", "Q5_0"):
            return ft[:3] + "1"     # a minimum guards the most sensitive layers
        return None

    def _gate(self, name):
        return self._gate_or_up(name, "ffn_gate")

    def _up(self, name):
        return self._gate_or_up(name, "ffn_up")

    def _gate_or_up(self, name, kind):
        n, i = self.facts.n_layer, self._layer(name, kind)
        return "IQ3_XXS" if self.ft == "IQ3_XS" and n // 8 <= i < 7 * n // 8 else None

    def _layer(self, name, kind):
        """The layer of a tensor: how many of its kind came before; with experts the number in its name.

        Errors  ModelError: there is no such number, or no such layer.
        """
        i = self._next(kind)
        if self.facts.n_expert <= 1:
            return i
        number = name.removeprefix("blk.").partition(".")[0]
        if not name.startswith("blk.") or not number.isdecimal() or not number.isascii():
            raise ModelError(f"Failed to determine layer for tensor {name}")
        if int(number) >= self.facts.n_layer:
            raise ModelError(f"Bad layer {number} for tensor {name}. Must be in [0, {self.facts.n_layer})")
        return int(number)

    def _next(self, kind):
        i = self.count[kind]
        self.count[kind] = i + 1
        return i


RULES = (  # the first part that is in the name
    ("attn_v.weight", Mix._attention_v),
    ("attn_k.weight", Mix._attention_k),
    ("attn_q.weight", Mix._attention_q),
    ("ffn_down", Mix._down),
    ("attn_output.weight", Mix._attention_output),
    ("attn_qkv.weight", Mix._attention_qkv),
    ("ffn_gate", Mix._gate),
    ("ffn_up", Mix._up),
)


def needs_imatrix(ftype, type, name):
    """True if a tensor of this type is noise unless an importance matrix says what matters in it."""
    if type in ("IQ2_XXS", "IQ2_XS", "IQ2_S", "IQ1_S"):
        return True
    if type == "IQ1_M":
        return name not in (EMBEDDING, OUTPUT)
    return type == "Q2_K" and ftype.rule == "Q2_K_S" and name != EMBEDDING
