"""Every sentence in which the program concludes something is in this list, with the test of its condition.

A conclusion is text that a result is put into words by: not an error, a flag's doc or a heading. What looks like one, by
its words, has to be in CLAIMS or NO_CLAIMS below; what is in CLAIMS has to be in the source, and its test has to exist.
"""

import os
import re
import unittest
from pathlib import Path

SOURCE = Path(os.environ.get("KVPLACE_SOURCE_DIR") or Path(__file__).resolve().parents[2])

#: Where results become words.
FOLDERS = ("apps/kvplace", "src/advise", "src/bound", "src/generate", "src/instance", "src/report", "src/simulate", "src/size", "src/solve")

VERDICTS = "tests/apps/test_verdicts.cpp"
ADVICE = "tests/apps/test_advice_verdicts.cpp"
SIZE = "tests/cli/test_size.py"
ADVISE = "tests/apps/test_advise_sentences.cpp"
ADVISED = ("tests/cli/test_advise.py", "test_what_does_not_serve_or_fit_is_said")
PAGES = "tests/apps/test_page_words.cpp"
SIZINGS = "tests/apps/test_size_verdicts.cpp"

#: How a sentence begins -> the file of its test, and the test.
CLAIMS = {
    # compare: verdicts.cpp
    "Placement does not matter here: static, which moves nothing,": (VERDICTS, "PlacementDoesNotMatterIfAndOnlyIf"),
    " and every policy ": (VERDICTS, "PlacementDoesNotMatterIfAndOnlyIf"),
    " Of the bytes read {} are weights": (VERDICTS, "PlacementDoesNotMatterIfAndOnlyIf"),
    "Every policy {}, and static, which moves nothing, take the same time": (
        VERDICTS, "PlacementDoesNotMatterIfAndOnlyIf"),
    "The policies {} take the same time within 1 %, but placement matters": (
        VERDICTS, "PlacementDoesNotMatterIfAndOnlyIf"),
    "(perfect split): no schedule that writes new KV as it comes is faster": (VERDICTS, "TheLegendNamesTheRowsThatAreThere"),
    "(certified): proven for ": (VERDICTS, "TheLegendNamesTheRowsThatAreThere"),
    "(any): proven for ": (VERDICTS, "TheLegendNamesTheRowsThatAreThere"),
    "x bound is over (any): copies in the background are no schedules of (certified)": (
        VERDICTS, "TheLegendNamesTheRowsThatAreThere"),
    ": none is faster.": (VERDICTS, "TheLegendNamesTheRowsThatAreThere"),
    ": an ideal, no placement.": (VERDICTS, "TheLegendNamesTheRowsThatAreThere"),
    "whose copies are of whole blocks and begin and end within": (VERDICTS, "TheLegendNamesTheRowsThatAreThere"),
    ", and whose requests are placed alike": (VERDICTS, "TheLegendNamesTheRowsThatAreThere"),
    "whose copies may span steps": (VERDICTS, "TheLegendNamesTheRowsThatAreThere"),
    ", whose requests may be placed differently,": (VERDICTS, "TheLegendNamesTheRowsThatAreThere"),
    " and whose new KV may be written to far later": (VERDICTS, "TheLegendNamesTheRowsThatAreThere"),
    "Interrupted: the first {} of {} decode steps.": (VERDICTS, "AnEarlyEndIsSaid"),
    "Interrupted: what searches found until then.": (VERDICTS, "AnEarlyEndIsSaid"),
    ": its time limit ended the planning": (VERDICTS, "AnEarlyEndIsSaid"),
    ": valid, but its search was cut short": (VERDICTS, "AnEarlyEndIsSaid"),
    "Bounds are of the machine at its peak": (VERDICTS, "BoundsSayWhatTheyCountOfAnEngine"),
    "Bounds count the engine's efficiencies and overheads": (VERDICTS, "BoundsSayWhatTheyCountOfAnEngine"),
    # pages: page_words.cpp
    "The fastest policy compared{} is {}": (PAGES, "TheClosestPolicyIsNamedAndWhetherPlacementMatters"),
    " that does not know the future": (PAGES, "TheClosestPolicyIsNamedAndWhetherPlacementMatters"),
    "Whether placement matters here is not known.": (PAGES, "TheClosestPolicyIsNamedAndWhetherPlacementMatters"),
    "Placement matters here: static, which moves nothing, takes {:.3g} times": (
        PAGES, "TheClosestPolicyIsNamedAndWhetherPlacementMatters"),
    # compare, of a served batch: served_text.cpp
    "One buffer per layer for all requests (lru) takes": (
        "tests/apps/test_served_text.cpp", "OneBufferForAllTakesLessOrMoreTimeThanOneForEach"),
    "a request waits so long for half and for 99 % of its tokens": (
        "tests/apps/test_served_text.cpp", "HalfOfAllTokensComeWithinTheMedian"),
    # bound and verify: verdicts.cpp
    "bound: proven for ": (VERDICTS, "MoreNearMemoryLowersWhatTheSamePricesProve"),
    "none takes less than {} s": (VERDICTS, "MoreNearMemoryLowersWhatTheSamePricesProve"),
    "more near memory does not lower it": (VERDICTS, "MoreNearMemoryLowersWhatTheSamePricesProve"),
    "1 % more near memory ({}) lowers it": (VERDICTS, "MoreNearMemoryLowersWhatTheSamePricesProve"),
    "search ended by the time limit": (VERDICTS, "TheSearchAndThePlanningEndEachOnItsOwn"),
    "planning ended by the time limit": (VERDICTS, "TheSearchAndThePlanningEndEachOnItsOwn"),
    "{:.3f} % above {}": (VERDICTS, "TheSearchAndThePlanningEndEachOnItsOwn"),
    "of all, exact": (VERDICTS, "WhatTheExactSolutionsAre"),
    "; it cuts blocks, the bound does not": (VERDICTS, "WhatTheExactSolutionsAre"),
    "the best found; another may be faster": (VERDICTS, "WhatTheExactSolutionsAre"),
    # advise: advise_sentences.cpp
    "Tiering pays at batch {}": (ADVISE, "WhereTieringPaysAndLoses"),
    "Tiering does not pay: none of the batches tried": (ADVISE, "WhereTieringPaysAndLoses"),
    "Time was up before all was varied": (ADVISE, "WhereTieringPaysAndLoses"),
    "Target: no batch gives each request": (ADVISE, "WhoGetsTheTarget"),
    "More would buy the best policy at batch": (ADVISE, "WhatMoreWouldBuyAndWhatItHangsOn"),
    "does not fit": (ADVISE, "WhatMoreWouldBuyAndWhatItHangsOn"),
    "Bound: proven; no placement ": (ADVISE, "WhatIsProven"),
    "is faster on this machine": (ADVISE, "WhatIsProven"),
    "is faster with this engine's efficiencies and overheads": (ADVISE, "WhatIsProven"),
    "fits      not {}; all KV near: {}": (ADVISE, "WhatFits"),
    "fits      weights do not fit near": (ADVISE, "WhatFits"),
    "fits      no request: weights take": ADVISED,
    "keeps KV far of models with an indexer": ADVISED,
    "No bound and no policy but the split": ADVISED,
    "reads     all KV in each step": (ADVISE, "WhatWasRead"),
    ", synthetic, as no trace was given": (ADVISE, "WhatWasRead"),
    # generate --like, budgets: verdicts.cpp
    "within 10 %, or 3 standard deviations of the count": (ADVICE, "ATwinIsNearItsOriginalOrTheFigureIsNamed"),
    "beyond 10 % and 3 standard deviations of the count": (ADVICE, "ATwinIsNearItsOriginalOrTheFigureIsNamed"),
    "Unequal budgets had more far reads than equal ones": (ADVICE, "UnequalBudgetsAreGivenUpIfReplaysSaySo"),
    # instances
    " such processors or more": (ADVICE, "WeightsThatDoNotFitNameHowManyProcessorsItTakes"),
    ") do not fit the near memory of": (ADVICE, "WeightsThatDoNotFitNameHowManyProcessorsItTakes"),
    ": sizes per layer are the model's": (ADVICE, "NotesOfAnInstance"),
    "inclusive mode keeps a copy of all KV in far memory": (ADVICE, "NotesOfAnInstance"),
    "; the times are computed as if it were enough": (ADVICE, "NotesOfAnInstance"),
    ", is more than": (ADVICE, "NotesOfAnInstance"),
    ", holds no block of ": (ADVICE, "ABufferThatHoldsNoBlock"),
    ": policies with a buffer per layer keep nothing": (ADVICE, "ABufferThatHoldsNoBlock"),
    # settings for engines
    "HiSparse serves models with DeepSeek sparse attention": (ADVICE, "EngineSettingsOnlyForWhatHiSparseServes"),
    "HiSparse takes a KV cache in bf16 or fp8": (ADVICE, "EngineSettingsOnlyForWhatHiSparseServes"),
    "HiSparse keeps single tokens": (ADVICE, "EngineSettingsOnlyForWhatHiSparseServes"),
    "HiSparse's buffer is for KV alone": (ADVICE, "EngineSettingsOnlyForWhatHiSparseServes"),
    " tokens per step and layer, the indexer of": (ADVICE, "EngineSettingsOnlyForWhatHiSparseServes"),
    "HiSparse needs device_buffer_size >= top_k": (ADVICE, "EngineSettingsOnlyForWhatHiSparseServes"),
    " tokens would do": (ADVICE, "EngineSettingsOnlyForWhatHiSparseServes"),
    "no settings for engines: ": (SIZE, "test_settings_for_engines_only_where_they_serve_the_model"),
    "lru has no answer": (SIZE, "test_out_of_reach"),
    # info
    "not known: none is near at the start": ("tests/cli/test_experts.py", "test_start"),
    # size: size_sentences.cpp
    "out of reach": (SIZE, "test_out_of_reach"),
    "(certified) speaks of schedules": (SIZINGS, "WhatIsCertifiedOfASizing"),
    "(certified): no policy decodes more than": (SIZINGS, "WhatIsCertifiedOfASizing"),
    "(certified): no policy reaches the target": (SIZINGS, "WhatIsCertifiedOfASizing"),
    "(certified): the bound leaves open whether": (SIZINGS, "WhatIsCertifiedOfASizing"),
    ", reaches the target.": (SIZINGS, "WhatIsCertifiedOfASizing"),
    " or less, whatever is near at the start": (SIZINGS, "WhatIsCertifiedOfASizing"),
    "{}: misses the target {}: at most": (SIZINGS, "WhatASearchMetAndWhatItLeftOpen"),
    "{}: reaches the target with": (SIZINGS, "WhatASearchMetAndWhatItLeftOpen"),
    "The time limit was reached": (SIZINGS, "WhatASearchMetAndWhatItLeftOpen"),
    ": the answers stand;": (SIZINGS, "WhatASearchMetAndWhatItLeftOpen"),
    ": open for ": (SIZINGS, "WhatASearchMetAndWhatItLeftOpen"),
    "the most that far memory holds": (SIZE, "test_what_ends_a_batch"),
    "the most that near memory has room for": (SIZE, "test_what_ends_a_batch"),
    "which hold all KV and all experts": (SIZE, "test_experts_compete_for_near_memory"),
    "; there is no larger batch to try": (SIZINGS, "FromWhichBatchOnTieringPays"),
    "; tiering is faster from": (SIZINGS, "FromWhichBatchOnTieringPays"),
    "no batch that was tried, up to": (SIZINGS, "FromWhichBatchOnTieringPays"),
    " at most, none tried below it can be": (SIZINGS, "FromWhichBatchOnTieringPays"),
    "; smaller ones are open": (SIZINGS, "FromWhichBatchOnTieringPays"),
    "open: the search was cut short": (SIZINGS, "FromWhichBatchOnTieringPays"),
}

#: What has the words of a claim and is none: definitions of what is shown, headings, assumptions that are called so,
#: names of figures, ends of errors.
NO_CLAIMS = (
    "not reached with", "exact, {} variables{}", "ids ranked per step and layer", "tokens of a KV page; ", " is not written",
    "is not a certificate, or its head is damaged", "its layers or steps are none or too many",
    "its prices are damaged",
    "target    {}; all near:", "+1 ...: tokens/s gained", "all KV near: {} request{}", "the time limit ended before the all-near speed was known",
    "the most that is tried", "the least that is tried", "SmolLM2-135M reading",
    "Read it so: {}; hit %", "x split is the time over the perfect split", "  over all layers", "steps or more after the last", "LRU misses over all layers at",
    " x device_buffer_size tokens; host_to_device_ratio", "KV of the model's heads as sized here",
    "the engines take one device_buffer_size", "SGLang: ", "vLLM: ", "requests are like the trace's",
    "an output appears only when it is complete", "not __fish_use_subcommand; and ", "EXIT STATUS", "no verb is named: ",
    "the trace does not say how large a block is", ") does not hold ", " of a GPU: give more --gpus",
    "KV as sized here, of one GPU's share", ", and no preset is called ", "{} more GPU{}",
    "no whole answer (", "{} requests, {} at once at most and {:.3g} in the mean", "; what prefill takes is not counted",
    "{}: {} requests, {} at once at most", "; {} that generated nothing left out", "steps in which nothing runs are left out",
    "requests ask for more tokens than the traces have, and end with those", "rankings are left out: ",
    "prompts arrive as written pages: what their prefill takes is in no time",
    "Link is all that is waited for beyond near memory", "<noscript>", "the proofs did not end within the time limit",
    "There is no certified bound here: ", "(certified): proven, whatever is near at the start",
    "There is no other near capacity to show", "There is no other link to show", "The trace reads nothing",
    " of blocks not read before",
)

#: Files of docs of flags, settings and result fields.
TABLES = ("apps/kvplace/instance_flags.cpp", "src/generate/config.cpp", "src/generate/fit_config.cpp",
          "src/instance/engine.cpp", "src/instance/options.cpp", "src/simulate/result_fields.cpp")

LITERALS = re.compile(r'"(?:[^"\\\n]|\\.)*"(?:\s*"(?:[^"\\\n]|\\.)*")*')
COMMENT = re.compile(r"^\s*//.*$", re.MULTILINE)
WORDS = re.compile(r"\b(no|none|nothing|never|not|every|matters?|faster|slower|fastest|proven|proves?|within|at most|at "
                   r"least|better|worse|best|cannot|may|would|converged|exact|reach(es)?|serves?|enough|more|less|limit|"
                   r"Interrupted|above|below|beyond)\b")
#: Of a statement that makes an error, or describes a flag.
ELSEWHERE = re.compile(r"\b(bad_input|failed|rejected|interrupted|broken|wrong|Error|add_option|add_flag|add_verb|add_to|"
                       r"add_optional_to|default_str|remark)\b")


def sentences():
    """(file, text) of all literals that look like a conclusion."""
    for folder in FOLDERS:
        for path in sorted((SOURCE / folder).rglob("*.cpp")):
            name = path.relative_to(SOURCE).as_posix()
            if name in TABLES:
                continue
            text = COMMENT.sub("", path.read_text(encoding="utf-8"))
            for match in LITERALS.finditer(text):
                joined = "".join(re.findall(r'"((?:[^"\\\n]|\\.)*)"', match[0])).replace("\\n", "\n").strip("\n")
                statement = text[max(text.rfind(end, 0, match.start()) for end in ";{}"):match.start()]
                if len(joined.split()) >= 3 and WORDS.search(joined) and not ELSEWHERE.search(statement):
                    yield name, joined


class Claims(unittest.TestCase):
    maxDiff = None

    def test_every_conclusion_is_listed(self):
        known = (*CLAIMS, *NO_CLAIMS)
        self.assertEqual([f"{name}: {text}" for name, text in sentences() if not any(k in text for k in known)], [])

    def test_what_is_listed_is_there(self):
        text = "".join("".join(re.findall(r'"((?:[^"\\\n]|\\.)*)"', match[0]))
                       for folder in FOLDERS for path in sorted((SOURCE / folder).rglob("*.cpp"))
                       for match in LITERALS.finditer(path.read_text(encoding="utf-8")))
        self.assertEqual([claim for claim in (*CLAIMS, *NO_CLAIMS) if claim not in text], [])

    def test_every_conclusion_has_its_test(self):
        missing = [f"{path}: {test}" for path, test in CLAIMS.values()
                   if test not in (SOURCE / path).read_text(encoding="utf-8")]
        self.assertEqual(missing, [])

    def test_the_package_prints_only_what_the_command_says(self):
        """What Python shows is the command's text; only the capture, and sweeps on a cluster, have
        commands of their own, which print counts and how far they are."""
        printing = [path.relative_to(SOURCE).as_posix() for path in sorted((SOURCE / "python/kvplace").rglob("*.py"))
                    if re.search(r"\bprint\(|warnings\.warn|logging\.", path.read_text(encoding="utf-8"))]
        self.assertEqual(printing, ["python/kvplace/_capture_command.py", "python/kvplace/_progress_lines.py",
                                    "python/kvplace/_sweep_command.py"])


if __name__ == "__main__":
    unittest.main()
