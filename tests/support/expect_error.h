#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <typeinfo>

#include "modules_registry/error.h"

namespace mformer::testing {

/// Runs `work`, which must throw exactly an E (Error, or the UsageError that makes exit code 2) whose sentence contains
/// `what`. Returns the hint.
template <typename E, typename Work>
std::string expect_error(const Work& work, const std::string& what) {
  try {
    work();
  } catch (const Error& e) {
    EXPECT_TRUE(typeid(e) == typeid(E)) << "another kind of error: " << e.what();
    EXPECT_THAT(e.what(), ::testing::HasSubstr(what));
    return e.hint();
  }
  ADD_FAILURE() << "nothing was refused; expected: " << what;
  return "";
}

}  // namespace mformer::testing
