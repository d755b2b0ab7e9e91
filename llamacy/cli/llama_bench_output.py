"""The forms in which `llama-bench` prints results: csv, json, md, sql. Scripts read them, so names, order, quotes and
widths are those of the reference.

A printer has head() once, row(result) per result and tail() at the end; each returns str.
"""

import math
import time

from .buildinfo import BUILD, COMMIT

# name -> kind; the order is that of the columns
FIELDS = {
    "build_commit": "str", "build_number": "int", "cuda": "bool", "opencl": "bool", "vulkan": "bool", "kompute": "bool",
    "metal": "bool", "sycl": "bool", "gpu_blas": "bool", "blas": "bool", "cpu_info": "str", "gpu_info": "str",
    "model_filename": "str", "model_type": "str", "model_size": "int", "model_n_params": "int", "n_batch": "int",
    "n_ubatch": "int", "n_threads": "int", "type_k": "str", "type_v": "str", "n_gpu_layers": "int", "split_mode": "str",
    "main_gpu": "int", "no_kv_offload": "bool", "flash_attn": "bool", "tensor_split": "str", "use_mmap": "bool",
    "embeddings": "bool", "n_prompt": "int", "n_gen": "int", "test_time": "str", "avg_ns": "int", "stddev_ns": "int",
    "avg_ts": "float", "stddev_ts": "float",
}
SQL_TYPES = {"str": "TEXT", "bool": "INTEGER", "int": "INTEGER", "float": "REAL"}
FROM_CASE = ("n_batch", "n_ubatch", "n_threads", "type_k", "type_v", "n_gpu_layers", "split_mode", "main_gpu",
             "no_kv_offload", "flash_attn", "tensor_split", "use_mmap", "embeddings", "n_prompt", "n_gen")

# Columns of the table that are there only if the user chose values for them.
OPTIONAL = ("n_batch", "n_ubatch", "type_k", "type_v", "main_gpu", "split_mode", "no_kv_offload", "flash_attn",
            "tensor_split", "use_mmap", "embeddings")
TITLES = {"n_threads": "threads", "split_mode": "sm", "no_kv_offload": "nkvo", "flash_attn": "fa", "use_mmap": "mmap",
          "embeddings": "embd", "tensor_split": "ts"}


class Result:
    """A case, the model it ran on, and its times in nanoseconds.

    `values`: {name of FIELDS: text}. `samples_ns`, `samples_ts`: int and tokens per second of each run.
    `active_params`, `active_bytes`: weights that a token is multiplied with.
    """

    def __init__(self, case, model, cpu, samples_ns):
        self.case, self.samples_ns = case, samples_ns
        self.samples_ts = [1e9 * (case.n_prompt + case.n_gen) / ns for ns in samples_ns]
        self.model_size, self.n_params = model.size, model.n_params
        self.active_params, self.active_bytes = active(model)
        self.values = dict.fromkeys(FIELDS, "0")
        self.values.update({field: str(getattr(case, field)) for field in FROM_CASE})
        self.values.update(
            build_commit=COMMIT, build_number=str(BUILD), cpu_info=cpu, gpu_info="", model_filename=case.model,
            model_type=model.desc, model_size=str(model.size), model_n_params=str(model.n_params),
            test_time=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), avg_ns=str(int(mean(samples_ns))),
            stddev_ns=str(int(deviation(samples_ns))), avg_ts=f"{mean(self.samples_ts):f}",
            stddev_ts=f"{deviation(self.samples_ts):f}")


def active(model):
    """(weights, bytes) that one token is multiplied with: of an embedding a row is read, of experts only those chosen."""
    params = size = 0
    untied = model.weights.get("output") is not None
    for w in model.weights.all():
        if w.name == "token_embd.weight" and untied:
            continue
        share = model.hparams.n_expert_used / w.slices if w.slices > 1 else 1
        params += share * w.k * w.rows * w.slices
        size += share * len(w.data)
    return params, size


def mean(values):
    return sum(values) / len(values)


def deviation(values):
    """Standard deviation of a sample; 0 of a single value."""
    if len(values) < 2:
        return 0.0
    middle = mean(values)
    return math.sqrt(sum((value - middle) ** 2 for value in values) / (len(values) - 1))


class Csv:
    def __init__(self, request):
        pass

    def head(self):
        return ",".join(FIELDS) + "\n"

    def row(self, result):
        return ",".join('"' + value.replace('"', '""') + '"' for value in result.values.values()) + "\n"

    def tail(self):
        return ""


class Json:
    def __init__(self, request):
        self.first = True

    def head(self):
        return "[\n"

    def row(self, result):
        lines = [f'    "{name}": {_json(FIELDS[name], value)}' for name, value in result.values.items()]
        lines.append(f'    "samples_ns": [ {", ".join(map(str, result.samples_ns))} ]')
        lines.append(f'    "samples_ts": [ {", ".join(f"{value:g}" for value in result.samples_ts)} ]')
        start, self.first = "" if self.first else ",\n", False
        return start + "  {\n" + ",\n".join(lines) + "\n  }"

    def tail(self):
        return "\n]\n"


def _json(kind, value):
    if kind == "str":
        from json import dumps
        return dumps(value, ensure_ascii=False)
    return ("false" if value == "0" else "true") if kind == "bool" else value


class Sql:
    def __init__(self, request):
        pass

    def head(self):
        columns = ",\n".join(f"  {name} {SQL_TYPES[kind]}" for name, kind in FIELDS.items())
        return f"CREATE TABLE IF NOT EXISTS test (\n{columns}\n);\n\n"

    def row(self, result):
        values = ", ".join("'" + value.replace("'", "''") + "'" for value in result.values.values())
        return f"INSERT INTO test ({', '.join(FIELDS)}) VALUES ({values});\n"

    def tail(self):
        return ""


class Markdown:
    def __init__(self, request):
        extra = [field for field in OPTIONAL if field in request.given]
        self.columns = ["model", "size", "params", "backend", "n_threads", *extra, "test", "t/s"]

    def head(self):
        titles = "".join(f" {_fit(TITLES.get(column, column), _width(column))} |" for column in self.columns)
        rules = "".join(f" {'-' * (abs(width) - 1)}{':' if width > 0 else '-'} |" for width in map(_width, self.columns))
        return f"|{titles}\n|{rules}\n"

    def row(self, result):
        cells = "".join(f" {_fit(_cell(column, result), _width(column))} |" for column in self.columns)
        return f"|{cells}\n"

    def tail(self):
        return f"\nbuild: {COMMIT} ({BUILD})\n"


def _width(column):
    """Characters of a column; below zero: it is aligned to the left."""
    fixed = {"model": -30, "t/s": 16, "size": 10, "params": 10}
    if column in fixed:
        return fixed[column]
    width = max(len(column), 10)
    return width if FIELDS.get(column, "str") in ("int", "float") else -width


def _fit(text, width):
    return text.rjust(width) if width > 0 else text.ljust(-width)


def _cell(column, result):
    if column == "model":
        return result.values["model_type"]
    if column == "size":
        gib = result.model_size / 2**30
        return f"{gib:.2f} GiB" if gib >= 1 else f"{gib * 1024:.2f} MiB"
    if column == "params":
        return f"{result.n_params / 1e9:.2f} B" if result.n_params >= 1e9 else f"{result.n_params / 1e6:.2f} M"
    if column == "backend":
        return "CPU"
    if column == "test":
        return result.case.name
    if column == "t/s":
        return f"{mean(result.samples_ts):.2f} ± {deviation(result.samples_ts):.2f}"
    return result.values[column]


PRINTERS = {"csv": Csv, "json": Json, "md": Markdown, "sql": Sql}
