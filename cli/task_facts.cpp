#include "cli/task_facts.h"

#include "cli/terminal/format.h"

namespace mformer::cli {
namespace {

nlohmann::ordered_json count_or_null(const std::optional<std::int64_t>& number) {
  return number ? nlohmann::ordered_json(*number) : nlohmann::ordered_json(nullptr);
}

}  // namespace

nlohmann::ordered_json task_facts_json(const TaskRecord& task) {
  return {{"task", task.name},
          {"documents", task.document_count},
          {"tokens", task.token_count},
          {"data", task.data_path},
          {"content_hash", task.content_hash},
          {"heldout_rule", task.heldout_rule},
          {"fields", task.fields},
          {"left_out_files", count_or_null(task.left_out_files)},
          {"left_out_records", count_or_null(task.left_out_records)},
          {"created_ms", task.created_ms}};
}

std::string left_out_text(const TaskRecord& task) {
  if (!task.left_out_files || !task.left_out_records) return "?";
  std::string text;
  const auto add = [&](std::int64_t number, const char* what) {
    if (number == 0) return;
    text += (text.empty() ? "" : ", ") + terminal::format_counted(number, what);
  };
  add(*task.left_out_files, "file");
  add(*task.left_out_records, "record");
  return text.empty() ? "-" : text;
}

}  // namespace mformer::cli
