#include "modules_registry/json_depth.h"

#include <cstddef>

namespace mformer {

bool json_deeper_than(std::string_view json, int levels) {
  int depth = 0;
  bool in_string = false;
  for (size_t at = 0; at < json.size(); ++at) {
    const char unit = json[at];
    if (in_string) {
      if (unit == '\\') ++at;
      if (unit == '"') in_string = false;
    } else if (unit == '"') {
      in_string = true;
    } else if (unit == '[' || unit == '{') {
      if (++depth > levels) return true;
    } else if (unit == ']' || unit == '}') {
      --depth;
    }
  }
  return false;
}

}  // namespace mformer
