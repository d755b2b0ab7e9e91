"""The engine: Model, Context, and the plan between them and the kernels."""


def __getattr__(name):
    if name == "Model":
        from llamacy.engine.model import Model
        return Model
    if name == "Context":
        from llamacy.engine.context import Context
        return Context
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


__all__ = ["Model", "Context"]
