"""The schema of a comparison's result (see README.md): of what a report reads; a result may have more."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Annotated, Any, Final, Literal, Self

from pydantic import AfterValidator, BaseModel, Field, ValidationError, model_validator

from loadtest.compare.slo import parse
from loadtest.scenarios import MAX_SIZE, SCENARIOS

SCHEMA: Final = 3

_MOST: Final = 10**15  # more than anything that is counted or measured


def _slo(text: str) -> str:
    if text:
        parse(text)
    return text


def _scenario(name: str) -> str:
    if name not in SCENARIOS:
        raise ValueError(f"it should be a scenario that this version has: {', '.join(SCENARIOS)}")
    return name


def _options(words: list[str]) -> list[str]:
    for word, value in pairwise([*words, "-"]):
        if word == "--loop" and value.startswith("-"):
            raise ValueError("--loop should have a value")
    return words


_TECHNICAL: Final = re.compile(r"^(?:Input|String|List|Dictionary)(?= should)")
_CLASSES: Final = re.compile(r"^Value error, | or instance of \w+")

_Count = Annotated[int, Field(ge=0, le=_MOST)]
_Some = Annotated[int, Field(ge=1, le=_MOST)]
_Amount = Annotated[float, Field(ge=0, le=_MOST)]
_Positive = Annotated[float, Field(gt=0, le=_MOST)]
_Number = Annotated[float, Field(ge=-_MOST, le=_MOST)]
_Name = Annotated[str, Field(min_length=1, max_length=100)]
_Digits = Annotated[str, Field(pattern=r"^[0-9]{1,15}$")]
_Scenario = Annotated[str, AfterValidator(_scenario)]
_Slo = Annotated[str, AfterValidator(_slo)]
_Options = Annotated[list[str], AfterValidator(_options)]


class _Loose(BaseModel, strict=True, allow_inf_nan=False):
    """An object that may have further fields."""


class _Exact(_Loose, extra="forbid"):
    """An object without further fields."""


class _Warning(_Exact):
    name: str
    detail: str
    hint: str


class _Workload(_Exact):
    scenario: _Scenario
    clients: _Some
    warmup: _Count
    seconds: _Some
    think: _Amount | None = None
    rate: _Positive | None = None
    size: Annotated[int, Field(ge=1, le=MAX_SIZE)] | None = None


class _Candidate(_Exact):
    name: _Name
    title: str
    sentence: str
    colour: Annotated[str, Field(pattern=r"^#[0-9A-Fa-f]{6}$")]
    variant: str
    options: _Options
    command: list[str]
    address: str
    metrics: str = ""
    folder: str = ""
    version_of: str = ""
    python: str = ""
    cores: _Count = 0
    condition: str = ""


class _Task(_Loose):
    workload: _Workload
    candidates: list[_Name]
    repeats: _Some
    rates: list[_Positive] = []
    shares: list[_Positive] = []


class _Plan(_Loose):
    seed: int
    candidates: list[_Candidate]
    tasks: list[_Task]
    ceiling: _Workload | None
    slo: _Slo

    @model_validator(mode="after")
    def _each_has_a_name_of_its_own(self) -> Self:
        twice = _repeated(each.name for each in self.candidates)
        if twice:
            raise ValueError(f"two candidates are called {twice[0]!r}")
        return self


class _Machine(_Loose):
    cpu: str | None
    cores: _Count | None
    usable_cores: _Count | None
    governor: str
    system: str
    architecture: str
    python: str
    packages: dict[str, str | None]
    container: bool


class _Pinned(_Loose):
    server: list[_Count]
    generator: list[_Count]


class _Ceiling(_Exact):
    requests_per_second: _Positive
    cpu_us_per_request: _Amount
    clients: _Some
    warnings: list[_Warning]


class _Usage(_Exact):
    """What a run took (measure/sampler.py); None of a server that was not started here."""

    server_cpu: _Amount | None
    generator_cpu: _Amount
    others_cpu: _Amount
    stolen: _Amount
    resident: _Count | None
    idle: _Count | None
    threads: _Count | None
    turns: _Amount | None = None
    waited: _Amount | None = None
    foreign: _Amount | None = None


class _Tuned(_Exact):
    """A scenario as a load run had it."""

    name: _Scenario
    sentence: str
    compare: str
    requests: _Some | None
    think: _Amount
    think_spread: _Amount
    away: _Amount
    away_spread: _Amount
    command: Literal["ECHO", "SLEEP", "WORK"]
    amount: _Count
    amount_p99: _Count = 0
    share: Annotated[float, Field(ge=0, le=1)] = 1.0
    size: Annotated[int, Field(ge=1, le=MAX_SIZE)]
    stall: _Amount
    paced: bool
    alone: bool
    neighbour: str = ""


class _Window(_Loose):
    started: _Number
    ended: _Number

    @model_validator(mode="after")
    def _has_a_length(self) -> Self:
        if self.ended <= self.started:
            raise ValueError("the window should end after it started")
        return self


class _Generator(_Loose):
    cpu_ratio: _Amount
    busy_ratio: _Amount
    starved_ratio: _Amount


class _Fairness(_Loose):
    jain: Annotated[float, Field(ge=0, le=1)] | None
    longest_wait_seconds: _Amount | None
    longest_wait_at_least: bool


class _Part(_Loose):
    """A load run's result for its one server."""

    users: _Count
    connected: _Count
    served: _Count
    verified: _Count
    fairness: _Fairness
    errors: dict[str, _Count]
    connections: dict[str, _Count]
    breaks: dict[str, _Count]
    histograms: dict[str, dict[_Digits, _Count]]
    censored: dict[str, dict[_Digits, _Count]]
    send_delay: dict[_Digits, _Count] = {}


class _LoadWarning(_Warning):
    degree: Literal["note", "doubt"] = "doubt"
    variants: list[_Name] = []


class _Load(_Loose):
    schema_: Annotated[Literal[2], Field(alias="schema")]
    scenario: _Tuned
    model: Literal["closed", "open"]
    window: _Window
    settled_seconds: _Amount | None = None
    generator: _Generator
    warnings: list[_LoadWarning]
    variants: Annotated[dict[_Name, _Part], Field(min_length=1, max_length=1)]


class _Interpreter(_Exact):
    """The Python that served. gil: whether one thread at a time could run it, at the run's end."""

    implementation: str
    version: str
    build: Literal["gil", "free-threaded"]
    gil: bool
    switch_interval: _Amount


class _Run(_Loose):
    number: _Count
    candidate: _Name
    workload: _Workload
    repeat: _Count
    process: _Count | None = None
    status: Literal["done", "failed", "interrupted", "not run"]
    reason: str
    load: _Load | None = None
    usage: _Usage | None = None
    interpreter: _Interpreter | None = None
    calibration: list[list[_Positive]] = []

    @model_validator(mode="after")
    def _has_what_a_run_leaves(self) -> Self:
        if self.status != "done":
            return self
        if self.load is None or self.usage is None:
            raise ValueError("load and usage should be there, for its status is done")
        if self.load.scenario.name != self.workload.scenario:
            raise ValueError(f"its load is of {self.load.scenario.name}, its workload of {self.workload.scenario}")
        return self


class _Price(_Loose):
    """What one more client costs, or why that isn't known."""

    value: _Number | None
    low: _Number | None
    high: _Number | None
    base: _Number | None
    r2: _Number | None
    why: str

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        pairs = (("low", self.low, "high", self.high), ("base", self.base, "r2", self.r2))
        for one, left, other, right in pairs:
            if (left is None) != (right is None):
                raise ValueError(f"{one} and {other} should both be there, or neither")
        if self.value is None and self.low is not None:
            raise ValueError("an interval should have its value")
        return self


class _Memory(_Loose):
    candidate: _Name
    problem: str
    note: str = ""
    silent: _Price | None = None
    spoken: _Price | None = None
    threads: _Price | None = None
    container_silent: dict[str, _Price] | None = None
    container_spoken: dict[str, _Price] | None = None
    container_why: str = ""
    connected: _Count = 0
    served: _Count = 0

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        named = ("silent", "spoken", "threads", "container_silent", "container_spoken", "connected", "served")
        given = self.model_fields_set.intersection(named)
        missing = [name for name in named if name not in given or getattr(self, name) is None]
        if given and missing:
            raise ValueError(f"{missing[0]} is missing")
        for parts in (self.container_silent or {}, self.container_spoken or {}):
            if "total" in (self.container_silent or {}) and not {"total", "kernel"} <= parts.keys():
                raise ValueError("a control group's total should stand beside its kernel's part")
        return self


class _Result(_Loose):
    schema_: Annotated[Literal[3], Field(alias="schema")]
    kind: Literal["comparison"]
    command: list[str]
    started: str
    resumed: list[str] = []
    ended: str | None
    complete: bool
    interrupted: bool
    plan: _Plan
    machine: _Machine
    commit: str | None
    code: dict[str, str] = {}
    settings: dict[str, str]
    pinned: _Pinned
    warnings: list[_Warning]
    ceiling: _Ceiling | None = None
    runs: list[_Run]
    memory: list[_Memory] = []

    @model_validator(mode="after")
    def _speaks_of_those_compared(self) -> Self:
        known = {each.name for each in self.plan.candidates}
        tasks = (name for each in self.plan.tasks for name in each.candidates)
        named = (*tasks, *(each.candidate for some in (self.runs, self.memory) for each in some))
        strangers = [name for name in named if name not in known]
        if strangers:
            raise ValueError(f"{strangers[0]!r} is none of plan.candidates")
        twice = _repeated(each.number for each in self.runs)
        if twice:
            raise ValueError(f"two runs have the number {twice[0]}")
        return self


def _repeated(values: Iterable[Any]) -> list[Any]:
    """Return the values that occur more than once."""
    counts = Counter(values)
    return [value for value, count in counts.items() if count > 1]


def check(found: object) -> None:
    """Raise ValueError with a line that says where and what if `found` is not a result of this version."""
    if not isinstance(found, dict) or found.get("kind") != "comparison":
        raise ValueError("it is not a comparison's result")
    if found.get("schema") != SCHEMA:
        kept = f"{found.get('schema')!r:.20}"
        raise ValueError(f"it has schema {kept}, and this version of the lab reads {SCHEMA}; measure again")
    try:
        _Result.model_validate(found)
    except ValidationError as error:
        faults = error.errors(include_url=False, include_context=False, include_input=False)
        more = f" (and {len(faults) - 1:,} more)" if len(faults) > 1 else ""
        raise ValueError(f"{_said(faults[0]['loc'], faults[0]['msg'])}{more}; measure again") from None


def _said(where: Sequence[str | int], what: str) -> str:
    """Return a fault in words, such as "runs[3].load.window.ended: it should be a valid number"."""
    text = _TECHNICAL.sub("it", what).replace("Field required", "it is missing").replace("dictionary", "object")
    text = _CLASSES.sub("", text.replace("Extra inputs are not permitted", "it has no place there"))
    place = "".join(f"[{each}]" if isinstance(each, int) else f".{each}" for each in where).removeprefix(".")
    return f"{place}: {text}" if where else text
