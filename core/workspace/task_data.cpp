#include "core/workspace/task_data.h"

#include <algorithm>
#include <cctype>
#include <limits>

#include "modules_registry/error.h"
#include "modules_registry/printable.h"
#include "modules_registry/shell_word.h"

namespace mformer {
namespace {

namespace fs = std::filesystem;

/// ".txt" and ".7z" are endings of files; the ".5" of "corpus-1.5" is a part of the name.
bool is_ending(const std::string& extension) {
  return std::any_of(extension.begin(), extension.end(), [](unsigned char c) { return std::isalpha(c) != 0; });
}

/// A folder's own name, or a file's without its ending.
std::string name_of(const fs::path& data) {
  std::error_code missing;
  if (fs::is_directory(data, missing) || !is_ending(data.extension().string())) return data.filename().string();
  return data.stem().string();
}

std::string derived_name(const std::string& path) {
  std::string name = name_of(path);
  if (is_valid_name("task", name)) return name;
  throw UsageError("'" + printable(name) + "', the name of the data, can't be the name of a task",
                   "give it one: --task NAME");
}

std::optional<TaskRecord> known_task(const Registry& registry, const std::string& name) {
  if (!registry.has_task(name)) return std::nullopt;
  return registry.task(name);
}

bool is_gone(const fs::path& place) {
  std::error_code unknown;
  return fs::status(place, unknown).type() == fs::file_type::not_found;
}

/// Of the record the name and the fields are meant; the data may lie elsewhere.
TokenCache tokens_of(RegistrySession& session, const Tokenizer& tokenizer, const TaskRecord& record,
                     const fs::path& data) {
  const auto progress = [&](std::int64_t done, std::int64_t total) {
    session.watcher.tell("tokenise " + record.name, done, total);
  };
  TokenCache tokens = build_token_cache(data, tokenizer, token_folder_of(session), progress, session.threads,
                                        RecordFields::parse(record.fields));
  if (tokens.refused_chats > 0) {
    session.watcher.say("task '" + record.name + "': " + std::to_string(tokens.refused_chats) +
                        " of its conversations are left out, since the model's chat template does not take them" +
                        (tokens.refusal.empty() ? "" : " (the first: " + tokens.refusal + ")"));
  }
  return tokens;
}

/// A task keeps being read as it was recorded.
void require_same_fields(const TaskRecord& record, const std::string& asked) {
  if (asked.empty() || asked == record.fields) return;
  throw UsageError("task '" + record.name + "' is read with " +
                       (record.fields.empty() ? "the known names of fields" : "--fields " + record.fields) +
                       ", not with " + asked,
                   "to read its data otherwise, add it anew: mformer task add NAME --data DIR --fields " + asked);
}

/// `asked`: fields that the command named, or "".
[[noreturn]] void fail_changed(const TaskRecord& record, const std::string& data, const std::string& asked = "") {
  const std::string name = shell_word(record.name);
  throw Error("the data in " + data + " is not what is recorded as task '" + record.name + "'",
              "take it as the task's new data: mformer task add " + name + " --data " + shell_word(data) +
                  (asked.empty() ? "" : " --fields " + shell_word(asked)) +
                  " --replace; or give it another name: --task NAME");
}

/// A known task whose text is not where it was recorded.
TaskData task_without_text(RegistrySession& session, const Tokenizer& tokenizer, const TaskRecord& record) {
  for (const fs::path& place : session.registry.other_places(record)) {
    try {
      TaskData task{record, tokens_of(session, tokenizer, record, place), ""};
      task.record.data_path = place.string();
      if (task.tokens.summary.content_hash == record.content_hash) return task;
    } catch (const Error&) {  // no text: a guess that was wrong
    }
  }
  auto tokens = cached_tokens(record.content_hash, tokenizer, token_folder_of(session));
  if (!tokens) {
    throw Error("there is no data at '" + record.data_path + "', where the text of task '" + record.name + "' was",
                "say where it lies now: mformer task move " + shell_word(record.name) + " --data DIR");
  }
  tokens->data_path = record.data_path;
  session.watcher.say("task '" + record.name + "': its text is gone from '" + record.data_path +
                      "', its tokens are at hand");
  return {record, *std::move(tokens), ""};
}

TaskData open_known(RegistrySession& session, const Tokenizer& tokenizer, const TaskRecord& record) {
  if (is_gone(record.data_path)) return task_without_text(session, tokenizer, record);
  TaskData task{record, tokens_of(session, tokenizer, record, record.data_path), ""};
  if (task.tokens.summary.content_hash != record.content_hash) fail_changed(record, record.data_path);
  return task;
}

}  // namespace

fs::path token_folder_of(const RegistrySession& session) {
  return session.token_folder ? session.token_folder() : session.registry.folder() / "cache";
}

std::string absolute_path(const std::string& data) {
  const fs::path path = fs::absolute(data);
  const bool goes_up = std::find(path.begin(), path.end(), "..") != path.end();
  std::error_code unknown;
  fs::path normal = goes_up ? fs::weakly_canonical(path, unknown) : path.lexically_normal();
  if (unknown) normal = path.lexically_normal();
  return (normal.has_filename() ? normal : normal.parent_path()).string();
}

std::string name_of_task(const std::string& task, const std::string& data) {
  if (!task.empty()) return task;
  if (!data.empty()) return derived_name(absolute_path(data));
  throw UsageError("no task and no data were named", "give --data DIR, or --task NAME of a known task (mformer tasks)");
}

TaskData open_task(RegistrySession& session, const Tokenizer& tokenizer, const std::string& name,
                   const std::string& data, bool replace, const std::string& fields) {
  const Registry& registry = session.registry;
  const std::string wanted = name_of_task(name, data);
  const std::string asked = RecordFields::parse(fields).str();
  if (data.empty()) {
    const TaskRecord known = registry.task(name);
    require_same_fields(known, asked);
    return open_known(session, tokenizer, known);
  }
  TaskRecord record;
  record.data_path = absolute_path(data);
  record.name = wanted;
  const auto known = known_task(registry, record.name);
  if (!known) require_valid_name("task", record.name);
  record.heldout_rule = std::string(kSplitRule);
  record.fields = asked.empty() && known ? known->fields : asked;
  TaskData task{record, tokens_of(session, tokenizer, record, record.data_path), record.data_path};
  const std::string& content = task.tokens.summary.content_hash;
  if (known && known->content_hash != content && !replace) fail_changed(record, record.data_path, asked);
  if (known && known->content_hash == content) {
    task.record = *known;
    if (is_gone(known->data_path)) task.record.data_path = task.given_path;
    return task;
  }
  task.record.content_hash = content;
  task.record.document_count = task.tokens.summary.documents;
  task.record.left_out_files = task.tokens.summary.files_left_out();
  task.record.left_out_records = task.tokens.summary.records_left_out();
  for (const Split split : {Split::train, Split::validation, Split::held_out}) {
    task.record.token_count += static_cast<std::int64_t>(task.tokens.split(split).tokens().size());
  }
  return task;
}

void say_what_was_left_out(const RegistrySession& session, const TaskData& task) {
  const std::string left_out = left_out_text(task.tokens.summary);
  if (left_out.empty() || task.record.created_operation != 0) return;
  std::string text = "left out of the data: " + left_out;
  for (const std::string& example : task.tokens.summary.examples) text += "; " + example;
  session.watcher.say(text);
}

void record_task(RegistrySession& session, TaskData& task, std::int64_t operation) {
  if (task.record.created_operation == 0) task.record.created_operation = operation;
  session.registry.add_task(task.record);
  const std::string path = task.record.data_path;
  task.record = session.registry.task(task.record.name);
  if (path != task.given_path || path == task.record.data_path) return;
  session.registry.place_task(task.record.name, path);
  task.record = session.registry.task(task.record.name);
}

std::vector<TaskData> readable_tasks(RegistrySession& session, const Tokenizer& tokenizer) {
  std::vector<TaskData> tasks;
  for (const TaskRecord& record : session.registry.tasks()) {
    try {
      tasks.push_back(open_task(session, tokenizer, record.name, ""));
    } catch (const Error& e) {
      session.watcher.say("task '" + record.name + "' is left out: " + e.what() +
                          (e.hint().empty() ? "" : " (" + e.hint() + ")"));
    }
  }
  return tasks;
}

}  // namespace mformer
