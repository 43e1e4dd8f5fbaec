"""onnx.checker and ONNX Runtime on what ferry writes at each opset."""

import pathlib

import onnx
from common import Ferry, Table, expect, goldens


def check(ferry: Ferry, table: Table, scratch: pathlib.Path, opsets: range, quick: bool) -> None:
    for golden in goldens():
        if quick and "-act-" in golden.name:
            continue
        with table.row("opsets", golden.name) as notes:
            source = golden.materialize(scratch / "source")
            worst, sizes = 0.0, []
            for opset in opsets:
                try:
                    out = ferry.export(source, scratch / "opset", *golden.flags, "--opset", opset)
                    for file in sorted(out.glob("*.onnx")):
                        model = onnx.load(file)
                        versions = {imported.domain: imported.version for imported in model.opset_import}
                        expect(versions.get("") == opset, f"{file.name} says opset {versions.get('')}")
                        onnx.checker.check_model(str(file), full_check=True)
                        sizes.append(len(model.graph.node))
                    worst = max(worst, golden.compare_folder(out))
                except Exception as error:
                    raise type(error)(f"opset {opset}: {error}") from error
            notes.append(f"{opsets[0]} to {opsets[-1]}, {min(sizes)} to {max(sizes)} nodes, max difference {worst:.1e}")
