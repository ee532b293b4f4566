"""Reads a trace (.kvt), as docs/trace_format.md has it, and takes the digest of its contents."""

import itertools
import json
import pathlib
import struct
import subprocess
import tempfile

import numpy as np
import xxhash

from request_table import Requests, readable

WHOLE = (1 << 63) - 1  # bytes of a read, at most: all of the block
UNREADABLE = (ValueError, KeyError, TypeError, IndexError, OverflowError, RecursionError, MemoryError, struct.error)


def xxh64(data, seed=0):
    return xxhash.xxh64_intdigest(data, seed)


def decompress(data, size):
    """What the command zstd makes of the data: so many bytes, and never more."""
    with tempfile.TemporaryFile() as stored:
        stored.write(data)
        stored.seek(0)
        with subprocess.Popen(["zstd", "-dc"], stdin=stored, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
            contents = process.stdout.read(size + 1)
    readable(process.returncode == 0 and len(contents) == size, f"is no zstd data of {size} bytes")
    return contents


def read_head(data, magic, versions, what):
    """Version and head of a file that begins with magic, version, a length and a checksum; and where that ends."""
    readable(data[:8] == magic and len(data) >= 16, f"is not a {what}")
    version, length = struct.unpack_from("<II", data, 8)
    end = 16 + length
    readable(version in versions, f"has version {version}; known are {versions}")
    readable(length <= 1 << 20 and len(data) >= end + 8
             and xxh64(data[:end]) == struct.unpack_from("<Q", data, end)[0], "its head is damaged")
    return version, data[16:end], end + 8


class Varints:
    """A stream of varints, and of bytes as they are between them."""
    def __init__(self, data):
        self.data, self.bytes = data, np.frombuffer(data, np.uint8)
        self.ends, self.at, self.index = np.flatnonzero(self.bytes < 128), 0, 0

    def take(self, count):
        ends = self.ends[self.index:self.index + count]
        readable(len(ends) == count, "a chunk ends within a record")
        if count == 0:
            return np.zeros(0, np.int64)
        starts = np.concatenate(([self.at], ends[:-1] + 1))
        self.at, self.index = int(ends[-1]) + 1, self.index + count
        lengths = ends - starts + 1
        readable((longest := int(lengths.max())) <= 9, "a number has more than 9 bytes")
        values = self.bytes[starts].astype(np.int64) & 127
        for i in range(1, longest):
            longer = lengths > i
            values[longer] |= (self.bytes[starts[longer] + i].astype(np.int64) & 127) << 7 * i
        return values

    def all(self):
        values = self.take(len(self.ends))
        readable(self.at == len(self.data), "a chunk ends within a number")
        return values

    def raw(self, count):
        readable(self.at + count <= len(self.data), "a chunk ends within a record")
        found = self.bytes[self.at:self.at + count]
        self.at += count
        self.index = int(np.searchsorted(self.ends, self.at))
        return found


class Values:
    """A stream of nothing but varints, taken one by one or several at once."""
    def __init__(self, data):
        self.all = Varints(data).all()
        self.at = 0

    def take(self, count):
        readable(0 <= count <= len(self.all) - self.at, "a chunk ends within a record")
        self.at += count
        return self.all[self.at - count:self.at]

    def next(self):
        return int(self.take(1)[0])


def unzigzag(codes):
    return codes >> 1 ^ -(codes & 1)


class Trace:
    """A .kvt file; steps() gives its records in order, and after the last of them `digest` is that of the contents."""
    def __init__(self, path):
        self.data = pathlib.Path(path).read_bytes()
        version, text, _ = read_head(self.data, b"\x89KVT\r\n\x1a\n", (1, 2), "trace")
        meta = json.loads(text.decode("ascii"))
        needs = meta.get("needs", []) if version > 1 else []
        readable(needs in ([], ["tokens"], ["requests"]), f"needs more than is known here: {needs}")
        self.several = needs == ["tokens"]  # tokens per step
        at, end_magic = struct.unpack_from("<Q8s", self.data, len(self.data) - 16)
        listed = at + 12 + 24 * (chunks := struct.unpack_from("<Q", self.data, at + 4)[0])
        end = len(self.data) - 56 if self.several else listed
        self.num_steps, self.blocks, self.num_reads, digest, checksum = struct.unpack_from("<IIQ16sQ", self.data, end)
        readable((self.data[at:at + 4], end_magic, checksum) == (b"FOOT", b"KVT-END\n", xxh64(self.data[at:end + 32]))
                 and end + 56 == len(self.data), "is truncated, or its footer is damaged")
        tokens = np.frombuffer(self.data[listed:end], "<u2").reshape(-1, 2) if self.several else None
        readable(tokens is None or len(tokens) == self.num_steps, "does not say the tokens of all steps")
        self.tokens = tokens if self.several else np.ones((self.num_steps, 2), np.int64)  # verified, decoded
        self.index = [struct.unpack_from("<QIIQ", self.data, at + 12 + 24 * i) for i in range(chunks)]
        self.stated_digest = digest.hex()
        for key, least, below in (("layers", 1, 1 << 16 | 1), ("prompt_tokens", 0, 1 << 32), ("experts", 0, 1 << 32),
                                  ("block_tokens", 1, 1 << 28 | 1), ("requests", 1, 1 << 28 | 1)):
            readable(type(meta[key]) is int and least <= meta[key] < below, f"{key} is out of range")
        self.layers, self.experts, self.prompt_tokens = meta["layers"], meta["experts"], meta["prompt_tokens"]
        self.served = Requests(meta) if needs == ["requests"] else None
        if self.served:
            readable(self.served.steps == self.num_steps, "its table of requests is not as long as it")
            self.prompt_blocks = self.served.initial - self.experts
            self.running, self.context = self.served.running, self.served.context
        else:
            self.prompt_blocks = -(-self.prompt_tokens // meta["block_tokens"]) * meta["requests"]
            self.running = np.ones(self.num_steps, np.int64)
            self.context = self.prompt_tokens + np.cumsum(self.tokens[:, 1].astype(np.int64)) - self.tokens[:, 1]
        self.initial = self.experts + self.prompt_blocks
        self.ranked, self.partial = bool(meta.get("has_ranking", False)), bool(meta.get("has_read_bytes", False))
        readable(not (self.served and self.ranked), "is a served batch with rankings")
        readable(self.initial <= self.blocks <= 1 << 28 and self.layers * self.blocks < 1 << 32, "has too many blocks")
        self.exists = np.zeros((self.layers, self.blocks), bool)
        self.exists[:, :self.initial] = True
        self.gone = np.zeros_like(self.exists)  # with their requests
        self.hash = xxhash.xxh3_128()
        self.add([self.layers, self.experts, meta["requests"], meta["block_tokens"], self.prompt_tokens, self.ranked,
                  self.partial], *(self.served.rows if self.served else []))

    def add(self, *lists):
        self.hash.update(np.concatenate(lists).astype("<u4").tobytes())

    @property
    def digest(self):
        return self.hash.intdigest().to_bytes(16, "little").hex()

    def steps(self):
        """(decode step, layer, ids read, at most so many bytes of each, ids appended to, tokens written to each, which of
        these are newborn, ids that are gone after it)"""
        expected = reads_in_all = 0
        for offset, first, steps, reads in self.index:
            head = magic, _, _, blocks, _, size, stored, checksum = struct.unpack_from("<IIIIQQQQ", self.data, offset)
            body = self.data[offset + 48:offset + 48 + stored]
            readable(head[:3] == (0x4b4e4843, first, steps) and first == expected and steps > 0 and head[4] == reads
                     and blocks <= self.blocks and size <= 1 << 28
                     and checksum == xxh64(body, xxh64(self.data[offset:offset + 40])),
                     f"the chunk at byte {offset} is damaged or not where it should be")
            yield from self.chunk(first, steps, blocks, reads, decompress(body, size))
            expected, reads_in_all = expected + steps, reads_in_all + reads
        readable((expected, reads_in_all) == (self.num_steps, self.num_reads), "its chunks do not hold all steps")

    def chunk(self, first, steps, blocks, reads_in_all, payload):
        count = 5 if self.several else 4
        ends = list(itertools.accumulate(struct.unpack_from(f"<{count}Q", payload), initial=8 * count))
        readable(ends[-1] == len(payload), "the streams of a chunk are not as long as it")
        *tokens, sets, lists, rankings, sizes = (payload[a:b] for a, b in zip(ends, ends[1:]))
        tokens, sets, (lists, rankings, sizes) = Values(b"".join(tokens)), Varints(sets), map(Values, (lists, rankings, sizes))
        present, last = np.zeros((self.layers, blocks), bool), 0
        ranking = [np.zeros(0, np.int64)] * self.layers
        for step, layer in itertools.product(range(first, first + steps), range(self.layers)):
            if self.several and layer == 0:
                readable((tokens.take(2) == self.tokens[step]).all() and 0 < self.tokens[step][1] <= self.tokens[step][0],
                         "the tokens of a step are not those of the footer, or out of range")
            count, wide = divmod(int(sets.take(1)[0]), 2)
            if wide:
                changed = np.flatnonzero(np.unpackbits(sets.raw(8 * count), bitorder="little"))
            else:
                readable(((gaps := sets.take(count)) < blocks).all(), "an id is out of range")
                changed = np.cumsum(gaps + 1) - 1
            readable(len(changed) == 0 or changed[-1] < blocks, "an id is out of range")
            present[layer, changed] ^= True
            reads = np.flatnonzero(present[layer])
            moves = unzigzag(lists.take(lists.next()))
            appended = last + np.cumsum(moves)
            last = int(appended[0]) if len(appended) else last
            readable((moves[1:] > 0).all() and (abs(moves) < blocks).all()
                     and (len(appended) == 0 or self.experts <= last and appended[-1] < blocks),
                     "the blocks appended to are not ascending, or experts")
            newborn = appended[~self.exists[layer, appended]]
            self.exists[layer, newborn] = True
            written, ended = np.ones(len(appended), np.int64), np.zeros(0, np.int64)
            if self.served:
                of_table, written = self.served.appended(step)
                ended = self.served.ending(step)
                readable(np.array_equal(appended, of_table), "what is appended is not what the table of requests says")
                hidden = self.gone[layer].copy()
                hidden[self.served.arriving(step)] = True
                readable(not hidden[reads].any(), "a block is read of a request that does not run")
                self.gone[layer, ended] = True
            if self.ranked:
                ranking[layer] = self.ranking(rankings, ranking[layer], blocks)
            read_bytes = sizes.take(len(reads)) if self.partial else np.zeros(0, np.int64)
            readable((read_bytes < 1 << 32).all(), "the bytes of a read are out of range")
            if not (self.exists[layer, reads].all() and self.exists[layer, ranking[layer]].all()):
                raise ValueError(f"decode step {step}, layer {layer}: a block is read or ranked before it exists")
            self.add([len(reads), len(appended), len(ranking[layer])], reads, appended, ranking[layer], read_bytes)
            if self.several:
                written = tokens.take(len(appended))
                readable(((1 <= written) & (written <= self.tokens[step][0])).all(), "tokens written are out of range")
                self.add(self.tokens[step][::-1] if layer == 0 else [], written)
            reads_in_all -= len(reads)
            at_most = np.where(read_bytes == 0, WHOLE, read_bytes) if self.partial else np.full(len(reads), WHOLE)
            yield step, layer, reads, at_most, appended, written, newborn, ended
        readable(reads_in_all == 0 and sets.at == len(sets.data)
                 and all(stream.at == len(stream.all) for stream in (tokens, lists, rankings, sizes)),
                 "a chunk holds more, or other, than its records")

    @staticmethod
    def ranking(codes, before, blocks):
        """The ranking of a record; that of the same layer one decode step before is known."""
        count = codes.next()
        ahead = codes.all[codes.at:codes.at + 2 * count]
        index = np.arange(len(ahead))
        # A 0 is a code and an id follows, unless it is an id itself: every second 0 of several in a row.
        other = np.maximum.accumulate(np.where(ahead == 0, -1, index))  # the last value that is not 0
        literal = (index - other) % 2 == 1
        is_code = np.ones(len(ahead), bool)
        is_code[1:] = ~literal[:-1]
        at = np.flatnonzero(is_code)[:count]
        readable(len(at) == count, "a chunk ends within a ranking")
        literal = literal[at]
        codes.take(count + int(literal.sum()))
        place = unzigzag(ahead[at[~literal]] - 1) + np.flatnonzero(~literal)
        readable(((0 <= place) & (place < len(before))).all(), "a place in a ranking is out of range")
        ranking = np.zeros(count, np.int64)
        ranking[literal], ranking[~literal] = ahead[at[literal] + 1], before[place]
        readable((ranking < blocks).all() and len(np.unique(ranking)) == count, "a ranking is no list of unique ids")
        return ranking
