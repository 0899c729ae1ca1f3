#include "recipes/benchmarks/report.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <fstream>
#include <iostream>
#include <sstream>
#include <string>

#include "modules_registry/error.h"

namespace mformer::benchmarks {
namespace {

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const std::size_t middle = values.size() / 2;
  return values.size() % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}

}  // namespace

std::int64_t peak_memory() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    std::istringstream words(line);
    std::string name;
    std::int64_t kibibytes = 0;
    if (words >> name >> kibibytes && name == "VmHWM:") return kibibytes * 1024;
  }
  throw Error("/proc/self/status does not tell the largest resident set", "the benchmarks need Linux");
}

void print_report(nlohmann::ordered_json fields, const std::vector<double>& samples, std::int64_t tokens) {
  fields["samples"] = samples;
  fields["seconds"] = median(samples);
  fields["tokens_per_second"] = static_cast<double>(tokens) / median(samples);
  fields["peak_memory"] = peak_memory();
  fields["threads"] = at::get_num_threads();
  std::cout << fields.dump() << std::endl;
}

}  // namespace mformer::benchmarks
