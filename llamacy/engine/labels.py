"""Names that the log gives to sizes and file types."""

FILE_TYPES = {
    0: b"all F32", 1: b"F16", 2: b"Q4_0", 3: b"Q4_1", 4: b"Q4_1, some F16", 7: b"Q8_0", 8: b"Q5_0", 9: b"Q5_1",
    10: b"Q2_K - Medium", 11: b"Q3_K - Small", 12: b"Q3_K - Medium", 13: b"Q3_K - Large", 14: b"Q4_K - Small",
    15: b"Q4_K - Medium", 16: b"Q5_K - Small", 17: b"Q5_K - Medium", 18: b"Q6_K", 19: b"IQ2_XXS - 2.0625 bpw",
    20: b"IQ2_XS - 2.3125 bpw", 21: b"Q2_K - Small", 22: b"IQ3_XS - 3.3 bpw", 23: b"IQ3_XXS - 3.0625 bpw",
    24: b"IQ1_S - 1.5625 bpw", 25: b"IQ4_NL - 4.5 bpw", 26: b"IQ3_S - 3.4375 bpw", 27: b"IQ3_S mix - 3.66 bpw",
    28: b"IQ2_S - 2.5 bpw", 29: b"IQ2_M - 2.7 bpw", 30: b"IQ4_XS - 4.25 bpw", 31: b"IQ1_M - 1.75 bpw", 32: b"BF16",
}

TYPE_TO_FILE_TYPE = {  # tensor type -> file type, for files that do not say
    0: 0, 1: 1, 2: 2, 3: 3, 6: 8, 7: 9, 8: 7, 10: 10, 11: 12, 12: 15, 13: 17, 14: 18, 16: 19, 17: 20, 18: 23, 19: 24,
    20: 25, 21: 26, 22: 28, 23: 30, 29: 31, 30: 32,
}

LLAMA_TYPES = {22: b"1B", 26: b"3B", 40: b"13B", 48: b"34B", 60: b"30B"}


def model_type(arch, hp):
    """The label by layer count, `?B` for all that has none."""
    if arch != "llama":
        return b"?B"
    if hp.n_expert == 8:
        return {32: b"8x7B", 56: b"8x22B"}.get(hp.n_layer, b"?B")
    if hp.n_layer in (32, 80):
        same = hp.n_head == hp.n_head_kv
        return {32: b"7B" if same else b"8B", 80: b"65B" if same else b"70B"}[hp.n_layer]
    return LLAMA_TYPES.get(hp.n_layer, b"?B")
