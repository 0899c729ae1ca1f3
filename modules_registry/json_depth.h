#pragma once

#include <string_view>

namespace mformer {

/// Whether `json` opens more than `levels` brackets or braces within each other; strings don't count, and it need not
/// be well-formed. The JSON library copies, compares and writes values by recursion, so text of strangers is asked this
/// before it is parsed. One pass, no memory.
bool json_deeper_than(std::string_view json, int levels);

}  // namespace mformer
