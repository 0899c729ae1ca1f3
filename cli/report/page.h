#pragma once

#include <nlohmann/json.hpp>
#include <string>

namespace mformer::cli {

/// The page with its data, one file without any other: its style and script are allowed by their hashes, and nothing
/// that the data holds can end the block that it lies in.
std::string report_page(const nlohmann::ordered_json& data);

/// The files of this folder, compiled in (report/CMakeLists.txt).
std::string page_html();
std::string page_style();
std::string page_script();

}  // namespace mformer::cli
