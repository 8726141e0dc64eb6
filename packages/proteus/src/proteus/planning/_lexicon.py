"""Words by what they claim, for the check of a proposer's prose. `*` stands for any ending; phrases are in quotes."""

import re
import shlex


def pattern(words: str) -> str:
    """An alternation of the words and phrases, longest first."""
    found = sorted((" ".join(one.split()) for one in shlex.split(words)), key=len, reverse=True)
    return "|".join(re.escape(one).replace(r"\*", r"\w*").replace(r"\ ", r"\s+") for one in found)


def compiled(words: str) -> re.Pattern[str]:
    """The words, whole, in any case."""
    return re.compile(rf"\b(?:{pattern(words)})\b", re.IGNORECASE)


UP = """higher highest increas* up up-regulated "up regulated" upregulated elevat* rais* rise rises rising
risen rose gain* more greater larger grow* grew accumulat* climb* exceed* overexpress* over-express*
surpass* stronger enhanc* augment* heighten* enrich* upward* above positiv* boost*"""
DOWN = """lower lowered lowers lowest decreas* down down-regulated "down regulated" downregulated reduc* fall
falls fallen falling fell drop* declin* diminish* loss loses losing lost less fewer smaller deplet*
weaker shrink* shrank underexpress* under-express* downward* below negativ* scarcer impoverish*"""
ACTIVE = """increases decreases raises lowers reduces elevates boosts depletes enhances diminishes upregulates
downregulates up-regulates down-regulates"""
LACKS = compiled("""undetect* absent missing lacking lack lacks vanish* disappear* "not seen" "not detected" "not found"
"not observed" "not present" "not measured" "not quantified" "never seen" "never detected" "never
found" "never observed" "never present" "never measured" "never quantified" """)
HAS = compiled("seen detected detectable found observed present appears appear")
_TURNS = """not no never neither nor without cannot unchanged unaffected unaltered fail fails failed instead
"rather than" opposite contrary hardly barely"""
NEGATION = re.compile(rf"\b(?:{pattern(_TURNS)})\b|n['\u2019]t\b", re.IGNORECASE)
CAUSES = compiled("""cause causes caused causing causal causally causation drive drives driven driving driver drivers
drove "lead to" "leads to" "leading to" "led to" induc* trigger* mediat* "result in" "results in"
"resulted in" "resulting in" "result from" "results from" "resulting from" because "due to" "owing
to" "thanks to" thereby hence therefore thus through via regulates "regulated by" regulating
upregulates downregulates up-regulates down-regulates activat* inhibit* repress* suppress* promot*
block blocks blocked blocking stimulat* prevent* protect* responsible "response to" "respond to"
"responds to" consequence consequences contribut* affect affects affected affecting "effect of"
"effects of" impact impacts influenc* determin* enabl* explain* produc* depend* require requires
required necessary sufficient underlie underlies underlying make makes made "give rise" "gives rise"
"bring about" "brings about" attribut* stem stems originates converts alter alters disrupt disrupts
restore restores rescue rescues confer confers""")
CERTAIN = compiled("""prove
proves proved proven proving demonstrat* confirm* establish* certain* definit* undoubtedly
clearly biomarker biomarkers diagnos* therap* treats cure cures cured drug drugs mutat* always
guarantee* must""")
COUNTS = compiled("""all every each none
only sole solely majority minority most mostly both several many few single pair
pairs strongest largest biggest highest lowest smallest weakest top best unique* exclusive* entire*
complete* slight* marginal* strong strongly marked* dramatic* massive* huge* substantial* modest*
weak weakly tiny vast* considerabl* sharp* nearly almost""")
RELATIONS = (  # words that only findings of these relations may use
    (compiled("hazard hazards surviv* mortality death risk prognos* relapse outcome outcomes"), {"predicts"}),
    (compiled("correlat* proportional"), {"moves_with", "follows"}),
    (compiled("phospho* site sites modif*"), {"changed_beyond_protein_in"}),
    (compiled("split splits subtype subtypes subgroup subgroups"), {"splits"}),
    (compiled("classif* discriminat* panel panels"), {"classifies"}),
    (compiled('trend trends dose doses dose-* "time course"'), {"follows", "moves_with"}),
    (compiled("enrich* pathway pathways"), {"enriched_in"}),
    (compiled('"share of cells" frequen* proportion proportions'), {"abundance_changed_in"}),
)
UNITS = {"log2": "log2", "arcsinh": "arcsinh", "asinh": "arcsinh", "odds": "odds", "hazard": "hazard",
         "correlation": "correlation", "variance": "variance", "rate": "rate"}  # fmt: skip
WRONG_UNITS = re.compile(rf"\b(?:{pattern('log10 ln percent* point points fold sd count counts')})\b|%", re.IGNORECASE)
CHANGE = compiled("log2 fold change changes changed")
_COMPARED = """than versus vs vs. against "compared with" "compared to" "relative to" """
_FROM = """over from above below "as opposed to" "with respect to" exceed exceeds exceeding surpass surpasses """
BESIDE = re.compile(  # what stands before the side that the other is compared with
    rf"\b(?:{pattern(_COMPARED + _FROM)})\s+(?:in\s+|the\s+|(?:that|those) (?:of|in)\s+)*$", re.IGNORECASE
)
WHERE = re.compile(rf"\b(?:in|among|{pattern(_COMPARED)})\s+(?:the\s+|a\s+)*([\w\u00a7-]+)", re.IGNORECASE)
_PLAIN = """abundance level levels amount amounts quantity intensity intensities signal expression concentration
this that these those comparison contrast sample samples run runs table data set sets pathway
complex module members member cells cell other it its their group groups expected general turn line
direction arcsinh log2 unit units in the mean average median detection proteome protein proteins
number log part hazard"""
PLAIN = frozenset(_PLAIN.split())  # what may stand there and is no side
LABELS = tuple(  # words before a number, and the columns that it may then be of
    (re.compile(rf"(?:{label})\W*$", re.IGNORECASE), columns)
    for label, columns in (
        (r"(?:\bq|fdr|adjusted p(?:[- ]value)?|q[- ]values?)\W*(?:of|=|is|at)?", {"q"}),
        (r"exact p", {"exact_p"}),
        (r"(?:\bp|p[- ]values?)\W*(?:of|=|is|at)?", {"p"}),
        (r"(?:\bn|samples|runs|observations)\W*(?:of|=|is)?", {"n"}),
        (r"(?:interval|limits?|between|range)\W*(?:of|from|is)?", {"ci_low"}),
        (r"\}\s*(?:to|and|-|\u2013)", {"ci_high"}),
        (r"(?:change|effect|difference|shift|correlation|ratio|odds|variance|rate|by|of|units?|log2)", {"effect"}),
    )
)
