#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "core/text/documents.h"

namespace mformer::cli {

/// How much of a data set was left out, by reason, with the first examples.
nlohmann::ordered_json left_out_json(const CorpusSummary& summary);

/// The same as lines of a report; "" where nothing was.
std::string left_out_lines(const CorpusSummary& summary);

}  // namespace mformer::cli
