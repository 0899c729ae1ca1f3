// Makes a workspace with many versions of a large model's shape through the registry's own library, without the
// weights: objects are a few bytes. registry.py runs it and measures the commands on what it made.
//
//     mformer_many_versions DIR VERSIONS [LAYERS ATT MLP CHANGED]
//
// Each version changes CHANGED modules, each in another layer, and their routers, as a finetune of some modules does.
// Prints one JSON object: milliseconds a commit, of the first and the last tenth.

#include <chrono>
#include <cstdlib>
#include <iostream>
#include <stdexcept>
#include <string>

#include "modules_registry/registry.h"

namespace {

using namespace mformer;

struct Shape {
  int layers = 24;
  int att = 16;
  int mlp = 32;
  int changed = 4;
};

std::string object(Registry& registry) {
  return registry.objects().put(as_bytes(random_uid()));
}

Commit first_version(Registry& registry, const Shape& shape) {
  Commit commit;
  commit.model = "base";
  commit.manifest.config_json = std::string(600, ' ').replace(0, 2, "{}");
  for (const char* name : {"wte", "ln_f", "lm_head"}) commit.manifest.parts.push_back({name, object(registry)});
  for (int layer = 0; layer < shape.layers; ++layer) {
    LayerManifest& made = commit.manifest.layers.emplace_back();
    for (const char* norm : {"ln_1", "ln_2"}) {
      commit.manifest.parts.push_back({"h." + std::to_string(layer) + "." + norm, object(registry)});
    }
    for (const Kind kind : {Kind::att, Kind::mlp}) {
      made.router(kind) = object(registry);
      for (int index = 0; index < (kind == Kind::att ? shape.att : shape.mlp); ++index) {
        ModuleRecord module;
        module.uid = random_uid();
        module.kind = kind;
        module.layer = layer;
        module.born_command = "init";
        made.modules(kind).push_back({module.uid, object(registry), false});
        commit.new_modules.push_back(std::move(module));
      }
    }
  }
  return commit;
}

void change(Registry& registry, const Shape& shape, int step, Commit& commit) {
  for (int i = 0; i < shape.changed; ++i) {
    LayerManifest& layer = commit.manifest.layers[static_cast<std::size_t>((step * shape.changed + i) % shape.layers)];
    const Kind kind = (step + i) % 3 == 0 ? Kind::att : Kind::mlp;
    auto& modules = layer.modules(kind);
    modules[static_cast<std::size_t>(step) % modules.size()].object_hash = object(registry);
    layer.router(kind) = object(registry);
  }
}

void make(const std::filesystem::path& dir, int versions, const Shape& shape) {
  Registry registry = Registry::create(dir);
  Commit commit = first_version(registry, shape);
  double first = 0, last = 0;
  const int tenth = std::max(1, versions / 10);
  for (int made = 0; made < versions; ++made) {
    const auto start = std::chrono::steady_clock::now();
    if (made > 0) change(registry, shape, made, commit);
    OperationStart operation;
    operation.command = made == 0 ? "init" : "finetune";
    operation.arguments_json = std::string(300, ' ').replace(0, 2, "{}");
    operation.model = "base";
    operation.typed = {R"(["finetune","--task","some-task","--steps","100"])", dir.string(), 2};
    commit.operation_id = registry.begin_operation(operation);
    const CommitResult result = registry.commit_version(commit);
    commit.parent = commit.expected_current = result.version.hash;
    commit.new_modules.clear();
    const std::chrono::duration<double, std::milli> took = std::chrono::steady_clock::now() - start;
    if (made > 0 && made <= tenth) first += took.count() / tenth;
    if (made >= versions - tenth) last += took.count() / tenth;
  }
  std::cout << "{\"first_ms\": " << first << ", \"last_ms\": " << last << "}\n";
}

int number(int count, char** words, int at, int otherwise) {
  return count > at ? std::atoi(words[at]) : otherwise;
}

}  // namespace

int main(int count, char** words) {
  if (count < 3) {
    std::cerr << "usage: mformer_many_versions DIR VERSIONS [LAYERS ATT MLP CHANGED]\n";
    return 2;
  }
  try {
    const Shape usual;
    make(words[1], number(count, words, 2, 0),
         {number(count, words, 3, usual.layers), number(count, words, 4, usual.att), number(count, words, 5, usual.mlp),
          number(count, words, 6, usual.changed)});
  } catch (const std::exception& error) {
    std::cerr << "error: " << error.what() << '\n';
    return 1;
  }
  return 0;
}
