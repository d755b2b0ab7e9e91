"""How llamacy is built: a C library from kernels/, an extension module per .pyx, nothing tuned to the building machine.

    python setup.py build_ext --inplace      into the source tree (what `make` does)
    pip install .                            a wheel
    python setup.py kernel_server            the C kernels as a program, for tests (tests/kernels/kernel_server.c)

Environment
    CC                   the C compiler (default: the one Python was built with, else cc)
    LLAMACY_CROSS=aarch64-linux-gnu          kernel_server for that machine, with its compiler <machine>-gcc
    LLAMACY_STAND_IN=1   kernel_server with the levels that name a stand_in: equal instructions that more machines have
    LLAMACY_DEBUG=1      Cython's run-time checks on, C with assert() and without optimisation
    LLAMACY_SANITIZE=1   AddressSanitizer and UndefinedBehaviorSanitizer in every C file

Folder listings are the only lists: a new kernels/formats/<format>.h, kernels/<isa>/isa.c or llamacy/**/<noun>.pyx is
found by itself. Whatever is left out is printed at the end, with the reason.
"""

import os
import platform
import re
import shlex
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from setuptools import Command, Extension, find_packages, setup
from setuptools.command.build_ext import build_ext

# ----------------------------------------------------------------------------------------------- the table

MODE = ("sanitize" if os.environ.get("LLAMACY_SANITIZE") == "1" else
        "debug" if os.environ.get("LLAMACY_DEBUG") == "1" else "release")
CROSS = os.environ.get("LLAMACY_CROSS")
STAND_IN = os.environ.get("LLAMACY_STAND_IN") == "1"
MACHINE = (CROSS or platform.machine()).split("-")[0].lower()
ARCH = {"amd64": "x86_64", "arm64": "aarch64"}.get(MACHINE, MACHINE)
CC = [f"{CROSS}-gcc"] if CROSS else shlex.split(os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc")
MACOS = sys.platform == "darwin"
BUILD = f"build/{CROSS or ('stand-in' if STAND_IN else MODE)}"
GEN = f"{BUILD}/gen" if CROSS or STAND_IN else "build/gen"

# No -march=native: which ISA runs is decided at run time. No contraction: a * b + c rounds twice, on every machine.
COMMON = ["-std=gnu11", "-Wall", "-Wextra", "-fPIC", "-fvisibility=hidden", "-pthread", "-ffp-contract=off"]
OPTIMISE = {
    "release": ["-O3", "-g0", "-DNDEBUG"],
    "debug": ["-O0", "-g", "-UNDEBUG"],
    "sanitize": ["-O1", "-g", "-UNDEBUG", "-fno-omit-frame-pointer", "-fsanitize=address,undefined", "-fno-sanitize-recover"],
}[MODE]
# The oracle of all faster kernels is compiled so that the compiler has little room to be clever.
FILE_FLAGS = {"kernels/formats.c": ["-O2"] if MODE == "release" else []}

LIBRARY = "liblcy.so"
LINK = ["-dynamiclib", f"-Wl,-install_name,@rpath/{LIBRARY}"] if MACOS else ["-shared", f"-Wl,-soname,{LIBRARY}"]
ORIGIN = "@loader_path" if MACOS else "$ORIGIN"
INCLUDE = ["kernels", GEN]

DIRECTIVES = {
    "language_level": 3,
    "embedsignature": MODE != "release",
    "boundscheck": MODE != "release",
    "wraparound": MODE != "release",
    "initializedcheck": MODE != "release",
    "cdivision": True,                   # the meaning of / does not change with the mode
}

# --------------------------------------------------------------------------------------------- what the folders hold


def formats():
    """Names of the weight formats: headers that define a descriptor `lcy_format_<file stem>`."""
    paths = sorted(Path("kernels/formats").glob("*.h"))
    return [path.stem for path in paths if re.search(rf"\blcy_format_{path.stem}\s*=", path.read_text())]


def isas():
    """(name, path, flags, reason) of each kernels/*/isa.c, weakest first; reason: why it is left out, or None."""
    found = []
    for path in sorted(Path("kernels").glob("*/isa.c")):
        tag = dict(re.findall(r"(\w+)=([^;]*);", path.read_text().split("\n", 1)[0]))
        if not {"arch", "rank", "cflags"} <= tag.keys():
            raise SystemExit(f"{path}: line 1 should be /*@isa arch=...; rank=...; cflags=...; */")
        flags = tag["cflags"].split() + ([*tag.get("stand_in", "").split(), "-DLCY_STAND_IN"] if STAND_IN else [])
        reason = (f"for {tag['arch']}, this is {ARCH}" if tag["arch"] != ARCH else
                  "nothing stands in for it" if STAND_IN and "stand_in" not in tag else
                  None if accepts(flags) else f"{CC[0]} does not know {tag['cflags']}")
        found.append((int(tag["rank"]), path.parent.name, path, flags, reason))
    return [entry[1:] for entry in sorted(found)]


def accepts(flags):
    """True if the compiler builds a two-line program with these flags."""
    with tempfile.TemporaryDirectory() as folder:
        probe = Path(folder, "probe.c")
        probe.write_text("int probe(int x);\nint probe(int x) { return x + 1; }\n")
        command = [*CC, "-Werror", *flags, "-c", str(probe), "-o", str(probe.with_suffix(".o"))]
        return subprocess.run(command, capture_output=True).returncode == 0


def extensions():
    """One extension module per .pyx; those that cimport llamacy._lcy are linked to the C library."""
    headers = [str(path) for path in sorted(Path("kernels").glob("*.h"))]
    for path in sorted(Path("llamacy").rglob("*.pyx")):
        text = "".join(p.read_text() for p in (path, path.with_suffix(".pxd")) if p.exists())
        links = re.search(r"^\s*(from\s+[\w.]*_lcy\s+cimport|(from\s+\S+\s+)?cimport\s+[\w.]*_lcy\b)", text, re.M)
        up = "/.." * (len(path.parts) - 2)
        yield Extension(
            ".".join(path.with_suffix("").parts), [str(path)],
            include_dirs=INCLUDE, depends=["setup.py", *headers], libraries=["m"],
            extra_compile_args=["-std=gnu11", "-fvisibility=hidden", "-ffp-contract=off", *OPTIMISE],
            extra_objects=[f"{BUILD}/{LIBRARY}"] if links else [],
            extra_link_args=(["-fsanitize=address,undefined"] if MODE == "sanitize" else []) +
                            ([f"-Wl,-rpath,{ORIGIN}{up}"] if links else []))


# ------------------------------------------------------------------------------------------------------ the work


def write(path, text):
    """Write a generated file, unless it says that already (its time stamp decides what is compiled again)."""
    if not path.exists() or path.read_text() != text:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def fresh(target, command):
    """True if `target` was made by this very command and nothing it was made from (its .d file) is newer."""
    note, deps = target.with_suffix(".cmd"), target.with_suffix(".d")
    if not (target.exists() and deps.exists() and note.exists() and note.read_text() == shlex.join(command)):
        return False
    made, files = target.stat().st_mtime_ns, deps.read_text().replace("\\\n", " ").split(":", 1)[1].split()
    return all(os.path.exists(name) and os.stat(name).st_mtime_ns < made for name in files)


def compile_unit(source, flags):
    """Compile one C file if it or anything it includes has changed; return (object, compiler's complaint or None)."""
    target = Path(BUILD, source).with_suffix(".o")
    target.parent.mkdir(parents=True, exist_ok=True)
    command = [*CC, *COMMON, *OPTIMISE, *FILE_FLAGS.get(str(source), []), *flags, *(f"-I{i}" for i in INCLUDE),
               "-MMD", "-c", str(source), "-o", str(target)]
    if fresh(target, command):
        return target, None
    target.unlink(missing_ok=True)
    print(shlex.join(command), flush=True)
    start = time.time()
    if subprocess.run(command).returncode:
        return target, f"{source}: does not compile"
    os.utime(target, (start, start))                  # what is saved while the compiler runs is newer than the object
    target.with_suffix(".cmd").write_text(shlex.join(command))
    return target, None


def compile_kernels(jobs):
    """Write the generated lists and compile kernels/: (objects, complaints, what was left out, one line each)."""
    found = isas()
    used = [(name, path, flags) for name, path, flags, reason in found if reason is None]
    gen, names = Path(GEN), formats()
    write(gen / "formats_all.h", "".join(f'#include "formats/{name}.h"\n' for name in names))
    write(gen / "formats.inc", "".join(f"X({name})\n" for name in names))
    write(gen / "isas.inc", "".join(f"X({name})\n" for name, _, _ in used))

    # The strongest level first: the units that take longest are in there, and no core should wait for one at the end.
    units = [(unit, flags) for _, path, flags in reversed(used) for unit in sorted(path.parent.glob("*.c"))]
    units += [(path, []) for path in sorted(Path("kernels").glob("*.c"))]
    with ThreadPoolExecutor(jobs or 1) as pool:
        results = list(pool.map(lambda unit: compile_unit(*unit), units))
    complaints = [complaint for _, complaint in results if complaint]
    return [target for target, _ in results], complaints, [f"{name}: {reason}" for name, _, _, reason in found if reason]


def link_library(objects):
    """Link the library when an object changed; the new file replaces the old one whole (it may be in use)."""
    library = Path(BUILD, LIBRARY)
    library.parent.mkdir(parents=True, exist_ok=True)
    command = [*CC, *LINK, *OPTIMISE, "-pthread", *map(str, objects), "-o", f"{library}.new", "-lm", "-lpthread"]
    note = Path(f"{library}.cmd")
    if (library.exists() and note.exists() and note.read_text() == shlex.join(command)
            and all(o.stat().st_mtime_ns < library.stat().st_mtime_ns for o in objects)):
        return None
    print(shlex.join(command), flush=True)
    if subprocess.run(command).returncode:
        return f"{LIBRARY}: does not link"
    os.replace(f"{library}.new", library)
    note.write_text(shlex.join(command))
    return None


def install_file(source, target):
    """Copy `source` over `target` unless it is there already; whole or not at all."""
    old, new = target.exists() and target.stat(), source.stat()
    if old and (old.st_mtime_ns, old.st_size) == (new.st_mtime_ns, new.st_size):
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy2(source, f"{target}.new")
    os.replace(f"{target}.new", target)


class KernelServer(Command):
    """The kernels linked into tests/kernels/kernel_server.c; static if it is for an emulator."""

    user_options = [("parallel=", "j", "compile so many files at once")]

    def initialize_options(self):
        self.parallel = None

    def finalize_options(self):
        self.parallel = int(self.parallel or 1)

    def run(self):
        objects, complaints, _ = compile_kernels(self.parallel)
        main, complaint = compile_unit(Path("tests/kernels/kernel_server.c"), [])
        program = Path(BUILD, "kernel-server")
        command = [*CC, *(["-static"] if CROSS else []), *OPTIMISE, str(main), *map(str, objects), "-o", f"{program}.new",
                   "-lm", "-lpthread"]
        if complaints := [*complaints, *filter(None, [complaint])]:
            raise SystemExit("\n".join(f"failed: {line}" for line in complaints))
        if subprocess.run(command).returncode:
            raise SystemExit(f"failed: {program}: does not link")
        os.replace(f"{program}.new", program)


class Build(build_ext):
    """build_ext that makes the C library first, goes on after a failure and names all failures at the end."""

    def finalize_options(self):
        super().finalize_options()
        self.failures = []
        if MODE != "release" and self.inplace:             # products of their own, so that changing the mode is cheap
            self.build_lib, self.build_temp = f"{BUILD}/lib", f"{BUILD}/temp"
        elif MODE != "release":
            self.force = True

    def run(self):
        if CROSS or STAND_IN:
            raise SystemExit("LLAMACY_CROSS and LLAMACY_STAND_IN are for kernel_server only")
        left_out = self.build_library()
        self.extensions = self.extensions or []
        if not self.translate(self.extensions):           # which of them is it?
            self.extensions = [ext for ext in self.extensions if self.translate([ext]) or self.refuse(ext)]
        super().run()
        print(f"{MODE}: {LIBRARY} and {len(self.extensions)} extension modules")
        for line in left_out:
            print(f"left out: {line}")
        if self.failures:
            raise SystemExit("\n".join(f"failed: {line}" for line in self.failures))

    def build_library(self):
        """Compile kernels/ and link the library; return what was left out, one line each."""
        objects, complaints, left_out = compile_kernels(self.parallel)
        complaints = complaints or list(filter(None, [link_library(objects)]))
        self.failures += complaints
        if not complaints:
            install_file(Path(BUILD, LIBRARY), self.library_path())
        return left_out

    def library_path(self):
        return Path("llamacy" if self.inplace else f"{self.build_lib}/llamacy", LIBRARY)

    def translate(self, extensions):
        """Run Cython on modules, several at a time; False if it refuses one."""
        from Cython.Build import cythonize
        from Cython.Compiler.Errors import CompileError

        outputs = [Path(f"{BUILD}/cython", ext.sources[0]).with_suffix(".c") for ext in extensions]
        stale = any(c.exists() and c.stat().st_mtime < os.stat("setup.py").st_mtime for c in outputs)
        try:
            made = cythonize([*extensions], nthreads=self.parallel or 0, build_dir=f"{BUILD}/cython",
                             compiler_directives=DIRECTIVES, force=stale, quiet=True)
        except CompileError:
            return False
        sources = {ext.name: ext.sources for ext in made}
        for ext in extensions:
            ext.sources = sources[ext.name]
        return True

    def refuse(self, ext):
        """Leave a module out, with a line for the end."""
        self.failures.append(f"{ext.sources[0]}: Cython refuses it")

    def build_extension(self, ext):
        from setuptools.errors import CCompilerError

        try:
            super().build_extension(ext)
        except CCompilerError:
            self.failures.append(f"{ext.name}: does not compile")

    def copy_extensions_to_source(self):
        for ext in self.extensions:
            built = Path(self.build_lib, self.get_ext_filename(ext._full_name))
            if built.exists():
                install_file(built, Path(self.get_ext_filename(ext._full_name)))

    def get_outputs(self):
        return [*super().get_outputs(), str(self.library_path())]


if __name__ == "__main__":
    version = re.search(r'__version__ = "(.+)"', Path("llamacy/__init__.py").read_text())[1]
    setup(version=version, license="MIT", include_package_data=False,
          packages=find_packages(include=["llamacy", "llamacy.*"]),
          package_data={"llamacy": ["py.typed", "models/*.gguf"], "llamacy.server": ["web/*", "web/page/*"]},
          ext_modules=list(extensions()), cmdclass={"build_ext": Build, "kernel_server": KernelServer})
