#include "registry_fixture.h"

#include <sys/wait.h>
#include <unistd.h>

#include <exception>
#include <iostream>
#include <utility>

namespace mformer::testing {

namespace {

namespace fs = std::filesystem;

ManifestModule add_module(Registry& registry, Commit& commit, Kind kind, int layer, const std::string& text) {
  ModuleRecord record;
  record.uid = random_uid();
  record.kind = kind;
  record.layer = layer;
  record.born_command = "init";
  commit.new_modules.push_back(record);
  return {record.uid, registry.objects().put(as_bytes(text)), false};
}

}  // namespace

TemporaryFolder::TemporaryFolder() : path_(fs::temp_directory_path() / ("mformer-test-" + random_uid())) {
  fs::create_directories(path_);
  fs::permissions(path_, fs::perms::all);
}

TemporaryFolder::~TemporaryFolder() {
  std::error_code ignored;
  for (const auto& entry : fs::recursive_directory_iterator(path_, ignored)) {
    if (entry.is_directory(ignored)) fs::permissions(entry.path(), fs::perms::owner_all, ignored);
  }
  fs::remove_all(path_, ignored);
}

Commit new_model(Registry& registry, std::string_view name, std::string_view seed, int layers, int modules) {
  const std::string prefix = std::string(seed) + ".";
  Commit commit;
  commit.model = name;
  commit.manifest.config_json = R"({"model_type": "moduleformer"})";
  for (const char* part : {"wte", "ln_f", "lm_head"}) {
    commit.manifest.parts.push_back({part, registry.objects().put(as_bytes(prefix + part))});
  }
  for (int layer = 0; layer < layers; ++layer) {
    LayerManifest& made = commit.manifest.layers.emplace_back();
    for (const Kind kind : {Kind::att, Kind::mlp}) {
      const std::string place = prefix + std::to_string(layer) + "." + std::string(to_string(kind));
      made.router(kind) = registry.objects().put(as_bytes(place + ".router"));
      for (int index = 0; index < modules; ++index) {
        made.modules(kind).push_back(add_module(registry, commit, kind, layer, place + "." + std::to_string(index)));
      }
    }
  }
  return commit;
}

void add_modules(Registry& registry, Commit& commit, std::string_view seed) {
  for (int layer = 0; LayerManifest & changed : commit.manifest.layers) {
    for (const Kind kind : {Kind::att, Kind::mlp}) {
      const std::string place = std::string(seed) + std::to_string(layer) + std::string(to_string(kind));
      changed.modules(kind).push_back(add_module(registry, commit, kind, layer, place));
      changed.router(kind) = registry.objects().put(as_bytes(place + ".router"));
    }
    ++layer;
  }
}

CommitResult commit_now(Registry& registry, Commit commit, std::string_view command) {
  OperationStart start;
  start.command = command;
  start.model = commit.model;
  commit.operation_id = registry.begin_operation(start);
  return registry.commit_version(commit);
}

Commit next_commit(const Registry& registry, const std::string& model) {
  Commit commit;
  commit.model = model;
  commit.parent = commit.expected_current = registry.model(model).current_version;
  commit.manifest = registry.manifest(commit.parent);
  return commit;
}

int in_child(const std::function<int()>& work) {
  const pid_t child = ::fork();
  if (child == 0) {
    int code = 99;
    try {
      code = work();
    } catch (const std::exception& error) {
      std::cerr << "in the child: " << error.what() << "\n";
    }
    ::_exit(code);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int in_unprivileged_child(const std::function<int()>& work) {
  return in_child([&] {
    constexpr uid_t kNobody = 65534;
    if (::geteuid() == 0 && (::setgid(kNobody) != 0 || ::setuid(kNobody) != 0)) return 98;
    return work();
  });
}

std::string error_of(const std::function<void()>& work) {
  try {
    work();
  } catch (const Error& error) {
    return std::string(error.what()) + "\n" + error.hint();
  }
  ADD_FAILURE() << "no Error was thrown";
  return "";
}

}  // namespace mformer::testing
