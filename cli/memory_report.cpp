#include "cli/memory_report.h"

#include "cli/describe.h"
#include "cli/terminal/format.h"
#include "cli/terminal/table.h"
#include "core/device/device.h"

namespace mformer::cli {
void report_memory(terminal::Report& report, const MemoryPlan& plan) {
  terminal::Table table({{"memory on " + plan.device.str(), terminal::Align::left}, {"", terminal::Align::right}});
  const auto row = [&](const char* name, std::int64_t n) {
    if (n > 0) table.add_row({name, byte_size(n)});
  };
  row("weights that are trained", plan.trained_weights);
  row("frozen weights", plan.frozen_weights);
  row("frozen modules packed for products", plan.packed_weights);
  row("the version before", plan.base_weights);
  row("teacher", plan.teacher_weights);
  row("gradients", plan.gradients);
  row("optimizer state", plan.optimizer);
  row("best weights so far", plan.best_weights);
  row("activations, about", plan.activations);
  row("working memory, about", plan.working);
  table.add_rule();
  table.add_row({"in all, about", byte_size(plan.total())});
  report.text() << '\n' << table.str(report.style());
  const DeviceMemory memory = memory_of(plan.device);
  if (memory.total == 0) return;
  report.text() << byte_size(memory.free) << " of " << byte_size(memory.total) << " are free"
                << (plan.total() > memory.free ? ": this would not fit\n" : "\n");
}

nlohmann::ordered_json to_json(const MemoryPlan& plan) {
  const DeviceMemory memory = memory_of(plan.device);
  const std::optional<std::int64_t> peak = peak_of(plan.device);
  const auto known = [&](std::int64_t n) { return memory.total > 0 ? nlohmann::ordered_json(n) : nullptr; };
  return {{"device", plan.device.str()},
          {"trained_weights", plan.trained_weights},
          {"frozen_weights", plan.frozen_weights},
          {"packed_weights", plan.packed_weights},
          {"base_weights", plan.base_weights},
          {"teacher_weights", plan.teacher_weights},
          {"gradients", plan.gradients},
          {"optimizer", plan.optimizer},
          {"best_weights", plan.best_weights},
          {"activations", plan.activations},
          {"logits", plan.logits},
          {"working", plan.working},
          {"evaluation", plan.evaluation},
          {"total", plan.total()},
          {"free", known(memory.free)},
          {"device_total", known(memory.total)},
          {"peak", peak ? nlohmann::ordered_json(*peak) : nullptr}};
}

}  // namespace mformer::cli
