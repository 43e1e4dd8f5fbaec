"""Makes tests/data/images: small pictures of every kind, their pixels as transformers' load_image gives them, Pillow's
resizing, and what transformers' slow image processors make of them.

python tools/oracle/make_image_goldens.py    (packages: tools/oracle/requirements.txt)
"""

import json
import pathlib

import numpy as np
import transformers
from PIL import Image
from transformers.image_utils import load_image

ROOT = pathlib.Path(__file__).resolve().parents[2] / "tests" / "data" / "images"
rng = np.random.default_rng(7)


def picture(width, height, channels=3):
    """Waves, an edge and some noise: smooth parts and sharp ones."""
    y, x = np.mgrid[0:height, 0:width].astype(float)
    planes = [120 + 90 * np.sin(x / (3 + c) + c) * np.cos(y / (4.5 - c)) + (60 if c % 2 else -60) * (x > y) for c in range(channels)]
    noisy = np.stack(planes, -1) + rng.normal(0, 12, (height, width, channels))
    return np.clip(noisy, 0, 255).astype(np.uint8)


def write_pictures():
    rgb = Image.fromarray(picture(45, 34))
    rgb.save(ROOT / "photo.jpg", quality=80)
    rgb.save(ROOT / "progressive.jpg", quality=92, progressive=True, subsampling=0)
    rgb.convert("L").save(ROOT / "grey.jpg", quality=85)
    Image.fromarray(picture(29, 22, 4), mode="CMYK").save(ROOT / "cmyk.jpg", quality=90)
    for orientation in range(2, 9):
        exif = Image.Exif()
        exif[0x0112] = orientation
        Image.fromarray(picture(21, 13)).save(ROOT / f"turned{orientation}.jpg", quality=70, exif=exif)
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(picture(17, 12)).save(ROOT / "turned.png", exif=exif)
    Image.fromarray(picture(17, 12)).save(ROOT / "turned.webp", exif=exif, quality=60)
    rgb.save(ROOT / "plain.png")
    Image.fromarray(picture(26, 31, 4), mode="RGBA").save(ROOT / "alpha.png")
    Image.fromarray(picture(26, 15, 2), mode="LA").save(ROOT / "grey_alpha.png")
    rgb.convert("L").save(ROOT / "grey.png")
    rgb.convert("L").convert("1").save(ROOT / "bits.png")
    rgb.quantize(13).save(ROOT / "palette.png")
    rgb.quantize(13).save(ROOT / "palette_alpha.png", transparency=2)
    Image.fromarray((picture(19, 14, 1)[..., 0].astype(np.uint16) * 3)).save(ROOT / "grey16.png")
    Image.fromarray(picture(35, 24)).save(ROOT / "lossy.webp", quality=75)
    Image.fromarray(picture(23, 24, 4), mode="RGBA").save(ROOT / "lossless.webp", lossless=True)
    write_png16(ROOT / "rgb16.png")


def write_png16(path):
    """Pillow does not write RGB of 16 bits."""
    import struct
    import zlib
    width, height = 11, 9
    values = rng.integers(0, 65536, (height, width * 3)).astype(">u2")
    raw = b"".join(b"\0" + row.tobytes() for row in values)
    chunk = lambda kind, body: struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
    header = struct.pack(">IIBBBBB", width, height, 16, 2, 0, 0, 0)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(raw)) + chunk(b"IEND", b""))


PROCESSORS = [
    ("ViTImageProcessor", {"size": {"height": 16, "width": 20}}, "photo.jpg"),
    ("ViTFeatureExtractor", {"size": 14, "resample": 2, "image_mean": [0.3, 0.4, 0.5], "image_std": [0.2, 0.25, 0.3]}, "alpha.png"),
    ("ViTImageProcessor", {"size": [9, 13], "resample": 3, "do_normalize": False}, "grey.jpg"),
    ("ViTImageProcessor", {"do_resize": False, "rescale_factor": 0.01}, "turned6.jpg"),
    ("ViTImageProcessor", {"do_resize": False, "do_rescale": False, "do_normalize": False}, "bits.png"),
    ("DeiTImageProcessor", {"size": 18, "crop_size": 12}, "photo.jpg"),
    ("DeiTFeatureExtractor", {"size": {"height": 10, "width": 18}, "crop_size": {"height": 15, "width": 11}, "resample": 1}, "plain.png"),
    ("BeitImageProcessor", {"size": 20, "crop_size": {"height": 16, "width": 12}, "do_reduce_labels": True}, "cmyk.jpg"),
    ("BitImageProcessor", {"size": {"shortest_edge": 17}, "crop_size": 14}, "palette.png"),
    ("CLIPImageProcessor", {"size": {"shortest_edge": 16}, "crop_size": {"height": 16, "width": 16}}, "photo.jpg"),
    ("CLIPFeatureExtractor", {"size": 15, "crop_size": 21, "resample": 3}, "turned8.jpg"),
    ("CLIPImageProcessor", {"size": {"height": 13, "width": 15}, "do_center_crop": False}, "palette_alpha.png"),
    ("ChineseCLIPImageProcessor", {"size": {"height": 13, "width": 15}, "crop_size": 12}, "palette_alpha.png"),
    ("ConvNextFeatureExtractor", {"size": 16, "crop_pct": 0.875, "resample": 3}, "photo.jpg"),
    ("ConvNextImageProcessor", {"size": {"shortest_edge": 21}, "crop_pct": 0.7}, "alpha.png"),
    ("SegformerFeatureExtractor", {"size": 24, "reduce_labels": True}, "grey.png"),
    ("DetrFeatureExtractor", {"size": 20, "max_size": 24}, "photo.jpg"),
    ("DetrImageProcessor", {"size": {"shortest_edge": 16, "longest_edge": 90}}, "turned5.jpg"),
    ("DetrImageProcessor", {"size": {"max_height": 19, "max_width": 30}, "pad_size": {"height": 25, "width": 31}}, "photo.jpg"),
    ("DetrImageProcessor", {"size": {"shortest_edge": 34, "longest_edge": 50}, "do_pad": False}, "photo.jpg"),
    ("ConditionalDetrImageProcessor", {"size": {"height": 12, "width": 15}, "do_normalize": False}, "photo.jpg"),
    ("DeformableDetrImageProcessor", {"size": 21, "pad_and_return_pixel_mask": False}, "lossy.webp"),
    ("RTDetrImageProcessor", {"size": {"height": 16, "width": 16}}, "lossy.webp"),
    ("YolosImageProcessor", {"size": {"shortest_edge": 33, "longest_edge": 70}}, "photo.jpg"),
    ("EfficientNetImageProcessor", {"size": {"height": 17, "width": 15}, "do_center_crop": True, "crop_size": 12, "rescale_offset": True,
                                    "rescale_factor": 1 / 127.5, "image_std": [0.4, 0.5, 0.6]}, "photo.jpg"),
    ("EfficientNetImageProcessor", {"size": 13, "include_top": False}, "photo.jpg"),
    ("LevitImageProcessor", {"size": {"shortest_edge": 14}, "crop_size": 14}, "photo.jpg"),
    ("PoolFormerImageProcessor", {"size": {"shortest_edge": 14}, "crop_pct": 0.8, "crop_size": 14}, "photo.jpg"),
    ("PoolFormerImageProcessor", {"size": {"height": 12, "width": 17}, "crop_pct": 0.8, "do_center_crop": False}, "photo.jpg"),
    ("MobileNetV1ImageProcessor", {"size": {"shortest_edge": 18}, "crop_size": 16}, "photo.jpg"),
    ("MobileNetV2ImageProcessor", {"size": {"shortest_edge": 18}, "crop_size": {"height": 16, "width": 30}}, "photo.jpg"),
    ("MobileViTImageProcessor", {"size": {"shortest_edge": 18}, "crop_size": 20}, "photo.jpg"),
    ("GLPNImageProcessor", {"size_divisor": 8}, "photo.jpg"),
    ("PvtImageProcessor", {"size": 15}, "photo.jpg"),
    ("SiglipImageProcessor", {"size": {"height": 15, "width": 13}}, "photo.jpg"),
    ("BlipImageProcessor", {"size": {"height": 15, "width": 13}}, "photo.jpg"),
    ("LayoutLMv3ImageProcessor", {"size": 16, "apply_ocr": False}, "photo.jpg"),
]


class Store:
    def __init__(self):
        self.bytes = b""

    def add(self, array):
        at = len(self.bytes)
        self.bytes += np.ascontiguousarray(array).tobytes()
        return {"at": at, "shape": list(array.shape)}


def main():
    ROOT.mkdir(parents=True, exist_ok=True)
    write_pictures()
    store = Store()
    cases = {"decode": [], "resize": [], "process": []}
    for file in sorted(p.name for p in ROOT.iterdir() if p.suffix in (".jpg", ".png", ".webp")):
        cases["decode"].append({"image": file, "output": store.add(np.array(load_image(str(ROOT / file))))})
    photo = load_image(str(ROOT / "photo.jpg"))
    for filter in range(6):
        for size in ((14, 11), (61, 20), (20, 57), (45, 70), (100, 34), (3, 2)):
            cases["resize"].append({"filter": filter, "size": size, "output": store.add(np.array(photo.resize(size, resample=filter)))})
    store.bytes += b"\0" * (-len(store.bytes) % 4)
    for kind, settings, image in PROCESSORS:
        slow = getattr(transformers, kind.replace("FeatureExtractor", "ImageProcessor"))
        processor = slow.from_dict({k: v for k, v in settings.items()})
        output = processor(load_image(str(ROOT / image)), return_tensors="np")
        name = "feature_extractor_type" if "Extractor" in kind else "image_processor_type"
        cases["process"].append({"config": {name: kind, **settings}, "image": image,
                                 "outputs": {k: store.add(v.astype(np.float32)) for k, v in output.items()}})
    (ROOT / "expected.bin").write_bytes(store.bytes)
    (ROOT / "cases.json").write_text(json.dumps(cases, indent=0) + "\n")
    print(len(store.bytes), "bytes;", sum(p.stat().st_size for p in ROOT.iterdir()), "in all")


if __name__ == "__main__":
    main()
