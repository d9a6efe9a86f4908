"""Configs and overrides as nobody should write them: a project of valid files, and one of them changed at random."""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from pathlib import Path

CONFIGS = Path(__file__).resolve().parents[2] / "configs"
GROUPS = {"model": "text_generation", "data": "text", "trainer": "default", "optimizer": "adam", "decoding": "sample", "tracking": "none"}
RECIPE = """\
# @package _global_
#
# A recipe made of files that lie beside it.
defaults:
{entries}
  - _self_

recipe: mine                           # its runs lie in a folder of this name

task:
  kind: language_model                 # predict the next token at every step

trainer:
  max_epochs: 2
  early_stopping: {{monitor: loss, patience: 3, min_delta: 0.0}}

model:
  layers:
    gru: {{units: 8, kernel_initializer: {{class_name: random_normal, config: {{stddev: 0.1}}}}}}

tracking:
  tags: {{who: me, why: "for ${{recipe}}"}}

decoding:
  prompt: "ROMEO: "
"""

SCALARS = (
    "", "~", "null", "true", "yes", "no", "on", "off", "010", "0o10", "0x_", "0x1f", "0b2", "1:30", "1:30.5", "1_000", "1__0", "-0", "+3",
    "1e3", "1e999", "-1e-999", ".inf", "-.inf", ".nan", "NaN", ".5", "5.", "9" * 30, "9" * 5000, "-" + "9" * 400, "0x" + "f" * 6000,
    "2020-01-01", "2020-13-45", "2020-01-01T10:00:00Z", "x" * 300, "x" * 70_000, "-1", "0", "3.7", "'3'", '"\\0"', '"\\ud800"', '"\\x07"',
    "[]", "{}", "[1, 2]", "{a: 1}", "[[[[]]]]", "[" * 300, "[" * 60_000, "{a: " * 300, "[" * 60 + "]" * 60, "? a", "- a", "a: b: c", "*a",
    "&a", "&a [*a]", "!!int abc", "!!float x", "!!timestamp x", "!!binary /w==", "!!set {a}", "!!omap [a: 1]", "!!null x", "!!bool 3",
    "!!python/object/apply:os.system [true]", "!mine 3", "!<tag:yaml.org,2002:int> x", "! x", "!!str 3", "<<", "=", "???", "'???'",
    "|\n", ">-",
    "|9\n x", "${", "${}", "${a", "${nothing}", "${trainer.max_epochs}", "${.x}", "${..x}", "${...........x}", "${size:tokens}",
    "${size:x}",
    "${size}", "${oc.env:HOME}", "${oc.env:NOTHING}", "${oc.env:NOTHING,3}", "${oc.decode:'[1'}", "${oc.select:a}", "${oc.create:{a:1}}",
    "${hydra:job.num}", "${hydra.job.num}", "${now:%Y}", "${nobody:3}", "${oc.dict.keys:model}", "${model}", "${model.layers}", "${data}",
    "'" + "${seed}" * 150 + "'", "'" + "${a" * 80 + "}" * 80 + "'", "\\${x}", "'", '"', "`", "@x", "%x", "\t3", "a\tb", "# x", "é",
    "名前", "\u202e", "\ufeff",
    "\U0001f600", "a\u2028b", "/etc/passwd", "/dev/zero", "/dev/full", "..", ".", "~/x", "~nobody/x", "*", "**/*", "[", "a?b", "con",
    "last", "%s", "{}".format("{x}"),
)  # fmt: skip
KEYS = (
    "on", "no", "~", "true", "1", "1.5", "''", "? [a]\n", "<<", "_target_", "_self_", "defaults", "hydra", "a.b", "a/b", "a b",
    "x" * 300, "é",
    '"\\0"', '"a\\nb"', "!!int x", "*a", "&a b", "kind", "inputs", "units", "model", "__class__", "keys", "items", "pop", "copy",
    "get", "[a", "{",
)  # fmt: skip
ENTRIES = (
    "x", "/x: y", "override /x: y", "/model: nothing", "override /model: null", "/model: [text_generation, mine]", "mine",
    "/recipe: mine", "3", "~",
    "[a]", "/hydra/callbacks: x", "override /hydra/launcher: joblib", "/model@hydra.job.env_set: mine", "/trainer@a.b.c: mine",
    "optional /x: y",
    "/model: ${nothing}", "/model: ${data}", "_self_", "../model/mine", "/model/../data/mine", "/x@" + "a." * 200 + "b: y", "'': x",
    "/: x", "@: x", "override",
    "/data@_here_: mine", "/data@_group_: mine", "/model: " + "x" * 300, "{}", "a: {b: c}", "/schema: x", "/debug: small",
)  # fmt: skip
BLOCKS = (
    "hydra: {mode: MULTIRUN}\n", "hydra: {mode: SOMETIMES}\n", "hydra: {callbacks: {x: {_target_: os.system}}}\n",
    "hydra: {run: {dir: x}}\n",
    "hydra: [1]\n", "hydra: {job: {env_set: {A: b}, env_copy: [NOTHING]}}\n", "hydra: {searchpath: [pkg://os, file:///]}\n",
    "hydra: {sweeper: {params: {a: [1]}}}\n",
    "hydra: {sweeper: {params: {seed: '1,2'}}}\n", "hydra: {sweeper: {max_batch_size: 0}}\n", "hydra: {launcher: {n_jobs: x}}\n",
    "hydra: ${model}\n",
    "spec_version: 99\n", "spec_version: x\n", "name: last\n", "resume: must\n", "seed: 99999999999\n", "backend: {name: jax}\n",
    "paths: {runs_dir: '\\x00'}\n",
    "a0: &a0 [x, x, x, x, x, x, x, x, x]\n" + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 9)),
    "b0: xxxxxxxxxx\n" + "".join(f"b{n}: {f'${{b{n - 1}}}' * 10}\n" for n in range(1, 9)),
    "c0: [1, 1, 1]\n" + "".join(f"c{n}:" + f"\n  - ${{c{n - 1}}}" * 9 + "\n" for n in range(1, 9)),
    "d: ${e}\ne: ${d}\n", "f: ${f}\n", "g: [" + "1, " * 12_000 + "1]\n", "h: {" + ", ".join(f"k{n}: 1" for n in range(9_000)) + "}\n",
    "".join("  " * n + "i:\n" for n in range(100)), "- " * 200 + "\n", "---\n", "...\n", "%YAML 9.9\n", "\t\n",
    "model: {layers: {x: {kind: dense}}}\n",
    "model: {layers: {'': {kind: dense, units: 1}, 'a.b': {kind: dense, units: 1}}}\n", "model: {outputs: {}}\n",
    "model: {outputs: [a]}\n",
    "model: {layers: {embedding: null}}\n", "model: {layers: {gru: {inputs: gru}}}\n", "model: {inputs: {tokens: null}}\n",
    "model: {layers: {gru: {kind: bidirectional, layer: {kind: gru, units: 3}}}}\n", "data: {path: [my.txt, 3, null]}\n",
    "data: {path: /}\n",
    "data: {declared_sizes: {tokens: 0}}\n", "data: {download: {url: 'ftp://x', sha256: x, filename: ..}}\n",
    "tracking: {uri: 'http://me:secret@x'}\n",
    "optimizer: {kind: sgd}\n", "optimizer: {schedule: {kind: cosine, warmup_steps: -1}}\n", "j: " + "x" * (2**20) + "\n",
    "? {a: b}\n: c\n",
)  # fmt: skip
WHOLE = (
    b"",
    b"\n",
    b"3",
    b"null",
    b"- 1\n",
    b"[]",
    b"{}",
    b"---\n---\n",
    b"\xff\xfe",
    b"\x00",
    b"{",
    b"\xef\xbb\xbf",
    b"a",
    b"---",
    b"...",
    b"# only\n",
    b"*a",
)


def project(folder: Path) -> dict[str, Path]:
    """Writes a valid project; the files by their group."""
    files = {}
    for group, source in GROUPS.items():
        files[group] = folder / "configs" / group / "mine.yaml"
        files[group].parent.mkdir(parents=True)
        files[group].write_bytes((CONFIGS / group / f"{source}.yaml").read_bytes())
    files["recipe"] = folder / "configs" / "recipe" / "mine.yaml"
    files["recipe"].parent.mkdir()
    files["recipe"].write_text(RECIPE.format(entries="\n".join(f"  - override /{group}: mine" for group in GROUPS)))
    (folder / "my.txt").write_text("To be, or not to be: that is the question.\n" * 400)
    return files


def mutate(content: bytes, draw: random.Random) -> bytes:
    """One to three changes of a file."""
    for _ in range(draw.choice((1, 1, 1, 2, 3))):
        content = draw.choice(MUTATIONS)(content, draw)
    return content


def _lines(change: Callable[[list[str], int, random.Random], None]) -> Callable[[bytes, random.Random], bytes]:
    """A change of one line that is no comment."""

    def apply(content: bytes, draw: random.Random) -> bytes:
        lines = content.decode("utf-8", "surrogateescape").split("\n")
        places = [number for number, line in enumerate(lines) if line.strip() and not line.lstrip().startswith("#")]
        if places:
            change(lines, draw.choice(places), draw)
        return "\n".join(lines).encode("utf-8", "surrogateescape")

    return apply


def _scalar(lines: list[str], at: int, draw: random.Random) -> None:
    lines[at] = re.sub(r"(:|-)( +|$)[^:]*$", lambda found: f"{found[1]} {draw.choice(SCALARS)}", lines[at], count=1)


def _inner_scalar(lines: list[str], at: int, draw: random.Random) -> None:
    lines[at] = re.sub(r": [^,{}]+(?=[,}])", lambda found: f": {draw.choice(SCALARS)}", lines[at], count=draw.choice((1, 1, 0)))


def _key(lines: list[str], at: int, draw: random.Random) -> None:
    lines[at] = re.sub(r"[\w]+(?=:)", lambda found: draw.choice(KEYS), lines[at], count=1)


def _new_line(lines: list[str], at: int, draw: random.Random) -> None:
    indent = " " * draw.choice((0, 0, 1, 2, 4, 7))
    lines.insert(at, f"{indent}{draw.choice((*KEYS, 'x', 'units', 'seed'))}: {draw.choice(SCALARS)}")


def _tag(lines: list[str], at: int, draw: random.Random) -> None:
    tag = draw.choice(
        ("!!int", "!!float", "!!str", "!!map", "!!seq", "!x", "!!python/name:os.system", "&a", "*a", "!!merge", "!!value", "|", ">", "?")
    )
    lines[at] = re.sub(r"(:|-)( +|$)", lambda found: f"{found[1]} {tag} ", lines[at], count=1)


def _indent(lines: list[str], at: int, draw: random.Random) -> None:
    lines[at] = draw.choice((" ", "  ", "\t", "      ", "")) + (lines[at].lstrip() if draw.random() < 0.5 else lines[at])


def _twice(lines: list[str], at: int, draw: random.Random) -> None:
    lines.insert(draw.randrange(len(lines)), lines[at])


def _gone(lines: list[str], at: int, draw: random.Random) -> None:
    del lines[at : at + draw.choice((1, 1, 2, 5))]


def _swapped(lines: list[str], at: int, draw: random.Random) -> None:
    other = draw.randrange(len(lines))
    lines[at], lines[other] = lines[other], lines[at]


def _entry(lines: list[str], at: int, draw: random.Random) -> None:
    begin = next((number for number, line in enumerate(lines) if line.startswith("defaults:")), None)
    if begin is None:
        begin = at
        lines.insert(at, "defaults:")
    lines.insert(begin + 1 + draw.randrange(3), f"  - {draw.choice(ENTRIES)}")


def _header(lines: list[str], at: int, draw: random.Random) -> None:
    names = (
        "_global_",
        "hydra",
        "hydra.callbacks",
        "a.b",
        "",
        "a." * 300 + "b",
        "_group_",
        "model",
        "../x",
        "é",
        "_global_ x",
        "hydra.job.env_set",
    )
    lines.insert(0, f"# @package {draw.choice(names)}")


def _block(content: bytes, draw: random.Random) -> bytes:
    block = draw.choice(BLOCKS).encode("utf-8", "surrogatepass")
    return content + b"\n" + block if draw.random() < 0.8 else block + content


def _bytes(content: bytes, draw: random.Random) -> bytes:
    at = draw.randrange(len(content) + 1)
    wild = bytes(draw.randrange(256) for _ in range(draw.choice((1, 1, 3, 30))))
    inserted = draw.choice(
        (
            wild,
            b"\x00",
            b"\xff",
            b"\xc3",
            b"\xed\xa0\x80",
            b"\xef\xbb\xbf",
            b"\r",
            b"\x85",
            b"\x1b[2J",
            b"\t",
            b"{",
            b"[",
            b'"',
            b"'",
            b": ",
        )
    )
    return content[:at] + inserted + content[at + draw.choice((0, 1, len(inserted))) :]


def _cut(content: bytes, draw: random.Random) -> bytes:
    at = draw.randrange(len(content) + 1)
    return content[:at] if draw.random() < 0.7 else content[at:]


def _encoded(content: bytes, draw: random.Random) -> bytes:
    text = content.decode("utf-8", "replace")
    encoding = draw.choice(("utf-16", "utf-8-sig", "latin-1", "utf-32", "cp500"))
    return text.encode(encoding, "replace") if draw.random() < 0.7 else text.replace("\n", draw.choice(("\r\n", "\r", "\x85"))).encode()


def _whole(content: bytes, draw: random.Random) -> bytes:
    return draw.choice(WHOLE)


MUTATIONS = (
    *[_lines(_scalar)] * 6, *[_lines(_inner_scalar)] * 2, *[_lines(_key)] * 2, *[_lines(_new_line)] * 2, _lines(_tag), _lines(_indent),
    _lines(_twice),
    _lines(_gone), _lines(_swapped), *[_lines(_entry)] * 2, _lines(_header), *[_block] * 3, *[_bytes] * 2, _cut, _encoded, _whole,
)  # fmt: skip

OVERRIDE_KEYS = (
    "seed", "name", "recipe", "resume", "spec_version", "model", "data", "trainer.max_epochs", "trainer.precision",
    "trainer.early_stopping",
    "trainer.checkpoint.every_n_steps", "optimizer.learning_rate", "optimizer.schedule", "optimizer.schedule.kind", "data.path",
    "data.batch_size",
    "data.encoding", "data.declared_sizes", "data.declared_sizes.tokens", "data.level", "model.layers.gru.units",
    "model.layers.gru.activation",
    "model.layers.gru.kernel_initializer", "model.layers.gru", "model.layers.new", "model.outputs", "model.inputs.tokens.shape",
    "decoding.prompt",
    "decoding.temperature", "decoding", "tracking.tags", "tracking.tags.x", "tracking.uri", "tracking", "paths.runs_dir",
    "paths.cache_dir", "backend",
    "backend.device", "debug", "sweep", "hydra.mode", "hydra.run.dir", "hydra.sweeper.params", "hydra.launcher.n_jobs",
    "hydra/launcher", "hydra/sweeper",
    "hydra/callbacks", "hydra.callbacks.x", "hydra", "optimizer@x", "optimizer@hydra.job", "model/x", "", ".", "a..b", "é",
    "x" * 300, "a." * 90 + "a",
    "_target_", "model.layers.gru._target_", "a b", "[a]", "schema", "task.kind", "decoding.length", "config", "tracking.timeout",
)  # fmt: skip
OVERRIDE_VALUES = (
    *SCALARS, "small", "small,null", "null,small", "1,2", "range(1,3)", "range(1,1000000000)", "range(0,1,0)", "choice(a,b)",
    "choice()", "interval(0,1)",
    "tag(log,interval(1e-4,1e-2))", "glob(*)", "sort(3,2,1)", "shuffle(range(1,5))", "int(3.7)", "int(x)", "str(3)", "json_str(x)",
    "extend_list(1)",
    "{a:{b:{c:1}}}", "[1,[2,[3]]]", "[" + "1," * 3000 + "1]", "1," * 3000 + "1", "(", "(" * 300, "int(" * 100 + "1" + ")" * 100, "'a",
    '"a', "\\", "a=b", "a b c",
    "a,b c,d", "x\ny", "x\r\ny", "\udcff", "\udcffé.txt", "a\\'b", "$", "$HOME", "${oc.env:HOME}/x", "text_generation", "mine", "sgd",
    "optuna", "MULTIRUN", "joblib",
    "x" * 120_000, "w " * 30_000, "{class_name:l2,config:{l2:inf}}", "{kind:gru,units:3}", "{kind:dense}", "{monitor:loss}",
    "{monitor:nothing,patience:-1}",
)  # fmt: skip


def overrides(draw: random.Random) -> list[str]:
    """One to three words of a command line."""
    words = []
    for _ in range(draw.choice((1, 1, 2, 3))):
        sign = draw.choice(("", "", "", "", "+", "++", "~"))
        key = draw.choice(OVERRIDE_KEYS)
        equals = "" if draw.random() < 0.05 else "="
        words.append(f"{sign}{key}{equals}{draw.choice(OVERRIDE_VALUES) if equals else ''}")
    return [word.replace("\0", "") or "x" for word in words]
