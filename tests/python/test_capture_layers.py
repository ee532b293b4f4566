"""What is read in layers of each kind: windows, compressed KV, a model's own indexers, and experts left out."""

import unittest
import unittest.mock

import numpy as np
import torch
from capture_test import DECODED, PROMPT, CaptureTest
from tiny_models import FAMILIES, INDEXER, tiny_model, token_ids

import kvplace
from kvplace.capture import examine, text_pass
from kvplace.capture.presets import preset_of

TOPK = INDEXER["index_topk"]
EVERY_INDEXER = (("deepseek-v3.2", (0, 1, 2)), ("glm-dsa", (0, 1, 1)))  # by layer: whose indexer chooses


class Windows(CaptureTest):
    def test_a_window_over_the_context_changes_nothing(self):
        """mistral has no window; its weights are those of the model with one."""
        dense = self.pass_over(tiny_model("mistral"), select="mass:k=10", ranking_depth=20)
        for window in (PROMPT + DECODED, 1000):
            with unittest.mock.patch.dict(FAMILIES, {"wide": sliding(window)}):
                model = tiny_model("wide")
            self.assertEqual([layer.window for layer in examine(model).layers], [window] * 3)
            wide = self.pass_over(model, "wide.kvt", select="mass:k=10", ranking_depth=20)
            self.assertEqual(wide.digest, dense.digest)
            self.assertEqual({len(record.reads) for step in wide for record in step}, {10})

    def test_a_context_that_outgrows_the_window(self):
        """The last step whose tokens the window holds selects, the next one reads the window."""
        dense = self.pass_over(tiny_model("mistral"), select="mass:k=10", ranking_depth=20)
        model = tiny_model("mistral-outgrowing")
        options = {"select": "mass:k=10", "ranking_depth": 20}
        trace = self.pass_over(model, "one.kvt", **options)
        for step in range(DECODED):
            for record, selected in zip(trace[step], dense[step], strict=True):
                tokens = PROMPT + step + 1
                if tokens <= 90:
                    np.testing.assert_array_equal(record.reads, selected.reads)
                    np.testing.assert_array_equal(record.ranking, selected.ranking)
                else:
                    np.testing.assert_array_equal(record.reads, np.arange(tokens - 90, tokens))
                    self.assertEqual(record.ranking[0], tokens - 1)
        with unittest.mock.patch.object(text_pass, "PIECE_TOKENS", 7):
            self.assertEqual(self.pass_over(model, "pieces.kvt", **options).digest, trace.digest)
        self.assertEqual(self.step_by_step(model, **options).digest, trace.digest)

    def test_methods_that_observe_the_prompt(self):
        model = tiny_model("mistral-outgrowing")
        a = self.pass_over(model, select="snapkv:k=20,window=16")
        self.assertEqual(a.digest, self.step_by_step(model, select="snapkv:k=20,window=16").digest)
        self.assertEqual([len(a[step][0].reads) for step in (0, 19, 20)], [21, 40, 90])


def sliding(window):
    def config():
        made = FAMILIES["mistral-sliding"]()
        made.sliding_window = window
        return made

    return config


class CompressedKv(CaptureTest):
    def test_block_bytes(self):
        """The cache holds the latent and the rotary key: 32 + 8 values of 2 bytes; 384 bytes are all heads' keys and
        values, which are computed from it."""
        trace = self.pass_over(tiny_model("deepseek-v3"), select="mass:k=10")
        self.assertEqual((trace.block_tokens, trace.block_bytes), (1, 80))

    def test_the_real_model_is_its_preset(self):
        import transformers

        with torch.device("meta"):
            model = transformers.AutoModelForCausalLM.from_config(
                transformers.DeepseekV32Config(first_k_dense_replace=61), dtype=torch.bfloat16)
        decoder = examine(model, without_experts=True)
        self.assertEqual({layer.kv_bytes_per_token for layer in decoder.layers}, {1152})
        self.assertEqual((decoder.index_topk, preset_of(decoder)), (2048, "deepseek-v3.2"))
        self.assertEqual(kvplace.Model("deepseek-v3.2")["kv_bytes_per_token_per_layer"], "1152B")


class OwnIndexers(CaptureTest):
    def own_choices(self, model):
        """By layer what the indexers return for each position of the text in one pass of the model as it is."""
        found = {}
        hooks = [
            layer.self_attn.indexer.register_forward_hook(
                lambda _module, _inputs, output, index=index: found.__setitem__(index, output[0].numpy()))
            for index, layer in enumerate(model.model.layers) if layer.self_attn.indexer is not None
        ]
        with torch.no_grad():
            logits = model(token_ids(self.text)).logits[0]
        for hook in hooks:
            hook.remove()
        return found, logits

    def test_reads_are_what_the_model_chose(self):
        for family, chooser in EVERY_INDEXER:
            with self.subTest(family):
                model = tiny_model(family)
                own, logits = self.own_choices(model)
                self.assertEqual(sorted(own), sorted(set(chooser)))
                trace = self.pass_over(model, select="indexer", without_experts=True, ranking_depth=TOPK)
                self.assertEqual((trace.selection, trace.block_tokens, trace.block_bytes, trace.experts),
                                 (f"indexer:k={TOPK}", 1, 80, 0))
                for step, records in enumerate(trace):
                    for layer, record in enumerate(records):
                        chosen = own[chooser[layer]][PROMPT + step]
                        np.testing.assert_array_equal(record.reads, np.sort(chosen))
                        np.testing.assert_array_equal(record.ranking, chosen)  # torch.topk's are best first
                # The model attended as it does by itself.
                losses = torch.log_softmax(logits[PROMPT - 1 : -1], 1)[range(DECODED), token_ids(self.text)[0, PROMPT:]]
                self.assertAlmostEqual(trace.measurements["perplexity"], float(torch.exp(-losses.mean())), places=4)
                steps = self.step_by_step(model, select="indexer", without_experts=True, ranking_depth=TOPK)
                self.assertEqual(steps.digest, trace.digest)

    def test_short_prompts_read_all_they_see(self):
        trace = self.pass_over(tiny_model("deepseek-v3.2"), select="indexer", prompt_tokens=3, decode_tokens=15,
                               without_experts=True)
        for step, records in enumerate(trace):
            for record in records:
                self.assertEqual(len(record.reads), min(TOPK, 4 + step))
                self.assertLessEqual(record.reads[-1], 3 + step)

    def test_runners_up(self):
        """Layer 0 does not depend on what is attended to: made to choose more, its indexer names them in order."""
        for family, _ in EVERY_INDEXER:
            model = tiny_model(family)
            trace = self.pass_over(model, select="indexer:k=12", without_experts=True, ranking_depth=30)
            model.model.layers[0].self_attn.indexer.index_topk = 30
            own, _ = self.own_choices(model)
            for step in range(DECODED):
                np.testing.assert_array_equal(trace[step][0].ranking, own[0][PROMPT + step])

    def test_other_selections_leave_the_model_as_it_is(self):
        model = tiny_model("glm-dsa")
        a = self.pass_over(model, select="mass:k=10")
        b = self.pass_over(model, "b.kvt", select="indexer")
        self.assertEqual(a.measurements, b.measurements)
        self.assertEqual({len(record.reads) for step in a for record in step[:1]}, {10})

    def test_refusals(self):
        for family, select, words in (
            ("llama", "indexer", "not every layer of LlamaForCausalLM has an indexer"),
            ("glm-dsa", "indexer:k=2048", "chooses 12 tokens per step: indexer:k=12"),
            ("glm-dsa", "indexer:pages=3", "as many tokens as it was made for"),
        ):
            with self.subTest(select), self.assertRaisesRegex(kvplace.BadInput, words):
                self.pass_over(tiny_model(family), select=select)


class WithoutExperts(CaptureTest):
    def test_blocks_are_those_of_the_kv_cache(self):
        model = tiny_model("mixtral")
        both = self.pass_over(model, select="mass:k=10", ranking_depth=20)
        alone = self.pass_over(model, "kv.kvt", select="mass:k=10", ranking_depth=20, without_experts=True)
        self.assertEqual((both.experts, alone.experts), (6, 0))
        self.assertEqual(alone.measurements, both.measurements)
        for step in range(DECODED):
            for one, other in zip(both[step], alone[step], strict=True):
                np.testing.assert_array_equal(other.reads, one.reads[one.reads >= 6] - 6)
                np.testing.assert_array_equal(other.ranking, one.ranking[one.ranking >= 6] - 6)
        steps = self.step_by_step(model, select="mass:k=10", ranking_depth=20, without_experts=True)
        self.assertEqual(steps.digest, alone.digest)

    def test_routers_that_do_not_show_their_choices(self):
        model = tiny_model("mixtral")
        for layer in model.model.layers:
            gate = layer.mlp.gate
            gate.__class__ = type("Chooser", (type(gate),), {})
        with self.assertRaisesRegex(kvplace.BadInput, "has 6 experts, but no router .*--without-experts"):
            self.pass_over(model, select="mass:k=10")
        self.assertEqual(self.pass_over(model, select="mass:k=10", without_experts=True).experts, 0)

    def test_the_prompts_experts_are_kept(self):
        """By layer, the last used last, as the model's own routers choose in one pass."""
        model = tiny_model("mixtral")
        with torch.no_grad():
            logits = model(token_ids(self.text)[:, :PROMPT], output_router_logits=True).router_logits
        wanted = []
        for layer in logits:
            order: dict[int, None] = {}
            for chosen in layer.topk(2, dim=-1).indices.tolist():
                for expert in sorted(chosen):  # of one token in order
                    order.pop(expert, None)
                    order[expert] = None
            wanted.append(list(order))
        for select in ("router", "mass:k=10"):
            for trace in (self.pass_over(model, select=select), self.step_by_step(model, select=select)):
                self.assertEqual(trace.prompt_experts, wanted)
        with unittest.mock.patch.object(text_pass, "PIECE_TOKENS", 9):
            self.assertEqual(self.pass_over(model, select="router").prompt_experts, wanted)
        self.assertEqual(self.pass_over(tiny_model("llama"), select="mass:k=10").prompt_experts, [])

    def test_nothing_would_be_left(self):
        with self.assertRaisesRegex(kvplace.BadInput, "router: captures experts alone, which without_experts"):
            self.pass_over(tiny_model("mixtral"), select="router", without_experts=True)

    def test_advice_about_the_experts_size_can_be_followed(self):
        trace = self.pass_over(tiny_model("mixtral"), select="router")
        with self.assertRaisesRegex(kvplace.BadInput, "--set model.experts.bytes_per_expert=SIZE"):
            kvplace.Instance(trace, near_blocks_per_layer=3)
        instance = kvplace.Instance(trace, near_blocks_per_layer=3, **{"model.experts.bytes_per_expert": "1MB"})
        self.assertEqual(instance.near_capacity_bytes, 3 * 3 * 10**6)
        self.assertGreater(kvplace.compare(trace, instance, ["lru"])["lru"].near_reads, 0)


if __name__ == "__main__":
    unittest.main()
