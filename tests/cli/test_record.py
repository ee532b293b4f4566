"""`kvplace record` against servers in this file that answer as the engines' documented APIs do.

SGLang 0.5.23: POST /generate with return_indexer_topk and return_routed_experts answers meta_info with base64 of int32
[prompt + completion - 1, layers, k]; GET /server_info tells how it was started. vLLM 0.32: POST /v1/completions answers
choices with routed_experts, and as its pull request 49555 does with indexer_topk, base64 of a .npy file; POST /tokenize
counts tokens; GET /v1/models names the model.
"""

from __future__ import annotations

import base64
import http.server
import io
import json
import os
import signal
import threading
import time
import unittest

import numpy as np

import cli

LAYERS, TOP_K, EXPERTS, ACTIVE = 3, 16, 12, 2


def tokens_of(prompt: object) -> list[int]:
    """A token per word."""
    return prompt if isinstance(prompt, list) else [len(word) for word in str(prompt).split()]


def arrays_of(prompt: object, completion: int) -> tuple[np.ndarray, np.ndarray]:
    """What indexers and routers choose, from the prompt alone: [tokens, layers, k]."""
    rows = len(tokens_of(prompt)) + completion - 1
    rng = np.random.default_rng(sum(tokens_of(prompt)))
    topk = np.full((rows, LAYERS, TOP_K), -1, np.int32)
    routed = np.empty((rows, LAYERS, ACTIVE), np.int32)
    for t in range(rows):
        for layer in range(LAYERS):
            chosen = rng.permutation(t + 1)[:TOP_K]
            topk[t, layer, : len(chosen)] = chosen
            routed[t, layer] = rng.permutation(EXPERTS)[:ACTIVE]
    return topk, routed


def packed(array: np.ndarray) -> str:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return base64.b64encode(buffer.getvalue()).decode()


class Server(http.server.ThreadingHTTPServer):
    """An engine. What goes wrong is said by the attributes."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.has_indexer, self.has_experts = True, True
        self.delay = 0.0  #: before each answer [s]
        self.fails_at: set[int] = set()  #: numbers of posts that end in the middle of the answer
        self.status_at: dict[int, int] = {}  #: numbers of posts, and the status that they are answered with
        self.posts: list[dict] = []  #: what prompts were posted
        self.keys: list[str | None] = []
        self.paths: list[str] = []
        self.spec_verify_ct = 0
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def handle_error(self, *_: object) -> None:
        """A client that is gone is part of the tests."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class Handler(http.server.BaseHTTPRequestHandler):
    server: Server

    def log_message(self, *_: object) -> None:
        pass

    def answer(self, content: object, status: int = 200) -> None:
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self) -> None:
        if self.path == "/server_info":
            self.answer({"enable_return_indexer_topk": self.server.has_indexer,
                         "enable_return_routed_experts": self.server.has_experts, "speculative_algorithm": None})
        elif self.path == "/v1/models":
            self.answer({"object": "list", "data": [{"id": "tiny", "object": "model"}]})
        else:
            self.answer({"detail": "Not Found"}, 404)

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.keys.append(self.headers.get("Authorization"))
        self.server.paths.append(self.path)
        if self.path == "/tokenize":
            self.answer({"count": len(tokens_of(asked["prompt"])), "max_model_len": 4096})
            return
        number = len(self.server.posts)
        self.server.posts.append(asked)
        time.sleep(self.server.delay)
        answers = {"/generate": self.generate, "/v1/completions": self.complete}
        if self.path not in answers:
            self.answer({"detail": "Not Found"}, 404)
            return
        content = answers[self.path](asked)
        status = self.server.status_at.get(number, 200)
        if status != 200:
            self.answer({"error": {"message": f"no room for prompt {number}"}}, status)
        elif number in self.server.fails_at:
            body = json.dumps(content).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body[: len(body) // 2])
            self.close_connection = True
        else:
            self.answer(content)

    def generate(self, asked: dict) -> dict:
        prompt = asked.get("input_ids") or asked["text"]
        completion = asked["sampling_params"]["max_new_tokens"]
        meta = {"id": f"r{len(self.server.posts)}", "prompt_tokens": len(tokens_of(prompt)),
                "completion_tokens": completion, "finish_reason": {"type": "length", "length": completion}}
        if self.server.spec_verify_ct:
            meta["spec_verify_ct"] = self.server.spec_verify_ct
        topk, routed = arrays_of(prompt, completion)
        if asked.get("return_indexer_topk") and self.server.has_indexer:
            meta["indexer_topk"] = base64.b64encode(topk.tobytes()).decode()
        if asked.get("return_routed_experts") and self.server.has_experts:
            meta["routed_experts"] = base64.b64encode(routed.tobytes()).decode()
        return {"text": "...", "output_ids": [7] * completion, "meta_info": meta}

    def complete(self, asked: dict) -> dict:
        prompt, completion = asked["prompt"], asked["max_tokens"]
        choice = {"index": 0, "text": "...", "finish_reason": "length"}
        if asked.get("return_token_ids"):
            choice["token_ids"] = [7] * completion
        topk, routed = arrays_of(prompt, completion)
        if self.server.has_indexer:
            choice["indexer_topk"] = packed(topk[asked.get("indexer_topk_prompt_start", 0):])
        if self.server.has_experts:
            choice["routed_experts"] = packed(routed.astype(np.int16))
        return {"id": f"cmpl-{len(self.server.posts)}", "object": "text_completion", "model": asked.get("model"),
                "choices": [choice],
                "usage": {"prompt_tokens": len(tokens_of(prompt)), "completion_tokens": completion}}


def prompt_of(number: int) -> str:
    return " ".join("w" * (1 + (number * 7 + i) % 5) for i in range(20 + number))


class Record(cli.CliTest):
    def setUp(self) -> None:
        super().setUp()
        self.server = Server()
        self.addCleanup(self.server.server_close)
        self.addCleanup(self.server.shutdown)

    def prompts(self, count: int) -> str:
        """Texts, lists of tokens and objects, in turn."""
        lines: list[object] = []
        for i in range(count):
            prompt = prompt_of(i)
            lines.append([prompt, tokens_of(prompt), {"prompt": prompt}][i % 3])
        return self.write("prompts.jsonl", "".join(json.dumps(line) + "\n" for line in lines))

    def arguments(self, engine: str, *more: object) -> tuple[object, ...]:
        return ("record", engine, "--url", self.server.url, "--prompts", "prompts.jsonl", "-o", "t.kvt", "--max-tokens",
                9, *more)

    def ended(self, arguments: tuple[object, ...], code: int, *says: str) -> None:
        """Asserts that a recording ends with this code and one line on stderr, whatever traces it told of before."""
        ran = self.run_cli(*arguments)
        self.assertEqual(ran.code, code, ran)
        self.assertRegex(ran.err, r"\Akvplace: [^\n]+\n\Z", ran)
        for part in says:
            self.assertIn(part, ran.err)

    def check_trace(self, name: str, number: int, experts: bool, steps: int = 8) -> None:
        """The trace is what the server chose in decode steps, as an array that is imported alone."""
        topk, routed = arrays_of(prompt_of(number), steps + 1)
        prompt = 20 + number
        np.save(self.path("alone.npy"), np.sort(routed if experts else topk, axis=2)[prompt:])
        more = ("--experts", EXPERTS) if experts else ("--prompt-tokens", prompt)
        self.ok("import", "alone.npy", "-o", "alone.kvt", "--prompt-rows", 0, *more)
        digests = [self.json("info", path)["manifest"]["digest"] for path in (name, "alone.kvt")]
        self.assertEqual(*digests)
        os.remove(self.path("alone.npy"))
        os.remove(self.path("alone.kvt"))

    def test_both_engines(self) -> None:
        self.prompts(4)
        for engine in ("sglang", "vllm"):
            for experts in (False, True):
                with self.subTest(engine=engine, experts=experts):
                    more = ("--experts", EXPERTS, "--layers", LAYERS) if experts else ()
                    said = self.ok(*self.arguments(engine, *more))
                    self.assertIn("t-3.kvt: 8 decode steps, 3 layers", said)
                    for i in range(4):
                        self.check_trace(f"t-{i}.kvt", i, experts)
                    self.assertEqual(self.names(), ["prompts.jsonl", *(f"t-{i}.kvt" for i in range(4))])
                    self.assertIn(engine, self.json("info", "t-1.kvt")["source"])
        posts = self.server.posts
        self.assertEqual(posts[0]["text"], prompt_of(0))
        self.assertEqual(posts[1]["input_ids"], tokens_of(prompt_of(1)))
        self.assertTrue(posts[0]["return_indexer_topk"] and posts[0]["return_routed_experts"])
        self.assertEqual((posts[8]["model"], posts[8]["max_tokens"], posts[8]["indexer_topk_prompt_start"]), ("tiny", 9, 20))

    def test_one_text_is_one_prompt(self) -> None:
        self.write("prompts.jsonl", "one two\nthree four five\n")
        self.ok(*self.arguments("sglang", "--sampling", '{"temperature": 0.6, "top_k": 4}'))
        self.assertEqual(self.names(), ["prompts.jsonl", "t.kvt"])
        self.assertEqual(self.server.posts[0]["text"], "one two\nthree four five\n")
        self.assertEqual(self.server.posts[0]["sampling_params"], {"max_new_tokens": 9, "temperature": 0.6, "top_k": 4})

    def test_a_server_that_fails_in_the_middle(self) -> None:
        for engine in ("sglang", "vllm"):
            for fault in ("cut", "status"):
                with self.subTest(engine=engine, fault=fault):
                    self.prompts(5)
                    begin = len(self.server.posts)
                    self.server.fails_at, self.server.status_at = set(), {}
                    if fault == "cut":
                        self.server.fails_at = {begin + 2}
                    else:
                        self.server.status_at = {begin + 2: 503}
                    says = "before it was whole" if fault == "cut" else "no room for prompt"
                    self.ended(self.arguments(engine), cli.FAILED, "prompt 2: ", says, "2 of 5 prompts are recorded")
                    self.assertEqual(self.names(), ["prompts.jsonl", "t-0.kvt", "t-1.kvt", "t.record.json"])
                    said = self.ok(*self.arguments(engine))
                    self.assertIn("recorded before: 2 of 5 prompts", said)
                    self.assertEqual(len(self.server.posts), begin + 6)  # five, and the one that failed
                    for i in range(5):
                        self.check_trace(f"t-{i}.kvt", i, False)
                        os.remove(self.path(f"t-{i}.kvt"))
                    self.assertEqual(self.names(), ["prompts.jsonl"])

    def test_a_slow_server_and_a_stop(self) -> None:
        self.prompts(4)
        self.server.delay = 0.7
        process = cli.start(*self.arguments("sglang"), cwd=self.folder)
        while len(self.server.posts) < 2:
            time.sleep(0.02)
        time.sleep(0.3)  # in the middle of the wait for the second answer
        began = time.monotonic()
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=30)
        self.assertLess(time.monotonic() - began, 0.6, "does not wait for the answer")
        self.assertEqual(process.returncode, cli.LIMIT_REACHED, err)
        self.assertIn(b"1 of 4 prompts are recorded", err)
        self.assertEqual(self.names(), ["prompts.jsonl", "t-0.kvt", "t.record.json"])
        self.ok(*self.arguments("sglang"))
        for i in range(4):
            self.check_trace(f"t-{i}.kvt", i, False)

    def test_an_answer_that_takes_too_long(self) -> None:
        self.prompts(1)
        self.server.delay = 2.5
        self.refused(self.run_cli(*self.arguments("sglang", "--timeout", "1s")), cli.FAILED, "--timeout")
        self.assertEqual(self.names(), ["prompts.jsonl"])

    def test_a_prompt_that_is_refused(self) -> None:
        self.prompts(3)
        self.server.status_at = {1: 400}
        ran = self.run_cli(*self.arguments("sglang"))
        self.assertEqual(ran.code, cli.FAILED, ran)
        self.assertIn("prompt 1: the server refused it, status 400: no room for prompt 1", ran.err)
        self.assertIn("1 of 3 prompts are not recorded", ran.err)
        self.assertEqual(self.names(), ["prompts.jsonl", "t-0.kvt", "t-2.kvt", "t.record.json"])
        self.ok(*self.arguments("sglang"))
        self.assertEqual(self.names(), ["prompts.jsonl", "t-0.kvt", "t-1.kvt", "t-2.kvt"])
        # What is wrong with the first is told at once.
        self.server.status_at = {len(self.server.posts): 400}
        self.refused(self.run_cli(*self.arguments("vllm")), cli.BAD_INPUT, "status 400")

    def test_the_server_is_asked_for_what_it_has(self) -> None:
        self.prompts(1)
        self.server.has_indexer = False
        self.refused(self.run_cli(*self.arguments("sglang")), cli.BAD_INPUT, "--layers", "t.kvt.answer")
        self.assertEqual(self.names(), ["prompts.jsonl", "t.kvt.answer"])
        self.ok("import", "t.kvt.answer", "-o", "later.kvt", "--layers", LAYERS)
        self.assertNotIn("return_indexer_topk", self.server.posts[-1])
        self.ok(*self.arguments("sglang", "--layers", LAYERS))
        self.assertEqual(self.json("info", "t.kvt")["manifest"]["digest"],
                         self.json("info", "later.kvt")["manifest"]["digest"])
        self.server.has_experts = False
        self.refused(self.run_cli(*self.arguments("sglang")), cli.BAD_INPUT, "--enable-return-indexer-topk",
                     "--enable-return-routed-experts")
        self.refused(self.run_cli(*self.arguments("vllm")), cli.BAD_INPUT, "neither indexer_topk nor routed_experts")

    def test_the_model_tells_layers_and_experts(self) -> None:
        """Qwen3-30B-A3B has 48 layers of 128 experts; this server has as many rows with --layers 3 alone."""
        self.prompts(1)
        self.server.has_indexer = False
        self.refused(self.run_cli(*self.arguments("sglang", "--model", "qwen3-30b-a3b")), cli.BAD_INPUT, "48 layers")
        self.ok(*self.arguments("sglang", "--model", "qwen3-30b-a3b", "--layers", LAYERS))
        info = self.json("info", "t.kvt")
        self.assertEqual((info["layers"], info["experts"], info["blocks"]), (LAYERS, 128, 128))

    def test_several_tokens_per_step_are_refused(self) -> None:
        self.prompts(1)
        self.server.spec_verify_ct = 3
        self.refused(self.run_cli(*self.arguments("sglang")), cli.BAD_INPUT, "speculative decoding")

    def test_a_key_is_sent(self) -> None:
        self.prompts(1)
        os.environ["KVPLACE_API_KEY"] = "abc"
        self.addCleanup(os.environ.pop, "KVPLACE_API_KEY")
        self.ok(*self.arguments("sglang"))
        self.assertEqual(self.server.keys[-1], "Bearer abc")

    def test_an_address_behind_a_path(self) -> None:
        self.prompts(1)
        arguments = list(self.arguments("sglang"))
        arguments[3] = f"{self.server.url}/none/"
        self.refused(self.run_cli(*arguments), cli.BAD_INPUT, "status 404: Not Found")
        self.assertEqual(self.server.paths[-1], "/none/generate")

    def test_bad_input(self) -> None:
        self.prompts(2)
        whole = list(self.arguments("sglang"))
        for place, value, code, *says in (
            (1, "llama", cli.BAD_INPUT, "llama"),
            (3, "127.0.0.1:30000", cli.BAD_INPUT, "--url", "http://127.0.0.1:30000"),
            (3, "http:///generate", cli.BAD_INPUT, "--url"),
            (3, "http://127.0.0.1:1", cli.FAILED, "no server answers"),
            (5, "none.jsonl", cli.BAD_INPUT, "none.jsonl"),
            (7, "none/t.kvt", cli.BAD_INPUT, "none/t.kvt"),
            (9, "0", cli.BAD_INPUT, "--max-tokens"),
        ):
            arguments = list(whole)
            arguments[place] = value
            with self.subTest(value=value):
                self.refused(self.run_cli(*arguments), code, *says)
        for sampling in ("[1]", "{temperature}"):
            self.refused(self.run_cli(*whole, "--sampling", sampling), cli.BAD_INPUT, "--sampling")
        for content, says in (("", "no prompt"), ('{"text": "a"}\n', "prompts.jsonl:1: expected"), ('"a"\n{"prompt": 1}',
                              "prompts.jsonl:2: expected"), ("[1, -2]", ":1: expected"), ('["a"]', ":1: expected"),
                              ('{"prompt": "a", "max_tokens": 0}', "max_tokens"), (b"\xff\xfe bytes", "no UTF-8 text")):
            self.write("prompts.jsonl", content)
            with self.subTest(content=content):
                self.refused(self.run_cli(*whole), cli.BAD_INPUT, says)
        self.assertEqual(self.names(), ["prompts.jsonl"])
        self.assertEqual(self.server.posts, [])

    def test_the_state_of_another_recording(self) -> None:
        self.prompts(3)
        self.server.fails_at = {1}
        self.ended(self.arguments("sglang"), cli.FAILED, "1 of 3 prompts")
        self.refused(self.run_cli(*self.arguments("sglang", "--sampling", '{"seed": 1}')), cli.BAD_INPUT, "t.record.json",
                     "other options")
        self.prompts(2)
        self.refused(self.run_cli(*self.arguments("sglang")), cli.BAD_INPUT, "t.record.json", "other prompts")
        self.write("t.record.json", "{}")
        self.refused(self.run_cli(*self.arguments("sglang")), cli.BAD_INPUT, "t.record.json", "no state of a recording")
        os.remove(self.path("t.record.json"))
        self.ok(*self.arguments("sglang"))


if __name__ == "__main__":
    unittest.main()
