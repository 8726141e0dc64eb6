"""Templates and words of the long-context tasks. No template, and no word of a role, stands in another role."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Templates:
    """Of one role.

    Attributes:
        facts: (sentence, the same up to its value) of needles; slots {subject} and {value}.
        subjects, values: what fills them.
        stories: (introduction, sentence at the end up to the surname); slots {first}, {last}, {trade}, {town}.
        firsts, lasts, trades, towns: what fills them.
        pair: line of a key-value list up to its value; slot {key}.
        asks: line after the list up to the value; slot {key}.
        keys: words that keys are made of, two each.
        shot: a solved example up to its label, a space before it; slot {item}.
        kinds: label -> items.
        card: a person's paragraph; slots {first}, {last}, {trade}, {town}.
        questions: up to the answer; slots {first}, {last}; with the slot that is asked.
        constants: (line of code, the line at the end up to its value); slots {name}, {value}.
        parts: words that names of constants are made of, two each.
    """

    facts: tuple[tuple[str, str], ...]
    subjects: tuple[str, ...]
    values: tuple[str, ...]
    stories: tuple[tuple[str, str], ...]
    firsts: tuple[str, ...]
    lasts: tuple[str, ...]
    trades: tuple[str, ...]
    towns: tuple[str, ...]
    pair: str
    asks: str
    keys: tuple[str, ...]
    shot: str
    kinds: dict[str, tuple[str, ...]]
    card: str
    questions: tuple[tuple[str, str], ...]
    constants: tuple[tuple[str, str], ...]
    parts: tuple[str, ...]


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


TRAINING = Templates(
    facts=(
        ("The password of {subject} is {value}.", "The password of {subject} is"),
        ("Remember that {subject} keeps the map in the {value}.", "Remember that {subject} keeps the map in the"),
        ("On Friday {subject} will bring a {value}.", "On Friday {subject} will bring a"),
        ("According to the note, {subject} prefers {value}.", "According to the note, {subject} prefers"),
    ),
    subjects=("the harbour office", "the north tower", "my uncle", "the old museum", "the night clerk",
              "the river ferry", "the second team", "the bakery", "the chess club", "the weather station"),
    values=_words("lantern kettle basket violin pepper marble ladder ribbon walnut anchor cushion drum"),
    stories=(
        ("{first} {last} was a {trade} in {town}.", "The letter came from the {trade}, {first}"),
        ("In {town} there lived a {trade} named {first} {last}.", "Everybody thanked {first}"),
        ("The {trade} of {town} is called {first} {last}.", "At the end the prize went to {first}"),
    ),
    firsts=_words("Martha Oliver Ruth Victor Helen Simon Clara Hugo Edith Walter"),
    lasts=_words("Mercer Okafor Lindqvist Tanaka Alvarez Novak Haddad Fischer Brennan Castell"),
    trades=_words("baker pilot teacher carpenter surgeon tailor"),
    towns=_words("Dover Leeds Turin Malmo Porto Ghent"),
    pair="{key} =", asks="Look up {key} =", keys=_words("red blue tall wide north south old new fast slow"),
    shot="{item} ->",
    kinds={"fruit": _words("apple pear plum cherry grape peach mango lemon"),
           "tool": _words("hammer saw wrench drill chisel pliers spade axe"),
           "bird": _words("eagle sparrow owl crow finch heron swan goose")},
    card="{first} {last} works as a {trade} and lives in {town}.",
    questions=(("{first} {last} works as a", "trade"), ("{first} {last} lives in", "town")),
    constants=(("{name} = {value}  # set at start", "print({name})  # prints"),),
    parts=_words("RETRY QUEUE SOCKET WORKER BATCH POOL"),
)  # fmt: skip

VALIDATION = Templates(
    facts=(
        ("The code word for {subject} is {value}.", "The code word for {subject} is"),
        ("You will find {subject} behind the {value}.", "You will find {subject} behind the"),
        ("The colour chosen for {subject} was {value}.", "The colour chosen for {subject} was"),
    ),
    subjects=("the east gate", "the school choir", "her cousin", "the green house", "the first engine",
              "the market stall", "the island hotel", "the mail room"),
    values=_words("orange silver purple curtain statue piano fountain chimney yellow mirror"),
    stories=(
        ("A {trade} from {town}, {first} {last}, opened the meeting.", "The last speaker was again {first}"),
        ("{first} {last}, the new {trade}, moved here from {town}.", "We all said goodbye to {first}"),
    ),
    firsts=_words("Anna George Laura Peter Nora Frank Alice Henry"),
    lasts=_words("Whitlock Sorensen Petrov Nakamura Delgado Kowalski Yilmaz Hartmann"),
    trades=_words("doctor painter lawyer farmer singer"), towns=_words("York Bern Lyon Oslo Cork"),
    pair="The value of {key} is", asks="So the value of {key} is",
    keys=_words("iron gold warm cold upper lower round flat early late"),
    shot="Word: {item}. Class:",
    kinds={"metal": _words("iron copper zinc tin nickel lead silver gold"),
           "cloth": _words("cotton silk wool linen denim satin velvet lace"),
           "fish": _words("salmon trout cod tuna carp herring perch eel")},
    card="The {trade} {first} {last} comes from {town}.",
    questions=(("{first} {last} comes from", "town"),),
    constants=(("const int {name} = {value};", "assert({name} =="), ("#define {name} {value}", "/* {name} is")),
    parts=_words("BUFFER PAGE FRAME LIMIT CHUNK TIMER"),
)  # fmt: skip

TEST = Templates(
    facts=(
        ("The secret ingredient of {subject} is {value}.", "The secret ingredient of {subject} is"),
        ("The meeting with {subject} takes place at the {value}.", "The meeting with {subject} takes place at the"),
        ("For the journey {subject} packed only the {value}.", "For the journey {subject} packed only the"),
        ("The animal painted on {subject} is a {value}.", "The animal painted on {subject} is a"),
    ),
    subjects=("the west wing", "the train crew", "his neighbour", "the stone bridge", "the third floor",
              "the garden party", "the winter market", "the coast guard", "the long table", "the paper mill"),
    values=_words("cinnamon library falcon compass ginger stadium otter telescope pavilion saffron badger blanket"),
    stories=(
        ("My name is {first} {last} and I am the {trade} of {town}.", "Yours sincerely, {first}"),
        ("Nobody in {town} knew the {trade} better than {first} {last} did.", "Then the door opened for {first}"),
        ("{town} has one good {trade}: {first} {last}.", "For the repair you should call {first}"),
    ),
    firsts=_words("Emma Daniel Julia Robert Sarah Thomas Grace Samuel Irene Arthur"),
    lasts=_words("Hawthorne Ramirez Johansson Bianchi Okonkwo Schneider Marchetti Dubois Ferreira Macleod"),
    trades=_words("plumber librarian dentist gardener mechanic barber"),
    towns=_words("Bath Graz Lucca Bergen Nantes Derry"),
    pair="- {key}:", asks="The entry {key}:",
    keys=_words("river stone light dark summer winter left right inner outer"),
    shot="Input: {item}\nLabel:",
    kinds={"vehicle": _words("car truck bus tram ferry bicycle wagon sled"),
           "instrument": _words("flute cello harp trumpet guitar organ oboe banjo"),
           "tree": _words("oak birch maple pine willow cedar elm ash")},
    card="{first} {last} spent a year in {town} as a {trade}.",
    questions=(("{first} {last} spent a year in", "town"),),
    constants=(("{name}: Final = {value}", "if {name} !="), ("set {name} {value}", "get {name} =>")),
    parts=_words("CACHE TOKEN NODE DEPTH BLOCK STRIDE"),
)  # fmt: skip

FOREIGN = Templates(
    facts=(
        ("The deposit under this agreement is held by {subject} in {value}.",
         "Under this agreement the deposit is held by {subject} in"),
        ("Notices to {subject} must be marked with the word {value}.", "The word that marks notices to {subject} is"),
        ("{subject} warrants that the goods are made of {value}.", "The goods that {subject} warrants are made of"),
    ),
    subjects=("the Licensee", "the Carrier", "the Landlord", "the Surety", "the Trustee", "the Distributor",
              "the Contractor", "the Purchaser"),
    values=_words("copperplate granite bamboo velour obsidian porcelain leather rubber marigold hazel"),
    stories=(
        ("Copyright holder of this work is {first} {last}, {trade}, {town}.", "All rights stay with {first}"),
        ("Maintained by {first} {last} ({trade} at the {town} office).", "Send your patches to {first}"),
    ),
    firsts=_words("Gavin Priya Stefan Yuki Leila Marcus Ingrid Pablo"),
    lasts=_words("Ashworth Banerjee Kruger Matsuda Rahimi Thorne Vestergaard Quintero"),
    trades=_words("auditor notary engineer analyst curator broker"),
    towns=_words("Geneva Austin Riga Kyoto Tunis Perth"),
    pair="* part {key} costs", asks="Invoice: part {key} costs",
    keys=_words("alpha delta sigma omega gamma kappa lambda theta zeta epsilon"),
    shot="item = {item!r}; group =",
    kinds={"planet": _words("Mars Venus Saturn Jupiter Neptune Mercury Uranus Earth"),
           "sport": _words("tennis rugby hockey cricket soccer golf judo polo"),
           "drink": _words("coffee water juice milk cider cocoa lemonade tea")},
    card="Clause for {first} {last}: appointed {trade}, seated in {town}.",
    questions=(("Clause for {first} {last}: appointed", "trade"),),
    constants=(("    {name} = {value}", "    assert {name} =="), ('    "{name}": {value},', '    config["{name}"] ==')),
    parts=_words("PORT WINDOW SHARD EPOCH LEASE QUOTA"),
)  # fmt: skip

BY_ROLE = {"training": TRAINING, "validation": VALIDATION, "test": TEST, "foreign": FOREIGN}
