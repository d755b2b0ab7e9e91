"""Counters of the server, and how Prometheus reads them."""

from prometheus_client import CollectorRegistry, Histogram, generate_latest

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120)

# name, type, help: those of llama.cpp, in its order.
ROWS = (
    ("prompt_tokens_total", "counter", "Number of prompt tokens processed."),
    ("prompt_seconds_total", "counter", "Prompt process time"),
    ("tokens_predicted_total", "counter", "Number of generation tokens processed."),
    ("tokens_predicted_seconds_total", "counter", "Predict process time"),
    ("prompt_tokens_seconds", "gauge", "Average prompt throughput in tokens/s."),
    ("predicted_tokens_seconds", "gauge", "Average generation throughput in tokens/s."),
    ("kv_cache_usage_ratio", "gauge", "KV-cache usage. 1 means 100 percent usage."),
    ("kv_cache_tokens", "gauge", "KV-cache tokens."),
    ("requests_processing", "gauge", "Number of request processing."),
    ("requests_deferred", "gauge", "Number of request deferred."),
)


class Metrics:
    """Written by the engine's thread, read by the event loop."""

    def __init__(self):
        self.n_prompt = self.n_predicted = 0
        self.prompt_ms = self.predicted_ms = 0.0
        self.registry = CollectorRegistry(auto_describe=False)

        def histogram(name, what):
            return Histogram(f"llamacpp:{name}", what, buckets=SECONDS, registry=self.registry)

        self.queue_time = histogram("request_queue_seconds", "Time from a request to its slot.")
        self.first_time = histogram("time_to_first_token_seconds", "Time from a request to its first token.")
        self.between_time = histogram("inter_token_latency_seconds", "Time between two tokens of a request.")

    def queued(self, ms):
        self.queue_time.observe(ms / 1000)

    def first_token(self, slot, ms):
        self.n_prompt += slot.timing.n_prompt
        self.prompt_ms += slot.timing.prompt_ms
        self.first_time.observe(ms / 1000)

    def next_token(self, seconds):
        self.between_time.observe(seconds)

    def finished(self, answer):
        self.n_predicted += answer.n_predicted
        self.predicted_ms += answer.timing.predicted_ms

    def text(self, engine):
        """The exposition format, version 0.0.4 (bytes)."""
        used = engine.context.kv_used
        values = (
            self.n_prompt, self.prompt_ms / 1000, self.n_predicted, self.predicted_ms / 1000,
            1000 * self.n_prompt / self.prompt_ms if self.prompt_ms else 0,
            1000 * self.n_predicted / self.predicted_ms if self.predicted_ms else 0,
            used / engine.context.n_ctx, used, sum(1 for slot in engine.slots if slot.task), len(engine.waiting))
        lines = [f"# HELP llamacpp:{name} {what}\n# TYPE llamacpp:{name} {kind}\nllamacpp:{name} {value:.6g}\n"
                 for (name, kind, what), value in zip(ROWS, values)]
        return "".join(lines).encode() + generate_latest(self.registry)
