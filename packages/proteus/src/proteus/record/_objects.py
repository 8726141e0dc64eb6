"""What a run is made of, as typed, versioned objects with a JSON form.

data -> `DatasetProfile` -> `Objective` -> `Workflow` of `Step` (a DAG) -> `StepResult` with `Finding` (edges of the
evidence graph) -> `Hypothesis`. Every number in a hypothesis is a `Ref` to a cell of an artifact.
"""

from collections.abc import Mapping
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

JOINED = 3  # entities of a hypothesis without edges of its own: a set with members
Grade = Literal["A", "B", "C"]
Status = Literal["ok", "empty", "failed"]


def brief(schema: dict[str, Any]) -> None:
    """Leave the first line of a class's docstring, and no titles, in its JSON schema: models pay for each word."""
    schema["description"] = str(schema.get("description", "")).split("\n")[0]
    for one in (schema, *schema.get("properties", {}).values()):
        one.pop("title", None)


class Record(BaseModel):
    """Base of all objects: immutable, unknown fields refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, json_schema_extra=brief)


class Factor(Record):
    """A column of the sample sheet with few levels.

    Attributes:
        levels: samples in each level, levels in the design's order (the first is the base).
    """

    name: str
    levels: dict[str, int]


class DatasetProfile(Record):
    """What a planner may know of a table: counts and statistics, no values.

    Attributes:
        outcome: (time, event) columns, if there are such.
        block: column whose levels are subjects measured more than once.
        within: factors whose levels can be compared within subjects; of the others a subject has one level.
        crossed: pairs of columns with samples in each combination of their levels; the second may be a number.
        repeated: numbers with few different values, as times and doses have.
        shared_levels: levels that two columns have (a batch A, a group A): a contrast writes them `group[A]`.
        batch: factors that look technical: by name (batch, plate, site, run ...).
        aliasing: Cramer's V of pairs of factors; 1 cannot be separated.
        variance_explained: eta^2 of each factor on the first principal components.
        markers: cytometry: `type` and `state` markers.
        knowledge: what is at hand in addition to the table: sets, network, sites.
        assay: kind of assay, a card of `words("assays")`.
    """

    version: Literal[1] = 1
    kind: str
    scale: str
    features: int
    samples: int
    factors: list[Factor] = []
    numbers: list[str] = []
    outcome: list[str] = []
    block: str | None = None
    within: list[str] = []
    crossed: list[list[str]] = []
    repeated: list[str] = []
    shared_levels: list[str] = []
    batch: list[str] = []
    aliasing: dict[str, dict[str, float]] = {}
    missing: float = 0.0
    missing_by_intensity: float | None = None
    missing_by_group: dict[str, float] = {}
    residual_sd: float | None = None
    id_type: str = "other"
    organism: str = "unknown"
    variance_explained: dict[str, list[float]] = {}
    outliers: int = 0
    markers: dict[str, list[str]] = {}
    knowledge: list[str] = []
    assay: str = "unknown"
    warnings: list[str] = []

    def factor(self, name: str) -> Factor | None:
        """The factor of that name."""
        return next((one for one in self.factors if one.name == name), None)


class Query(Record):
    """What a question in words asks, in fields; nothing that is not in them is answered.

    Attributes:
        contrast: `A-B`, two levels of `factor`.
        other: of `batch` and `interaction` the second column.
        over: number or ordered factor of a trend; `outcome` for modules that predict it.
        unknown: symbols that the question names and the table does not have.
        family: class of proteins, by their names in the table.
        level: of `seen`, `detected` and `cv`: where.
        count: how many, not which.
    """

    kind: Literal[
        "changed", "unchanged", "presence", "seen", "value", "sets", "network", "modules", "trend", "outcome", "groups",
        "panel", "subtypes", "batch", "samples", "interaction", "correlation", "cv", "detected",
    ]  # fmt: skip
    contrast: str | None = None
    factor: str | None = None
    other: str | None = None
    over: str | None = None
    direction: Literal["up", "down"] | None = None
    entities: list[str] = []
    unknown: list[str] = []
    gene_set: str | None = None
    family: str | None = None
    sample: str | None = None
    level: str | None = None
    adjust: list[str] = []
    top: int | None = None
    fold: float | None = None
    q: float | None = None
    by_effect: bool = False
    count: bool = False


class Objective(Record):
    """One question to the data.

    Attributes:
        template: kind of question; see `_expert.TEMPLATES`. A planner may also make up its own.
        requires: names of preconditions (see `_registry.REQUIREMENTS`), checked against the profile.
        query: of a question that the user asked.
    """

    version: Literal[1] = 1
    id: str = Field(pattern=r"^O\d+(\.\d+)*$")
    template: str
    question: str
    rationale: str = ""
    design: str | None = None
    contrast: str | None = None
    outcome: list[str] = []
    entities: list[str] = []
    requires: list[str] = []
    priority: float = 0.0
    parent: str | None = None
    query: Query | None = None


class Step(Record):
    """One call of a registered tool.

    Attributes:
        inputs: ids of earlier steps of the same workflow whose tables this one reads.
        checks: names of metrics to look at afterwards.
    """

    id: str = Field(pattern=r"^S\d+$")
    tool: str
    params: dict[str, Any] = {}
    inputs: list[str] = []
    purpose: str = ""
    checks: list[str] = []


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
    """An edge of the evidence graph: what one row of one artifact says of one entity.

    Attributes:
        id: `<artifact>#<row>`.
        relation: changed_in, associated_with, enriched_in, connected_in, predicts, ...
        target: the contrast, outcome, trait or cell type.
        members: for sets, modules and the like: genes that carry it.
        also: of a set others whose signal it names, of a feature genes that its peptides fit too.
        descriptive: from a method that can carry grade C only.
        only_in: 1 where the contrast's first group alone has it, -1 the second: there is no change to measure.
        modelled: missing values that enter the test through the table's curve.
        stable: whether the sensitivity refits agree; None where there were none.
    """

    id: str
    objective: str
    entity: str
    kind: Literal["feature", "set", "network", "link", "cluster", "module", "sample_group", "panel"] = "feature"
    relation: str
    target: str
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
    also: list[str] = []
    descriptive: bool = False
    only_in: Literal[-1, 0, 1] = 0
    modelled: int = 0
    stable: bool | None = None


class StepResult(Record):
    """Results of a step.

    Attributes:
        artifacts: table name to artifact name.
        metrics: numbers, words and short lists that refinement rules look at.
        p_values: `artifact:column` of the p-values that make up the objective's family.
    """

    objective: str
    step: str
    workflow_version: int = 1
    status: Status = "ok"
    artifacts: dict[str, str] = {}
    metrics: dict[str, Any] = {}
    findings: list[Finding] = []
    p_values: str | None = None
    notes: list[str] = []
    error: str = ""


class Experiment(Record):
    """How to test a hypothesis.

    Attributes:
        n_per_group: if the effect were as estimated, which hits overstate: a mark of effort for the rubric, printed
            nowhere.
    """

    assay: str
    n_per_group: int | None = None


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
    we render it. Of version 2 on the statement is made from the slots of the first finding (`_headline`), for any
    planner that proposed it, and of those of `joins`; of version 1 it is the proposer's.

    Attributes:
        context: contrast, outcome or cell type.
        prose: A model's own words, checked against the slots; empty where it adds none.
        evidence: ids of findings.
        joins: of a joined hypothesis (a complex, a regulator with its targets) what is said in addition to the first
            finding.
        grade: set by the gate, never by a planner.
        firm: whether it passes the error control over the whole run and the sensitivity refits, and so does all it
            joins.
        replicated: whether it replicates in most cohorts; None where it was not asked so.
        cohorts: cells of the q over cohorts, of the first finding and of each that is joined; empty where one has none.
        held: of runs of 0.2: whether it came out again on samples that were held out.

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
    mechanism: str = ""
    numbers: dict[str, Ref] = {}
    prose: str = ""
    prose_numbers: dict[str, Ref] = {}
    evidence: list[str] = Field(min_length=1)
    joins: list[Edge] = Field(default=[], max_length=12)
    contrary: list[str] = []
    alternatives: list[str] = []
    experiment: Experiment | None = None
    grade: Grade | None = None
    firm: bool = False
    replicated: bool | None = None
    cohorts: list[Ref] = []
    held: bool | None = None
    scores: Scores = Scores()
    notes: list[str] = []

    @property
    def joined(self) -> bool:
        """Whether it joins several results, by a set, a module, links or a panel; else it is a single result."""
        return bool(self.joins) or len(self.entities) >= JOINED

    @property
    def own_numbers(self) -> dict[str, Ref]:
        """The cells that `{name}` stands for in the proposer's texts: prose, mechanism, alternatives."""
        return self.prose_numbers if self.version > 1 else self.numbers


class Asked(Record):
    """What the user asks before the data are looked at.

    Attributes:
        contrast: `A-B`, levels of a factor.
        design: for the contrast.
        only: nothing else is asked.
        fold: bar of each contrast, as a ratio; None: by the rule of `auto_lfc`.

    Examples:
        >>> from proteus import Asked
        >>> Asked(question="Which proteins are higher in AD?", only=True).contrast is None
        True
    """

    question: str | None = None
    contrast: str | None = None
    design: str | None = None
    only: bool = False
    fold: float | None = Field(default=None, ge=1)


class Settings(Record):
    """How a study runs, in addition to its budget and seed; a run keeps them, and a resumed one must have the same.

    Attributes:
        refine: off for comparison only, as `gate`.
        cohort: column of the sample sheet whose levels are cohorts: grade A is what replicates in most of them.

    Examples:
        >>> from proteus import Settings
        >>> Settings(cohort="site").kept()
        {'refine': True, 'gate': True, 'cohort': 'site'}
    """

    refine: bool = True
    gate: bool = True
    cohort: str | None = None
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

    Attributes:
        steps: per objective, refinements included.

    Examples:
        >>> from proteus import Budget
        >>> Budget(objectives=2).steps
        20
    """

    objectives: int = Field(default=8, ge=1, le=12)
    steps: int = Field(default=20, ge=1)
    refinements: int = Field(default=3, ge=0)
    hypotheses: int = Field(default=40, ge=1)
    seconds: float | None = None
    tokens: int | None = None
    usd: float | None = None
