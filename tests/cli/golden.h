#pragma once

#include <string>

namespace mformer::test {

/// Expects `actual` to equal tests/data/cli/`name`. With MFORMER_REWRITE_GOLDEN=1 the file is rewritten and the test
/// reports "skipped", so that a rewrite is never taken for a pass; review the difference before committing it.
void expect_golden(const std::string& name, const std::string& actual);

}  // namespace mformer::test
