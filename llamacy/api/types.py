"""The shapes of answers: dicts, as OpenAI's HTTP API has them."""

from typing import Any, Literal, NotRequired, TypedDict

Finish = Literal["stop", "length", "tool_calls", "function_call"] | None


class Logprobs(TypedDict):
    text_offset: list[int]
    token_logprobs: list[float | None]
    tokens: list[str]
    top_logprobs: list[dict[str, float] | None]


class Usage(TypedDict):
    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


class CompletionChoice(TypedDict):
    text: str
    index: int
    logprobs: Logprobs | None
    finish_reason: Finish


class Completion(TypedDict):
    """Also the shape of a stream's chunks, which lack `usage`."""

    id: str
    object: Literal["text_completion"]
    created: int
    model: str
    choices: list[CompletionChoice]
    usage: NotRequired[Usage]


class Function(TypedDict):
    name: str
    arguments: str


class ToolCall(TypedDict):
    id: str
    type: Literal["function"]
    function: Function
    index: NotRequired[int]


class Message(TypedDict):
    role: str
    content: str | None
    tool_calls: NotRequired[list[ToolCall]]
    function_call: NotRequired[Function]


class ChatChoice(TypedDict):
    index: int
    message: Message
    logprobs: Logprobs | None
    finish_reason: Finish


class ChatCompletion(TypedDict):
    id: str
    object: Literal["chat.completion"]
    created: int
    model: str
    choices: list[ChatChoice]
    usage: Usage


class Delta(TypedDict, total=False):
    role: str
    content: str
    tool_calls: list[ToolCall]
    function_call: Function


class ChatChunkChoice(TypedDict):
    index: int
    delta: Delta
    logprobs: Logprobs | None
    finish_reason: Finish


class ChatChunk(TypedDict):
    id: str
    object: Literal["chat.completion.chunk"]
    created: int
    model: str
    choices: list[ChatChunkChoice]


class EmbeddingUsage(TypedDict):
    prompt_tokens: int
    total_tokens: int


class Embedding(TypedDict):
    """`embedding`: one vector, or one for each token if the pooling is "none"."""

    object: Literal["embedding"]
    embedding: list[float] | list[list[float]]
    index: int


class Embeddings(TypedDict):
    object: Literal["list"]
    data: list[Embedding]
    model: str
    usage: EmbeddingUsage


Messages = list[dict[str, Any]]
