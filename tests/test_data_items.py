"""The data sets ``torchvision`` and ``factory``: sequences of images that other code gives."""

import pickle
import re

import numpy as np
import pytest
import torch
from PIL import Image

import designspace as ds
from designspace.data.load import load_images
from designspace.errors import DataError

COLOURS = torch.arange(4 * 3 * 2 * 5, dtype=torch.uint8).reshape(4, 3, 2, 5)


def data(name, **fields):
    return ds.Data.model_validate({"name": name, **fields})


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("DESIGNSPACE_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def factory(tmp_path):
    """The component whose function has this body."""

    def write(body, **fields):
        path = tmp_path / f"own{len(list(tmp_path.glob('own*')))}.py"
        head = "import numpy as np\nimport torch\nfrom PIL import Image\nfrom designspace.data.images import Images\n"
        colours = "colours = torch.arange(4 * 3 * 2 * 5, dtype=torch.uint8).reshape(4, 3, 2, 5)\n"
        path.write_text(f"{head}{colours}\ndef make(**kwargs):\n    {body}\n")
        return data("factory", factory=f"{path}:make", **fields)

    return write


class TestFactory:
    @pytest.mark.parametrize(
        "body",
        [
            "return colours",
            "return list(colours)",
            "return colours.permute(0, 2, 3, 1)",
            "return colours.permute(0, 2, 3, 1).numpy()",
            "return [Image.fromarray(each) for each in colours.permute(0, 2, 3, 1).numpy()]",
            "return torch.utils.data.TensorDataset(colours, torch.tensor([1, 0, 2, 1]))",
            "return list(zip(colours, [1, 0, 2, 1]))",
            "return colours, torch.tensor([1, 0, 2, 1])",
            "return colours.permute(0, 2, 3, 1).numpy(), [1, 0, 2, 1]",
            "return [(each, np.int64(k)) for each, k in zip(colours, [1, 0, 2, 1])]",
            "return Images(colours, torch.tensor([1, 0, 2, 1]), ('a', 'b', 'c'))",
        ],
    )
    def test_what_it_may_return(self, factory, body):
        images = factory(body).load()
        assert torch.equal(images.pixels, COLOURS)
        labelled = "1, 0, 2, 1" in body
        assert (images.labels.tolist() if labelled else images.labels) == ([1, 0, 2, 1] if labelled else None)
        assert images.classes == (() if not labelled else tuple("abc" if "Images" in body else "012"))

    def test_grey(self, factory):
        images = factory("return [np.full((5, 2), 7, np.uint8), Image.new('L', (2, 5), 8)]").load()
        assert images.shape == (1, 5, 2)
        assert images.pixels[:, 0, 0, 0].tolist() == [7, 8]

    def test_names_of_classes(self, factory):
        body = "return type('Set', (list,), {'classes': ['x', 'y', 'z']})(zip(colours, [0, 1, 0, 1]))"
        assert factory(body).load().classes == ("x", "y", "z")

    @pytest.mark.parametrize(
        "body", ["return list(zip(colours, [0, 1, 0, 1]))", "return Images(colours, torch.tensor([0, 1, 0, 1]))"]
    )
    def test_size_and_crop(self, factory, body):
        component = factory(body, size=2, crop="center")
        images = component.load()
        assert torch.equal(images.pixels, COLOURS[:, :, :, 1:3])
        assert images.labels.tolist() == [0, 1, 0, 1]
        assert component.content_hash() != factory(body).content_hash()

    @pytest.mark.parametrize(
        ("body", "says"),
        [
            ("return colours.float() / 255", "item 0 is float32 [3, 2, 5]; the images must be uint8"),
            ("return [colours[0], 'a.png']", "item 1 is a str; the images must be uint8 tensors [C, H, W]"),
            ("return [colours[0], colours[1, :, :, :3]]", "item 1 is 3 x 2 RGB and item 0 5 x 2 RGB; all images must"),
            ("return iter(colours)", "which has no length: let it be a sequence of images"),
            ("return []", "there are no images"),
            ("return [(colours[0], 0), (colours[1], -1)]", "the label of item 1 is -1; it must be 0, 1, ..."),
            ("return [(colours[0], 0), (colours[1], 'cat')]", "the label of item 1 is a str, not a class number"),
            ("return [(colours[0], 0.5)]", "the label of item 0 is 0.5, not a class number"),
            ("return [(colours[0], True)]", "the label of item 0 is True; it must be 0, 1"),
            ("return [(colours[0], torch.ones(2))]", "the label of item 0 is float32 [2], not a class"),
            ("return [(colours[0], 0), colours[1]]", "of the items 0 and 1, only one has a label"),
            ("return [Image.new('RGBA', (2, 2))]", "item 0 is transparent in places"),
            ("raise ValueError('no luck')", "make fails: ValueError: no luck"),
            ("raise SystemExit(3)", "make fails: "),
            ("return type('Set', (), {'__len__': lambda s: 2, '__getitem__': lambda s, k: {}[k]})()",
             "item 0 cannot be read: KeyError: 0"),
            ("return colours, [0, 1]", "4 images and 2 labels"),
        ],
    )  # fmt: skip
    def test_errors(self, factory, body, says):
        with pytest.raises(DataError, match=r"own0\.py:make") as error:
            factory(body).load()
        assert says in str(error.value)
        assert "\n" not in str(error.value)

    def test_only_grey_and_colour_can_be_resized(self, factory):
        assert factory("return colours.repeat(1, 2, 1, 1)").load().shape == (6, 2, 5)
        with pytest.raises(DataError, match="item 0 has 6 channels, and only grey and RGB images can be cropped"):
            factory("return colours.repeat(1, 2, 1, 1)", crop="center").load()

    def test_the_identity_is_source_arguments_and_files(self, factory, tmp_path):
        (tmp_path / "read.txt").write_text("1")
        first = factory("return colours", kwargs={"a": 1}, files=[tmp_path / "read.txt"])
        same = factory("return colours", kwargs={"a": 1}, files=[tmp_path / "read.txt"])
        seen = {first.content_hash(), factory("return colours").content_hash()}
        seen |= {factory("return colours + 1", kwargs={"a": 1}).content_hash()}
        assert same.content_hash() == first.content_hash()
        (tmp_path / "read.txt").write_text("2")
        seen.add(first.content_hash())
        assert len(seen) == 4

    def test_what_it_draws_is_the_same_each_time(self, factory):
        component = factory("return torch.randint(0, 256, (4, 3, 2, 2)).to(torch.uint8)")
        torch.manual_seed(1)
        first = load_images(component)
        assert torch.equal(first.pixels, load_images(component).pixels)

    def test_a_missing_function_is_named(self, factory):
        component = factory("return colours")
        other = component.model_copy(update={"factory": component.factory.replace(":make", ":mke")})
        with pytest.raises(DataError, match=r"has no callable 'mke'. Did you mean 'make'\?"):
            other.require()


class TestTorchvision:
    @pytest.fixture
    def mnist(self, tmp_path):
        folder = tmp_path / "root" / "MNIST" / "raw"
        folder.mkdir(parents=True)
        for part, count in (("train", 3), ("t10k", 2)):
            pixels = np.arange(count * 784).reshape(count, 28, 28).astype(np.uint8)
            for what, array in (("images-idx3", pixels), ("labels-idx1", np.arange(count)[::-1])):
                sizes = b"".join(size.to_bytes(4, "big") for size in array.shape)
                content = bytes([0, 0, 8, array.ndim]) + sizes + array.astype(np.uint8).tobytes()
                (folder / f"{part}-{what}-ubyte").write_bytes(content)
        return tmp_path / "root"

    def test_mnist(self, mnist):
        images = data("torchvision", dataset="MNIST", root=mnist).load()
        assert images.pixels.shape == (3, 1, 28, 28)
        assert images.pixels.flatten()[:3].tolist() == [0, 1, 2]
        assert images.labels.tolist() == [2, 1, 0]
        assert images.classes[2] == "2 - two"
        test = data("torchvision", dataset="MNIST", root=mnist, kwargs={"train": False}, size=8)
        assert test.load().pixels.shape == (2, 1, 8, 8)

    def test_the_identity_is_that_of_the_files_it_reads(self, mnist, tmp_path):
        component = data("torchvision", dataset="MNIST", root=mnist)
        before = component.content_hash()
        (mnist / "other.bin").write_text("another data set in the same root")
        assert component.content_hash() == before
        mnist.rename(tmp_path / "moved")
        moved = component.model_copy(update={"root": tmp_path / "moved"})
        assert moved.content_hash() == before
        assert moved.model_copy(update={"label": "none"}).content_hash() != before
        assert data("torchvision", dataset="MNIST", root=moved.root, kwargs={"train": False}).content_hash() != before
        file = moved.root / "MNIST" / "raw" / "train-labels-idx1-ubyte"
        file.write_bytes(file.read_bytes()[:-1] + b"\1")
        assert moved.content_hash() != before

    def test_folders_are_read_strictly(self, tmp_path):
        for k, name in enumerate(("b", "a")):
            (tmp_path / "set" / name).mkdir(parents=True)
            Image.new("L", (3, 2), k).save(tmp_path / "set" / name / "x.png")
        component = data("torchvision", dataset="ImageFolder", root=tmp_path / "set")
        images = component.load()
        assert (images.pixels[:, 0, 0, 0].tolist(), images.classes) == ([1, 0], ("a", "b"))
        assert data("torchvision", dataset="ImageFolder", root=tmp_path / "set", label="none").load().labels is None
        Image.new("RGBA", (3, 2), (0, 0, 0, 9)).save(tmp_path / "set" / "b" / "y.png")
        with pytest.raises(DataError, match=r"item 2 cannot be read: .*y\.png is transparent in places"):
            component.load()

    @pytest.mark.parametrize("name", ["CIFAR10", "MNIST", "SVHN"])
    def test_nothing_is_downloaded(self, tmp_path, name):
        component = data("torchvision", dataset=name, root=tmp_path)
        command = rf"from torchvision\.datasets import {name}; {name}\('{tmp_path}', download=True\)"
        for read in (component.load, component.content_hash):
            with pytest.raises(DataError, match=rf"and nothing is downloaded: python -c \"{command}\"") as error:
                read()
            assert "\n" not in str(error.value)
        assert not [path for path in tmp_path.iterdir() if path.name != "cache"]

    def test_the_command_has_the_arguments(self, tmp_path):
        component = data("torchvision", dataset="CIFAR100", root=tmp_path, kwargs={"train": False})
        with pytest.raises(DataError, match=re.escape(f"CIFAR100('{tmp_path}', train=False, download=True)")):
            component.load()

    def test_a_replaced_pickle_is_not_read(self, tmp_path):
        """Files of CIFAR are pickles, which torchvision reads only if their md5 is that of the published ones."""
        folder = tmp_path / "cifar-10-batches-py"
        folder.mkdir()
        for name in ("data_batch_1", "data_batch_2", "data_batch_3", "data_batch_4", "data_batch_5", "test_batch",
                     "batches.meta"):  # fmt: skip
            (folder / name).write_bytes(pickle.dumps(_Trap()))
        with pytest.raises(DataError, match=r"CIFAR10 is not in .*corrupted"):
            data("torchvision", dataset="CIFAR10", root=tmp_path).load()

    @pytest.mark.parametrize(
        ("fields", "says"),
        [
            ({"dataset": "CIFAR1O"}, r"torchvision has no data set 'CIFAR1O'\. Did you mean 'CIFAR10'\?"),
            ({"dataset": "os"}, "torchvision has no data set 'os'"),
            ({"dataset": "ImageFolder", "kwargs": {"split": "x"}}, "ImageFolder in .*unexpected keyword argument"),
            ({"dataset": "ImageFolder"}, "ImageFolder in .*Couldn't find any class folder"),
        ],
    )
    def test_errors(self, tmp_path, fields, says):
        (tmp_path / "empty").mkdir()
        with pytest.raises(DataError, match=says) as error:
            data("torchvision", root=tmp_path / "empty", **fields).load()
        assert "\n" not in str(error.value)

    @pytest.mark.parametrize("name", ["download", "transform", "root", "loader"])
    def test_arguments_that_are_not_the_users(self, tmp_path, name):
        with pytest.raises(ValueError, match=f"{name} is not yours to give"):
            data("torchvision", dataset="CIFAR10", root=tmp_path, kwargs={name: True})


class _Trap:
    def __reduce__(self):
        return pytest.fail, ("the pickle was read",)
