// Every command line that README and docs print is understood as it stands: commands, options, values. That they work
// is tried by tests/docs/test_printed_commands.py.

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <regex>

#include "cli/commands.h"
#include "cli/help.h"

namespace mformer::cli {
namespace {

namespace fs = std::filesystem;

/// The words of a line as a shell parts them, without what it redirects.
std::vector<std::string> shell_words(const std::string& line) {
  std::vector<std::string> words;
  const std::regex word("'([^']*)'|[^ ]+");
  for (std::sregex_iterator at(line.begin(), line.end(), word), end; at != end; ++at) {
    if (at->str() == "<" || at->str() == ">") break;
    words.push_back((*at)[1].matched ? (*at)[1].str() : at->str());
  }
  return words;
}

struct PrintedLine {
  std::string page, text;
  bool in_a_sentence;  ///< `mformer probe`: what it needs may be left out there.
};

std::vector<PrintedLine> printed_lines() {
  std::vector<fs::path> pages = {"README.md", "CONTRIBUTING.md"};
  for (const auto& entry : fs::recursive_directory_iterator("docs")) {
    if (entry.path().extension() == ".md") pages.push_back(entry.path());
  }
  std::vector<PrintedLine> lines;
  for (const fs::path& page : pages) {
    std::ifstream file(page);
    for (std::string line; std::getline(file, line);) {
      for (const std::string start : {"    mformer ", "    $ mformer "}) {
        if (line.starts_with(start))
          lines.push_back({page, line.substr(start.size(), line.find(" #") - start.size()), false});
      }
      const std::string quoted = "`mformer ";
      for (std::size_t at = line.find(quoted); at != std::string::npos; at = line.find(quoted, at + 1)) {
        const std::size_t begin = at + quoted.size(), end = line.find('`', begin);
        if (end != std::string::npos) lines.push_back({page, line.substr(begin, end - begin), true});
      }
    }
  }
  // "[--task NAME…]" is no line to be typed.
  std::erase_if(lines, [](const PrintedLine& line) {
    return line.text.find_first_of("[|") != std::string::npos || line.text.find("…") != std::string::npos ||
           line.text.starts_with("COMMAND") || line.text == "manifest 1";
  });
  return lines;
}

/// Reads a command line, and runs nothing.
class ParsingApp : public CLI::App {
 public:
  struct Understood {};
  ParsingApp() : CLI::App("", "mformer") {}

 private:
  void pre_callback() override { throw Understood(); }
};

TEST(DocsTest, EveryPrintedCommandLineIsUnderstood) {
  std::size_t tried = 0;
  for (const PrintedLine& line : printed_lines()) {
    GlobalOptions global;
    ParsingApp app;
    use_our_help(app);
    app.set_version_flag("--version", "0");
    add_global_options(app, global);
    setup_commands(app, global);
    std::vector<std::string> words = shell_words(line.text);
    std::reverse(words.begin(), words.end());
    try {
      app.parse(words);
    } catch (const ParsingApp::Understood&) {
    } catch (const CLI::Success&) {  // help
    } catch (const CLI::RequiredError& error) {
      EXPECT_TRUE(line.in_a_sentence) << line.page << ": mformer " << line.text << ": " << error.what();
    } catch (const CLI::ParseError& error) {
      ADD_FAILURE() << line.page << ": mformer " << line.text << ": " << error.what();
    }
    ++tried;
  }
  EXPECT_GT(tried, 80U);
}

}  // namespace
}  // namespace mformer::cli
