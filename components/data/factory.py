from dataclasses import replace
from typing import Any

from designspace.data.images import Images
from designspace.data.items import Items
from designspace.errors import DataError
from designspace.registry.factories import FromCallable, content
from designspace.registry.identity import identity_of
from designspace.storage.files import content_key


class FromFactory(FromCallable, Items, name="factory"):
    """Images that your own function returns: ``factory: "./mydata.py:make"``, called with ``kwargs``.

    ``factory`` is ``package.module:callable`` or ``./file.py:callable``, relative to the YAML file. It returns a
    sequence with a length, such as a list or a ``torch.utils.data.Dataset``, of images or of pairs (image, class
    number), a pair of arrays of images ``[N, C, H, W]`` or ``[N, H, W, C]`` and of class numbers ``[N]``, or an
    ``Images``. An image is a uint8 tensor ``[C, H, W]``, a uint8 array ``[H, W, C]`` or ``[H, W]``, or an image of
    Pillow; an attribute ``classes`` of the sequence names the classes. ``size`` and ``crop``, and what becomes of large
    sets, are as in the data set ``folder``. Global random generators are seeded before the call.

    A text in ``kwargs`` that begins with ``./``, ``../``, ``/`` or ``~/`` is a path relative to the YAML file; any
    other text that names a file is refused. ``files`` lists files and folders that the function reads without being
    told in ``kwargs``. The identity covers the source of the function's file, with what it imports from its own folder
    or package, the name of the function, the arguments, and the contents of all these files. It does not cover what the
    function reads from elsewhere: list that in ``files``.

    Raises ``DataError`` if the function fails, and names the item if something else than an image is returned.
    """

    def files_hash(self) -> str:
        return content_key(content(self.factory), identity_of(self.kwargs), identity_of(self.files))

    def load(self) -> Images:
        found = self.called({})
        if isinstance(found, tuple) and len(found) == 2 and getattr(found[0], "ndim", 0) == 4:
            found = _pairs(*found, self.factory)
        if not isinstance(found, Images):
            return self.read(found, self.factory)
        if self.size is None and self.crop is None:
            return found
        items = found.pixels if found.labels is None else _pairs(found.pixels, found.labels, self.factory)
        return replace(self.read(items, self.factory), classes=found.classes)


def _pairs(pixels: Any, labels: Any, where: str) -> list[tuple[Any, Any]]:
    try:
        return list(zip(pixels, labels, strict=True))
    except (TypeError, ValueError):
        counts = f"{len(pixels)} images and {len(labels) if hasattr(labels, '__len__') else 'no'} labels"
        raise DataError(f"{where} gives {counts}") from None
