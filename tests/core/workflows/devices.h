#pragma once

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <string>

#include "core/workspace/version_store.h"
#include "tests/support/make_believe_device.h"
#include "tests/support/threads.h"
#include "tests/support/tiny_workspace.h"
#include "tests/support/tolerance.h"

namespace mformer::testing {

/// The same work in two workspaces: on the CPU, and on the make-believe device.
class Devices {
 public:
  TinyWorkspace cpu, other;
  /// Its operations are many and small.
  ThreadCount threads{1};

  /// What `work(workspace, session)` gives in each.
  template <typename Work>
  auto both(const std::string& command, const Work& work) {
    Session here = cpu.session(command), there = other.session(command);
    there.device = make_believe_device();
    auto expected = work(cpu, here);
    return std::pair(std::move(expected), work(other, there));
  }

  void add_task(const std::string& name) {
    for (TinyWorkspace* workspace : {&cpu, &other}) workspace->add_task(name, workspace->corpus(name));
  }

  /// The current versions hold the same numbers, but for rounding.
  void expect_same_versions(double tolerance) {
    Model expected = cpu.load().model, actual = other.load().model;
    const auto left = parameters(expected), right = parameters(actual);
    ASSERT_EQ(left.size(), right.size());
    for (std::size_t i = 0; i < left.size(); ++i) {
      EXPECT_EQ(left[i].name, right[i].name);
      EXPECT_EQ(left[i].tensor->scalar_type(), right[i].tensor->scalar_type()) << left[i].name;
      EXPECT_LE(relative_error(*right[i].tensor, *left[i].tensor), tolerance) << left[i].name;
    }
    EXPECT_TRUE(other.registry().fsck().empty());
  }
};

/// Losses are of order 5 and are means over some hundred tokens.
inline void expect_same_tasks(const std::vector<TaskChange>& expected, const std::vector<TaskChange>& actual,
                              double tolerance) {
  ASSERT_EQ(expected.size(), actual.size());
  for (std::size_t i = 0; i < expected.size(); ++i) {
    EXPECT_EQ(expected[i].task, actual[i].task);
    ASSERT_EQ(expected[i].before.has_value(), actual[i].before.has_value());
    ASSERT_EQ(expected[i].after.has_value(), actual[i].after.has_value());
    EXPECT_NEAR(expected[i].before.value_or(0), actual[i].before.value_or(0), tolerance) << expected[i].task;
    EXPECT_NEAR(expected[i].after.value_or(0), actual[i].after.value_or(0), tolerance) << expected[i].task;
  }
}

}  // namespace mformer::testing
