#include "core/workflows/inspect_posterior.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <optional>

#include "cli/command.h"
#include "cli/commands.h"
#include "cli/computes.h"
#include "cli/describe.h"
#include "cli/terminal/format.h"
#include "cli/terminal/report.h"
#include "cli/terminal/table.h"
#include "cli/terminal/text.h"
#include "cli/validators.h"
#include "cli/workspace.h"
#include "core/text/utf8.h"

namespace mformer::cli {
namespace {

using namespace terminal;
using nlohmann::ordered_json;

struct PosteriorFlags {
  InspectPosteriorCommand command;
  std::string text;
};

std::size_t likeliest(const std::vector<double>& weights) {
  return static_cast<std::size_t>(std::max_element(weights.begin(), weights.end()) - weights.begin());
}

ordered_json by_name(const std::vector<std::string>& names, const std::vector<double>& weights) {
  ordered_json json = ordered_json::object();
  for (std::size_t h = 0; h < weights.size(); ++h) json[names[h]] = weights[h];
  return json;
}

ordered_json document_json(const PosteriorPicture& picture, const DocumentPosterior& document, bool tokens) {
  ordered_json json = {{"document", document.number},
                       {"tokens", document.predicted},
                       {"loss", document.loss},
                       {"shares", by_name(picture.hypotheses, document.shares)},
                       {"text", document.text}};
  if (!tokens) return json;
  json["predicted"] = ordered_json::array();
  for (const PredictedToken& token : document.tokens) {
    json["predicted"].push_back(
        {{"text", token.text}, {"log_prob", token.log_prob}, {"weights", by_name(picture.hypotheses, token.weights)}});
  }
  return json;
}

/// One line a document: who read it, and how it begins.
void report_documents(Report& report, const PosteriorPicture& picture) {
  constexpr int kBeginning = 32;
  std::vector<Column> columns = {{"document"}, {"tokens"}, {"loss"}};
  for (const std::string& name : picture.hypotheses) columns.push_back({"by " + name});
  columns.push_back({"begins", Align::left});
  Table table(columns);
  for (const DocumentPosterior& document : picture.documents) {
    std::vector<std::string> cells = {format_count(document.number), format_count(document.predicted),
                                      std::isfinite(document.loss) ? format_fixed(document.loss) : "-"};
    for (const double share : document.shares) cells.push_back(format_percent(share));
    cells.resize(columns.size() - 1, "-");
    cells.push_back(shorten(printable(document.text), kBeginning, report.style().unicode));
    table.add_row(cells);
  }
  report.text() << table.str(report.style());
}

Rgb colour_of(std::size_t hypothesis) {
  // Told apart with red-green blindness too: the palette of Okabe and Ito, without black and yellow.
  constexpr Rgb kColours[] = {{230, 159, 0},   {86, 180, 233}, {0, 158, 115},
                              {204, 121, 167}, {213, 94, 0},   {0, 114, 178}};
  return kColours[(hypothesis - 1) % std::size(kColours)];
}

/// A document's text, each stretch in the colour of its likeliest hypothesis, or after its name in brackets where there
/// are no colours. The base has none.
void report_tokens(Report& report, const PosteriorPicture& picture, const DocumentPosterior& document) {
  const bool colours = report.style().colour != Colour::none;
  report.text() << "document " << format_count(document.number) << ":\n";
  std::size_t last = 0;
  std::string stretch;
  const auto show = [&] {
    const std::string text = printable_lines(replace_invalid_utf8(stretch));
    const bool own = last != 0 && colours;
    report.text() << (own ? foreground(colour_of(last), report.style()) : "") << text
                  << (own ? reset(report.style()) : "");
    stretch.clear();
  };
  for (const PredictedToken& token : document.tokens) {
    const std::size_t now = likeliest(token.weights);
    if (now != last) {
      show();
      if (!colours) report.text() << '[' << picture.hypotheses[now] << "] ";
      last = now;
    }
    stretch += token.text;
  }
  show();
  report.text() << "\n\n";
}

void report_legend(Report& report, const PosteriorPicture& picture) {
  if (report.style().colour == Colour::none) return;
  report.text() << "colours: the likeliest hypothesis; plain: base";
  for (std::size_t h = 1; h < picture.hypotheses.size(); ++h) {
    report.text() << ", " << foreground(colour_of(h), report.style()) << picture.hypotheses[h] << reset(report.style());
  }
  report.text() << '\n';
}

void run_inspect_posterior(const PosteriorFlags& flags, const GlobalOptions& global) {
  const InspectPosteriorCommand& command = flags.command;
  Workspace workspace(global, "inspect posterior", OpenMode::read_only);
  LoadedVersion version = workspace.load();
  const VersionRecord record = version.record;
  const PosteriorPicture picture =
      workspace.run([&] { return inspect_posterior(workspace.computing_session(), std::move(version), command); });
  Report report("inspect posterior", global.json);
  report.data()["model_version"] = version_json(record);
  report.data()["task"] = command.text ? ordered_json(nullptr) : ordered_json(command.task);
  report.data()["all_documents"] = picture.all_documents;
  auto& documents = report.data()["documents"] = ordered_json::array();
  for (const DocumentPosterior& one : picture.documents)
    documents.push_back(document_json(picture, one, command.tokens));
  report.text() << to_string(record) << ": what the posterior over births decided";
  if (!command.text) {
    report.text() << " on " << format_count(std::ssize(picture.documents)) << " of "
                  << format_count(picture.all_documents) << " held-out documents of " << command.task;
  }
  report.text() << "\n\n";
  if (command.tokens) {
    for (const DocumentPosterior& document : picture.documents) report_tokens(report, picture, document);
    report_legend(report, picture);
  }
  report_documents(report, picture);
  report.text() << "by …: the mean weight with which each hypothesis predicted; loss in nats per token\n";
  report.print();
}

}  // namespace

void setup_inspect_posterior(CLI::App& parent, const GlobalOptions& global) {
  auto flags = std::make_shared<PosteriorFlags>();
  CLI::App* command = add_command(parent, {"posterior", "", "Show which domain read which document, and which token",
                                           "mformer inspect posterior --task qa --tokens"});
  CLI::Option* task = command->add_option("--task", flags->command.task, "The task whose held-out documents are read");
  task->type_name("NAME");
  CLI::Option* text = command->add_option("--text", flags->text, "A text instead of a task");
  text->type_name("TEXT")->excludes(task);
  command
      ->add_option("--max-documents", flags->command.max_documents,
                   "So many of the task's documents, evenly spread, 0 = all")
      ->check(non_negative_integer())
      ->excludes(text);
  command->add_flag("--tokens", flags->command.tokens, "Also the texts, each token in the colour of who predicted it");
  computes(
      *command,
      [flags, text] {
        if (text->count() > 0) flags->command.text = flags->text;
        if (!flags->command.text && flags->command.task.empty()) {
          throw UsageError("it is not said what is to be read", "--task NAME, or --text TEXT");
        }
      },
      [flags, &global] { run_inspect_posterior(*flags, global); });
}

}  // namespace mformer::cli
