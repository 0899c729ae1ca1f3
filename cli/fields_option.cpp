#include "cli/fields_option.h"

namespace mformer::cli {

void add_fields_flag(CLI::App& command, std::string& fields) {
  command
      .add_option(
          "--fields", fields,
          "Where the records' fields have other names: text=A, or prompt=A,completion=B, or question=A,answer=B, or "
          "instruction=A,output=B, or messages=A")
      ->type_name("NAMES");
}

}  // namespace mformer::cli
