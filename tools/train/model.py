"""A llama in PyTorch: rotary positions, grouped keys and values, gated feed-forward. Names as in HF checkpoints."""

import torch
import torch.nn.functional as F
from torch import nn


def linear(inputs, outputs):
    return nn.Linear(inputs, outputs, bias=False)


def rotate(x, cos, sin):
    """x (batch, heads, tokens, head): the halves of a head are the two coordinates, as HF has it."""
    a, b = x.chunk(2, -1)
    return torch.cat((a * cos - b * sin, b * cos + a * sin), -1)


class Attention(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.heads, self.kv_heads, self.head = c["heads"], c["kv_heads"], c["dim"] // c["heads"]
        self.q_proj = linear(c["dim"], c["dim"])
        self.k_proj = linear(c["dim"], self.kv_heads * self.head)
        self.v_proj = linear(c["dim"], self.kv_heads * self.head)
        self.o_proj = linear(c["dim"], c["dim"])

    def forward(self, x, cos, sin):
        batch, tokens, dim = x.shape
        split = lambda y, heads: y.view(batch, tokens, heads, self.head).transpose(1, 2)
        v = split(self.v_proj(x), self.kv_heads)
        q = rotate(split(self.q_proj(x), self.heads), cos, sin).to(v.dtype)
        k = rotate(split(self.k_proj(x), self.kv_heads), cos, sin).to(v.dtype)
        k, v = (y.repeat_interleave(self.heads // self.kv_heads, 1) for y in (k, v))
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.o_proj(y.transpose(1, 2).reshape(batch, tokens, dim))


class FeedForward(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.gate_proj, self.up_proj = linear(c["dim"], c["ffn"]), linear(c["dim"], c["ffn"])
        self.down_proj = linear(c["ffn"], c["dim"])

    def forward(self, x):
        return self.down_proj(F.silu(self.gate_proj(x)) * self.up_proj(x))


class Layer(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.input_layernorm = nn.RMSNorm(c["dim"], eps=c["eps"])
        self.self_attn = Attention(c)
        self.post_attention_layernorm = nn.RMSNorm(c["dim"], eps=c["eps"])
        self.mlp = FeedForward(c)

    def forward(self, x, cos, sin):
        x = x + self.self_attn(self.input_layernorm(x), cos, sin)
        return x + self.mlp(self.post_attention_layernorm(x))


class Body(nn.Module):
    def __init__(self, c, vocab):
        super().__init__()
        self.embed_tokens = nn.Embedding(vocab, c["dim"])
        self.layers = nn.ModuleList(Layer(c) for _ in range(c["layers"]))
        self.norm = nn.RMSNorm(c["dim"], eps=c["eps"])


class Llama(nn.Module):
    """tokens (batch, n) int64 -> logits (batch, n, vocab)."""

    def __init__(self, c, vocab):
        super().__init__()
        self.model = Body(c, vocab)
        self.lm_head = linear(c["dim"], vocab)
        head = c["dim"] // c["heads"]
        angle = torch.outer(torch.arange(c["context"]).float(), c["rope_theta"] ** (-torch.arange(0, head, 2) / head))
        self.register_buffer("cos", angle.cos(), persistent=False)
        self.register_buffer("sin", angle.sin(), persistent=False)
        for name, weight in self.named_parameters():
            if weight.dim() == 2:
                deep = name.endswith(("o_proj.weight", "down_proj.weight"))
                nn.init.normal_(weight, std=0.02 / (2 * c["layers"]) ** 0.5 if deep else 0.02)

    def forward(self, tokens):
        n = tokens.shape[1]
        x = self.model.embed_tokens(tokens)
        for layer in self.model.layers:
            x = layer(x, self.cos[:n], self.sin[:n])
        return self.lm_head(self.model.norm(x))
