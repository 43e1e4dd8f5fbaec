#!/usr/bin/env python3
"""Makes the golden cases of models that read sound, as make_goldens.py makes the others.

    python tools/oracle/make_sound_model_goldens.py                   every case
    python tools/oracle/make_sound_model_goldens.py wav2vec2 hubert-  those whose names start so
    python tools/oracle/make_sound_model_goldens.py --list

There is no mask in these: Optimum's exports take input_values alone. Lengths are such that the last samples do not
fill a frame.
"""

import dataclasses
import sys

import make_goldens
import torch
import transformers
from make_goldens import SIZES, Case, generator, normal

make_goldens.AUTO_CLASSES.clear()
make_goldens.AUTO_CLASSES |= {
    "feature-extraction": transformers.AutoModel,
    "automatic-speech-recognition": transformers.AutoModelForCTC,
    "audio-classification": transformers.AutoModelForAudioClassification,
    "audio-frame-classification": transformers.AutoModelForAudioFrameClassification,
    "audio-xvector": transformers.AutoModelForAudioXVector,
}
make_goldens.OUTPUTS["audio-xvector"] = ["logits", "embeddings"]

COMMON = dict(vocab_size=29, hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=37,
              layer_norm_eps=1e-3, conv_dim=[8, 12, 10], conv_kernel=[10, 3, 2], conv_stride=[5, 2, 2],
              num_conv_pos_embeddings=6, num_conv_pos_embedding_groups=4, classifier_proj_size=21)  # fmt: skip
SPEAKERS = dict(tdnn_dim=[20, 18, 23], tdnn_kernel=[3, 2, 1], tdnn_dilation=[1, 2, 1], xvector_output_dim=17)
SIZES |= {
    "wav2vec2": COMMON | SPEAKERS,
    "hubert": COMMON,
    "unispeech": COMMON | dict(num_hidden_layers=1),
    "unispeech-sat": COMMON | SPEAKERS | dict(num_hidden_layers=1),
    "wavlm": COMMON | SPEAKERS | dict(num_buckets=12, max_bucket_distance=20),
    "data2vec-audio": COMMON | SPEAKERS | dict(num_conv_pos_embeddings=2, conv_pos_kernel_size=5),
}
NO_SPEAKERS = {"hubert", "unispeech"}  # in Optimum
EAGER_ONLY = {"wavlm"}
RUNS = [(1, 211), (3, 400), (2, 653)]
SHORT_RUNS = [(1, 211), (3, 400)]
LABELS = {"audio-classification": 3, "audio-frame-classification": 5}


@dataclasses.dataclass
class AudioCase(Case):
    runs: list = dataclasses.field(default_factory=lambda: SHORT_RUNS)
    gain: dict = dataclasses.field(default_factory=lambda: {"adapter.layers": 0.2})

    @property
    def model_type(self) -> str:
        return next(t for t in sorted(SIZES, key=len, reverse=True) if self.name.startswith(t + "-"))


def tasks(model_type: str, runs=SHORT_RUNS, **config) -> list[Case]:
    cases = []
    for task in make_goldens.AUTO_CLASSES:
        if model_type in NO_SPEAKERS and task in ("audio-frame-classification", "audio-xvector"):
            continue
        labels = {"num_labels": LABELS[task]} if task in LABELS else {}
        cases.append(AudioCase(f"{model_type}-{task}", f"{model_type} with the head for {task}",
                               {**config, **labels}, runs=runs))  # fmt: skip
    return cases


def names_of_weight_norm_before_torch_2(weights: dict) -> dict:
    return {name.replace("parametrizations.weight.original0", "weight_g")
                .replace("parametrizations.weight.original1", "weight_v"): value
            for name, value in weights.items()}  # fmt: skip


def wav2vec2_cases() -> list[Case]:
    body = "wav2vec2-feature-extraction"
    stable = dict(do_stable_layer_norm=True, feat_extract_norm="layer", conv_bias=True)

    def variant(task, name, what, **config):
        return AudioCase(f"wav2vec2-{task}-{name}", what, {"num_hidden_layers": 1, **config})

    return tasks("wav2vec2", RUNS) + [
        AudioCase(f"{body}-from-head", "a head's checkpoint exported without the head",
                  weights="wav2vec2-automatic-speech-recognition", head="automatic-speech-recognition"),
        AudioCase(f"{body}-old-names", "weight_g and weight_v, as torch named them before parametrizations",
                  {"num_hidden_layers": 1}, edit_weights=names_of_weight_norm_before_torch_2),
        AudioCase(f"{body}-fp16", "weights stored as float16", {"num_hidden_layers": 1}, dtype=torch.float16),
        variant("feature-extraction", "stable", "norms before the parts, layer norms and biases in the convolutions, "
                "an odd kernel for positions, other activations, adapters in the layers", **stable,
                num_hidden_layers=2, num_conv_pos_embeddings=5, hidden_act="gelu_new", feat_extract_activation="relu",
                adapter_attn_dim=11),
        variant("feature-extraction", "adapter", "convolutions of another width after the encoder", add_adapter=True,
                output_hidden_size=28, adapter_kernel_size=4, adapter_stride=3, num_adapter_layers=2),
        variant("automatic-speech-recognition", "adapter", "convolutions after a stable encoder", add_adapter=True,
                **stable),
        variant("audio-classification", "weighted", "the weighted sum of all hidden states",
                use_weighted_layer_sum=True, num_hidden_layers=2, num_labels=3),
        variant("audio-frame-classification", "weighted", "the weighted sum, the last state of which is normalized",
                use_weighted_layer_sum=True, num_labels=5, **stable),
        variant("audio-xvector", "weighted", "the weighted sum, of states before the adapter; four layers over the frames",
                add_adapter=True, num_adapter_layers=1, use_weighted_layer_sum=True, tdnn_dim=[16, 20, 18, 23], tdnn_kernel=[2, 3, 1, 2],
                tdnn_dilation=[2, 1, 3, 1]),
    ]  # fmt: skip


def hubert_cases() -> list[Case]:
    body = "hubert-feature-extraction"
    return tasks("hubert") + [
        AudioCase(f"{body}-batch-norm", "a batch norm before the convolution for positions, no norm of the features",
                  {"conv_pos_batch_norm": True, "feat_proj_layer_norm": False, "num_hidden_layers": 1}),
        AudioCase(f"{body}-stable", "norms before the parts, layer norms in the convolutions",
                  {"do_stable_layer_norm": True, "feat_extract_norm": "layer", "num_hidden_layers": 1}),
        AudioCase("hubert-audio-classification-weighted", "the weighted sum of all hidden states",
                  {"use_weighted_layer_sum": True, "num_labels": 3}),
    ]  # fmt: skip


def relatives_cases() -> list[Case]:
    return tasks("wavlm") + [
        AudioCase("wavlm-feature-extraction-stable", "norms before the parts, the buckets of real checkpoints, an adapter",
                  {"do_stable_layer_norm": True, "feat_extract_norm": "layer", "num_hidden_layers": 1,
                   "num_buckets": 320, "max_bucket_distance": 800, "add_adapter": True, "num_adapter_layers": 1}),
        AudioCase("wavlm-audio-xvector-weighted", "the weighted sum of all hidden states",
                  {"use_weighted_layer_sum": True}),
    ] + tasks("unispeech") + tasks("unispeech-sat") + tasks("data2vec-audio") + [
        AudioCase("data2vec-audio-feature-extraction-group", "norms in the convolutions whatever feat_extract_norm "
                  "says, an even kernel, an adapter",
                  {"feat_extract_norm": "group", "conv_pos_kernel_size": 4, "add_adapter": True,
                   "num_hidden_layers": 1}),
    ]  # fmt: skip


def all_cases() -> list[Case]:
    cases = wav2vec2_cases() + hubert_cases() + relatives_cases()
    names = [case.name for case in cases]
    assert len(names) == len(set(names)), "two cases with one name"
    return cases


def make_inputs(case: Case, config, run: int, batch: int, length: int) -> dict[str, torch.Tensor]:
    seed = f"{case.weights or case.name}/{run}"
    return {"input_values": torch.randn((batch, length), generator=generator(seed, "values"))}


def randomize(model: torch.nn.Module, seed: str, gain: dict) -> None:
    randomize_parameters(model, seed, gain)
    with torch.no_grad():
        for name, buffer in model.named_buffers():
            if name.endswith("running_mean"):
                buffer.copy_(0.2 * normal(buffer.shape, seed, name))
            elif name.endswith("running_var"):
                buffer.copy_(0.5 + normal(buffer.shape, seed, name).abs())


randomize_parameters = make_goldens.randomize


class Reference(make_goldens.Reference):
    def __init__(self, case: Case, folder, attention: str):
        super().__init__(case, folder, "eager" if case.model_type in EAGER_ONLY else attention)

    def __call__(self, inputs: dict) -> dict[str, torch.Tensor]:
        return super().__call__({name: value.to(self.model.dtype) for name, value in inputs.items()})


def main() -> int:
    make_goldens.make_inputs = make_inputs
    make_goldens.randomize = randomize
    make_goldens.Reference = Reference
    return make_goldens.run_command(__doc__, all_cases(), make_goldens.make)


if __name__ == "__main__":
    sys.exit(main())
