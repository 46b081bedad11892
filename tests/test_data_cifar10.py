"""The data set cifar10 in the layouts that it is published in, as small files with the same bytes around the images."""

import gzip
import io
import json
import os
import pickle
import shutil
import struct
import sys
import tarfile
import zipfile

import pytest
import torch
from PIL import Image
from pipeline import write_spec

import designspace as ds
from designspace.data import cifar10_files
from designspace.data.images import Images
from designspace.errors import DataError
from designspace.spec import load

Cifar10 = ds.Data.get("cifar10")
PER_BATCH = 20
CLASSES = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]
SOURCE = torch.Generator().manual_seed(0)
PIXELS = torch.randint(0, 256, (6 * PER_BATCH, 3, 32, 32), generator=SOURCE, dtype=torch.uint8)
LABELS = (
    torch.cat([torch.arange(5 * PER_BATCH)[torch.randperm(5 * PER_BATCH, generator=SOURCE)], torch.arange(20)]) % 10
)
TRAIN, TEST = slice(0, 5 * PER_BATCH), slice(5 * PER_BATCH, None)
BATCHES = [*(f"data_batch_{k}" for k in range(1, 6)), "test_batch"]
FOLDERS = {"py": "cifar-10-batches-py", "bin": "cifar-10-batches-bin"}
ARCHIVES = {"py": "cifar-10-python.tar.gz", "bin": "cifar-10-binary.tar.gz"}


@pytest.fixture(autouse=True)
def small(tmp_path, monkeypatch):
    """Batches of 20 images instead of 10,000; a cache of its own."""
    monkeypatch.setattr(Cifar10, "batch", PER_BATCH)
    monkeypatch.setenv("DESIGNSPACE_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("DESIGNSPACE_CIFAR10", raising=False)


def text(value):
    """A string as Python 2 pickles it."""
    value = value.encode() if isinstance(value, str) else value
    return b"U" + bytes([len(value)]) + value if len(value) < 256 else b"T" + struct.pack("<i", len(value)) + value


def integer(value):
    return b"K" + bytes([value]) if value < 256 else b"M" + struct.pack("<H", value)


def pickled(pixels, labels, *, rows=None, data=None, numbers=None):
    """A batch as cPickle of Python 2 writes it with protocol 2: opcode by opcode as in the published files."""
    n = len(pixels)
    data = pixels.numpy().tobytes() if data is None else data
    shape = b"(" + integer(n if rows is None else rows) + integer(3072) + b"t"
    dtype = (
        b"cnumpy\ndtype\n" + text("u1") + b"K\0K\1\x87R(K\3" + text("|") + b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\0tb"
    )
    array = b"cnumpy.core.multiarray\n_reconstruct\nq\x01cnumpy\nndarray\nq\x02K\0\x85" + text("b") + b"\x87R"
    numbers = b"".join(integer(int(k)) for k in labels) if numbers is None else numbers
    names = b"".join(text(f"image_s_{k:06d}.png") for k in range(n))
    items = [
        text("batch_label") + text("training batch 1 of 5"),
        text("labels") + b"](" + numbers + b"e",
        text("data") + array + b"(K\1" + shape + dtype + b"\x89" + text(data) + b"tb",
        text("filenames") + b"](" + names + b"e",
    ]
    return b"\x80\x02}(" + b"".join(items) + b"u."


def binary(pixels, labels):
    return b"".join(bytes([int(k)]) + image.numpy().tobytes() for image, k in zip(pixels, labels, strict=True))


def batch(form, k):
    part = slice(k * PER_BATCH, (k + 1) * PER_BATCH)
    return (pickled if form == "py" else binary)(PIXELS[part], LABELS[part])


def files(form):
    """The six batches and what lies beside them."""
    suffix = ".bin" if form == "bin" else ""
    about = {"batches.meta": b"\x80\x02}.", "readme.html": b"<a>"}
    return about | {f"{name}{suffix}": batch(form, k) for k, name in enumerate(BATCHES)}


def folder(root, form, members=None):
    place = root / FOLDERS[form]
    place.mkdir(parents=True)
    for name, content in (members or files(form)).items():
        (place / name).write_bytes(content)
    return place


def tar(root, form, members=None):
    path = root / ARCHIVES[form]
    with tarfile.open(path, "w:gz", compresslevel=1) as archive:
        for name, content in reversed((members or files(form)).items()):  # the published order is none, either
            info = tarfile.TarInfo(f"{FOLDERS[form]}/{name}")
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return path


def header(name="x", size=0, kind=tarfile.REGTYPE, content=b""):
    """A member of a tar archive, which may claim another size than it has."""
    info = tarfile.TarInfo(name)
    info.size, info.type = size, kind
    return info.tobuf(tarfile.GNU_FORMAT) + content


ATTACKS = {
    "a large size": (header(size=2**80), "has no data_batch_1"),
    "a negative size": (header(size=-512), r"is not a complete .tar.gz archive \(a member has a negative size\)"),
    "many members": (1001 * header(), "has more than 1,000 members, so it is not CIFAR-10"),
    "nested extensions": (1001 * header(size=1, kind=tarfile.GNUTYPE_LONGNAME, content=bytes(512)), "more than 1,000"),
}


def encoded(image, form="png"):
    Image.fromarray(image.permute(1, 2, 0).numpy()).save(file := io.BytesIO(), form)
    return file.getvalue()


def edm_zip(root, part=TRAIN):
    """The archive of EDM's dataset tool: images in the order of the batches, and their classes in dataset.json."""
    names = [f"{k // 1000:05d}/img{k:08d}.png" for k in range(len(LABELS[part]))]
    with zipfile.ZipFile(root / "cifar10-32x32.zip", "w") as archive:
        for name, image in zip(names, PIXELS[part], strict=True):
            archive.writestr(name, encoded(image))
        archive.writestr("dataset.json", json.dumps({"labels": list(zip(names, LABELS[part].tolist(), strict=True))}))
    return root / "cifar10-32x32.zip"


def class_zip(root, form="png", part=TRAIN):
    with zipfile.ZipFile(root / "images.zip", "w") as archive:
        for k, (image, label) in enumerate(zip(PIXELS[part], LABELS[part].tolist(), strict=True)):
            archive.writestr(f"{CLASSES[label]}/{k:04d}.{form}", encoded(image, form))
    return root / "images.zip"


MAKERS = {
    "folder of pickles": lambda root: folder(root, "py"),
    "folder of binary files": lambda root: folder(root, "bin"),
    "archive of pickles": lambda root: tar(root, "py"),
    "archive of binary files": lambda root: tar(root, "bin"),
    "zip of EDM": edm_zip,
}


@pytest.mark.parametrize("layout", MAKERS)
def test_all_layouts_give_the_same_images_in_the_same_order(tmp_path, layout):
    data = Cifar10(path=MAKERS[layout](tmp_path))
    images = data.load()
    assert torch.equal(images.pixels, PIXELS[TRAIN])
    assert torch.equal(images.labels, LABELS[TRAIN])
    assert images.classes == tuple(CLASSES)
    assert data.content_hash() == images.content_hash == Images(PIXELS[TRAIN], LABELS[TRAIN]).content_hash
    assert Cifar10(path=tmp_path).identity() == data.identity()  # the folder in which it lies


@pytest.mark.parametrize("layout", [name for name in MAKERS if "zip" not in name])
def test_splits(tmp_path, layout):
    path = MAKERS[layout](tmp_path)
    for split, part in {"train": TRAIN, "test": TEST, "all": slice(None)}.items():
        data = Cifar10(path=path, split=split)
        assert data.content_hash() == Images(PIXELS[part], LABELS[part]).content_hash
        assert data.files_read() is None


def test_class_folders_keep_images_and_classes_but_not_the_order(tmp_path):
    data = Cifar10(path=class_zip(tmp_path))
    images = data.load()
    assert torch.equal(images.pixels, PIXELS[TRAIN][LABELS[TRAIN].argsort(stable=True)])
    assert images.labels.tolist() == sorted(LABELS[TRAIN].tolist())
    assert data.content_hash() == images.content_hash != Images(PIXELS[TRAIN], LABELS[TRAIN]).content_hash
    assert data.files_read().formats == {"png": len(images)}


def test_the_hash_follows_the_content_of_the_files(tmp_path):
    path = folder(tmp_path, "bin")
    first = Cifar10(path=path).content_hash()
    content = bytearray((path / "data_batch_3.bin").read_bytes())
    content[5] ^= 1
    (path / "data_batch_3.bin").write_bytes(content)
    assert Cifar10(path=path).content_hash() == Cifar10(path=path).load().content_hash != first


def test_pickles_of_python_3_are_read_as_well(tmp_path):
    place = folder(tmp_path, "py")
    for k, name in enumerate(BATCHES):
        part = slice(k * PER_BATCH, (k + 1) * PER_BATCH)
        batch = {"data": PIXELS[part].reshape(PER_BATCH, 3072).numpy(), "labels": LABELS[part].tolist()}
        (place / name).write_bytes(pickle.dumps(batch, protocol=4))
    assert torch.equal(Cifar10(path=place, split="all").load().pixels, PIXELS)


def test_the_environment_variable_is_used_without_a_path(tmp_path, monkeypatch):
    monkeypatch.setenv("DESIGNSPACE_CIFAR10", str(tar(tmp_path, "py")))
    assert torch.equal(Cifar10(split="test").load().pixels, PIXELS[TEST])
    (tmp_path / "other").mkdir()
    with pytest.raises(DataError, match=r"other holds neither batches nor cifar-10-batches-py"):
        Cifar10(path=tmp_path / "other").load()


def test_what_is_missing_is_said_in_one_line_with_its_source(tmp_path, monkeypatch):
    get = (
        "get cifar-10-python.tar.gz (163 MB) from https://www.cs.toronto.edu/~kriz/cifar.html, which need not be "
        "unpacked, and give the file or its folder as `path` or as the environment variable DESIGNSPACE_CIFAR10"
    )
    with pytest.raises(DataError) as none:
        Cifar10().content_hash()
    assert str(none.value) == f"data cifar10 has no path: {get}"
    monkeypatch.setenv("DESIGNSPACE_CIFAR10", str(tmp_path / "absent"))
    with pytest.raises(DataError) as absent:
        Cifar10().content_hash()
    assert str(absent.value) == f"there is no {tmp_path / 'absent'} for data cifar10: {get}"


@pytest.mark.parametrize("make", [folder, tar])
@pytest.mark.parametrize("form", ["py", "bin"])
class TestDamage:
    def refused(self, path, match):
        with pytest.raises(DataError, match=match) as error:
            Cifar10(path=path, split="all").load()
        assert "\n" not in str(error.value)
        assert str(path) in str(error.value)

    def test_a_batch_is_missing(self, tmp_path, make, form):
        members = {name: content for name, content in files(form).items() if not name.startswith("data_batch_4")}
        self.refused(make(tmp_path, form, members), "has (no|neither) data_batch_4.*: copy it again")

    @pytest.mark.parametrize("change", [lambda c: c[:-100], lambda c: c[: len(c) // 2], lambda c: 3 * c, lambda c: b""])
    def test_a_batch_has_another_size(self, tmp_path, make, form, change):
        members = files(form)
        name = next(name for name in members if name.startswith("data_batch_2"))
        members[name] = change(members[name])
        self.refused(make(tmp_path, form, members), f"{name} (is damaged|ends too early|is a damaged pickle)")

    def test_a_label_is_none_of_the_ten(self, tmp_path, make, form):
        members = files(form)
        name = next(name for name in members if name.startswith("test_batch"))
        members[name] = (pickled if form == "py" else binary)(PIXELS[TEST], [10, *range(19)])
        self.refused(make(tmp_path, form, members), r"has the labels 0 to 18, where those of CIFAR-10 are 0 to 9")

    def test_classes_have_different_numbers(self, tmp_path, make, form):
        members = files(form)
        name = next(name for name in members if name.startswith("test_batch"))
        members[name] = (pickled if form == "py" else binary)(PIXELS[TEST], [1, *LABELS[TEST][1:]])
        self.refused(make(tmp_path, form, members), "is not CIFAR-10: 11 to 13 images per class in 10 classes")


class TestArchives:
    def test_truncated_and_altered(self, tmp_path):
        whole = tar(tmp_path, "py").read_bytes()
        altered = bytearray(whole)
        altered[-6] ^= 1  # of the checksum
        for content in (whole[:-200], whole[: len(whole) // 2], whole[:-4], bytes(altered), b"PK", b""):
            (tmp_path / ARCHIVES["py"]).write_bytes(content)
            with pytest.raises(DataError, match=r"python\.tar\.gz (is not a complete .tar.gz archive|has no data_b)"):
                Cifar10(path=tmp_path).load()

    def test_more_than_cifar10_is_not_unpacked(self, tmp_path, monkeypatch):
        path = tar(tmp_path, "bin", {"zeros": bytes(2**20), **files("bin")})
        path.write_bytes(gzip.compress(gzip.decompress(path.read_bytes()) + bytes(2**20)))
        monkeypatch.setattr(cifar10_files, "MOST", 2**20)
        with pytest.raises(DataError, match="unpacks to more than 1 MB, so it is not CIFAR-10"):
            Cifar10(path=path).load()

    def test_an_archive_that_ends_within_a_member_without_an_error_of_compression(self, tmp_path):
        path = tar(tmp_path, "bin")
        path.write_bytes(gzip.compress(gzip.decompress(path.read_bytes())[:-30_000]))
        with pytest.raises(DataError, match=r"is not a complete .tar.gz archive \(it ends within a member\)"):
            Cifar10(path=path).load()

    @pytest.mark.parametrize("case", ATTACKS)
    def test_headers_that_take_any_time_are_refused(self, tmp_path, case):
        """``tarfile`` recurses into extensions, and seeks behind a member for as long as its size claims."""
        content, message = ATTACKS[case]
        path = tar(tmp_path, "py")
        path.write_bytes(gzip.compress(content + gzip.decompress(path.read_bytes())))
        with pytest.raises(DataError, match=message):
            Cifar10(path=path).load()

    def test_archives_with_extensions_are_read(self, tmp_path):
        path = tar(tmp_path, "py")
        extension = {"path": "cifar-10-batches-py/" + 90 * "long", "comment": "none"}
        long = [tarfile.TarInfo("x").create_pax_header(extension | tarfile.TarInfo("x").get_info(), "utf-8")]
        long += [tarfile.TarInfo(300 * "n").tobuf(tarfile.GNU_FORMAT)]
        path.write_bytes(gzip.compress(b"".join(long) + gzip.decompress(path.read_bytes())))
        assert torch.equal(Cifar10(path=path).load().pixels, PIXELS[TRAIN])

    def test_links_are_not_followed(self, tmp_path):
        members = files("bin")
        (tmp_path / "outside").write_bytes(members.pop("data_batch_1.bin"))
        path = tar(tmp_path, "bin", members)
        with tarfile.open(fileobj=io.BytesIO(gzip.decompress(path.read_bytes()))) as old:
            kept = [(info, old.extractfile(info)) for info in old]
            with tarfile.open(path, "w:gz") as archive:
                for info, content in kept:
                    archive.addfile(info, content)
                link = tarfile.TarInfo("data_batch_1.bin")
                link.type, link.linkname = tarfile.SYMTYPE, str(tmp_path / "outside")
                archive.addfile(link)
        with pytest.raises(DataError, match=r"has no data_batch_1"):
            Cifar10(path=path).load()

    def test_a_split_that_is_not_there(self, tmp_path):
        with pytest.raises(DataError, match=r"32x32.zip holds the split train of CIFAR-10, not test: set `split` or"):
            Cifar10(path=edm_zip(tmp_path), split="test").load()
        with pytest.raises(DataError, match=r"zip has 80 images, and the split train of CIFAR-10 has 100"):
            Cifar10(path=edm_zip(tmp_path, slice(80))).load()

    def test_images_that_were_compressed_with_loss_are_not_cifar10(self, tmp_path):
        path = class_zip(tmp_path, "jpeg")
        with pytest.raises(DataError) as error:
            Cifar10(path=path).load()
        why = "has images compressed with loss (jpeg), so it is not CIFAR-10: use data: {name: zip, path: ...}"
        assert str(error.value) == f"{path} {why}"

    def test_other_images_and_classes(self, tmp_path):
        path = tmp_path / "images.zip"
        for name, size, match in (("cat", 16, r"its images are \[3, 16, 16\]"), ("tiger", 32, "its classes are tiger")):
            with zipfile.ZipFile(path, "w") as archive:
                archive.writestr(f"{name}/0.png", encoded(torch.zeros(3, size, size, dtype=torch.uint8)))
                archive.writestr(f"x/{name}.png", encoded(torch.zeros(3, size, size, dtype=torch.uint8)))
            with pytest.raises(DataError, match=match):
                Cifar10(path=path).load()


class Evil:
    """What pickles as a call of a function."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


HOSTILE = {
    "os.system": pickle.dumps({"data": Evil(os.system, "touch executed"), "pad": bytes(PER_BATCH * 3073)}, 2),
    "eval": pickle.dumps({"data": Evil(eval, "open('executed', 'w')"), "pad": bytes(PER_BATCH * 3073)}, 4),
    "no batch": pickle.dumps(["x" * PER_BATCH * 3073], 2),
    "another array": pickled(PIXELS[:1], LABELS[:1], data=bytes(PER_BATCH * 3073)),
    "too few bytes": pickled(PIXELS[TEST], LABELS[TEST], data=bytes(PER_BATCH * 3072 - 1)),
    "labels that are no numbers": pickled(PIXELS[TEST], LABELS[TEST], numbers=text("x") * PER_BATCH),
    "a label too few": pickled(PIXELS[TEST], LABELS[TEST], numbers=b"K\0" * (PER_BATCH - 1)),
    "no numpy": pickled(PIXELS[TEST], LABELS[TEST]).replace(b"_reconstruct", b"_deconstruct"),
    "damaged": b"\x80\x02}(" + bytes(PER_BATCH * 3073),
    "truncated": batch("py", 5)[: PER_BATCH * 3073],
}


@pytest.mark.parametrize("attack", HOSTILE)
def test_a_hostile_pickle_ends_in_one_line_and_executes_nothing(tmp_path, monkeypatch, attack):
    monkeypatch.chdir(tmp_path)
    place = folder(tmp_path, "py")
    (place / "test_batch").write_bytes(HOSTILE[attack])
    before = set(sys.modules)
    with pytest.raises(DataError) as error:
        Cifar10(path=place, split="test").load()
    assert str(error.value).startswith(str(place / "test_batch"))
    assert str(error.value).endswith("; nothing in it was executed")
    assert "\n" not in str(error.value)
    assert not (tmp_path / "executed").exists()
    assert set(sys.modules) == before


def test_a_spec_names_the_data_relative_to_itself_and_never_compares_with_the_jpeg_images(tmp_path):
    shutil.move(tar(tmp_path, "py"), tmp_path / "images.tar.gz")
    spec = write_spec(
        tmp_path,
        data={"name": "cifar10", "path": "./images.tar.gz"},
        denoiser={"name": "pretrained", "model": "cifar10_jpeg"},
        design="edm",
        grid={"solver": ["euler"]},
        num_steps=2,
        evaluate={"images": 10, "labels": "balanced", "detector": "lite0", "metrics": ["frechet"]},
    )
    (trial,) = load(spec).trials()
    identity = trial.identity()
    assert identity["data"]["content"] == Images(PIXELS[TRAIN], LABELS[TRAIN]).content_hash
    assert "cifar10_jpeg" not in json.dumps(identity["evaluate"] | {"data": identity["data"]})
    assert Cifar10(path=tmp_path / "images.tar.gz").known_features(ds.Detector.get("lite0")().identity()) is None
