"""The documentation names what there is, its links lead somewhere, and the commands and code it shows work."""

import json
import os
import re
import shlex
import shutil
import subprocess
import tempfile
import unittest
from pathlib import Path

SOURCE = Path(os.environ.get("KVPLACE_SOURCE_DIR") or Path(__file__).resolve().parents[2])
BIN = os.environ.get("KVPLACE_BIN")
if BIN is not None:
    BIN = str(Path(BIN).resolve())

LINK = re.compile(r"\]\(([^)\s]+)\)")
SOURCE_FILE = re.compile(r"\[([\w/]+\.(?:cpp|h))\b[^\]]*\](?!\()")
CODE_BLOCK = re.compile(r"^```cpp\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PAGE_OF = {"policies": "docs/policies.md", "hardware": "docs/configuration.md", "models": "docs/configuration.md",
           "engines": "docs/engines.md",
           "formats": "docs/verbs/import.md", "generators": "docs/generators.md"}


def pages():
    return [SOURCE / "README.md", SOURCE / "CONTRIBUTING.md", SOURCE / "src/solve/README.md",
            *sorted((SOURCE / "docs").rglob("*.md"))]


def text_of(name):
    return (SOURCE / name).read_text(encoding="utf-8")


def run(*command, **options):
    return subprocess.run([str(part) for part in command], capture_output=True, text=True, stdin=subprocess.DEVNULL,
                          timeout=300, **options)


def kvplace(*arguments, **options):
    done = run(BIN, *arguments, **options)
    if done.returncode != 0:
        raise AssertionError(f"kvplace {shlex.join(map(str, arguments))}: exit {done.returncode}\n{done.stderr}")
    return done.stdout


def shown_commands(text):
    """Command lines of indented blocks that begin with kvplace, continued lines joined."""
    joined = re.sub(r"\\\n\s*", "", text)
    for line in joined.splitlines():
        if match := re.match(r"    (?:\$ )?kvplace (.*)", line):
            yield shlex.split(match[1])


def verbs():
    listed = kvplace("--help").split("Subcommands:")[1]
    return re.findall(r"^  ([a-z][a-z-]*)", listed, re.MULTILINE)


def has_code(text, name):
    return f"`{name}`" in text


class Links(unittest.TestCase):
    def test_relative_links_resolve(self):
        broken = []
        for page in pages():
            for target in LINK.findall(page.read_text(encoding="utf-8")):
                if re.match(r"[a-z]+:", target) or target.startswith("#"):
                    continue
                if not (page.parent / target.split("#")[0]).exists():
                    broken.append(f"{page.relative_to(SOURCE)}: {target}")
        self.assertEqual(broken, [])

    def test_source_files_in_brackets_exist(self):
        """Those that say where a rule lives."""
        files = [str(p.relative_to(SOURCE)) for folder in ("src", "include", "tests")
                 for p in (SOURCE / folder).rglob("*.*")]
        named = [(page.name, name) for page in pages() for name in SOURCE_FILE.findall(page.read_text(encoding="utf-8"))]
        self.assertTrue(named)
        self.assertEqual([f"{page}: {name}" for page, name in named
                          if not any(f"/{file}".endswith(f"/{name}") for file in files)], [])

    def test_every_page_is_linked(self):
        linked = {(page.parent / target.split("#")[0]).resolve()
                  for page in pages() for target in LINK.findall(page.read_text(encoding="utf-8")) if ":" not in target}
        self.assertEqual([str(p.relative_to(SOURCE)) for p in pages()[1:] if p.resolve() not in linked], [])


class Files(unittest.TestCase):
    def test_every_policy_file_is_documented(self):
        text = text_of("docs/policies.md")
        files = sorted(p.name for p in (SOURCE / "src/policy/policies").glob("*.cpp"))
        self.assertTrue(files)
        self.assertEqual([name for name in files if name not in text], [])


class Citations(unittest.TestCase):
    """Pages are cited by heading, which stays when a page grows; and the heading is there."""

    CITED = re.compile(r'formulation(?:\.md\)?)?,\s+(?:\S+ )?"([^"\\]+)\\?"(?: and "([^"]+)")?')
    FILES = ("src", "include", "apps", "python", "tests", "tools", "scripts", "docs", "README.md", "CONTRIBUTING.md")

    def texts(self):
        for name in self.FILES:
            path = SOURCE / name
            for file in [path] if path.is_file() else sorted(p for p in path.rglob("*") if p.is_file()):
                if file.suffix in (".cpp", ".h", ".py", ".md", "") and file != Path(__file__).resolve():
                    yield str(file.relative_to(SOURCE)), file.read_text(encoding="utf-8")

    def test_headings_cited_are_there(self):
        headings = set(re.findall(r"^#+ (.*)$", text_of("docs/formulation.md"), re.MULTILINE))
        cited = [(name, heading) for name, text in self.texts() for found in self.CITED.findall(text)
                 for heading in found if heading]
        self.assertGreater(len(cited), 10)
        self.assertEqual([(name, heading) for name, heading in cited if heading not in headings], [])

    def test_no_page_is_cited_by_number(self):
        numbered = re.compile(r"(formulation|bound|certificate)(\.md\)?)?,? sections? [0-9]", re.IGNORECASE)
        self.assertEqual([name for name, text in self.texts() if numbered.search(text)], [])


@unittest.skipUnless(BIN, "KVPLACE_BIN names no program")
class Names(unittest.TestCase):
    def test_everything_listed_is_documented(self):
        for what, page in PAGE_OF.items():
            text = text_of(page)
            if what == "formats":
                text += text_of("docs/verbs/export.md")
            for entry in json.loads(kvplace("list", what, "--json")):
                name = entry["name"]
                with self.subTest(what=what, name=name):
                    self.assertTrue(has_code(text, name) or f"**{name}**" in text, f"{page} does not name {name}")

    def test_policies_and_parameters_are_as_listed(self):
        text = text_of("docs/policies.md")
        formulation = text_of("docs/formulation.md")
        for entry in json.loads(kvplace("list", "policies", "--json")):
            with self.subTest(policy=entry["name"]):
                row = re.search(rf"^\| `{re.escape(entry['name'])}` \|[^|]*\| ([a-z]+)", text, re.MULTILINE)
                self.assertIsNotNone(row, "has no row")
                self.assertEqual(row[1], entry["information"])
                self.assertRegex(formulation, rf"`{re.escape(entry['name'])}[`:]")
                for parameter in entry["parameters"]:
                    self.assertRegex(text, rf"(?m)^\| `{entry['name']}` \| `{parameter['name']}` \|")

    def test_every_verb_has_a_page_with_its_flags(self):
        self.assertIn("compare", verbs())
        documented = sorted(p.stem for p in (SOURCE / "docs/verbs").glob("*.md"))
        self.assertEqual(documented, sorted(verbs()))
        for verb in verbs():
            text = text_of(f"docs/verbs/{verb}.md")
            if "those of [compare]" in text:
                text += text_of("docs/verbs/compare.md")
            flags = set(re.findall(r"(--[a-z][a-z-]*)", kvplace(verb, "--help"))) - {"--help"}
            with self.subTest(verb=verb):
                self.assertEqual([flag for flag in sorted(flags) if not has_code(text, flag)], [])

    def test_generator_keys(self):
        text = text_of("docs/verbs/generate.md")
        table = ""
        keys = []
        for line in kvplace("generate", "dsa-32k", "--show-config").splitlines():
            if match := re.match(r"\[(.*)\]", line):
                table = match[1] + "."
            elif match := re.match(r"([a-z_]+) = ", line):
                keys.append(table + match[1])
        self.assertIn("churn.overlap", keys)
        self.assertEqual([key for key in keys if not has_code(text, key)], [])

    def test_configuration_keys(self):
        text = text_of("docs/configuration.md")
        shown = kvplace("show-config", "--model", "mixtral-8x7b", "--hardware", "h100-sxm-pcie5")
        keys = re.findall(r"^([a-z_.]+) = ", shown, re.MULTILINE)
        self.assertTrue(keys)
        self.assertEqual([key for key in keys if not has_code(text, key)], [])


@unittest.skipUnless(BIN, "KVPLACE_BIN names no program")
class Commands(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="kvplace-docs-")
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        for name in ("data", "examples"):
            (self.folder / name).symlink_to(SOURCE / name)

    def test_worked_example(self):
        """The numbers of the formulation's example come from the commands beside them."""
        text = text_of("docs/formulation.md")
        (self.folder / "example.csv").write_text('n,l,read_kv\n0,0,"[0, 1, 3]"\n1,0,"[1, 2, 4]"\n2,0,"[0, 1, 5]"\n')
        *_, imported, compared = shown_commands(text)
        kvplace(*imported, cwd=self.folder)
        results = json.loads(kvplace(*compared, cwd=self.folder))["results"]
        self.assertEqual([(r["policy"], r["far_reads"]) for r in results], [("lru", 4), ("belady", 3)])
        for r, microseconds in zip(results, (14, 12.857)):
            self.assertAlmostEqual(r["total_s"] * 1e6, microseconds, places=3)
            self.assertIn(f"{microseconds} us", text)

    def test_json_keys_are_documented(self):
        text = text_of("docs/json.md")
        trace = "data/smollm2-holmes-page16-k64.kvt"
        compared = json.loads(kvplace("compare", trace, "--policy", "static", "--json", cwd=self.folder))
        info = json.loads(kvplace("info", trace, "--json", cwd=self.folder))
        keys = {*compared, *compared["results"][0], *compared["manifest"], *compared["instance"], *info}
        keys |= {f"bounds.{key}" for key in compared["bounds"]}
        (self.folder / "t.csv").write_text('n,l,read_kv\n0,0,"[0, 1, 3]"\n1,0,"[1, 2, 4]"\n')
        kvplace("import", "t.csv", "-o", "t.kvt", "--format", "fang-csv", "--prompt-tokens", 3, cwd=self.folder)
        proven = json.loads(kvplace("bound", "t.kvt", "--block-bytes", "1MB", "--near-capacity", "3MB", "-o", "t.cert",
                                    "--exact", "--json", cwd=self.folder))
        keys |= {*proven, *proven["exact"], *json.loads(kvplace("verify", "t.kvt", "t.cert", "--json", cwd=self.folder))}
        instance = ("t.kvt", "--block-bytes", "1MB", "--near-capacity", "3MB")
        sized = json.loads(kvplace("size", *instance, "--target", "90%", "--json", cwd=self.folder))
        budgets = json.loads(kvplace("budgets", *instance, "--json", cwd=self.folder))
        kvplace("generate", "dsa-32k", "-o", "d.kvt", "--layers", 1, "--steps", 2, "--prompt-tokens", 2100, cwd=self.folder)
        dsa = json.loads(kvplace("budgets", "d.kvt", "--model", "deepseek-v3.2", "--near-blocks-per-layer", 100, "--json",
                                 cwd=self.folder))
        keys |= {*sized, *sized["range"], *sized["answers"][0], *sized["answers"][0]["brackets"][0]}
        keys |= {*budgets, *budgets["checks"][0], *budgets["checks"][0]["equal"], *dsa["engine_settings"]}
        self.assertEqual([key for key in sorted(keys - {"bounds"}) if not has_code(text, key)], [])


@unittest.skipUnless(shutil.which("c++"), "no C++ compiler")
class Code(unittest.TestCase):
    def compile(self, path):
        done = run("c++", "-std=c++20", "-fsyntax-only", "-Wall", "-Wextra", f"-I{SOURCE / 'include'}",
                   f"-I{SOURCE / 'src'}", path)
        self.assertEqual(done.returncode, 0, done.stderr)

    def test_code_in_contributing_compiles(self):
        blocks = CODE_BLOCK.findall(text_of("CONTRIBUTING.md"))
        self.assertTrue(blocks)
        with tempfile.TemporaryDirectory(prefix="kvplace-docs-") as folder:
            for i, block in enumerate(blocks):
                path = Path(folder) / f"block_{i}.cpp"
                path.write_text(block, encoding="utf-8")
                self.compile(path)

    def test_examples_compile(self):
        for path in sorted((SOURCE / "examples").glob("*.cpp")):
            self.compile(path)


if __name__ == "__main__":
    unittest.main()
