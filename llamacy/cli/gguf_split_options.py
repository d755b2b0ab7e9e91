"""The flags of `gguf-split`, in the form of options.py."""

OPTIONS = (
    ("-h --help", "", "do", "", None, "print this text and exit"),
    ("--version", "", "do", "", None, "print build number and compiler and exit"),
    ("--split", "", "do", "", None, "write GGUF_IN as GGUF_OUT-00001-of-0000N.gguf and so on; this is how it is anyway"),
    ("--merge", "", "do", "", None, "write the model whose first part is GGUF_IN as one file, GGUF_OUT"),
    ("--split-max-tensors", "N", "do", "", 128, "tensors in each part, at most"),
    ("--split-max-size", "N(M|G)", "do", "", None,
     "MiB or GiB of tensors in each part, at most; takes the place of --split-max-tensors"),
    ("--no-tensor-first-split", "", "do", "", None, "no tensors in the first part: small, and enough to look at a model"),
    ("--dry-run", "", "do", "", None, "say what would be written, and write nothing"),
)
