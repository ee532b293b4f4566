"""The policy of kvplace.vllm: its state against a plain model, and against vLLM's own manager where vllm is installed."""

import importlib.util
import math
import random
import types
import unittest

from kvplace._prefix_reuse import GAP_SHARE, GAPS, MOST_USES, REMEMBERED, PrefixReuse


class Plain:
    """The rule, written down for each chunk by itself; what is as valuable leaves in the order of its last place."""

    def __init__(self, capacity):
        self.capacity, self.near, self.known = capacity, {}, {}  # known: key -> [uses, time, run, place]
        self.time, self.runs, self.log_gap, self.filling = 0, 0, math.log(capacity), {}

    def learn(self, key):
        self.log_gap += GAP_SHARE * (math.log(max(self.time - self.known[key][1], 1)) - self.log_gap)

    def run(self, uses, runs):
        if uses not in runs:
            runs[uses] = self.runs
            self.runs += 1
        return runs[uses]

    def insert(self, key, chunk):
        uses = 1
        if key in self.known:
            self.learn(key)
            uses = min(self.known[key][0] + 1, MOST_USES)
        self.time += 1
        run = self.run(uses, self.filling)
        self.known[key] = [uses, self.time, run, self.time]
        for other in self.known.values():  # a run is as young as its latest chunk
            if other[2] == run:
                other[1] = self.time
        self.near[key] = chunk

    def remove(self, key):
        del self.near[key], self.known[key]

    def use(self, keys, again):
        self.filling, runs = {}, {}
        self.time += sum(again(key) for key in keys)
        for place, key in enumerate(keys):
            if key in self.near:
                uses = self.known[key][0]
                if again(key):
                    self.learn(key)
                    uses = min(uses + 1, MOST_USES)
                self.known[key] = [uses, self.time, self.run(uses, runs), place]

    def value(self, key):
        uses, time, run, place = self.known[key]
        return uses / (self.time - time + GAPS * math.exp(self.log_gap)), run, -place

    def evict(self, num_chunks, keep):
        free = sorted((key for key in self.near if not keep(key, self.near[key])), key=self.value)[:num_chunks]
        if len(free) < num_chunks:
            return None
        leaving = [(key, self.near.pop(key)) for key in free]
        gone = [key for key in self.known if key not in self.near]
        for run in sorted({self.known[key][2] for key in gone}):  # the oldest are forgotten, by whole runs
            if len(gone) <= REMEMBERED * self.capacity:
                break
            for key in [key for key in gone if self.known[key][2] == run]:
                gone.remove(key)
                del self.known[key]
        self.filling = {}
        return leaving


def chunk(ref_cnt=0):
    return types.SimpleNamespace(ref_cnt=ref_cnt)


class State(unittest.TestCase):
    def test_it_decides_as_a_plain_model_of_the_rule(self):
        for seed in range(30):
            random.seed(seed)
            capacity = random.randint(3, 12)
            ours, plain = PrefixReuse(capacity), Plain(capacity)
            for _ in range(150):
                prefix = [(random.randrange(4), i) for i in range(random.randint(1, 5))]
                prefix = [(prefix[0][0], i) for i in range(len(prefix))]
                missing = [key for key in prefix if key not in ours.chunks]
                pinned = {key for key in ours.chunks if random.random() < 0.1}
                room = len(ours.chunks) + len(missing) - capacity
                if room > 0:
                    keep = lambda key, _, kept={*prefix, *pinned}: key in kept
                    left = ours.evict(room, keep)
                    self.assertEqual(left, plain.evict(room, keep))
                    if left is None:
                        continue
                for key in missing:
                    for state, stored in zip((ours, plain), [chunk()] * 2):
                        state.insert(key, stored)
                if missing and random.random() < 0.1:  # a store that failed
                    ours.remove(missing[-1])
                    plain.remove(missing[-1])
                for state in (ours, plain):
                    state.use(prefix, set(prefix).difference(missing).__contains__)
                self.assertEqual(ours.chunks, plain.near)
                self.assertLessEqual(len(ours.chunks), capacity)

    def test_what_is_used_again_stays_and_the_tail_leaves_first(self):
        state = PrefixReuse(4)
        for key in "abcd":
            state.insert(key, chunk())
        state.use("abcd", lambda _: False)
        self.assertEqual([key for key, _ in state.evict(1, lambda *_: False)], ["d"])
        state.use("a", lambda _: True)
        state.insert("e", chunk())
        self.assertEqual([key for key, _ in state.evict(2, lambda *_: False)], ["c", "b"])

    def test_evicting_is_all_or_nothing(self):
        state = PrefixReuse(3)
        for key, ref_cnt in (("a", 0), ("b", -1), ("c", 1)):
            state.insert(key, chunk(ref_cnt))
        keep = lambda _, stored: stored.ref_cnt != 0
        self.assertIsNone(state.evict(2, keep))
        self.assertEqual(set(state.chunks), set("abc"))
        self.assertEqual(state.evict(0, keep), [])
        self.assertEqual([key for key, _ in state.evict(1, keep)], ["a"])

    def test_clear_forgets_what_left_and_what_was_learned(self):
        state = PrefixReuse(2)
        for key in "ab":
            state.insert(key, chunk())
        state.use("ab", lambda _: True)
        state.evict(1, lambda *_: False)
        state.clear()
        self.assertEqual(vars(state), vars(PrefixReuse(2)))

    def test_what_it_remembers_is_bounded(self):
        state = PrefixReuse(5)
        for number in range(1000):
            if len(state.chunks) == 5:
                state.evict(1, lambda *_: False)
            state.insert(number, chunk())
        self.assertLessEqual(len(state._run_of), 5 + REMEMBERED * 5)


@unittest.skipUnless(importlib.util.find_spec("vllm"), "vllm is not installed; scripts/vllm runs this with it")
class WithVllm(unittest.TestCase):
    def setUp(self):
        from vllm.v1.kv_offload.base import ReqContext, make_offload_key
        from vllm.v1.kv_offload.cpu.manager import CPUOffloadingManager

        self.context, self.key = ReqContext, lambda number: make_offload_key(number.to_bytes(16, "big"), 0)
        self.manager = CPUOffloadingManager(4, "KvplacePolicy", "kvplace.vllm")

    def request(self, number, *keys):
        """Loads what is there, stores the rest; the keys that had to leave, None if nothing could be stored."""
        context = self.context(str(number))
        keys = [self.key(key) for key in keys]
        self.manager.on_new_request(context)
        there = [key for key in keys if self.manager._policy.get(key) is not None]
        self.manager.prepare_load(there, context)
        stored = self.manager.prepare_store(keys, context)
        self.manager.complete_load(there, context)
        if stored is not None:
            self.manager.complete_store(stored.keys_to_store, context)
        self.manager.on_request_finished(context)
        return stored and stored.evicted_keys

    def test_its_manager_evicts_what_is_least_valuable(self):
        self.assertEqual(type(self.manager._policy).__name__, "KvplacePolicy")
        self.assertEqual(self.request(0, 1, 2), [])
        self.assertEqual(self.request(1, 1, 2), [])
        self.assertEqual(self.request(2, 3, 4), [])
        # 3 and 4 are younger, but were used once.
        self.assertEqual(self.request(3, 5), [self.key(4)])
        self.assertEqual(self.request(4, 5, 6), [self.key(3)])

    def test_what_transfers_use_stays(self):
        context = self.context("0")
        self.manager.on_new_request(context)
        stored = self.manager.prepare_store([self.key(number) for number in range(3)], context)
        self.assertIsNone(self.request(1, 10, 11))  # three are still being written
        self.manager.complete_store(stored.keys_to_store[:2], context)
        self.manager.complete_store(stored.keys_to_store[2:], context, success=False)
        self.manager.prepare_load([self.key(0)], context)
        self.assertEqual(self.request(2, 10, 11, 12), [self.key(1)])
        self.assertIsNotNone(self.manager._policy.get(self.key(0)))
        self.manager.reset_cache()
        self.assertIsNone(self.manager._policy.get(self.key(0)))
        self.assertEqual(self.request(3, 10, 11, 12, 13), [])

    def test_the_policys_contract_on_random_calls(self):
        """By vLLM's own assertions, and: at most so many chunks, the protected stay, None changes nothing."""
        from vllm.v1.kv_offload.cpu.policies.base import ChunkStatus

        from kvplace.vllm import KvplacePolicy

        random.seed(1)
        policy, there = KvplacePolicy(20), {}
        for step in range(3000):
            free = [key for key, status in there.items() if status.ref_cnt == 0]
            protected = set(random.sample(free, len(free) // 3))
            count = random.randint(0, 3)
            if len(there) + 3 > 20 or random.random() < 0.1:
                left = policy.evict(count, protected)
                if len(free) - len(protected) < count:
                    self.assertIsNone(left)
                else:
                    self.assertEqual(len(left), count)
                    for key, status in left:
                        self.assertIs(there.pop(key), status)
                        self.assertTrue(status.ref_cnt == 0 and key not in protected)
            elif (key := self.key(random.randrange(60))) not in there:
                there[key] = ChunkStatus(step)
                policy.insert(key, there[key])
            if there:
                some = random.choice(list(there))
                there[some].ref_cnt = random.choice((-1, 0, 0, 0, 1))
                policy.touch([some, self.key(99)], self.context("t"))
                if random.random() < 0.02:
                    policy.remove(some)
                    del there[some]
            for key in there:
                self.assertIs(policy.get(key), there[key])
        policy.clear()
        self.assertTrue(all(policy.get(key) is None for key in there))

    def test_copies_on_the_cpu_backend_come_back_where_they_belong(self):
        """Chunks of two blocks; what is loaded begins in the middle of one."""
        import torch
        from vllm.v1.kv_offload.base import CanonicalKVCacheRef, CanonicalKVCaches, CanonicalKVCacheTensor, GPULoadStoreSpec
        from vllm.v1.kv_offload.cpu.common import CPULoadStoreSpec

        from kvplace.vllm import _HostWorker

        torch.manual_seed(0)
        caches = [torch.randint(-100, 100, (8, 4, 4), dtype=torch.int8) for _ in range(2)]
        first, second = (cache.clone() for cache in caches)
        worker = _HostWorker(CanonicalKVCaches([CanonicalKVCacheTensor(cache, 16) for cache in caches],
                                               [[CanonicalKVCacheRef(0, 16)], [CanonicalKVCacheRef(1, 16)]]), 2, 6)
        self.assertTrue(worker.submit_store(7, GPULoadStoreSpec([1, 2, 3, 4, 5, 6], [4, 2], [0, 2]), CPULoadStoreSpec([5, 2, 0])))
        for cache in caches:
            cache.zero_()
        self.assertTrue(worker.submit_load(8, CPULoadStoreSpec([5, 2, 0]), GPULoadStoreSpec([0, 1, 2, 7], [3, 1], [1, 3])))
        self.assertTrue(torch.equal(caches[0][:3], first[2:5]))
        self.assertTrue(torch.equal(caches[1][7], second[6]))
        self.assertEqual([int(cache.count_nonzero()) for cache in caches],
                         [int(first[2:5].count_nonzero()), int(second[6].count_nonzero())])
        self.assertEqual([(done.job_id, done.transfer_size) for done in worker.get_finished()], [(7, 96), (8, 64)])
        self.assertEqual(worker.get_finished(), [])


if __name__ == "__main__":
    unittest.main()
