#pragma once

#include <functional>
#include <string>
#include <vector>

#include "registry_fixture.h"

namespace mformer::testing {

/// A workspace with the model `base` and the task `qa`, which has a score of base@1; and shorthands for changes of
/// names.
class NamesTest : public RegistryTest {
 protected:
  void SetUp() override {
    first_ = commit_now(registry_, new_model(registry_, "base", "x"), "init").version.hash;
    add_task("qa", "hash 1");
    score("qa", first_, 1.5);
  }

  void add_task(const std::string& name, const std::string& content, bool replace = false) {
    TaskRecord task;
    task.name = name;
    task.data_path = "/data/" + name;
    task.content_hash = content;
    task.heldout_rule = "rule";
    task.created_operation = begin("task add");
    registry_.add_task(task, replace, task.created_operation);
  }

  void score(const std::string& task, const std::string& version, double value) {
    registry_.put_score({version, task, "held_out", "loss", value, 10, 0, 0, 0});
  }

  std::int64_t begin(const std::string& command, const std::string& model = "") {
    OperationStart start;
    start.command = command;
    start.model = model;
    return registry_.begin_operation(start);
  }

  /// Runs `work` with an operation that has ended in any case.
  void in_operation(const std::string& command, const std::string& model,
                    const std::function<void(std::int64_t)>& work) {
    const std::int64_t id = begin(command, model);
    try {
      work(id);
    } catch (const Error&) {
      registry_.finish_operation(id, Outcome::failed);
      throw;
    }
  }
  void rename(Thing thing, const std::string& from, const std::string& to) {
    in_operation("rename", thing == Thing::model ? from : "",
                 [&](std::int64_t id) { registry_.rename(id, thing, from, to); });
  }
  void remove(Thing thing, const std::string& name) {
    in_operation("remove", thing == Thing::model ? name : "",
                 [&](std::int64_t id) { registry_.remove(id, thing, name); });
  }
  void tag(const std::string& name, const std::string& version) {
    in_operation("tag", "", [&](std::int64_t id) { registry_.make_tag(id, name, version); });
  }
  /// Takes the newest change of a name back.
  void undo(const std::string& model = "") {
    const auto change = registry_.last_name_change(model);
    ASSERT_TRUE(change.has_value());
    in_operation("undo", "", [&](std::int64_t id) { registry_.take_back(id, change->operation_id); });
  }

  /// A second model with a version of its own on top of base's, and new modules.
  std::string second_model(const std::string& name) {
    Commit commit = next_commit(registry_, "base");
    add_modules(registry_, commit, name);
    commit.model = name;
    commit.expected_current = "";
    return commit_now(registry_, commit, "extend").version.hash;
  }

  std::vector<std::string> models() const {
    std::vector<std::string> names;
    for (const ModelRecord& model : registry_.models()) names.push_back(model.name);
    return names;
  }
  std::vector<std::string> tasks() const {
    std::vector<std::string> names;
    for (const TaskRecord& task : registry_.tasks()) names.push_back(task.name);
    return names;
  }

  std::string first_;
};

}  // namespace mformer::testing
