#include "core/workspace/parts_ahead.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <stdexcept>
#include <thread>

namespace mformer {
namespace {

NamedParts part(int i) {
  return {{"part", at::full({1}, i)}};
}

int number_of(const NamedParts& parts) {
  return parts.at(0).second.item<int>();
}

TEST(PartsAhead, HandsOutTheObjectsInTheirOrder) {
  std::vector<PartsAhead::Make> objects;
  for (int i = 0; i < 100; ++i) objects.push_back([i] { return part(i); });
  PartsAhead ahead(objects);
  for (int i = 0; i < 100; ++i) ASSERT_EQ(number_of(ahead.next()), i);
}

TEST(PartsAhead, MakesTheNextObjectOnAnotherThreadAndNoneBeyondIt) {
  std::atomic<int> made = 0;
  std::vector<PartsAhead::Make> objects;
  std::vector<std::thread::id> threads(3);
  for (int i = 0; i < 3; ++i) {
    objects.push_back([&, i] {
      threads[static_cast<std::size_t>(i)] = std::this_thread::get_id();
      ++made;
      return part(i);
    });
  }
  PartsAhead ahead(objects);
  ahead.next();
  const auto limit = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  while (made < 2 && std::chrono::steady_clock::now() < limit) std::this_thread::yield();
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  EXPECT_EQ(made, 2);
  EXPECT_NE(threads[1], std::this_thread::get_id());
}

TEST(PartsAhead, ThrowsWhatWasThrownAtThatObjectAndMakesNoFurtherOne) {
  std::atomic<int> made = 0;
  PartsAhead ahead({[] { return part(0); }, []() -> NamedParts { throw std::runtime_error("no such tensor"); },
                    [&] { return part(++made); }});
  EXPECT_EQ(number_of(ahead.next()), 0);
  EXPECT_THROW(ahead.next(), std::runtime_error);
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  EXPECT_EQ(made, 0);
}

TEST(PartsAhead, WaitsForTheObjectUnderWayWhenItIsDropped) {
  std::atomic<bool> begun = false, done = false;
  {
    PartsAhead ahead({[&] {
      begun = true;
      std::this_thread::sleep_for(std::chrono::milliseconds(30));
      done = true;
      return part(0);
    }});
    while (!begun) std::this_thread::yield();
  }
  EXPECT_TRUE(done);
  const PartsAhead none({});
}

}  // namespace
}  // namespace mformer
