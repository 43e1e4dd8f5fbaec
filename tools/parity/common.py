"""What the parity checks share: running ferry and Optimum, reading graphs, and the table of results."""

import contextlib
import dataclasses
import json
import os
import pathlib
import shutil
import subprocess
import sys
import time
import traceback

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

import numpy as np
import onnx
import onnxruntime
from safetensors.numpy import load_file

ROOT = pathlib.Path(__file__).resolve().parents[2]
GOLDEN = ROOT / "tests" / "data" / "golden"
EXAMPLE = ROOT / "examples" / "checkpoints" / "distilbert-squad-tiny"
sys.path.insert(0, str(ROOT / "tools"))


class Mismatch(Exception):
    """Something differs from the reference; the message says what."""


def expect(condition: bool, message: str) -> None:
    if not condition:
        raise Mismatch(message)


class Table:
    """Prints a row for each check as it ends, and remembers whether one failed."""

    def __init__(self):
        self.rows = 0
        self.failures = []

    @contextlib.contextmanager
    def row(self, check: str, subject: str):
        """The body appends what it measured to the list it gets."""
        notes: list[str] = []
        began = time.time()
        try:
            yield notes
            verdict = "ok"
        except Exception as error:  # one broken case must not hide the others
            verdict = "FAIL"
            self.failures.append(f"{check} {subject}")
            notes.append(str(error).strip() or type(error).__name__)
            if not isinstance(error, Mismatch) and os.environ.get("PARITY_TRACE"):
                traceback.print_exc()
        self.rows += 1
        print(f"{verdict:4}  {check:22} {subject:46} {time.time() - began:5.1f} s  {'; '.join(notes)}", flush=True)

    def close(self) -> int:
        print(f"\n{self.rows - len(self.failures)} of {self.rows} checks passed")
        for failure in self.failures:
            print(f"failed: {failure}")
        return 1 if self.failures else 0


def run(*command) -> None:
    result = subprocess.run([str(part) for part in command], capture_output=True, text=True)
    if result.returncode != 0:
        lines = (result.stderr + result.stdout).strip().splitlines()
        line = " ".join(str(part) for part in command)
        raise Mismatch(f"exit code {result.returncode} of `{line}`: {' | '.join(lines[-4:])}")


@dataclasses.dataclass
class Ferry:
    binary: str

    def export(self, model: pathlib.Path, out: pathlib.Path, *flags) -> pathlib.Path:
        shutil.rmtree(out, ignore_errors=True)
        run(self.binary, "export", "onnx", "--model", model, *flags, out)
        return out


def optimum_export(model: pathlib.Path, out: pathlib.Path, *flags) -> pathlib.Path:
    shutil.rmtree(out, ignore_errors=True)
    run(pathlib.Path(sys.executable).with_name("optimum-cli"), "export", "onnx", "--model", model, *flags, out)
    return out


def read_runs(io: dict) -> list:
    runs = sorted({int(name.split("/")[0]) for name in io})
    part = lambda run, kind: {n.split("/")[2]: v for n, v in io.items() if n.startswith(f"{run}/{kind}/")}
    return [(part(run, "inputs"), part(run, "outputs")) for run in runs]


class Golden:
    """One folder of tests/data/golden (tools/oracle/make_goldens.py)."""

    def __init__(self, folder: pathlib.Path):
        self.folder = folder
        self.name = folder.name
        self.case = json.loads((folder / "case.json").read_text())
        self.task = self.case["task"]
        self.flags = ["--task", self.task] + (["--dtype", self.case["dtype"]] if "dtype" in self.case else [])
        # Multiplying stored integers, ONNX Runtime rounds the activations to 8 bits.
        stored_integers = "quantization_config" in json.loads((folder / "config.json").read_text())
        self.atol = 0.15 if stored_integers else self.case["atol"]
        self.sentence = self.case.get("library") == "sentence_transformers"
        # Of each file: pairs of inputs and outputs. io.safetensors belongs to model.onnx, io-NAME to NAME.onnx.
        self.parts = {}
        for io in sorted(folder.glob("io*.safetensors")):
            self.parts[(io.stem[3:] or "model") + ".onnx"] = read_runs(load_file(io))

    def materialize(self, into: pathlib.Path) -> pathlib.Path:
        """The checkpoint as a user would have it: with its weights in the folder."""
        shutil.rmtree(into, ignore_errors=True)
        shutil.copytree(self.folder, into, ignore=shutil.ignore_patterns("case.json", "io.safetensors"))
        if "weights" in self.case:
            shutil.copyfile(self.folder / self.case["weights"], into / "model.safetensors")
        return into

    @property
    def runs(self) -> list:
        """Of a model of one file."""
        return self.parts["model.onnx"]

    def compare_folder(self, folder: pathlib.Path) -> float:
        """Every file in a plain session."""
        worst = 0.0
        for file, runs in self.parts.items():
            onnx_session = session(folder / file)
            worst = max(worst, self.compare(runs, [run_session(onnx_session, inputs) for inputs, _ in runs]))
        return worst

    def compare(self, runs: list, outputs: list[dict]) -> float:
        """The largest difference over all runs; raises if it is beyond the case's tolerance."""
        worst = 0.0
        for (_, wanted), got in zip(runs, outputs, strict=True):
            for name, value in wanted.items():
                expect(name in got, f"no output {name}, only {', '.join(got)}")
                expect(value.shape == got[name].shape, f"{name} is {got[name].shape}, not {value.shape}")
                expect(bool(np.isfinite(got[name]).all()), f"{name} is not finite")
                worst = max(worst, float(np.abs(value - got[name]).max()))
        expect(worst <= self.atol, f"differs by {worst:.1e}")
        return worst


only = ""  # run.py --only


def goldens() -> list[Golden]:
    folders = sorted(folder for folder in GOLDEN.iterdir() if (folder / "case.json").exists() and only in folder.name)
    return [Golden(folder) for folder in folders]


def session(model: pathlib.Path) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])


def run_session(session: onnxruntime.InferenceSession, inputs: dict) -> dict:
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(None, inputs)))


def signature(values) -> dict:
    """name -> (element type, axes), in the graph's order."""
    types = onnx.TensorProto.DataType
    return {
        value.name: (
            types.Name(value.type.tensor_type.elem_type),
            [dim.dim_param or dim.dim_value for dim in value.type.tensor_type.shape.dim],
        )
        for value in values
    }


def is_junk(axis, output: str) -> bool:
    """torch's exporter calls a dimension that it could not infer `Divsentence_embedding_dim_1` or the like."""
    return isinstance(axis, str) and f"{output}_dim_" in axis


# transformers makes these from vocab.txt when it saves a tokenizer; ferry copies what the checkpoint has.
MADE_BY_TRANSFORMERS = {"tokenizer.json", "special_tokens_map.json"}


def compare_folders(source: pathlib.Path, ours: pathlib.Path, theirs: pathlib.Path) -> str:
    """Files, names, order, types and axes must be Optimum's, and the graph no larger."""
    made = {name for name in MADE_BY_TRANSFORMERS if not (source / name).exists()}
    files = [sorted({f.name for f in folder.iterdir()} - made) for folder in (ours, theirs)]
    expect(files[0] == files[1], f"files are {files[0]}, not {files[1]}")
    nodes = []
    for file in files[0]:
        if not file.endswith(".onnx"):
            continue
        a, b = (onnx.load(folder / file, load_external_data=False) for folder in (ours, theirs))
        for kind in ("input", "output"):
            mine, wanted = signature(getattr(a.graph, kind)), signature(getattr(b.graph, kind))
            expect(list(mine) == list(wanted), f"{kind}s are {list(mine)}, not {list(wanted)}")
            for name, (dtype, axes) in wanted.items():
                expect(mine[name][0] == dtype, f"{name} is {mine[name][0]}, not {dtype}")
                expect(len(mine[name][1]) == len(axes), f"{name} has the axes {mine[name][1]}, not {axes}")
                for axis, want in zip(mine[name][1], axes):
                    good = isinstance(axis, int) and axis > 0 if is_junk(want, name) else axis == want
                    expect(good, f"{name} has the axes {mine[name][1]}, not {axes}")
        opsets = [{o.domain: o.version for o in model.opset_import}.get("", 0) for model in (a, b)]
        expect(opsets[0] == opsets[1], f"opset {opsets[0]}, not {opsets[1]}")
        nodes.append((len(a.graph.node), len(b.graph.node)))
        expect(nodes[-1][0] <= nodes[-1][1], f"{nodes[-1][0]} nodes, Optimum has {nodes[-1][1]}")
    return ", ".join(f"{mine} nodes (Optimum {other})" for mine, other in nodes)


def config_difference(ours: pathlib.Path, theirs: pathlib.Path) -> str:
    """Keys of config.json that differ from Optimum's; for the reader, not a failure."""
    a, b = (json.loads((folder / "config.json").read_text()) for folder in (ours, theirs))
    keys = sorted(key for key in a.keys() | b.keys() if a.get(key, "absent") != b.get(key, "absent"))
    return f"config.json differs in {', '.join(keys)}" if keys else ""
