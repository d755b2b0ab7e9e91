"""What is done with a row of logits: a token is chosen, becomes text, and may be the last one."""

from time import perf_counter

from .task import Partial


def absorb(engine, slot, logits):
    """Choose the slot's next token. Returns the event for its client, None if there is nothing to tell.

    slot.has_next says whether there is to be another one.
    """
    task, vocab, config = slot.task, engine.model.vocab, engine.config
    token = task.sampler.sample(logits, context_rng=task.rng)
    task.sampler.accept(token, True)
    slot.last = token
    slot.n_decoded += 1
    now = perf_counter()
    if slot.n_decoded == 1:
        slot.timing.first = now
        engine.metrics.first_token(slot, 1000 * (now - task.started))
    else:
        engine.metrics.next_token(now - slot.latest)
    slot.latest = now
    complete, chunk = slot.out.add(vocab.piece(token, False))
    probs = record(slot, vocab, token) if complete and task.fields["n_probs"] > 0 else None
    end(engine, slot, token, config)
    if not slot.has_next and not slot.out.stopped:
        chunk += slot.out.flush()          # held back because it might have become a stop word
    if task.want_partials and (complete or chunk):
        return Partial(chunk, probs, slot.id)
    return None


def end(engine, slot, token, config):
    """Is it the last token? In the reference's order; more than one reason may hold."""
    fields = slot.task.fields
    slot.has_next = not slot.out.stopped
    left = slot.remaining(slot.task, config.n_predict)
    if slot.has_next and left != -1 and left <= 0:
        slot.stopped_limit, slot.has_next = True, False
    if engine.model.vocab.is_eog(token):
        slot.stopped_eos, slot.has_next = True, False
    n_train = engine.model.hparams.n_ctx_train
    if (fields["n_predict"] < 1 and config.n_predict < 1 and not slot.extend
            and slot.n_prompt + slot.n_decoded >= n_train):
        engine.log.warn("process_token", "n_predict is not set and self-context extend is disabled. Limiting generated tokens "
                        "to n_ctx_train to avoid EOS-less generation infinite loop", {
                            "id_slot": slot.id, "params.n_predict": fields["n_predict"],
                            "slot.n_prompt_tokens": slot.n_prompt, "slot.n_decoded": slot.n_decoded,
                            "slot.n_predict": config.n_predict, "n_slots": len(engine.slots), "slot.n_ctx": slot.n_ctx,
                            "n_ctx": engine.context.n_ctx, "n_ctx_train": n_train, "ga_n": config.grp_attn_n})
        slot.truncated = slot.stopped_limit = True
        slot.has_next = False


def record(slot, vocab, token):
    """Keep the likeliest tokens of this step."""
    found = slot.task.sampler.candidates(min(slot.task.fields["n_probs"], vocab.n_tokens))
    entry = {"content": shown(vocab.piece(token, True)),
             "probs": [{"tok_str": shown(vocab.piece(id, True)), "prob": p} for id, p in found]}
    slot.probs.append(entry)
    return entry


def shown(piece):
    """A piece as text; a lone byte of a longer character by its number."""
    if len(piece) == 1 and piece[0] & 0x80:
        return f"byte: \\x{piece[0]:02x}"
    return piece.decode("utf-8", "replace")
