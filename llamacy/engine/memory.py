"""How much memory there is for a model, and the sentence that says so when it is not enough."""

import os

GIB = 1024.0 ** 3
MIB = 1024.0 ** 2
UNLIMITED = 1 << 60    # what a limit is written as that is none, or larger than any machine


def available():
    """(bytes that this process may still take, what bounds them: "free memory", "a cgroup's limit", "ulimit -v").

    (None, "") where the system does not tell.
    """
    bounds = [(free_memory(), "free memory"), (cgroup_room(), "the cgroup's limit"), (address_space(), "ulimit -v")]
    known = [bound for bound in bounds if bound[0] is not None]
    return min(known) if known else (None, "")


def free_memory():
    """MemAvailable and free swap; None: unknown."""
    fields = meminfo()
    return fields["MemAvailable"] + fields.get("SwapFree", 0) if "MemAvailable" in fields else None


def meminfo():
    """{name: bytes} of /proc/meminfo."""
    rows = [line.split() for line in read("/proc/meminfo").splitlines()]
    return {row[0].rstrip(":"): 1024 * int(row[1]) for row in rows if len(row) == 3 and row[1].isdigit()}


def cgroup_room(root="/sys/fs/cgroup", mine="/proc/self/cgroup"):
    """What the narrowest control group around this process leaves; None: there is no limit."""
    rooms = []
    for line in read(mine).splitlines():
        _, controllers, path = (line.split(":", 2) + ["", ""])[:3]
        if controllers == "":
            rooms += walk(root, path, "memory.max", "memory.current")
        elif "memory" in controllers.split(","):
            rooms += walk(f"{root}/memory", path, "memory.limit_in_bytes", "memory.usage_in_bytes")
    return min(rooms) if rooms else None


def walk(root, path, limit, used):
    """The rooms of a group and of those around it. Pages of files do not count as used: they are given up when needed."""
    rooms = []
    parts = [part for part in path.split("/") if part]
    for depth in range(len(parts), -1, -1):
        folder = "/".join([root, *parts[:depth]])
        most, taken = number(read(f"{folder}/{limit}")), number(read(f"{folder}/{used}"))
        if most is None or most >= UNLIMITED:
            continue
        stat = dict(line.split() for line in read(f"{folder}/memory.stat").splitlines() if line.count(" ") == 1)
        taken = (taken or 0) - (number(stat.get("inactive_file", "")) or 0) - (number(stat.get("active_file", "")) or 0)
        rooms.append(max(0, most - max(0, taken)))
    return rooms


def address_space():
    """What RLIMIT_AS leaves; None: there is no such limit."""
    for line in read("/proc/self/limits").splitlines():
        if line.startswith("Max address space"):
            limit, pages = number(line.split()[3]), number(read("/proc/self/statm").partition(" ")[0])
            return None if limit is None or pages is None else max(0, limit - pages * os.sysconf("SC_PAGE_SIZE"))
    return None


def number(text):
    text = text.strip()
    return int(text) if text.isdigit() else None


def read(path):
    """Text of a file of the kernel; "" if it cannot be read."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return ""
    try:
        return os.read(fd, 65536).decode("ascii", "replace")
    except OSError:
        return ""
    finally:
        os.close(fd)


# ---- what a model needs


class Need:
    """Bytes that a context takes, and how they grow with its sizes.

    weights   that are in memory of our own, or locked there: taken already.  mapped: of the file, read when they are used
    cell_k, cell_v   of a cell of the cache, all layers together; the same in q8_0, if a head divides into its blocks: small_k, small_v
    per_cell  of scratch, per cell.  fixed: the rest of the scratch
    """

    def __init__(self, n_ctx, cell_k, cell_v, per_cell, fixed, small=None, weights=0, mapped=0):
        self.n_ctx, self.cell_k, self.cell_v, self.per_cell, self.fixed = n_ctx, cell_k, cell_v, per_cell, fixed
        self.small, self.weights, self.mapped = small, weights, mapped

    @property
    def cache(self):
        return self.n_ctx * (self.cell_k + self.cell_v)

    @property
    def scratch(self):
        return self.n_ctx * self.per_cell + self.fixed

    def sentence(self, have, bound):
        """Why it does not fit, and what would. have: bytes that can be had beside the weights."""
        total = self.weights + self.cache + self.scratch
        parts = [f"KV {size(self.cache)}", f"scratch {size(self.scratch)}"]
        if self.weights:
            parts.insert(0, f"weights {size(self.weights)}")
        found = "" if have is None else f", have {size(have + self.weights)} ({bound})"
        return f"need {size(total)} ({', '.join(parts)}){found}: {self.advice(have)}"

    def advice(self, have):
        if have is None:
            return "try a smaller -c"
        ways = []
        have = 0.95 * have - 16 * MIB      # what runs beside needs some, too
        fits = int((have - self.fixed) // (self.cell_k + self.cell_v + self.per_cell)) // 256 * 256
        if fits >= 256:
            ways.append(f"-c {min(fits, self.n_ctx - 256)}")
        if self.small and self.n_ctx * (sum(self.small) + self.per_cell) + self.fixed <= have:
            ways.append("-ctk q8_0 -ctv q8_0")
        return "try " + " or ".join(ways) if ways else "try a smaller -ub, or a smaller model"


def size(n):
    """Bytes for people."""
    return f"{n / GIB:.1f} GiB" if n >= GIB else f"{n / MIB:.1f} MiB"


def check(need, log):
    """Errors  MemoryError: the cache and the scratch memory do not fit. A warning if the mapped weights do not, beside them."""
    have, bound = available()
    if have is None:
        return
    if need.cache + need.scratch > have:
        raise MemoryError(need.sentence(have, bound))
    rest = have - need.cache - need.scratch
    if need.mapped > rest and bound != "ulimit -v":        # a mapping has its addresses by now
        log(f"warning: the weights take {size(need.mapped)}, and {size(max(0, rest))} are left ({bound}): they will be read from the "
            f"disk again and again, which is slow\n".encode())


def check_weights(n, flag):
    """Errors  MemoryError: weights of n bytes do not fit into memory of our own, which `flag` asks for."""
    have, bound = available()
    if have is not None and n > have:
        raise MemoryError(f"need {size(n)} (weights {size(n)}), have {size(have)} ({bound}): try without {flag}, or a smaller type")
