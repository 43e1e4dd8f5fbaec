#!/usr/bin/env python3
"""Makes the golden cases of models of images, and of images with text, as make_goldens.py makes those of text.

    python tools/oracle/make_vision_goldens.py                 every case
    python tools/oracle/make_vision_goldens.py vit resnet-     those whose names start so
    python tools/oracle/make_vision_goldens.py --list

Images are noise around zero, as an image processor leaves them; where a model takes any size, the runs have several,
odd ones and oblong ones among them.
"""

import copy
import dataclasses
import json
import re
import sys

import make_goldens
import torch
import transformers
from make_goldens import AUTO_CLASSES, OUTPUTS, SIZES, Case, generator, normal
from safetensors.torch import load_file, save_file


class AutoModelForImageSegmentation:
    """As Optimum loads a model for this task: by the first of the classes that knows it."""

    @staticmethod
    def of(config):
        known = transformers.models.auto.modeling_auto.MODEL_FOR_IMAGE_SEGMENTATION_MAPPING_NAMES
        instance = config.model_type in known
        return transformers.AutoModelForImageSegmentation if instance else transformers.AutoModelForSemanticSegmentation

    @classmethod
    def from_config(cls, config):
        return cls.of(config).from_config(config)

    @classmethod
    def from_pretrained(cls, folder, **options):
        return cls.of(transformers.AutoConfig.from_pretrained(folder)).from_pretrained(folder, **options)


AUTO_CLASSES.clear()
AUTO_CLASSES |= {
    "feature-extraction": transformers.AutoModel,
    "image-classification": transformers.AutoModelForImageClassification,
    "image-segmentation": AutoModelForImageSegmentation,
    "masked-im": transformers.AutoModelForMaskedImageModeling,
    "object-detection": transformers.AutoModelForObjectDetection,
    "semantic-segmentation": transformers.AutoModelForSemanticSegmentation,
    "zero-shot-image-classification": transformers.AutoModelForZeroShotImageClassification,
}
DUAL = ["logits_per_image", "logits_per_text", "text_embeds", "image_embeds"]
OUTPUTS |= {"object-detection": ["logits", "pred_boxes"], "masked-im": ["reconstruction"], "zero-shot-image-classification": DUAL}
# Where a type's results of a task are others.
OWN_OUTPUTS = {
    ("clip", "feature-extraction"): DUAL,
    ("siglip", "feature-extraction"): DUAL,
    ("detr", "image-segmentation"): ["logits", "pred_masks"],
    ("clip_text_model", "feature-extraction"): ["last_hidden_state", "pooler_output"],
    ("clip_vision_model", "feature-extraction"): ["last_hidden_state", "pooler_output"],
}

VIT = dict(hidden_size=36, num_hidden_layers=2, num_attention_heads=3, intermediate_size=41, image_size=12, patch_size=4,
           num_channels=3, layer_norm_eps=1e-3, encoder_stride=4)  # fmt: skip
CLIP_VISION = dict(hidden_size=36, intermediate_size=41, num_hidden_layers=2, num_attention_heads=3, image_size=12,
                   patch_size=5, layer_norm_eps=1e-3)  # fmt: skip
CLIP_TEXT = dict(hidden_size=24, intermediate_size=29, num_hidden_layers=2, num_attention_heads=4, vocab_size=99,
                 max_position_embeddings=20, layer_norm_eps=1e-3, eos_token_id=98, bos_token_id=97)  # fmt: skip
SIZES.clear()
SIZES |= {
    "clip": dict(text_config=CLIP_TEXT, vision_config=CLIP_VISION, projection_dim=21),
    "clip_text_model": CLIP_TEXT,
    "clip_vision_model": CLIP_VISION,
    "segformer": dict(num_encoder_blocks=3, depths=[1, 2, 1], sr_ratios=[4, 2, 1], hidden_sizes=[8, 12, 20],
                      patch_sizes=[7, 3, 3], strides=[4, 2, 2], num_attention_heads=[1, 2, 5], mlp_ratios=[2, 3, 2],
                      decoder_hidden_size=14),
    "vit": VIT,
    "resnet": dict(embedding_size=6, hidden_sizes=[12, 16, 20], depths=[2, 1, 2]),
    "convnext": dict(num_stages=3, hidden_sizes=[6, 10, 14], depths=[1, 2, 1], layer_norm_eps=1e-3, image_size=32),
}
SIZES["swin"] = SIZES["donut-swin"] = dict(embed_dim=12, depths=[2, 3], num_heads=[2, 3], window_size=3, patch_size=2, image_size=16,
                     mlp_ratio=2.5, encoder_stride=4, layer_norm_eps=1e-3)  # fmt: skip
RESNET = dict(model_type="resnet", embedding_size=6, hidden_sizes=[8, 12, 16], depths=[1, 1, 1],
              out_features=["stage3"])  # fmt: skip
SIZES["detr"] = dict(backbone_config=RESNET, use_timm_backbone=False, backbone=None, use_pretrained_backbone=False,
                     d_model=24, encoder_layers=2, encoder_ffn_dim=29, encoder_attention_heads=4, decoder_layers=2,
                     decoder_ffn_dim=31, decoder_attention_heads=3, num_queries=5, num_labels=3)  # fmt: skip
SIZES["table-transformer"] = SIZES["detr"]
SIGLIP = dict(hidden_act="gelu_pytorch_tanh", layer_norm_eps=1e-3, num_hidden_layers=2)
SIZES |= {
    "beit": {**VIT, "use_relative_position_bias": True},
    "deit": VIT,
    "dinov2": dict(hidden_size=36, num_hidden_layers=2, num_attention_heads=3, mlp_ratio=2, image_size=12, patch_size=4,
                   layer_norm_eps=1e-3),
    "mobilenet_v2": dict(depth_multiplier=0.1, depth_divisible_by=4, min_depth=4, expand_ratio=2.0, image_size=33,
                         finegrained_output=False, layer_norm_eps=1e-2),
    "siglip": dict(
        text_config=dict(SIGLIP, hidden_size=24, intermediate_size=29, num_attention_heads=4, vocab_size=99,
                         max_position_embeddings=20, projection_size=36),
        vision_config=dict(SIGLIP, hidden_size=36, intermediate_size=41, num_attention_heads=3, image_size=12,
                           patch_size=5)),
    "yolos": {**VIT, "image_size": [12, 20], "num_detection_tokens": 5},
}  # fmt: skip
# (batch, height, width) of each run: those of config.image_size where the model takes no other. Of a model with
# texts their number and length follow.
RUNS = {
    "clip": [(1, 12, 12, 3, 7), (3, 12, 12, 2, 16)],
    "clip_text_model": [(3, 7), (2, 16)],
    "clip_vision_model": [(1, 12, 12), (3, 12, 12)],
    "detr": [(1, 40, 36), (2, 19, 33)],
    "table-transformer": [(1, 40, 36), (2, 19, 33)],
    "beit": [(1, 12, 12), (3, 12, 12)],
    "deit": [(1, 12, 12), (3, 12, 12)],
    "dinov2": [(1, 12, 12), (2, 21, 14)],
    "mobilenet_v2": [(1, 33, 33), (3, 33, 33)],
    "siglip": [(1, 12, 12, 3, 7), (3, 12, 12, 2, 16)],
    "yolos": [(1, 12, 20), (2, 21, 14)],
    "swin": [(1, 16, 16), (2, 15, 21)],
    "donut-swin": [(1, 16, 16), (2, 15, 21)],
    "segformer": [(1, 33, 40), (2, 24, 19)],
    "vit": [(1, 12, 12), (3, 12, 12)],
    "resnet": [(1, 33, 40), (2, 24, 19)],
    "convnext": [(1, 33, 40), (2, 24, 19)],
}
EAGER_ONLY = {"mobilenet_v2", "detr", "table-transformer", "swin", "donut-swin", "resnet", "convnext", "segformer"}  # transformers has no other attention for them, or they have none


@dataclasses.dataclass
class VisionCase(Case):
    runs: list = None
    gain: dict = dataclasses.field(default_factory=dict)
    timm: dict | None = None  # arguments that make timm's model of the backbone
    zoo: tuple | None = None  # timm's name of the model itself, and its arguments

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
        VisionCase(f"{body}-small", "five halvings and more, to a single pixel",
                   {"depths": [1, 1, 1, 1], "hidden_sizes": [6, 6, 8, 8], "downsample_in_first_stage": True,
                    "layer_type": "basic"}, runs=[(1, 39, 18), (2, 70, 35)]),
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


def clip_cases() -> list[Case]:
    zero_shot, image = "clip-zero-shot-image-classification", "clip-image-classification"
    old = dict(CLIP_TEXT, eos_token_id=2)
    return cases_of("clip", ["zero-shot-image-classification", "feature-extraction", "image-classification"]) + [
        VisionCase(f"{zero_shot}-old", "eos_token_id 2 in old configurations: the token with the highest id ends a text",
                   {"text_config": old}, weights=zero_shot),
        VisionCase(f"{zero_shot}-dicts", "text_config_dict and vision_config_dict come before the other keys; gelu",
                   {"text_config": dict(CLIP_TEXT, hidden_act="gelu"), "projection_dim": 10},
                   edit_config=clip_config_of_2022),
        VisionCase(f"{image}-from-dual", "the two towers' checkpoint with a classifier added",
                   {"num_labels": 3}, edit_weights=with_other_tower),
    ] + cases_of("clip_text_model", ["feature-extraction"]) + cases_of("clip_vision_model", ["feature-extraction"]) + [
        VisionCase("clip_text_model-feature-extraction-old", "eos_token_id 2", {"eos_token_id": 2},
                   weights="clip_text_model-feature-extraction"),
    ]  # fmt: skip


def clip_config_of_2022(config: dict) -> dict:
    old = dict(config)
    for tower in ("text_config", "vision_config"):
        old[f"{tower}_dict"] = config[tower]
        old[tower] = {"hidden_size": 1000, "model_type": config[tower]["model_type"]}
    return old


def with_other_tower(weights: dict) -> dict:
    more = {"text_model.final_layer_norm.weight": torch.ones(24), "logit_scale": torch.tensor(2.0),
            "text_projection.weight": torch.ones(21, 24), "text_model.embeddings.position_ids": torch.zeros(1, 20),
            "vision_model.embeddings.position_ids": torch.zeros(1, 5), "visual_projection.weight": torch.ones(21, 36)}  # fmt: skip
    return weights | more


def segformer_cases() -> list[Case]:
    body = "segformer-feature-extraction"
    labels = {"num_labels": 5}
    return cases_of("segformer", ENCODER) + [
        VisionCase("segformer-semantic-segmentation", "five labels at a quarter of the image's size", labels),
        VisionCase("segformer-image-segmentation", "the same model", labels, weights="segformer-semantic-segmentation"),
        VisionCase(f"{body}-from-head", "a head's checkpoint exported without the head",
                   weights="segformer-semantic-segmentation", head="semantic-segmentation"),
        VisionCase(f"{body}-tokens", "reshape_last_stage false: tokens; relu; two channels; whole numbers or not as ratios",
                   {"reshape_last_stage": False, "hidden_act": "relu", "num_channels": 2, "mlp_ratios": [1.5, 2, 2.3]}),
        VisionCase("segformer-image-classification-tokens", "reshape_last_stage false",
                   {"reshape_last_stage": False, "num_labels": 3}, weights="segformer-image-classification"),
    ]  # fmt: skip


def swin_cases() -> list[Case]:
    body = "swin-feature-extraction"
    square = [(1, 16, 16), (2, 21, 21)]
    return cases_of("swin", ENCODER) + cases_of("donut-swin", ["feature-extraction"]) + [
        VisionCase("swin-masked-im", "swin with the decoder of patches", runs=square),
        VisionCase(f"{body}-from-head", "a head's checkpoint exported without the head",
                   weights="swin-image-classification", head="image-classification"),
        VisionCase(f"{body}-single-window", "images of which a stage is a single window high, or high and wide: no shift",
                   weights=body, runs=[(1, 12, 26), (2, 11, 12)]),
        VisionCase(f"{body}-wide", "windows of 4, three stages, patches of two sides, no bias in the projections, relu",
                   {"window_size": 4, "depths": [2, 1, 2], "num_heads": [1, 2, 3], "embed_dim": 6, "patch_size": [1, 2],
                    "qkv_bias": False, "hidden_act": "relu", "num_channels": 1}, runs=[(1, 17, 35), (2, 26, 33)]),
    ]  # fmt: skip


def detr_cases() -> list[Case]:
    detection, segmentation = "detr-object-detection", "detr-image-segmentation"
    pyramid = dict(RESNET, out_features=["stage1", "stage2", "stage3"])
    masks = {"d_model": 16, "encoder_attention_heads": 8, "decoder_attention_heads": 4, "encoder_layers": 1,
             "decoder_layers": 1, "num_queries": 3, "backbone_config": pyramid}  # fmt: skip
    in_timm = dict(RESNET, embedding_size=64, hidden_sizes=[8, 12, 16, 20], depths=[2, 1, 1, 1],
                   out_features=["stage4"])  # fmt: skip
    return cases_of("detr", ["feature-extraction", "object-detection"]) + [
        VisionCase("detr-feature-extraction-from-head", "a head's checkpoint exported without the head",
                   weights=detection, head="object-detection"),
        VisionCase(segmentation, "masks from three feature maps", masks),
        VisionCase(f"{detection}-learned", "learned positions, norms after each layer of the decoder, gelu, basic layers",
                   {"position_embedding_type": "learned", "auxiliary_loss": True, "activation_function": "gelu",
                    "backbone_config": dict(RESNET, layer_type="basic", out_features=None, out_indices=[-2])}),
        VisionCase(f"{detection}-timm", "a backbone with timm's names", {"backbone_config": in_timm},
                   timm={"layers": [2, 1, 1, 1], "channels": [2, 3, 4, 5]}),
        VisionCase(f"{detection}-dilated", "timm's output_stride 16: the last stage widens its windows instead of halving",
                   {"backbone_config": dict(in_timm, depths=[1, 1, 1, 2])},
                   timm={"layers": [1, 1, 1, 2], "channels": [2, 3, 4, 5], "output_stride": 16}),
        VisionCase("table-transformer-object-detection-timm", "a backbone of basic layers with timm's names",
                   {"backbone_config": dict(in_timm, layer_type="basic")},
                   timm={"layers": [2, 1, 1, 1], "channels": [8, 12, 16, 20]}),
    ] + cases_of("table-transformer", ["feature-extraction", "object-detection"])  # fmt: skip


TIMM_NAMES = [
    (r"embedder\.embedder\.convolution", "conv1"),
    (r"embedder\.embedder\.normalization", "bn1"),
    (r"encoder\.stages\.(\d)\.layers\.", lambda m: f"layer{int(m[1]) + 1}."),
    (r"layer\.(\d)\.convolution", lambda m: f"conv{int(m[1]) + 1}"),
    (r"layer\.(\d)\.normalization", lambda m: f"bn{int(m[1]) + 1}"),
    (r"shortcut\.convolution", "downsample.0"),
    (r"shortcut\.normalization", "downsample.1"),
]


def dilate(stage: torch.nn.Module) -> None:
    """What timm makes of a stage that may not halve: windows twice as wide after the first layer."""
    for index, layer in enumerate(stage.layers):
        for conv in [m for m in layer.modules() if isinstance(m, torch.nn.Conv2d)]:
            conv.stride = (1, 1)
            if index > 0 and conv.kernel_size == (3, 3):
                conv.dilation = conv.padding = (2, 2)


def rename_as_timm(case: Case) -> None:
    """timm's ResNet computes what transformers' does: the case is made with the one and told as the other."""
    weights, renamed = load_file(case.folder / "model.safetensors"), {}
    for name, value in weights.items():
        if "conv_encoder" in name:
            for pattern, name_in_timm in TIMM_NAMES:
                name = re.sub(pattern, name_in_timm, name)
        renamed[name] = value
    save_file(renamed, case.folder / "model.safetensors", metadata={"format": "pt"})
    config = json.loads((case.folder / "config.json").read_text())
    basic = config["backbone_config"]["layer_type"] == "basic"
    config |= {"backbone": "resnet18" if basic else "resnet50.a1_in1k", "use_timm_backbone": True,
               "use_pretrained_backbone": True, "backbone_config": None, "dilation": False,
               "backbone_kwargs": {"out_indices": [1, 2, 3, 4], "in_chans": 3} | case.timm}  # fmt: skip
    make_goldens.write_json(case.folder / "config.json", config)


VIT_IN_TIMM = [
    (r"vit\.embeddings\.cls_token", "cls_token"), (r"vit\.embeddings\.position_embeddings", "pos_embed"),
    (r"vit\.embeddings\.patch_embeddings\.projection", "patch_embed.proj"), (r"vit\.encoder\.layer", "blocks"),
    (r"attention\.output\.dense", "attn.proj"), (r"intermediate\.dense", "mlp.fc1"), (r"output\.dense", "mlp.fc2"),
    (r"layernorm_before", "norm1"), (r"layernorm_after", "norm2"), (r"vit\.layernorm", "norm"), (r"^classifier", "head"),
]  # fmt: skip
RESNET_IN_TIMM = [*TIMM_NAMES, (r"^resnet\.", ""), (r"^classifier\.1", "fc")]


def told_as_timm(case: Case) -> None:
    """A whole model of timm's, which computes what transformers' does."""
    weights, renamed = load_file(case.folder / "model.safetensors"), {}
    of_vit = case.model_type == "vit"
    for name, value in weights.items():
        for pattern, name_in_timm in VIT_IN_TIMM if of_vit else RESNET_IN_TIMM:
            name = re.sub(pattern, name_in_timm, name)
        renamed[name] = value
    for name in [n for n in renamed if ".attention.attention.query." in n]:
        parts = [renamed.pop(name.replace("query", part)) for part in ("query", "key", "value")]
        renamed[name.replace("attention.attention.query", "attn.qkv")] = torch.cat(parts)
    save_file(renamed, case.folder / "model.safetensors", metadata={"format": "pt"})
    architecture, arguments = case.zoo
    pretrained = {"input_size": [3, 12, 12] if of_vit else [3, 40, 40], "classifier": "head" if of_vit else "fc", "num_classes": 3, "tag": "a1_in1k"}
    make_goldens.write_json(case.folder / "config.json", {
        "architecture": architecture, "num_classes": 3, "num_features": 36, "global_pool": "token" if of_vit else "avg",
        "model_args": arguments, "pretrained_cfg": pretrained})
    told = json.loads((case.folder / "case.json").read_text())
    make_goldens.write_json(case.folder / "case.json", told | {"model_type": "default-timm-config", "library": "timm"})


def timm_cases() -> list[Case]:
    small = {"embedding_size": 64, "hidden_sizes": [8, 12, 16, 20], "depths": [2, 1, 1, 1], "num_labels": 3}
    return [
        VisionCase("vit-image-classification-timm", "a ViT of timm's", {"layer_norm_eps": 1e-6, "num_labels": 3},
                   zoo=("vit_tiny_patch16_224", {"img_size": 12, "patch_size": 4, "embed_dim": 36, "depth": 2, "num_heads": 3, "mlp_ratio": 41 / 36})),
        VisionCase("resnet-image-classification-timm", "a ResNet of timm's", small,
                   zoo=("resnet50.a1_in1k", {"layers": [2, 1, 1, 1], "channels": [2, 3, 4, 5]})),
        VisionCase("resnet-image-classification-timm-basic", "a ResNet of timm's with basic layers", dict(small, layer_type="basic"),
                   zoo=("resnet18", {"layers": [2, 1, 1, 1], "channels": [8, 12, 16, 20]})),
    ]  # fmt: skip


def relatives_cases() -> list[Case]:
    def variant(name, what, model_type, **config):
        return VisionCase(f"{model_type}-{name}", what, config)

    return cases_of("deit", ["feature-extraction", "masked-im"]) + cases_of("beit", ENCODER) + [
        variant("image-classification", "deit with a classifier of the first token", "deit", num_labels=3,
                architectures=["DeiTForImageClassification"]),
        variant("image-classification-shared", "one table of relative positions for all layers beside their own, absolute "
                "positions, the first token, no scales", "beit", use_shared_relative_position_bias=True,
                use_absolute_position_embeddings=True, use_mean_pooling=False, layer_scale_init_value=0.0, num_labels=3),
        variant("feature-extraction-absolute", "absolute positions alone, patches of 3 by 4", "beit",
                use_relative_position_bias=False, use_absolute_position_embeddings=True, use_mean_pooling=False,
                patch_size=3, num_hidden_layers=1),
    ] + cases_of("dinov2", ENCODER) + [
        variant("feature-extraction-swiglu", "SwiGLU, no bias in the projections, one channel", "dinov2",
                use_swiglu_ffn=True, qkv_bias=False, num_channels=1, mlp_ratio=1.5),
    ] + cases_of("yolos", ["feature-extraction", "object-detection"]) + [
        variant("object-detection-first-only", "no positions between the layers", "yolos",
                use_mid_position_embeddings=False, num_labels=3),
    ] + cases_of("siglip", ["zero-shot-image-classification", "feature-extraction"]) + cases_of("mobilenet_v2", ENCODER) + [
        variant("feature-extraction-dilated", "windows that widen from a stride of 8 on, padding on both sides, a stem that "
                "widens", "mobilenet_v2", output_stride=8, tf_padding=False, first_layer_is_expansion=False,
                depth_multiplier=0.15, depth_divisible_by=2, hidden_act="relu"),
    ]  # fmt: skip


def all_cases() -> list[Case]:
    cases = timm_cases() + relatives_cases() + detr_cases() + swin_cases() + vit_cases() + resnet_cases() + convnext_cases() + clip_cases() + segformer_cases()
    names = [case.name for case in cases]
    assert len(names) == len(set(names)), "two cases with one name"
    return cases


def make_inputs(case: Case, config, run: int, batch: int, *sizes: int) -> dict[str, torch.Tensor]:
    seed = f"{case.weights or case.name}/{run}"
    if case.model_type == "clip_text_model":
        return text_inputs(config, seed, batch, sizes[0], mask=False)
    vision = getattr(config, "vision_config", config)
    inputs = {"pixel_values": normal((batch, vision.num_channels, *sizes[:2]), seed, "pixels")}
    if len(sizes) > 2 and case.task != "image-classification":
        inputs |= text_inputs(config.text_config, seed, *sizes[2:], mask=case.model_type == "clip")
    return inputs


def text_inputs(config, seed: str, batch: int, length: int, mask: bool) -> dict[str, torch.Tensor]:
    """Two ends in each text: the first one counts. Masks start at the end, and in the second row at the start."""
    ids = torch.randint(3, config.vocab_size - 3, (batch, length), generator=generator(seed, "ids"))
    for row in range(batch):
        ids[row, [length // 2 + row % 2, length - 1]] = config.vocab_size - 1
    inputs = {"input_ids": ids}
    if mask:
        inputs["attention_mask"] = torch.ones_like(ids)
        inputs["attention_mask"][0, length // 2 + 1 :] = 0
        inputs["attention_mask"][1, : length // 3] = 0
    return inputs


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
        if case.timm and "output_stride" in case.timm:
            dilate(self.model.model.backbone.conv_encoder.model.encoder.stages[3])
        self.outputs = OWN_OUTPUTS.get((case.model_type, case.task), self.outputs)

    def __call__(self, inputs: dict) -> dict[str, torch.Tensor]:
        # Swin turns its shift off for good when it meets an image of one window.
        kept, self.model = self.model, copy.deepcopy(self.model)
        try:
            return self.run(inputs)
        finally:
            self.model = kept

    def run(self, inputs: dict) -> dict[str, torch.Tensor]:
        return super().__call__({k: v.to(self.model.dtype) if v.is_floating_point() else v for k, v in inputs.items()})


def make(case: Case) -> None:
    make_goldens.make(case)
    if case.timm:
        rename_as_timm(case)
    if case.zoo:
        told_as_timm(case)


def main() -> int:
    make_goldens.make_inputs = make_inputs
    make_goldens.randomize = randomize
    make_goldens.Reference = Reference
    return make_goldens.run_command(__doc__, all_cases(), make)


if __name__ == "__main__":
    sys.exit(main())
