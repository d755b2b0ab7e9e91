"""Which kernels there are to test: those of this machine's ISA levels, and those that other processes run (remote.py)."""

import pytest

import lcy
import remote

NATIVE = [("reference", lcy.kernels(0)), *lcy.levels()]
EMULATED = remote.emulated()
STAND_INS = remote.stand_ins()
MACHINES = [machine for machine in (NATIVE, EMULATED, STAND_INS) if machine]
LEVELS = [level for machine in MACHINES for level in machine[1:]]
PLAIN = NATIVE[0][1]


def own(field):
    """A test parameter (level, table, format) for each kernel in a field of the table that a level has for itself.

    What a level takes from the one below is tested there.
    """
    found = []
    for machine in MACHINES:
        for fmt in lcy.FORMATS:
            seen = {0}
            for level, table in machine:
                at = lcy.address(getattr(table, field)[fmt.type])
                if at not in seen and table is not machine[0][1]:
                    found.append(pytest.param(level, table, fmt, id=f"{level}-{fmt.name.decode()}"))
                seen.add(at)
    return found


def own_operations():
    """A test parameter (level, table) for each level that has operations of its own, of those that every machine offers."""
    found = []
    for machine in MACHINES:
        def addresses(table):
            return [lcy.address(lcy.operation(table, name)) for name in remote.OPERATIONS]

        for (_, below), (level, table) in zip(machine, machine[1:]):
            if addresses(below) != addresses(table):
                found.append(pytest.param(level, table, id=level))
    return found


def is_emulated(level):
    """True for a level whose kernels cost many times what they should."""
    return level in dict(EMULATED[1:])
