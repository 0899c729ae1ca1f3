#pragma once

#include <chrono>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <vector>

namespace mformer::benchmarks {

/// Seconds between calls.
class Stopwatch {
 public:
  double lap() {
    const auto now = std::chrono::steady_clock::now();
    const std::chrono::duration<double> elapsed = now - last_;
    last_ = now;
    return elapsed.count();
  }

 private:
  std::chrono::steady_clock::time_point last_ = std::chrono::steady_clock::now();
};

/// The largest resident set of this process so far, in bytes (VmHWM).
std::int64_t peak_memory();

/// Prints one JSON line: `fields`, "samples" (seconds of each step, pass or token), "seconds" (their median),
/// "tokens_per_second" (`tokens` of one sample over the median), "peak_memory" in bytes, "threads".
void print_report(nlohmann::ordered_json fields, const std::vector<double>& samples, std::int64_t tokens);

}  // namespace mformer::benchmarks
