// Who joins, who waits, who is refused, and how texts end.

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <memory>
#include <thread>

#include "core/model/inference.h"
#include "core/serving/scheduler.h"
#include "tests/core/serving/serving_support.h"
#include "tests/support/expect_error.h"
#include "tests/support/tiny_domains.h"

namespace mformer {
namespace {

using testing::expect_error;
using testing::kServedVocabulary;
using testing::Listener;
using testing::request_of;
using testing::run_out;
using testing::scheduler_for;
using testing::tiny_config;
using testing::tiny_model;
using testing::tiny_model_with_domains;

TEST(Scheduler, CountsWhatItDidBeforeAnybodyHearsOfIt) {
  Scheduler scheduler = scheduler_for(tiny_model());
  const auto listener = std::make_shared<Listener>();
  listener->on_token = [&] {
    EXPECT_EQ(scheduler.figures().tokens, static_cast<std::int64_t>(listener->drawn.size()));
    EXPECT_EQ(scheduler.figures().prompt_tokens, 4);
  };
  ASSERT_EQ(scheduler.submit(request_of(4, 3, 1), listener), Admission::taken);
  run_out(scheduler);
  EXPECT_EQ(listener->drawn.size(), 3U);
}

TEST(Scheduler, LetsTextsJoinInTheirOrderAsMemoryAllows) {
  SchedulerLimits limits;
  Scheduler sizes = scheduler_for(tiny_model());
  const TextRequest request = request_of(5, 5, 1);
  limits.cache_bytes = 2 * sizes.bytes_of(request);
  Scheduler scheduler = scheduler_for(tiny_model(), limits);
  std::vector<std::size_t> order;
  std::vector<std::shared_ptr<Listener>> listeners;
  for (std::size_t i = 0; i < 5; ++i) {
    listeners.push_back(std::make_shared<Listener>());
    listeners[i]->on_token = [&order, i] {
      if (std::find(order.begin(), order.end(), i) == order.end()) order.push_back(i);
    };
    ASSERT_EQ(scheduler.submit(request, listeners[i]), Admission::taken);
  }
  while (scheduler.step()) {
    EXPECT_LE(scheduler.figures().running, 2);
    EXPECT_LE(scheduler.figures().cache_bytes, limits.cache_bytes);
  }
  EXPECT_EQ(order, (std::vector<std::size_t>{0, 1, 2, 3, 4}));
  for (const auto& one : listeners) EXPECT_EQ(one->drawn.size(), 5U);
  EXPECT_EQ(scheduler.figures().cache_bytes, 0);
  EXPECT_EQ(scheduler.figures().ended, 5);
}

TEST(Scheduler, RefusesWhatNeverFitsAndWhatFindsTheQueueFull) {
  SchedulerLimits limits;
  Scheduler sizes = scheduler_for(tiny_model());
  limits.cache_bytes = sizes.bytes_of(request_of(5, 5, 1));
  limits.running = limits.waiting = 1;
  Scheduler scheduler = scheduler_for(tiny_model(), limits);
  const auto listener = std::make_shared<Listener>();
  EXPECT_EQ(scheduler.submit(request_of(5, 60, 1), listener), Admission::too_large);
  EXPECT_EQ(scheduler.submit(request_of(5, 5, 1), listener), Admission::taken);
  EXPECT_EQ(scheduler.submit(request_of(5, 5, 1), listener), Admission::taken);
  EXPECT_EQ(scheduler.submit(request_of(5, 5, 1), listener), Admission::full);
  EXPECT_EQ(scheduler.figures().refused, 2);
}

TEST(Scheduler, RefusesAPromptThatIsEmptyOrHasIdsThatTheModelHasNot) {
  Scheduler scheduler = scheduler_for(tiny_model());
  TextRequest request = request_of(3, 1, 1);
  request.ids[1] = kServedVocabulary;
  expect_error<UsageError>([&] { scheduler.submit(request, std::make_shared<Listener>()); }, "no token 61");
  request.ids[1] = -1;
  expect_error<UsageError>([&] { scheduler.submit(request, std::make_shared<Listener>()); }, "no token -1");
  request.ids.clear();
  expect_error<UsageError>([&] { scheduler.submit(request, std::make_shared<Listener>()); }, "begin with");
}

TEST(Scheduler, StopsWhatNobodyWantsAnyMoreAndFreesItsMemory) {
  SchedulerLimits limits;
  limits.running = 1;
  Scheduler scheduler = scheduler_for(tiny_model(), limits);
  const auto gone = std::make_shared<Listener>(), gone_too = std::make_shared<Listener>(),
             next = std::make_shared<Listener>();
  scheduler.submit(request_of(3, 1000, 1), gone);
  scheduler.submit(request_of(3, 1000, 2), gone_too);
  scheduler.submit(request_of(3, 4, 3), next);
  for (int i = 0; i < 3; ++i) scheduler.step();
  gone->wants = gone_too->wants = false;
  run_out(scheduler);
  EXPECT_EQ(gone->drawn.size(), 3U);
  EXPECT_EQ(gone->ended, TextEnd::observer);
  EXPECT_TRUE(gone_too->drawn.empty());
  EXPECT_TRUE(gone_too->ended.has_value());
  EXPECT_EQ(next->drawn.size(), 4U);
  EXPECT_EQ(scheduler.figures().unwanted, 2);
  EXPECT_EQ(scheduler.figures().cache_bytes, 0);
}

TEST(Scheduler, GoesOnWritingWhileALongPromptIsRead) {
  Scheduler scheduler = scheduler_for(tiny_model());
  const auto writer = std::make_shared<Listener>(), reader = std::make_shared<Listener>(),
             late = std::make_shared<Listener>();
  scheduler.submit(request_of(3, 50, 1), writer);
  scheduler.step();
  scheduler.submit(request_of(10 * kPromptPiece, 1, 2), reader);
  scheduler.submit(request_of(3, 1, 3), late);
  const std::size_t before = writer->drawn.size();
  int steps = 0;
  for (; reader->drawn.empty(); ++steps) {
    scheduler.step();
    EXPECT_EQ(writer->drawn.size(), before + static_cast<std::size_t>(steps) + 1);
    if (steps == 2) {
      EXPECT_EQ(late->drawn.size(), 1U) << "a short prompt waits for a long one";
    }
  }
  EXPECT_GE(steps, 10);
}

TEST(Scheduler, EndsAloneTheTextWhoseNumbersAreNotFinite) {
  Model model = tiny_model_with_domains(tiny_config(), 0.3);
  std::vector<DecodingView> views = decoding_views(model, at::kFloat, at::kCPU);
  std::get<PreparedModel>(views[1]).ln_f.weight = at::full({16}, std::numeric_limits<float>::quiet_NaN());
  Scheduler scheduler(std::move(views), kServedVocabulary, {});
  TextRequest good = request_of(4, 6, 1), bad = request_of(4, 6, 1);
  good.hypothesis = 0, bad.hypothesis = 1;
  const auto fine = std::make_shared<Listener>(), failed = std::make_shared<Listener>();
  scheduler.submit(bad, failed);
  scheduler.submit(good, fine);
  run_out(scheduler);
  EXPECT_EQ(failed->ended, TextEnd::failed);
  EXPECT_NE(failed->what.find("not finite"), std::string::npos);
  EXPECT_EQ(fine->drawn.size(), 6U);
  EXPECT_EQ(scheduler.figures().failed, 1);
}

TEST(Scheduler, EndsByTheTokensThatEndATextAndByItsObserver) {
  const Model model = tiny_model();
  Scheduler scheduler = scheduler_for(model);
  const auto free = std::make_shared<Listener>(), ended = std::make_shared<Listener>(),
             turned = std::make_shared<Listener>(), refused = std::make_shared<Listener>();
  TextRequest request = request_of(4, 8, 7);
  scheduler.submit(request, free);
  run_out(scheduler);
  refused->goes_on = false;
  scheduler.submit(request, refused);
  request.ends = {free->ids()[3]};
  scheduler.submit(request, ended);
  request.ends.clear(), request.turn_end = free->ids()[3];
  scheduler.submit(request, turned);
  run_out(scheduler);
  const std::vector<std::int64_t> ids = free->ids();
  const auto until = std::find(ids.begin(), ids.end(), ids[3]) - ids.begin();
  EXPECT_EQ(ended->ended, TextEnd::end_of_text);
  EXPECT_EQ(turned->ended, TextEnd::end_of_turn);
  EXPECT_EQ(ended->last, ids[3]);
  EXPECT_EQ(refused->ended, TextEnd::observer);
  EXPECT_EQ(ended->drawn.size(), static_cast<std::size_t>(until));
  EXPECT_EQ(turned->drawn.size(), static_cast<std::size_t>(until));
  EXPECT_EQ(refused->drawn.size(), 1U);
}

TEST(Scheduler, ClosedEndsWhatWaitsAtOnceAndWhatRunsAtTheLimit) {
  SchedulerLimits limits;
  limits.running = 1;
  Scheduler scheduler = scheduler_for(tiny_model(), limits);
  const auto runs = std::make_shared<Listener>(), waits = std::make_shared<Listener>();
  scheduler.submit(request_of(3, 1000000, 1), runs);
  scheduler.step();
  scheduler.submit(request_of(3, 5, 2), waits);
  std::thread thread([&] { scheduler.run(); });
  scheduler.close(std::chrono::steady_clock::now());
  thread.join();
  EXPECT_EQ(runs->ended, TextEnd::closing);
  EXPECT_EQ(waits->ended, TextEnd::closing);
  EXPECT_TRUE(waits->drawn.empty());
  EXPECT_EQ(scheduler.submit(request_of(3, 5, 2), waits), Admission::closing);
}

TEST(Scheduler, ClosedLetsWhatRunsComeToItsEnd) {
  Scheduler scheduler = scheduler_for(tiny_model());
  const auto runs = std::make_shared<Listener>();
  scheduler.submit(request_of(3, 20, 1), runs);
  scheduler.step();
  scheduler.close(std::chrono::steady_clock::now() + std::chrono::hours(1));
  scheduler.run();
  EXPECT_EQ(runs->ended, TextEnd::length);
  EXPECT_EQ(runs->drawn.size(), 20U);
}

}  // namespace
}  // namespace mformer
