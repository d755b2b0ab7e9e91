"""The loop of `main`: evaluate what is pending, choose or take the next tokens, show them, react.

One pass of `Generation.run` is one batch of the prompt, or one generated token. The order of the steps inside a pass is
what scripts see on stdout, so it is fixed (the reference's).
"""

from time import perf_counter

from . import room
from .console import ERROR, PROMPT, RESET
from .prompt import RESERVE, token_list
from .turns import ReversePrompts, UserTurn


class Generation:
    """The state of one run.

    embd       tokens chosen in this pass; the next pass evaluates them
    consumed   how many of prompt.tokens (which user turns make longer) went into embd so far
    n_past     positions of the context in use
    """

    def __init__(self, job, interrupt):
        """`interrupt.wants_turn` is true while the user's turn is wanted: set here, or by Ctrl+C from outside."""
        self.params, self.console, self.log = job.params, job.console, job.log
        self.vocab, self.context, self.guidance = job.model.vocab, job.context, job.guidance
        self.prompt, self.session, self.sampler = job.prompt, job.session, job.sampler
        self.timings, self.record, self.interrupt = job.timings, job.record, interrupt
        self.reverse = ReversePrompts(self.params.antiprompts, self.vocab, self.params.interactive)
        self.turn = UserTurn(job)
        grouped = self.params.grp_attn_n != 1
        self.groups = room.SelfExtend(self.params.grp_attn_n, self.params.grp_attn_w) if grouped else None
        self.n_past = 0
        self.n_remain = self.params.n_predict
        self.consumed = 0
        self.embd = []
        self.at_reverse = False          # the text ends with a reverse prompt
        self.echo = True
        self.display = self.params.display_prompt
        interrupt.wants_turn = self.params.interactive_first

    def run(self):
        """Generate until the budget, the model, the text or the user ends it.

        Errors  EvaluationFailed: no room in the context that a shift could make. Interrupted.
        """
        interactive = self.params.interactive
        self.console.set_display(PROMPT)
        while interactive or (self.n_remain != 0 and not self.at_reverse):
            if self.embd and not self._evaluate():
                break
            self._choose()
            self._show()
            if self._input_done() and not self._react():
                break
            if self.embd and not interactive and self.vocab.is_eog(self.embd[-1]):
                self.log.tee(b" [end of text]\n")
                break
            if interactive and self.n_remain <= 0 <= self.params.n_predict:
                self.n_remain = self.params.n_predict
                self.interrupt.wants_turn = True

    def _input_done(self):
        return self.consumed >= len(self.prompt.tokens)

    # --- evaluate -----------------------------------------------------------------------------------------------

    def _evaluate(self):
        """Bring embd into the KV cache. False: the context is full and that ends the run."""
        self._cut_input()
        if not self._make_room():
            return False
        known = self.session.skip_known(self.embd)
        self.n_past += known
        del self.embd[:known]
        if self.guidance is not None:
            self._evaluate_guidance()
        for chunk in self._chunks(self.embd):
            if self.log.on:
                self.log.log(b"eval: %s\n" % token_list(chunk, self.vocab))
            start = perf_counter()
            room.decode(self.context, chunk, self.n_past)
            self.timings.decoded(len(chunk), perf_counter() - start)
            self.n_past += len(chunk)
            if self.log.on:
                self.log.log(b"n_past = %d\n" % self.n_past)
            self._count_notice()
        self.session.evaluated(self.embd)
        return True

    def _cut_input(self):
        limit = self.context.n_ctx - RESERVE
        skipped = len(self.embd) - limit
        if skipped > 0:
            del self.embd[limit:]
            self.console.set_display(ERROR)
            self.console.write(b"<<input too long: skipped %d token%s>>" % (skipped, b"s" if skipped != 1 else b""))
            self.console.set_display(RESET)

    def _make_room(self):
        size = len(self.embd)
        if self.groups is not None:
            self.n_past = self.groups.regroup(self.context, self.n_past)
            fits = self.context.kv_used + size <= self.context.n_ctx
        else:
            longest = max(0, self.guidance.offset) if self.guidance is not None else 0
            fits = self.n_past + size + longest < self.context.n_ctx
        if not fits and self.params.n_predict == -2:
            self.log.tee(b"\n\nmain: context full and n_predict == -%d => stopping\n" % self.params.n_predict)
            return False
        if not fits:
            self._shift()
        return True

    def _shift(self):
        left = self.n_past - self.prompt.n_keep
        keep, count = self.prompt.n_keep, left // 2
        if self.groups is not None:
            keep, count = self.groups.drop(keep, self.n_past)
        self.log.log(b"context full, swapping: n_past = %d, n_left = %d, n_ctx = %d, n_keep = %d, n_discard = %d\n"
                     % (self.n_past, left, self.context.n_ctx, keep, count))
        room.shift(self.context, keep, count, self.n_past)
        self.n_past -= count
        if self.guidance is not None:
            self.guidance.drop(keep, count)
        self.log.log(b"after swap: n_past = %d, n_past_guidance = %d\n"
                     % (self.n_past, self.guidance.n_past if self.guidance is not None else 0))
        self.session.forget()

    def _evaluate_guidance(self):
        guidance = self.guidance
        for chunk in self._chunks(guidance.pending(self.embd)):
            room.decode(guidance.context, chunk, guidance.n_past)
            guidance.n_past += len(chunk)

    def _chunks(self, tokens):
        size = self.params.n_batch
        if size < 1:
            raise room.EvaluationFailed
        return (tokens[i:i + size] for i in range(0, len(tokens), size))

    def _count_notice(self):
        every = self.params.token_print_count
        if every > 0 and self.n_past % every == 0:
            self.log.tee(b"\n\x1b[31mTokens consumed so far = %d / %d \x1b[0m\n" % (self.n_past, self.context.n_ctx))

    # --- choose and show ----------------------------------------------------------------------------------------

    def _choose(self):
        if self._input_done() and not self.interrupt.wants_turn:
            self.embd = [self._sample()]
            self.echo = True
            self.n_remain -= 1
            if self.log.on:
                self.log.log(b"n_remain: %d\n" % self.n_remain)
            return
        if self.log.on:
            self.log.log(b"embd_inp.size(): %d, n_consumed: %d\n" % (len(self.prompt.tokens), self.consumed))
        self.embd = self.prompt.tokens[self.consumed:self.consumed + max(1, self.params.n_batch)]
        self.consumed += len(self.embd)
        for token in self.embd:
            self.sampler.accept(token, False)

    def _sample(self):
        self.session.prompt_done()
        self.timings.settle()
        against = self.guidance.context.logits if self.guidance is not None else None
        token = self.sampler.sample(self.context.logits, against, self.context.rng)
        self.sampler.accept(token, True)
        return token

    def _show(self):
        if self.echo and self.display:
            # As C shows a string: what follows a NUL is not there.
            text = b"".join([self.vocab.piece(token).partition(b"\0")[0] for token in self.embd])
            if text:
                self.console.write(text)
            if self.record is not None:
                self.record.shown(self.embd, text)
        if self.echo and self._input_done():
            self.console.set_display(RESET)
            self.display = True

    # --- react --------------------------------------------------------------------------------------------------

    def _react(self):
        """All input is in: look for the end of a turn and take the user's. False: the run is over."""
        if self.reverse:
            self.at_reverse = self.reverse.reached(self.sampler)
            if self.at_reverse:
                self.log.log(b"found antiprompt: %s\n" % self.reverse.tail)
                self.interrupt.wants_turn |= self.params.interactive
        if self.params.interactive and self.vocab.is_eog(self.sampler.last):
            self._model_ended()
        if not self.n_past:
            return True
        if self.interrupt.wants_turn:
            if not self._take_turn():
                self.console.newline_on_terminal()
                return False
            self.sampler.reset()
        self.interrupt.wants_turn = False
        return True

    def _model_ended(self):
        self.log.log(b"found EOS token\n")
        if self.reverse:
            self.prompt.tokens += self.reverse.first_tokens
            self.at_reverse = True
        self.interrupt.wants_turn = True
        self.console.write(b"\n")

    def _take_turn(self):
        """False: there is no turn to take, the input or the one turn is over."""
        if self.params.single_turn and self.turn.count:
            return False
        size = len(self.prompt.tokens)
        taken = self.turn.take(self.at_reverse)
        if taken is None:
            return False
        self.display, self.echo = True, False
        if taken.start is not None:
            self.consumed = taken.start
        self.n_remain -= taken.n_tokens
        if self.record is not None:
            added = self.prompt.tokens[size:]
            self.record.typed(added, self.vocab.pieces(added))
        return True
