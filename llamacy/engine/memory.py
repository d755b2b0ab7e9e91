"""How much memory there is for a model, and the sentence that says so when it is not enough."""

import os

GIB = 1024.0 ** 3
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
