#include "core/serving/scheduler.h"

#include <ATen/Parallel.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/tensor.h>

#include <algorithm>
#include <exception>
#include <utility>

#include "modules_registry/error.h"

namespace mformer {
namespace {

/// Tokens of prompts that are read in one step: what those that write wait for at most, beside each other.
constexpr std::int64_t kPromptTokensAStep = kPromptPiece;

std::vector<BlockTrace> rows_of(const std::vector<BlockTrace>& layers, std::int64_t first, std::int64_t count) {
  std::vector<BlockTrace> rows(layers.size());
  for (std::size_t l = 0; l < layers.size(); ++l) {
    for (const Kind kind : {Kind::att, Kind::mlp}) {
      const RouterDecision& all = layers[l].bank(kind).decision;
      RouterDecision& some = rows[l].bank(kind).decision;
      if (!all.indices.defined()) continue;
      some.indices = all.indices.narrow(0, first, count), some.gates = all.gates.narrow(0, first, count);
    }
  }
  return rows;
}

}  // namespace

Scheduler::Scheduler(std::vector<DecodingView> views, std::int64_t vocabulary, const SchedulerLimits& limits)
    : views_(std::move(views)), vocabulary_(vocabulary), limits_(limits) {
  for (const DecodingView& view : views_) token_bytes_.push_back(cache_bytes_a_token(view));
  rows_ = std::visit([](const auto& view) { return view.config.vocab_size; }, views_.front());
}

std::int64_t Scheduler::bytes_of(const TextRequest& request) const {
  const std::int64_t tokens = positions_of(request);
  if (request.hypothesis) return tokens * token_bytes_.at(*request.hypothesis);
  std::int64_t bytes = 0;
  for (const std::int64_t one : token_bytes_) bytes += tokens * one;
  return bytes;
}

Admission Scheduler::submit(TextRequest request, std::shared_ptr<TextObserver> observer) {
  for (const std::int64_t id : request.ids) {
    if (id < 0 || id >= rows_) throw UsageError("there is no token " + std::to_string(id));
  }
  if (request.ids.empty()) throw UsageError("a text needs a token to begin with");
  const std::int64_t bytes = bytes_of(request);
  const std::lock_guard lock(mutex_);
  const Admission admission = closing_                      ? Admission::closing
                              : bytes > limits_.cache_bytes ? Admission::too_large
                              : figures_.running + static_cast<std::int64_t>(waiting_.size()) >= limits_.texts()
                                  ? Admission::full
                                  : Admission::taken;
  if (admission != Admission::taken) {
    ++figures_.refused;
    return admission;
  }
  waiting_.push_back({std::move(request), std::move(observer), bytes});
  figures_.waiting = static_cast<std::int64_t>(waiting_.size());
  changed_.notify_all();
  return admission;
}

void Scheduler::close(std::chrono::steady_clock::time_point limit) {
  const std::lock_guard lock(mutex_);
  closing_ = true, limit_ = limit;
  changed_.notify_all();
}

SchedulerFigures Scheduler::figures() const {
  const std::lock_guard lock(mutex_);
  return figures_;
}

void Scheduler::run() {
  while (true) {
    if (step()) continue;
    std::unique_lock lock(mutex_);
    if (closing_ && waiting_.empty()) return;
    changed_.wait(lock, [&] { return closing_ || !waiting_.empty(); });
  }
}

bool Scheduler::step() {
  const at::NoGradGuard no_grad;
  leave_unwanted();
  join();
  const std::vector<Running*> texts = chosen();
  if (texts.empty()) return false;
  for (std::size_t h = 0; h < views_.size(); ++h) {
    std::vector<Running*> reading;
    for (Running* one : texts) {
      if (one->text->cache(h) != nullptr) reading.push_back(one);
    }
    if (reading.empty()) continue;
    try {
      forward(h, reading);
    } catch (const std::exception& problem) {  // what their caches hold is not known any more
      for (Running* one : texts) end(*one, TextEnd::failed, problem.what());
      break;
    }
  }
  finish(texts);
  forget_ended();
  return true;
}

void Scheduler::leave_unwanted() {
  bool late = false;
  {
    const std::lock_guard lock(mutex_);
    late = closing_ && std::chrono::steady_clock::now() >= limit_;
  }
  for (const auto& one : running_) {
    if (!one->text->observer().wanted()) {
      end(*one, TextEnd::observer);
    } else if (late) {
      end(*one, TextEnd::closing);
    }
  }
  forget_ended();
}

/// Takes from those that wait what there is room for, in their order, and lets go of those that have gone.
void Scheduler::join() {
  std::vector<Waiting> gone, joining;
  {
    const std::lock_guard lock(mutex_);
    std::deque<Waiting> still;
    for (Waiting& one : waiting_) {
      const bool wanted = !closing_ && one.observer->wanted();
      const bool room = still.empty() && running_.size() + joining.size() < limits_.running &&
                        figures_.cache_bytes + one.bytes <= limits_.cache_bytes;
      if (!wanted) {
        ++figures_.unwanted;
        gone.push_back(std::move(one));
      } else if (room) {
        ++figures_.running;
        figures_.cache_bytes += one.bytes;
        joining.push_back(std::move(one));
      } else {
        still.push_back(std::move(one));
      }
    }
    waiting_ = std::move(still);
    figures_.waiting = static_cast<std::int64_t>(waiting_.size());
  }
  for (const Waiting& one : gone) one.observer->end(TextEnd::closing, {}, "");
  for (Waiting& one : joining) {
    auto text =
        std::make_unique<RunningText>(std::move(one.request), std::move(one.observer), views_.size(), vocabulary_);
    running_.push_back(std::make_unique<Running>(Running{std::move(text), one.bytes}));
  }
}

/// All that write, and of prompts those whose turn it is.
std::vector<Scheduler::Running*> Scheduler::chosen() {
  std::vector<Running*> writing, reading;
  for (const auto& one : running_) (one->text->reads_prompt() ? reading : writing).push_back(one.get());
  std::stable_sort(reading.begin(), reading.end(),
                   [](const Running* a, const Running* b) { return a->turn < b->turn; });
  std::int64_t tokens = 0;
  for (Running* one : reading) {
    tokens += static_cast<std::int64_t>(one->text->part().size());
    if (one != reading.front() && tokens > kPromptTokensAStep) break;
    one->turn = figures_.steps + 1;
    writing.push_back(one);
  }
  return writing;
}

/// To each that asked, its own rows.
void Scheduler::tell_routing(std::size_t hypothesis, const std::vector<Running*>& texts,
                             const std::vector<BlockTrace>& layers) {
  if (layers.empty()) return;  // told on the CPU alone
  std::int64_t first = 0;
  for (const Running* one : texts) {
    const auto tokens = static_cast<std::int64_t>(one->text->part().size());
    if (one->text->request().routing) one->text->observer().routing(hypothesis, rows_of(layers, first, tokens));
    first += tokens;
  }
}

/// One pass of all texts that run this hypothesis.
void Scheduler::forward(std::size_t hypothesis, const std::vector<Running*>& texts) {
  std::vector<std::int64_t> ids, rows;
  std::vector<TextPart> parts;
  bool routing = false;
  for (const Running* one : texts) {
    const auto part = one->text->part();
    ids.insert(ids.end(), part.begin(), part.end());
    parts.push_back({one->text->cache(hypothesis), static_cast<std::int64_t>(part.size())});
    const auto end = static_cast<std::int64_t>(ids.size());
    for (std::int64_t row = end - one->text->asked_rows(); row < end; ++row) rows.push_back(row);
    routing = routing || one->text->request().routing;
  }
  std::vector<BlockTrace> chosen;
  const at::Tensor hidden = read_parts(views_[hypothesis], at::tensor(ids), parts, routing ? &chosen : nullptr);
  if (routing) tell_routing(hypothesis, texts, chosen);
  if (rows.empty()) return;
  const at::Tensor logits =
      logits_of(views_[hypothesis], hidden.index_select(0, at::tensor(rows).to(hidden.device()))).cpu();
  std::int64_t first = 0;
  for (const Running* one : texts) {
    const std::int64_t count = one->text->asked_rows();
    if (count > 0) one->text->take(hypothesis, logits.narrow(0, first, count));
    first += count;
  }
}

/// Draws for all at once, since a large vocabulary takes its time, and tells one after the other.
void Scheduler::finish(const std::vector<Running*>& texts) {
  std::vector<std::string> problems(texts.size());
  std::vector<std::int64_t> read(texts.size());
  at::parallel_for(0, static_cast<std::int64_t>(texts.size()), 1, [&](std::int64_t begin, std::int64_t end) {
    const at::NoGradGuard no_grad;
    for (auto i = static_cast<std::size_t>(begin); i < static_cast<std::size_t>(end); ++i) {
      if (texts[i]->ended) continue;
      try {
        if (texts[i]->text->reads_prompt()) read[i] = static_cast<std::int64_t>(texts[i]->text->part().size());
        texts[i]->text->draw();
      } catch (const std::exception& problem) {
        problems[i] = problem.what();
      }
    }
  });
  {
    // Before anybody hears of it: whoever has an answer finds it counted.
    const std::lock_guard lock(mutex_);
    ++figures_.steps;
    for (std::size_t i = 0; i < texts.size(); ++i) {
      figures_.prompt_tokens += read[i];
      if (!texts[i]->ended && texts[i]->text->has_drawn()) ++figures_.tokens;
    }
  }
  for (std::size_t i = 0; i < texts.size(); ++i) {
    if (!texts[i]->ended) tell(*texts[i], problems[i]);
  }
}

void Scheduler::tell(Running& one, std::string problem) {
  try {
    const auto reason = problem.empty() ? one.text->tell() : std::nullopt;
    if (reason) end(one, *reason);
  } catch (const std::exception& other) {
    problem = other.what();
  }
  if (!problem.empty()) end(one, TextEnd::failed, problem);
}

void Scheduler::end(Running& one, TextEnd reason, const std::string& problem) {
  if (std::exchange(one.ended, true)) return;
  {
    const std::lock_guard lock(mutex_);
    ++(reason == TextEnd::failed ? figures_.failed : figures_.ended);
    if (reason == TextEnd::observer && !one.text->observer().wanted()) ++figures_.unwanted;
    figures_.cache_bytes -= one.bytes;
    --figures_.running;
  }
  one.text->observer().end(reason, one.text->weights(), problem);
}

void Scheduler::forget_ended() {
  std::erase_if(running_, [](const auto& one) { return one->ended; });
}

}  // namespace mformer
