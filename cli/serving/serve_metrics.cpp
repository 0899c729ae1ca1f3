#include "cli/serving/serve_metrics.h"

#include <unistd.h>

#include <fstream>
#include <sstream>

namespace mformer::cli {
namespace {

class MetricsText {
 public:
  void gauge(const std::string& name, const std::string& help, std::int64_t value) { one(name, help, "gauge", value); }
  void counter(const std::string& name, const std::string& help, std::int64_t value) {
    one(name, help, "counter", value);
  }
  void begin(const std::string& name, const std::string& help, const char* type) {
    text_ << "# HELP " << name << ' ' << help << "\n# TYPE " << name << ' ' << type << '\n';
  }
  void labelled(const std::string& name, const std::string& label, const std::string& is, std::int64_t value) {
    text_ << name << '{' << label << "=\"" << is << "\"} " << value << '\n';
  }
  std::string str() const { return text_.str(); }

 private:
  void one(const std::string& name, const std::string& help, const char* type, std::int64_t value) {
    begin(name, help, type);
    text_ << name << ' ' << value << '\n';
  }
  std::ostringstream text_;
};

std::int64_t resident_bytes() {
  std::ifstream file("/proc/self/statm");
  std::int64_t size = 0, resident = 0;
  file >> size >> resident;
  return resident * sysconf(_SC_PAGESIZE);
}

}  // namespace

std::string metrics_text(const SchedulerFigures& figures, const WebServer& server) {
  MetricsText text;
  text.gauge("mformer_texts_running", "Texts that are being read or written.", figures.running);
  text.gauge("mformer_texts_waiting", "Texts that wait to join.", figures.waiting);
  text.gauge("mformer_cache_reserved_bytes", "Keys and values reserved for the texts that run.", figures.cache_bytes);
  text.gauge("mformer_connections", "Open connections.", server.connections());
  text.counter("mformer_prompt_tokens_total", "Tokens of prompts that were read.", figures.prompt_tokens);
  text.counter("mformer_generated_tokens_total", "Tokens that were drawn.", figures.tokens);
  text.counter("mformer_steps_total", "Passes of the model over all texts that run.", figures.steps);
  text.begin("mformer_texts_total", "Texts that came to an end, by how.", "counter");
  text.labelled("mformer_texts_total", "end", "done", figures.ended - figures.unwanted);
  text.labelled("mformer_texts_total", "end", "failed", figures.failed);
  text.labelled("mformer_texts_total", "end", "abandoned", figures.unwanted);
  text.labelled("mformer_texts_total", "end", "refused", figures.refused);
  text.begin("mformer_http_answers_total", "Answers, by their HTTP status.", "counter");
  for (const auto& [status, count] : server.answers()) {
    text.labelled("mformer_http_answers_total", "status", std::to_string(status), count);
  }
  text.gauge("process_resident_memory_bytes", "Memory of the process that is in use.", resident_bytes());
  return text.str();
}

}  // namespace mformer::cli
