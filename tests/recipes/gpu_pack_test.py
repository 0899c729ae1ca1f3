"""The pack for a machine with a GPU: what its run.sh makes of programs that pass, fail, hang and are cut, and what pack.sh refuses.

The programs are shell scripts, and torch is a module of a few lines that says that there is a GPU.
"""

import contextlib
import hashlib
import io
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest
import unittest.mock
import zipfile
from pathlib import Path

RECIPE = Path(__file__).resolve().parents[2] / "recipes/gpu_check"
sys.path.insert(0, str(RECIPE))
import older_versions  # noqa: E402
import pack_check  # noqa: E402

TORCH = """
__version__ = "{version}"
class version: cuda = "13.0"
class cuda:
    is_available = staticmethod(lambda: {gpu})
    get_device_name = staticmethod(lambda n: "A GPU of paper")
    get_device_capability = staticmethod(lambda n: (9, 0))
    get_device_properties = staticmethod(lambda n: type("", (), {{"total_memory": 10**9}}))
"""
# What end_to_end.py and memory.py ask of the program, by the last words of its command line.
PROGRAM = """#!/bin/sh
case "$*" in
  *doctor*) echo "gpu router: right" ;;
  *--dry-run*) echo '{"memory": {"total": 1000}}' ;;
  *) echo '{"tasks": [{"task": "english", "loss": 1.5, "after": 1.5}], "memory": {"peak": 800}}' ;;
esac
"""
PARTS = ["Kernels against the CPU (doctor)", "Device tests", "A small model's life, GPU beside CPU", "Speed", "Memory: the plan and the peak"]


class PackRun(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.pack, self.out = self.folder / "pack", self.folder / "report.md"
        for name in ("bin", "recipes/gpu_check", "tests"):
            (self.pack / name).mkdir(parents=True)
        shutil.copy(RECIPE / "pack/run.sh", self.pack)
        for name in ("pack_run.py", "report.py", "end_to_end.py", "memory.py", "peers.py"):
            shutil.copy(RECIPE / name, self.pack / "recipes/gpu_check")
        self.program("mformer", PROGRAM)
        self.program("mformer_device_tests", "#!/bin/sh\necho '[       OK ] Router (3 ms)'\necho \"[  PASSED  ] shard $GTEST_SHARD_INDEX\"\n")
        self.program("mformer_gpu_bench", "#!/bin/sh\necho 'attention 1.5 ms'\n")
        self.torch()

    def program(self, name, text):
        (self.pack / "bin" / name).write_text(text)
        (self.pack / "bin" / name).chmod(0o755)
        self.write_manifest()

    def write_manifest(self):
        lines = ["# mformer, commit 1234\n"]
        for path in sorted(self.pack.rglob("*")):
            if path.is_file() and path.name != "MANIFEST":
                lines.append(f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.relative_to(self.pack)}\n")
        (self.pack / "MANIFEST").write_text("".join(lines))

    def torch(self, version="2.11.0", gpu=True):
        (self.folder / "site/torch").mkdir(parents=True, exist_ok=True)
        (self.folder / "site/torch/__init__.py").write_text(TORCH.format(version=version, gpu=gpu))

    def start(self, *options, **more):
        environment = {**os.environ, "PYTHONPATH": str(self.folder / "site"), "TMPDIR": str(self.folder), **more}
        return subprocess.Popen([self.pack / "run.sh", "--python", sys.executable, "--out", self.out, *options], env=environment,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def run_pack(self, *options, code, **more):
        process = self.start(*options, **more)
        out, err = process.communicate(timeout=120)
        self.assertEqual(process.returncode, code, out + err)
        self.assertNotIn("Traceback", err)
        return err

    def results(self):
        rows = [line.strip("| \n").split(" | ") for line in self.out.read_text().splitlines() if line.startswith("| ")]
        return {row[0]: row[1].strip(" |") for row in rows if row[0] not in ("part", "training, context 256") and len(row) < 4}

    def wait_for(self, text):
        """Until the report says it: it's written while a part runs."""
        for _ in range(600):
            if self.out.exists() and text in self.out.read_text():
                return
            time.sleep(0.1)
        self.fail(f"the report never said '{text}'")

    def test_a_run_in_which_all_passes_says_so_in_the_order_of_their_value(self):
        self.run_pack(code=0)
        self.assertEqual(list(self.results().items()), [(part, "passed") for part in PARTS])
        text = self.out.read_text()
        for part in ("# mformer on A GPU of paper", "commit 1234", "gpu router: right", "shard 3", "difference +0.0e+00", "attention 1.5 ms",
                     "| extend base, batch 16 --bf16 | 0.0 | 0.0 | 0.80 |"):
            self.assertIn(part, text)
        self.assertNotIn("[       OK ]", text)

    def test_a_part_that_fails_is_said_and_the_next_go_on(self):
        self.program("mformer_device_tests", "#!/bin/sh\necho '[ RUN      ] Router.Sums'\n[ $GTEST_SHARD_INDEX != 1 ] || kill -SEGV $$\n")
        self.run_pack(code=1)
        self.assertEqual(self.results()["Device tests"], "failed: signal 11")
        self.assertEqual([part for part, result in self.results().items() if result != "passed"], ["Device tests"])
        self.assertIn("Router.Sums was the last line", self.out.read_text())

    def test_a_part_that_hangs_is_cut_with_all_that_it_started_and_the_next_go_on(self):
        mark = self.folder / "mark"
        self.program("mformer", PROGRAM.replace('echo "gpu router: right"', f'echo begun; (sleep 60; touch {mark}) & echo $! >{mark}.pid; wait'))
        self.run_pack("--limit", "30", code=1)
        self.assertRegex(self.results()[PARTS[0]], r"^cut after \d+ s$")
        self.assertEqual([self.results()[part] for part in PARTS[1:]], ["passed"] * 4)
        self.assertIn("begun", self.out.read_text())
        state = Path(f"/proc/{(self.folder / 'mark.pid').read_text().strip()}/stat")
        self.assertTrue(not state.exists() or state.read_text().split(") ")[1].startswith("Z"))

    def test_what_was_found_is_kept_where_the_run_is_killed_in_the_middle(self):
        self.program("mformer_gpu_bench", "#!/bin/sh\necho 'attention 1.5 ms'\nexec sleep 30\n")
        process = self.start()
        self.wait_for("attention 1.5 ms")
        process.kill()
        process.communicate()
        self.assertEqual(list(self.results().values()), ["passed", "passed", "passed", "cut short while it ran", "not reached"])

    def test_a_signal_ends_the_run_and_what_is_there_is_kept(self):
        self.program("mformer_gpu_bench", "#!/bin/sh\necho 'attention 1.5 ms'\nexec sleep 30\n")
        process = self.start()
        self.wait_for("attention 1.5 ms")
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=60)
        self.assertEqual(process.returncode, 128 + signal.SIGTERM, err)
        self.assertNotIn("Traceback", err)
        self.assertEqual(list(self.results().values()), ["passed", "passed", "passed", "interrupted", "not reached"])

    def test_without_a_gpu_the_host_is_checked_and_the_exit_code_says_that_it_is_not_enough(self):
        self.torch(gpu=False)
        self.assertIn("error: no GPU answers", self.run_pack(code=1))
        self.assertEqual(list(self.results().values()), ["passed"] * 3 + ["left out: no GPU answers"] * 2)
        self.assertIn("cpu 1.50000  cpu 1.50000", self.out.read_text())

    def test_kernels_of_others_come_out_of_a_folder_of_wheels(self):
        (self.folder / "wheels").mkdir()
        with zipfile.ZipFile(self.folder / "wheels/stickbreaking_attention-1-py3-none-any.whl", "w") as wheel:
            wheel.writestr("stickbreaking_attention/sb_attn.py", "sb_attn = None")
        self.run_pack("--peers", self.folder / "wheels", code=0)
        self.assertIn("stickbreaking_attention: did not run", self.out.read_text())  # the torch of paper has no tensors
        self.assertIn("scattermoe: not installed", self.out.read_text())
        (self.folder / "wheels/broken.whl").write_text("no archive")
        self.assertIn("broken.whl' is no wheel", self.run_pack("--peers", self.folder / "wheels", code=1))
        self.assertIn("no wheel is in", self.run_pack("--peers", self.folder / "site", code=1))

    def test_a_wheel_of_a_compiler_is_used_where_there_is_none(self):
        (self.folder / "wheels").mkdir()
        with zipfile.ZipFile(self.folder / "wheels/compiler-1-py3-none-any.whl", "w") as wheel:
            zig = zipfile.ZipInfo("ziglang/zig")
            zig.external_attr = 0o755 << 16
            wheel.writestr(zig, "#!/bin/sh\necho compiled by zig $*\n")
            wheel.writestr("scattermoe/parallel_experts.py", "import os\nos.system(os.environ['CC'] + ' launcher.c')")
        tools = self.folder / "tools"
        tools.mkdir()
        for name in ("bash", "dirname", "getconf", "head", "sh", "sort", "uname"):
            (tools / name).symlink_to(shutil.which(name))
        self.run_pack("--peers", self.folder / "wheels", code=0, PATH=str(tools), CC="")
        self.assertIn("compiled by zig cc launcher.c", self.out.read_text())

    def test_what_is_missing_is_said_in_a_sentence_with_a_hint(self):
        (self.folder / "tools").mkdir()
        tool = self.folder / "tools/getconf"
        tool.write_text("#!/bin/sh\necho glibc 2.31\n")
        tool.chmod(0o755)
        for says, options, more in (
                ("this machine has glibc 2.31", (), {"PATH": f"{tool.parent}:{os.environ['PATH']}"}),
                ("is no Python of 3.10", ("--python", "/nowhere/python"), {}),
                ("has no torch that works: ModuleNotFoundError", (), {"PYTHONPATH": ""} if self.no_torch() else None),
                ("can't be written", ("--out", self.pack), {})):
            if more is not None:
                err = self.run_pack(*options, code=1, **more)
                self.assertIn(says, err)
                self.assertIn("hint: ", err)
        self.torch(version="2.10.1")
        self.assertIn("has torch 2.10.1, and these programs are linked for 2.11", self.run_pack(code=1))
        for says, options in (("unknown argument", ("--pyton", "x")), ("no number of seconds", ("--limit", "0")), ("needs a value", ("--peers",)),
                              ("there is no folder", ("--peers", "/nowhere")), ("there is no folder for", ("--out", "/nowhere/report.md"))):
            self.assertIn(says, self.run_pack(*options, code=2))

    def no_torch(self):
        """Whether this Python has none of its own, so that leaving ours out leaves none."""
        return subprocess.run([sys.executable, "-c", "import torch"], env={**os.environ, "PYTHONPATH": ""}, capture_output=True,
                              check=False).returncode != 0

    def test_a_pack_that_lost_bytes_on_its_way_is_refused(self):
        (self.pack / "bin/mformer_gpu_bench").write_text("#!/bin/sh\n")
        self.assertIn("bin/mformer_gpu_bench is not as made", self.run_pack(code=1))


class Check(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        (self.folder / "lib").mkdir()
        shutil.copy(shutil.which("true"), self.folder / "true")

    def check(self):
        said = io.StringIO()
        with contextlib.redirect_stderr(said), contextlib.redirect_stdout(io.StringIO()):
            code = pack_check.check(self.folder)
        self.assertEqual(code, 1 if said.getvalue() else 0)
        return said.getvalue()

    def test_a_small_folder_of_old_symbols_is_a_pack(self):
        self.assertEqual(self.check(), "")

    def test_a_symbol_that_is_too_new_is_named(self):
        newest = dict(pack_check.NEWEST, GLIBC=(2, 3, 3))
        with unittest.mock.patch.object(pack_check, "NEWEST", newest):
            self.assertRegex(self.check(), r"error: true needs GLIBC_2\.3\.4, for \w+")

    def test_a_version_without_a_number_is_too_new(self):
        self.assertFalse(pack_check.is_old("GLIBC_PRIVATE"))
        self.assertFalse(pack_check.is_old("GLIBC_ABI_DT_RELR"))
        self.assertTrue(pack_check.is_old("GLIBC_2.34"))
        self.assertFalse(pack_check.is_old("GLIBC_2.34.1"))

    def test_a_library_that_is_nowhere_is_named(self):
        with unittest.mock.patch.object(pack_check, "SYSTEM", set()):
            self.assertIn("true needs libc.so.6, which is neither", self.check())

    def test_what_is_too_large_is_refused(self):
        with (self.folder / "large").open("wb") as file:
            file.truncate(pack_check.MOST_BYTES)
        self.assertRegex(self.check(), r"error: it has 60\.\d MB, and 60 are the most")

    def test_a_program_that_does_not_look_into_the_pack_is_refused(self):
        shutil.copy(Path("/proc/self/exe").resolve(), self.folder / "lib/libc.so.6")  # any file of that name will do
        self.assertIn("true does not look for libraries in lib", self.check())

    def test_a_link_is_refused(self):
        (self.folder / "link").symlink_to("true")
        self.assertIn("link is a link", self.check())


class Pack(unittest.TestCase):
    def test_a_folder_that_is_no_pack_is_not_replaced_and_mistakes_are_said(self):
        with tempfile.TemporaryDirectory() as folder:
            Path(folder, "thesis.txt").write_text("all of it")
            for says, arguments in (("is there and is no pack", ("--out", folder)), ("needs a folder", ("--out",)), ("unknown argument", ("-o", folder))):
                done = subprocess.run([RECIPE / "pack.sh", *arguments], capture_output=True, text=True, check=False)
                self.assertEqual(done.returncode, 2)
                self.assertIn(says, done.stderr)
                self.assertIn("hint: ", done.stderr)
            self.assertEqual(Path(folder, "thesis.txt").read_text(), "all of it")


@unittest.skipUnless(shutil.which("cc"), "no compiler")
class OlderVersions(unittest.TestCase):
    CALL = "double hypot(double, double); int main(int n, char** words) { return words[0][0] == 1 || hypot(3 * n, 4 * n) != 5; }"

    def test_a_function_of_a_newer_version_is_asked_for_by_an_older_one_and_does_its_work(self):
        with tempfile.TemporaryDirectory() as folder:
            program = Path(folder, "program")
            subprocess.run(["cc", "-x", "c", "-", "-o", program, "-lm"], input=self.CALL, text=True, check=True)
            subprocess.run([sys.executable, "-B", RECIPE / "older_versions.py", program], check=True)
            self.assertTrue(pack_check.Linked(program).versions)
            self.assertEqual(pack_check.Linked(program).too_new(), [])
            subprocess.run([program], check=True)

    def test_a_version_of_which_something_else_is_used_stays(self):
        with tempfile.TemporaryDirectory() as folder, unittest.mock.patch.dict(older_versions.OLDER, {"GLIBC_2.34": ("GLIBC_2.2.5", {"hypot"})}):
            program = Path(folder, "program")
            subprocess.run(["cc", "-x", "c", "-", "-o", program, "-lm"], input=self.CALL, text=True, check=True)
            file = older_versions.File(program)
            file.ask_for_older()
            program.write_bytes(file.data)
            self.assertIn("GLIBC_2.34", pack_check.Linked(program).versions)  # of __libc_start_main

    def test_what_is_no_program_is_refused(self):
        done = subprocess.run([sys.executable, "-B", RECIPE / "older_versions.py", __file__], capture_output=True, text=True, check=False)
        self.assertEqual((done.returncode, "is no program" in done.stderr), (1, True))


if __name__ == "__main__":
    unittest.main()
