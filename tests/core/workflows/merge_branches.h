#pragma once

#include <gtest/gtest.h>

#include "core/workflows/merge.h"
#include "tests/core/workflows/branches.h"

namespace mformer::testing {

/// Branches, and the merge of two of them as the command line would call it.
class MergeBranches : public ::testing::Test {
 protected:
  MergeReport run(const std::string& a, const std::string& b, const MergeCommand& command = {}) {
    const LoadedVersion left = branches_.load(a), right = branches_.load(b);
    Session session = branches_.workspace().session("merge");
    session.arguments_json = R"({"b":")" + to_string(right.record) + R"(","b_hash":")" + right.record.hash + "\"}";
    return merge(session, left, right, command, branches_.registry());
  }

  Branches branches_;
};

}  // namespace mformer::testing
