"""The data sets ``parquet`` and ``hf``: columns of encoded images and labels, and what may be wrong with them."""

import io
import json
from contextlib import suppress

import numpy as np
import pytest
import torch
from PIL import Image

import designspace as ds
from designspace.data.rows import Files
from designspace.errors import DataError

pa = pytest.importorskip("pyarrow", reason="parquet and hf need pyarrow: pip install 'designspace[hf]'")
pq = pytest.importorskip("pyarrow.parquet")

NAMES = {"info": {"features": {"label": {"names": ["cat", "dog"], "_type": "ClassLabel"}}}}


def data(name, **fields):
    return ds.Data.model_validate({"name": name, **fields})


def coded(value, size=(3, 2), mode="L", format_="PNG"):
    content = io.BytesIO()
    Image.new(mode, size, value).save(content, format_)
    return content.getvalue()


def struct(values):
    """A column as the library ``datasets`` writes it."""
    kind = pa.struct({"bytes": pa.binary(), "path": pa.string()})
    return pa.array([value if value is None or isinstance(value, dict) else {"bytes": value} for value in values], kind)


def values(images):
    return images.pixels[:, 0, 0, 0].tolist()


@pytest.fixture(params=["parquet", "hf"])
def written(request, tmp_path):
    """Writes columns as one or several files, and gives the component that reads them."""

    def write(columns, *more, metadata=None, **fields):
        tables = [pa.table(each).replace_schema_metadata(metadata) for each in (columns, *more)]
        folder = tmp_path / "set"
        folder.mkdir(exist_ok=True)
        for k, table in enumerate(tables):
            if request.param == "parquet":
                pq.write_table(table, folder / f"train-{k:05}-of-{len(tables):05}.parquet")
            else:
                with pa.OSFile(str(folder / f"{k}.arrow"), "wb") as out, pa.ipc.new_stream(out, table.schema) as stream:
                    stream.write_table(table, max_chunksize=2)
        if request.param == "hf":
            files = [{"filename": f"{k}.arrow"} for k in range(len(tables))]
            (folder / "state.json").write_text(json.dumps({"_data_files": files}))
        return data(request.param, path=folder, **fields)

    return write


class TestColumns:
    @pytest.mark.parametrize("make", [struct, pa.array, lambda v: pa.array(v, pa.large_binary())])
    def test_images_and_numbers(self, written, make):
        columns = {"label": pa.array([1, 0, 3], pa.int8()), "image": make([coded(k) for k in (1, 2, 3)])}
        images = written(columns).load()
        assert values(images) == [1, 2, 3]
        assert images.shape == (1, 2, 3)
        assert images.labels.tolist() == [1, 0, 3]
        assert images.labels.dtype == torch.int64
        assert images.classes == ("0", "1", "2", "3")

    @pytest.mark.parametrize(("image", "label"), [("img", "fine_label"), ("picture", "labels")])
    def test_usual_names_and_the_only_column_of_images(self, written, image, label):
        images = written({label: [1, 0], image: struct([coded(1), coded(2)]), "coarse_label": [0, 0]}).load()
        assert values(images) == [1, 2]
        assert images.labels.tolist() == [1, 0]

    @pytest.mark.parametrize("kind", [None, "dictionary"])
    def test_texts_are_classes_in_sorted_order(self, written, kind):
        labels = pa.array(["eel", "cat", "eel", "ant"])
        images = written(
            {"image": [coded(k) for k in range(4)], "label": labels.dictionary_encode() if kind else labels}
        ).load()
        assert images.classes == ("ant", "cat", "eel")
        assert images.labels.tolist() == [2, 1, 2, 0]

    @pytest.mark.parametrize(
        ("about", "classes"),
        [
            (json.dumps(NAMES), ("cat", "dog")),
            (json.dumps(NAMES).replace('["cat", "dog"]', '["cat"]'), ("0", "1")),
            (json.dumps(NAMES).replace('["cat", "dog"]', "[1, 2]"), ("0", "1")),
            ("[" * 100_000, ("0", "1")),
        ],
    )
    def test_names_of_classes_are_in_the_metadata(self, written, about, classes):
        component = written({"image": [coded(1), coded(2)], "label": [0, 1]}, metadata={"huggingface": about})
        assert component.load().classes == classes

    def test_chosen_columns(self, written):
        columns = {"image": [coded(1)], "img": [coded(2)], "label": [0], "labels": [1]}
        images = written(columns, image="img", label="labels").load()
        assert values(images) == [2]
        assert images.labels.tolist() == [1]
        assert written(columns, image="image", label="none").load().labels is None

    def test_several_files_are_one_set(self, written):
        component = written(*({"image": [coded(k), coded(k + 1)], "label": [k, 0]} for k in (1, 3)))
        images = component.load()
        assert values(images) == [1, 2, 3, 4]
        assert images.labels.tolist() == [1, 0, 3, 0]

    def test_texts_are_the_same_classes_in_all_files(self, written):
        images = written(*({"image": [coded(1)], "label": [name]} for name in ("b", "a"))).load()
        assert (images.labels.tolist(), images.classes) == ([1, 0], ("a", "b"))

    def test_size_and_crop(self, written):
        columns = {"image": [coded(7, (4, 6)), coded(8, (8, 8))]}
        component = written(columns, size=2, crop="center")
        assert component.load().pixels.shape == (2, 1, 2, 2)
        assert component.content_hash() != written(columns, size=2).content_hash()
        with pytest.raises(DataError, match=r"row 0 is 4 x 6, not square; add `crop: center`"):
            written(columns, size=2).load()

    def test_the_content_is_that_of_the_files(self, written, tmp_path):
        component = written({"image": [coded(1)], "label": [0]})
        before = component.content_hash()
        (tmp_path / "set").rename(tmp_path / "moved")
        moved = component.model_copy(update={"path": tmp_path / "moved"})
        assert moved.content_hash() == before
        assert written({"image": [coded(2)], "label": [0]}).content_hash() != before
        assert moved.model_copy(update={"label": "none"}).content_hash() != before

    def test_formats(self, written):
        component = written({"image": [coded(1, (8, 8)), coded(1, (8, 8), format_="JPEG")]})
        assert component.files_read() == Files({"jpeg": 1, "png": 1}, {})


class TestErrors:
    @pytest.mark.parametrize(
        ("columns", "fields", "says"),
        [
            ({"text": ["a"]}, {}, "no column of images; give its name, `image: NAME`. Columns: text (string)"),
            ({"a": [coded(1)], "b": [coded(1)]}, {}, "images may be a or b; give its name"),
            ({"image": [coded(1)], "img": [coded(1)]}, {}, "images may be image or img: give one, `image: image`"),
            ({"image": [coded(1)], "label": [0], "labels": [0]}, {}, "labels may be label or labels: give one"),
            ({"image": [coded(1)]}, {"label": "lable"}, "no column 'lable'. Columns: image (binary)"),
            ({"image": [[1, 2]]}, {}, "column 'image' is list<"),
            (
                {"image": ["a.png"]},
                {},
                "column 'image' is string, not encoded images: binary, or",
            ),
            ({"image": [coded(1)], "label": [0.5]}, {}, "column 'label' is double, not integers or text; convert it"),
            ({"image": [coded(1)], "label": [[1]]}, {}, "column 'label' is list<"),
            ({"image": [coded(1)] * 3, "label": [0, 1, None]}, {}, "row 2 has no label; `label: none` reads no labels"),
            ({"image": [coded(1)] * 3, "label": ["a", None, "b"]}, {}, "row 1 has no label"),
            ({"image": [coded(1)] * 3, "label": [0, 1, -1]}, {}, "row 2 has label -1; class numbers must be 0, 1, ..."),
            ({"image": [coded(1)], "label": [2**40]}, {}, "row 0 has label 1099511627776; class numbers"),
            (
                {"image": [coded(1)], "label": pa.array([2**63 + 1], pa.uint64())},
                {},
                "row 0 has label 9223372036854775809; class numbers",
            ),
            ({"image": [coded(1), coded(1), None]}, {}, "row 2 has no image"),
            ({"image": struct([coded(1), None])}, {}, "row 1 has no image"),
            (
                {"image": struct([coded(1), {"bytes": None, "path": "far/a.png"}])},
                {},
                "row 1 has only the path of an image (far/a.png): save the data set with its images",
            ),
            ({"image": [coded(1), b"no image"]}, {}, "row 1 is not an image of a known format"),
            ({"image": [coded(1), coded(1, (64, 64), format_="JPEG")[:-90]]}, {}, "row 1 cannot be decoded"),
            ({"image": [coded(1), coded(1, (5, 5))]}, {}, "row 1 is 5 x 5 grey and row 0 3 x 2 grey; all images must"),
            ({"image": [coded(1), coded((1, 2, 3), mode="RGB")]}, {}, "row 1 is 3 x 2 RGB and row 0 3 x 2 grey"),
            ({"image": pa.array([], pa.binary())}, {}, "there are no images"),
        ],
    )
    def test_tables(self, written, columns, fields, says):
        component = written(columns, **fields)
        with pytest.raises(DataError) as error:
            component.load()
        message = str(error.value)
        assert says in message
        assert str(component.path) in message
        assert "\n" not in message

    def test_files_that_differ(self, written):
        with pytest.raises(DataError, match=r"no column 'label', unlike the first file\. Columns: image \(binary\)"):
            written({"image": [coded(1)], "label": [0]}, {"image": [coded(1)]}).load()
        with pytest.raises(DataError, match="column 'label' holds text in some files and numbers in others"):
            written({"image": [coded(1)], "label": [0]}, {"image": [coded(1)], "label": ["a"]}).load()
        with pytest.raises(DataError, match=r"(00001-of-00002\.parquet|1\.arrow), row 0 is 4 x 4 grey and"):
            written({"image": [coded(1)]}, {"image": [coded(1, (4, 4))]}).load()

    def test_whatever_is_cut_off_is_noticed(self, written):
        component = written({"image": struct([coded(k) for k in range(5)]), "label": [*range(5)]})
        path = component.paths()[0]
        whole = path.read_bytes()
        for size in range(0, len(whole) - 8, 197):  # the last eight bytes of a stream only say that it ends
            path.write_bytes(whole[:size])
            with pytest.raises(DataError) as error:
                component.load()
            assert path.name in str(error.value)
            assert "\n" not in str(error.value)

    def test_damaged_bytes_never_crash(self, written):
        component = written({"image": [coded(k) for k in range(5)], "label": [*range(5)]})
        path = component.paths()[0]
        whole = path.read_bytes()
        random = np.random.default_rng(0)
        for at in random.integers(0, len(whole), 60):
            path.write_bytes(whole[:at] + bytes([whole[at] ^ 0xFF]) + whole[at + 1 :])
            with suppress(DataError):
                component.load()

    @pytest.mark.parametrize("count", [1, 4])
    def test_pixels_are_limited(self, written, monkeypatch, count):
        monkeypatch.setenv("DESIGNSPACE_MAX_BYTES", "1e6")
        with pytest.raises(DataError, match=r"row 0 has 1100 x 1100 pixels and needs 0\.00\d* GB of memory"):
            written({"image": [coded(0, (1100, 1100))] * count}).load()


class TestParquet:
    def test_files_and_lists_of_files(self, tmp_path):
        for name, value in (("b", 1), ("a", 2)):
            pq.write_table(pa.table({"image": [coded(value)]}), tmp_path / f"{name}.parquet")
        assert values(data("parquet", path=tmp_path / "b.parquet").load()) == [1]
        both = [tmp_path / "b.parquet", tmp_path / "a.parquet"]
        assert values(data("parquet", path=both).load()) == [1, 2]
        assert data("parquet", path=both).content_hash() != data("parquet", path=both[::-1]).content_hash()

    def test_splits_are_not_mixed(self, tmp_path):
        (tmp_path / "data").mkdir()
        for k, split in enumerate(["train", "test", "train"]):
            path = tmp_path / "data" / f"{split}-0000{k // 2}-of-00002.parquet"
            pq.write_table(pa.table({"image": [coded(k)]}), path)
        with pytest.raises(DataError, match="has the splits test, train: give one, `split: train`"):
            data("parquet", path=tmp_path).load()
        assert values(data("parquet", path=tmp_path, split="train").load()) == [0, 2]
        with pytest.raises(DataError, match="has the splits test, train: there is no 'val', `split: train`"):
            data("parquet", path=tmp_path, split="val").load()

    def test_files_that_are_only_numbered(self, tmp_path):
        for k in range(2):
            pq.write_table(pa.table({"image": [coded(k)]}), tmp_path / f"000{k}.parquet")
        assert values(data("parquet", path=tmp_path).load()) == [0, 1]

    def test_hidden_files_are_not_read(self, tmp_path):
        pq.write_table(pa.table({"image": [coded(1)]}), tmp_path / "a.parquet")
        (tmp_path / ".b.parquet").write_bytes(b"x")
        assert len(data("parquet", path=tmp_path).load()) == 1

    @pytest.mark.parametrize("content", [b"", b"PAR1", b"PAR1" + b"\xff" * 100 + b"PAR1", b"x" * 1000])
    def test_other_files(self, tmp_path, content):
        (tmp_path / "a.parquet").write_bytes(content)
        with pytest.raises(DataError, match=r"a\.parquet cannot be read: ") as error:
            data("parquet", path=tmp_path / "a.parquet").load()
        assert "\n" not in str(error.value)

    def test_missing(self, tmp_path):
        for path in (tmp_path / "none", [tmp_path / "none"]):
            with pytest.raises(DataError, match=f"there is no {tmp_path / 'none'}: check the path"):
                data("parquet", path=path).load()
        with pytest.raises(DataError, match=r"has no \.parquet files"):
            data("parquet", path=tmp_path).load()
        with pytest.raises(DataError, match="path lists no files"):
            data("parquet", path=[]).load()

    def test_a_column_that_no_images_compress_to(self, tmp_path, monkeypatch):
        """100 rows of 300 kB of zeros, compressed to almost nothing."""
        monkeypatch.setattr("designspace.data.limits.SMALL", 10**6)
        monkeypatch.delenv("DESIGNSPACE_MAX_BYTES", raising=False)
        table = pa.table({"image": [bytes(300_000)] * 100})
        pq.write_table(table, tmp_path / "bomb.parquet", compression="zstd", use_dictionary=False)
        with pytest.raises(DataError, match=r"bomb\.parquet has 0\.\d+ MB and decodes to 0\.03 GB, which no images do"):
            data("parquet", path=tmp_path / "bomb.parquet").load()


class TestHF:
    def test_nothing_is_downloaded(self, tmp_path):
        path = tmp_path / "user" / "set"
        code = rf"load_dataset\('user/set'\)\.save_to_disk\('{path}'\)"
        with pytest.raises(DataError, match=rf"there is no {path}, and nothing is downloaded: .*{code}"):
            data("hf", path=path).content_hash()

    def test_splits(self, tmp_path):
        for k, split in enumerate(["train", "test"]):
            folder = tmp_path / split
            folder.mkdir()
            table = pa.table({"image": [coded(k)]})
            with pa.OSFile(str(folder / "x.arrow"), "wb") as out, pa.ipc.new_stream(out, table.schema) as stream:
                stream.write_table(table)
            (folder / "state.json").write_text('{"_data_files": [{"filename": "x.arrow"}]}')
        (tmp_path / "dataset_dict.json").write_text('{"splits": ["train", "test"]}')
        assert values(data("hf", path=tmp_path, split="test").load()) == [1]
        with pytest.raises(DataError, match="has the splits test, train: give one, `split: train`"):
            data("hf", path=tmp_path).load()
        with pytest.raises(DataError, match="has no splits: leave out `split`"):
            data("hf", path=tmp_path / "test", split="test").load()

    def test_compressed_buffers_are_refused(self, tmp_path):
        """The library does not write them, and 10 GB of zeros would take no space in the file."""
        table = pa.table({"image": [coded(1)] * 50})
        options = pa.ipc.IpcWriteOptions(compression="zstd")
        with (
            pa.OSFile(str(tmp_path / "x.arrow"), "wb") as out,
            pa.ipc.new_stream(out, table.schema, options=options) as stream,
        ):
            stream.write_table(table)
        (tmp_path / "state.json").write_text('{"_data_files": [{"filename": "x.arrow"}]}')
        with pytest.raises(DataError, match=r"x\.arrow has compressed buffers, which `save_to_disk` does not write"):
            data("hf", path=tmp_path).load()

    @pytest.mark.parametrize(
        ("state", "says"),
        [
            ("", "state.json is not JSON"),
            ("[" * 100_000, "state.json is not JSON"),
            ("[]", "state.json is not a mapping"),
            ("{}", "does not list files of this folder"),
            ('{"_data_files": [{"filename": "../x.arrow"}]}', "does not list files of this folder"),
            ('{"_data_files": [{"filename": 3}]}', "does not list files of this folder"),
            ('{"_data_files": [{"filename": "x.arrow"}]}', "there is no "),
            ('{"_indices_data_files": [{"filename": "i.arrow"}]}', r"save `dataset\.flatten_indices\(\)` instead"),
        ],
    )
    def test_descriptions(self, tmp_path, state, says):
        (tmp_path / "state.json").write_text(state)
        with pytest.raises(DataError, match=says):
            data("hf", path=tmp_path).load()

    def test_folders_of_other_kinds(self, tmp_path):
        with pytest.raises(DataError, match=r"has no state\.json, so `save_to_disk` has not written it\. Save a data"):
            data("hf", path=tmp_path).load()
        (tmp_path / "a.parquet").touch()
        with pytest.raises(DataError, match="It has Parquet files: use data 'parquet'"):
            data("hf", path=tmp_path).load()

    def test_what_the_library_writes(self, tmp_path):
        datasets = pytest.importorskip("datasets", reason="needs the library datasets")
        features = datasets.Features({"image": datasets.Image(), "label": datasets.ClassLabel(names=["cat", "dog"])})
        pictures = [Image.new("RGB", (4, 4), (k, k, k)) for k in range(5)]
        made = datasets.Dataset.from_dict({"image": pictures, "label": [0, 1, 1, 0, 1]}, features=features)
        made.save_to_disk(tmp_path / "one", num_shards=2)
        datasets.DatasetDict({"train": made}).save_to_disk(tmp_path / "dict")
        made.to_parquet(tmp_path / "x.parquet")
        found = [
            data("hf", path=tmp_path / "one").load(),
            data("hf", path=tmp_path / "dict").load(),
            data("parquet", path=tmp_path / "x.parquet").load(),
        ]
        for images in found:
            assert values(images) == [0, 1, 2, 3, 4]
            assert images.labels.tolist() == [0, 1, 1, 0, 1]
            assert images.classes == ("cat", "dog")
