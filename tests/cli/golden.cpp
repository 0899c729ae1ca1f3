#include "tests/cli/golden.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <iterator>
#include <string_view>

namespace mformer::test {

void expect_golden(const std::string& name, const std::string& actual) {
  const std::string path = std::string(MFORMER_TEST_DATA) + "/cli/" + name;
  const char* rewrite = std::getenv("MFORMER_REWRITE_GOLDEN");
  if (rewrite != nullptr && std::string_view(rewrite) == "1") {
    std::ofstream(path, std::ios::binary) << actual;
    GTEST_SKIP() << "rewrote " << path;
  }
  std::ifstream file(path, std::ios::binary);
  ASSERT_TRUE(file) << path << " is missing; MFORMER_REWRITE_GOLDEN=1 writes it";
  const std::string expected((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  EXPECT_EQ(actual, expected);
}

}  // namespace mformer::test
