#!/usr/bin/env python3
"""Makes the golden cases of models of images, and of images with text, as make_goldens.py makes those of text.

    python tools/oracle/make_vision_goldens.py                 every case
    python tools/oracle/make_vision_goldens.py vit resnet-     those whose names start so
    python tools/oracle/make_vision_goldens.py --list

Images are noise around zero, as an image processor leaves them; where a model takes any size, the runs have several,
odd ones and oblong ones among them.
"""

import argparse
import dataclasses
import sys

import make_goldens
import torch
import transformers
from make_goldens import AUTO_CLASSES, OUTPUTS, SIZES, Case, generator, normal

AUTO_CLASSES.clear()
AUTO_CLASSES |= {
    "feature-extraction": transformers.AutoModel,
    "image-classification": transformers.AutoModelForImageClassification,
    "masked-im": transformers.AutoModelForMaskedImageModeling,
}
OUTPUTS |= {"masked-im": ["reconstruction"]}

VIT = dict(hidden_size=36, num_hidden_layers=2, num_attention_heads=3, intermediate_size=41, image_size=12, patch_size=4,
           num_channels=3, layer_norm_eps=1e-3, encoder_stride=4)  # fmt: skip
SIZES.clear()
SIZES |= {
    "vit": VIT,
    "resnet": dict(embedding_size=6, hidden_sizes=[12, 16, 20], depths=[2, 1, 2]),
    "convnext": dict(num_stages=3, hidden_sizes=[6, 10, 14], depths=[1, 2, 1], layer_norm_eps=1e-3, image_size=32),
}
# (batch, height, width) of each run: those of config.image_size where the model takes no other.
RUNS = {
    "vit": [(1, 12, 12), (3, 12, 12)],
    "resnet": [(1, 33, 40), (2, 24, 19)],
    "convnext": [(1, 33, 40), (2, 24, 19)],
}
EAGER_ONLY = {"resnet", "convnext"}  # transformers has no other attention for them, or they have none


@dataclasses.dataclass
class VisionCase(Case):
    runs: list = None
    gain: dict = dataclasses.field(default_factory=dict)

    def __post_init__(self):
        if self.runs is None:
            self.runs = RUNS[self.model_type]

    @property
    def model_type(self) -> str:
        return next(t for t in sorted(SIZES, key=len, reverse=True) if self.name.startswith(t + "-"))

    @property
    def task(self) -> str:
        return next(t for t in AUTO_CLASSES if self.name.startswith(f"{self.model_type}-{t}"))


def cases_of(model_type: str, tasks: list[str]) -> list[Case]:
    return [VisionCase(f"{model_type}-{task}", f"{model_type} with the head for {task}",
                       {"num_labels": 3} if task == "image-classification" else {}) for task in tasks]  # fmt: skip


ENCODER = ["feature-extraction", "image-classification"]


def vit_cases() -> list[Case]:
    body = "vit-feature-extraction"
    oblong = [(1, 12, 21), (2, 12, 21)]
    return cases_of("vit", ENCODER + ["masked-im"]) + [
        VisionCase(f"{body}-from-head", "a head's checkpoint exported without the head",
                   weights="vit-image-classification", head="image-classification"),
        VisionCase(f"{body}-oblong", "images and patches of two sides, one channel, no bias in the projections, relu",
                   {"image_size": [12, 21], "patch_size": [4, 6], "num_channels": 1, "qkv_bias": False,
                    "hidden_act": "relu", "num_hidden_layers": 1}, runs=oblong),
        VisionCase("vit-image-classification-no-labels", "no labels: the first token itself",
                   {"id2label": {}, "label2id": {}}, weights="vit-image-classification"),
        VisionCase("vit-masked-im-stride", "a reconstruction of another size than the image",
                   {"encoder_stride": 3, "num_hidden_layers": 1}),
    ]  # fmt: skip


def resnet_cases() -> list[Case]:
    body = "resnet-feature-extraction"
    return cases_of("resnet", ENCODER) + [
        VisionCase(f"{body}-from-head", "a head's checkpoint exported without the head",
                   weights="resnet-image-classification", head="image-classification"),
        VisionCase(f"{body}-basic", "basic layers; the first stage halves the image, too; gelu",
                   {"layer_type": "basic", "downsample_in_first_stage": True, "hidden_act": "gelu", "depths": [1, 2],
                    "hidden_sizes": [6, 8]}),
        VisionCase(f"{body}-in-bottleneck", "the first convolution of a bottleneck halves the image; one channel",
                   {"downsample_in_bottleneck": True, "downsample_in_first_stage": True, "num_channels": 1}),
        VisionCase("resnet-image-classification-no-labels", "no labels: the pooled image itself",
                   {"id2label": {}, "label2id": {}}, weights="resnet-image-classification"),
    ]  # fmt: skip


def convnext_cases() -> list[Case]:
    body = "convnext-feature-extraction"
    return cases_of("convnext", ENCODER) + [
        VisionCase(f"{body}-from-head", "a head's checkpoint exported without the head",
                   weights="convnext-image-classification", head="image-classification"),
        VisionCase(f"{body}-unscaled", "layers without a scale, patches of 3, relu",
                   {"layer_scale_init_value": 0.0, "patch_size": 3, "hidden_act": "relu", "num_channels": 2}),
    ]  # fmt: skip


def all_cases() -> list[Case]:
    cases = vit_cases() + resnet_cases() + convnext_cases()
    names = [case.name for case in cases]
    assert len(names) == len(set(names)), "two cases with one name"
    return cases


def make_inputs(case: Case, config, run: int, batch: int, height: int, width: int) -> dict[str, torch.Tensor]:
    seed = f"{case.weights or case.name}/{run}"
    return {"pixel_values": normal((batch, config.num_channels, height, width), seed, "pixels")}


def randomize(model: torch.nn.Module, seed: str, gain: dict) -> None:
    """Nothing is zero or one; norms are near the identity; layers keep the size of what they get."""
    norms = {name for name, module in model.named_modules() if "Norm" in type(module).__name__}
    with torch.no_grad():
        for name, value in list(model.named_parameters()) + list(model.named_buffers()):
            if not value.is_floating_point():
                continue
            noise = normal(value.shape, seed, name)
            owner, _, leaf = name.rpartition(".")
            if leaf == "running_var":
                made = 1 + 0.5 * noise.abs()
            elif leaf.startswith("layer_scale") or (owner in norms and leaf == "weight"):
                made = 1 + 0.3 * noise
            elif value.dim() < 2 or any(part in leaf for part in ("token", "position", "table", "embedding")):
                made = 0.3 * noise
            elif "embed" in owner and owner.rpartition(".")[2] not in ("projection", "proj") and value.dim() == 2:
                made = 0.3 * noise
            else:
                made = noise / value[0].numel() ** 0.5
            if leaf in ("logit_scale", "logit_bias"):
                made = value
            value.copy_(made * next((f for part, f in gain.items() if part in name), 1.0))


class Reference(make_goldens.Reference):
    def __init__(self, case: Case, folder, attention: str):
        super().__init__(case, folder, "eager" if case.model_type in EAGER_ONLY else attention)

    def __call__(self, inputs: dict) -> dict[str, torch.Tensor]:
        return super().__call__({k: v.to(self.model.dtype) if v.is_floating_point() else v for k, v in inputs.items()})


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("cases", nargs="*", metavar="case", help="how names of cases start (default: all)")
    parser.add_argument("--list", action="store_true", help="print the names and what each case is for")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    make_goldens.make_inputs = make_inputs
    make_goldens.randomize = randomize
    make_goldens.Reference = Reference

    cases = all_cases()
    if arguments.list:
        for case in cases:
            print(f"{case.name:52} {case.what}")
        return 0
    for start in arguments.cases:
        if not any(case.name.startswith(start) for case in cases):
            parser.error(f"no case starts with {start}")
    for case in cases:
        if not arguments.cases or case.name.startswith(tuple(arguments.cases)):
            make_goldens.make(case)
    return 0


if __name__ == "__main__":
    sys.exit(main())
