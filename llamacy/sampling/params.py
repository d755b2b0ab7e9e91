"""What can be set about sampling. No vocabulary and no model is needed to fill it in."""

RANDOM_SEED = 0xFFFFFFFF       # stands for: take one from the operating system
LETTERS = "kfypmt"             # all samplers, in their usual order

# Letter -> canonical name.
NAMES = {"k": "top_k", "f": "tfs_z", "y": "typical_p", "p": "top_p", "m": "min_p", "t": "temperature"}

# Other spellings that a command line may use.
ALIASES = {"top-k": "k", "top-p": "p", "nucleus": "p", "typical-p": "y", "typical": "y", "min-p": "m", "tfs-z": "f",
           "tfs": "f", "temp": "t"}

DEFAULTS = {
    "n_prev": 64,              # tokens of history that penalties can see
    "n_probs": 0,              # candidates to report for each token
    "min_keep": 0,             # candidates that no truncating sampler may go below
    "top_k": 40,               # 0 or less: off
    "top_p": 0.95,             # 1 or more: off
    "min_p": 0.05,             # 0 or less: off
    "tfs_z": 1.0,              # 1 or more: off
    "typical_p": 1.0,          # 1 or more: off
    "temp": 0.8,               # 0: greedy; below 0: greedy, with probabilities
    "dynatemp_range": 0.0,     # above 0: temperature varies by this much with the entropy
    "dynatemp_exponent": 1.0,
    "penalty_last_n": 64,      # 0: off; below 0: n_prev
    "penalty_repeat": 1.0,
    "penalty_freq": 0.0,
    "penalty_present": 0.0,
    "penalize_nl": False,
    "penalty_prompt": None,    # token ids that penalties look at instead of the history; generated tokens join them
    "mirostat": 0,             # 1 or 2: instead of the samplers
    "mirostat_tau": 5.0,
    "mirostat_eta": 0.1,
    "seed": RANDOM_SEED,
    "grammar": b"",
    "cfg_scale": 1.0,          # above 1: guidance
    "logit_bias": None,        # token id -> what to add to its logit; a dict of its own per object
    "samplers": LETTERS,
}


class SamplingParams:
    """Plain values, named as in DEFAULTS; a Sampler reads them once, when it is made.

    Errors  AttributeError: a name that is none of them.
    """

    __slots__ = tuple(DEFAULTS)

    def __init__(self, **values):
        for name, value in DEFAULTS.items():
            setattr(self, name, value)
        self.logit_bias = {}
        for name, value in values.items():
            setattr(self, name, value)

    def copy(self):
        """An independent copy."""
        other = SamplingParams(**{name: getattr(self, name) for name in DEFAULTS})
        other.logit_bias = dict(self.logit_bias)
        if self.penalty_prompt is not None:
            other.penalty_prompt = list(self.penalty_prompt)
        return other


def samplers_from_names(names, aliases=True):
    """"top_k;temp" -> "kt". Unknown names are left out; `aliases`: take the other spellings too."""
    known = {name: letter for letter, name in NAMES.items()}
    if aliases:
        known.update(ALIASES)
    return "".join(known.get(name, "") for name in names.split(";"))


def samplers_from_letters(letters):
    """The letters that stand for a sampler, in the given order, repeats and all."""
    return "".join(letter for letter in letters if letter in NAMES)
