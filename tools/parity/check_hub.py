#!/usr/bin/env python3
"""Compares ferry's Hub client with the huggingface_hub package: one cache folder, one (loopback) Hub, both directions.

    python tools/parity/check_hub.py build/ferry

Needs huggingface_hub only. One line for each check; the exit code is 1 if one failed.
"""

import dataclasses
import json
import os
import pathlib
import random
import shutil
import subprocess
import sys
import tempfile
import time

from fake_hub import FakeHub, Repo

REPO = "org/model"
EXPORT = ["config.json", "tokenizer.json", "1_Pooling/config.json", "model.safetensors"]
CUT = 15_000_000  # Python writes 10 MiB at a time.

FILES = {
    "config.json": b'{"model_type": "bert"}',
    "tokenizer.json": b'{"version": "1.0"}',
    "1_Pooling/config.json": b"{}",
    "README.md": b"# A model",
    "modeling_own.py": b"print('never')",
    "model.safetensors": random.Random(1).randbytes(24_000_000),
    "pytorch_model.bin": random.Random(2).randbytes(100_000),
}


def expect(condition: bool, message: str) -> None:
    if not condition:
        raise AssertionError(message)


@dataclasses.dataclass
class Result:
    code: int
    out: str
    err: str


class Bench:
    """Both programs, with one environment."""

    def __init__(self, ferry: str, scratch: pathlib.Path):
        self.ferry_binary, self.scratch = ferry, scratch
        self.hub = FakeHub({
            REPO: Repo(FILES, refs=("main", "v1.0", "refs/pr/1")),
            "org/gated": Repo(FILES, gated=True),
            "org/private": Repo(FILES, private=True),
        })  # fmt: skip

    def cache(self) -> pathlib.Path:
        return pathlib.Path(tempfile.mkdtemp(dir=self.scratch)) / "hub"

    def environment(self, cache: pathlib.Path, **extra: str) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if name in ("PATH", "LD_LIBRARY_PATH", "LANG")}
        home = str(self.scratch / "home")
        base = {"HOME": home, "HF_ENDPOINT": self.hub.endpoint, "HF_HUB_CACHE": str(cache),
                "HF_HUB_DISABLE_PROGRESS_BARS": "1", "HF_HUB_DISABLE_TELEMETRY": "1"}  # fmt: skip
        return {**kept, **base, **extra}

    def start(self, cache: pathlib.Path, command: list[str], **extra: str) -> subprocess.Popen:
        return subprocess.Popen(command, env=self.environment(cache, **extra), text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def run(self, cache: pathlib.Path, command: list[str], **extra: str) -> Result:
        process = self.start(cache, command, **extra)
        out, err = process.communicate(timeout=120)
        return Result(process.returncode, out.strip(), err.strip())

    def ferry(self, cache: pathlib.Path, *words: str, **extra: str) -> Result:
        return self.run(cache, [self.ferry_binary, "hub", *words], **extra)

    def download(self, cache: pathlib.Path, *words: str, **extra: str) -> pathlib.Path:
        result = self.ferry(cache, "download", REPO, *words, **extra)
        expect(result.code == 0, f"ferry exits {result.code}: {result.err}")
        return pathlib.Path(result.out.splitlines()[-1])

    def python(self, cache: pathlib.Path, code: str, **extra: str) -> Result:
        names = "hf_hub_download, scan_cache_dir, snapshot_download, try_to_load_from_cache"
        prologue = f"import json\nfrom huggingface_hub import {names}\n"
        return self.run(cache, [sys.executable, "-c", prologue + code], **extra)

    def python_download(self, cache: pathlib.Path, arguments: str = "", **extra: str) -> pathlib.Path:
        result = self.python(cache, f"print(snapshot_download({REPO!r}, {arguments}))", **extra)
        expect(result.code == 0, f"Python exits {result.code}: {result.err[-500:]}")
        return pathlib.Path(result.out.splitlines()[-1])


def check_contents(folder: pathlib.Path, names) -> None:
    for name in names:
        expect((folder / name).read_bytes() == FILES[name], f"{name} differs")


def tree(cache: pathlib.Path) -> list[tuple[str, str]]:
    """Every entry below the repository's folder: links with their targets, refs with their contents."""
    out = []
    folder = cache / "models--org--model"
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if path.is_symlink():
            out.append((name, os.readlink(path)))
        elif path.is_file():
            out.append((name, path.read_text() if name.startswith("refs/") else f"{path.stat().st_mode:o}"))
    return out


def python_then_ferry(bench: Bench) -> str:
    cache = bench.cache()
    theirs = bench.python_download(cache)
    bench.hub.take_requests()
    ours = bench.download(cache, HF_HUB_OFFLINE="1")
    expect(ours == theirs, f"{ours} != {theirs}")
    expect(not bench.hub.take_requests(), "ferry made requests though offline")
    expect(bench.download(cache) == theirs, "another folder when online")
    asked = [request[:3] for request in bench.hub.take_requests()]
    expect(len(asked) == 1 and "/api/models/" in asked[0][2], f"ferry asked for more than the revision: {asked}")
    listed = bench.ferry(cache, "ls", REPO, HF_HUB_OFFLINE="1").out
    expect(all(name in listed for name in FILES), f"ls lacks files: {listed}")
    return "offline no request, online one"


def ferry_then_python(bench: Bench) -> str:
    cache = bench.cache()
    ours = bench.download(cache)
    check_contents(ours, EXPORT)
    expect(sorted(str(path.relative_to(ours)) for path in ours.rglob("*") if path.is_symlink()) == sorted(EXPORT), "other files")
    bench.hub.take_requests()
    expect(bench.python_download(cache, "local_files_only=True") == ours, "snapshot_download finds another folder")
    expect(bench.python_download(cache, HF_HUB_OFFLINE="1") == ours, "offline Python finds another folder")
    code = f"""
for name in {EXPORT!r}:
    print(hf_hub_download({REPO!r}, name, local_files_only=True), try_to_load_from_cache({REPO!r}, name))"""
    found = bench.python(cache, code)
    expect(found.out.split() == [str(ours / name) for name in EXPORT for _ in range(2)], f"single files: {found.out} {found.err[-300:]}")
    expect(not bench.hub.take_requests(), "Python made requests")
    expect(bench.python_download(cache, f"allow_patterns={EXPORT!r}") == ours, "online Python: another folder")
    fetched = [request[2] for request in bench.hub.take_requests() if request[0] == "GET" and "/api/" not in request[2]]
    expect(not fetched, f"Python downloaded again: {fetched}")
    return "snapshot_download, hf_hub_download, try_to_load_from_cache"


def same_tree(bench: Bench) -> str:
    ours, theirs = bench.cache(), bench.cache()
    for revision in ("main", "v1.0", "refs/pr/1"):
        bench.download(ours, "--revision", revision)
        bench.python_download(theirs, f"revision={revision!r}, allow_patterns={EXPORT!r}")
    left, right = tree(ours), tree(theirs)
    expect(left == right, f"trees differ: {set(left) ^ set(right)}")
    locks = [sorted(path.name for path in (cache / ".locks").rglob("*.lock")) for cache in (ours, theirs)]
    expect(locks[0] == locks[1], "lock files differ")
    return f"{len(left)} entries, links, modes, refs and locks alike"


def patterns(bench: Bench) -> str:
    ours, theirs = bench.cache(), bench.cache()
    bench.download(ours, "--include", "*.json", "--include", "*.md")
    bench.python_download(theirs, "allow_patterns=['*.json', '*.md']")
    expect(tree(ours) == tree(theirs), "trees differ")
    return "--include as allow_patterns"


def break_off(bench: Bench, action) -> None:
    bench.hub.cut_after = CUT
    try:
        action()
    finally:
        bench.hub.cut_after, bench.hub.cdn_refuses = None, False


def ranges(requests: list) -> list[str]:
    return [request[3]["Range"] for request in requests if request[1] == "cdn" and "Range" in request[3]]


def left_over(cache: pathlib.Path) -> int:
    found = list((cache / "models--org--model" / "blobs").glob("*.incomplete"))
    expect(len(found) == 1, f"{len(found)} .incomplete files")
    return found[0].stat().st_size


def ferry_resumes_python(bench: Bench) -> str:
    cache = bench.cache()
    break_off(bench, lambda: bench.python(cache, f"snapshot_download({REPO!r}, allow_patterns={EXPORT!r})"))
    present = left_over(cache)
    bench.hub.take_requests()
    check_contents(bench.download(cache), EXPORT)
    asked = ranges(bench.hub.take_requests())
    expect(asked == [f"bytes={present}-"], f"ferry asked for {asked}")
    return f"from byte {present}"


def python_resumes_ferry(bench: Bench) -> str:
    cache = bench.cache()
    break_off(bench, lambda: bench.ferry(cache, "download", REPO))
    present = left_over(cache)
    expect(not (cache / "models--org--model" / "refs" / "main").exists(), "refs/main is there too early")
    bench.hub.take_requests()
    check_contents(bench.python_download(cache, f"allow_patterns={EXPORT!r}"), EXPORT)
    asked = ranges(bench.hub.take_requests())
    expect(asked == [f"bytes={present}-"], f"Python asked for {asked}")
    return f"from byte {present}"


def killed(bench: Bench) -> str:
    """Two ferry processes at once, one killed by force: the other one finishes, and nothing is left over."""
    cache = bench.cache()
    command = [bench.ferry_binary, "hub", "download", REPO]
    first, second = bench.start(cache, command), bench.start(cache, command)
    time.sleep(0.03)
    first.kill()
    first.communicate(timeout=60)
    out, err = second.communicate(timeout=60)
    expect(second.returncode == 0, f"the survivor exits {second.returncode}: {err}")
    check_contents(pathlib.Path(out.strip()), EXPORT)
    blobs = list((cache / "models--org--model" / "blobs").iterdir())
    expect(not [path for path in blobs if path.name.endswith(".incomplete")], "an .incomplete file stays")
    return "the survivor's files are whole"


def both_at_once(bench: Bench) -> str:
    cache = bench.cache()
    bench.hub.take_requests()
    code = f"from huggingface_hub import snapshot_download\nsnapshot_download({REPO!r}, allow_patterns={EXPORT!r})"
    python = bench.start(cache, [sys.executable, "-c", code])
    ferries = [bench.start(cache, [bench.ferry_binary, "hub", "download", REPO]) for _ in range(2)]
    for process in (python, *ferries):
        _, err = process.communicate(timeout=60)
        expect(process.returncode == 0, err[-300:])
    check_contents(cache / "models--org--model" / "snapshots" / bench.hub.repos[REPO].commit, EXPORT)
    fetched = [request for request in bench.hub.take_requests() if request[0] == "GET" and request[1] == "cdn"]
    expect(len(fetched) == 1, f"the weights were downloaded {len(fetched)} times")
    return "one download for Python and two ferries"


def locks(bench: Bench) -> str:
    """Each waits while the other holds a blob's lock."""
    cache = bench.cache()
    lock = cache / ".locks" / "models--org--model" / f"{bench.hub.repos[REPO].etag('model.safetensors')}.lock"
    lock.parent.mkdir(parents=True)
    code = f"from huggingface_hub.utils import WeakFileLock\nimport time\nwith WeakFileLock({str(lock)!r}):\n  print('held', flush=True)\n  time.sleep(4)"
    holder = bench.start(cache, [sys.executable, "-c", code])
    expect(holder.stdout.readline().strip() == "held", "Python does not get the lock")
    began = time.time()
    result = bench.ferry(cache, "download", REPO)
    waited = time.time() - began
    holder.communicate(timeout=30)
    expect(result.code == 0 and waited > 1, f"ferry waited {waited:.1f} s: {result.err}")
    expect("waiting" in result.err, f"ferry waits in silence: {result.err}")
    return f"ferry waited {waited:.1f} s for Python's lock"


def no_exist(bench: Bench) -> str:
    cache = bench.cache()
    bench.python(cache, f"hf_hub_download({REPO!r}, 'absent.json')")
    bench.download(cache)
    expect((cache / "models--org--model" / ".no_exist").is_dir(), "Python wrote no .no_exist")
    found = bench.python(cache, f"print(try_to_load_from_cache({REPO!r}, 'absent.json'))", HF_HUB_OFFLINE="1").out
    expect("object" in found, f"Python forgot: {found}")
    return "left alone"


def scan(bench: Bench) -> str:
    cache = bench.cache()
    bench.download(cache)
    bench.python_download(cache, "revision='v1.0'")
    code = "info = scan_cache_dir()\nprint(json.dumps([[r.repo_id, r.repo_type, r.size_on_disk, r.nb_files] for r in info.repos]), len(info.warnings))"
    theirs = bench.python(cache, code).out
    rows, warnings = theirs.rsplit(" ", 1)
    expect(warnings == "0", "Python finds the cache damaged")
    [[repo_id, repo_type, size, files]] = json.loads(rows)
    ours = bench.ferry(cache, "scan-cache").out
    row = ours.splitlines()[1].split()
    expect(row[:2] == [repo_id, repo_type], f"{row} != {theirs}")
    expect(float(row[2]) == round(size / 1e6, 1) and int(row[4]) == files, f"{row} != {theirs}")
    expect("main, v1.0" in ours, ours)
    return f"{size} bytes, {files} files"


def errors(bench: Bench) -> str:
    cache = bench.cache()
    cases = [
        ("org/gated", (), "org/gated is gated"), ("org/private", (), "no such repository, or no access"),
        ("org/absent", (), "no such repository, or no access"), (REPO, ("--revision", "v9"), "has no revision v9"),
    ]  # fmt: skip
    for repo_id, flags, text in cases:
        result = bench.ferry(cache, "download", repo_id, *flags)
        expect(result.code == 1 and text in result.err, f"{repo_id}: {result.code} {result.err}")
        theirs = bench.python(cache, f"snapshot_download({repo_id!r}, revision={flags[1] if flags else None!r})")
        expect(theirs.code != 0, f"Python downloads {repo_id}")
    for repo_id in ("org/gated", "org/private"):
        result = bench.ferry(cache, "download", repo_id, HF_TOKEN=bench.hub.token)
        expect(result.code == 0, f"{repo_id} with a token: {result.err}")
    for _, server, _, headers in bench.hub.take_requests():
        expect(server == "hub" or "Authorization" not in headers, "the token went to the other server")
    return f"{len(cases)} refusals, two with a token"


def repo_ids(bench: Bench) -> str:
    """What validate_repo_id takes and refuses."""
    cache, draw = bench.cache(), random.Random(3)
    ids = ["a", "a/b", "A-b_c.d/e", "a--b", "a..b", "x.git", "x.git/y", ".a", "a.", "-a/b", "a/b/c", "a/", "/a", "a" * 96, "a" * 97, "_a/_"]
    ids += ["".join(draw.choice("aZ0-_./") for _ in range(draw.randint(1, 9))) for _ in range(150)]
    ids = [repo_id for repo_id in ids if not repo_id.startswith("-")]  # A flag, for any command line.
    code = f"""
from huggingface_hub.utils import validate_repo_id, HFValidationError
def good(repo_id):
    try: validate_repo_id(repo_id)
    except HFValidationError: return False
    return True
print(json.dumps([good(repo_id) for repo_id in {ids!r}]))"""
    theirs = json.loads(bench.python(cache, code).out)
    for repo_id, good in zip(ids, theirs, strict=True):
        code = bench.ferry(cache, "ls", repo_id, HF_HUB_OFFLINE="1").code
        expect(code == (1 if good else 2), f"{repo_id!r}: Python says {good}, ferry exits {code}")
    return f"{len(ids)} ids, {sum(theirs)} of them good"


CHECKS = [python_then_ferry, ferry_then_python, same_tree, patterns, ferry_resumes_python, python_resumes_ferry, killed,
          both_at_once, locks, no_exist, scan, errors, repo_ids]  # fmt: skip


def main() -> int:
    if len(sys.argv) != 2:
        print(__doc__.strip(), file=sys.stderr)
        return 2
    scratch = pathlib.Path(tempfile.mkdtemp(prefix="ferry-parity-hub-"))
    failed = 0
    try:
        bench = Bench(str(pathlib.Path(sys.argv[1]).resolve()), scratch)
        for check in CHECKS:
            began = time.time()
            try:
                verdict, note = "ok", check(bench)
            except Exception as error:  # one broken check must not hide the others
                verdict, note, failed = "FAIL", f"{type(error).__name__}: {error}", failed + 1
            print(f"{verdict:4}  hub {check.__name__:22} {time.time() - began:5.1f} s  {note}", flush=True)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    print(f"\n{len(CHECKS) - failed} of {len(CHECKS)} checks passed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
