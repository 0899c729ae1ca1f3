#include "cli/routing_trace.h"

#include <charconv>

#include "modules_registry/file_sink.h"

namespace mformer::cli {
namespace {

constexpr std::size_t kTraceBlock = std::size_t{1} << 20;  // bytes that are written at once

template <typename Number>
void append_number(std::string& line, Number number) {
  char text[32];
  line.append(text, std::to_chars(text, text + sizeof text, number).ptr);
}

}  // namespace

std::int64_t write_routing_trace(const std::string& path, const std::vector<std::string>& hypotheses,
                                 const std::function<void(const RoutingTrace&)>& run) {
  std::int64_t count = 0;
  write_file_atomically(path, [&](const ByteSink& sink) {
    std::string block = std::string(routing_trace_header) + '\n';
    block.reserve(kTraceBlock + 256);
    run([&](const RoutedSlot& one) {
      for (const std::int64_t number : {one.window, one.position, one.token}) {
        append_number(block, number);
        block += ',';
      }
      block += hypotheses.at(one.hypothesis) + ',';
      append_number(block, one.layer);
      block += one.kind == Kind::att ? ",att," : ",mlp,";
      append_number(block, one.slot);
      block += ',';
      append_number(block, one.module);
      block += ',';
      append_number(block, one.gate);  // the shortest that is read back as the same float
      block += '\n';
      ++count;
      if (block.size() < kTraceBlock) return;
      sink(as_bytes(block));
      block.clear();
    });
    sink(as_bytes(block));
  });
  return count;
}

}  // namespace mformer::cli
