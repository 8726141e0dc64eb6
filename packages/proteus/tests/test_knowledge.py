"""Knowledge that comes with the package, and knowledge that users bring."""

import gzip
import json

import pandas as pd
import pytest
from ninefold.errors import ArtifactError, InputError
from proteus import ProteomicsData, name_proteins, shipped_sets
from proteus.cli import app
from proteus.knowledge._box import box, paralogs, stem
from proteus.loaders._given import known_things
from proteus.loaders._knowledge import load_gaf, load_knowledge
from typer.testing import CliRunner

from .helpers import noise
from .helpers import undrawn as undrawn

GLYCOLYSIS = ["PKM", "ENO1", "GAPDH", "PGK1", "TPI1", "LDHA", "ALDOA", "PFKL"]


def human(names=None, **columns):
    names = names or [box().accessions[one] for one in GLYCOLYSIS]
    sheet = pd.DataFrame({"group": ["a", "b"] * 4}, pd.Index([f"s{one}" for one in range(8)], name="sample"))
    return ProteomicsData(noise(len(names), 8), pd.DataFrame(columns, pd.Index(names, name="id")), sheet)


def test_accessions_get_symbols_and_names_of_their_proteins():
    data = name_proteins(human(["P10636-2", "sp|P14618|KPYM_HUMAN", "X00000;P04406", "unknown"]))
    assert data.features["gene"].tolist() == ["MAPT", "PKM", "GAPDH", ""]
    assert data.features["description"].iloc[0] == "microtubule associated protein tau"
    assert "HGNC of July 2024, complexes of FamPlex of 2024; 75% of the features have a gene symbol" in data.notes[-1]


def test_what_a_table_says_itself_stays():
    names = [box().accessions[one] for one in GLYCOLYSIS]
    data = name_proteins(human(names, gene=["own", *[""] * 7], description=["mine", *[""] * 7]))
    assert data.features["gene"].tolist() == ["own", *GLYCOLYSIS[1:]]
    assert data.features["description"].iloc[:2].tolist() == ["mine", "enolase 1"]


@pytest.mark.parametrize("names", [["YAL001C", "YAL002W", "YAL003W"], ["Pkm", "Eno1", "Gapdh"], ["f0", "f1", "f2"]])
def test_a_table_of_another_organism_gets_nothing(names):
    data = human(names, gene=names)
    assert name_proteins(data) is data
    assert shipped_sets(data) is None


def test_shipped_sets_are_those_with_five_genes_in_the_table():
    data = name_proteins(human())
    sets = shipped_sets(data)
    assert {"Glycolysis", "Glucose metabolism"} <= set(sets)
    assert all(len(set(members) & set(GLYCOLYSIS)) >= 5 for members in sets.values())
    assert box().identifiers["Glycolysis"] == "R-HSA-70171"
    own = shipped_sets(data, {"mine": GLYCOLYSIS, "small": ["PKM"]}, reactome=False)
    assert set(own) == {"mine"}


def test_paralogs_are_found_by_family_and_by_name_and_parts_of_a_complex_are_none():
    genes = ["ALDOA", "ALDOC", "YWHAZ", "YWHAG", "PSMA1", "PSMA2", "PKM", "MAPT", "IGHG1", "IGHG2", "RPL3", "RPL4"]
    assert paralogs(genes, {}) == [["ALDOA", "ALDOC"], ["IGHG1", "IGHG2"], ["YWHAG", "YWHAZ"]]
    assert paralogs(["a", "b"], {"a": "Fructose-bisphosphate aldolase A", "b": "Fructose-bisphosphate aldolase C"}) == [
        ["a", "b"]
    ]
    assert stem("tau") == stem("proteasome 20S subunit beta 5") == ""


GAF = "!gaf-version: 2.2\n" + "\n".join(
    "\t".join(["UniProtKB", f"P{k}", gene, qualifier, term, "PMID:1", "IDA", "", "P", "", "", "protein", "taxon:9606",
               "20240101", "x"])
    for k, (gene, qualifier, term) in enumerate(
        [("PKM", "involved_in", "GO:2"), ("ENO1", "involved_in", "GO:2"), ("TP53", "NOT|involved_in", "GO:2"),
         ("LDHA", "involved_in", "GO:1")])
)  # fmt: skip
OBO = "[Term]\nid: GO:1\nname: metabolism\n\n[Term]\nid: GO:2\nname: glycolysis\nis_a: GO:1 ! metabolism\n"


def test_annotations_become_sets_by_term_and_by_the_terms_above(tmp_path):
    (tmp_path / "goa.gaf.gz").write_bytes(gzip.compress(GAF.encode()))
    assert load_gaf(tmp_path / "goa.gaf.gz") == {"GO:2": ["ENO1", "PKM"], "GO:1": ["LDHA"]}
    (tmp_path / "go.obo").write_text(OBO)
    named = {"glycolysis (GO:2)": ["ENO1", "PKM"], "metabolism (GO:1)": ["ENO1", "LDHA", "PKM"]}
    assert load_gaf(tmp_path / "goa.gaf.gz", tmp_path / "go.obo") == named
    assert load_knowledge(tmp_path).sets == named
    (tmp_path / "bad.gaf").write_text("UniProtKB\tP1\tPKM\n")
    with pytest.raises(InputError, match=r"3 columns, expected 15.*|annotation.*bad\.gaf, line 1"):
        load_gaf(tmp_path / "bad.gaf")


def test_a_folder_extends_or_replaces_what_is_shipped(tmp_path):
    (tmp_path / "hallmark.gmt").write_text("\t".join(["MINE", "x", *GLYCOLYSIS]) + "\n")
    (tmp_path / "interactions.tsv").write_text("first\tsecond\nPKM\tENO1\n")
    (tmp_path / "README.md").write_text("what this is")
    data, sets, network = known_things(human(), str(tmp_path), None, None, None)
    assert {"MINE", "Glycolysis"} <= set(sets)
    assert sorted(network.nodes) == ["ENO1", "PKM"]
    assert data.features["gene"].tolist() == GLYCOLYSIS
    (tmp_path / "reactome_2026.gmt").write_text("\t".join(["NEWER", "x", *GLYCOLYSIS]) + "\n")
    (tmp_path / "symbols.tsv").write_text(f"accession\tsymbol\n{box().accessions['PKM']}\tPK2\n")
    data, sets, _ = known_things(human(), str(tmp_path), None, None, None)
    assert {"MINE", "NEWER"} <= set(sets)
    assert "Glycolysis" not in sets
    assert data.features["gene"].tolist() == ["PK2", *GLYCOLYSIS[1:]]


def test_none_leaves_the_shipped_knowledge_out():
    data = human()
    assert known_things(data, "none", None, None, None) == (data, None, None)


def test_a_file_that_is_no_knowledge_is_refused_by_name(tmp_path):
    with pytest.raises(ArtifactError, match="nowhere"):
        load_knowledge(tmp_path / "nowhere")
    with pytest.raises(InputError, match=r"no file of a known kind"):
        load_knowledge(tmp_path)
    (tmp_path / "results.tsv").write_text("a\tb\n1\t2\n")
    with pytest.raises(InputError, match=r"results\.tsv.*\*\.gmt, \*\.gaf"):
        load_knowledge(tmp_path)


def test_shipped_tables_are_small_and_whole():
    known = box()
    assert len(known.symbols) > 20_000
    assert len(known.identifiers) > 2_000
    assert all(one.startswith("R-HSA-") for one in known.identifiers.values())
    genes = set(known.symbols.values())
    lost = {one for members in known.sets.values() for one in members} - genes
    assert not lost


def call(*words):
    return CliRunner().invoke(app, [str(word) for word in words])


@pytest.fixture
def glycolysis(tmp_path):
    """A table of the ten genes of glycolysis and fifty others, by accession, of which the ten are higher in group a."""
    known = box()
    others = [one for one in sorted(known.accessions) if one not in known.sets["Glycolysis"]][:50]
    names = [known.accessions[one] for one in [*GLYCOLYSIS, *others]]
    data = human(names)
    values = data.values.copy()
    values[: len(GLYCOLYSIS), ::2] += 2.0
    data.with_values(values).save(tmp_path / "table")
    return tmp_path / "table"


@pytest.mark.usefixtures("undrawn")
def test_a_run_on_a_human_table_uses_what_ships(glycolysis, tmp_path):
    done = call("run", glycolysis, "--objectives", "2", "--quiet", "-o", tmp_path / "run")
    assert done.exit_code == 0, done.exception
    kept = json.loads((tmp_path / "run" / "input" / "knowledge.json").read_text())
    assert "Glycolysis" in kept["sets"]
    assert "PKM is lower in b than in a" in " ".join(done.stdout.split())
    bare = call("run", glycolysis, "--objectives", "1", "--quiet", "--knowledge", "none", "-o", tmp_path / "bare")
    assert bare.exit_code == 0, bare.exception
    assert json.loads((tmp_path / "bare" / "input" / "knowledge.json").read_text())["sets"] is None
    assert "PKM" not in bare.stdout


def test_an_assay_without_a_card_and_a_folder_that_is_none_are_refused_by_name(glycolysis, tmp_path):
    assert "expected pull-down, CSF, plasma" in str(call("run", glycolysis, "--assay", "urine").exception)
    assert "nowhere" in str(call("run", glycolysis, "--knowledge", tmp_path / "nowhere").exception)


def test_profile_lists_the_questions_that_the_table_can_be_asked(glycolysis):
    facts = json.loads(call("profile", glycolysis, "--json").stdout)
    asked = [value for name, value in facts.items() if name.startswith("question ")]
    assert "Which proteins are higher in b than in a?" in asked
    assert "How many proteins are detected in b?" in asked
