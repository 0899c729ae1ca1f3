#include <filesystem>

#include "cli/command.h"
#include "cli/commands.h"
#include "cli/manual.h"
#include "cli/output_file.h"
#include "cli/terminal/format.h"
#include "cli/terminal/report.h"
#include "cli/terminal/text.h"
#include "modules_registry/error.h"
#include "modules_registry/files.h"

namespace mformer::cli {
namespace {

namespace fs = std::filesystem;

bool is_our_page(const std::string& path) {
  const std::string mark = manual_mark;
  return has_first_line(path, mark.substr(0, mark.size() - 1));
}

void make_folder(const fs::path& folder) {
  std::error_code problem;
  fs::create_directories(folder, problem);
  if (problem || !fs::is_directory(folder)) {
    throw Error("'" + folder.string() + "' can't be made a folder" + (problem ? ": " + problem.message() : ""),
                "name a folder that is there, or a new one where you may write");
  }
}

void run_man_pages(const CLI::App& root, const std::string& folder, const GlobalOptions& global) {
  const std::vector<ManualPage> pages = manual_pages(root, MFORMER_VERSION);
  for (const ManualPage& page : pages) require_replaceable(fs::path(folder) / page.file, "manual page", is_our_page);
  make_folder(folder);
  terminal::Report report("man-pages", global.json);
  report.data()["folder"] = folder;
  auto& files = report.data()["files"] = nlohmann::ordered_json::array();
  for (const ManualPage& page : pages) {
    write_file_atomically(fs::path(folder) / page.file, as_bytes(page.text));
    files.push_back(page.file);
  }
  report.text() << "wrote " << terminal::format_count(static_cast<std::int64_t>(pages.size())) << " pages to "
                << terminal::printable(folder) << "; man "
                << terminal::printable((fs::path(folder) / "mformer.1").string()) << " shows the first\n";
  report.print();
}

}  // namespace

void setup_man_pages(CLI::App& parent, const GlobalOptions& global) {
  auto folder = std::make_shared<std::string>();
  CLI::App* command = add_command(
      parent, {"man-pages", groups::shell, "Write the manual pages, one a command", "mformer man-pages man1/"});
  command->add_option("DIR", *folder, "Folder that gets mformer.1, mformer-extend.1, ...")->required();
  command->callback([folder, &parent, &global] { run_man_pages(parent, *folder, global); });
}

}  // namespace mformer::cli
