# SPDX-License-Identifier: Apache-2.0
"""The gates of tools/ see what they are for: each is shown one bad file in a tree of its own."""

import os
import shutil
import subprocess

import pytest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SPDX = "/* SPDX-License-Identifier: Apache-2.0 */\n"
CONTRACT = "/*\n * x: y.\n * Owner: a.\n * Thread: b.\n * Bound: c.\n * Does not: d.\n */\n"
GUARD = "#ifndef TD_BASE_X_H\n#define TD_BASE_X_H\n\n#endif\n"


def body(*lines):
    return SPDX + "int f(void);\n\nint f(void)\n{\n" + "".join(f"    {x}\n" for x in lines) + "}\n"


@pytest.fixture
def gate(tmp_path):
    """gate(name, {path: text}): (exit status, output) of tools/NAME over a tree of these files."""
    shutil.copytree(os.path.join(ROOT, "tools"), tmp_path / "tools",
                    ignore=shutil.ignore_patterns("__pycache__"))
    for name in (".clang-format", ".gitignore"):
        shutil.copy(os.path.join(ROOT, name), tmp_path)
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)

    def run(name, files):
        for path, text in files.items():
            (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / path).write_text(text)
        done = subprocess.run([tmp_path / "tools" / name], capture_output=True, text=True,
                              check=False)
        return done.returncode, done.stdout + done.stderr

    return run


@pytest.mark.parametrize("name", ["check-layers", "check-length", "check-style", "check-docs"])
def test_a_clean_tree_passes(gate, name):
    code, text = gate(name, {"src/base/x.h": SPDX + CONTRACT + GUARD,
                             "src/base/x.c": SPDX + '#include "base/x.h"\n'})
    assert code == 0, text


@pytest.mark.parametrize("name, path, text, finding", [
    ("check-layers", "src/base/x.c", '#include "mux/mux.h"\n', "may not include mux"),
    ("check-layers", "src/media/x.c", "#include <glib.h>\n", "belongs only to"),
    ("check-layers", "src/cli/x.c", "#include <libavcodec/avcodec.h>\n", "belongs only to: codecd"),
    ("check-layers", "src/store/x.c", "#include <fcntl.h>\n", "td_fs"),
    ("check-layers", "src/base/x.c", '#include "y.c"\n', "never include a .c file"),
    ("check-layers", "src/utils/x.c", "\n", "not a layer"),
    ("check-length", "src/base/x.c", body(*["f();"] * 80), "at most 80"),
    ("check-length", "src/base/x.c", "\n" * 1001, "at most 1000"),
    ("check-style", "src/base/x.c", "int f(void);\n", "no SPDX"),
    ("check-style", "src/base/x.c", body("return  0;"), "not formatted"),
    ("check-style", "src/base/x.c", body('sprintf(0, "x");'), "sprintf"),
    ("check-style", "src/base/x.c", body("exit(1);"), "exit"),
    ("check-style", "src/base/x.c", body("(void)td_fs_close(0, 1);"), "never ignorable"),
    ("check-style", "src/base/x.c", body("(void)fsync(1);"), "never ignorable"),
    ("check-style", "src/base/x.c", body("int n = 3;", "char b[n];"), "variable-length"),
    ("check-style", "src/base/x.c", body() .replace("{\n", "{\n#ifdef X\n#endif\n"), "#if inside"),
    ("check-style", "src/base/x.c", SPDX + "typedef struct x x;\n", "typedef of a struct"),
    ("check-style", "src/base/x.c", SPDX + "struct x {\n    unsigned a : 3;\n};\n", "bit-field"),
    ("check-style", "src/base/x.c", SPDX + "/* " + "TO" + "DO: later */\n", "in an issue"),
    ("check-style", "src/base/x.c", SPDX + "/* see /ho" + "me/joe/x */\n", "particular machine"),
    ("check-style", "src/base/x.h", SPDX + "#ifndef TD_X_H\n#define TD_X_H\n#endif\n", "guard"),
    ("check-docs", "src/base/x.h", SPDX + GUARD, "lacks Owner:"),
    ("check-docs", "src/base/x.c", "/* see doc" + "s/none.md */\n", "does not exist"),
    ("check-docs", "X.md", "[x](none.md)\n", "does not exist"),
    ("check-docs", "src/mux/x.c",
     'const struct td_mux_ops x = {\n    .name = "x",\n};\n', "no line in docs/formats"),
])
def test_a_bad_file_is_found(gate, name, path, text, finding):
    code, output = gate(name, {path: text})
    assert code == 1 and finding in output, output


def test_words_in_comments_and_strings_are_not_calls(gate):
    code, text = gate("check-style", {"src/base/x.c": body('return "sprintf(" != 0; /* gets() */')})
    assert code == 0, text
