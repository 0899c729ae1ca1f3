#include "cli/import_options.h"

#include <string>

#include "cli/validators.h"

namespace mformer::cli {

CLI::Option* add_tokenizer_file(CLI::App& command, InitOptions& options) {
  return command
      .add_option("--tokenizer", options.tokenizer,
                  "A tokenizer.json, tokenizer.model or .gguf file; default: the checkpoint's own")
      ->type_name("FILE");
}

void add_slices(CLI::App& command, InitOptions& options) {
  command
      .add_option("--slices", options.slices,
                  "Modules that a dense feed-forward layer is cut into; 0: " + std::to_string(kDefaultSlices) +
                      ", or the next fewer that divide its width")
      ->type_name("N")
      ->check(non_negative_integer());
}

CLI::Option* add_allow_not_finite(CLI::App& command, InitOptions& options) {
  return command.add_flag("--allow-not-finite", options.allow_not_finite,
                          "Take weights that are not finite numbers too, to look at");
}

}  // namespace mformer::cli
