// What Tab offers, on the commands as they are.

#include "cli/complete.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "cli/commands.h"
#include "cli/help.h"
#include "cli/manual.h"
#include "core/formats/model_config.h"
#include "core/surgery/criterion.h"

namespace mformer::cli {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::StartsWith;

class CompleteTest : public ::testing::Test {
 protected:
  CompleteTest() {
    use_our_help(app_);
    app_.set_version_flag("--version", "0");
    add_global_options(app_, global_);
    setup_commands(app_, global_);
    add_all(app_, "");
  }

  Completion offered(const std::vector<std::string>& words) {
    return complete(app_, words, [this](const NameQuery& query) {
      asked_ = query;
      return std::vector<Candidate>{{"base", ""}, {"bose", ""}, {"other", ""}};
    });
  }

  std::vector<std::string> texts(const std::vector<std::string>& words) {
    std::vector<std::string> texts;
    for (const Candidate& candidate : offered(words).candidates) texts.push_back(candidate.text);
    return texts;
  }

  void add_all(const CLI::App& parent, const std::string& before) {
    // One without a group is for programs alone: help, completion and manual don't have it.
    for (const CLI::App* command :
         parent.get_subcommands([](const CLI::App* one) { return !one->get_group().empty(); })) {
      const std::string name = before + (before.empty() ? "" : " ") + command->get_name();
      all_.emplace_back(name, command);
      add_all(*command, name);
    }
  }

  CLI::App app_{"", "mformer"};
  GlobalOptions global_;
  NameQuery asked_;
  std::vector<std::pair<std::string, const CLI::App*>> all_;
};

TEST_F(CompleteTest, OffersCommandsThatBeginLikeTheWord) {
  EXPECT_THAT(texts({"ta"}), ElementsAre("task", "tasks", "tag"));
  EXPECT_THAT(texts({"--json", "--seed", "3", "tas"}), ElementsAre("task", "tasks"));
  EXPECT_THAT(texts({"inspect", "l"}), ElementsAre("lineage"));
  EXPECT_THAT(texts({""}), Contains("extend"));
  EXPECT_THAT(texts({}), Contains("extend"));
  EXPECT_THAT(texts({"extnd", ""}), Not(Contains("train")));
}

TEST_F(CompleteTest, OffersOptionsOfTheCommandAndOfAllOnceEach) {
  EXPECT_THAT(texts({"extend", "--ex"}), ElementsAre("--experts"));
  EXPECT_THAT(texts({"extend", "--q"}), ElementsAre("--quiet"));
  EXPECT_THAT(texts({"extend", "--steps", "3", "--st"}), Not(Contains("--steps")));
  EXPECT_THAT(texts({"drop", "--born", "extend:qa", "--bo"}), ElementsAre("--born"));
  EXPECT_THAT(texts({"models", "--h"}), ElementsAre("--help"));
  EXPECT_THAT(texts({"eval", "--exa"}), ElementsAre("--exact"));
  EXPECT_THAT(texts({"eval", "--", "--ex"}), IsEmpty());
  EXPECT_THAT(texts({"gc", ""}), Contains("--dry-run")) << "a command without arguments: its options";
}

TEST_F(CompleteTest, OffersTheWordsThatAnOptionTakes) {
  EXPECT_THAT(texts({"prune", "--scope", ""}), ElementsAre("layer", "global"));
  EXPECT_THAT(texts({"prune", "--scope=g"}), ElementsAre("--scope=global"));
  EXPECT_THAT(texts({"--device", ""}), ElementsAre("cpu", "cuda"));
  EXPECT_THAT(texts({"extend", "--experts", ""}), ElementsAre("auto"));
  EXPECT_THAT(texts({"extend", "--store", ""}), ElementsAre("int8"));
  EXPECT_THAT(texts({"generate", "--dtype", ""}), ElementsAre("float32", "bfloat16", "int8", "int4"));
  EXPECT_THAT(texts({"export", "--dtype", ""}), ElementsAre("float32", "bfloat16", "float16"));
  EXPECT_THAT(texts({"export", "--quantize", "q"}), ElementsAre("q8_0", "q4_0", "q4_1"));
  EXPECT_THAT(texts({"export", "--format", ""}), ElementsAre("gguf"));
  EXPECT_THAT(texts({"export", "--for", ""}), ElementsAre("transformers"));
  EXPECT_EQ(texts({"init", "--preset", ""}), preset_names());
  EXPECT_EQ(texts({"prune", "--criterion", ""}), criterion_names());
  EXPECT_EQ(texts({"inspect", "keep-curve", "--criteria", ""}), criterion_names());
  EXPECT_THAT(texts({"train", "--steps", ""}), IsEmpty());
}

TEST_F(CompleteTest, AsksForNamesWhereNamesAreMeant) {
  EXPECT_THAT(texts({"--workspace", "there", "eval", "--as-of", "b"}), ElementsAre("base", "bose"));
  EXPECT_EQ(asked_.what, Named::version);
  EXPECT_EQ(asked_.workspace, "there");
  EXPECT_EQ(asked_.word, "b");
  EXPECT_THAT(texts({"eval", "--model=ba"}), ElementsAre("--model=base"));
  texts({"diff", "base@1", "b"});
  EXPECT_EQ(asked_.what, Named::version);
  EXPECT_THAT(texts({"diff", "base@1", "base@2", "b"}), IsEmpty());
  texts({"task", "rename", "o"});
  EXPECT_EQ(asked_.what, Named::task);
  EXPECT_THAT(texts({"task", "rename", "qa", "o"}), IsEmpty()) << "the new name is free";
  EXPECT_THAT(texts({"eval", "--task", "base", "o"}), ElementsAre("other")) << "several may follow";
  texts({"model", "remove", "o"});
  EXPECT_EQ(asked_.what, Named::model);
  texts({"tag", "--remove", "o"});
  EXPECT_EQ(asked_.what, Named::tag);
  EXPECT_THAT(texts({"tag", "new", "o"}), ElementsAre("other"));
}

TEST_F(CompleteTest, AsksForDomainsOfTheModelThatIsMeantAndForOperations) {
  EXPECT_THAT(texts({"--model", "small", "eval", "--domain", "o"}), ElementsAre("other"));
  EXPECT_EQ(asked_.what, Named::domain);
  EXPECT_EQ(asked_.model, "small");
  for (const std::string command : {"export", "generate", "probe", "finetune", "prune"}) {
    texts({command, "--domain", ""});
    EXPECT_EQ(asked_.what, Named::domain) << command;
    asked_ = {};
  }
  EXPECT_THAT(texts({"graft", "--domain", "o"}), IsEmpty()) << "the new name is free";
  texts({"log", "1"});
  EXPECT_EQ(asked_.what, Named::operation);
}

TEST_F(CompleteTest, OffersClausesOfASelector) {
  EXPECT_THAT(texts({"freeze", "ki"}), ElementsAre("kind=att", "kind=mlp"));
  EXPECT_THAT(texts({"freeze", "kind=att,"}),
              ElementsAre("kind=att,frozen", "kind=att,unfrozen", "kind=att,domain=base", "kind=att,domain=bose",
                          "kind=att,domain=other"))
      << "clauses that can hold beside the first";
  EXPECT_THAT(texts({"finetune", "--modules", "domain=o"}), ElementsAre("domain=other"));
  EXPECT_THAT(texts({"drop", "all", "unf"}), ElementsAre("unfrozen"));
}

TEST_F(CompleteTest, OffersHelpAndBehindItCommandsAlone) {
  EXPECT_THAT(texts({"he"}), ElementsAre("help"));
  EXPECT_THAT(texts({"ver"}), ElementsAre("verify", "version"));
  EXPECT_THAT(texts({"help", "inspect", "l"}), ElementsAre("lineage"));
  EXPECT_THAT(texts({"help", "train", "-"}), IsEmpty());
  EXPECT_THAT(texts({"train", "hel"}), IsEmpty());
}

TEST_F(CompleteTest, LeavesPathsToTheShell) {
  EXPECT_EQ(offered({"extend", "--data", "x"}).paths, Named::file);
  EXPECT_EQ(offered({"extend", "--data=x"}).paths, Named::file);
  EXPECT_EQ(offered({"--workspace", ""}).paths, Named::folder);
  EXPECT_EQ(offered({"import", "/"}).paths, Named::file);
  EXPECT_EQ(offered({"extend", "--steps", "x"}).paths, Named::nothing);
}

TEST_F(CompleteTest, TakesAnyLine) {
  for (const std::vector<std::string>& words :
       std::vector<std::vector<std::string>>{{"-", ""},
                                             {"--"},
                                             {"--", ""},
                                             {"="},
                                             {"--=", "--="},
                                             {"--model"},
                                             {"a", "b", "c", "d"},
                                             {"-x=y", "\n"},
                                             {"--workspace"},
                                             {std::string(100000, 'x')},
                                             {"extend", "--nothing", "--nothing=x", ""}}) {
    EXPECT_NO_THROW(offered(words));
  }
}

TEST_F(CompleteTest, EveryWordThatIsOfferedIsNamedByItsOptionsHelp) {
  std::size_t tried = 0;
  for (const auto& [name, command] : all_) {
    for (const CLI::Option* option : command->get_options()) {
      for (const std::string& word : words_of(*option)) {
        const std::string known = option->get_description() + value_name(*option);
        EXPECT_THAT(known, HasSubstr(word)) << name << ' ' << option->get_name();
        ++tried;
      }
    }
  }
  EXPECT_GT(tried, 30U);
}

TEST_F(CompleteTest, EveryReferenceAndPathIsCompleted) {
  std::set<Named> kinds;
  for (const auto& [name, command] : all_) {
    for (const CLI::Option* option : command->get_options()) {
      const std::string label = option->get_positional() ? option->get_name(true) : value_name(*option);
      const Named what = named_by(*option, name);
      const bool must = label == "REF" || label == "DIR" || label == "FILE";
      EXPECT_TRUE(!must || what != Named::nothing) << name << ' ' << label;
      kinds.insert(what);
    }
  }
  EXPECT_EQ(kinds.size(), 11U) << "a rule that fits no option any more";
}

TEST_F(CompleteTest, EveryCommandHasAManualPageThatSaysWhatHelpSays) {
  const std::vector<ManualPage> pages = manual_pages(app_, "0.1.0");
  std::set<std::string> files;
  for (const ManualPage& page : pages) files.insert(page.file);
  EXPECT_EQ(pages.size(), all_.size() + 1);
  EXPECT_EQ(files.size(), pages.size());
  EXPECT_THAT(files, Contains("mformer-inspect-keep-curve.1"));
  for (const ManualPage& page : pages) {
    EXPECT_THAT(page.text, StartsWith(manual_mark));
    EXPECT_THAT(page.text, HasSubstr("\n.SH NAME\n"));
  }
  const auto freeze =
      std::find_if(pages.begin(), pages.end(), [](const ManualPage& page) { return page.file == "mformer-freeze.1"; });
  EXPECT_THAT(freeze->text, HasSubstr("\\fBmformer freeze\\fR \\fISELECTOR\\fR"));
  EXPECT_THAT(freeze->text, HasSubstr("\\fB\\-\\-dry\\-run\\fR\nSay what would happen, change nothing\n"));
}

}  // namespace
}  // namespace mformer::cli
