"""What a run is made of, as typed, versioned objects with a JSON form.

data -> `DatasetProfile` -> `Objective` -> `Workflow` of `Step` (a DAG) -> `StepResult` with `Finding` (edges of the
evidence graph) -> `Hypothesis`. Every number in a hypothesis is a `Ref` to a cell of an artifact.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Self

from ninefold.errors import ArtifactError
from ninefold.files import write_text
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from proteus.record._documents import read_document

Grade = Literal["A", "B", "C"]
Status = Literal["ok", "empty", "failed"]


class Record(BaseModel):
    """Base of all objects: immutable, unknown fields refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Factor(Record):
    """A column of the sample sheet with few levels."""

    name: str
    levels: dict[str, int]
    """Samples in each level, levels in the design's order (the first is the base)."""


class DatasetProfile(Record):
    """What a planner may know of a table: counts and statistics, no values."""

    version: Literal[1] = 1
    kind: str
    scale: str
    features: int
    samples: int
    factors: list[Factor] = []
    numbers: list[str] = []
    outcome: list[str] = []
    """(time, event) columns, if there are such."""
    block: str | None = None
    """Column whose levels are subjects measured more than once."""
    within: list[str] = []
    """Factors whose levels can be compared within subjects; of the others a subject has one level."""
    shared_levels: list[str] = []
    """Levels that two columns have (a batch A, a group A): a contrast writes them `group[A]`."""
    batch: list[str] = []
    """Factors that look technical: by name (batch, plate, site, run ...)."""
    aliasing: dict[str, dict[str, float]] = {}
    """Cramer's V of pairs of factors; 1 cannot be told apart."""
    missing: float = 0.0
    missing_by_intensity: float | None = None
    missing_by_group: dict[str, float] = {}
    residual_sd: float | None = None
    id_type: str = "other"
    organism: str = "unknown"
    variance_explained: dict[str, list[float]] = {}
    """eta^2 of each factor on the first principal components."""
    outliers: int = 0
    markers: dict[str, list[str]] = {}
    """Cytometry: `type` and `state` markers."""
    knowledge: list[str] = []
    """What is at hand beside the table: sets, network, sites."""
    warnings: list[str] = []

    def factor(self, name: str) -> Factor | None:
        """The factor of that name."""
        return next((one for one in self.factors if one.name == name), None)


class Query(Record):
    """What a question in words asks, in fields; nothing that is not in them is answered."""

    kind: Literal[
        "changed", "unchanged", "presence", "seen", "value", "sets", "network", "modules", "trend", "outcome", "groups",
        "panel", "subtypes", "batch", "samples",
    ]  # fmt: skip
    contrast: str | None = None
    """`A-B`, two levels of `factor`."""
    factor: str | None = None
    other: str | None = None
    """Of `batch` the second factor."""
    over: str | None = None
    """Number or ordered factor of a trend; `outcome` for modules that predict it."""
    direction: Literal["up", "down"] | None = None
    entities: list[str] = []
    unknown: list[str] = []
    """Symbols that the question names and the table does not have."""
    gene_set: str | None = None
    family: str | None = None
    """Class of proteins, by their names in the table."""
    sample: str | None = None
    level: str | None = None
    """Of `seen`: where."""
    adjust: list[str] = []
    top: int | None = None
    fold: float | None = None
    q: float | None = None
    by_effect: bool = False
    count: bool = False
    """How many, not which."""


class Objective(Record):
    """One question to the data."""

    version: Literal[1] = 1
    id: str = Field(pattern=r"^O\d+(\.\d+)*$")
    template: str
    """Kind of question; see `_expert.TEMPLATES`. A planner may also make up its own."""
    question: str
    rationale: str = ""
    design: str | None = None
    contrast: str | None = None
    outcome: list[str] = []
    entities: list[str] = []
    requires: list[str] = []
    """Names of preconditions (see `_registry.REQUIREMENTS`), checked against the profile."""
    priority: float = 0.0
    parent: str | None = None
    query: Query | None = None
    """Of a question that the user asked."""


class Step(Record):
    """One call of a registered tool."""

    id: str = Field(pattern=r"^S\d+$")
    tool: str
    params: dict[str, Any] = {}
    inputs: list[str] = []
    """Ids of earlier steps of the same workflow whose tables this one reads."""
    purpose: str = ""
    checks: list[str] = []
    """Names of metrics to look at afterwards."""


class Workflow(Record):
    """The steps that answer an objective; a new version after each refinement."""

    objective: str
    version: int = 1
    steps: list[Step] = Field(min_length=1, max_length=20)

    @model_validator(mode="after")
    def _is_a_dag(self) -> Self:
        known: set[str] = set()
        for step in self.steps:
            if step.id in known:
                raise ValueError(f"step {step.id} is there twice")
            unknown = [one for one in step.inputs if one not in known]
            if unknown:
                raise ValueError(f"step {step.id} reads {', '.join(unknown)}, which is no earlier step")
            known.add(step.id)
        return self

    def step(self, name: str) -> Step:
        """The step of that id (KeyError if there is none)."""
        return {one.id: one for one in self.steps}[name]


class Ref(Record):
    """A cell of an artifact. `row` is the entry of the artifact's first column, `id`, which is unique."""

    artifact: str
    row: str
    column: str


class Finding(Record):
    """An edge of the evidence graph: what one row of one artifact says of one entity."""

    id: str
    """`<artifact>#<row>`."""
    objective: str
    entity: str
    kind: Literal["feature", "set", "network", "link", "cluster", "module", "sample_group", "panel"] = "feature"
    relation: str
    """changed_in, associated_with, enriched_in, connected_in, predicts, ..."""
    target: str
    """The contrast, outcome, trait or cell type."""
    sign: Literal[-1, 0, 1]
    effect: float | None = None
    low: float | None = None
    high: float | None = None
    p: float | None = None
    q: float | None = None
    n: int | None = None
    artifact: str
    row: str
    members: list[str] = []
    also: list[str] = []  # other sets of its cluster, which it names
    """For sets, modules and the like: genes that carry it."""
    descriptive: bool = False
    """From a method that can carry grade C only."""
    only_in: Literal[-1, 0, 1] = 0
    """1 where the contrast's first group alone has it, -1 the second: there is no change to measure."""
    modelled: int = 0
    """Missing values that enter the test through the table's curve."""
    stable: bool | None = None
    """Whether the sensitivity refits agree; None where there were none."""


class StepResult(Record):
    """What came out of a step."""

    objective: str
    step: str
    workflow_version: int = 1
    status: Status = "ok"
    artifacts: dict[str, str] = {}
    """Table name to artifact name."""
    metrics: dict[str, Any] = {}
    """Numbers, words and short lists that refinement rules look at."""
    findings: list[Finding] = []
    p_values: str | None = None
    """`artifact:column` of the p-values that make up the objective's family."""
    notes: list[str] = []
    error: str = ""


class Experiment(Record):
    """How to test a hypothesis."""

    assay: str
    n_per_group: int | None = None
    """If the effect were as estimated, which hits overstate: a mark of effort for the rubric, printed nowhere."""


class Scores(Record):
    """The five metrics, 1 to 5; None is unknown."""

    reliability: float | None = None
    coherence: float | None = None
    alignment: float | None = None
    novelty: float | None = None
    evaluability: float | None = None


class Edge(Record):
    """One of the statements that a joined hypothesis puts together: an entity's sign in a finding of its own."""

    entity: str
    sign: Literal[-1, 0, 1]
    finding: str


class Hypothesis(Record):
    """A statement that the evidence carries.

    `statement` (and `prose`, `mechanism`, `alternatives`) hold no digit but in names of entities and contrasts: a
    number is written `{name}`, where `numbers[name]` says which cell it is (`prose_numbers`, in all but the statement);
    we render it. Of version 2 on the statement is made from the slots of the first finding (`_headline`), whoever
    proposed it, and of those of `joins`; of version 1 it is the proposer's.

    Examples:
        >>> from proteus import Hypothesis
        >>> one = Hypothesis(statement="TP53 is higher in KO than in WT", entities=["TP53"], direction="up",
        ...                  context="KO-WT", evidence=["O1.S2.v1.features#TP53"])
        >>> one.grade is None  # the gate grades, never a proposer
        True
    """

    version: Literal[1, 2] = 1
    id: str = ""
    statement: str
    entities: list[str] = Field(min_length=1)
    direction: Literal["up", "down", "associated"]
    context: str
    """Contrast, outcome or cell type."""
    mechanism: str = ""
    numbers: dict[str, Ref] = {}
    prose: str = ""
    """A model's own words, checked against the slots; empty where it adds none."""
    prose_numbers: dict[str, Ref] = {}
    evidence: list[str] = Field(min_length=1)
    """Ids of findings."""
    joins: list[Edge] = Field(default=[], max_length=12)
    """Of a joined hypothesis (a complex, a regulator with its targets) what is said beside the first finding."""
    contrary: list[str] = []
    alternatives: list[str] = []
    experiment: Experiment | None = None
    grade: Grade | None = None
    """Set by the gate, never by a planner."""
    firm: bool = False
    """Whether it passes the error control over the whole run and the sensitivity refits, and so does all it joins."""
    replicated: bool | None = None
    """Whether it replicates in each cohort; None where it was not asked so."""
    held: bool | None = None
    """Whether it came out again on samples that were held out; None where it was not tested so."""
    scores: Scores = Scores()
    notes: list[str] = []

    @property
    def own_numbers(self) -> dict[str, Ref]:
        """The cells that `{name}` stands for in the proposer's texts: prose, mechanism, alternatives."""
        return self.prose_numbers if self.version > 1 else self.numbers


class Asked(Record):
    """What the user asks before the data are looked at.

    Examples:
        >>> from proteus import Asked
        >>> Asked(question="Which proteins are higher in AD?", only=True).contrast is None
        True
    """

    question: str | None = None
    contrast: str | None = None
    """`A-B`, levels of a factor."""
    design: str | None = None
    """For the contrast."""
    only: bool = False
    """Nothing else is asked."""
    fold: float | None = Field(default=None, ge=1)
    """Bar of each contrast, as a ratio; None: by the rule of `auto_lfc`."""


class Settings(Record):
    """How a study runs, beside its budget and seed; a run keeps them, and a resumed one must have the same.

    Examples:
        >>> from proteus import Settings
        >>> Settings(cohort="site").kept()
        {'refine': True, 'gate': True, 'cohort': 'site'}
    """

    refine: bool = True
    """Off for comparison only, as `gate`."""
    gate: bool = True
    objective: str | None = None
    """The only one to pursue, for a job scheduler; `merge` puts such runs together."""
    cohort: str | None = None
    """Column of the sample sheet whose levels are cohorts: grade A is what replicates in each."""
    hold_out: float | None = None
    """Share of 60 samples or more kept apart, on which each hypothesis is tested once at the end."""
    asked: Asked = Asked()

    def kept(self) -> dict[str, Any]:
        """As `config.json` has them: what is not as usual, and both switches."""
        return {"refine": self.refine, "gate": self.gate} | self.model_dump(exclude_defaults=True)

    @classmethod
    def of(cls, config: Mapping[str, Any]) -> Self:
        """The settings in a run's `config.json`."""
        return cls.model_validate({key: config[key] for key in cls.model_fields if config.get(key) is not None})


class Budget(Record):
    """Limits of a run; None is none.

    Examples:
        >>> from proteus import Budget
        >>> Budget(objectives=2).steps
        20
    """

    objectives: int = Field(default=8, ge=1, le=12)
    steps: int = Field(default=20, ge=1)
    """Per objective, refinements included."""
    refinements: int = Field(default=3, ge=0)
    hypotheses: int = Field(default=40, ge=1)
    seconds: float | None = None
    tokens: int | None = None
    usd: float | None = None


def write_documents(path: Path, kind: str, objects: list[Any]) -> None:
    """Write objects as `{format, format_version, items}` atomically."""
    items = [one.model_dump(mode="json") for one in objects]
    document = {"format": f"proteus.{kind}", "format_version": 1, "items": items}
    write_text(path, json.dumps(document, indent=1) + "\n")


def read_documents(path: Path, kind: str, model: type[Any]) -> list[Any]:
    """Read what `write_documents` wrote.

    Raises:
        ArtifactError: missing, damaged, foreign, or of a newer format; names the file.
    """
    document = read_document(path, f"proteus.{kind}")
    try:
        return [model.model_validate(one) for one in document["items"]]
    except (KeyError, TypeError, ValidationError) as error:
        raise ArtifactError(path, f"is damaged: {str(error).splitlines()[0]}") from None
