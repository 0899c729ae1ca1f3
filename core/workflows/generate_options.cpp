#include <cmath>
#include <string>

#include "core/workflows/generate.h"
#include "modules_registry/error.h"

namespace mformer {

void GenerateOptions::validate() const {
  const auto require = [](bool holds, const char* what, const char* hint) {
    if (!holds) throw UsageError(what, hint);
  };
  require(max_tokens >= 1, "--max-tokens must be at least 1", "for example --max-tokens 128");
  require(std::isfinite(temperature) && temperature >= 0, "--temperature must be 0 or more",
          "0 = always the likeliest token");
  require(top_k >= 0, "--top-k must not be negative", "0 = no limit");
  require(top_p > 0 && top_p <= 1, "--top-p must be above 0 and at most 1", "1 = no limit");
  for (const std::string& one : stop) require(!one.empty(), "--stop must not be empty", "for example --stop '###'");
  const bool codes = dtype == "int8" || dtype == "int4";
  require(dtype.empty() || dtype == "float32" || dtype == "bfloat16" || codes,
          "--dtype must be float32, bfloat16, int8 or int4", "without it the model computes as it is stored");
  require(!codes || device.is_cpu(), "--dtype int8 and int4 are for the CPU",
          "on a GPU --dtype bfloat16 is the smallest");
}

}  // namespace mformer
