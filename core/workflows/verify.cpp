#include "core/workflows/verify.h"

#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <set>

#include "core/model/domains.h"
#include "core/model/forward.h"
#include "core/model/placement.h"
#include "core/workflows/evaluate_tasks.h"
#include "core/workflows/stages.h"

namespace mformer {
namespace {

constexpr std::int64_t kTokensCompared = 4096;  // of each task, by their logits

/// The bound is against the loss that the earlier mixture has beside the later one's, which may round otherwise than
/// the same loss measured by itself.
constexpr double kRoundingOfLoss = 1e-6;

/// The tasks to measure: those that are named, each once, or all. One that can't be read is an error, as a gate that
/// left it out would say nothing of it.
std::vector<TaskData> tasks_to_verify(Session& session, const Tokenizer& tokenizer, std::vector<std::string> names) {
  if (names.empty()) {
    for (const TaskRecord& record : session.registry.tasks()) names.push_back(record.name);
  }
  std::vector<TaskData> tasks;
  std::set<std::string> seen;
  for (const std::string& name : names) {
    if (seen.insert(name).second) tasks.push_back(open_task(session, tokenizer, name, ""));
  }
  return tasks;
}

void require_one_tokenizer(const LoadedVersion& version, const LoadedVersion& against) {
  if (version.manifest.tokenizer_object == against.manifest.tokenizer_object) return;
  throw UsageError(
      to_string(version.record) + " and " + to_string(against.record) +
          " have different tokenizers: their losses are means over different tokens, and can't be compared",
      "verify a version against one of the same lineage (mformer log shows which came from which); across tokenizers "
      "loss times tokens of mformer eval --json, in nats for the same held-out text, can be compared");
}

/// The model with everything born after `against` masked; where no mask brings that back, why.
std::optional<Model> brought_back(const Session& session, const LoadedVersion& version, const LoadedVersion& against,
                                  BroughtBack& as_of) {
  try {
    return masked_as_of(session.registry, version, against.record.hash);
  } catch (const NotAnExtension& refusal) {
    as_of.refusal = refusal.what();
    return std::nullopt;
  }
}

/// Whether `later` is `earlier` and domains that were born since, so that the posterior bounds the rise.
bool only_domains_came(const Model& earlier, const Model& later, const VersionDiff& objects) {
  if (!objects.nothing_old_changed() || later.domains.size() <= earlier.domains.size()) return false;
  // The posterior's bounds are against its first hypotheses.
  for (std::size_t d = 0; d < earlier.domains.size(); ++d) {
    if (later.domains[d].name != earlier.domains[d].name) return false;
  }
  std::set<std::string> uids;
  for (const Block& block : earlier.blocks) {
    for (const Kind kind : {Kind::att, Kind::mlp}) {
      for (const Module& module : block.bank(kind).modules) uids.insert(module.uid);
    }
  }
  for (const Block& block : later.blocks) {
    for (const Kind kind : {Kind::att, Kind::mlp}) {
      for (const Module& module : block.bank(kind).modules) {
        const bool is_new_domains = !module.domain.empty() && find_domain(earlier, module.domain) == nullptr;
        if (!uids.contains(module.uid) && !is_new_domains) return false;
      }
    }
  }
  return true;
}

bool same_bytes(const at::Tensor& a, const at::Tensor& b) {
  return a.sizes() == b.sizes() && a.scalar_type() == b.scalar_type() &&
         a.contiguous().view(at::kByte).equal(b.contiguous().view(at::kByte));
}

/// Runs both over the same text, hypothesis by hypothesis.
class LogitComparison {
 public:
  LogitComparison(const Session& session, const Model& a, const Model& b)
      : session_(session),
        same_hypotheses_(hypotheses(a) == hypotheses(b)),
        a_(views_of(on_device(a, session.device))),
        b_(views_of(on_device(b, session.device))) {}

  void compare(const TaskData& task, std::int64_t context, std::int64_t max_tokens, BroughtBack& result) const {
    EvaluateOptions options;
    options.max_tokens = max_tokens > 0 ? std::min(max_tokens, kTokensCompared) : kTokensCompared;
    options.should_stop = session_.watcher.should_stop;
    bool same = same_hypotheses_ && result.bit_for_bit.value_or(true);
    const at::NoGradGuard no_grad;
    for_each_batch(PackedWindows(task.tokens.held_out, context, LastWindow::pad), options, [&](const Batch& batch) {
      for (std::size_t h = 0; same && h < a_.size(); ++h) {
        same = same_bytes(logits_of(a_[h], forward(a_[h], batch.inputs).hidden),
                          logits_of(b_[h], forward(b_[h], batch.inputs).hidden));
      }
      result.tokens += batch.inputs.numel();
    });
    result.bit_for_bit = same;
  }

 private:
  const Session& session_;
  bool same_hypotheses_;
  std::vector<Model> a_, b_;
};

/// Six digits that count: a rise a little above its limit must not read as equal to it.
std::string nats(double value) {
  char text[32];
  const auto end = std::to_chars(text, text + sizeof(text), value, std::chars_format::general, 6).ptr;
  return {text, end};
}

std::string failure_of(const VerifyReport& report, const VerifiedTask& task) {
  const std::string name = "'" + task.task + "'";
  for (const auto& [loss, record] : {std::pair{task.against, report.against}, {task.loss, report.version}}) {
    if (!std::isfinite(loss)) return "the loss of " + name + " in " + to_string(record) + " is not a finite number";
  }
  const bool by_bound = task.bound.has_value() && *task.bound <= task.limit;
  const double limit = by_bound ? *task.bound + kRoundingOfLoss : task.limit;
  if (task.rise() <= limit) return "";
  return name + " rises by " + nats(task.rise()) + " nats per token, more than " + (by_bound ? "its bound of " : "") +
         nats(by_bound ? *task.bound : task.limit);
}

void measure(Session& session, const VerifyCommand& command, const TaskData& task, const Model& older,
             const Model& newer, bool bounded, VerifyReport& report) {
  const auto loss_of = [&](const Model& model) {
    return evaluate_task(session, model, task, Split::held_out, command.max_tokens, report.context);
  };
  const std::optional<Evaluation> before = loss_of(older);
  if (!before) {
    if (!command.tasks.empty()) {
      throw Error("task '" + task.record.name + "' has no held-out text to measure",
                  "name other tasks, or give it more documents");
    }
    report.without_text.push_back(task.record.name);
    return;
  }
  const Evaluation after = report.same_version ? *before : loss_of(newer).value();
  VerifiedTask row{task.record.name, before->loss, after.loss, before->tokens};
  if (bounded && after.posterior) row.bound = after.posterior->earlier.at(older.domains.size()).bound;
  row.limit = command.max_rise.value_or(row.bound.value_or(0));
  row.failure = failure_of(report, row);
  report.tasks.push_back(row);
}

void judge(const VerifyCommand& command, VerifyReport& report) {
  std::vector<VerifiedTask> failed;
  std::copy_if(report.tasks.begin(), report.tasks.end(), std::back_inserter(failed),
               [](const VerifiedTask& task) { return !task.failure.empty(); });
  std::stable_sort(failed.begin(), failed.end(), [](const VerifiedTask& a, const VerifiedTask& b) {
    const auto over = [](const VerifiedTask& task) {
      return std::isfinite(task.rise()) ? task.rise() - task.limit : std::numeric_limits<double>::infinity();
    };
    return over(a) > over(b);
  });
  for (const VerifiedTask& task : failed) report.failures.push_back(task.failure);
  if (report.as_of.bit_for_bit == false) {
    report.failures.push_back("masked as of " + to_string(report.against) + ", its logits are not those");
  }
  if (!command.unchanged || report.same_version) return;
  if (!report.objects.nothing_old_changed()) {
    report.failures.push_back("something that " + to_string(report.against) + " is made of changed");
  }
  if (!report.as_of.refusal.empty()) report.failures.push_back(report.as_of.refusal);
}

}  // namespace

const VerifiedTask& VerifyReport::worst() const {
  return *std::max_element(tasks.begin(), tasks.end(),
                           [](const VerifiedTask& a, const VerifiedTask& b) { return a.rise() < b.rise(); });
}

VerifyReport verify(Session& session, const LoadedVersion& version, const VerifyCommand& command) {
  if (command.max_rise && !std::isfinite(*command.max_rise)) {
    throw UsageError("--max-rise must be a finite number", "for example --max-rise 0.003");
  }
  const LoadedVersion against = load_version(session.registry, session.registry.resolve(command.against));
  VerifyReport report;
  report.version = version.record, report.against = against.record;
  report.same_version = version.record.hash == against.record.hash;
  require_one_tokenizer(version, against);
  announce_stages(session, version, against, command);
  const std::vector<TaskData> tasks = tasks_to_verify(session, require_tokenizer(version), command.tasks);
  report.objects = diff_versions(session.registry, against.manifest, version.manifest);
  report.context = std::min(version.model.config.default_context(), against.model.config.default_context());
  std::optional<Model> masked;
  if (!report.same_version) masked = brought_back(session, version, against, report.as_of);
  const Model older = on_device(against.model, session.device), newer = on_device(version.model, session.device);
  const bool bounded = masked && only_domains_came(against.model, version.model, report.objects);
  for (const TaskData& task : tasks) measure(session, command, task, older, newer, bounded, report);
  if (report.tasks.empty()) {
    throw UsageError("there is no task with held-out text, so nothing can be verified",
                     "add one: mformer task add NAME --data DIR");
  }
  if (masked) {
    const LogitComparison comparison(session, *masked, against.model);
    for (const TaskData& task : tasks) {
      const auto measured = [&](const VerifiedTask& row) { return row.task == task.record.name; };
      if (std::any_of(report.tasks.begin(), report.tasks.end(), measured)) {
        comparison.compare(task, report.context, command.max_tokens, report.as_of);
      }
    }
  }
  judge(command, report);
  return report;
}

std::string to_string(const VerifyReport& report) {
  std::string text = to_string(report.version) + " against " + to_string(report.against) + ": ";
  if (!report.holds()) {
    text += report.failures.front();
    const std::size_t more = report.failures.size() - 1;
    return more == 0 ? text : text + ", and " + std::to_string(more) + " more";
  }
  const std::size_t count = report.tasks.size();
  text += std::to_string(count) + (count == 1 ? " task" : " tasks");
  if (report.same_version) return text + ", the same version: nothing can have changed";
  const VerifiedTask& worst = report.worst();
  text += worst.rise() > 0 ? ", the largest rise " + nats(worst.rise()) + " nats per token of '" + worst.task + "'"
                           : ", no loss rises";
  if (report.objects.nothing_old_changed()) text += "; nothing old changed";
  if (report.as_of.bit_for_bit == true) text += "; logits as of " + to_string(report.against) + " bit for bit";
  return text;
}

}  // namespace mformer
