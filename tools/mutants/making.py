"""The mutants of a module: each is the module with one small thing wrong in it.

Most are made by mutmut's operators. They are put into whole files here, and not into functions, so
that decorated functions and the module's constants have theirs. Left out is what a strict type
check would refuse (None for an argument or a value) and what only a reader notices: texts, log
calls, annotations, `__all__`.
"""

import difflib
import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final

import libcst as cst
import libcst.matchers as m
from libcst.metadata import MetadataWrapper, PositionProvider
from mutmut.mutation import mutators

from tools.mutants.rooms import ROOT


@dataclass(frozen=True)
class Mutant:
    """``before`` and ``after`` are the lines that differ; their indentation is not looked at."""

    file: str
    line: int
    before: str
    after: str
    code: str

    @cached_property
    def id(self) -> str:
        """The same for the same mutation, wherever its lines are now."""
        text = f"{self.file}\n{self.before}\n{self.after}"
        return hashlib.sha256(text.encode()).hexdigest()[:8]

    def __str__(self) -> str:
        before, after = (text.replace("\n", " ⏎ ") for text in (self.before, self.after))
        return f"{self.file}:{self.line} [{self.id}]\n    - {before}\n    + {after or '(nothing)'}"


# --- operators --------------------------------------------------------------------------------


def _number_down(node: cst.BaseNumber) -> Iterable[cst.BaseNumber]:
    if isinstance(node, cst.Integer) and node.evaluated_value > 0:
        yield node.with_changes(value=repr(node.evaluated_value - 1))
    elif isinstance(node, cst.Float) and node.evaluated_value > 0:
        yield node.with_changes(value=repr(node.evaluated_value / 2))


def _keyword_removal(node: cst.Call) -> Iterable[cst.Call]:
    """The default instead of what is said."""
    for i, argument in enumerate(node.args):
        if argument.keyword is not None:
            yield node.with_changes(args=[*node.args[:i], *node.args[i + 1 :]])


def _negation(node: cst.If | cst.While | cst.Assert) -> Iterable[cst.CSTNode]:
    if not m.matches(node.test, m.Comparison() | m.UnaryOperation(m.Not()) | m.Name("True")):
        inside = node.test.with_changes(lpar=[cst.LeftParen()], rpar=[cst.RightParen()])
        yield node.with_changes(test=cst.UnaryOperation(cst.Not(), inside))


def _nothing(node: cst.SimpleStatementLine) -> Iterable[cst.CSTNode]:
    """A statement is not executed. A value that is bound to a name is not taken away: without it
    the next line fails, whatever the tests are.
    """
    if len(node.body) != 1 or not m.matches(
        node.body[0],
        m.Expr(m.Call() | m.Await())
        | m.AugAssign()
        | m.Raise()
        | m.Return(m.Await() | m.Call())
        | m.Return(None)
        | m.Del()
        | m.Assign([m.AssignTarget(m.Attribute() | m.Subscript())]),
    ):
        return
    yield node.with_changes(body=[cst.Pass()])


_OPERATORS: Final[mutators.OPERATORS_TYPE] = [
    (cst.BaseNumber, mutators.operator_number),
    (cst.BaseNumber, _number_down),
    (cst.Name, mutators.operator_name),
    (cst.AugAssign, mutators.operator_augmented_assignment),
    (cst.UnaryOperation, mutators.operator_remove_unary_ops),
    (cst.CSTNode, mutators.operator_keywords),
    (cst.CSTNode, mutators.operator_swap_op),
    (cst.Match, mutators.operator_match),
    (cst.IfExp, mutators.operator_if_exp),
    (cst.Call, _keyword_removal),
    (cst.If, _negation),
    (cst.While, _negation),
    (cst.SimpleStatementLine, _nothing),
]

_LOGS: Final = m.Expr(
    m.Call(m.Attribute(m.OneOf(m.Name("log"), m.Attribute(attr=m.Name("log"))), m.Name()))
)
_TYPE: Final = m.Name(m.MatchRegex("[A-Z].*[a-z].*"))
_READ_ONLY: Final = (
    m.Annotation()
    | m.Import()
    | m.ImportFrom()
    | m.SimpleStatementLine([_LOGS])
    | m.Assert()
    | m.Assign([m.AssignTarget(m.Name("__all__"))])
    | m.Assign([m.AssignTarget(m.Name("__slots__"))])
    | m.If(m.Name("TYPE_CHECKING"))
    | m.TypeAlias()
    | m.BinaryOperation(m.DoNotCare(), m.BitOr(), _TYPE)
    | m.Arg(keyword=m.OneOf(*map(m.Name, ("frozen", "slots", "kw_only", "gc", "weakref"))))
    | m.Call(m.Name("dataclass"))
    | m.Call(m.OneOf(m.Name("TypeVar"), m.Name("ParamSpec"), m.Name("NewType")))
)


class _Visitor(cst.CSTVisitor):  # type: ignore[misc]  # Any to the type check
    METADATA_DEPENDENCIES = (PositionProvider,)

    def __init__(self) -> None:
        self.found: list[tuple[int, cst.CSTNode, cst.CSTNode]] = []

    def on_visit(self, node: cst.CSTNode) -> bool:
        if m.matches(node, _READ_ONLY):
            return False
        for kind, operator in _OPERATORS:
            if isinstance(node, kind):
                line = self.get_metadata(PositionProvider, node).start.line
                self.found.extend((line, node, each) for each in operator(node))
        return True


def mutants_of(path: Path) -> Iterator[Mutant]:
    """All of one module, each once."""
    source = path.read_text()
    wrapper = MetadataWrapper(cst.parse_module(source))
    visitor = _Visitor()
    wrapper.visit(visitor)
    file = path.relative_to(ROOT).as_posix()
    seen = {source}
    for _, node, mutated in visitor.found:
        code = wrapper.module.deep_replace(node, mutated).code
        if code in seen:
            continue
        seen.add(code)
        try:
            compile(code, file, "exec")
        except SyntaxError:
            continue
        yield _described(file, source, code)


def _described(file: str, source: str, code: str) -> Mutant:
    old, new = source.splitlines(), code.splitlines()
    matcher = difflib.SequenceMatcher(None, old, new, autojunk=False)
    changes = [each for each in matcher.get_opcodes() if each[0] != "equal"]
    before, after = changes[0][1], changes[0][3]
    before_end, after_end = changes[-1][2], changes[-1][4]
    return Mutant(
        file,
        before + 1,
        "\n".join(line.strip() for line in old[before:before_end]),
        "\n".join(line.strip() for line in new[after:after_end]),
        code,
    )
