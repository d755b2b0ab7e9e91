"""Metadata with `--override-kv` applied: what the loader asks, instead of the file, for every key it reads."""

from llamacy.errors import ModelError


class Overrides:
    """Overrides (key, kind, value), the first of a key wins; `log` gets a line for each use, as the reference prints it."""

    def __init__(self, gguf, overrides=(), log=None):
        self.gguf = gguf
        self.log = log or (lambda text: None)
        self.rows = {}
        for key, kind, value in overrides:
            self.rows.setdefault(key, (kind, value))

    def lookup(self, key, kind, default=None, required=False):
        """The value of `key` as `kind` (int, float, bool, str): override, else file, else `default`.

        Errors  ModelError: the file's value has another type, or a required key is missing.
        """
        if key in self.rows:
            given, value = self.rows[key]
            if given == kind:
                self.log(b"validate_override: Using metadata override (%5s) '%s' = %s\n"
                         % (kind.encode(), key.encode(), shown(kind, value)))
                return value
            self.log(b"validate_override: Warning: Bad metadata override type for key '%s', expected %s but got %s\n"
                     % (key.encode(), kind.encode(), given.encode()))
        if key not in self.gguf:
            if required:
                raise ModelError(f"error loading model hyperparameters: key not found in model: {key}")
            return default
        if self.gguf.kind(key) != kind:
            raise ModelError(f"key {key} has wrong type {self.gguf.type_name(key)} but expected type {kind}")
        return self.gguf[key]


def shown(kind, value):
    if kind == "bool":
        return b"true" if value else b"false"
    if kind == "float":
        return b"%.6f" % value
    return value if isinstance(value, bytes) else b"%d" % value
