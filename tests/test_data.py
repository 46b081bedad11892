"""The row ``data``: images are read correctly from files, and wrong files cause clear errors."""

import gzip
import hashlib
import io
import json
import os
import shutil
import socket
import struct
import zipfile
import zlib

import numpy as np
import pytest
import torch
from PIL import Image, ImageCms, ImageFile
from pydantic import ValidationError

import designspace as ds
from designspace.data.decode import decode
from designspace.data.images import Images, numbered_classes, to_uint8
from designspace.data.rows import Files
from designspace.errors import DataError, StorageError
from designspace.storage.cache import Cache
from designspace.survey.facts import Facts
from designspace.survey.spread import Spread
from designspace.testing import checks
from designspace.training.batches import Batches

FASHION = "train-images-idx3-ubyte", "train-labels-idx1-ubyte"


def data(name, **fields):
    return ds.Data.model_validate({"name": name, **fields})


def grey(value, size=(3, 2)):
    return Image.new("L", size, value)


def pack(folder, archive):
    with zipfile.ZipFile(archive, "w") as out:
        for file in sorted(folder.rglob("*"), reverse=True):  # the order in the archive must not matter
            if file.is_file():
                out.write(file, file.relative_to(folder).as_posix())


@pytest.fixture(params=["folder", "zip"])
def written(request, tmp_path):
    """Writes {name: image, text or bytes} as a folder or as a zip, and gives the component that reads it."""

    def write(files):
        for name, content in files.items():
            path = tmp_path / "set" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if isinstance(content, Image.Image):
                content.save(path)
            else:
                path.write_bytes(content if isinstance(content, bytes) else content.encode())
        if request.param == "folder":
            return data("folder", path=tmp_path / "set")
        pack(tmp_path / "set", tmp_path / "set.zip")
        return data("zip", path=tmp_path / "set.zip")

    return write


def values(images):
    """The value of each uniform image."""
    assert (images.pixels == images.pixels[:, :, :1, :1]).all()
    return images.pixels[:, 0, 0, 0].tolist()


def coded(image, name, **options):
    """The bytes of an image file."""
    content, format_ = io.BytesIO(), Image.registered_extensions()[name[name.index(".") :]]
    image.save(content, format_, **options)
    return content.getvalue()


class TestDigits:
    def test_values(self):
        images = data("digits").load()
        assert len(images) == 1797
        assert images.shape == (1, 8, 8)
        assert images.classes == tuple("0123456789")
        assert images.labels.bincount().tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]
        assert images.pixels.unique().tolist() == [round(v * 255 / 16) for v in range(17)]
        assert images.pixels[0, 0, 0].tolist() == [0, 0, 80, 207, 143, 16, 0, 0]  # 0 0 5 13 9 1 0 0

    def test_hash_stays(self):
        """Published results refer to this hash."""
        assert data("digits").content_hash() == "ac2213023a1dd19f8222ec82825f32c3504d17957813b2fdf14736bb5f12f150"


class TestLayouts:
    def test_class_folders(self, written):
        images = written({"dog/b.png": grey(3), "dog/a.png": grey(2), "cat/z.png": grey(1)}).load()
        assert values(images) == [1, 2, 3]
        assert images.labels.tolist() == [0, 1, 1]
        assert images.labels.dtype == torch.int64
        assert images.classes == ("cat", "dog")
        assert images.shape == (1, 2, 3)

    def test_flat(self, written):
        images = written({"b.png": grey(2), "a.PNG": grey(1)}).load()
        assert values(images) == [1, 2]
        assert images.labels is None
        assert images.classes == ()

    def test_folders_around_everything_are_no_classes(self, written):
        images = written({"set/train/b/0/x.png": grey(2), "set/train/a/1/y.png": grey(1)}).load()
        assert images.classes == ("a", "b")
        assert images.labels.tolist() == [0, 1]

    def test_one_folder_is_no_class(self, written):
        assert written({"a/x.png": grey(2), "a/y.png": grey(1)}).load().labels is None

    @pytest.mark.parametrize("around", ["", "set/"])
    def test_dataset_json(self, written, around):
        index = {"labels": [["00001/c.png", 0], ["00000/a.png", 4], ["00000/b.png", 0]]}
        files = {
            "00000/a.png": grey(1),
            "00000/b.png": grey(2),
            "00001/c.png": grey(3),
            "dataset.json": json.dumps(index),
        }
        images = written({around + name: content for name, content in files.items()}).load()
        assert values(images) == [1, 2, 3]
        assert images.labels.tolist() == [4, 0, 0]
        assert images.classes == ("0", "1", "2", "3", "4")
        assert (images.class_count, images.present) == (5, (0, 4))

    def test_dataset_json_without_labels(self, written):
        images = written({"0/a.png": grey(1), "1/b.png": grey(2), "dataset.json": '{"labels": null}'}).load()
        assert images.labels is None
        assert values(images) == [1, 2]

    def test_hidden_files_are_ignored(self, written):
        hidden = (
            "__MACOSX/._a.png",
            ".cache/b.png",
            "._a.png",
            "@eaDir/a.png/SYNO.png",
            "@Recycle/c.png",
            "System Volume Information/d.png",
            "Thumbs.db",
            ".DS_Store",
        )
        component = written({"a.png": grey(1)} | dict.fromkeys(hidden, b"x"))
        assert len(component.load()) == 1
        assert component.files_read() == Files({"png": 1}, {})

    def test_colour_is_channels_first(self, written):
        array = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3)
        images = written({"a.png": Image.fromarray(array)}).load()
        assert images.pixels.is_contiguous()
        assert torch.equal(images.pixels[0], torch.from_numpy(array).permute(2, 0, 1))

    @pytest.mark.parametrize(
        ("mode", "name"), [("RGBA", "b.png"), ("P", "b.png"), ("CMYK", "b.tif"), ("RGBA", "b.webp"), ("YCbCr", "b.tif")]
    )
    def test_other_modes_become_rgb(self, written, mode, name):
        red = Image.new("RGB", (2, 2), (255, 0, 0))
        images = written({"a.png": red, name: coded(red.convert(mode), name, lossless=True)}).load()
        assert (images.pixels[0].int() - images.pixels[1].int()).abs().max() <= 1

    @pytest.mark.parametrize("mode", ["1", "LA"])
    def test_without_colour_they_become_grey(self, written, mode):
        images = written({"a.png": grey(255), "b.png": grey(255).convert(mode)}).load()
        assert values(images) == [255, 255]
        assert images.shape == (1, 2, 3)

    @pytest.mark.parametrize("mode", ["RGBA", "LA", "P", "L", "RGB"])
    def test_transparency_is_refused(self, written, mode):
        image = grey(0).convert(mode)
        about = {} if mode in ("RGBA", "LA") else {"transparency": (0, 0, 0) if mode == "RGB" else 0}
        if not about:
            image.putalpha(254)
        with pytest.raises(DataError, match=r"set(\.zip)?: a\.png is transparent in places"):
            written({"a.png": coded(image, "a.png", **about)}).load()

    @pytest.mark.parametrize(
        ("format_", "suffix"), [("JPEG", "jpg"), ("PNG", "png"), ("WEBP", "webp"), ("TIFF", "tif")]
    )
    @pytest.mark.parametrize("orientation", range(1, 9))
    def test_orientation(self, written, format_, suffix, orientation):
        """A white corner at the left top of the upright picture, wherever the camera stored it."""
        upright = Image.new("L", (32, 16))
        upright.paste(255, (0, 0, 8, 8))
        how = (None, 0, 3, 1, 5, 2, 6, 4)[orientation - 1]  # transposes from what is seen to what is stored
        stored, exif = upright if how is None else upright.transpose(how), Image.Exif()
        exif[0x0112] = orientation
        options = {"lossless": True} if format_ == "WEBP" else {}
        name = f"a.{suffix}"
        found = written({name: coded(stored.convert("RGB"), name, exif=exif, **options)}).load()
        assert found.shape == (3, 16, 32)
        assert torch.equal(found.pixels[0, 0] > 128, torch.from_numpy(np.asarray(upright)) > 128)

    @pytest.mark.parametrize("kind", [2, 4, 6])
    def test_png_of_16_bits(self, written, kind):
        """RGB, grey and RGB with alpha: Pillow drops the lower byte without a word."""
        row = b"\0" + bytes([127, 255] * 8 * {2: 3, 4: 2, 6: 4}[kind])
        header = struct.pack(">IIBBBBB", 8, 8, 16, kind, 0, 0, 0)
        parts = [(b"IHDR", header), (b"IDAT", zlib.compress(row * 8)), (b"IEND", b"")]
        content = b"".join(struct.pack(">I", len(b)) + t + b + struct.pack(">I", zlib.crc32(t + b)) for t, b in parts)
        with pytest.raises(DataError, match=r"a\.png has more than 8 bits per channel"):
            written({"a.png": b"\x89PNG\r\n\x1a\n" + content}).load()

    @pytest.mark.parametrize(
        ("name", "content"),
        [("a.ppm", b"P6 1 1 65535\n" + bytes(6)), ("a.ppm", b"P3 1 1 1000\n1 2 3\n"), ("a.pgm", b"P5 1 1 999\n\0\1")],
    )
    def test_pnm_of_more_than_8_bits(self, written, name, content):
        with pytest.raises(DataError, match=f"{name} has more than 8 bits"):
            written({name: content}).load()

    def test_tiff_of_16_bits(self, written):
        image = Image.new("RGB", (2, 2))
        content = coded(image, "a.tif").replace(struct.pack("<3H", 8, 8, 8), struct.pack("<3H", 16, 16, 16))
        with pytest.raises(DataError, match="has more than 8 bits"):
            written({"a.tif": content}).load()

    @pytest.mark.parametrize("suffix", ["tif", "png", "webp"])
    def test_several_frames(self, written, suffix):
        frames = [Image.new("RGB", (8, 8), (k, k, k)) for k in range(0, 250, 50)]
        content = coded(frames[0], f"a.{suffix}", save_all=True, append_images=frames[1:])
        with pytest.raises(DataError, match=rf"a\.{suffix} has 5 frames; save each"):
            written({f"a.{suffix}": content}).load()

    @pytest.mark.parametrize(
        ("name", "content"),
        [
            ("a.pgm", b"P5 2 2 255\n" + bytes(4)),
            ("a.ppm", b"P6 2 2 255\n" + bytes(12)),
            ("a.pbm", b"P4 2 2\n" + bytes(2)),
            ("a.pgm", b"P2 2 2 255\n1 2\n3 4\n"),
            ("a.pgm", b"P5 2 2 15\n" + bytes(4)),
        ],
    )
    def test_pnm_files_joined_to_one(self, written, name, content):
        assert len(written({name: content}).load()) == 1
        with pytest.raises(DataError, match=rf"{name} has several images; save each"):
            written({name: 2 * content}).load()

    def test_files_of_other_kinds_are_counted(self, written):
        files = {f"{kind}{k}.{kind}": Image.new("L", (8, 8), 100) for k in range(3) for kind in ("png", "gif")}
        component = written(files | {"c.jfif": coded(grey(100, (8, 8)), "c.jpg"), "NOTES": "", "movie.mp4": b"x"})
        with pytest.warns(
            UserWarning, match=r"set(\.zip)?: read 4 of 9 files; ignored: 3 \.gif, 1 \.mp4, 1 without suff"
        ):
            assert values(component.load()) == [100] * 4
        assert component.files_read() == Files({"jpeg": 1, "png": 3}, {".gif": 3, ".mp4": 1, "without suffix": 1})

    def test_formats_are_those_of_the_content(self, written):
        image, icc = Image.new("RGB", (8, 8), (90, 20, 30)), ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))
        files = {
            "a.png": coded(image, "a.jpg"),
            "b.webp": coded(image, "b.webp"),
            "c.webp": coded(image, "c.webp", lossless=True),
            "d.webp": coded(image, "d.webp", lossless=True, icc_profile=icc.tobytes()),
            "e.webp": coded(image, "e.webp", icc_profile=icc.tobytes()),
            "f.bmp": image,
            "g.tif": image,
            "h.ppm": image,
            "i.tif": coded(image, "i.tif", compression="jpeg"),
            "j.tif": coded(image, "j.tif", compression="tiff_lzw"),
        }
        expected = {"bmp": 1, "jpeg": 1, "pnm": 1, "tiff": 2, "tiff (jpeg)": 1, "webp": 2, "webp (lossless)": 2}
        assert written(files).files_read().formats == expected

    def test_size_and_crop(self, written):
        """The central square, antialiased: a coarse chequerboard of the right colours."""
        array = np.zeros((40, 60, 3), np.uint8)
        array[:20, 10:30], array[20:, 30:50], array[:, :10], array[:, 50:] = 255, 255, 77, 77
        whole = written({"a.png": Image.fromarray(array), "b.png": Image.fromarray(array[:, 10:50])})
        component = whole.model_copy(update={"size": 4, "crop": "center"})
        expected = np.kron([[1, 0], [0, 1]], np.ones((2, 2))) * 255
        assert (
            component.load().pixels - torch.from_numpy(expected)
        ).abs().max() <= 40  # the filter reaches across edges
        assert torch.equal(component.load().pixels[0], component.load().pixels[1])
        cropped = whole.model_copy(update={"crop": "center"}).load()
        assert torch.equal(cropped.pixels[0], torch.from_numpy(array[:, 10:50]).permute(2, 0, 1))
        keys = [c.content_hash() for c in (whole, component, whole.model_copy(update={"size": 4}))]
        assert len(set(keys)) == 3
        with pytest.raises(DataError, match=r"a\.png is 60 x 40, not square; add `crop: center`"):
            whole.model_copy(update={"size": 4}).load()
        assert [tuple(image.shape) for image in whole.each()] == [(3, 40, 60), (3, 40, 40)]

    def test_jpeg(self, written):
        images = written({"a.jpg": Image.new("RGB", (16, 16), (40, 40, 40))}).load()
        assert images.shape == (3, 16, 16)
        assert (images.pixels == 40).all()

    def test_folder_and_zip_are_the_same_images(self, tmp_path):
        for k, name in enumerate(["b/1.png", "a/2.png", "a/10.png"]):
            (tmp_path / "set" / name).parent.mkdir(parents=True, exist_ok=True)
            grey(k).save(tmp_path / "set" / name)
        pack(tmp_path / "set", tmp_path / "set.zip")
        folder, archive = data("folder", path=tmp_path / "set"), data("zip", path=tmp_path / "set.zip")
        assert folder.load().content_hash == archive.load().content_hash

    @pytest.mark.parametrize(
        ("files", "says"),
        [
            ({"a.png": grey(1), "b.png": grey(1, (3, 3))}, "b.png is 3 x 3 grey and a.png 3 x 2 grey; all images must"),
            ({"a.png": grey(1), "b.png": Image.new("RGB", (3, 2))}, "same size and mode: convert all to RGB"),
            ({"a.png": Image.new("I;16", (3, 2))}, "a.png has more than 8 bits per channel; convert it to 8"),
            ({"a.png": grey(1), "b.png": b""}, "b.png is not an image of a known format"),
            ({"a.png": b"%!PS-Adobe-3.0 EPSF-3.0\n"}, "a.png is not an image of a known format"),
            ({"notes.txt": "hello"}, "no images found"),
            ({"a.png": grey(1), "b/c.png": grey(1)}, "a.png outside the class folders"),
            ({"a.png": grey(1), "dataset.json": "{"}, "dataset.json: the file: Invalid JSON"),
            ({"a.png": grey(1), "dataset.json": "[]"}, "dataset.json: the file: Input should be an object"),
            ({"a.png": grey(1), "dataset.json": '{"labels": [["a.png", 0.5]]}'}, "dataset.json: labels.0.1: Input"),
            ({"a.png": grey(1), "dataset.json": '{"labels": [["a.png", -1]]}'}, "dataset.json: labels.0.1: Input"),
            ({"a.png": grey(1), "dataset.json": '{"labels": []}'}, "dataset.json gives no label for a.png"),
            (
                {"a.png": grey(1), "dataset.json": '{"labels": [["a.png", 0], ["a.png", 1]]}'},
                "dataset.json lists a.png more than once",
            ),
            (
                {"a.png": grey(1), "dataset.json": '{"labels": [["a.png", 0], ["b.png", 0], ["c.png", 1]]}'},
                "dataset.json lists b.png and 1 more, which is missing",
            ),
        ],
    )
    def test_errors(self, written, files, says):
        component = written(files)
        with pytest.raises(DataError, match=r"set(\.zip)?: ") as error:
            component.load()
        assert says in str(error.value)

    def test_other_code_cannot_make_truncated_images_pass(self, written, monkeypatch):
        monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
        noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (32, 32), np.uint8))
        with pytest.raises(DataError, match=r"a\.png cannot be decoded"):
            written({"a.png": coded(noise, "a.png")[:600]}).load()
        assert ImageFile.LOAD_TRUNCATED_IMAGES

    @pytest.mark.parametrize("keep", [0.3, 0.9])
    @pytest.mark.parametrize("suffix", ["png", "jpg", "webp", "bmp", "tif", "ppm"])
    def test_truncated_image(self, written, tmp_path, keep, suffix):
        noise = np.random.default_rng(0).integers(0, 256, (32, 32), np.uint8)
        Image.fromarray(noise).save(tmp_path / f"whole.{suffix}")
        whole = (tmp_path / f"whole.{suffix}").read_bytes()
        with pytest.raises(DataError, match=f"b.{suffix} cannot be decoded"):
            written({f"a.{suffix}": whole, f"b.{suffix}": whole[: int(keep * len(whole))]}).load()


def test_pixels_are_the_papers_rule():
    """127.5 x + 128, clipped, truncated: each half-open interval of 1 / 127.5 is one value, and pixels come back."""
    x = torch.tensor([-9.0, -1.0, -0.5 / 127.5 - 1e-6, -0.5 / 127.5, 0.0, 0.5 / 127.5, 1.0, 9.0])
    assert to_uint8(x).tolist() == [0, 0, 127, 127, 128, 128, 255, 255]
    every = Images(torch.arange(256, dtype=torch.uint8).reshape(256, 1, 1, 1))
    assert torch.equal(to_uint8(every.scaled()), every.pixels)


def test_the_content_is_shape_pixels_and_labels():
    pixels = torch.arange(24, dtype=torch.uint8)
    one = Images(pixels.reshape(2, 1, 3, 4))
    others = [
        Images(pixels.reshape(2, 1, 4, 3)),
        Images(pixels.flip(0).reshape(2, 1, 3, 4)),
        Images(one.pixels, torch.tensor([0, 1])),
        Images(one.pixels, torch.tensor([1, 0])),
    ]
    assert len({images.content_hash for images in (one, *others)}) == 5
    assert Images(one.pixels.clone()).content_hash == one.content_hash


@pytest.mark.parametrize(("largest", "known"), [(99_999, True), (100_000, False)])
def test_class_numbers_are_below_a_hundred_thousand(largest, known):
    labels = torch.tensor([0, largest])
    if known:
        assert len(numbered_classes(labels, 2, "x")) == largest + 1
    else:
        with pytest.raises(DataError, match="x: labels from 0 to 100000; class numbers must be"):
            numbered_classes(labels, 2, "x")


class TestPaths:
    @pytest.mark.parametrize("name", ["folder", "zip", "npz"])
    def test_missing(self, tmp_path, name):
        component = data(name, path=tmp_path / "none")
        for read in (component.load, component.content_hash):
            with pytest.raises(DataError, match=f"there is no {tmp_path / 'none'}"):
                read()

    @pytest.mark.parametrize("name", ["zip", "npz"])
    def test_a_folder_is_no_archive(self, tmp_path, name):
        for read in (data(name, path=tmp_path).load, data(name, path=tmp_path).content_hash):
            with pytest.raises(DataError, match=f"cannot read {tmp_path}: Is a directory"):
                read()

    def test_an_archive_is_no_folder(self, tmp_path):
        (tmp_path / "a.zip").touch()
        with pytest.raises(DataError, match=r"a\.zip is a file, not a folder; use data 'zip'"):
            data("folder", path=tmp_path / "a.zip").content_hash()

    def test_relative_to_the_current_directory(self, tmp_path, monkeypatch):
        (tmp_path / "set").mkdir()
        grey(7).save(tmp_path / "set" / "a.png")
        monkeypatch.chdir(tmp_path)
        assert values(data("folder", path="set").load()) == [7]

    def test_links_are_followed(self, tmp_path):
        (tmp_path / "far").mkdir()
        grey(1).save(tmp_path / "far" / "x.png")
        (tmp_path / "set" / "a").mkdir(parents=True)
        grey(2).save(tmp_path / "set" / "a" / "y.png")
        (tmp_path / "set" / "b").symlink_to(tmp_path / "far")
        assert data("folder", path=tmp_path / "set").load().classes == ("a", "b")

    def test_every_file_is_read_once(self, tmp_path):
        """Links to a parent, to each other, to a sibling, to a file, and two to a folder elsewhere."""
        home, far = tmp_path / "set", tmp_path / "far"
        for name in ("a/0.png", "a/1.png", "b/0.png"):
            (home / name).parent.mkdir(parents=True, exist_ok=True)
            grey(1).save(home / name)
        far.mkdir()
        grey(2).save(far / "x.png")
        links = {"a/up": "..", "a/top": "../..", "b/a": "../a", "b/1.png": "0.png", "c": far, "d": far}
        for name, target in links.items():
            (home / name).symlink_to(target)
        (far / "back").symlink_to(home)
        component = data("folder", path=home)
        with pytest.warns(UserWarning, match="read 4 of 10 files; ignored: 6 repeated by links"):
            images = component.load()
        assert images.classes == ("a", "b", "c")
        assert images.labels.tolist() == [0, 0, 1, 2]

    def test_a_hard_link_is_an_image_of_its_own(self, tmp_path):
        """Tools that remove duplicates replace equal files by hard links."""
        grey(1).save(tmp_path / "a.png")
        os.link(tmp_path / "a.png", tmp_path / "b.png")
        assert len(data("folder", path=tmp_path).load()) == 2

    @pytest.mark.parametrize("name", ["folder", "zip", "npz"])
    def test_special_files_are_refused(self, tmp_path, name):
        os.mkfifo(tmp_path / "pipe.png")
        special = ["pipe.png", "/dev/zero"]
        with socket.socket(socket.AF_UNIX) as end:
            end.bind(str(tmp_path / "end"))
            for path in [*special, "end"]:
                component = data(name, path=tmp_path / path)
                for read in (component.load, component.content_hash):
                    with pytest.raises(DataError, match=rf"{path} is a (FIFO|device|socket), not a file or folder"):
                        read()
        inside = data("folder", path=tmp_path)
        with pytest.raises(DataError, match=r"pipe\.png is a FIFO"):
            inside.content_hash()
        with (
            pytest.raises(DataError, match=r"pipe\.png is a FIFO"),
            pytest.warns(UserWarning, match="1 without suffix"),
        ):
            inside.load()

    def test_a_dangling_link_is_named(self, tmp_path):
        (tmp_path / "x.png").symlink_to(tmp_path / "gone.png")
        component = data("folder", path=tmp_path)
        for read in (component.load, component.content_hash):
            with pytest.raises(DataError, match=r"x\.png"):
                read()


class TestContentHash:
    def test_contract(self, written):
        called = [check() for check in checks(written({"a.png": grey(1), "b.png": grey(2)}))]
        assert len(called) > 1

    def test_a_moved_folder_is_the_same_data(self, tmp_path):
        (tmp_path / "a" / "0").mkdir(parents=True)
        grey(1).save(tmp_path / "a" / "0" / "x.png")
        shutil.copytree(tmp_path / "a", tmp_path / "b")
        (tmp_path / "b" / "notes.txt").write_text("not data")
        here, there = (data("folder", path=tmp_path / k) for k in "ab")
        assert here.content_hash() == there.content_hash()
        assert here.identity() == there.identity()

    def test_names_and_bytes_count(self, tmp_path):
        component, seen = data("folder", path=tmp_path), []
        image = tmp_path / "x.png"
        grey(1).save(image)
        seen.append(component.content_hash())
        grey(2, (30, 20)).save(image)
        seen.append(component.content_hash())
        image.rename(tmp_path / "y.png")
        seen.append(component.content_hash())
        (tmp_path / "dataset.json").write_text('{"labels": null}')
        seen.append(component.content_hash())
        assert len(set(seen)) == 4

    @pytest.mark.parametrize("name", ["zip", "npz"])
    def test_archives_by_their_bytes(self, tmp_path, name):
        for file, content in (("a", b"one"), ("b", b"one"), ("c", b"other")):
            (tmp_path / file).write_bytes(content)
        a, b, c = (data(name, path=tmp_path / k).content_hash() for k in "abc")
        assert a == b != c
        (tmp_path / "b").write_bytes(b"longer")
        assert data(name, path=tmp_path / "b").content_hash() not in (a, c)


class TestZip:
    @pytest.fixture
    def archive(self, tmp_path):
        with zipfile.ZipFile(tmp_path / "set.zip", "w", zipfile.ZIP_DEFLATED) as out:
            for k in range(3):
                grey(k, (32, 32)).save(tmp_path / "x.png")
                out.write(tmp_path / "x.png", f"{k}.png")
        return tmp_path / "set.zip"

    def test_whatever_is_cut_off_is_noticed(self, archive):
        whole = archive.read_bytes()
        for size in range(0, len(whole), 23):
            archive.write_bytes(whole[:size])
            with pytest.raises(DataError, match=r"set\.zip"):
                data("zip", path=archive).load()

    def test_a_damaged_directory(self, archive):
        whole = bytearray(archive.read_bytes())
        whole[whole.index(b"PK\x01\x02") + 6] = 0xFF  # the version of zip that is needed
        archive.write_bytes(whole)
        with pytest.raises(DataError, match=r"set\.zip is not a complete zip archive \(zip file version 25\.5\)"):
            data("zip", path=archive).load()

    def test_a_damaged_member_is_named(self, archive):
        with zipfile.ZipFile(archive) as opened:
            start = opened.getinfo("1.png").header_offset
        whole = bytearray(archive.read_bytes())
        whole[start + 60] ^= 0xFF
        archive.write_bytes(whole)
        with pytest.raises(DataError, match=r"set\.zip: 1\.png cannot be read"):
            data("zip", path=archive).load()

    def test_backslashes_separate_folders(self, tmp_path):
        with zipfile.ZipFile(tmp_path / "set.zip", "w") as out:
            for k, name in enumerate(("set\\dog\\x.png", "set\\cat\\x.png", "set\\__MACOSX\\x.png")):
                out.writestr(name, coded(grey(k), "x.png"))
        images = data("zip", path=tmp_path / "set.zip").load()
        assert (images.classes, values(images)) == (("cat", "dog"), [1, 0])

    def test_two_members_of_one_name(self, archive):
        with pytest.warns(UserWarning, match="Duplicate name"), zipfile.ZipFile(archive, "a") as out:
            out.writestr("1.png", coded(grey(9, (32, 32)), "x.png"))
        with pytest.raises(DataError, match=r"set\.zip: two members are called 1\.png"):
            data("zip", path=archive).load()

    def test_encrypted_members(self, archive):
        content = bytearray(archive.read_bytes())
        content[content.index(b"PK\1\2") + 8] |= 1
        archive.write_bytes(content)
        with pytest.raises(DataError, match=r"set\.zip: .+\.png is encrypted; unpack it"):
            data("zip", path=archive).load()

    def test_a_name_outside_of_the_archive(self, archive, tmp_path):
        with zipfile.ZipFile(archive, "a") as out:
            out.write(tmp_path / "x.png", "../../escaped.png")
        with pytest.raises(DataError, match=r"the member \.\./\.\./escaped\.png is outside of the archive"):
            data("zip", path=archive).load()

    def test_nothing_is_extracted(self, archive, tmp_path, monkeypatch):
        (tmp_path / "a" / "b").mkdir(parents=True)
        monkeypatch.chdir(tmp_path / "a" / "b")
        before = sorted(tmp_path.rglob("*"))
        data("zip", path=archive).content_hash()
        assert len(data("zip", path=archive).load()) == 3
        assert sorted(tmp_path.rglob("*")) == before


class TestNpz:
    @pytest.fixture
    def saved(self, tmp_path):
        def save(**arrays):
            np.savez(tmp_path / "x.npz", **arrays)
            return data("npz", path=tmp_path / "x.npz")

        return save

    IMAGES = np.arange(2 * 3 * 4 * 5, dtype=np.uint8).reshape(2, 3, 4, 5)

    @pytest.mark.parametrize("keys", [("images", "labels"), ("x", "y"), ("arr_0", "arr_1")])
    @pytest.mark.parametrize("last", [True, False])
    def test_arrays(self, saved, keys, last):
        array = self.IMAGES.transpose(0, 2, 3, 1) if last else self.IMAGES
        images = saved(**{keys[0]: array, keys[1]: np.array([2, 0], np.uint8)}).load()
        assert torch.equal(images.pixels, torch.from_numpy(self.IMAGES))
        assert images.pixels.is_contiguous()
        assert images.labels.dtype == torch.int64
        assert images.labels.tolist() == [2, 0]
        assert images.classes == ("0", "1", "2")

    def test_the_hash_is_that_of_the_file(self, saved):
        component = saved(images=np.zeros((2, 4, 4), np.uint8))
        assert component.content_hash() == hashlib.sha256(component.path.read_bytes()).hexdigest()
        assert component.model_copy(update={"size": 2}).content_hash() != component.content_hash()

    def test_grey_without_channels(self, saved):
        images = saved(images=self.IMAGES[:, 0]).load()
        assert images.labels is None
        assert torch.equal(images.pixels, torch.from_numpy(self.IMAGES[:, :1]))

    @pytest.mark.parametrize(
        ("arrays", "says"),
        [
            ({"pictures": IMAGES}, "no array images or x or arr_0; it has pictures uint8 [2, 3, 4, 5]"),
            ({}, "no array images or x or arr_0; it has none"),
            (
                {"images": IMAGES / 255},
                "must be uint8 [N, H, W, C], [N, C, H, W] with C = 1 or 3, or [N, H, W]",
            ),
            ({"images": IMAGES[:, :2]}, "it has images uint8 [2, 2, 4, 5]"),
            ({"images": IMAGES[:0]}, "it has images uint8 [0, 3, 4, 5]"),
            ({"images": IMAGES[0, 0]}, "it has images uint8 [4, 5]"),
            ({"images": IMAGES, "labels": np.zeros(2)}, "the labels must be integers; it has images"),
            ({"images": IMAGES, "labels": np.zeros(3, int)}, "labels of shape [3] for 2 images"),
            ({"images": IMAGES, "labels": np.eye(2, dtype=int)}, "labels of shape [2, 2] for 2 images"),
            ({"images": IMAGES, "labels": np.array([0, -1])}, "labels from -1 to 0; class numbers must be"),
            ({"images": IMAGES, "labels": np.array([0, 10**9])}, "labels from 0 to 1000000000; class numbers must be"),
            (
                {"images": np.array([None])},
                "the images must be uint8 [N, H, W, C], [N, C, H, W] with C = 1 or 3, or [N, H, W]; it has images obj",
            ),
        ],
    )
    def test_errors(self, saved, arrays, says):
        component = saved(**arrays)
        with pytest.raises(DataError, match=r"x\.npz") as error:
            component.load()
        assert says in str(error.value)

    def test_whatever_is_cut_off_is_noticed(self, saved):
        component = saved(images=self.IMAGES)
        whole = component.path.read_bytes()
        for size in range(0, len(whole), 17):
            component.path.write_bytes(whole[:size])
            with pytest.raises(DataError, match=r"x\.npz cannot be read as an npz file"):
                component.load()

    def test_a_single_array_is_no_archive(self, tmp_path):
        np.save(tmp_path / "x.npy", self.IMAGES)
        with pytest.raises(DataError, match=r"x\.npy cannot be read as an npz file"):
            data("npz", path=tmp_path / "x.npy").load()


class TestLimit:
    """Files that would fill the memory are refused by what they say about themselves, before they are read."""

    @pytest.fixture(autouse=True)
    def limit(self, monkeypatch):
        monkeypatch.setenv("DESIGNSPACE_MAX_BYTES", "1e6")

    def claims(self, path, size, name="a.png", content=b"x"):
        """A zip whose member claims to have ``size`` bytes."""
        with zipfile.ZipFile(path, "w") as out:
            out.writestr(name, content)
            out.getinfo(name).file_size = size

    def test_members_of_a_zip(self, tmp_path):
        component = data("zip", path=tmp_path / "bomb.zip")
        self.claims(component.path, 5_700_000_000)
        with pytest.raises(DataError, match=r"bomb\.zip: a\.png has 5\.7 GB, too much for an image"):
            component.load()
        self.claims(component.path, 2_000_000)
        with pytest.raises(DataError, match=r"a\.png needs 0\.002 GB of memory when decoded, and the limit is 0"):
            component.load()

    def test_what_no_images_compress_to(self, tmp_path, monkeypatch):
        """The limit is not set, and half of the memory may be a lot: the ratio tells."""
        monkeypatch.delenv("DESIGNSPACE_MAX_BYTES")
        component = data("zip", path=tmp_path / "bomb.zip")
        self.claims(component.path, 1_500_000_000)
        with pytest.raises(DataError, match=r"bomb\.zip has 0\.\d+ MB and decodes to 1\.5 GB, which no images do; set"):
            component.load()

    def test_a_member_larger_than_it_claims(self, tmp_path):
        component = data("zip", path=tmp_path / "bomb.zip")
        self.claims(component.path, 50, content=coded(grey(1), "a.png"))
        with pytest.raises(DataError, match=r"bomb\.zip: a\.png cannot be read: (Bad CRC|.*Overlapped)"):
            component.load()

    def test_a_sparse_file(self, tmp_path):
        with (tmp_path / "a.png").open("wb") as file:
            file.truncate(2**40)
        with pytest.raises(DataError, match=r"a\.png has 1\.1e\+03 GB, too much for an image"):
            data("folder", path=tmp_path).load()

    @pytest.mark.parametrize("field", ["images", "labels"])
    def test_an_array_that_says_so(self, tmp_path, field):
        header, component = io.BytesIO(), data("npz", path=tmp_path / "bomb.npz")
        about = {
            "descr": "|u1",
            "fortran_order": False,
            "shape": (1_900_000, 1000, 3) if field == "images" else (10**9,),
        }
        np.lib.format.write_array_header_1_0(header, about)
        np.savez(component.path, images=np.zeros((1, 2, 2, 1), np.uint8))
        with zipfile.ZipFile(component.path, "a" if field == "labels" else "w") as out:
            out.writestr(f"{field}.npy", header.getvalue())
        with pytest.raises(DataError, match=rf"{field}\.npy has 128 bytes for uint8"):
            component.load()
        with zipfile.ZipFile(component.path, "a") as out:
            out.getinfo(f"{field}.npy").file_size = 6 * 10**9
            out.writestr("more.npy", b"")
            del out.filelist[-1]
        with pytest.raises(DataError, match=r"bomb\.npz needs .* GB of memory when decoded"):
            component.load()

    def test_an_image(self, tmp_path):
        grey(0, (1100, 1100)).save(tmp_path / "0.png")
        component = data("folder", path=tmp_path)
        for read in (component.load, component.each):
            with pytest.raises(DataError, match=r"0\.png has 1100 x 1100 pixels and needs 0\.00\d* GB of memory"):
                read()

    def test_images_of_several_sizes_are_in_memory(self, tmp_path):
        for k in range(4):
            grey(0, (520, 520 + k)).save(tmp_path / f"{k}.png")
        with pytest.raises(DataError, match=r"needs 0\.00\d* GB of memory when decoded"):
            data("folder", path=tmp_path).each()

    def test_what_no_files_decode_to(self, tmp_path, monkeypatch):
        monkeypatch.delenv("DESIGNSPACE_MAX_BYTES")
        monkeypatch.setattr("designspace.data.limits.SMALL", 10**5)
        for k in range(4):
            grey(0, (520, 520)).save(tmp_path / f"{k}.png")
        with pytest.raises(DataError, match=r"has 0\.\d+ MB and decodes to 0\.00108 GB, which no images do; set"):
            data("folder", path=tmp_path).load()

    def test_what_is_needed_as_float32_at_once(self):
        images = Images(torch.zeros(2, 1, 400, 400, dtype=torch.uint8))
        with pytest.raises(DataError, match=r"a set of 2 images, which is needed as float32 at once, needs 0\.00128"):
            images.scaled()

    def test_idx(self, tmp_path):
        for name in FASHION:
            content = b"\0\0\x08\x03" + struct.pack(">3I", 1_900_000, 1000, 3)
            (tmp_path / f"{name}.gz").write_bytes(gzip.compress(content + bytes(1000)))
        with pytest.raises(DataError, match=r"gz needs 5\.7 GB of memory"):
            data("fashion_mnist", path=tmp_path).load()

    def test_points_of_a_mixture(self):
        with pytest.raises(DataError, match=r"data mixture needs .* GB of memory"):
            data("mixture", count=10**7).load()

    def test_a_limit_that_is_no_number(self, tmp_path, monkeypatch):
        grey(1).save(tmp_path / "a.png")
        monkeypatch.setenv("DESIGNSPACE_MAX_BYTES", "16 GB")
        with pytest.raises(DataError, match=r"\$DESIGNSPACE_MAX_BYTES is '16 GB', not a number of bytes such as 16e9"):
            data("folder", path=tmp_path).load()


class TestMapped:
    """Data sets whose pixels exceed a quarter of the limit are mapped from a file in the cache."""

    @pytest.fixture(autouse=True)
    def small(self, tmp_path, monkeypatch):
        monkeypatch.setenv("DESIGNSPACE_MAX_BYTES", "1e5")
        monkeypatch.setenv("DESIGNSPACE_CACHE", str(tmp_path / "cache"))

    @pytest.fixture
    def images(self):
        return np.random.default_rng(0).integers(0, 256, (40, 3, 16, 16), np.uint8)

    @pytest.fixture
    def component(self, written, images):
        return written(
            {f"{k % 2}/{k:02}.png": Image.fromarray(each.transpose(1, 2, 0)) for k, each in enumerate(images)}
        )

    def mapped(self, tmp_path):
        return [path for path in (tmp_path / "cache" / "pixels").rglob("*") if path.is_file()]

    def expected(self, images):
        return torch.from_numpy(np.concatenate([images[::2], images[1::2]]))

    def test_pixels_are_the_same(self, component, images, tmp_path, monkeypatch):
        found = component.load()
        assert len(self.mapped(tmp_path)) == 1
        assert torch.equal(found.pixels, self.expected(images))
        assert found.labels.tolist() == [0] * 20 + [1] * 20
        monkeypatch.delenv("DESIGNSPACE_MAX_BYTES")
        usual = component.load()
        assert (found.content_hash, found.sigma_data) == (usual.content_hash, usual.sigma_data)

    def test_the_file_is_one_of_the_cache(self, component, images, tmp_path):
        component.load()
        (path,) = self.mapped(tmp_path)
        assert torch.equal(Cache().get("pixels", path.stem)["pixels"], self.expected(images))

    def test_nothing_is_decoded_again(self, component, images, monkeypatch):
        component.load()
        decoded = []
        monkeypatch.setattr("designspace.data.files.decode", lambda content: decoded.append(1) or decode(content))
        assert torch.equal(component.load().pixels, self.expected(images))
        assert len(decoded) == 1  # the first, which tells the size of all

    def test_what_is_written_to_the_tensor_stays_there(self, component, images):
        component.load().pixels.zero_()
        assert torch.equal(component.load().pixels, self.expected(images))

    def test_a_damaged_file_is_written_again(self, component, images, tmp_path):
        component.load()
        (path,) = self.mapped(tmp_path)
        whole = path.read_bytes()
        for damaged in (whole[:-1] + bytes([whole[-1] ^ 1]), whole[:-5], whole[:30], b"", b"\xff" * 300):
            path.write_bytes(damaged)
            with pytest.warns(UserWarning, match="damaged .* set aside"):
                assert torch.equal(component.load().pixels, self.expected(images))
            assert path.read_bytes() == whole

    def test_a_failure_leaves_no_file(self, component, tmp_path, monkeypatch):
        monkeypatch.setattr("designspace.data.files.decode", _fail_after(20))
        with pytest.raises(DataError, match=r"1/\d\d\.png has had enough"):
            component.load()
        assert not self.mapped(tmp_path)

    def test_a_full_disk_is_one_line(self, component, tmp_path, monkeypatch):
        usage = shutil.disk_usage(tmp_path)._replace(free=1000)
        monkeypatch.setattr("designspace.storage.mapped.shutil.disk_usage", lambda path: usage)
        with pytest.raises(StorageError, match=r"cannot write .*: it needs 3\.07e-05 GB and 1e-06 GB are free; name"):
            component.load()
        assert not self.mapped(tmp_path)

    def test_other_sizes_are_other_files(self, component, tmp_path):
        for size in (16, 24):
            assert component.model_copy(update={"size": size}).load().shape == (3, size, size)
        assert len(self.mapped(tmp_path)) == 2

    def test_labels_of_a_sequence_are_kept_beside_them(self, tmp_path):
        """The second time, no item is asked for except the first."""
        (tmp_path / "own.py").write_text(SEQUENCE)
        component = data("factory", factory=f"{tmp_path / 'own.py'}:make")
        first, second = component.load(), component.load()
        assert len(self.mapped(tmp_path)) == 1
        assert torch.equal(first.pixels, second.pixels)
        assert first.labels.tolist() == second.labels.tolist() == [k % 3 for k in range(40)]
        assert (tmp_path / "own.log").read_text().split() == [str(k) for k in range(40)] + ["0"]

    def test_batches_and_statistics_are_the_same(self, component, monkeypatch):
        def seen(images):
            design = ds.Design.preset("edm")
            batches = Batches.of(images, design, None, 0, 8, labelled=True, device=torch.device("cpu"))
            return batches(0).y, batches(3).labels, Facts.of(images), Spread.of(images)

        mapped = seen(component.load())
        monkeypatch.delenv("DESIGNSPACE_MAX_BYTES")
        usual = seen(component.load())
        assert all(torch.equal(a, b) for a, b in zip(mapped[:2], usual[:2], strict=True))
        assert mapped[2:] == usual[2:]


SEQUENCE = """
from pathlib import Path

import torch


class Set:
    def __len__(self):
        return 40

    def __getitem__(self, k):
        with Path(__file__).with_suffix(".log").open("a") as log:
            log.write(f"{k} ")
        return torch.full((3, 16, 16), k, dtype=torch.uint8), k % 3


def make():
    return Set()
"""


def _fail_after(count):
    calls = iter(range(count))

    def failing(content):
        if next(calls, None) is None:
            raise DataError("has had enough")
        return decode(content)

    return failing


def idx(array):
    sizes = b"".join(size.to_bytes(4, "big") for size in array.shape)
    return bytes([0, 0, 8, array.ndim]) + sizes + array.astype(np.uint8).tobytes()


class TestFashionMNIST:
    PIXELS = np.arange(3 * 4 * 5).reshape(3, 4, 5)
    LABELS = np.array([9, 0, 1])

    @pytest.fixture
    def files(self, tmp_path):
        for name, array in zip(FASHION, (self.PIXELS, self.LABELS), strict=True):
            (tmp_path / f"{name}.gz").write_bytes(gzip.compress(idx(array)))
        return tmp_path

    def test_reads_idx(self, files):
        images = data("fashion_mnist", path=files).load()
        assert torch.equal(images.pixels, torch.from_numpy(self.PIXELS).to(torch.uint8)[:, None])
        assert images.labels.tolist() == [9, 0, 1]
        assert images.classes[9] == "Ankle boot"
        assert len(images.classes) == 10

    def test_with_a_border_for_networks_that_halve_the_sides(self, files):
        small, large = (data("fashion_mnist", path=files, size=size) for size in (28, 32))
        pixels = large.load().pixels
        assert torch.equal(pixels[:, :, 2:-2, 2:-2], small.load().pixels)
        assert pixels.sum() == small.load().pixels.sum()
        assert small.content_hash() != large.content_hash()

    def test_uncompressed(self, files):
        compressed = data("fashion_mnist", path=files)
        for name in FASHION:
            packed = files / f"{name}.gz"
            (files / name).write_bytes(gzip.decompress(packed.read_bytes()))
        before = compressed.load().content_hash
        for name in FASHION:
            (files / f"{name}.gz").unlink()
        assert compressed.load().content_hash == before

    def test_missing_says_what_to_do(self, files):
        component = data("fashion_mnist", path=files, split="test")
        for read in (component.load, component.content_hash):
            with pytest.raises(DataError, match=r"t10k-images-idx3.*apt-get install dataset-fashion-mnist.*`path`"):
                read()

    @pytest.mark.parametrize(
        ("pixels", "labels", "says"),
        [
            (b"\0\0\x08", None, "images-idx3-ubyte.gz is not an idx file"),
            (b"\0\0\x08\x03\0\0", None, "images-idx3-ubyte.gz is not an idx file"),
            (b"\x89PNG\r\n", None, "images-idx3-ubyte.gz is not an idx file"),
            (idx(PIXELS)[:-1], None, "is damaged: 59 bytes of data for an array [3, 4, 5]"),
            (idx(PIXELS) + b"x", None, "is damaged: more than 60 bytes of data"),
            (None, idx(LABELS[:2]), "not images [N, H, W] and labels 0..9 [N]: arrays [3, 4, 5] and [2]"),
            (None, idx(LABELS + 1), "not images [N, H, W] and labels 0..9 [N]"),
            (idx(PIXELS[:0]), idx(LABELS[:0]), "arrays [0, 4, 5] and [0]"),
        ],
    )
    def test_errors(self, files, pixels, labels, says):
        for name, content in zip(FASHION, (pixels, labels), strict=True):
            if content is not None:
                (files / f"{name}.gz").write_bytes(gzip.compress(content))
        with pytest.raises(DataError, match="idx") as error:
            data("fashion_mnist", path=files).load()
        assert says in str(error.value)

    def test_whatever_is_cut_off_is_noticed(self, files):
        packed = files / f"{FASHION[0]}.gz"
        whole = packed.read_bytes()
        for size in range(0, len(whole), 5):
            packed.write_bytes(whole[:size])
            with pytest.raises(DataError, match=r"train-images-idx3-ubyte\.gz is not"):
                data("fashion_mnist", path=files).load()

    def test_hash_is_the_content_of_both_files(self, files, tmp_path):
        first = data("fashion_mnist", path=files).content_hash()
        shutil.copytree(files, tmp_path / "copy")
        assert data("fashion_mnist", path=tmp_path / "copy").content_hash() == first
        (tmp_path / "copy" / f"{FASHION[1]}.gz").write_bytes(gzip.compress(idx(self.LABELS[::-1])))
        assert data("fashion_mnist", path=tmp_path / "copy").content_hash() != first

    @pytest.mark.parametrize(("split", "count"), [("train", 6000), ("test", 1000)])
    def test_the_real_one(self, split, count):
        try:
            images = data("fashion_mnist", split=split).load()
        except DataError as missing:
            pytest.skip(str(missing))
        assert images.shape == (1, 28, 28)
        assert images.labels.bincount().tolist() == [count] * 10


class TestMixture:
    PLANE = {
        "weights": [0.25, 0.75],
        "means": [[-0.4, 0.3], [0.3, -0.2]],
        "covs": [[[0.02, 0.01], [0.01, 0.02]], [[0.01, -0.004], [-0.004, 0.005]]],
    }

    def test_moments(self):
        toy = data("mixture", **self.PLANE, count=40_000)
        images = toy.load()
        assert images.shape == (1, 1, 2)
        assert images.classes == ("0", "1")
        weights, means, covs = toy.parameters()
        torch.testing.assert_close(images.labels.bincount() / 40_000, weights.float(), atol=0.01, rtol=0)
        for k in range(2):
            points = images.scaled()[images.labels == k].reshape(-1, 2).double()
            torch.testing.assert_close(points.mean(0), means[k], atol=5e-3, rtol=0)
            torch.testing.assert_close(points.T.cov(), covs[k], atol=5e-4, rtol=0.03)

    def test_default_fits(self):
        """The default range clips no value."""
        images = data("mixture").load()
        assert len(images) == 10_000
        assert images.pixels.min() > 0
        assert images.pixels.max() < 255

    def test_more_points_add_to_the_same_ones(self):
        few, many = (data("mixture", count=count).load() for count in (10, 1000))
        assert torch.equal(many.pixels[:10], few.pixels)
        assert torch.equal(many.labels[:10], few.labels)

    def test_seed(self):
        assert data("mixture").content_hash() == data("mixture", seed=0).content_hash()
        assert data("mixture", seed=1).content_hash() != data("mixture").content_hash()

    @pytest.mark.parametrize(
        ("change", "says"),
        [
            ({"weights": [0.5, 0.6]}, "weights must sum to 1, not 1.1"),
            ({"weights": [1.5, -0.5]}, "weights.1\n  Input should be greater than 0"),
            ({"weights": [1]}, "1 weights need 1 means and 1 covs, not 2 and 2"),
            ({"weights": [], "means": [], "covs": []}, "weights must sum to 1, not 0"),
            ({"means": [[0.0], [0.0, 1.0]]}, "covs[0] must be 1 x 1"),
            ({"means": [[0.0, 1.0], [0.0]]}, "means[1] has 1 numbers, means[0] has 2"),
            ({"means": [[], []]}, "means[0] is empty"),
            ({"means": [[float("nan"), 0], [0, 0]]}, "means.0.0\n  Input should be a finite number"),
            ({"covs": [[[1, 0]], [[1, 0]]]}, "covs[0] must be 2 x 2, a list of 2 rows"),
            ({"covs": [[[1, 0], [0]], [[1, 0]]]}, "covs[0] must be 2 x 2"),
            ({"covs": [[[1, 0], [0.1, 1]], PLANE["covs"][1]]}, "covs[0] is not symmetric"),
            ({"covs": [PLANE["covs"][0], [[1, 2], [2, 1]]]}, "covs[1] is not positive definite"),
            ({"covs": [PLANE["covs"][0], [[0, 0], [0, 0]]]}, "covs[1] is not positive definite"),
        ],
    )
    def test_errors(self, change, says):
        with pytest.raises(ValidationError) as error:
            data("mixture", **{**self.PLANE, **change})
        assert says in str(error.value)
        assert error.value.error_count() == 1
