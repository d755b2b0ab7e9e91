"""Checkpoints as other programs write them, turned into GGUF files.

    safetensors, torchzip, statedict    files of tensors -> Tensor, lazily
    checkpoint                          which files make a model, and how their tensors join
    tensor, _values                     rearranging without copying; numbers of one type as another
    spm, bpe, tiktoken, special, pre    vocabularies
    params, names, llama, hf/           what a model is called here and there
    output, verify, dump                the file, its check, a listing

Nothing in a checkpoint is trusted: no code of it runs, and no size of it is believed before it was compared with the
file.
"""
