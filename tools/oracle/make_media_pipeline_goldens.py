"""Makes the folders of tests/data/pipelines that take pictures and recordings: tiny random models, and what transformers'
pipelines answer with them for files of tests/data/images and tests/data/audio.

python tools/oracle/make_media_pipeline_goldens.py [NAME...]    (packages: tools/oracle/requirements.txt)
"""

import base64
import io
import json
import pathlib
import sys

import soundfile
import tokenizers
import torch
import transformers as tr
from transformers import pipeline

import make_pipeline_goldens as text

DATA = text.ROOT.parent
torch.set_num_threads(1)


def randomized(kind, config, seed, spread=0.4):
    torch.manual_seed(seed)
    model = kind(config).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.copy_(torch.randn_like(parameter) * spread)
            if "norm" in name.lower() and name.endswith("weight"):
                parameter.add_(1)
        for name, buffer in model.named_buffers():
            if name.endswith("running_var"):
                buffer.uniform_(0.5, 2)
            elif name.endswith("running_mean"):
                buffer.normal_(0, 0.3)
    return model


def plain(value):
    if hasattr(value, "save"):  # A mask of Pillow's: its pixels, not a PNG, whose bytes are the encoder's choice.
        return {"size": list(value.size), "pixels": base64.b64encode(value.tobytes()).decode()}
    if isinstance(value, dict):
        return {k: plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(v) for v in value]
    return json.loads(json.dumps(value, default=float))


def write(name, task, model, calls, **parts):
    folder = text.ROOT / name
    folder.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(folder)
    for part in parts.values():
        part.save_pretrained(folder)
    (folder / "vocab.txt").unlink(missing_ok=True)
    pipe = pipeline(task, model=model, **parts)
    cases = []
    for inputs, options in calls:
        if "image" in inputs:
            output = pipe(str(DATA / "images" / inputs["image"]), **options)
        else:
            samples, rate = soundfile.read(DATA / "audio" / inputs["audio"], dtype="float32", always_2d=True)
            assert rate == 16000
            output = pipe(samples.mean(1), **{k: tuple(v) if isinstance(v, list) else v for k, v in options.items()})
        cases.append({"input": inputs, "options": options, "output": plain(output)})
    (folder / "expected.json").write_text(json.dumps({"task": task, "cases": cases}, indent=1) + "\n")
    print(name, str(cases[0]["output"])[:200], sum(p.stat().st_size for p in folder.iterdir()))


VIT = dict(hidden_size=24, num_hidden_layers=2, num_attention_heads=3, intermediate_size=29, image_size=32, patch_size=8)
PHOTOS = [{"image": f} for f in ("photo.jpg", "alpha.png", "turned6.jpg")]
SOUNDS = [{"audio": f} for f in ("speech.wav", "stereo.flac")]


def labels(*names):
    return dict(id2label=dict(enumerate(names)), label2id={n: i for i, n in enumerate(names)})


def image_classification():
    config = tr.ViTConfig(**VIT, **labels("cat", "dog", "remote control", "plane", "tree", "car", "lake"))
    write("image-classification", "image-classification", randomized(tr.ViTForImageClassification, config, 20),
          [(p, {}) for p in PHOTOS] + [(PHOTOS[0], {"top_k": 2}), (PHOTOS[0], {"top_k": 100, "function_to_apply": "sigmoid"}),
                                       (PHOTOS[0], {"function_to_apply": "NONE"})],
          image_processor=tr.ViTImageProcessor(size={"height": 32, "width": 32}))


def image_feature_extraction():
    config = tr.ViTConfig(**VIT)
    write("image-feature-extraction", "image-feature-extraction", randomized(tr.ViTModel, config, 21),
          [(PHOTOS[0], {})], image_processor=tr.ViTImageProcessor(size={"height": 32, "width": 32}))


def segformer():
    config = tr.SegformerConfig(num_encoder_blocks=2, depths=[1, 1], sr_ratios=[2, 1], hidden_sizes=[8, 12], patch_sizes=[7, 3],
                                strides=[4, 2], num_attention_heads=[1, 2], mlp_ratios=[2, 2], decoder_hidden_size=12,
                                **labels("wall", "floor", "sky", "tree"))
    write("semantic-segmentation", "image-segmentation", randomized(tr.SegformerForSemanticSegmentation, config, 22, 0.6),
          [(p, {}) for p in PHOTOS[:2]] + [(PHOTOS[0], {"subtask": "semantic"})],
          image_processor=tr.SegformerImageProcessor(size={"height": 32, "width": 48}))


def detr_config(stages, width, heads, **more):
    backbone = tr.ResNetConfig(embedding_size=8, hidden_sizes=[8, 8, 12, 16], depths=[1, 1, 1, 1], layer_type="basic", out_features=stages)
    return tr.DetrConfig(use_timm_backbone=False, backbone_config=backbone, backbone=None, use_pretrained_backbone=False, d_model=width,
                         encoder_layers=1, decoder_layers=1, encoder_attention_heads=heads, decoder_attention_heads=heads,
                         encoder_ffn_dim=20, decoder_ffn_dim=20, num_queries=9, **more)


def telling_apart(model):
    """Queries that see different things: random ones are much alike."""
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "query_position_embeddings" in name:
                parameter *= 6
            elif "class_labels_classifier" in name:
                parameter *= 2.5
            elif name.endswith("mask_head.lay1.weight"):
                parameter[:, -8:] *= 40  # What a query looks at.
            elif "input_projection" in name:
                parameter *= 5e-4  # The backbone's features are large.
            elif "adapter" in name:
                parameter *= 0.003
            elif ".gn" in name:
                parameter += 0.8
            elif "out_lay.weight" in name:
                parameter *= 2
            elif "out_lay.bias" in name:
                parameter.fill_(-1.5)
    return model


def object_detection():
    model = randomized(tr.DetrForObjectDetection, detr_config(["stage4"], 16, 2, **labels("cat", "dog", "sofa")), 23)
    write("object-detection", "object-detection", telling_apart(model),
          [(p, o) for p in PHOTOS for o in ({}, {"threshold": 0.2}, {"threshold": 0.8})],
          image_processor=tr.DetrImageProcessor(size={"shortest_edge": 64, "longest_edge": 90}))


def panoptic():
    model = randomized(tr.DetrForSegmentation, detr_config(["stage1", "stage2", "stage3", "stage4"], 32, 8, **labels("cat", "dog", "sofa")), 33)
    write("panoptic-segmentation", "image-segmentation", telling_apart(model),
          [(PHOTOS[0], o) for o in ({"threshold": 0.3}, {"threshold": 0.3, "subtask": "instance", "overlap_mask_area_threshold": 0.1},
                                    {"threshold": 0.1, "mask_threshold": 0.2, "overlap_mask_area_threshold": 0.05},
                                    {"subtask": "semantic"}, {"threshold": 0.99})],
          image_processor=tr.DetrImageProcessor(size={"shortest_edge": 64, "longest_edge": 90}))


def zero_shot():
    tokenizer = text.make_tokenizer()
    tokenizer.model_input_names = ["input_ids", "attention_mask"]
    tower = dict(hidden_size=24, num_hidden_layers=2, num_attention_heads=3, intermediate_size=29)
    config = tr.CLIPConfig(text_config=dict(**tower, vocab_size=len(tokenizer), max_position_embeddings=64, eos_token_id=3,
                                            bos_token_id=2, pad_token_id=0),
                           vision_config=dict(**tower, image_size=32, patch_size=8), projection_dim=20)
    model = randomized(tr.CLIPModel, config, 25)
    with torch.no_grad():
        model.logit_scale.fill_(1.2)
    names = ["a cat", "the dog house", "politics"]
    write("zero-shot-image-classification", "zero-shot-image-classification", model,
          [(p, {"candidate_labels": names}) for p in PHOTOS] +
          [(PHOTOS[0], {"candidate_labels": names, "hypothesis_template": "the {}!"}), (PHOTOS[0], {"candidate_labels": ["mary"]})],
          image_processor=tr.CLIPImageProcessor(size={"shortest_edge": 32}, crop_size=32), tokenizer=tokenizer)


def image_to_text():
    tokenizer = text.make_tokenizer()
    tokenizer.model_input_names = ["input_ids", "attention_mask"]
    decoder = tr.TrOCRConfig(vocab_size=len(tokenizer), d_model=24, decoder_layers=2, decoder_attention_heads=3, decoder_ffn_dim=29,
                             max_position_embeddings=64, cross_attention_hidden_size=24, pad_token_id=0, bos_token_id=2, eos_token_id=3,
                             decoder_start_token_id=2)
    config = tr.VisionEncoderDecoderConfig.from_encoder_decoder_configs(tr.ViTConfig(**VIT), decoder, decoder_start_token_id=2,
                                                                       pad_token_id=0, eos_token_id=3)
    model = randomized(tr.VisionEncoderDecoderModel, config, 35)
    with torch.no_grad():  # Another word at each place, another text for each picture.
        model.decoder.model.decoder.embed_positions.weight *= 3
        for name, parameter in model.named_parameters():
            if "encoder_attn" in name and "bias" in name:
                parameter *= 0
            if "decoder" in name and "layer_norm.bias" in name:
                parameter *= 0.2
    few = {"max_new_tokens": 12}
    write("image-to-text", "image-to-text", model,
          [(p, few) for p in PHOTOS] + [(PHOTOS[0], {"generate_kwargs": {**few, "num_beams": 3}}),
                                        (PHOTOS[1], {"generate_kwargs": {**few, "num_beams": 3, "num_return_sequences": 2}})],
          image_processor=tr.ViTImageProcessor(size={"height": 32, "width": 32}), tokenizer=tokenizer)


def image_captioning():
    """ViT with GPT-2, as nlpconnect/vit-gpt2-image-captioning: which tokens begin, end and pad stands with the decoder."""
    core = tokenizers.Tokenizer(tokenizers.models.BPE())
    core.pre_tokenizer, core.decoder = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False), tokenizers.decoders.ByteLevel()
    core.train_from_iterator(["a cat laying on top of a couch next to another cat", "two dogs run over the green hill"] * 3,
                             tokenizers.trainers.BpeTrainer(vocab_size=60, special_tokens=["<|endoftext|>"], show_progress=False))
    tokenizer = tr.GPT2TokenizerFast(tokenizer_object=core, pad_token="<|endoftext|>", model_max_length=40)
    decoder = tr.GPT2Config(vocab_size=len(tokenizer), n_embd=24, n_layer=2, n_head=3, n_positions=40, bos_token_id=0, eos_token_id=0, pad_token_id=0)
    config = tr.VisionEncoderDecoderConfig.from_encoder_decoder_configs(tr.ViTConfig(**VIT | {"hidden_size": 18}), decoder)
    model = randomized(tr.VisionEncoderDecoderModel, config, 36)
    with torch.no_grad():
        model.decoder.transformer.wpe.weight *= 3
    few = {"max_new_tokens": 12}
    write("image-captioning", "image-to-text", model,
          [(p, few) for p in PHOTOS] + [(PHOTOS[0], {"generate_kwargs": {**few, "num_beams": 4, "no_repeat_ngram_size": 2}})],
          image_processor=tr.ViTImageProcessor(size={"height": 32, "width": 32}), tokenizer=tokenizer)
    (text.ROOT / "image-captioning" / "generation_config.json").unlink()


WAV2VEC2 = dict(hidden_size=24, num_hidden_layers=2, num_attention_heads=3, intermediate_size=29, conv_dim=[12, 12, 12],
                conv_stride=[5, 4, 4], conv_kernel=[10, 8, 4], num_conv_pos_embeddings=16, num_conv_pos_embedding_groups=3,
                classifier_proj_size=20, mask_time_prob=0.0)


def audio_classification():
    config = tr.Wav2Vec2Config(**WAV2VEC2, **labels("yes", "no", "up", "down", "left", "right"))
    write("audio-classification", "audio-classification", randomized(tr.Wav2Vec2ForSequenceClassification, config, 26),
          [(s, o) for s in SOUNDS for o in ({}, {"top_k": 2}, {"function_to_apply": "sigmoid", "top_k": 3}, {"function_to_apply": "none"})],
          feature_extractor=tr.Wav2Vec2FeatureExtractor())


def ctc():
    # The blank and the delimiter are where this model often is.
    letters = ["Y", "<s>", "</s>", "<unk>", "Z", *"ETAONIHSRDLUMWCFG", "<pad>", *"PBVK'XJQ", "|"]
    file = text.ROOT / "vocab.json"
    file.write_text(json.dumps({t: i for i, t in enumerate(letters)}))
    tokenizer = tr.Wav2Vec2CTCTokenizer(str(file), do_lower_case=True)
    config = tr.Wav2Vec2Config(**WAV2VEC2, vocab_size=len(letters), feat_extract_norm="layer", do_stable_layer_norm=True)
    model = randomized(tr.Wav2Vec2ForCTC, config, 27)
    write("automatic-speech-recognition", "automatic-speech-recognition", model,
          [(s, o) for s in SOUNDS for o in ({}, {"return_timestamps": "char"}, {"return_timestamps": "word"})] +
          [(SOUNDS[0], {"chunk_length_s": 0.1}), (SOUNDS[0], {"chunk_length_s": 0.12, "stride_length_s": [0.02, 0.03],
                                                             "return_timestamps": "word"}),
           (SOUNDS[0], {"chunk_length_s": 0.09, "stride_length_s": 0.01})],
          feature_extractor=tr.Wav2Vec2FeatureExtractor(return_attention_mask=True), tokenizer=tokenizer)
    file.unlink()


def main():
    for make in (image_classification, image_feature_extraction, segformer, object_detection, panoptic, zero_shot, image_to_text, image_captioning,
                 audio_classification, ctc):
        if len(sys.argv) == 1 or make.__name__ in sys.argv[1:]:
            make()


if __name__ == "__main__":
    main()
