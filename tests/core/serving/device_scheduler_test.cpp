// On a device whose memory nothing but LibTorch may touch, texts go through the model one by one and get what they get
// on the CPU.

#include <gtest/gtest.h>

#include <memory>

#include "core/serving/scheduler.h"
#include "tests/core/serving/serving_support.h"
#include "tests/support/make_believe_device.h"
#include "tests/support/tiny_domains.h"

namespace mformer {
namespace {

using testing::kServedVocabulary;
using testing::Listener;

/// float32 on both sides, summed in another order.
constexpr double kDeviceRounding = 1e-4;

std::vector<std::shared_ptr<Listener>> served_on(const Model& model, at::Device device) {
  Scheduler scheduler(decoding_views(model, at::kFloat, device), kServedVocabulary, {});
  std::vector<std::shared_ptr<Listener>> listeners;
  for (unsigned seed = 1; seed <= 3; ++seed) {
    TextRequest request = testing::request_of(4 * seed, 6, seed);
    request.routing = true;
    request.prompt_log_probs = seed == 2;
    listeners.push_back(std::make_shared<Listener>());
    scheduler.submit(request, listeners.back());
  }
  testing::run_out(scheduler);
  return listeners;
}

TEST(SchedulerOnADevice, GivesWhatTheCpuGives) {
  const Model model = testing::tiny_model_with_domains(testing::tiny_config(), 0.3);
  const auto here = served_on(model, at::kCPU), there = served_on(model, testing::make_believe_device());
  for (std::size_t i = 0; i < here.size(); ++i) {
    SCOPED_TRACE(i);
    ASSERT_EQ(there[i]->ended, TextEnd::length) << there[i]->what;
    EXPECT_EQ(there[i]->ids(), here[i]->ids());
    ASSERT_EQ(there[i]->heard.size(), here[i]->heard.size());
    for (std::size_t t = 1; t < here[i]->heard.size(); ++t) {
      EXPECT_NEAR(*there[i]->heard[t].log_prob, *here[i]->heard[t].log_prob, kDeviceRounding);
    }
  }
}

}  // namespace
}  // namespace mformer
