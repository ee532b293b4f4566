"""Selection in Python: every method equals its definition in numpy; arrays of all kinds; errors; the documentation."""

import os
import pathlib
import re
import unittest

import numpy as np

import kvplace
from kvplace.select import Selector, methods

SOURCE = pathlib.Path(os.environ.get("KVPLACE_SOURCE_DIR") or pathlib.Path(__file__).resolve().parents[2])

QUERY_HEADS, KV_HEADS, HEAD_DIM = 6, 2, 24
PROMPT, STEPS = 150, 40
TOKENS = PROMPT + STEPS
GROUP = QUERY_HEADS // KV_HEADS
ROUNDING = 2e-5  # of sums in single precision, as a share of the largest score
BLOCKS = (1, 8, 16, 32, 64)


def make_layer(seed):
    random = np.random.default_rng(seed)
    q = random.standard_normal((QUERY_HEADS, TOKENS, HEAD_DIM)).astype(np.float32)
    k = random.standard_normal((KV_HEADS, TOKENS, HEAD_DIM)).astype(np.float32)
    return q, k


def selector(method, q=None, k=None, **options):
    made = Selector(method, query_heads=QUERY_HEADS, kv_heads=KV_HEADS, head_dim=HEAD_DIM, **options)
    if k is not None:
        made.append(k)
        made.observe(q[:, :PROMPT], 0)
    return made


# The definitions, in double precision. Scores are [blocks] of one list.


def head_attention(q, k, head, position):
    logits = k[head // GROUP, : position + 1].astype(float) @ q[head, position].astype(float) / np.sqrt(HEAD_DIM)
    weights = np.exp(logits - logits.max())
    return weights / weights.sum()


def in_blocks(values, block, reduce=np.add):
    return reduce.reduceat(values, np.arange(0, len(values), block))


def mass(q, k, position, block, heads=range(QUERY_HEADS)):
    return in_blocks(sum(head_attention(q, k, head, position) for head in heads), block)


def bounds(query, keys, block):
    keys = keys.astype(float)
    starts = np.arange(0, len(keys), block)
    least, most = np.minimum.reduceat(keys, starts), np.maximum.reduceat(keys, starts)
    return np.maximum(query * least, query * most).sum(axis=1)


def quest(q, k, position, block, kv_heads=range(KV_HEADS)):
    return sum(bounds(q[g * GROUP : (g + 1) * GROUP, position].astype(float).mean(axis=0), k[g, : position + 1], block)
               for g in kv_heads)


def index_scores(q, k, position, block, weights):
    dots = np.stack([k[h // GROUP, : position + 1].astype(float) @ q[h, position].astype(float)
                     for h in range(QUERY_HEADS)])
    return in_blocks(weights @ np.maximum(dots, 0), block, np.maximum)


def ranked(scores, count, sinks=0, recent=1):
    """All blocks: the set by score, then the runners-up."""
    ids = np.arange(len(scores))
    forced = (ids < sinks) | (ids >= len(scores) - recent)
    order = np.lexsort((ids, -scores, ~forced))
    chosen = order[:count]
    return np.concatenate([chosen[np.lexsort((chosen, -scores[chosen]))], order[count:]])


class Definitions(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.q, cls.k = make_layer(7)

    def same_as(self, scores, count, found_set, found_ranking, **forced):
        """Scores closer than rounding may change places, all else is exact."""
        expected = ranked(scores, count, **forced)
        self.assertEqual((len(found_set), len(found_ranking)), (count, len(scores)))
        self.assertEqual(sorted(found_ranking[:count]), list(found_set))
        self.assertEqual(sorted(found_ranking), list(range(len(scores))))
        apart = np.abs(scores[found_ranking] - scores[expected])
        self.assertLessEqual(apart.max(), ROUNDING * np.abs(scores).max())

    def select(self, method, **options):
        made = selector(method, self.q, self.k)
        return made.select(self.q[:, PROMPT:], ranking_depth=TOKENS, **options)

    def check_layer(self, method, score, count, **forced):
        selection = self.select(method)
        self.assertEqual((selection.heads, len(selection.sets), len(selection.rankings)), (0, STEPS, STEPS))
        for step in range(STEPS):
            scores = score(PROMPT + step)
            self.same_as(scores, count(len(scores)), selection.sets[step], selection.rankings[step], **forced)

    def check_heads(self, method, heads, score, count):
        selection = self.select(method)
        self.assertEqual(selection.heads, heads)
        for step in range(STEPS):
            sets = [selection.head_sets[step * heads + head] for head in range(heads)]
            for head in range(heads):
                scores = score(PROMPT + step, head)
                self.same_as(scores, count, sets[head], selection.head_rankings[step * heads + head])
            union = sorted(set().union(*map(set, sets)))
            self.assertEqual(list(selection.sets[step]), union)
            self.assertEqual(sorted(selection.rankings[step][: len(union)]), union)

    def test_mass(self):
        for block in BLOCKS:
            with self.subTest(block=block):
                self.check_layer(f"mass:k=3,block={block}", lambda t: mass(self.q, self.k, t, block), lambda n: 3)
        self.check_layer("mass:share=0.3,sinks=2,recent=3", lambda t: mass(self.q, self.k, t, 1),
                         lambda n: int(np.ceil(0.3 * n - 1e-9)), sinks=2, recent=3)
        self.check_heads("mass:k=9,sets=query-head", QUERY_HEADS, lambda t, h: mass(self.q, self.k, t, 1, [h]), 9)
        self.check_heads("mass:k=9,sets=kv-head", KV_HEADS,
                         lambda t, g: mass(self.q, self.k, t, 1, range(g * GROUP, (g + 1) * GROUP)), 9)

    def test_capped_scores_and_sinks(self):
        """Attention as Gemma 2 and gpt-oss have it."""
        cap, sinks = 1.5, np.linspace(-3, 9, QUERY_HEADS)

        def attention(head, position, cap, sinks):
            logits = self.k[head // GROUP, : position + 1].astype(float) @ self.q[head, position].astype(float)
            logits = logits / np.sqrt(HEAD_DIM)
            logits = cap * np.tanh(logits / cap) if cap else logits
            weights = np.exp(logits)
            return weights / (weights.sum() + (np.exp(sinks[head]) if len(sinks) else 0))

        plain = self.select("mass:k=9").sets.ids
        for options in ({"softcap": cap}, {"sinks": list(sinks)}, {"softcap": cap, "sinks": list(sinks)}):
            made = selector("mass:k=9", self.q, self.k, **options)
            selection = made.select(self.q[:, PROMPT:], ranking_depth=TOKENS)
            self.assertFalse(np.array_equal(selection.sets.ids, plain))
            for step in range(STEPS):
                scores = sum(attention(head, PROMPT + step, options.get("softcap"), options.get("sinks", ()))
                             for head in range(QUERY_HEADS))
                self.same_as(scores, 9, selection.sets[step], selection.rankings[step])
        for options, says in (({"softcap": -1.0}, "cap of scores"), ({"sinks": [0.0]}, "6 query heads"),
                              ({"sinks": [np.inf] * QUERY_HEADS}, "finite")):
            with self.assertRaisesRegex(kvplace.BadInput, says):
                selector("mass:k=9", **options)

    def test_quest(self):
        for page in BLOCKS:
            with self.subTest(page=page):
                self.check_layer(f"quest:pages=3,page={page}", lambda t: quest(self.q, self.k, t, page), lambda n: 3)
        self.check_layer("quest:share=0.4,recent=4", lambda t: quest(self.q, self.k, t, 16),
                         lambda n: max(4, int(np.ceil(0.4 * n - 1e-9))), recent=4)
        self.check_heads("quest:page=8,pages=4,sets=kv-head", KV_HEADS,
                         lambda t, g: quest(self.q, self.k, t, 8, [g]), 4)

    def test_quest_per_head(self):
        def score(t, h):
            return bounds(self.q[h, t].astype(float), self.k[h // GROUP, : t + 1], 8)

        self.check_heads("quest-per-head:page=8,pages=4", QUERY_HEADS, score, 4)
        per_query_head = self.select("quest-per-head:page=8,pages=4")
        per_kv_head = self.select("quest-per-head:page=8,pages=4,sets=kv-head")
        self.assertEqual(per_kv_head.heads, KV_HEADS)
        np.testing.assert_array_equal(per_kv_head.sets.ids, per_query_head.sets.ids)
        np.testing.assert_array_equal(per_kv_head.rankings.ids, per_query_head.rankings.ids)
        for step in range(STEPS):
            for g in range(KV_HEADS):
                group = [per_query_head.head_sets[step * QUERY_HEADS + g * GROUP + i] for i in range(GROUP)]
                self.assertEqual(sorted(set().union(*map(set, group))),
                                 list(per_kv_head.head_sets[step * KV_HEADS + g]))

    def test_scores(self):
        weights = np.random.default_rng(3).standard_normal((STEPS, QUERY_HEADS)).astype(np.float32)
        for block in (1, 16):
            selection = self.select(f"scores:k=5,block={block}", head_weights=weights)
            for step in range(STEPS):
                scores = index_scores(self.q, self.k, PROMPT + step, block, weights[step].astype(float))
                self.same_as(scores, 5, selection.sets[step], selection.rankings[step])
        given = np.random.default_rng(4).integers(-3, 4, (STEPS, TOKENS)).astype(np.float32)  # many ties
        _, rankings = selector("scores:k=5").select(scores=given, first_position=PROMPT, ranking_depth=TOKENS)
        for step in range(STEPS):
            np.testing.assert_array_equal(rankings[step], ranked(given[step, : PROMPT + step + 1], 5))

    def test_top_p(self):
        for p in (0.3, 0.9):
            selection = self.select(f"top-p:p={p}")
            for step in range(STEPS):
                scores = mass(self.q, self.k, PROMPT + step, 1) / QUERY_HEADS
                count = len(selection.sets[step])
                self.same_as(scores, count, selection.sets[step], selection.rankings[step])
                self.assertGreater(scores[ranked(scores, count)[:count]].sum(), p - ROUNDING)
                self.assertLess(scores[ranked(scores, count - 1)[: count - 1]].sum(), p + ROUNDING)

    def test_window(self):
        selection = selector("window:sinks=4,recent=20").select(first_position=PROMPT, steps=STEPS)
        self.assertIsNone(selection.rankings)
        for step in range(STEPS):
            newest = PROMPT + step
            self.assertEqual(list(selection.sets[step]), [0, 1, 2, 3, *range(newest - 19, newest + 1)])

    def test_snapkv(self):
        window = 16
        votes = sum(head_attention(self.q, self.k, head, position)[: PROMPT - window]
                    for head in range(QUERY_HEADS) for position in range(PROMPT - window, PROMPT))
        pooled = np.convolve(votes, np.ones(5) / 5, mode="same")
        kept = ranked(np.concatenate([pooled, 1e3 + np.arange(window)]), 40)[:40]
        selection = self.select(f"snapkv:k=40,window={window}")
        for step in range(STEPS):
            self.assertEqual(list(selection.sets[step]), sorted([*kept, *range(PROMPT, PROMPT + step + 1)]))

    def test_router(self):
        logits = np.random.default_rng(5).standard_normal((STEPS, 8)).astype(np.float32)
        sets, rankings = Selector("router:k=2").select(scores=logits, ranking_depth=8)
        np.testing.assert_array_equal(rankings.ids.reshape(STEPS, 8), np.argsort(-logits, axis=1))
        np.testing.assert_array_equal(sets.ids.reshape(STEPS, 2), np.sort(np.argsort(-logits, axis=1)[:, :2], axis=1))


class Arrays(unittest.TestCase):
    def setUp(self):
        self.q, self.k = make_layer(11)

    def ids(self, q, k, steps=STEPS):
        made = selector("mass:k=7")
        selection = made.select(q[:, TOKENS - steps :], k, ranking_depth=20)
        self.assertEqual(made.tokens, TOKENS)
        return selection.rankings.ids

    def test_strides_and_half_precision(self):
        expected = self.ids(self.q, self.k)
        token_major = [np.ascontiguousarray(x.transpose(1, 0, 2)).transpose(1, 0, 2) for x in (self.q, self.k)]
        np.testing.assert_array_equal(self.ids(*token_major), expected)
        read_only = self.q.copy()
        read_only.flags.writeable = False
        np.testing.assert_array_equal(self.ids(read_only, self.k[:, :, ::-1][:, :, ::-1]), expected)
        halves = [x.astype(np.float16) for x in (self.q, self.k)]
        np.testing.assert_array_equal(self.ids(*halves), self.ids(*[x.astype(np.float32) for x in halves]))

    def test_views_outlive_the_selection(self):
        ids = self.ids(self.q, self.k)  # the selection is gone
        self.assertFalse(ids.flags.writeable)
        self.assertEqual(ids.dtype, np.uint32)
        self.assertEqual(len(ids), 20 * STEPS)

    def test_one_step_at_a_time(self):
        for method in ("mass:k=7", "quest:pages=4,page=8", "snapkv:k=40,window=16"):
            expected = selector(method, self.q, self.k).select(self.q[:, PROMPT:], ranking_depth=20)
            made = selector(method, self.q, self.k[:, :PROMPT])
            for step in range(STEPS):
                now = slice(PROMPT + step, PROMPT + step + 1)
                sets, rankings = made.select(self.q[:, now], self.k[:, now], ranking_depth=20)
                np.testing.assert_array_equal(sets[0], expected.sets[step])
                np.testing.assert_array_equal(rankings[-1], expected.rankings[step])
            with self.assertRaises(IndexError):
                sets[1]


class Errors(unittest.TestCase):
    def fails(self, sentence, call, *arguments, **options):
        with self.assertRaises(kvplace.BadInput) as caught:
            call(*arguments, **options)
        self.assertIn(sentence, str(caught.exception))

    def test_sentences(self):
        q, k = make_layer(1)
        self.fails('nearest known name is "quest"', Selector, "qest")
        self.fails("from 1 to", Selector, "mass:k=0")
        self.fails("does not divide", Selector, "mass", query_heads=9, kv_heads=4)
        made = selector("mass:k=100")
        self.fails("must be float32, float16 or bfloat16", made.append, k.astype(float))
        self.fails("3 dimensions, not 2", made.append, k[0])
        self.fails("[KV heads, new tokens, head dim] = [2, any, 24]", made.append, q)
        self.fails("give first_position", made.select, q)
        self.fails("from queries", made.select, first_position=0)
        made.append(k[:, :50])
        self.fails("only 50 keys", made.select, q, first_position=0)
        self.fails("the budget is 100 blocks, but at decode step 0 (position 49) only 50 exist", made.select, q[:, 49:50])
        broken = k.copy()
        broken[1, 3, 5] = np.nan
        self.fails("KV head 1, token 3", made.append, broken)
        self.assertEqual(made.tokens, 50)
        self.fails("scores: decode step 1", Selector("router").select, scores=np.array([[1, 2], [1, np.inf]], np.float32))


class Documentation(unittest.TestCase):
    def test_every_method_and_parameter_is_in_its_page(self):
        text = (SOURCE / "docs/select.md").read_text(encoding="utf-8")
        for method in methods():
            self.assertRegex(text, rf"(?m)^\| `{method['name']}` \|", method["name"])
            for p in method["parameters"]:
                row = re.search(rf"^\| [^|]*`{method['name']}`[^|]* \| `{p['name']}` \|[^|]*\| ([^|]*) \|", text, re.MULTILINE)
                self.assertIsNotNone(row, f"{method['name']}:{p['name']}")
                self.assertIn(str(p["default"]), re.split(r"[ ,;]+", row[1].replace("`", "")))


if __name__ == "__main__":
    unittest.main()
