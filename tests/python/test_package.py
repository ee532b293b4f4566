"""The package as a user gets it: typed, documented, and complete in a wheel."""

import inspect
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest
import venv

import kvplace
from python_test import BUILD_DIR, PACK, SOURCE_DIR


def run(*command, **options):
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, stdin=subprocess.DEVNULL,
                          **options)
    if done.returncode != 0:
        raise AssertionError(f"{command}\n{done.stdout[-4000:]}{done.stderr[-4000:]}")
    return done.stdout


class Source(unittest.TestCase):
    def test_types(self):
        with tempfile.TemporaryDirectory() as folder:
            run(sys.executable, "-m", "mypy", "--config-file", SOURCE_DIR / "pyproject.toml", "--cache-dir", folder,
                "-p", "kvplace", cwd=folder, env=os.environ | {"MYPYPATH": str(BUILD_DIR / "python")})

    def test_everything_public_is_documented(self):
        for name in kvplace.__all__:
            thing = getattr(kvplace, name)
            self.assertTrue(inspect.getdoc(thing), name)
            if inspect.isclass(thing):
                for member, value in vars(thing).items():
                    if not member.startswith("_") and (callable(value) or isinstance(value, property)):
                        self.assertTrue(inspect.getdoc(value), f"{name}.{member}")

    def test_the_page_names_everything_public(self):
        text = (SOURCE_DIR / "docs/python.md").read_text(encoding="utf-8")
        self.assertEqual([name for name in kvplace.__all__ if f"`{name}" not in text and f"kvplace.{name}" not in text],
                         [])


class Wheel(unittest.TestCase):
    """pip makes a wheel of what is compiled, without a network; a fresh environment runs it."""

    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory(prefix="kvplace-wheel-")
        cls.addClassCleanup(folder.cleanup)
        cls.folder = pathlib.Path(folder.name)
        run(sys.executable, "-m", "pip", "wheel", SOURCE_DIR, *PACK, "-w", cls.folder,
            env={key: value for key, value in os.environ.items() if key != "PYTHONPATH"})
        (cls.wheel,) = cls.folder.glob("kvplace-*.whl")
        # The environment sees numpy and pandas of this one.
        env = cls.folder / "env"
        venv.create(env, with_pip=False)
        site = next(env.glob("lib/python*/site-packages"))
        here = pathlib.Path(sys.prefix) / site.relative_to(env)
        (site / "tests.pth").write_text(f"{here}\n")
        run(sys.executable, "-m", "pip", "--python", env / "bin/python", "install", "--no-deps", "--no-index", "-q",
            "--ignore-installed", cls.wheel)
        cls.bin = env / "bin"
        cls.clean = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "KVPLACE_BIN")}

    def python(self, code):
        return run(self.bin / "python", "-c", code, cwd=self.folder, env=self.clean)

    def test_version_stands_in_one_place(self):
        version = self.python("import kvplace; print(kvplace.__version__)").strip()
        self.assertEqual(version, kvplace.__version__)
        self.assertTrue(self.wheel.name.startswith(f"kvplace-{version}-"))
        self.assertIn(f"kvplace {version}", run(self.bin / "kvplace", "--version", env=self.clean))

    def test_the_demo_runs_from_the_package_and_from_the_command(self):
        printed = self.python("import kvplace; assert 'env' in kvplace.__file__; print(kvplace.demo())")
        self.assertIn(printed.strip(), run(self.bin / "kvplace", "demo", cwd=self.folder, env=self.clean))

    def test_it_is_typed_and_lean(self):
        import zipfile

        names = zipfile.ZipFile(self.wheel).namelist()
        for needed in ("kvplace/py.typed", "kvplace/_core.pyi", "kvplace/bin/kvplace",
                       "kvplace/share/kvplace/data/smollm2-holmes-page16-k64.kvt"):
            self.assertIn(needed, names)
        for words in ("man/man1/kvplace.1", "bash-completion/completions/kvplace", "zsh/site-functions/_kvplace",
                      "fish/vendor_completions.d/kvplace.fish"):
            self.assertTrue(any(name.endswith(f".data/data/share/{words}") for name in names), words)
        stray = [n for n in names if not n.startswith(("kvplace/", "kvplace-")) or n.endswith((".a", ".cmake", ".h"))]
        self.assertEqual(stray, [])


if __name__ == "__main__":
    unittest.main()
