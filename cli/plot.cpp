#include <filesystem>
#include <functional>

#include "cli/command.h"
#include "cli/commands.h"
#include "cli/computes.h"
#include "cli/describe.h"
#include "cli/output_file.h"
#include "cli/plot/pictures.h"
#include "cli/plot/png.h"
#include "cli/registry_workspace.h"
#include "cli/report/documents.h"
#include "cli/terminal/report.h"
#include "cli/validators.h"
#include "cli/workspace.h"
#include "modules_registry/files.h"

namespace mformer::cli {
namespace {

/// What all pictures take.
struct PlotFile {
  std::string command;  ///< "plot matrix"
  std::string out;
  bool dark = false;
  double scale = 2;
  CLI::Option* scale_given = nullptr;

  bool png() const { return std::filesystem::path(out).extension() == ".png"; }
};

/// Before any work.
void require_plot_file(const PlotFile& file) {
  const bool svg = std::filesystem::path(file.out).extension() == ".svg";
  if (!svg && !file.png()) {
    throw UsageError("'" + file.out + "' does not say what kind of picture it is to be",
                     "end its name in .svg or .png");
  }
  if (svg && file.scale_given->count() > 0) {
    throw UsageError("--scale says how many pixels a PNG has, and '" + file.out + "' is to be an SVG, which has none",
                     "leave --scale out, or end the name in .png");
  }
  require_output(file.out, "picture of mformer", [&](const std::string& path) {
    return svg ? has_first_line(path, svg_first_line) : is_png_of_ours(path);
  });
}

/// `version`: that the picture is of, or null.
void write_plot(const PlotFile& file, const GlobalOptions& global, const PlotPicture& picture,
                const VersionRecord* version) {
  const std::string bytes = file.png() ? png_of(picture, file.scale) : picture.svg;
  write_file_atomically(file.out, as_bytes(bytes));
  const double scale = file.png() ? file.scale : 1;
  const auto pixels = [scale](int units) { return std::llround(std::ceil(units * scale)); };
  terminal::Report report(file.command, global.json);
  report.data() = {{"out", file.out},
                   {"bytes", bytes.size()},
                   {"width", pixels(picture.width)},
                   {"height", pixels(picture.height)},
                   {"description", picture.description}};
  if (version != nullptr) report.data()["model_version"] = version_json(*version);
  report.text() << "wrote " << file.out << " (" << byte_size(static_cast<std::int64_t>(bytes.size())) << ", "
                << pixels(picture.width) << " x " << pixels(picture.height) << ")\n";
  report.print();
}

/// A picture of a version, from the registry alone.
using OfVersion = std::function<PlotPicture(const Registry&, const VersionRecord&, bool dark)>;

void plot_of_version(const PlotFile& file, const GlobalOptions& global, const OfVersion& draw) {
  require_plot_file(file);
  const RegistryWorkspace workspace(global, file.command, OpenMode::read_only);
  const VersionRecord version = workspace.version();
  write_plot(file, global, draw(workspace.registry(), version, file.dark), &version);
}

struct PictureText {
  std::string name, description, example;
};

/// A command of the group with what all have.
CLI::App* add_picture(CLI::App& group, const PictureText& text, const std::shared_ptr<PlotFile>& file) {
  file->command = "plot " + text.name;
  CLI::App* command =
      add_command(group, {text.name, "", text.description, "mformer plot " + text.name + " " + text.example});
  command
      ->add_option("--out", file->out, "File to write, whose name ends in .svg or .png; an earlier picture is replaced")
      ->type_name("FILE")
      ->required();
  command->add_flag("--dark", file->dark, "Light on dark; default: dark on white");
  file->scale_given = command->add_option("--scale", file->scale, "Of a PNG: pixels for each unit of the picture")
                          ->check(positive_number());
  return command;
}

void setup_routing(CLI::App& group, const GlobalOptions& global) {
  struct Options {
    std::vector<std::string> tasks, versions;
  };
  auto file = std::make_shared<PlotFile>();
  auto options = std::make_shared<Options>();
  CLI::App* command = add_picture(group, {"routing", "Draw which modules each task uses", "--out routing.svg"}, file);
  command->add_option("--task", options->tasks, "Tasks to show; default: all whose routing is recorded")
      ->type_name("NAME");
  command
      ->add_option("--diff", options->versions,
                   "Draw how the routing changed from one version to another, module by module")
      ->type_name("REF")
      ->expected(2);
  command->callback([file, options, &global] {
    require_plot_file(*file);
    const RegistryWorkspace workspace(global, file->command, OpenMode::read_only);
    const Registry& registry = workspace.registry();
    const bool change = !options->versions.empty();
    const VersionRecord version = change ? registry.resolve(options->versions[1]) : workspace.version();
    const PlotPicture picture = change ? plot_routing_change(registry, registry.resolve(options->versions[0]), version,
                                                             options->tasks, file->dark)
                                       : plot_routing(registry, version, options->tasks, file->dark);
    write_plot(*file, global, picture, &version);
  });
}

void setup_of_version(CLI::App& group, const GlobalOptions& global, const PictureText& text, const OfVersion& draw) {
  auto file = std::make_shared<PlotFile>();
  add_picture(group, text, file)->callback([file, draw, &global] { plot_of_version(*file, global, draw); });
}

void setup_keep_curve(CLI::App& group, const GlobalOptions& global) {
  auto file = std::make_shared<PlotFile>();
  auto tables = std::make_shared<std::vector<std::string>>();
  CLI::App* command = add_picture(
      group, {"keep-curve", "Draw losses against the share of modules kept", "curve.csv --out keep.svg"}, file);
  command->add_option("FILE", *tables, "Tables that inspect keep-curve --csv wrote")->required();
  command->callback([file, tables, &global] {
    require_plot_file(*file);
    write_plot(*file, global, plot_keep_curves(*tables, file->dark), nullptr);
  });
}

void setup_training(CLI::App& group, const GlobalOptions& global) {
  auto file = std::make_shared<PlotFile>();
  auto operations = std::make_shared<std::vector<std::int64_t>>();
  CLI::App* command =
      add_picture(group, {"training", "Draw the loss of each step of runs", "--out training.svg"}, file);
  command
      ->add_option("OP", *operations, "Operations whose runs to draw, by their ids in the log; default: the newest run")
      ->check(positive_integer());
  command->callback([file, operations, &global] {
    require_plot_file(*file);
    const RegistryWorkspace workspace(global, file->command, OpenMode::read_only);
    write_plot(*file, global, plot_training(workspace.registry(), *operations, file->dark), nullptr);
  });
}

void setup_versions(CLI::App& group, const GlobalOptions& global) {
  auto file = std::make_shared<PlotFile>();
  auto limit = std::make_shared<int>(60);
  CLI::App* command = add_picture(
      group, {"versions", "Draw the graph of versions; with --model REF that version's history", "--out versions.svg"},
      file);
  command->add_option("-n,--limit", *limit, "At most N versions, the newest; 0 = all")->check(non_negative_integer());
  command->callback([file, limit, &global] {
    require_plot_file(*file);
    const RegistryWorkspace workspace(global, file->command, OpenMode::read_only);
    write_plot(*file, global, plot_versions(workspace.registry(), global.model, *limit, file->dark), nullptr);
  });
}

void plot_documents(const PlotFile& file, std::int64_t count, const GlobalOptions& global) {
  Workspace workspace(global, file.command, OpenMode::read_only);
  const LoadedVersion version = workspace.load();
  const nlohmann::ordered_json documents = documents_facts(workspace, version, count);
  write_plot(file, global, plot_posterior_of_documents(version.record, documents, file.dark), &version.record);
}

void setup_posterior(CLI::App& group, const GlobalOptions& global) {
  auto file = std::make_shared<PlotFile>();
  auto documents = std::make_shared<std::int64_t>(0);
  CLI::App* command = add_picture(
      group,
      {"posterior", "Draw how much of each task each hypothesis of a model with domains reads", "--out posterior.svg"},
      file);
  command
      ->add_option("--documents", *documents,
                   "Draw what the posterior decides on N held-out documents of each task instead, which is computed")
      ->check(positive_integer());
  computes_where(
      *command, [documents] { return *documents > 0; },
      [file, &global] { plot_of_version(*file, global, plot_posterior); },
      [file, documents, &global] {
        require_plot_file(*file);
        plot_documents(*file, *documents, global);
      });
}

}  // namespace

void setup_plot(CLI::App& parent, const GlobalOptions& global) {
  CLI::App* group =
      add_command_group(parent, {"plot", groups::inspect, "Write one picture of what the registry has, as SVG or PNG",
                                 "mformer plot matrix --out matrix.svg"});
  setup_routing(*group, global);
  setup_of_version(*group, global,
                   {"matrix", "Draw the held-out loss of each task after each step", "--out matrix.svg"}, plot_matrix);
  setup_of_version(*group, global, {"forgetting", "Draw the same as a line for each task", "--out forgetting.svg"},
                   plot_forgetting);
  setup_keep_curve(*group, global);
  setup_training(*group, global);
  setup_versions(*group, global);
  setup_posterior(*group, global);
}

}  // namespace mformer::cli
