"""The options of `quantize`: one row each, read by its parser, its usage text and docs/quantize.md.

A row is (name, value, kind, field, help):
    value   what the option's value is called; empty: it takes none
    kind    on (sets the field to True), str (any word), list (any word, may be repeated), type (a tensor type),
            override (KEY=TYPE:VALUE, may be repeated), usage (prints the usage)
    field   the attribute of Request that is set
"""

OPTIONS = (
    ("--help", "", "usage", "", "print this text"),
    ("--allow-requantize", "", "on", "allow_requantize",
     "convert tensors that are quantized already; the result is worse than from F16 or F32"),
    ("--leave-output-tensor", "", "on", "leave_output_tensor", "keep output.weight as it is"),
    ("--pure", "", "on", "pure", "no mixtures: all matrices get the one type"),
    ("--imatrix", "FILE", "str", "imatrix", "importance matrix: says which weights matter"),
    ("--include-weights", "TEXT", "list", "include",
     "use only imatrix entries with TEXT in their name; may be repeated"),
    ("--exclude-weights", "TEXT", "list", "exclude",
     "use no imatrix entries with TEXT in their name; may be repeated"),
    ("--output-tensor-type", "TENSOR_TYPE", "type", "output_type", "type of output.weight"),
    ("--token-embedding-type", "TENSOR_TYPE", "type", "embedding_type", "type of token_embd.weight"),
    ("--keep-split", "", "on", "keep_split", "write as many files as the model has: OUTPUT-00001-of-0000N.gguf"),
    ("--override-kv", "KEY=TYPE:VALUE", "override", "overrides",
     "replace a metadata entry; TYPE is int, float, bool or str; may be repeated"),
    ("--dry-run", "", "on", "dry_run", "print what would become of each tensor, and the size; write nothing"),
)

BY_NAME = {row[0]: row for row in OPTIONS}
