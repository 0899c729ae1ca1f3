#include "core/workflows/finetune.h"
#include "core/workspace/selector_syntax.h"

namespace mformer {

void FinetuneCommand::validate() const {
  options.validate();
  loss.validate();
  if (choice.has_value()) choice->validate();
  if (!modules.empty()) read_selector(modules);
}

}  // namespace mformer
