"""onnx.checker and ONNX Runtime on what ferry writes at each opset."""

import pathlib

import onnx
from common import Ferry, Table, expect, goldens, run_session, session


def check(ferry: Ferry, table: Table, scratch: pathlib.Path, opsets: range, quick: bool) -> None:
    for golden in goldens():
        if quick and "-act-" in golden.name:
            continue
        with table.row("opsets", golden.name) as notes:
            source = golden.materialize(scratch / "source")
            worst, sizes = 0.0, []
            for opset in opsets:
                try:
                    out = ferry.export(source, scratch / "opset", "--task", golden.task, "--opset", opset)
                    model = onnx.load(out / "model.onnx")
                    versions = {imported.domain: imported.version for imported in model.opset_import}
                    expect(versions.get("") == opset, f"it says opset {versions.get('')}")
                    onnx.checker.check_model(str(out / "model.onnx"), full_check=True)
                    onnx_session = session(out / "model.onnx")
                    worst = max(worst, golden.compare([run_session(onnx_session, x) for x, _ in golden.runs]))
                    sizes.append(len(model.graph.node))
                except Exception as error:
                    raise type(error)(f"opset {opset}: {error}") from error
            notes.append(f"{opsets[0]} to {opsets[-1]}, {min(sizes)} to {max(sizes)} nodes, max difference {worst:.1e}")
