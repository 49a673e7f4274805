"""Builds what people install, of the last commit, into dist/: the single file, a wheel, a source archive, and an SBOM.

python3 .ci/dist/build.py [PYTHON], from the top of a clone. Everything is made in build/dist, of names and versions that
constraints.txt has, with the commit's time in place of today's: one commit gives the same bytes each time.
"""

import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tomllib
from datetime import UTC, datetime
from pathlib import Path
from zipfile import ZipFile, ZipInfo

HERE = Path(__file__).resolve().parent
TOP = HERE.parent.parent
OUT = TOP / "dist"
WORK = TOP / "build" / "dist"
SOURCE, VENV, BUNDLE = WORK / "source", WORK / "venv", WORK / "bundle" / "onefleet"
INSIDE = BUNDLE / "_internal"
MOST_BYTES = 30 * 1000 * 1000
SHIM = "libonefleet-arc4random.so"


def main(python: str) -> None:
    """Build all of it, telling each step."""
    commit, seconds = _git("rev-parse", "HEAD"), int(_git("log", "-1", "--format=%ct"))
    if _git("status", "--porcelain"):
        print("note: what is not committed is not in it", flush=True)
    os.environ |= {
        "SOURCE_DATE_EPOCH": str(seconds),
        "PYTHONHASHSEED": "0",
        "PYINSTALLER_ZLIB_COMPRESSION_LEVEL": "0",  # packed once, at the end, it comes out smaller, and starts sooner
        "PYTHONDONTWRITEBYTECODE": "1",
        "LC_ALL": "C.UTF-8",
        "TZ": "UTC",
    }
    os.umask(0o022)
    for folder in (WORK, OUT):
        shutil.rmtree(folder, ignore_errors=True)
    OUT.mkdir()
    WORK.mkdir(parents=True)
    _step(f"exporting commit {commit[:12]}")
    built_at = f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%SZ}"
    _export(commit, built_at)
    _step("installing the tools")
    _make_venv(python)
    _step("making the wheel and the source archive")
    wheel = _make_distributions()
    _step("gathering the bundle")
    _make_bundle(wheel)
    _step("writing down what is inside")
    _python(HERE / "parts.py", INSIDE, INSIDE / "gateway" / "parts.json", "--sbom", OUT / "onefleet.cdx.json")
    _step("packing")
    _pack()
    _tell()


def _export(commit: str, built_at: str) -> None:
    """Lay the commit out in SOURCE, with build.json in it."""
    SOURCE.mkdir()
    archive = subprocess.run(["git", "-C", TOP, "archive", commit], capture_output=True, check=True).stdout
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        tar.extractall(SOURCE)
    version = tomllib.loads((SOURCE / "pyproject.toml").read_text())["project"]["version"]
    told = {"version": version, "commit": commit, "built_at": built_at}
    (SOURCE / "gateway" / "build.json").write_text(json.dumps(told) + "\n")


def _make_venv(python: str) -> None:
    _run(python, "-m", "venv", VENV)
    _install(*_needs("dist"))


def _needs(extra: str) -> list[str]:
    needs: list[str] = tomllib.loads((SOURCE / "pyproject.toml").read_text())["project"]["optional-dependencies"][extra]
    return needs


def _make_distributions() -> Path:
    """Return the wheel, which is made of the source archive, as is everybody's."""
    _python("-m", "build", "--no-isolation", "--outdir", OUT, SOURCE)
    [wheel] = OUT.glob("*.whl")
    return wheel


def _make_bundle(wheel: Path) -> None:
    _install(wheel)
    folders = ["--distpath", WORK / "bundle", "--workpath", WORK / "pyinstaller"]
    _python("-m", "PyInstaller", "--log-level", "ERROR", "--noconfirm", *folders, HERE / "onefleet.spec")
    _zip_timezones()
    shim = WORK / SHIM
    _run("gcc", "-O2", "-shared", "-fPIC", "-s", "-Wl,--build-id=none", "-Wl,-soname", f"-Wl,{SHIM}", "-o", shim, HERE / "arc4random.c")
    _python(HERE / "glibc.py", INSIDE, shim)


def _zip_timezones() -> None:
    """Put tzdata into one file: it is six hundred, each of which would take its time to unpack."""
    [package] = VENV.glob("lib/python3*/site-packages/tzdata")
    with ZipFile(INSIDE / "tzdata.zip", "w") as zipped:
        for file in sorted(each for each in package.rglob("*") if each.is_file() and each.parent.name != "__pycache__"):
            zipped.writestr(ZipInfo(str(file.relative_to(package.parent))), file.read_bytes())


def _pack() -> None:
    launcher = WORK / "launcher"
    strict = ["-O2", "-Wall", "-Wextra", "-Werror", "-static", "-s", "-Wl,--build-id=none"]
    _run("gcc", *strict, "-o", launcher, HERE / "launcher.c", "-lzstd")
    _python(HERE / "pack.py", launcher, BUNDLE, OUT / "onefleet")


def _tell() -> None:
    for file in sorted(OUT.iterdir()):
        digest = hashlib.sha256(file.read_bytes()).hexdigest()
        print(f"{file.stat().st_size / 1e6:6.1f} MB  {digest}  dist/{file.name}")
    if (OUT / "onefleet").stat().st_size > MOST_BYTES:
        sys.exit(f"dist/onefleet is larger than {MOST_BYTES / 1e6:.0f} MB: see build/dist/bundle for what takes the room")


def _step(text: str) -> None:
    print(f"{text} ...", flush=True)


def _install(*what: object) -> None:
    constraints = ["--constraint", TOP / "constraints.txt"]
    _python("-m", "pip", "install", "--quiet", "--disable-pip-version-check", *constraints, *what)


def _python(*words: object) -> None:
    _run(VENV / "bin" / "python", *words)


def _run(*words: object) -> None:
    subprocess.run(list(map(str, words)), check=True, cwd=WORK)  # where no package of ours lies to be taken instead


def _git(*words: str) -> str:
    return subprocess.run(["git", "-C", TOP, *words], capture_output=True, text=True, check=True).stdout.strip()


if __name__ == "__main__":
    main(*sys.argv[1:] or ["/usr/bin/python3"])
