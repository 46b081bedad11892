"""An interpreter of pickles that executes nothing: it builds plain values, and its names are only labels.

Python's own unpickler imports what a file names and calls it. This one knows the opcodes that protocols 2 to 5 write
for data, also in Python 2, and looks up callables in a table of its caller. Any other name in a file is a ``Label``;
what a file makes by calling one is an ``Inert`` object, which keeps its arguments and its state. Every claim of a size
is compared with the bytes that are there, nothing recurses, and the number of opcodes is limited, so that memory and
time are bounded by the size of the file.
"""

from __future__ import annotations

import pickle
import struct
from collections.abc import Callable
from typing import Any

from designspace.storage.pickled import Inert, Known, Label, PickleError, kind_of, require_harmless, require_key
from designspace.text import clean, counted

MOST_OPCODES = 1_000_000
"""Above what any checkpoint has: EDM's largest have about 100,000. Each opcode takes up to 250 bytes of memory."""
MOST_DIGITS = 255
"""The largest number of bytes of an integer."""


class Pickle:
    """One pickle in ``data``, or several one after another.

    Args:
        data: The bytes; text is decoded, and bytes objects are views into them.
        known: The callables that the pickle may call.
        persistent: What gives an object for a persistent id; without it, persistent ids are refused.
    """

    def __init__(self, data: memoryview, known: Known, persistent: Callable[[Any], Any] | None = None) -> None:
        self.at, self.labels = 0, set[str]()
        self._data, self._known, self._persistent = data, known, persistent
        self._opcodes = 0

    def load(self) -> Any:
        """The next object. Raises ``PickleError``."""
        self._stack, self._marks, self._memo = list[Any](), list[list[Any]](), dict[int, Any]()
        try:
            while (opcode := bytes(self.take(1))) != pickle.STOP:
                self._opcodes += 1
                if self._opcodes > MOST_OPCODES:
                    raise PickleError(f"has more than {MOST_OPCODES:,} opcodes, more than any data need")
                if opcode not in _OPCODES:
                    raise PickleError(f"has the opcode {opcode!r}, which data do not have")
                _OPCODES[opcode](self)
            return self.pop()
        except (ValueError, IndexError, KeyError, TypeError, struct.error) as error:
            what = f"{type(error).__name__}: {clean(error, 100)}"
            raise PickleError(f"is a damaged pickle, perhaps cut off ({what}): copy or download it again") from error

    def take(self, size: int) -> memoryview:
        """The next ``size`` bytes."""
        if size > len(self._data) - self.at:
            left = f"it claims {counted(size, 'byte')} where {len(self._data) - self.at:,} are left"
            raise PickleError(f"ends too early ({left}): copy or download it again")
        self.at += size
        return self._data[self.at - size : self.at]

    def integer(self, size: int) -> int:
        """The next unsigned integer of ``size`` bytes."""
        return int.from_bytes(self.take(size), "little")

    def text(self, size: int) -> str:
        return str(self.take(size), "utf-8", "surrogatepass")

    def line(self) -> str:
        """The next line, at most 1,000 bytes long."""
        found = bytes(self._data[self.at : self.at + 1000]).partition(b"\n")
        if not found[1]:
            raise PickleError("has a name longer than 1,000 bytes")
        self.take(len(found[0]) + 1)
        return found[0].decode("utf-8")

    def push(self, value: Any) -> None:
        self._stack.append(value)

    def pop(self) -> Any:
        return self._stack.pop()

    def mark(self) -> None:
        self._marks.append(self._stack)
        self._stack = []

    def marked(self) -> list[Any]:
        """What is on the stack above the last mark."""
        found, self._stack = self._stack, self._marks.pop()
        return found

    def memorise(self, place: int) -> None:
        self._memo[place] = self._stack[-1]

    def memorise_next(self) -> None:
        self.memorise(len(self._memo))

    def recall(self, place: int) -> None:
        self.push(self._memo[place])

    def append(self, values: list[Any]) -> None:
        target = self._stack[-1]
        if not isinstance(target, list | Inert):
            raise PickleError(f"appends to {kind_of(target)}")
        (target.parts if isinstance(target, Inert) else target).extend(values)

    def set_items(self, pairs: list[Any]) -> None:
        target = self._stack[-1]
        if not isinstance(target, dict | Inert):
            raise PickleError(f"sets items of {kind_of(target)}")
        into = target.items if isinstance(target, Inert) else target
        into.update((require_key(key), value) for key, value in zip(pairs[::2], pairs[1::2], strict=True))

    def name(self, module: Any, name: Any) -> None:
        """Push a label, or refuse a name of the standard library that could run something."""
        if not isinstance(module, str) or not isinstance(name, str):
            raise PickleError("has a global name that is no text")
        label = f"{module}.{name}"
        if label not in self._known:
            require_harmless(module, name)
            self.labels.add(clean(label, 100))
        self.push(Label(label))

    def call(self) -> None:
        """Call what is known, and make an inert object of what is not."""
        arguments, function = self.pop(), self.pop()
        if not isinstance(function, Label) or not isinstance(arguments, tuple):
            raise PickleError(f"calls {kind_of(function)}")
        known = self._known.get(function.name)
        self.push(Inert(function, arguments) if known is None else known(*arguments))

    def set_state(self) -> None:
        """Keep the state of an inert object. A dict has none of use; nothing else may be given one."""
        state, target = self.pop(), self._stack[-1]
        if isinstance(target, Inert):
            target.state = state
        elif not isinstance(target, dict):
            raise PickleError(f"sets the state of {kind_of(target)}, as no data do: it may be hostile")

    def refer(self) -> None:
        if self._persistent is None:
            raise PickleError("has persistent ids, which mean nothing here")
        self.push(self._persistent(self.pop()))


def _signed(data: memoryview) -> int:
    return int.from_bytes(data, "little", signed=True)


def _long(reader: Pickle, size: int) -> None:
    if size > MOST_DIGITS:
        raise PickleError(f"has an integer of {size:,} bytes")
    reader.push(_signed(reader.take(size)))


def _global(reader: Pickle) -> None:
    name, module = reader.pop(), reader.pop()
    reader.name(module, name)


def _tuple(size: int) -> Callable[[Pickle], None]:
    def make(reader: Pickle) -> None:
        reader.push(tuple(reversed([reader.pop() for _ in range(size)])))

    return make


def _item(reader: Pickle) -> None:
    value, key = reader.pop(), reader.pop()
    reader.set_items([key, value])


def _protocol(reader: Pickle) -> None:
    if (version := reader.integer(1)) > pickle.HIGHEST_PROTOCOL:
        raise PickleError(f"is of the pickle protocol {version}, which is unknown")


def _append(reader: Pickle) -> None:
    value = reader.pop()
    reader.append([value])


_OPCODES: dict[bytes, Callable[[Pickle], Any]] = {
    pickle.PROTO: _protocol,
    pickle.FRAME: lambda r: r.take(8),
    pickle.NONE: lambda r: r.push(None),
    pickle.NEWTRUE: lambda r: r.push(True),
    pickle.NEWFALSE: lambda r: r.push(False),
    pickle.BININT: lambda r: r.push(_signed(r.take(4))),
    pickle.BININT1: lambda r: r.push(r.integer(1)),
    pickle.BININT2: lambda r: r.push(r.integer(2)),
    pickle.LONG1: lambda r: _long(r, r.integer(1)),
    pickle.LONG4: lambda r: _long(r, r.integer(4)),
    pickle.BINFLOAT: lambda r: r.push(struct.unpack(">d", r.take(8))[0]),
    pickle.SHORT_BINUNICODE: lambda r: r.push(r.text(r.integer(1))),
    pickle.BINUNICODE: lambda r: r.push(r.text(r.integer(4))),
    pickle.BINUNICODE8: lambda r: r.push(r.text(r.integer(8))),
    pickle.SHORT_BINSTRING: lambda r: r.push(str(r.take(r.integer(1)), "latin1")),
    pickle.BINSTRING: lambda r: r.push(str(r.take(r.integer(4)), "latin1")),
    pickle.SHORT_BINBYTES: lambda r: r.push(r.take(r.integer(1))),
    pickle.BINBYTES: lambda r: r.push(r.take(r.integer(4))),
    pickle.BINBYTES8: lambda r: r.push(r.take(r.integer(8))),
    pickle.EMPTY_DICT: lambda r: r.push({}),
    pickle.EMPTY_LIST: lambda r: r.push([]),
    pickle.EMPTY_TUPLE: lambda r: r.push(()),
    pickle.EMPTY_SET: lambda r: r.push([]),
    pickle.TUPLE1: _tuple(1),
    pickle.TUPLE2: _tuple(2),
    pickle.TUPLE3: _tuple(3),
    pickle.TUPLE: lambda r: r.push(tuple(r.marked())),
    pickle.FROZENSET: lambda r: r.push(r.marked()),
    pickle.MARK: lambda r: r.mark(),
    pickle.POP: lambda r: r.pop(),
    pickle.POP_MARK: lambda r: r.marked(),
    pickle.APPEND: _append,
    pickle.APPENDS: lambda r: r.append(r.marked()),
    pickle.ADDITEMS: lambda r: r.append(r.marked()),
    pickle.SETITEM: _item,
    pickle.SETITEMS: lambda r: r.set_items(r.marked()),
    pickle.BINPUT: lambda r: r.memorise(r.integer(1)),
    pickle.LONG_BINPUT: lambda r: r.memorise(r.integer(4)),
    pickle.MEMOIZE: lambda r: r.memorise_next(),
    pickle.BINGET: lambda r: r.recall(r.integer(1)),
    pickle.LONG_BINGET: lambda r: r.recall(r.integer(4)),
    pickle.GLOBAL: lambda r: r.name(r.line(), r.line()),
    pickle.STACK_GLOBAL: _global,
    pickle.REDUCE: lambda r: r.call(),
    pickle.NEWOBJ: lambda r: r.call(),
    pickle.BUILD: lambda r: r.set_state(),
    pickle.BINPERSID: lambda r: r.refer(),
}
"""What each opcode does. Sets are lists, because the hash of what they hold could take any time.

Strings of Python 2, which may be text or bytes, become text with one character per byte.
"""
