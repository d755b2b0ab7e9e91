"""What a run has shown, kept for the YAML file that --logdir asks for."""

from .yamllog import write


class Record:
    """Collects what a run shows and writes the file at its end."""

    def __init__(self):
        self.prompt_tokens = []      # shown several at a time
        self.output_tokens = []      # shown one at a time, and what the user typed
        self.output = []

    def shown(self, tokens, text):
        """These tokens were printed as `text`."""
        if len(tokens) > 1:
            self.prompt_tokens += tokens
        else:
            self.typed(tokens, text)

    def typed(self, tokens, text):
        """The user's turn added these."""
        self.output_tokens += tokens
        self.output.append(text)

    def write(self, job):
        """Write LOGDIR/<local time>.yml. A failure costs a warning, not the run."""
        timings, sampler = job.timings, job.sampler
        write(job.params, model_desc=job.model.desc, n_vocab=job.model.vocab.n_tokens, n_keep=job.prompt.n_keep,
              prompt_tokens=self.prompt_tokens, output=b"".join(self.output), output_tokens=self.output_tokens,
              timings={"n_eval": timings.n_eval, "n_p_eval": timings.n_prompt, "n_sample": sampler.n_sample,
                       "t_eval_us": 1000 * timings.eval_ms, "t_p_eval_us": 1000 * timings.prompt_ms,
                       "t_load_us": 1000 * timings.load_ms, "t_sample_us": sampler.t_sample_us})
